//! Metrics. Every label has a bounded set of values: words of our own, never what somebody sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use github::Called;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, String)>;

/// The kinds of what somebody should look at.
const ALERTS: [&str; 2] = ["actor_mismatch", "name_taken"];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    endpoint: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Write {
    kind: &'static str,
    verb: &'static str,
}

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
    writes: Family<Write, Counter>,
    calls: Family<Call, Counter<u64, AtomicU64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut made = Self {
            registry: Registry::with_prefix("prbuild_webhook"),
            deliveries: Family::default(),
            refusals: Family::default(),
            alerts: Family::default(),
            secrets: Family::default(),
            gate: Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 8.0]),
            sweeps: Family::default(),
            swept: Gauge::default(),
            found: Counter::default(),
            stops: Family::default(),
            writes: Family::default(),
            calls: Family::default(),
        };
        made.register_deliveries();
        made.register_sweep();
        made.register_work();
        // An alert asks how much they have grown: what begins with its first case has not.
        for kind in ALERTS {
            made.alerts.get_or_create(&label("kind", kind)).inc_by(0);
        }
        made
    }
}

impl Metrics {
    fn register_deliveries(&mut self) {
        let all = &mut self.registry;
        all.register(
            "deliveries",
            "Deliveries by what came of them",
            self.deliveries.clone(),
        );
        all.register(
            "refusals",
            "Events that make no build, by reason",
            self.refusals.clone(),
        );
        all.register(
            "alerts",
            "What somebody should look at: actor_mismatch (a webhook secret may be known to others), name_taken",
            self.alerts.clone(),
        );
        all.register(
            "secrets",
            "Signed deliveries by the secret that fitted; 0 is the newest",
            self.secrets.clone(),
        );
        all.register(
            "gate_seconds",
            "Time from a verified delivery to its answer",
            self.gate.clone(),
        );
    }

    fn register_sweep(&mut self) {
        let all = &mut self.registry;
        all.register(
            "sweeps",
            "Looks at a repository for labels that no delivery told of",
            self.sweeps.clone(),
        );
        all.register(
            "swept_timestamp_seconds",
            "When this replica last finished a sweep",
            self.swept.clone(),
        );
        all.register(
            "sweep_found",
            "Events that only the sweep found",
            self.found.clone(),
        );
        all.register(
            "stops",
            "Builds that were asked to stop because their pull request changed",
            self.stops.clone(),
        );
    }

    fn register_work(&mut self) {
        let all = &mut self.registry;
        let version = ("version", env!("CARGO_PKG_VERSION"));
        all.register("build", "What runs", Info::new([version]));
        all.register(
            "api_writes",
            "Writes to the Kubernetes API by kind and verb",
            self.writes.clone(),
        );
        all.register(
            "github_calls",
            "Requests to GitHub by what they ask for and how they were answered",
            self.calls.clone(),
        );
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

    /// The Kubernetes API was asked for a write, whatever comes of it.
    pub fn wrote(&self, verb: &'static str, kind: &'static str) {
        self.writes.get_or_create(&Write { kind, verb }).inc();
    }

    /// So many requests went to GitHub.
    pub fn calls(&self, calls: &[Called]) {
        for called in calls {
            let call = Call {
                endpoint: called.endpoint,
                status: called.status,
            };
            let counter = self.calls.get_or_create(&call);
            counter.inner().store(called.count, Ordering::Relaxed);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_should_look_at_is_counted_from_none_on() {
        let metrics = Metrics::default();
        let lines = |text: String| {
            let lines = text.lines().map(str::to_owned);
            let lines = lines.filter(|line| line.starts_with("prbuild_webhook_alerts_total"));
            lines.collect::<std::collections::BTreeSet<_>>()
        };
        let of = |kind: &str, count: u64| {
            format!("prbuild_webhook_alerts_total{{kind=\"{kind}\"}} {count}")
        };
        let none = ALERTS.map(|kind| of(kind, 0));
        assert_eq!(lines(metrics.text()), none.into_iter().collect());
        metrics.refusal(crds::AnswerReason::ActorMismatch);
        metrics.alert("name_taken");
        let one = ALERTS.map(|kind| of(kind, 1));
        assert_eq!(lines(metrics.text()), one.into_iter().collect());
    }
}
