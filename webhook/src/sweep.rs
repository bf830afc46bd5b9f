//! Finds labels that no delivery told of: after an outage, or where no webhook can reach the cluster.
//! A look at an idle repository is one conditional request, which costs nothing of the rate limit.

mod walk;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use github::{GithubError, Listing, PullRequest, Repo};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::cache;
use crate::handle::{App, Outcome};
use crate::lease::Holder;
use crate::request::{Ask, Request};
use walk::{Rest, Walk};

/// How far the first look goes back: older events build nothing.
const FIRST: SignedDuration = SignedDuration::from_hours(24);
/// How far the next looks go back behind the newest change: GitHub's list lags a little.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
/// The longest pause before an event that cannot be decided is looked at again, in looks.
const LONGEST_PAUSE: u32 = 16;
/// Time for one event.
const LIMIT: Duration = Duration::from_secs(15);
/// Between two renewals of the Lease.
const RENEWAL: Duration = Duration::from_secs(15);
/// Between two looks at a Lease that somebody else holds.
const CANDIDATE: Duration = Duration::from_secs(5);

/// Sweeps while this replica holds the Lease.
pub async fn run(app: Arc<App>, mut holder: Holder, every: Duration, stop: CancellationToken) {
    let mut sweep = Sweep::default();
    let mut next = Instant::now();
    loop {
        let holds = holder.holds().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the sweep's lease is not to be had");
            false
        });
        if !holds {
            // Whoever looks now remembers more than we do.
            sweep = Sweep::default();
        } else if next <= Instant::now() {
            next = Instant::now() + every;
            tokio::select! {
                () = sweep.look(&app) => {}
                () = stop.cancelled() => break,
            }
        }
        let pause = match holds {
            true => RENEWAL.min(next.saturating_duration_since(Instant::now())),
            false => CANDIDATE,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => break,
        }
    }
    holder.release().await;
}

/// What is remembered between two looks. Losing it costs one longer look.
#[derive(Default)]
struct Sweep {
    repositories: HashMap<i64, Memory>,
}

#[derive(Default)]
struct Memory {
    etag: Option<String>,
    /// Changes up to here were seen.
    since: Option<Timestamp>,
    /// Older changes that the last look had no pages left for.
    rest: Option<Rest>,
    /// Pull requests whose labels cannot be decided yet.
    open: HashMap<i64, Open>,
    /// Labels that were decided, by number and name, and the change that they were decided at.
    settled: HashMap<(i64, String), Timestamp>,
}

/// A pull request that is looked at again.
struct Open {
    pull: PullRequest,
    pause: u32,
    left: u32,
}

impl Sweep {
    /// Looks at every repository once.
    async fn look(&mut self, app: &App) {
        let repositories = app.cache.repositories();
        let ready: Vec<_> = repositories
            .iter()
            .filter(|repository| cache::is_ready(repository))
            .filter_map(|repository| Some((repository.status.as_ref()?.id?, repository)))
            .collect();
        self.repositories
            .retain(|id, _| ready.iter().any(|(ready, _)| ready == id));
        for (id, repository) in ready {
            let memory = self.repositories.entry(id).or_default();
            let result = match memory.look(app, repository).await {
                Ok(result) => result,
                Err(error) => {
                    tracing::warn!(%error, repository = id, "the sweep got no list");
                    error.word()
                }
            };
            app.metrics.sweep(result);
        }
        app.metrics.swept();
    }
}

impl Memory {
    async fn look(
        &mut self,
        app: &App,
        repository: &Arc<crds::Repository>,
    ) -> Result<&'static str, GithubError> {
        let spec = &repository.spec;
        let Some(connection) = app.connections.get(&spec.connection) else {
            return Ok("no_connection");
        };
        let repo = connection.repo(&spec.owner, &spec.name);
        let first = repo.changed_pull_requests(self.etag.as_deref(), 1).await?;
        let mut due = self.reopened();
        let mut rest = None;
        if let Some(left) = self.rest {
            let (found, still_left) = walk(&repo, Walk::going_on(left)).await?;
            due.extend(by_number(found));
            rest = still_left;
        }
        let result = match first.value {
            Listing::NotModified => "not_modified",
            Listing::Changed { items, etag } => {
                let since = self.since.unwrap_or_else(|| earlier(first.date, FIRST));
                let newest = items.first().map_or(first.date, |pull| pull.updated_at);
                let mut front = Walk::from_the_front(since);
                front.take(items);
                let (found, left) = walk(&repo, front).await?;
                due.extend(by_number(found));
                rest = Rest::joined(rest, left);
                self.etag = etag;
                self.since = Some(earlier(newest, OVERLAP));
                "changed"
            }
        };
        if rest.is_some() {
            tracing::warn!(repository = %repo.full_name(), "many pull requests changed; the next look goes on");
        }
        self.rest = rest;
        for pull in due.into_values() {
            self.consider(app, repository, pull).await;
        }
        let since = self.since.unwrap_or(Timestamp::MIN);
        self.settled.retain(|_, at| *at >= since);
        Ok(result)
    }

    /// The pull requests that wait for another look and whose pause is over.
    fn reopened(&mut self) -> HashMap<i64, PullRequest> {
        let mut due = HashMap::new();
        for (number, open) in &mut self.open {
            open.left = open.left.saturating_sub(1);
            if open.left == 0 {
                due.insert(*number, open.pull.clone());
            }
        }
        due
    }

    /// Asks the gate about each label of a pull request that means something here.
    async fn consider(&mut self, app: &App, repository: &Arc<crds::Repository>, pull: PullRequest) {
        let mut undecided = false;
        for request in Request::of_listed(repository, &pull) {
            let Ask::Label { label, .. } = &request.ask else {
                continue;
            };
            let key = (pull.number, label.clone());
            if self.settled.get(&key) == Some(&pull.updated_at) {
                continue;
            }
            let outcome = app.decide(&request, Instant::now() + LIMIT).await;
            match outcome {
                Outcome::Later(_) => undecided = true,
                Outcome::Stored("build" | "refused") => {
                    app.metrics.found();
                    self.settled.insert(key, pull.updated_at);
                }
                _ => {
                    self.settled.insert(key, pull.updated_at);
                }
            }
        }
        if !undecided {
            self.open.remove(&pull.number);
            return;
        }
        let pause = self.open.get(&pull.number).map_or(1, |open| open.pause * 2);
        let pause = pause.min(LONGEST_PAUSE);
        self.open.insert(
            pull.number,
            Open {
                pull,
                pause,
                left: pause,
            },
        );
    }
}

/// Reads the pages that a walk asks for.
async fn walk(
    repo: &Repo,
    mut walk: Walk,
) -> Result<(Vec<PullRequest>, Option<Rest>), GithubError> {
    while let Some(page) = walk.next() {
        walk.take(match repo.changed_pull_requests(None, page).await?.value {
            Listing::Changed { items, .. } => items,
            Listing::NotModified => Vec::new(),
        });
    }
    Ok(walk.end())
}

fn by_number(pulls: Vec<PullRequest>) -> impl Iterator<Item = (i64, PullRequest)> {
    pulls.into_iter().map(|pull| (pull.number, pull))
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_sub(by).unwrap_or(Timestamp::MIN)
}
