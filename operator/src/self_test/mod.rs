//! `prbuild-operator self-test`: what `helm test` runs.
//!
//! It proves, inside of the cluster and without GitHub, that a label becomes a status: it answers as
//! GitHub would ([`echo`], [`commits`]), has webhook and operator believe it through a connection that
//! exists as long as it runs, delivers one signed event, and waits for what comes of it. Beside, it says
//! whether the network keeps that build where the policies of builds do ([`reach`]). Whatever happens, it
//! removes what came into being ([`cluster`]).
//!
//! Who may run it could build anything, so nobody may: the chart gives an account to this one pod, for as
//! long as it runs, with rights on the few objects that bear the name [`NAME`].

mod cluster;
mod commits;
mod deliver;
mod echo;
mod reach;

use std::{
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use cluster::Cluster;
use deliver::Sender;
use echo::{Echo, Told};
use reach::Doors;

/// The word that stands before its arguments.
pub const COMMAND: &str = "self-test";
/// Name of everything that is made for it: connection and Secret, Repository, Builder, account.
pub const NAME: &str = github::SELF_TEST;
/// The label that is added. Nobody else's label selects its Builder, which is of this flavour.
const LABEL: &str = NAME;
/// Number of the pull request.
const NUMBER: i64 = 1;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two deliveries that were not taken: each counts as unsigned until the connection is read.
const PAUSE_OF_DELIVERIES: Duration = Duration::from_secs(15);
/// How long cleaning up may take.
const CLEANING: Duration = Duration::from_secs(60);

/// Arguments of `self-test`.
#[derive(clap::Parser, Debug)]
#[command(name = "prbuild-operator self-test", version)]
pub struct Args {
    /// Namespace of PrBuild's objects
    #[arg(long)]
    pub namespace: String,
    /// Where deliveries go: http://prbuild-webhook.NAMESPACE.svc/webhook
    #[arg(long)]
    pub webhook: String,
    /// Address of this pod, where webhook, operator and build find the echo
    #[arg(long, env = "POD_IP")]
    pub address: IpAddr,
    /// Where the echo listens
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Where it listens for a build that came where no policy lets it
    #[arg(long, default_value = "0.0.0.0:8081")]
    pub listen_denied: SocketAddr,
    /// After how many seconds it has failed
    #[arg(long, default_value_t = 240)]
    pub patience_seconds: u64,
}

/// Why the test did not pass.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// It cannot begin.
    #[error("the test cannot begin\n  because {0}")]
    Begin(String),
    /// Something did not come about.
    #[error("{what}: not within {seconds} s\n  because {because}\n  try: {remedy}")]
    Late {
        /// What was waited for.
        what: &'static str,
        /// How long everything may take.
        seconds: u64,
        /// What was seen last.
        because: String,
        /// Where to look.
        remedy: &'static str,
    },
    /// The build ended, and did not pass.
    #[error("the build did not pass\n  because {0}\n  try: kubectl prbuild doctor")]
    Ended(String),
    /// Somebody stopped it.
    #[error("the test was stopped")]
    Stopped,
    /// Something is left.
    #[error(
        "the test passed, and could not be cleaned up\n  because {0}\n  try: `helm test` again, which removes what is left first; or kubectl delete prbuilds/{build} builderruns/{run}",
        build = cluster::build_name(),
        run = cluster::run_name()
    )]
    Left(String),
}

/// What is waited for, and where to look when it does not come.
#[derive(Clone, Copy)]
struct Chapter {
    what: &'static str,
    remedy: &'static str,
}

const KNOWN: Chapter = Chapter {
    what: "the operator knows the repository",
    remedy: "kubectl logs deployment/prbuild-operator --tail=5; does one lead, and may it reach the test's pod?",
};
const TAKEN: Chapter = Chapter {
    what: "the webhook takes a delivery",
    remedy: "kubectl logs deployment/prbuild-webhook --tail=5; is a pod of it ready?",
};
const PASSED: Chapter = Chapter {
    what: "the build passes",
    remedy: "kubectl -n BUILD_NAMESPACE get pods,events; may build pods reach the test's pod, and is selfTest.image there?",
};
const TOLD: Chapter = Chapter {
    what: "the result arrives and the label comes off",
    remedy: "kubectl logs deployment/prbuild-operator --tail=20",
};

/// Runs the test, prints how far it is, and cleans up however it ends.
///
/// # Errors
/// What did not come about, and where to look.
pub async fn run(args: Args, stop: CancellationToken) -> Result<String, SelfTestError> {
    let cluster = Cluster::open(&args.namespace).await?;
    let token = random(16)?;
    let echo = serve(&args, &token).await?;
    let address = echo.address();
    println!("an echo of GitHub answers on http://{address}");
    let sender = Sender::new(&args.webhook, random(32)?);
    let story = Story {
        cluster: &cluster,
        echo: &echo,
        sender: &sender,
        waiting: Waiting::default(),
    };
    let connection = [
        ("api-url", format!("http://{address}")),
        ("git-url", format!("http://{address}")),
        ("token", token),
        ("webhook-secret", sender.secret().to_owned()),
    ];
    let patience = Duration::from_secs(args.patience_seconds);
    let told = tokio::select! {
        told = tokio::time::timeout(patience, story.tell(&connection)) => {
            told.unwrap_or_else(|_| Err(story.waiting.late(args.patience_seconds, &echo.told())))
        }
        () = stop.cancelled() => Err(SelfTestError::Stopped),
    };
    echo.end();
    let cleared = tokio::time::timeout(CLEANING, cluster.clear()).await;
    let cleared = cleared.unwrap_or_else(|_| Err("it takes too long".to_owned()));
    match (&told, &cleared) {
        (_, Ok(())) => println!("nothing of it is left"),
        (Err(_), Err(because)) => println!("it could not be cleaned up: {because}"),
        (Ok(_), Err(_)) => {}
    }
    let story = told?;
    cleared.map_err(SelfTestError::Left)?;
    Ok(story)
}

