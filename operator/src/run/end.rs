//! How a run ends: its Job stops, GitHub hears, and one write holds both.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, RunPhase, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, api::DeleteParams};
use serde_json::json;

use super::{
    outcome::Ending,
    reconcile::{RunError, failed, phase},
    same::tell_followers,
    tell::{self, PENDING, Recorded, Told},
};
use crate::{
    build::{stop, summary},
    context::{Context, Telling, now},
    queue::Next,
};

/// The end of a run is written with GitHub's answer if that comes this soon.
const TELL_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether a Repository that is gone came back.
const REPOSITORY_LOOKED_FOR_EVERY: Duration = Duration::from_secs(60);

/// Ends a run: stops its Job where it still runs, tells GitHub, and writes the end down. The write
/// waits a moment for GitHub's answer, so that one write holds both.
pub(super) async fn end(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    ending: Ending,
) -> Result<Next, RunError> {
    if ending.stop {
        stop(ctx, run, uid).await?;
    }
    let mut ended = run.clone();
    let status = ended.status.get_or_insert_default();
    status.phase = ending.phase;
    status.waiting = None;
    status.started_at = ending.started.map(Time).or(status.started_at.take());
    status.finished_at = Some(ending.finished.map_or_else(now, Time));
    status.outcome = Some(ending.outcome);
    let report = if will_be_followed(ctx, &ended) {
        tell::retried(ctx, &ended);
        Told::Recorded(Recorded::sent(PENDING))
    } else {
        tell::finished(ctx, &ended, TELL_PATIENCE).await
    };
    let status = ended.status.get_or_insert_default();
    let mut patch = json!({
        "phase": status.phase,
        "waiting": null,
        "startedAt": status.started_at,
        "finishedAt": status.finished_at,
        "outcome": status.outcome,
    });
    if ctx.live.get(uid).job_since.is_some() {
        patch["job"] = json!(names::job_name(uid));
    }
    patch["report"] = tell::report(ctx, &ended, &report);
    match ctx.patch_run(run, patch).await {
        // It was deleted, or somebody wrote since: the watch brings what is there now.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
            return Ok(Next::After(Duration::from_secs(1)));
        }
        written => written.map_err(failed("writing how it ended", run))?,
    }
    ctx.metrics.ended(&ended);
    ctx.admission.wake();
    ctx.queues.builds.add(&run.spec.pr_build.name);
    tell_followers(ctx, run);
    Ok(Next::Wait)
}

/// Deletes the Job of a run, pods first, so that the Job's absence means theirs.
async fn stop(ctx: &Context, run: &BuilderRun, uid: &str) -> Result<(), RunError> {
    if ctx.live.get(uid).job_since.is_none()
        && phase(run) == RunPhase::Queued
        && ctx.pod_of(uid).is_none()
    {
        // After a restart a queued run may have a Job that nobody here has seen.
        let job = ctx.api.jobs.get_opt(&names::job_name(uid)).await;
        if job.map_err(failed("looking for its Job", run))?.is_none() {
            return Ok(());
        }
    }
    ctx.metrics.wrote("jobs");
    match ctx
        .api
        .jobs
        .delete(&names::job_name(uid), &DeleteParams::foreground())
        .await
    {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => deleted.map(|_| ()).map_err(failed("deleting its Job", run)),
    }
}

/// A run that has ended: GitHub may still have to hear it.
pub(super) async fn settle(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
) -> Result<Next, RunError> {
    let report = run
        .status
        .as_ref()
        .and_then(|status| status.report.clone())
        .unwrap_or_default();
    let told = report.sent.as_deref().is_some_and(|sent| sent != PENDING);
    if told || is_followed(ctx, run) {
        ctx.live.forget(uid);
        return Ok(Next::Wait);
    }
    let told = match ctx.live.get(uid).telling {
        Telling::Done(sent) => Told::Recorded(sent),
        Telling::Asked => Told::Later,
        Telling::Not => tell::finished(ctx, run, TELL_PATIENCE).await,
    };
    let next = match &told {
        Told::Recorded(_) => Next::Wait,
        Told::Later => return Ok(Next::Wait),
        Told::Nowhere(why) if report.error.as_ref() == Some(why) => {
            return Ok(Next::After(REPOSITORY_LOOKED_FOR_EVERY));
        }
        Told::Nowhere(_) => Next::After(REPOSITORY_LOOKED_FOR_EVERY),
    };
    let patch = tell::report(ctx, run, &told);
    match ctx.patch_run(run, json!({ "report": patch })).await {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
            return Ok(Next::After(Duration::from_secs(1)));
        }
        written => written.map_err(failed("writing what GitHub was told", run))?,
    }
    if next == Next::Wait {
        ctx.live.forget(uid);
    }
    ctx.queues.builds.add(&run.spec.pr_build.name);
    Ok(next)
}

/// Whether another attempt speaks for this run's builder, or will.
fn is_followed(ctx: &Context, run: &BuilderRun) -> bool {
    let (owner, task) = (&run.spec.pr_build, &run.spec.task);
    let next = names::run_name(&owner.name, &task.builder, run.spec.attempt + 1);
    let exists = ctx
        .cache
        .runs
        .get(&next)
        .is_some_and(|next| next.spec.pr_build == *owner);
    exists || will_be_followed(ctx, run)
}

/// Whether another attempt will be made: not when the build is cancelled or gone.
fn will_be_followed(ctx: &Context, run: &BuilderRun) -> bool {
    let owner = &run.spec.pr_build;
    let build = ctx
        .cache
        .builds
        .get(&owner.name)
        .filter(|build| build.uid().as_ref() == Some(&owner.uid));
    build.is_some_and(|build| {
        summary::is_retried(run, stop::is_over(&build, &run.spec.task.builder))
    })
}
