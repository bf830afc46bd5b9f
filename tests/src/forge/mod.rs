//! The forge: a stateful GitHub for tests, demo and bench.
//!
//! It has a domain model with real git data, answers REST, GraphQL and git over HTTP, sends signed
//! webhooks, and goes wrong when asked to. Stories drive it through [`Forge`]: people push, open pull
//! requests, set labels, review and comment; PrBuild sees only what GitHub would show it.
//!
//! With validation on (it is by default), whatever the forge says and whatever it is asked is held
//! against GitHub's own published descriptions; [`Forge::finish`] fails the test on any difference.
//!
//! ```no_run
//! # async fn story() {
//! use tests::forge::{Forge, ForgeOptions, PullRequest, Role, UserType};
//!
//! let forge = Forge::start(ForgeOptions::default()).await;
//! forge.add_repository("octo/app", &[("README", "An app.")]).await;
//! forge.add_user("ada", UserType::User);
//! forge.set_permission("octo/app", "ada", Role::Write);
//! forge.add_user("mallory", UserType::User);
//! forge.fork("octo/app", "mallory").await;
//! let head = forge.push("mallory/app", "change", &[("new.c", "int x;")]).await;
//! let pull = PullRequest { author: "mallory", head: "mallory:change", ..PullRequest::default() };
//! let number = forge.open_pull_request("octo/app", pull).await;
//! forge.add_label("octo/app", number, "test", "ada");
//! assert!(forge.statuses("octo/app", &head).is_empty());
//! forge.finish().await;
//! # }
//! ```
//!
//! What stories are made of, by file: `stories/code` (repositories, forks, pushes), `stories/people`,
//! `stories/pulls` (open, close, merge, drafts, base), `stories/discussion` (labels, comments, reviews),
//! `stories/checks` (buttons on checks, other systems' checks and statuses), `stories/apps` and
//! `stories/hooks` (permissions, webhooks), `stories/moves` (renames, transfers). [`Faults`] is what goes
//! wrong, [`Limits`] what GitHub allows, [`Clock`] its time, [`RequestLog`] what was asked of it.
//!
//! Methods that tell a story panic with a sentence when the story is impossible (an unknown user or
//! repository): a mistake in a test is to be seen at once.

mod auth;
mod clock;
mod connection;
mod contract;
mod entrance;
mod faults;
mod git;
mod graphql;
mod hooks;
mod limits;
mod log;
pub mod model;
mod reads;
mod respond;
mod rest;
mod smart_http;
mod stories;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;

pub use clock::{Clock, http_date, iso};
pub use connection::ConnectionKind;
pub use contract::{Example, Violation, examples};
pub use faults::{DeliveryFault, Fault, FaultId, Faults};
pub use hooks::{Delivery, DeliveryOutcome, signature};
pub use limits::Limits;
pub use log::{Logged, RequestLog, TokenKind, Usage};
pub use model::{
    CheckAction, CheckOutput, CheckRun, CheckSuite, Id, Permissions, ReviewState as State, Role,
    Status, UserType,
};
pub use reads::CommentRead;
pub use stories::{App, AppOptions, Elsewhere, PullRequest, Push, TestMergeSwitch, TokenOptions};

use model::World;

/// How a forge is started.
#[derive(Clone, Debug)]
pub struct ForgeOptions {
    /// Hold requests, answers and webhooks against GitHub's published descriptions.
    pub validate: bool,
    /// The address to listen on. Pods reach the forge through a bridge, so they need another one than
    /// the default, loopback.
    pub bind: IpAddr,
    /// The port to listen on, 0 for a free one.
    pub port: u16,
    /// Serves as a GitHub Enterprise Server of this version does: the API below `/api/v3` and
    /// `/api/graphql`, the version in a header of every answer.
    pub enterprise: Option<String>,
}

impl Default for ForgeOptions {
    fn default() -> Self {
        Self {
            validate: true,
            bind: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            enterprise: None,
        }
    }
}

/// A running forge. Clones are handles to the same one; it stops when the last is dropped.
#[derive(Clone)]
pub struct Forge {
    inner: Arc<Inner>,
    _stop: Arc<Stop>,
}

/// What the server, the deliveries and the handles share.
pub(crate) struct Inner {
    address: SocketAddr,
    base: String,
    enterprise: Option<String>,
    dir: PathBuf,
    clock: Clock,
    faults: Faults,
    limits: Limits,
    log: RequestLog,
    world: Mutex<World>,
    switches: Mutex<Switches>,
    changes: watch::Sender<u64>,
    contract: Option<contract::Contract>,
    /// One push at a time, so that branch and model never differ.
    git_turn: tokio::sync::Mutex<()>,
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: tokio::runtime::Handle,
    started: Instant,
}

/// What GitHub may do one way or another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switches {
    /// What a token of the base repository sees of a fork's activity.
    fork_activity: ForkActivity,
    /// Whether anybody sees activity without credentials.
    anonymous_activity: bool,
}

/// What a token of the base repository sees of the activity of a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkActivity {
    /// All of it.
    Visible,
    /// An empty list.
    Empty,
    /// 404, as if there were no such repository.
    NotFound,
}

