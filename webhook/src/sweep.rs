//! Finds what no delivery told of: labels, commands, presses of buttons, and changes that builds stop
//! for; after an outage, or where no webhook can reach the cluster. A look at an idle repository is
//! one conditional request, which costs nothing of the rate limit.

mod buttons;
mod comments;
mod marks;
mod undecided;
mod walk;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::{PrBuild, ReportMode, Repository};
use github::{GithubError, Listing, PullRequest, Repo};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use crate::cache;
use crate::gate;
use crate::handle::{App, Outcome};
use crate::lease::Holder;
use crate::request::{Ask, Request};
use crate::stopping::Doer;
use buttons::Buttons;
use comments::Comments;
use marks::Marks;
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

/// Sweeps while this replica holds the Lease, until `stop`. Then it waits until every delivery is
/// answered, so that the Lease says what was done about the last ones, too.
pub async fn run(
    app: Arc<App>,
    mut holder: Holder,
    every: Duration,
    stop: CancellationToken,
    answered_all: CancellationToken,
) {
    let mut sweep: Option<Sweep> = None;
    let mut next = Instant::now();
    loop {
        let marks = sweep.as_ref().map(|sweep| sweep.marks.text());
        let holds = holder.holds(marks.as_deref()).await;
        let holds = holds.unwrap_or_else(|error| {
            tracing::warn!(%error, "the sweep's lease is not to be had");
            false
        });
        if !holds {
            // Whoever looks now remembers more than we do.
            sweep = None;
        } else if next <= Instant::now() {
            next = Instant::now() + every;
            let mut looking = sweep
                .take()
                .unwrap_or_else(|| Sweep::after(Marks::read(holder.note())));
            let mut lease = Held {
                holder: &mut holder,
                marks,
            };
            let looked = tokio::select! {
                looked = holding(looking.look(&app), RENEWAL, &mut lease) => looked,
                () = stop.cancelled() => break,
            };
            if !looked {
                tracing::warn!("the sweep's lease was lost during a look, which stopped");
                continue;
            }
            sweep = Some(looking);
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
    let marks = sweep.map(|sweep| sweep.marks.text());
    answered_all.cancelled().await;
    holder.release(marks.as_deref()).await;
}

/// A Lease that is held.
trait Renew: Send {
    /// Holds it for longer; false where somebody else has it, or it is not to be had.
    fn renew(&mut self) -> impl Future<Output = bool> + Send;
}

/// The sweep's Lease, with the note that was in it when the look began.
struct Held<'a> {
    holder: &'a mut Holder,
    marks: Option<String>,
}

impl Renew for Held<'_> {
    async fn renew(&mut self) -> bool {
        let held = self.holder.holds(self.marks.as_deref()).await;
        held.unwrap_or(false)
    }
}

/// Works, and renews a Lease again and again meanwhile: a look at many labels through a slow GitHub takes
/// longer than a Lease lasts. Whether the work came to its end; it stops where the Lease is lost.
async fn holding(work: impl Future<Output = ()>, every: Duration, lease: &mut impl Renew) -> bool {
    tokio::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => return true,
            () = tokio::time::sleep(every) => {}
        }
        let renewed = tokio::select! {
            () = &mut work => return true,
            renewed = lease.renew() => renewed,
        };
        if !renewed {
            return false;
        }
    }
}

/// What is remembered between two looks. Losing it costs one longer look.
#[derive(Default)]
struct Sweep {
    looks: u32,
    repositories: HashMap<i64, Memory>,
    /// By connection.
    buttons: HashMap<String, Buttons>,
    marks: Marks,
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
    /// Pull requests whose builds could not be stopped yet.
    unstopped: Undecided<i64, PullRequest>,
    /// Labels that were decided, by number and name, and the change that they were decided at.
    settled: HashMap<(i64, String), Timestamp>,
    comments: Comments,
    /// The repository was paused: labels and commands were not looked at.
    unheeded: bool,
}

