//! What the parts of the gateway share.

use std::sync::Arc;

use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::records::Records;
use crate::retention::Keep;

/// What pages and ingest have in common.
pub struct App {
    /// The logs.
    pub logs: Logs,
    /// The records.
    pub records: Records,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// What is kept, and for how long; what the page of a run that is gone says.
    pub keep: Keep,
}
