//! What a run waits for, written down where people look.

use std::time::Duration;

use crds::{BuilderRun, RunPhase, Waiting};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::{
    patience::unwritten,
    reconcile::{RunError, failed},
    tell,
};
use crate::{context::Context, queue::Next};

/// It is written down when the run has waited this long, or longer on a busy cluster, and then at most this often.
const AFTER: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(30);

/// Writes down what a run waits for, once it has waited a while, and seldom.
pub(crate) async fn write_waiting(
    ctx: &Context,
    run: &BuilderRun,
    uid: &str,
    waiting: &Waiting,
    phase: RunPhase,
) -> Result<Next, RunError> {
    let status = run.status.clone().unwrap_or_default();
    let same = status
        .waiting
        .as_ref()
        .is_some_and(|old| old.reason == waiting.reason && old.ahead == waiting.ahead);
    if same && status.phase == phase {
        return Ok(Next::Wait);
    }
    let written = ctx.live.update(uid, |live| live.waiting_written);
    let waited = Timestamp::now().duration_since(waiting.since.0);
    let waited = Duration::try_from(waited).unwrap_or_default();
    let left = match written {
        Some(written) => EVERY.saturating_sub(written.elapsed()),
        None => {
            let after = ctx.pressure.courtesy(AFTER);
            after.saturating_sub(waited)
        }
    };
    if !left.is_zero() {
        return Ok(Next::After(left));
    }
    let mut patch = json!({ "phase": phase, "waiting": waiting });
    if let Some(since) = unwritten(ctx, run) {
        patch["queuedSince"] = json!(since);
    }
    if ctx.live.get(uid).pending_told {
        patch["report"] = tell::pending_report(ctx, run);
    }
    ctx.patch_run(run, patch)
        .await
        .map_err(failed("writing what it waits for", run))?;
    ctx.live
        .update(uid, |live| live.waiting_written = Some(Instant::now()));
    Ok(Next::Wait)
}
