//! Finds what no delivery told of: labels, commands, presses of buttons, and changes that builds stop
//! for; after an outage, or where no webhook can reach the cluster. A look at an idle repository is
//! one conditional request, which costs nothing of the rate limit.

mod buttons;
mod comments;
mod holding;
mod marks;
mod repository;
mod undecided;
mod walk;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::{ReportMode, Repository};
use github::GithubError;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::cache;
use crate::handle::{App, Outcome};
use crate::lease::Holder;
use buttons::Buttons;
use comments::Comments;
use holding::{Held, holding};
use marks::Marks;
use repository::Memory;

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

/// What is remembered between two looks. Losing it costs one longer look.
#[derive(Default)]
struct Sweep {
    looks: u32,
    repositories: HashMap<i64, Memory>,
    /// By connection.
    buttons: HashMap<String, Buttons>,
    marks: Marks,
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
            let memory =
                memory.or_insert_with(|| Memory::after(Comments::since(self.marks.of(*id))));
            let result = match memory.look(app, repository).await {
                Ok(result) => result,
                Err(error) => {
                    tracing::warn!(%error, repository = id, "the sweep did not get through");
                    error.word()
                }
            };
            app.metrics.sweep(result);
            if let Some(mark) = memory.mark() {
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

/// Counts what no delivery told of.
fn count(app: &App, outcome: Outcome) {
    if matches!(outcome, Outcome::Stored("build" | "refused")) {
        app.metrics.found();
    }
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_sub(by).unwrap_or(Timestamp::MIN)
}
