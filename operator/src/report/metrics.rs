//! Numbers of the reporter, for Prometheus.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Labels of a family.
type Labels<const N: usize> = [(&'static str, String); N];

/// Seconds of the histogram's buckets: from one round trip to an outage.
const SECONDS: [f64; 12] = [
    0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 120.0, 600.0, 3600.0, 14_400.0,
];

/// Numbers of the reporter. Clones share them.
#[derive(Clone, Debug)]
pub struct ReportMetrics {
    pub(super) calls: Family<Labels<2>, Counter>,
    pub(super) waiting: Family<Labels<1>, Gauge>,
    pub(super) under_way: Gauge,
    pub(super) known: Gauge,
    pub(super) told_to_taken: Histogram,
    withheld: Counter,
}

impl Default for ReportMetrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            waiting: Family::default(),
            under_way: Gauge::default(),
            known: Gauge::default(),
            told_to_taken: Histogram::new(SECONDS),
            withheld: Counter::default(),
        }
    }
}

impl ReportMetrics {
    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "github_status_calls",
            "Requests for commit statuses, by connection and how they ended",
            self.calls.clone(),
        );
        registry.register(
            "github_statuses_waiting",
            "Commit statuses that wait for their turn, by connection",
            self.waiting.clone(),
        );
        registry.register(
            "github_statuses_under_way",
            "Commit statuses that GitHub was asked to take and has not answered",
            self.under_way.clone(),
        );
        registry.register(
            "github_statuses_known",
            "Commit statuses in the reporter's memory",
            self.known.clone(),
        );
        registry.register(
            "github_status_seconds",
            "Seconds from the moment that a run wants a status to the moment that GitHub takes it",
            self.told_to_taken.clone(),
        );
        registry.register(
            "answers_withheld",
            "Answers that nobody was given because there had been too many within an hour",
            self.withheld.clone(),
        );
    }

    /// Counts an answer that was too many.
    pub fn withheld(&self) {
        self.withheld.inc();
    }

    pub(super) fn called(&self, connection: &str, result: &str) {
        let labels = [
            ("connection", connection.to_owned()),
            ("result", result.to_owned()),
        ];
        self.calls.get_or_create(&labels).inc();
    }
}
