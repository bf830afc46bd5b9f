//! Numbers for Prometheus. Label values come from closed sets and from Builders, never from
//! pull requests.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
};

use crds::{BuilderRun, PrBuildStatus, RunPhase};
use github::Budget;
use jiff::Timestamp;
use kube::ResourceExt;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use crate::gauges::{Fleet, Waiting};

/// The version of this program.
const VERSION: (&str, &str) = ("version", env!("CARGO_PKG_VERSION"));

/// The operator's metrics.
pub struct Metrics {
    registry: Mutex<Registry>,
    writes: Family<Kind, Counter<u64, AtomicU64>>,
    runs: Family<Ended, Counter<u64, AtomicU64>>,
    builds: Family<Phase, Counter<u64, AtomicU64>>,
    start_seconds: Histogram,
    live: Gauge<i64, AtomicI64>,
    waiting: Family<OfBuilder, Gauge<i64, AtomicI64>>,
    oldest: Family<OfBuilder, Gauge<i64, AtomicI64>>,
    budget: Family<OfConnection, Gauge<i64, AtomicI64>>,
    budget_limit: Family<OfConnection, Gauge<i64, AtomicI64>>,
    workers: Family<OfState, Gauge<i64, AtomicI64>>,
    worker_offline: Family<OfWorker, Gauge<i64, AtomicI64>>,
    ready: Gauge<i64, AtomicI64>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
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
    result: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("prbuild")),
            writes: Family::default(),
            runs: Family::default(),
            builds: Family::default(),
            start_seconds: Histogram::new([0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0]),
            live: Gauge::default(),
            waiting: Family::default(),
            oldest: Family::default(),
            budget: Family::default(),
            budget_limit: Family::default(),
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
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(
            "api_writes",
            "Writes to the Kubernetes API by kind",
            self.writes.clone(),
        );
        registry.register(
            "runs_ended",
            "Runs by builder and result",
            self.runs.clone(),
        );
        registry.register("builds_completed", "Builds by result", self.builds.clone());
        registry.register(
            "run_start_seconds",
            "Seconds from a run's creation to its Job",
            self.start_seconds.clone(),
        );
        registry.register("runs_live", "Runs that have not ended", self.live.clone());
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
        registry.register("workers", "Workers by how they stand", self.workers.clone());
        registry.register(
            "worker_offline_seconds",
            "Seconds since a worker that is wanted was last on-line; 0 while it is",
            self.worker_offline.clone(),
        );
        registry.register("build", "What runs", Info::new([VERSION]));
        registry.register(
            "leader",
            "1 while this process leads and has read everything",
            self.ready.clone(),
        );
    }

    /// Lets a part register metrics of its own.
    pub fn with_registry(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a write to the Kubernetes API.
    pub fn wrote(&self, kind: &'static str) {
        self.writes.get_or_create(&Kind { kind }).inc();
    }

    /// Notes that a run got its Job.
    pub fn started(&self, run: &BuilderRun) {
        if let Some(created) = run.creation_timestamp() {
            self.start_seconds
                .observe(Timestamp::now().duration_since(created.0).as_secs_f64());
        }
    }

    /// Counts a run that ended.
    pub fn ended(&self, run: &BuilderRun) {
        let phase = run
            .status
            .as_ref()
            .map(|status| status.phase)
            .unwrap_or(RunPhase::Unknown);
        let builder = run.spec.task.builder.clone();
        self.runs
            .get_or_create(&Ended {
                builder,
                result: phase.word(),
            })
            .inc();
    }

    /// Counts a build that is complete.
    pub fn completed(&self, status: &PrBuildStatus) {
        let result = status
            .result
            .map_or_else(|| "Unknown".to_owned(), |result| format!("{result:?}"));
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

    /// Notes what GitHub still allows, once it has said so.
    pub fn set_budget(&self, connection: &str, budget: Budget) {
        let of = OfConnection {
            connection: connection.to_owned(),
        };
        if let (Some(limit), Some(remaining)) = (budget.limit, budget.remaining) {
            self.budget.get_or_create(&of).set(remaining);
            self.budget_limit.get_or_create(&of).set(limit);
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
