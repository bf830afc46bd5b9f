//! What the parts of the gateway share.

use std::sync::Arc;

use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::records::Records;

/// What pages and ingest have in common.
pub struct App {
    /// The logs.
    pub logs: Logs,
    /// The records.
    pub records: Records,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Days that a log is kept after its end; what the page of a run that is gone says.
    pub retention_days: u32,
}
