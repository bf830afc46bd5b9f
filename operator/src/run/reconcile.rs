//! What a run needs next, in named steps: a slot, a Job, a look at its pod, its end.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, Cancel, RunPhase, Waiting, names};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;

use super::{
    end::{end, settle},
    job::{self, JobError},
    missing_pod::without_pod,
    outcome::{Ending, NODE_SILENCE, Progress, progress},
    patience::{self, queue_time_left, unwritten, waited_too_long, why_forbidden},
    pod::PodView,
    refused::{give_back, is_refusal},
    same, tell,
    waits::write_waiting,
};
use crate::{
    admission, api,
    build::{dispatch, stop, summary::phase_of},
    context::{Context, LiveRun, now},
    metrics::Verb,
    queue::Next,
    report::text,
    worker,
};

/// A pod that is not there this long after its Job is asked for.
pub(super) const POD_EXPECTED_AFTER: Duration = Duration::from_secs(5);
/// Why a run waits that admission has said nothing of.
const NO_SLOT: &str = "its slot could not be written down";
/// Running is written when it has lasted this long: a run that ends at once takes one write less.
const RUNNING_WRITTEN_AFTER: Duration = Duration::from_secs(1);

/// Why a step of a run could not be finished. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The API server did not do what was asked.
    #[error("{action} for run {run} did not succeed: {source}")]
    Api {
        /// What was tried.
        action: &'static str,
        /// The run.
        run: String,
        /// Why.
        source: kube::Error,
    },
}

pub(crate) fn failed(
    action: &'static str,
    run: &BuilderRun,
) -> impl FnOnce(kube::Error) -> RunError + use<> {
    let run = run.name_any();
    move |source| RunError::Api {
        action,
        run,
        source,
    }
}

/// Brings one run further.
pub async fn reconcile(ctx: Arc<Context>, name: String) -> Result<Next, RunError> {
    let Some(run) = ctx.cache.runs.get(&name) else {
        return Ok(Next::Wait);
    };
    let uid = run.uid().unwrap_or_default();
    if phase_of(&run).is_terminal() {
        return settle(&ctx, &run, &uid).await;
    }
    let pod = ctx.pod_of(&uid);
    let started = matches!(phase_of(&run), RunPhase::Running | RunPhase::Lost)
        || pod.as_ref().is_some_and(|pod| pod.build.has_started())
        || (run.spec.task.worker.is_some() && worker::is_taken(&ctx, &uid));
    if let Some(cancel) = cancelled(&ctx, &run, started).await? {
        return end(&ctx, &run, &uid, cancelled_ending(&cancel)).await;
    }
    if let Some(invalid) = &run.spec.task.invalid {
        return end(&ctx, &run, &uid, Ending::new(RunPhase::Error, invalid)).await;
    }
    let live = ctx.live.get(&uid);
    let begun = live.job_since.is_some() || pod.is_some() || phase_of(&run) != RunPhase::Queued;
    let on_worker = run.spec.task.worker.is_some();
    let begun = begun || (on_worker && worker::is_there(&ctx, &uid));
    if !begun {
        return wait_or_begin(&ctx, &run, &uid, live).await;
    }
    if on_worker {
        return worker::follow(&ctx, &run, &uid).await;
    }
    match pod {
        Some(pod) => {
            note_pod(&ctx, &uid);
            let progress = progress(&run.spec.task, &pod, Timestamp::now());
            let next = follow(&ctx, &run, &uid, progress).await?;
            Ok(next.or(deletion_overdue(&pod)))
        }
        None => without_pod(&ctx, &run, &uid).await,
    }
}

/// Notes that a pod came, and how late it was.
fn note_pod(ctx: &Context, uid: &str) {
    let first = ctx.live.update(uid, |live| {
        let new = !std::mem::replace(&mut live.pod_seen, true);
        live.job_since.filter(|_| new)
    });
    if let Some(since) = first {
        ctx.pressure.pod_came(since.elapsed());
    }
}

