//! How a run ends: its Job stops, GitHub hears, the gateway gets its record, and one write holds it all.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, BuilderRunStatus, ReportMode, RunPhase, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::{
    outcome::Ending,
    reconcile::{RunError, failed},
    same::tell_followers,
    tell::{self, PENDING, Recorded, Told},
};
use crate::{
    build::{
        REPOSITORY_LOOKED_FOR_EVERY, stop,
        summary::{self, phase_of},
    },
    context::{Context, now},
    journal::Subject,
    live,
    metrics::Verb,
    queue::Next,
    record::keep::{self, Kept},
    worker,
};

/// The end of a run is written with the answers of GitHub and the gateway if they come this soon.
const TELL_PATIENCE: Duration = Duration::from_secs(1);
/// A check run says which failing tests fail for others, too, if that is known this soon.
const LOOK_UP_PATIENCE: Duration = Duration::from_millis(300);

/// Ends a run: stops its Job where it still runs, tells GitHub, puts it on record, and writes the end
/// down. The write waits a moment for the answers, so that one write holds all.
pub(crate) async fn end(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    ending: Ending,
) -> Result<Next, RunError> {
    if ending.stop {
        match run.spec.task.worker.is_some() {
            true => worker::stop(ctx, run, uid, &ending.outcome.reason).await?,
            false => stop(ctx, run, uid).await?,
        }
    }
    let mut ended = run.clone();
    let status = ended.status.get_or_insert_default();
    status.phase = ending.phase;
    status.waiting = None;
    status.started_at = ending.started.map(Time).or(status.started_at.take());
    status.finished_at = Some(ending.finished.map_or_else(now, Time));
    status.outcome = Some(ending.outcome);
    let followed = will_be_followed(ctx, &ended);
    look_up(ctx, &ended).await;
    let telling = async {
        if followed {
            tell::retried(ctx, &ended);
            return Told::Recorded(Recorded::sent(PENDING));
        }
        tell::finished(ctx, &ended, TELL_PATIENCE).await
    };
    let keeping = keep::run(ctx, &ended, followed, TELL_PATIENCE);
    let (report, kept) = tokio::join!(telling, keeping);
    let mut patch = how_it_ended(ctx, &ended, uid);
    patch["report"] = tell::report(ctx, &ended, &report);
    if kept == Kept::Stored {
        patch["recorded"] = true.into();
    }
    match ctx.patch_run(run, patch).await {
        // It was deleted, or somebody wrote since: the watch brings what is there now.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
            return Ok(Next::After(Duration::from_secs(1)));
        }
        written => written.map_err(failed("writing how it ended", run))?,
    }
    let builder = ctx.cache.builders.get(&ended.spec.task.builder);
    ctx.metrics.ended(&ended, builder.is_some());
    let status = ended.status.unwrap_or_default();
    let reason = status.outcome.unwrap_or_default().reason;
    Subject::of(run).ended(status.phase.word(), &reason);
    ctx.admission.wake();
    ctx.queues.builds.add(&run.spec.pr_build.name);
    tell_followers(ctx, run);
    if matches!(report, Told::Recorded(_)) && !matches!(kept, Kept::Later(_)) {
        ctx.live.forget(uid);
        return Ok(Next::Wait);
    }
    // Somebody has to hear it still.
    Ok(Next::After(Duration::ZERO))
}

/// What is written into the status of a run that ended, beside what became of telling it.
fn how_it_ended(ctx: &Context, ended: &BuilderRun, uid: &str) -> Value {
    let none = BuilderRunStatus::default();
    let status = ended.status.as_ref().unwrap_or(&none);
    let mut patch = json!({
        "phase": status.phase,
        "waiting": null,
        "startedAt": status.started_at,
        "finishedAt": status.finished_at,
        "outcome": status.outcome,
    });
    if ctx.live.get(uid).job_since.is_some() && ended.spec.task.worker.is_none() {
        patch["job"] = json!(names::job_name(uid));
    }
    if let Some(worker) = &status.worker {
        patch["worker"] = json!(worker);
    }
    patch
}

/// A check run says which failing tests fail for others, too; a status has no room for that.
async fn look_up(ctx: &Context, ended: &BuilderRun) {
    let has_room = ended.spec.task.report_mode == ReportMode::Checks;
    if let Some(recorder) = ctx.recorder.as_ref().filter(|_| has_room) {
        recorder.look_up(ended, LOOK_UP_PATIENCE).await;
    }
}

