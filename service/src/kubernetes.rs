//! The way to the cluster's API server, and whether its Kubernetes is one that PrBuild runs on.
//!
//! Helm refuses an older one before it installs anything, by `kubeVersion` of the chart. Whoever renders the
//! chart and applies it by other means, or goes back to an older cluster, is told here.

use std::{error::Error, time::Duration};

use kube::{Client, Config};

/// The oldest that does, as `kubeVersion` of the chart says, too.
pub const OLDEST: (u32, u32) = (1, 33);

/// Who says nothing for so long is gone. Longer than a watch lasts, which may bring nothing in all its time:
/// 290 s, as kube asks for it.
const SILENCE: Duration = Duration::from_secs(310);

/// A client for the cluster that this program runs in, or that the environment leads to.
///
/// # Errors
/// Nothing leads to a cluster, or what does cannot be read.
pub async fn client() -> kube::Result<Client> {
    let config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    patient(config, SILENCE)
}

/// A client whose requests end when nothing is heard for so long. An API server may lose its power, or a
/// balancer forget a connection, and say so to nobody; by itself a request would then wait for ever, and
/// whatever waits for it.
fn patient(mut config: Config, silence: Duration) -> kube::Result<Client> {
    config.read_timeout = Some(silence);
    // Else the time in which a connection was not used counts, too.
    config.reset_reader_on_write = true;
    Client::try_from(config)
}

/// Why the Kubernetes of a cluster does not do.
#[derive(Debug, thiserror::Error)]
pub enum OldKubernetes {
    /// It is too old.
    #[error("it is {major}.{minor}, and PrBuild needs {oldest} or newer; upgrade the cluster", oldest = oldest())]
    TooOld {
        /// The first number of what runs.
        major: u32,
        /// The second one.
        minor: u32,
    },
    /// It does not say which one it is.
    #[error("the API server does not tell its version: {0}")]
    Unknown(String),
    /// It is not reached.
    #[error(
        "the API server is not reached: {0}; it is away, or a network policy is in between, which has to allow its port: for pods of the chart, networkPolicy.ports"
    )]
    Unreached(String),
}

fn oldest() -> String {
    let (major, minor) = OLDEST;
    format!("{major}.{minor}")
}

/// Looks once.
///
/// # Errors
/// It is older, or not known.
pub async fn new_enough(client: &Client) -> Result<(), OldKubernetes> {
    let version = client.apiserver_version().await;
    let version = version.map_err(|error| unknown(&error))?;
    judge(&version.major, &version.minor)
}

/// Why there is no version. What kube says of a connection that there is not is that it could not be used; what
/// stands behind it says why.
fn unknown(error: &kube::Error) -> OldKubernetes {
    if !matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_)) {
        return OldKubernetes::Unknown(error.to_string());
    }
    let mut deepest: &dyn Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    OldKubernetes::Unreached(deepest.to_string())
}

/// What some clouds write behind the second number, as in `33+`, says nothing of its age.
fn judge(major: &str, minor: &str) -> Result<(), OldKubernetes> {
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits
            .parse::<u32>()
            .map_err(|_| OldKubernetes::Unknown(format!("`{major}.{minor}` is no version")))
    };
    let (major, minor) = (number(major)?, number(minor)?);
    if (major, minor) < OLDEST {
        return Err(OldKubernetes::TooOld { major, minor });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_is_never_answered_ends() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let config = Config::new(url.parse().unwrap());
        let client = patient(config, Duration::from_millis(100)).unwrap();
        let asked = tokio::time::timeout(Duration::from_secs(30), client.apiserver_version());
        let answer = asked.await.expect("an end");
        assert!(answer.is_err(), "nobody answered");
    }

    #[test]
    fn older_ones_are_refused_in_a_sentence_and_newer_ones_are_not() {
        for (major, minor) in [("1", "33"), ("1", "33+"), ("1", "40"), ("2", "0")] {
            assert!(judge(major, minor).is_ok(), "{major}.{minor}");
        }
        let said = |major, minor| judge(major, minor).map_err(|error| error.to_string());
        let old = "it is 1.32, and PrBuild needs 1.33 or newer; upgrade the cluster";
        assert_eq!(said("1", "32"), Err(old.to_owned()));
        assert_eq!(said("1", "32+"), Err(old.to_owned()));
        let none = "the API server does not tell its version: `.` is no version";
        assert_eq!(said("", ""), Err(none.to_owned()));
    }

    #[test]
    fn whoever_does_not_reach_the_api_server_is_told_which_value_may_be_in_between() {
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "deadline has elapsed");
        let said = unknown(&kube::Error::Service(Box::new(late))).to_string();
        let begins = "the API server is not reached: deadline has elapsed; ";
        assert!(said.starts_with(begins), "{said}");
        assert!(said.ends_with("networkPolicy.ports"), "{said}");
        let other = unknown(&kube::Error::TlsRequired).to_string();
        assert!(other.starts_with("the API server does not tell"), "{other}");
    }

    #[test]
    fn helm_refuses_what_programs_refuse() {
        let chart = include_str!("../../charts/prbuild/Chart.yaml");
        let (major, minor) = OLDEST;
        let line = format!("kubeVersion: \">={major}.{minor}.0-0\"");
        assert!(chart.lines().any(|found| found == line), "{chart}");
    }
}
