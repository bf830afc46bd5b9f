//! `doctor`: what is wrong with this machine as a worker, in plain words.

use std::{
    collections::BTreeMap,
    net::ToSocketAddrs,
    process::{Command, Stdio},
};

use super::{
    clock::Clock,
    config::{Bytes, Config},
    identity, keyset,
    layout::Layout,
    link::{CallError, Link},
};
use crate::os;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Good,
    /// It works, and something may be missing.
    Doubt,
    /// It does not work.
    Bad,
}

/// One check, and what to do where it is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it went.
    pub mark: Mark,
    /// What was looked at, and what was found.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        let (mark, what, help) = (Mark::Good, what.into(), None);
        Self { mark, what, help }
    }

    fn not(mark: Mark, what: impl Into<String>, help: impl Into<String>) -> Self {
        let (what, help) = (what.into(), Some(help.into()));
        Self { mark, what, help }
    }
}

/// Facts about the machine, for the project's people.
pub fn facts(layout: &Layout) -> BTreeMap<String, String> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let disk = os::free_disk(&layout.agent()).unwrap_or(0);
    let all = [
        ("os", format!("{} {}", os::RUNNER_OS, os::version())),
        ("arch", std::env::consts::ARCH.to_owned()),
        ("cpus", cpus.to_string()),
        ("disk", format!("{} free", Bytes(disk))),
        ("git", version_of("git").unwrap_or_else(|| "none".into())),
    ];
    let short = |text: String| text.chars().take(200).collect();
    all.into_iter()
        .map(|(name, value)| (name.to_owned(), short(value)))
        .collect()
}

/// Looks at everything that a worker needs.
pub fn examine(config: &Config) -> Vec<Finding> {
    let layout = Layout::new(&config.state_dir);
    let mut findings = vec![policy(config), disk(config, &layout), git(), compiler()];
    match identity::load_key(&layout) {
        Err(error) => findings.push(Finding::not(
            Mark::Bad,
            error.to_string(),
            "run `prbuild-agent init`, or run this as the agent's user or as root",
        )),
        Ok(key) => {
            let resolved = dns(&config.server);
            let works = resolved.mark == Mark::Good;
            findings.push(resolved);
            if works {
                findings.extend(gateway(config, &layout, key));
            }
        }
    }
    findings
}

fn policy(config: &Config) -> Finding {
    let words = super::policy::in_words(config);
    match config.policy.events.is_empty() {
        true => Finding::not(
            Mark::Doubt,
            "this worker takes nothing: its owner has not opened it",
            "when you want to lend it, set `events = [\"pull_request\"]` below `[policy]`",
        ),
        false => Finding::good(format!("this worker {words}")),
    }
}

fn disk(config: &Config, layout: &Layout) -> Finding {
    let least = config.limits.min_free_disk;
    match os::free_disk(&layout.agent()) {
        Ok(free) if free >= least.0 => Finding::good(format!("{} of disk are free", Bytes(free))),
        Ok(free) => Finding::not(
            Mark::Bad,
            format!(
                "{} of disk are free, and no build begins below {least}",
                Bytes(free)
            ),
            "make room on the disk of `state_dir`, or lower `min_free_disk`",
        ),
        Err(error) => Finding::not(
            Mark::Bad,
            format!("the state directory cannot be looked at: {error}"),
            "run `prbuild-agent init`, or this as the agent's user or as root",
        ),
    }
}

fn git() -> Finding {
    match version_of("git") {
        Some(version) => Finding::good(version),
        None => Finding::not(
            Mark::Bad,
            "there is no git",
            "install git, and see that it is in PATH",
        ),
    }
}

fn compiler() -> Finding {
    let found = ["cc", "clang", "gcc", "cl"]
        .iter()
        .find_map(|name| version_of(name));
    match found {
        Some(version) => Finding::good(version),
        None => Finding::not(
            Mark::Doubt,
            "there is no C compiler",
            "install one if the project's builders for this machine compile",
        ),
    }
}

