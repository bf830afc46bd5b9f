//! Finds what no delivery told of: labels, commands, presses of buttons, and changes that builds stop
//! for; after an outage, or where no webhook can reach the cluster. A look at an idle repository is
//! one conditional request, which costs nothing of the rate limit.

mod buttons;
mod comments;
mod undecided;
mod walk;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::{ReportMode, Repository};
use github::{GithubError, Listing, PullRequest, Repo};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::cache;
use crate::handle::{App, Outcome};
use crate::lease::Holder;
use crate::request::{Ask, Request};
use crate::stopping::{Doer, StopError};
use buttons::Buttons;
use comments::Comments;
use undecided::Undecided;
use walk::{Rest, Walk};

/// How far the first look goes back: older events build nothing.
const FIRST: SignedDuration = SignedDuration::from_hours(24);
/// How far the next looks go back behind the newest change: GitHub's lists lag a little.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
/// Looks at pull requests for each look at an App's deliveries.
const EACH: u32 = 5;
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
    looks: u32,
    repositories: HashMap<i64, Memory>,
    /// By connection.
    buttons: HashMap<String, Buttons>,
}

#[derive(Default)]
struct Memory {
    etag: Option<String>,
    /// Changes up to here were seen.
    since: Option<Timestamp>,
    /// Older changes that the last look had no pages left for.
    rest: Option<Rest>,
    /// Pull requests whose labels cannot be decided yet.
    undecided: Undecided<i64, PullRequest>,
    /// Labels that were decided, by number and name, and the change that they were decided at.
    settled: HashMap<(i64, String), Timestamp>,
    comments: Comments,
    /// The repository was paused: labels and commands were not looked at.
    unheeded: bool,
}

/// A look that did not get to its end.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Github(#[from] GithubError),
    #[error(transparent)]
    Stop(#[from] StopError),
}

impl LookError {
    fn word(&self) -> &'static str {
        match self {
            Self::Github(error) => error.word(),
            Self::Stop(_) => "not_stopped",
        }
    }
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
        for (id, repository) in &ready {
            let memory = self.repositories.entry(*id).or_default();
            let result = match memory.look(app, repository).await {
                Ok(result) => result,
                Err(error) => {
                    tracing::warn!(%error, repository = id, "the sweep did not get through");
                    error.word()
                }
            };
            app.metrics.sweep(result);
        }
        if self.looks.is_multiple_of(EACH) {
            self.look_for_presses(app, &ready).await;
        }
        self.looks = self.looks.wrapping_add(1);
        app.metrics.swept();
    }

    /// Looks at the deliveries to each App whose repositories have buttons.
    async fn look_for_presses(&mut self, app: &App, ready: &[(i64, &Arc<Repository>)]) {
        let mut with_buttons: HashMap<&str, HashSet<i64>> = HashMap::new();
        for (id, repository) in ready {
            let spec = &repository.spec;
            if spec.reporting.mode == ReportMode::Checks && !spec.paused {
                let of_connection = with_buttons.entry(&spec.connection).or_default();
                of_connection.insert(*id);
            }
        }
        self.buttons
            .retain(|name, _| with_buttons.contains_key(name.as_str()));
        for (name, repositories) in with_buttons {
            let Some(connection) = app.connections.get(name) else {
                continue;
            };
            let buttons = self.buttons.entry(name.to_owned()).or_default();
            if let Err(error) = buttons.look(app, &connection, &repositories).await {
                tracing::warn!(%error, connection = name, "the App's deliveries are not to be had");
            }
        }
    }
}

/// What a look at the list of pull requests brought.
struct Seen {
    /// By number.
    pulls: HashMap<i64, PullRequest>,
    etag: Option<String>,
    since: Option<Timestamp>,
    rest: Option<Rest>,
    changed: bool,
    /// GitHub's time.
    now: Timestamp,
}