impl Sweep {
    /// Goes on where another one was.
    fn after(marks: Marks) -> Self {
        Self {
            marks,
            ..Self::default()
        }
    }

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
            let memory = self.repositories.entry(*id);
            let memory = memory.or_insert_with(|| Memory {
                comments: Comments::since(self.marks.of(*id)),
                ..Memory::default()
            });
            let result = match memory.look(app, repository).await {
                Ok(result) => result,
                Err(error) => {
                    tracing::warn!(%error, repository = id, "the sweep did not get through");
                    error.word()
                }
            };
            app.metrics.sweep(result);
            if let Some(mark) = memory.comments.mark() {
                self.marks.set(*id, mark);
            }
        }
        self.marks.forget_before(earlier(Timestamp::now(), FIRST));
        if self.looks.is_multiple_of(EACH) {
            self.look_for_presses(app, &repositories).await;
        }
        self.looks = self.looks.wrapping_add(1);
        app.metrics.swept();
    }

    /// Looks at the deliveries to each App, also where its repositories are paused or not ready: what of
    /// them cannot be decided now is remembered, and the list is read once. Where a repository reports by
    /// statuses now, the buttons of its older check runs are still there.
    async fn look_for_presses(&mut self, app: &App, repositories: &[Arc<Repository>]) {
        let mut by_connection: HashMap<&str, OfApp> = HashMap::new();
        for repository in repositories {
            let Some(id) = repository.status.as_ref().and_then(|status| status.id) else {
                continue;
            };
            let spec = &repository.spec;
            let of_app = by_connection.entry(&spec.connection).or_default();
            of_app.repositories.insert(id);
            of_app.needs_buttons |= spec.reporting.mode == ReportMode::Checks;
        }
        self.buttons
            .retain(|name, _| by_connection.contains_key(name.as_str()));
        for (name, of_app) in by_connection {
            let Some(connection) = app.connections.get(name) else {
                continue;
            };
            let buttons = self.buttons.entry(name.to_owned()).or_default();
            match buttons.look(app, &connection, &of_app.repositories).await {
                // An App whose repositories report by statuses needs no webhook of its own.
                Err(GithubError::NotFound { .. }) if !of_app.needs_buttons => {}
                Err(error) => {
                    tracing::warn!(%error, connection = name, "the App's deliveries are not to be had");
                }
                Ok(()) => {}
            }
        }
    }
}

/// The repositories of one App.
#[derive(Default)]
struct OfApp {
    /// By GitHub's id.
    repositories: HashSet<i64>,
    /// One of them reports by check runs.
    needs_buttons: bool,
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
    ) -> Result<&'static str, GithubError> {
        let Some(repo) = app.repo(repository) else {
            return Ok("no_connection");
        };
        let paused = repository.spec.paused;
        if self.unheeded && !paused {
            // What was left aside meanwhile is looked for. Comments were not read meanwhile.
            *self = Self {
                comments: std::mem::take(&mut self.comments),
                unstopped: std::mem::take(&mut self.unstopped),
                ..Self::default()
            };
        }
        self.unheeded = paused;
        let seen = self.list(&repo).await?;
        self.etag = seen.etag;
        self.since = seen.since;
        self.rest = seen.rest;
        let stopped = self.stop_builds(app, &repo, repository, &seen.pulls).await;
        if paused {
            return Ok(if stopped { "paused" } else { "not_stopped" });
        }
        // Its labels are older than it is.
        let oldest = earlier(seen.now, FIRST);
        self.undecided.retain(|pull| pull.updated_at >= oldest);
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
            _ if !stopped => "not_stopped",
            true => "changed",
            false => "not_modified",
        })
    }

    /// Stops the builds that these changes, and those of before that could not be told, make pointless.
    /// Returns whether that went well; what did not is tried again and holds up nothing else.
    async fn stop_builds(
        &mut self,
        app: &App,
        repo: &Repo,
        repository: &Arc<Repository>,
        changed: &HashMap<i64, PullRequest>,
    ) -> bool {
        let mut due = self.unstopped.due();
        due.extend(changed.iter().map(|(number, pull)| (*number, pull.clone())));
        let id = repository.status.as_ref().and_then(|status| status.id);
        let Some(id) = id.filter(|_| !due.is_empty()) else {
            return true;
        };
        let builds = match app.builds.live(id).await {
            Ok(builds) => builds,
            Err(error) => {
                tracing::warn!(%error, repository = id, "cannot tell which builds stop");
                for (number, pull) in due {
                    self.unstopped.again(number, pull);
                }
                return false;
            }
        };
        let mut all = true;
        for (number, pull) in due {
            let mut failed = false;
            for build in builds.iter().filter(|build| is_of(build, number)) {
                let build = std::slice::from_ref(build);
                let stopping = app.stop_builds(repo, repository, &pull, build, Doer::default());
                if let Err(error) = stopping.await {
                    let build = build[0].name_any();
                    tracing::warn!(%error, build, "a build cannot be stopped now");
                    failed = true;
                }
            }
            match failed {
                true => self.unstopped.again(number, pull),
                false => self.unstopped.done(&number),
            }
            all &= !failed;
        }
        all
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
            let mut known = gate::Comment::default();
            let deciding = app.decide(&request, &mut known, Instant::now() + LIMIT);
            match deciding.await {
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

fn is_of(build: &PrBuild, number: i64) -> bool {
    build.spec.request.number == number
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

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    /// A Lease that can be renewed so often; then the work is done.
    struct Left<'a>(u32, &'a tokio::sync::Notify);

    impl Renew for Left<'_> {
        async fn renew(&mut self) -> bool {
            if self.0 == 1 {
                self.1.notify_one();
            }
            let left = self.0.checked_sub(1);
            self.0 = left.unwrap_or(0);
            left.is_some()
        }
    }

    #[tokio::test]
    async fn a_look_goes_on_while_its_lease_is_renewed_and_stops_when_it_is_lost() {
        let done = tokio::sync::Notify::new();
        let mut lease = Left(3, &done);
        assert!(holding(done.notified(), MOMENT, &mut lease).await);
        assert!(!holding(std::future::pending(), MOMENT, &mut lease).await);
    }
}