/// What happens, in its order.
struct Story<'a> {
    cluster: &'a Cluster,
    echo: &'a Echo,
    sender: &'a Sender,
    waiting: Waiting,
}

impl Story<'_> {
    async fn tell(&self, connection: &[(&str, String)]) -> Result<String, SelfTestError> {
        let begin = SelfTestError::Begin;
        // Of a test that was killed.
        self.cluster.clear().await.map_err(begin)?;
        self.cluster.connect(connection).await.map_err(begin)?;
        println!("the connection is there; nodes show it to webhook and operator within 90 s");
        let known = || async { self.cluster.knows_repository().await };
        self.waiting.until(KNOWN, PAUSE, known).await;
        let body = self.echo.delivery().to_string();
        let deliver = || async { self.sender.deliver(&body).await };
        self.waiting
            .until(TAKEN, PAUSE_OF_DELIVERIES, deliver)
            .await;
        let build = || async { self.cluster.build().await };
        let ended = self.waiting.until(PASSED, PAUSE, build).await;
        let summary = ended.map_err(SelfTestError::Ended)?;
        let told = || async { all_told(&self.echo.told()) };
        self.waiting.until(TOLD, PAUSE, told).await;
        // Its build has ended, so it has knocked.
        let reached = self.echo.told().reached.says();
        Ok(format!("a label became a status: {summary}\n{reached}"))
    }
}

/// Whether GitHub knows how it ended.
fn all_told(told: &Told) -> Result<(), String> {
    let last = told.statuses.last();
    let state = last.map_or("nothing", |(state, _)| state.as_str());
    match (state, told.unlabelled, told.commented) {
        ("success", true, true) => Ok(()),
        (state, true, true) => Err(format!("the last status says `{state}`")),
        (_, false, _) => Err("the label is on the pull request".to_owned()),
        (_, _, false) => Err("there is no comment".to_owned()),
    }
}

/// What is waited for, and what was seen last.
#[derive(Default)]
struct Waiting(Mutex<Option<(Chapter, String)>>);

impl Waiting {
    /// Looks until it is there.
    async fn until<T, F>(&self, chapter: Chapter, pause: Duration, look: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        let began = std::time::Instant::now();
        loop {
            match look().await {
                Ok(found) => {
                    println!("{} ({} s)", chapter.what, began.elapsed().as_secs());
                    return found;
                }
                Err(seen) => self.note(chapter, seen),
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn note(&self, chapter: Chapter, seen: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((chapter, seen));
    }

    fn late(&self, seconds: u64, told: &Told) -> SelfTestError {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (chapter, mut because) = last.clone().unwrap_or((KNOWN, "nothing was seen".into()));
        if !told.unanswered.is_empty() {
            because.push_str(&format!("; not answered: {}", told.unanswered.join(", ")));
        }
        SelfTestError::Late {
            what: chapter.what,
            seconds,
            because,
            remedy: chapter.remedy,
        }
    }
}

/// Serves the echo and the door that is denied.
async fn serve(args: &Args, token: &str) -> Result<std::sync::Arc<Echo>, SelfTestError> {
    let (open, allowed) = listen(args.listen).await?;
    let (shut, denied) = listen(args.listen_denied).await?;
    let doors = Doors {
        allowed: SocketAddr::new(args.address, allowed),
        denied: SocketAddr::new(args.address, denied),
        word: random(8)?,
    };
    let echo = Echo::new(token, doors);
    // Both serve until the program ends.
    for (listener, router) in [(open, echo.router()), (shut, echo.denied_door())] {
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    Ok(echo)
}

/// A listener, and its port.
async fn listen(address: SocketAddr) -> Result<(TcpListener, u16), SelfTestError> {
    let begin = |error: std::io::Error| {
        SelfTestError::Begin(format!("nobody can listen on {address}: {error}"))
    };
    let listener = TcpListener::bind(address).await.map_err(begin)?;
    let port = listener.local_addr().map_err(begin)?.port();
    Ok((listener, port))
}

/// So many random bytes, as text.
fn random(bytes: usize) -> Result<String, SelfTestError> {
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| SelfTestError::Begin("the kernel has no random numbers".to_owned()))?;
    Ok(hex(&random))
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_the_last_status_is_success_and_the_label_is_off() {
        let mut told = Told::default();
        assert!(all_told(&told).is_err());
        (told.unlabelled, told.commented) = (true, true);
        told.statuses.push(("pending".into(), String::new()));
        assert_eq!(
            all_told(&told).unwrap_err(),
            "the last status says `pending`"
        );
        told.statuses.push(("success".into(), String::new()));
        assert_eq!(all_told(&told), Ok(()));
    }

    #[test]
    fn what_is_late_is_named_with_what_was_seen_last_and_where_to_look() {
        let waiting = Waiting::default();
        waiting.note(TAKEN, "401 Unauthorized".to_owned());
        let said = waiting.late(60, &Told::default()).to_string();
        assert!(
            said.starts_with("the webhook takes a delivery: not within 60 s"),
            "{said}"
        );
        assert!(
            said.contains("because 401") && said.contains("kubectl logs"),
            "{said}"
        );
    }
}
