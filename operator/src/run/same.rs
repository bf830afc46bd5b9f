//! A run whose builder is already queued or running on the same commit for another build: it waits
//! for that run and takes over what comes out of it. If that run is cancelled or deleted, it runs
//! itself.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, BuilderRunStatus, RunPhase, Waiting, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::json;

use super::{
    end::end,
    outcome::Ending,
    patience::whole_second,
    reconcile::{RunError, failed},
};
use crate::{
    admission::{self, Company, twin},
    build::{
        cancel, stop,
        summary::{self, phase_of},
    },
    context::{Context, now, of_status},
    queue::Next,
};

/// How often a run looks after the one that it follows, if no event tells.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What a run that has not begun does because of runs of other builds; nothing when it is alone.
pub(super) async fn with_others(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
) -> Result<Option<Next>, RunError> {
    if let Some(first) = twin::followed(run) {
        return follow(ctx, run, uid, first).await.map(Some);
    }
    match admission::company(ctx, run) {
        Company::Alone => Ok(None),
        Company::Follows(first) => {
            bind(ctx, run, uid, &first).await?;
            Ok(Some(Next::After(LOOK_EVERY)))
        }
        Company::Overtaken(newer) => {
            let word = stop::by_newer_run(&newer, now());
            cancel::runs(ctx, &[Arc::new(run.clone())], &word).await;
            Ok(Some(Next::Wait))
        }
    }
}

/// Lets the runs that may follow a run see that it came, ended or went.
pub fn tell_followers(ctx: &Context, run: &BuilderRun) {
    for other in ctx.cache.runs.group(&of_status(run)) {
        if other.spec.pr_build.uid != run.spec.pr_build.uid && !phase_of(&other).is_terminal() {
            ctx.queues.runs.add(&other.name_any());
        }
    }
}

/// What has become of the run that another one follows.
enum First {
    /// It goes on.
    Live,
    /// Its next attempt takes its place.
    Next(Arc<BuilderRun>),
    /// It ended, and this is how.
    Ended(Box<BuilderRunStatus>),
    /// It brings no result.
    Gone,
}

async fn follow(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    first: &str,
) -> Result<Next, RunError> {
    match look_at(ctx, run, first).await? {
        First::Live => Ok(Next::After(LOOK_EVERY)),
        First::Next(next) => {
            bind(ctx, run, uid, &next).await?;
            Ok(Next::After(LOOK_EVERY))
        }
        First::Ended(status) => {
            let mut ending = Ending::new(status.phase, "");
            ending.outcome = status.outcome.unwrap_or_default();
            // The attempts that there were are over.
            ending.outcome.retryable = false;
            ending.started = status.started_at.map(|time| time.0);
            ending.finished = status.finished_at.map(|time| time.0);
            end(ctx, run, uid, ending).await
        }
        First::Gone => {
            let released = whole_second();
            ctx.live.update(uid, |live| {
                live.waiting = None;
                live.released = Some(released);
            });
            let patch = json!({
                "sameAs": null,
                "waiting": null,
                "queuedSince": Time(released),
            });
            let written = ctx.patch_run(run, patch).await;
            written.map_err(failed("letting it run by itself", run))?;
            Ok(Next::Wait)
        }
    }
}

async fn look_at(ctx: &Context, run: &BuilderRun, name: &str) -> Result<First, RunError> {
    let known = ctx.cache.runs.get(name);
    if let Some(first) = known.filter(|first| !phase_of(first).is_terminal()) {
        // Each found the other one begun, or about to begin, and was bound to it at the same time.
        let circle = twin::followed(&first) == run.metadata.name.as_deref();
        return Ok(if circle { First::Gone } else { First::Live });
    }
    // In full, and by the API server's own word: of ended runs not all is kept in memory.
    let first = ctx.api.runs.get_opt(name).await;
    let first = first.map_err(failed("looking at the run that it follows", run))?;
    let Some(first) = first.filter(|first| twin::is_same_work(run, first)) else {
        return Ok(First::Gone);
    };
    let owner = &first.spec.pr_build;
    let next = names::run_name(
        &owner.name,
        &first.spec.task.builder,
        first.spec.attempt + 1,
    );
    if let Some(next) = ctx.cache.runs.get(&next) {
        return Ok(First::Next(next));
    }
    let build = ctx.cache.builds.get(&owner.name);
    let over = build.is_none_or(|build| stop::is_over(&build, &first.spec.task.builder));
    let stopped = over || first.spec.cancel.is_some();
    let status = first.status.clone().unwrap_or_default();
    let retryable = status
        .outcome
        .as_ref()
        .is_some_and(|outcome| outcome.retryable);
    Ok(match status.phase {
        phase if !phase.is_terminal() => First::Live,
        RunPhase::Cancelled => First::Gone,
        // The attempt that would have followed was cancelled.
        RunPhase::Error if retryable && stopped => First::Gone,
        _ if summary::is_retried(&first, stopped) => First::Live,
        _ => First::Ended(Box::new(status)),
    })
}

/// Writes down which run this one follows: a restart must not run it a second time.
async fn bind(
    ctx: &Context,
    run: &BuilderRun,
    uid: &str,
    first: &BuilderRun,
) -> Result<(), RunError> {
    let (name, task) = (first.name_any(), &first.spec.task);
    let build = &first.spec.pr_build.name;
    let waiting = Waiting {
        reason: format!("runs already for @{}'s build `{build}`", task.requester),
        ahead: 0,
        since: now(),
    };
    ctx.live
        .update(uid, |live| live.waiting = Some(waiting.clone()));
    let patch = json!({ "phase": RunPhase::Queued, "sameAs": name, "waiting": waiting });
    let written = ctx.patch_run(run, patch).await;
    written.map_err(failed("writing which run it follows", run))?;
    // Its place in the line is free.
    ctx.admission.wake();
    ctx.queues.builds.add(&run.spec.pr_build.name);
    // What it follows may have ended since.
    ctx.queues.runs.add(&run.name_any());
    Ok(())
}
