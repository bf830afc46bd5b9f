//! Numbers that are looked up now and then instead of counted: what waits, and what GitHub still allows.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crds::BuilderRun;
use jiff::Timestamp;
use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use crate::context::{Context, QUEUED};

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// What waits for one builder.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waiting {
    /// How many runs.
    pub runs: i64,
    /// Seconds that the oldest of them has waited.
    pub oldest: i64,
}

/// Looks until `stop`.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) {
    loop {
        let queued = ctx.cache.runs.group(QUEUED);
        ctx.metrics.set_waiting(&waiting(&queued, Timestamp::now()));
        for connection in ctx.connections.all() {
            ctx.metrics
                .set_budget(connection.name(), connection.budget());
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn waiting(queued: &[Arc<BuilderRun>], now: Timestamp) -> BTreeMap<String, Waiting> {
    let mut builders: BTreeMap<String, Waiting> = BTreeMap::new();
    for run in queued {
        let since = run.creation_timestamp().map_or(now, |created| created.0);
        let waiting = builders.entry(run.spec.task.builder.clone()).or_default();
        waiting.runs += 1;
        waiting.oldest = waiting.oldest.max(now.duration_since(since).as_secs());
    }
    builders
}
