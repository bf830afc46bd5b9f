//! Numbers about records, for Prometheus.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// Labels of a family: closed sets of words.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Seconds of the histogram's buckets.
const SECONDS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Numbers about records. Clones share them.
#[derive(Clone, Debug)]
pub struct RecordMetrics {
    requests: Family<Labels<3>, Counter>,
    seconds: Histogram,
}

impl Default for RecordMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Histogram::new(SECONDS),
        }
    }
}

impl RecordMetrics {
    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "record_requests",
            "Requests to the gateway for records and histories, by what they are, method and how they ended",
            self.requests.clone(),
        );
        registry.register(
            "record_seconds",
            "Seconds until the gateway answers",
            self.seconds.clone(),
        );
    }

    /// Counts a request.
    pub(super) fn asked(
        &self,
        kind: &'static str,
        method: &'static str,
        result: &'static str,
        seconds: f64,
    ) {
        let labels = [("kind", kind), ("method", method), ("result", result)];
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(seconds);
    }
}