impl Memory {
    async fn look(
        &mut self,
        app: &App,
        repository: &Arc<Repository>,
    ) -> Result<&'static str, LookError> {
        let Some(repo) = app.repo(repository) else {
            return Ok("no_connection");
        };
        let paused = repository.spec.paused;
        if self.unheeded && !paused {
            // What was left aside meanwhile is looked for.
            *self = Self::default();
        }
        self.unheeded = paused;
        let seen = self.list(&repo).await?;
        stop_builds(app, &repo, repository, &seen.pulls).await?;
        self.etag = seen.etag;
        self.since = seen.since;
        self.rest = seen.rest;
        if paused {
            return Ok("paused");
        }
        let mut due = self.undecided.due();
        due.extend(seen.pulls);
        for pull in due.into_values() {
            self.consider(app, repository, pull).await;
        }
        let since = self.since.unwrap_or(Timestamp::MIN);
        self.settled.retain(|_, at| *at >= since);
        self.comments
            .look(app, &repo, repository, seen.now, seen.changed)
            .await?;
        Ok(match seen.changed {
            true => "changed",
            false => "not_modified",
        })
    }

    /// Reads which pull requests changed since the last look.
    async fn list(&self, repo: &Repo) -> Result<Seen, GithubError> {
        let first = repo.changed_pull_requests(self.etag.as_deref(), 1).await?;
        let mut seen = Seen {
            pulls: HashMap::new(),
            etag: self.etag.clone(),
            since: self.since,
            rest: None,
            changed: false,
            now: first.date,
        };
        if let Some(left) = self.rest {
            let (found, still_left) = walk(repo, Walk::going_on(left)).await?;
            seen.pulls.extend(by_number(found));
            seen.rest = still_left;
        }
        if let Listing::Changed { items, etag } = first.value {
            let since = self.since.unwrap_or_else(|| earlier(first.date, FIRST));
            let newest = items.first().map_or(first.date, |pull| pull.updated_at);
            let mut front = Walk::from_the_front(since);
            front.take(items);
            let (found, left) = walk(repo, front).await?;
            seen.pulls.extend(by_number(found));
            seen.rest = Rest::joined(seen.rest, left);
            seen.etag = etag;
            seen.since = Some(earlier(newest, OVERLAP));
            seen.changed = true;
        }
        if seen.rest.is_some() {
            tracing::warn!(repository = %repo.full_name(), "many pull requests changed; the next look goes on");
        }
        Ok(seen)
    }

    /// Asks the gate about each label of a pull request that means something here.
    async fn consider(&mut self, app: &App, repository: &Arc<Repository>, pull: PullRequest) {
        let mut undecided = false;
        let open = pull.state == "open";
        let labels = Request::of_listed(repository, &pull);
        for request in labels.into_iter().filter(|_| open) {
            let Ask::Label { label, .. } = &request.ask else {
                continue;
            };
            let key = (pull.number, label.clone());
            if self.settled.get(&key) == Some(&pull.updated_at) {
                continue;
            }
            match app.decide(&request, Instant::now() + LIMIT).await {
                Outcome::Later(_) => undecided = true,
                outcome => {
                    count(app, outcome);
                    self.settled.insert(key, pull.updated_at);
                }
            }
        }
        match undecided {
            true => self.undecided.again(pull.number, pull),
            false => self.undecided.done(&pull.number),
        }
    }
}

/// Stops the builds whose pull requests are among these and make them pointless.
async fn stop_builds(
    app: &App,
    repo: &Repo,
    repository: &Arc<Repository>,
    pulls: &HashMap<i64, PullRequest>,
) -> Result<(), StopError> {
    let id = repository.status.as_ref().and_then(|status| status.id);
    let Some(id) = id.filter(|_| !pulls.is_empty()) else {
        return Ok(());
    };
    for build in app.builds.live(id).await? {
        if let Some(pull) = pulls.get(&build.spec.request.number) {
            let builds = std::slice::from_ref(&build);
            app.stop_builds(repo, repository, pull, builds, Doer::default())
                .await?;
        }
    }
    Ok(())
}

/// Counts what no delivery told of.
fn count(app: &App, outcome: Outcome) {
    if matches!(outcome, Outcome::Stored("build" | "refused")) {
        app.metrics.found();
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
