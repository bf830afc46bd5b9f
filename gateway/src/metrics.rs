//! Metrics. Every label has a bounded set of values: words of our own, never what somebody sent.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, &'static str)>;

/// All metrics of the gateway.
pub struct Metrics {
    registry: Registry,
    received: Counter,
    refused: Family<Labels, Counter>,
    open: Gauge<i64, AtomicI64>,
    unstored: Gauge<i64, AtomicI64>,
    segments: Counter,
    stored: Counter,
    archived: Family<Labels, Counter>,
    operations: Family<Labels, Histogram>,
    errors: Family<Labels, Counter>,
    listings: Counter,
    removed: Family<Labels, Counter>,
    writes: Family<Labels, Counter>,
    swept: Gauge<f64, AtomicU64>,
    kept: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut made = Self {
            registry: Registry::with_prefix("prbuild_gateway"),
            received: Counter::default(),
            refused: Family::default(),
            open: Gauge::default(),
            unstored: Gauge::default(),
            segments: Counter::default(),
            stored: Counter::default(),
            archived: Family::default(),
            operations: Family::new_with_constructor(|| {
                Histogram::new([0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0])
            }),
            errors: Family::default(),
            listings: Counter::default(),
            removed: Family::default(),
            writes: Family::default(),
            swept: Gauge::default(),
            kept: Gauge::default(),
        };
        made.register_logs();
        made.register_store();
        made.register_work();
        made
    }
}

impl Metrics {
    fn register_logs(&mut self) {
        let all = &mut self.registry;
        let received = self.received.clone();
        all.register("log_bytes", "Bytes of logs that were taken in", received);
        all.register(
            "refused",
            "Requests to the ingest that were refused, by code",
            self.refused.clone(),
        );
        all.register(
            "open_runs",
            "Runs whose logs are in memory",
            self.open.clone(),
        );
        all.register(
            "unstored_bytes",
            "Bytes of logs that are not stored yet",
            self.unstored.clone(),
        );
        all.register(
            "segments",
            "Segments that were stored",
            self.segments.clone(),
        );
        let stored = self.stored.clone();
        all.register("segment_bytes", "Bytes of segments, as stored", stored);
        all.register(
            "archived",
            "Logs that ended and were put into one file, by result",
            self.archived.clone(),
        );
    }

    fn register_store(&mut self) {
        let all = &mut self.registry;
        all.register(
            "store_seconds",
            "Time that the store takes, by operation",
            self.operations.clone(),
        );
        all.register(
            "store_errors",
            "Operations of the store that failed",
            self.errors.clone(),
        );
        all.register(
            "store_listings",
            "Listings of the store; none is a page's",
            self.listings.clone(),
        );
        all.register(
            "removed",
            "What retention removed, by kind and reason",
            self.removed.clone(),
        );
        all.register(
            "swept_timestamp_seconds",
            "When retention last went through the store",
            self.swept.clone(),
        );
        all.register(
            "kept_bytes",
            "Bytes in the store when retention last looked",
            self.kept.clone(),
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
    }

    /// So many bytes of a log were taken in.
    pub fn received(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }

    /// A request was refused.
    pub fn refused(&self, code: &'static str) {
        self.refused.get_or_create(&vec![("code", code)]).inc();
    }

    /// So many runs are open.
    pub fn open(&self, runs: usize) {
        self.open.set(i64::try_from(runs).unwrap_or(i64::MAX));
    }

    /// So many bytes wait for the store.
    pub fn unstored(&self, bytes: u64) {
        self.unstored.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// A segment was stored.
    pub fn segment(&self, bytes: usize) {
        self.segments.inc();
        self.stored.inc_by(bytes as u64);
    }

    /// A log that ended was put into one file, or could not be.
    pub fn archived(&self, result: &'static str) {
        self.archived.get_or_create(&vec![("result", result)]).inc();
    }

    /// An operation of the store took this long.
    pub fn operation(&self, name: &'static str, time: Duration, failed: bool) {
        let labels = vec![("operation", name)];
        self.operations
            .get_or_create(&labels)
            .observe(time.as_secs_f64());
        if failed {
            self.errors.get_or_create(&labels).inc();
        }
    }

    /// The store is listed.
    pub fn listing(&self) {
        self.listings.inc();
    }

    /// The Kubernetes API was asked to patch the status of an object of this kind, whatever comes of it.
    pub fn patched(&self, kind: &'static str) {
        let labels = vec![("kind", kind), ("verb", "patch")];
        self.writes.get_or_create(&labels).inc();
    }

    /// Retention removed something.
    pub fn removed(&self, kind: &'static str, reason: &'static str) {
        self.removed
            .get_or_create(&vec![("kind", kind), ("reason", reason)])
            .inc();
    }

    /// Retention went through the store, and so many bytes are left.
    pub fn swept(&self, bytes: u64) {
        let now = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        self.swept.set(now.as_secs_f64());
        self.kept.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// More metrics under the same prefix, for the parts that have their own.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
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