/// Whether the run is no longer wanted: by itself, by its build, or because its build is gone. That
/// a build is gone is believed only from an uncached read. `started` says that its steps run.
async fn cancelled(
    ctx: &Context,
    run: &BuilderRun,
    started: bool,
) -> Result<Option<Cancel>, RunError> {
    if let Some(cancel) = stop::wanted(None, run, started) {
        return Ok(Some(cancel));
    }
    let owner = &run.spec.pr_build;
    if let Some(build) = ctx.cache.builds.get(&owner.name)
        && build.uid().as_ref() == Some(&owner.uid)
    {
        return Ok(stop::wanted(Some(&build), run, started));
    }
    let build = ctx.api.builds.get_opt(&owner.name).await;
    match build.map_err(failed("looking for its build", run))? {
        Some(build) if build.uid().as_ref() == Some(&owner.uid) => {
            Ok(stop::wanted(Some(&build), run, started))
        }
        _ => Ok(Some(stop::ours("its build was deleted".to_owned(), now()))),
    }
}

fn cancelled_ending(cancel: &Cancel) -> Ending {
    Ending::new(RunPhase::Cancelled, stop::sentence(cancel)).stopping()
}

/// A run without a Job: it takes its slot and its Job, or it waits and says for what.
async fn wait_or_begin(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    live: LiveRun,
) -> Result<Next, RunError> {
    if let Some(since) = unwritten(ctx, run) {
        let status = json!({ "queuedSince": since });
        let written = ctx.patch_run(run, status).await;
        written.map_err(failed("writing since when it queues", run))?;
        return Ok(Next::After(Duration::ZERO));
    }
    if live.granted {
        return begin(ctx, run, uid).await;
    }
    if let Some(next) = same::with_others(ctx, run, uid).await? {
        return Ok(next);
    }
    let name = &run.spec.task.builder;
    let Some(builder) = ctx.cache.builders.get(name) else {
        let found = ctx
            .api
            .builders
            .get_opt(name)
            .await
            .map_err(failed("looking for its Builder", run))?;
        return match found {
            Some(_) => Ok(Next::After(Duration::from_secs(1))),
            None => {
                end(
                    ctx,
                    run,
                    uid,
                    Ending::new(RunPhase::Error, dispatch::gone(name)).stopping(),
                )
                .await
            }
        };
    };
    if admission::is_free(ctx, run, &builder) {
        patience::let_go(ctx, run);
        ctx.live.update(uid, |live| live.granted = true);
        return begin(ctx, run, uid).await;
    }
    let why = live
        .waiting
        .as_ref()
        .map_or(NO_SLOT, |waiting| &waiting.reason);
    if let Some(ending) = waited_too_long(ctx, run, Some(why)) {
        return end(ctx, run, uid, ending).await;
    }
    let Some(waiting) = live.waiting.clone() else {
        ctx.admission.wake();
        return Ok(queue_time_left(ctx, run));
    };
    tell_pending(ctx, run, uid, Some(&waiting));
    let next = write_waiting(ctx, run, uid, &waiting, RunPhase::Queued).await?;
    Ok(next.or(queue_time_left(ctx, run)))
}

/// Creates the Job. Its name is the run's uid, so that doing it twice meets the first one.
async fn begin(ctx: &Arc<Context>, run: &BuilderRun, uid: &str) -> Result<Next, RunError> {
    if run.spec.task.worker.is_some() {
        tell_pending(ctx, run, uid, None);
        return worker::begin(ctx, run, uid).await;
    }
    let token = ctx
        .recorder
        .as_ref()
        .map(|recorder| recorder.log_token(run));
    let token = token.transpose().map_err(|source| JobError::Unwritable {
        run: run.name_any(),
        source,
    });
    let job = match token.and_then(|token| job::job(run, &ctx.setup, token.as_deref())) {
        Ok(job) => job,
        Err(error @ (JobError::Invalid(_) | JobError::Unwritable { .. })) => {
            let ending = Ending::new(RunPhase::Error, error.to_string());
            return end(ctx, run, uid, ending).await;
        }
    };
    ctx.metrics.wrote(Verb::Create, "jobs");
    let create = ctx.pressure.time(api::create_unread(&ctx.api.jobs, &job));
    // Not before the Job is on its way, which is what people wait for.
    let telling = async { tell_pending(ctx, run, uid, None) };
    let (created, ()) = tokio::join!(biased; create, telling);
    match created {
        Ok(()) => ctx.admitted(run),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(kube::Error::Api(status)) if status.is_invalid() => {
            let why = format!("the cluster does not take its Job: {}", status.message);
            return end(ctx, run, uid, Ending::new(RunPhase::Error, why)).await;
        }
        Err(error) => return without_job(ctx, run, uid, error).await,
    }
    ctx.live.update(uid, |live| {
        live.granted = true;
        live.job_since = Some(Instant::now());
    });
    Ok(Next::After(POD_EXPECTED_AFTER))
}