/// Deletes the Job of a run, pods first, so that the Job's absence means theirs.
async fn stop(ctx: &Context, run: &BuilderRun, uid: &str) -> Result<(), RunError> {
    if ctx.live.get(uid).job_since.is_none()
        && phase_of(run) == RunPhase::Queued
        && ctx.pod_of(uid).is_none()
    {
        // After a restart a queued run may have a Job that nobody here has seen.
        let job = ctx.api.jobs.get_opt(&names::job_name(uid)).await;
        if job.map_err(failed("looking for its Job", run))?.is_none() {
            return Ok(());
        }
    }
    ctx.metrics.wrote(Verb::Delete, "jobs");
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

/// A run that has ended: GitHub may still have to hear it, and the gateway to store its record.
pub(super) async fn settle(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
) -> Result<Next, RunError> {
    let status = run.status.as_ref();
    let report = status.and_then(|status| status.report.as_ref());
    let sent = report.and_then(|report| report.sent.as_deref());
    let told = sent.is_some_and(|sent| sent != PENDING) || is_followed(ctx, run);
    let (telling, kept) = tokio::join!(tell_again(ctx, run, uid, told), keep_again(ctx, run));
    let (telling, kept) = (telling, kept?);
    let mut patch = serde_json::Map::new();
    if let Some(report) = telling.report {
        patch.insert("report".to_owned(), report);
    }
    let recorded = status.is_some_and(|status| status.recorded);
    if kept == Kept::Stored && !recorded {
        patch.insert("recorded".to_owned(), true.into());
    }
    let next = match kept {
        Kept::Later(wait) => telling.next.or(Next::After(wait)),
        Kept::Stored | Kept::NoGateway => telling.next,
    };
    if !patch.is_empty() {
        match ctx.patch_run(run, patch.into()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                return Ok(Next::After(Duration::from_secs(1)));
            }
            written => written.map_err(failed("writing who knows how it ended", run))?,
        }
        ctx.queues.builds.add(&run.spec.pr_build.name);
    }
    if telling.done && !matches!(kept, Kept::Later(_)) {
        ctx.live.forget(uid);
    }
    Ok(next)
}

/// How telling GitHub of the end of a run goes on.
struct Telling {
    /// What is to be written down of it.
    report: Option<serde_json::Value>,
    /// When to try again.
    next: Next,
    /// Nothing is left to do.
    done: bool,
}

async fn tell_again(ctx: &Arc<Context>, run: &BuilderRun, uid: &str, told: bool) -> Telling {
    let nothing = |next, done| Telling {
        report: None,
        next,
        done,
    };
    if told {
        return nothing(Next::Wait, true);
    }
    let told = match ctx.live.get(uid).telling {
        live::Telling::Done(sent) => Told::Recorded(sent),
        live::Telling::Asked => Told::Later,
        live::Telling::Not => tell::finished(ctx, run, TELL_PATIENCE).await,
    };
    let report = run
        .status
        .as_ref()
        .and_then(|status| status.report.as_ref());
    let error = report.and_then(|report| report.error.as_ref());
    let next = match &told {
        Told::Later => return nothing(Next::Wait, false),
        Told::Recorded(_) => Next::Wait,
        Told::Nowhere(why) if error == Some(why) => {
            return nothing(Next::After(REPOSITORY_LOOKED_FOR_EVERY), false);
        }
        Told::Nowhere(_) => Next::After(REPOSITORY_LOOKED_FOR_EVERY),
    };
    Telling {
        report: Some(tell::report(ctx, run, &told)),
        next,
        done: next == Next::Wait,
    }
}

/// Puts a run on record that ended before, if it is not.
async fn keep_again(ctx: &Context, run: &BuilderRun) -> Result<Kept, RunError> {
    let recorded = run.status.as_ref().is_some_and(|status| status.recorded);
    if recorded {
        // A restart may have lost what its builder's history says of it.
        keep::remember(ctx, run);
        return Ok(Kept::Stored);
    }
    let followed = is_followed(ctx, run);
    let kept = keep::run_again(ctx, run, followed, keep::PATIENCE).await;
    kept.map_err(failed("reading all of it, for its record", run))
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
    ctx.build_of(run).is_some_and(|build| {
        summary::is_retried(run, stop::is_over(&build, &run.spec.task.builder))
    })
}