fn dns(server: &str) -> Finding {
    let (scheme, authority) = server.split_once("://").unwrap_or(("https", server));
    let authority = authority.trim_end_matches('/');
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if scheme == "http" { 80 } else { 443 };
    let address = match has_port {
        true => authority.to_owned(),
        false => format!("{authority}:{port}"),
    };
    match address.to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(found)) => Finding::good(format!("`{authority}` is {}", found.ip())),
        Ok(None) | Err(_) => Finding::not(
            Mark::Bad,
            format!("the name `{authority}` leads nowhere"),
            "look at `server` in the configuration, and whether this machine resolves names at all",
        ),
    }
}

/// Asks the gateway for its keys, which needs no session: a running agent is not disturbed.
fn gateway(config: &Config, layout: &Layout, key: protocol::worker::key::AgentKey) -> Vec<Finding> {
    let clock = std::sync::Arc::new(Clock::default());
    let nobody = Box::new(|_| protocol::worker::session::SessionRequest::default());
    let link = Link::new(
        &config.server,
        &config.name,
        key,
        clock.clone(),
        nobody,
        Box::new(|_, _| {}),
    );
    let chain = match link.keys() {
        Ok(chain) => chain,
        Err(error) => return vec![unreachable(&error)],
    };
    let mut findings = vec![Finding::good("the gateway answers")];
    let pinned = keyset::load(layout, &config.operator).ok().flatten();
    let led = match &pinned {
        Some(pinned) => chain.advance(&pinned.set),
        None => chain.pin(&config.operator),
    };
    findings.push(match led {
        Ok(set) => Finding::good(format!(
            "the operator's keys are those that you pinned (version {})",
            set.version
        )),
        Err(error) => Finding::not(
            Mark::Bad,
            error.to_string(),
            "write the fingerprint that the project's people told you into `operator`",
        ),
    });
    findings.push(time(&clock));
    findings
}

fn time(clock: &Clock) -> Finding {
    match (clock.ahead(), clock.off()) {
        (Some(ahead), _) => Finding::not(
            Mark::Bad,
            format!(
                "this machine's clock is ahead by {}, and every build looks too old to be begun",
                crate::text::duration(ahead)
            ),
            "set the clock, or let NTP do it",
        ),
        (None, Some(off)) if off.as_secs() > 120 => Finding::not(
            Mark::Doubt,
            format!(
                "this machine's clock is off by {}",
                crate::text::duration(off)
            ),
            "the agent does without, but git and builds may not: set the clock, or let NTP do it",
        ),
        _ => Finding::good("the clock is right"),
    }
}

fn unreachable(error: &CallError) -> Finding {
    let words = error.to_string();
    let is_tls = ["certificate", "tls", "TLS", "UnknownIssuer"]
        .iter()
        .any(|word| words.contains(word));
    let help = match error {
        CallError::Fault(_) => "tell the project's people",
        CallError::Unreachable(_) if is_tls => {
            "the connection is not secure: look for a proxy between, a wrong clock, or missing root certificates"
        }
        CallError::Unreachable(_) => {
            "look whether this machine reaches the Internet, and whether a firewall or proxy is between"
        }
    };
    Finding::not(Mark::Bad, words, help)
}

/// The first line that a program says of its version.
fn version_of(program: &str) -> Option<String> {
    let mut command = Command::new(program);
    let output = command
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_nowhere_is_said_in_plain_words() {
        let finding = dns("https://no-such-host.invalid");
        assert_eq!(finding.mark, Mark::Bad);
        assert_eq!(
            finding.what,
            "the name `no-such-host.invalid` leads nowhere"
        );
        assert_eq!(dns("http://127.0.0.1:9").mark, Mark::Good);
        assert_eq!(dns("https://127.0.0.1/").mark, Mark::Good);
    }

    #[test]
    fn an_error_of_tls_is_told_from_one_of_the_network() {
        let help = |words: &str| {
            unreachable(&CallError::Unreachable(words.into()))
                .help
                .unwrap()
        };
        assert!(help("invalid peer certificate: Expired").contains("a wrong clock"));
        assert!(help("connection refused").contains("a firewall"));
    }
}
