//! Numbers for Prometheus. Label values come from closed sets and from Builders, never from
//! pull requests.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use crds::{BuildResult, BuilderRun, PrBuildStatus, RunPhase};
use github::{Budget, Called};
use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use way::Way;

use crate::gauges::{Fleet, Waiting};

mod way;

/// The version of this program.
const VERSION: (&str, &str) = ("version", env!("CARGO_PKG_VERSION"));

/// Stands for all builders that do not exist, and is no name that one could have.
const GONE: &str = "(gone)";

/// The operator's metrics.
pub struct Metrics {
    registry: Mutex<Registry>,
    writes: Family<Write, Counter<u64, AtomicU64>>,
    runs: Family<Ended, Counter<u64, AtomicU64>>,
    builds: Family<Phase, Counter<u64, AtomicU64>>,
    way: Way,
    live: Gauge<i64, AtomicI64>,
    waiting: Family<OfBuilder, Gauge<i64, AtomicI64>>,
    oldest: Family<OfBuilder, Gauge<i64, AtomicI64>>,
    budget: Family<OfConnection, Gauge<i64, AtomicI64>>,
    budget_limit: Family<OfConnection, Gauge<i64, AtomicI64>>,
    calls: Family<Call, Counter<u64, AtomicU64>>,
    workers: Family<OfState, Gauge<i64, AtomicI64>>,
    worker_offline: Family<OfWorker, Gauge<i64, AtomicI64>>,
    ready: Gauge<i64, AtomicI64>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Write {
    kind: &'static str,
    verb: &'static str,
}

/// What a write does, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// An object is made.
    Create,
    /// Some of its fields change.
    Patch,
    /// It goes.
    Delete,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    endpoint: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfBuilder {
    builder: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfConnection {
    connection: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfState {
    state: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfWorker {
    worker: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    builder: String,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Phase {
    result: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("prbuild")),
            writes: Family::default(),
            runs: Family::default(),
            builds: Family::default(),
            way: Way::default(),
            live: Gauge::default(),
            waiting: Family::default(),
            oldest: Family::default(),
            budget: Family::default(),
            budget_limit: Family::default(),
            calls: Family::default(),
            workers: Family::default(),
            worker_offline: Family::default(),
            ready: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        self.with_registry(|registry| {
            registry.register("build", "What runs", Info::new([VERSION]));
            self.register_work(registry);
            self.way.register(registry);
            self.register_queues(registry);
            self.register_github(registry);
        });
    }

    fn register_work(&self, registry: &mut Registry) {
        registry.register(
            "api_writes",
            "Writes to the Kubernetes API by kind and verb",
            self.writes.clone(),
        );
        registry.register(
            "runs_ended",
            "Runs by builder and result",
            self.runs.clone(),
        );
        registry.register("builds_completed", "Builds by result", self.builds.clone());
        registry.register("runs_live", "Runs that have not ended", self.live.clone());
        registry.register(
            "leader",
            "1 while this process leads and has read everything",
            self.ready.clone(),
        );
    }

    fn register_queues(&self, registry: &mut Registry) {
        registry.register(
            "runs_waiting",
            "Runs that wait for a slot or a machine, by builder",
            self.waiting.clone(),
        );
        registry.register(
            "oldest_waiting_seconds",
            "Seconds that the oldest waiting run of a builder has waited",
            self.oldest.clone(),
        );
        registry.register("workers", "Workers by how they stand", self.workers.clone());
        registry.register(
            "worker_offline_seconds",
            "Seconds since a worker that is wanted was last on-line; 0 while it is",
            self.worker_offline.clone(),
        );
    }

    fn register_github(&self, registry: &mut Registry) {
        registry.register(
            "github_budget_remaining",
            "Requests that GitHub still allows within the hour, by connection",
            self.budget.clone(),
        );
        registry.register(
            "github_budget_limit",
            "Requests that GitHub allows an hour, by connection",
            self.budget_limit.clone(),
        );
        registry.register(
            "github_calls",
            "Requests to GitHub by what they ask for and how they were answered",
            self.calls.clone(),
        );
    }

    /// Lets a part register metrics of its own.
    pub fn with_registry(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a write to the Kubernetes API, whatever comes of it.
    pub fn wrote(&self, verb: Verb, kind: &'static str) {
        let verb = verb.word();
        self.writes.get_or_create(&Write { kind, verb }).inc();
    }

    /// Notes that a run got its Job; its build was asked for then, by GitHub's clock.
    pub fn started(&self, run: &BuilderRun, asked: Option<Timestamp>) {
        self.way.started(run, asked, Timestamp::now());
    }

    /// Notes that GitHub took a result, of a build that was asked for then and a run that has had its Job
    /// for so long.
    pub fn told(&self, asked: Option<Timestamp>, job: Option<Duration>) {
        self.way.told(asked, job, Timestamp::now());
    }

    /// Counts a run that ended. A build may name what is no Builder: no name of that becomes a series.
    pub fn ended(&self, run: &BuilderRun, there_is_its_builder: bool) {
        let phase = run
            .status
            .as_ref()
            .map(|status| status.phase)
            .unwrap_or(RunPhase::Unknown);
        let builder = match there_is_its_builder {
            true => run.spec.task.builder.clone(),
            false => GONE.to_owned(),
        };
        self.runs
            .get_or_create(&Ended {
                builder,
                result: phase.word(),
            })
            .inc();
    }

    /// Counts a build that is complete.
    pub fn completed(&self, status: &PrBuildStatus) {
        // The words of runs.
        let phase = match status.result {
            Some(BuildResult::Passed) => RunPhase::Succeeded,
            Some(BuildResult::Failed) => RunPhase::Failed,
            Some(BuildResult::Error) => RunPhase::Error,
            Some(BuildResult::Cancelled) => RunPhase::Cancelled,
            Some(BuildResult::Unknown) | None => RunPhase::Unknown,
        };
        let result = phase.word();
        self.builds.get_or_create(&Phase { result }).inc();
    }

    /// Notes how many runs are live.
    pub fn set_live(&self, runs: usize) {
        self.live.set(i64::try_from(runs).unwrap_or(i64::MAX));
    }

    /// Notes what waits for each builder; for the others nothing does.
    pub fn set_waiting(&self, builders: &BTreeMap<String, Waiting>) {
        self.waiting.clear();
        self.oldest.clear();
        for (builder, waiting) in builders {
            let of = OfBuilder {
                builder: builder.clone(),
            };
            self.waiting.get_or_create(&of).set(waiting.runs);
            self.oldest.get_or_create(&of).set(waiting.oldest);
        }
    }

    /// Notes how the workers stand; those that are gone are forgotten.
    pub fn set_fleet(&self, fleet: &Fleet) {
        self.workers.clear();
        self.worker_offline.clear();
        for (state, count) in &fleet.states {
            let state = state.clone();
            self.workers.get_or_create(&OfState { state }).set(*count);
        }
        for (worker, seconds) in &fleet.offline {
            let worker = worker.clone();
            let of = OfWorker { worker };
            self.worker_offline.get_or_create(&of).set(*seconds);
        }
    }

    /// Notes what GitHub still allows each connection to which it has said so. Of one that is not mounted any
    /// more the last word does not stay: it could be that nearly nothing is left.
    pub fn set_budgets<'a>(&self, budgets: impl IntoIterator<Item = (&'a str, Budget)>) {
        self.budget.clear();
        self.budget_limit.clear();
        for (connection, budget) in budgets {
            let of = OfConnection {
                connection: connection.to_owned(),
            };
            if let (Some(limit), Some(remaining)) = (budget.limit, budget.remaining) {
                self.budget.get_or_create(&of).set(remaining);
                self.budget_limit.get_or_create(&of).set(limit);
            }
        }
    }

    /// Takes over how many requests GitHub was sent.
    pub fn set_calls(&self, calls: &[Called]) {
        for called in calls {
            let call = Call {
                endpoint: called.endpoint,
                status: called.status,
            };
            let counter = self.calls.get_or_create(&call);
            counter.inner().store(called.count, Ordering::Relaxed);
        }
    }

    /// Notes whether this process leads.
    pub fn set_leader(&self, leads: bool) {
        self.ready.set(i64::from(leads));
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        match encode(&mut text, &registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_gone_has_no_budget_that_could_be_low() {
        let budget = |remaining| Budget {
            limit: Some(5000),
            remaining: Some(remaining),
            reset: None,
        };
        let metrics = Metrics::default();
        metrics.set_budgets([("old", budget(3)), ("new", budget(4000))]);
        assert!(metrics.text().contains("connection=\"old\"} 3"));
        metrics.set_budgets([("new", budget(3999))]);
        let text = metrics.text();
        assert!(!text.contains("connection=\"old\""), "{text}");
        assert!(text.contains("connection=\"new\"} 3999"), "{text}");
    }
}