/// The Job could not be created: the run waits with that reason, and it is tried again.
async fn without_job(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    error: kube::Error,
) -> Result<Next, RunError> {
    if is_refusal(&error) {
        give_back(ctx, run, uid);
    }
    let why = match &error {
        kube::Error::Api(status) => {
            let why = why_forbidden(&status.message);
            format!("the cluster does not take its Job: {why}")
        }
        _ => "the cluster does not answer".to_owned(),
    };
    if let Some(ending) = waited_too_long(ctx, run, Some(&why)) {
        return end(ctx, run, uid, ending).await;
    }
    let waiting = Waiting {
        reason: text::one_line(&why, 300),
        ahead: 0,
        since: now(),
    };
    let waiting = ctx.live.update(uid, |live| {
        let known = live.waiting.get_or_insert_with(|| waiting.clone());
        known.reason = waiting.reason;
        known.clone()
    });
    write_waiting(ctx, run, uid, &waiting, RunPhase::Queued).await?;
    Err(failed("creating its Job", run)(error))
}

/// A run whose pod tells something.
pub(super) async fn follow(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    progress: Progress,
) -> Result<Next, RunError> {
    match progress {
        Progress::Ended(ending) => end(ctx, run, uid, ending).await,
        Progress::Running { since } => {
            if phase_of(run) == RunPhase::Running {
                return Ok(look_again(ctx, run));
            }
            let lasted = since.map(|since| Timestamp::now().duration_since(since));
            let lasted = lasted.map(|lasted| Duration::try_from(lasted).unwrap_or_default());
            let first = ctx.pressure.courtesy(RUNNING_WRITTEN_AFTER);
            if let Some(lasted) = lasted.filter(|lasted| *lasted < first) {
                return Ok(Next::After(first - lasted));
            }
            let status = json!({
                "phase": RunPhase::Running,
                "job": names::job_name(uid),
                "startedAt": since.map(Time),
                "waiting": null,
                "report": tell::pending_report(ctx, run),
            });
            ctx.patch_run(run, status)
                .await
                .map_err(failed("writing that it runs", run))?;
            ctx.queues.builds.add(&run.spec.pr_build.name);
            Ok(look_again(ctx, run))
        }
        Progress::Starting(why) => {
            if let Some(ending) = waited_too_long(ctx, run, why.as_deref()) {
                return end(ctx, run, uid, ending).await;
            }
            let reason = why.unwrap_or_else(|| "its machine is being prepared".to_owned());
            let since = ctx.live.get(uid).waiting.filter(|old| old.reason == reason);
            let since = since.map_or_else(now, |old| old.since);
            let waiting = Waiting {
                reason,
                ahead: 0,
                since,
            };
            ctx.live
                .update(uid, |live| live.waiting = Some(waiting.clone()));
            let next = write_waiting(ctx, run, uid, &waiting, RunPhase::Dispatched).await?;
            Ok(next.or(look_again(ctx, run)))
        }
    }
}

/// When a pod that was deleted, and whose node says nothing, counts as lost.
fn deletion_overdue(pod: &PodView) -> Next {
    let Some(due) = pod.deletion_due.filter(|_| !pod.has_ended()) else {
        return Next::Wait;
    };
    let left = (due + NODE_SILENCE).duration_since(Timestamp::now());
    Next::After(Duration::try_from(left).unwrap_or_default() + Duration::from_secs(1))
}

/// Timers that no event brings: deadlines, lost nodes, images that stay away.
fn look_again(ctx: &Context, run: &BuilderRun) -> Next {
    match phase_of(run) {
        RunPhase::Running => Next::After(Duration::from_secs(60)),
        _ => Next::After(Duration::from_secs(15)).or(queue_time_left(ctx, run)),
    }
}

/// Tells GitHub once that the run is pending.
fn tell_pending(ctx: &Context, run: &BuilderRun, uid: &str, waiting: Option<&Waiting>) {
    let told = ctx
        .live
        .update(uid, |live| std::mem::replace(&mut live.pending_told, true));
    let sent = run
        .status
        .as_ref()
        .and_then(|status| status.report.as_ref()?.sent.as_ref());
    if !told && sent.is_none() {
        tell::pending(ctx, run, waiting);
    }
}
