//! How long a run may wait before it begins.

use std::time::Duration;

use crds::{BuilderRun, RunPhase};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::outcome::Ending;
use crate::{context::Context, queue::Next, report::text};

/// What the API server gives as the reason of a refusal, without the name of what it refused: that
/// is new each time.
pub(super) fn why_forbidden(message: &str) -> &str {
    message
        .split_once("is forbidden: ")
        .map_or(message, |(_, why)| why)
}

/// A run that has not begun within its builder's queue timeout ends in error.
pub(super) fn waited_too_long(
    ctx: &Context,
    run: &BuilderRun,
    why: Option<&str>,
) -> Option<Ending> {
    if queue_left(ctx, run) > SignedDuration::ZERO {
        return None;
    }
    let limit = queue_limit(run);
    let limit = text::duration(limit.unsigned_abs());
    let why = why.unwrap_or("its machine was still being prepared");
    // A Job that nobody has seen may be there all the same.
    Some(
        Ending::new(
            RunPhase::Error,
            format!("did not start within {limit}: {why}"),
        )
        .stopping(),
    )
}

fn queue_limit(run: &BuilderRun) -> SignedDuration {
    let recipe = run.spec.task.recipe.as_ref();
    SignedDuration::from_secs(recipe.map_or(0, |recipe| recipe.timeouts.queue_seconds))
}

/// Counted from the run's creation, or from when it stopped waiting for another build's run.
fn queue_left(ctx: &Context, run: &BuilderRun) -> SignedDuration {
    let created = run.creation_timestamp().map(|time| time.0);
    let live = ctx
        .live
        .get(run.metadata.uid.as_deref().unwrap_or_default());
    let since = live.released.or(created).unwrap_or_else(Timestamp::now);
    queue_limit(run) - Timestamp::now().duration_since(since)
}

pub(super) fn queue_time_left(ctx: &Context, run: &BuilderRun) -> Next {
    let left = Duration::try_from(queue_left(ctx, run)).unwrap_or_default();
    Next::After(left.max(Duration::from_millis(100)))
}