/// Stops the server and removes the files when the last handle is gone.
struct Stop {
    server: tokio_util::sync::CancellationToken,
    dir: PathBuf,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.server.cancel();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Forge {
    /// Starts a forge without users or repositories.
    ///
    /// # Panics
    /// If the address cannot be listened on, or with validation if GitHub's descriptions cannot be had.
    pub async fn start(options: ForgeOptions) -> Self {
        let listener = match tokio::net::TcpListener::bind((options.bind, options.port)).await {
            Ok(listener) => listener,
            Err(error) => panic!(
                "forge: cannot listen on {}:{}: {error}",
                options.bind, options.port
            ),
        };
        let Ok(address) = listener.local_addr() else {
            panic!("forge: the listener has no address")
        };
        let shown = if options.bind.is_unspecified() {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            options.bind
        };
        let dir = scratch_dir();
        let contract = if options.validate {
            Some(contract::Contract::load().await)
        } else {
            None
        };
        let mut world = World::default();
        if options.enterprise.is_some() {
            world.api_path = "/api/v3";
        }
        let inner = Arc::new(Inner {
            address,
            enterprise: options.enterprise,
            base: format!("http://{}", SocketAddr::new(shown, address.port())),
            dir: dir.clone(),
            clock: Clock::default(),
            faults: Faults::default(),
            limits: Limits::default(),
            log: RequestLog::default(),
            world: Mutex::new(world),
            switches: Mutex::new(Switches {
                fork_activity: ForkActivity::Visible,
                anonymous_activity: true,
            }),
            changes: watch::Sender::new(0),
            contract,
            git_turn: tokio::sync::Mutex::new(()),
            client: Client::builder(TokioExecutor::new()).build_http(),
            runtime: tokio::runtime::Handle::current(),
            started: Instant::now(),
        });
        let server = tokio_util::sync::CancellationToken::new();
        entrance::serve(listener, inner.clone(), server.clone());
        Self {
            inner,
            _stop: Arc::new(Stop { server, dir }),
        }
    }

    /// The base of the REST API, for a connection's `api-url`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}{}", self.inner.base, self.inner.lock().api_path)
    }

    /// The base of the REST API as another network namespace reaches it.
    #[must_use]
    pub fn api_url_at(&self, host: IpAddr) -> String {
        format!("{}{}", self.git_url(host), self.inner.lock().api_path)
    }

    /// The base of clone URLs, for a connection's `git-url`, as somebody reaches it on this address of
    /// the machine. Bind to `0.0.0.0` for others than loopback.
    #[must_use]
    pub fn git_url(&self, host: IpAddr) -> String {
        format!(
            "http://{}",
            SocketAddr::new(host, self.inner.address.port())
        )
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// How long it runs: the time on which [`Logged::at`] and [`RequestLog::usage`] count.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.inner.started.elapsed()
    }

    /// GitHub's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.inner.clock.clone()
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.inner.faults.clone()
    }

    /// Rate limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.inner.limits.clone()
    }

    /// Every request that was made.
    #[must_use]
    pub fn log(&self) -> RequestLog {
        self.inner.log.clone()
    }

    /// What tokens of the base repository see of a fork's activity, and whether asking without
    /// credentials helps. Both are allowed at the start.
    pub fn show_fork_activity(&self, to_tokens: ForkActivity, to_anybody: bool) {
        let mut switches = self
            .inner
            .switches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *switches = Switches {
            fork_activity: to_tokens,
            anonymous_activity: to_anybody,
        };
    }

    /// A number that grows with every change of state and every delivery's end, to wait on.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Waits until `look` finds what it looks for. It is asked again after every change.
    ///
    /// # Panics
    /// After `limit`, with `what` in the message.
    pub async fn eventually<T>(
        &self,
        limit: Duration,
        what: &str,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        let mut changes = self.changed();
        let waiting = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = look(self) {
                    return found;
                }
                // The sender lives as long as this handle.
                let _ = changes.changed().await;
            }
        };
        match tokio::time::timeout(limit, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("forge: waited {limit:?} in vain for {what}"),
        }
    }

    /// What differed from GitHub's descriptions so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.inner
            .contract
            .as_ref()
            .map(contract::Contract::violations)
            .unwrap_or_default()
    }

    /// The end of a story: waits for deliveries that are on their way, then fails on any difference
    /// from GitHub's descriptions.
    ///
    /// # Panics
    /// With a list of the differences.
    pub async fn finish(&self) {
        self.deliveries_settled().await;
        let violations = self.violations();
        assert!(violations.is_empty(), "{}", contract::report(&violations));
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world and tells those who wait.
    fn edit<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.lock());
        self.changes.send_modify(|version| *version += 1);
        result
    }

    fn switches(&self) -> Switches {
        *self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A folder of its own for the git data of one forge.
fn scratch_dir() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "prbuild-forge-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let dir = std::env::temp_dir().join(name);
    // A process with the same id may have left one behind.
    let _ = std::fs::remove_dir_all(&dir);
    if let Err(error) = std::fs::create_dir_all(&dir) {
        panic!("forge: cannot make {}: {error}", dir.display());
    }
    dir
}
