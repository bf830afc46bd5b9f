//! Metrics. Every label has a bounded set of values: words of our own, never what somebody sent.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, String)>;

/// All metrics of the webhook.
pub struct Metrics {
    registry: Registry,
    deliveries: Family<Labels, Counter>,
    refusals: Family<Labels, Counter>,
    alerts: Family<Labels, Counter>,
    secrets: Family<Labels, Counter>,
    gate: Histogram,
    sweeps: Family<Labels, Counter>,
    swept: Gauge<f64, AtomicU64>,
    found: Counter,
    stops: Family<Labels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("prbuild_webhook");
        let version = ("version", env!("CARGO_PKG_VERSION"));
        registry.register("build", "What runs", Info::new([version]));
        let deliveries = Family::default();
        registry.register(
            "deliveries",
            "Deliveries by what came of them",
            deliveries.clone(),
        );
        let refusals = Family::default();
        registry.register(
            "refusals",
            "Events that make no build, by reason",
            refusals.clone(),
        );
        let alerts = Family::default();
        registry.register(
            "alerts",
            "What somebody should look at: actor_mismatch (a webhook secret may be known to others), name_taken",
            alerts.clone(),
        );
        let secrets = Family::default();
        registry.register(
            "secrets",
            "Signed deliveries by the secret that fitted; 0 is the newest",
            secrets.clone(),
        );
        let gate = Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 8.0]);
        registry.register(
            "gate_seconds",
            "Time from a verified delivery to its answer",
            gate.clone(),
        );
        let sweeps = Family::default();
        registry.register(
            "sweeps",
            "Looks at a repository for labels that no delivery told of",
            sweeps.clone(),
        );
        let swept = Gauge::default();
        registry.register(
            "swept_timestamp_seconds",
            "When this replica last finished a sweep",
            swept.clone(),
        );
        let found = Counter::default();
        registry.register(
            "sweep_found",
            "Events that only the sweep found",
            found.clone(),
        );
        let stops = Family::default();
        registry.register(
            "stops",
            "Builds that were asked to stop because their pull request changed",
            stops.clone(),
        );
        Self {
            registry,
            deliveries,
            refusals,
            alerts,
            secrets,
            gate,
            sweeps,
            swept,
            found,
            stops,
        }
    }
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

impl Metrics {
    /// A delivery came to this.
    pub fn delivery(&self, outcome: &'static str) {
        self.deliveries
            .get_or_create(&label("outcome", outcome))
            .inc();
    }

    /// An event was refused.
    pub fn refusal(&self, reason: crds::AnswerReason) {
        let reason = format!("{reason:?}");
        self.refusals.get_or_create(&label("reason", &reason)).inc();
        if reason == "ActorMismatch" {
            self.alert("actor_mismatch");
        }
    }

    /// Somebody should look.
    pub fn alert(&self, kind: &'static str) {
        self.alerts.get_or_create(&label("kind", kind)).inc();
    }

    /// A delivery was signed with this secret of its connection.
    pub fn secret(&self, index: usize) {
        let index = if index == 0 { "0" } else { "1" };
        self.secrets.get_or_create(&label("index", index)).inc();
    }

    /// A decision took this long.
    pub fn gate(&self, time: Duration) {
        self.gate.observe(time.as_secs_f64());
    }

    /// The sweep looked at a repository.
    pub fn sweep(&self, result: &'static str) {
        self.sweeps.get_or_create(&label("result", result)).inc();
    }

    /// The sweep is through.
    pub fn swept(&self) {
        let now = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        self.swept.set(now.as_secs_f64());
    }

    /// The sweep found an event that no delivery told of.
    pub fn found(&self) {
        self.found.inc();
    }

    /// A build stops because this happened to its pull request.
    pub fn stop(&self, cause: &'static str) {
        self.stops.get_or_create(&label("cause", cause)).inc();
    }

    /// All of it, in the text format.
    pub fn text(&self) -> String {
        let mut out = String::new();
        match encode(&mut out, &self.registry) {
            Ok(()) => out,
            Err(_) => String::new(),
        }
    }
}
