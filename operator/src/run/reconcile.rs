//! What a run needs next, in named steps: a slot, a Job, a look at its pod, its end.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, Cancel, RunPhase, Waiting, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    job::{self, JobError},
    outcome::{Ending, Progress, progress},
};
use crate::{
    admission,
    build::{dispatch, summary},
    context::{Context, LiveRun, Telling, now},
    queue::Next,
    report::text,
    run::tell::{self, Told},
};

/// What a run waits for is written down when it has waited this long, and then at most this often.
const WAITING_WRITTEN_AFTER: Duration = Duration::from_secs(2);
const WAITING_WRITTEN_EVERY: Duration = Duration::from_secs(30);
/// A pod that is not there this long after its Job is asked for.
const POD_EXPECTED_AFTER: Duration = Duration::from_secs(5);
/// A Job whose pod does not come is looked at less and less often, at least this often.
const POD_LOOKED_FOR_EVERY: Duration = Duration::from_secs(60);
/// The end of a run is written with GitHub's answer if that comes this soon.
const TELL_PATIENCE: Duration = Duration::from_secs(1);
/// `report.sent` while only a pending state was told.
const PENDING: &str = "pending";
/// How often it is looked whether a Repository that is gone came back.
const REPOSITORY_LOOKED_FOR_EVERY: Duration = Duration::from_secs(60);
/// Why a run waits that admission has said nothing of.
const NO_SLOT: &str = "its slot could not be written down";
/// What is recorded while GitHub is silent.
const NO_ANSWER: &str = "GitHub has not answered yet";
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

fn failed(action: &'static str, run: &BuilderRun) -> impl FnOnce(kube::Error) -> RunError + use<> {
    let run = run.name_any();
    move |source| RunError::Api { action, run, source }
}

/// Brings one run further.
pub async fn reconcile(ctx: Arc<Context>, name: String) -> Result<Next, RunError> {
    let Some(run) = ctx.cache.runs.get(&name) else {
        return Ok(Next::Wait);
    };
    let uid = run.uid().unwrap_or_default();
    if phase(&run).is_terminal() {
        return settle(&ctx, &run, &uid).await;
    }
    if let Some(cancel) = cancelled(&ctx, &run).await? {
        return end(&ctx, &run, &uid, cancelled_ending(&cancel)).await;
    }
    if let Some(invalid) = &run.spec.task.invalid {
        return end(&ctx, &run, &uid, Ending::new(RunPhase::Error, invalid)).await;
    }
    let live = ctx.live.get(&uid);
    let pod = ctx.pod_of(&uid);
    let begun = live.job_since.is_some() || pod.is_some() || phase(&run) != RunPhase::Queued;
    if !begun {
        return wait_or_begin(&ctx, &run, &uid, live).await;
    }
    match pod {
        Some(pod) => {
            ctx.live.update(&uid, |live| live.pod_seen = true);
            let progress = progress(&run.spec.task, &pod, Timestamp::now());
            follow(&ctx, &run, &uid, progress).await
        }
        None => without_pod(&ctx, &run, &uid).await,
    }
}

fn phase(run: &BuilderRun) -> RunPhase {
    run.status.as_ref().map(|status| status.phase).unwrap_or_default()
}

/// Whether the run is no longer wanted: by itself, by its build, or because its build is gone. That
/// a build is gone is believed only from an uncached read.
async fn cancelled(ctx: &Context, run: &BuilderRun) -> Result<Option<Cancel>, RunError> {
    if let Some(cancel) = &run.spec.cancel {
        return Ok(Some(cancel.clone()));
    }
    let owner = &run.spec.pr_build;
    if let Some(build) = ctx.cache.builds.get(&owner.name)
        && build.uid().as_ref() == Some(&owner.uid)
    {
        return Ok(build.spec.cancel.clone());
    }
    let build = ctx.api.builds.get_opt(&owner.name).await;
    match build.map_err(failed("looking for its build", run))? {
        Some(build) if build.uid().as_ref() == Some(&owner.uid) => Ok(build.spec.cancel),
        _ => Ok(Some(Cancel {
            by: "prbuild".to_owned(),
            reason: "its build was deleted".to_owned(),
            at: now(),
        })),
    }
}

fn cancelled_ending(cancel: &Cancel) -> Ending {
    let reason = format!("by {}: {}", cancel.by, cancel.reason);
    Ending::new(RunPhase::Cancelled, reason).stopping()
}

/// A run without a Job: it takes its slot and its Job, or it waits and says for what.
async fn wait_or_begin(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    live: LiveRun,
) -> Result<Next, RunError> {
    if live.granted {
        tell_pending(ctx, run, uid, None);
        return begin(ctx, run, uid).await;
    }
    let name = &run.spec.task.builder;
    let Some(builder) = ctx.cache.builders.get(name) else {
        let found = ctx.api.builders.get_opt(name).await.map_err(failed("looking for its Builder", run))?;
        return match found {
            Some(_) => Ok(Next::After(Duration::from_secs(1))),
            None => end(ctx, run, uid, Ending::new(RunPhase::Error, dispatch::gone(name)).stopping()).await,
        };
    };
    if admission::is_free(&builder) {
        tell_pending(ctx, run, uid, None);
        return begin(ctx, run, uid).await;
    }
    let why = live.waiting.as_ref().map_or(NO_SLOT, |waiting| &waiting.reason);
    if let Some(ending) = waited_too_long(run, Some(why)) {
        return end(ctx, run, uid, ending).await;
    }
    let Some(waiting) = live.waiting.clone() else {
        ctx.admission.wake();
        return Ok(queue_time_left(run));
    };
    tell_pending(ctx, run, uid, Some(&waiting));
    let next = write_waiting(ctx, run, uid, &waiting, RunPhase::Queued).await?;
    Ok(next.or(queue_time_left(run)))
}

/// Creates the Job. Its name is the run's uid, so that doing it twice meets the first one.
async fn begin(ctx: &Arc<Context>, run: &BuilderRun, uid: &str) -> Result<Next, RunError> {
    let job = match job::job(run, &ctx.setup) {
        Ok(job) => job,
        Err(error @ (JobError::Invalid(_) | JobError::Unwritable { .. })) => {
            let ending = Ending::new(RunPhase::Error, error.to_string());
            return end(ctx, run, uid, ending).await;
        }
    };
    ctx.metrics.wrote("jobs");
    match ctx.api.jobs.create(&PostParams::default(), &job).await {
        Ok(_) => ctx.metrics.started(run),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(kube::Error::Api(status)) if status.is_invalid() => {
            let why = format!("the cluster does not take its Job: {}", status.message);
            return end(ctx, run, uid, Ending::new(RunPhase::Error, why)).await;
        }
        Err(error) => {
            let why = match &error {
                kube::Error::Api(status) => format!("the cluster does not take its Job: {}", status.message),
                _ => "the cluster does not answer".to_owned(),
            };
            if let Some(ending) = waited_too_long(run, Some(&why)) {
                return end(ctx, run, uid, ending).await;
            }
            let waiting = Waiting { reason: text::one_line(&why, 300), ahead: 0, since: now() };
            ctx.live.update(uid, |live| {
                let reason = waiting.reason.clone();
                live.waiting.get_or_insert(waiting).reason = reason;
            });
            return Err(failed("creating its Job", run)(error));
        }
    }
    ctx.live.update(uid, |live| {
        live.granted = true;
        live.job_since = Some(Instant::now());
    });
    Ok(Next::After(POD_EXPECTED_AFTER))
}

/// A run whose pod tells something.
async fn follow(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    progress: Progress,
) -> Result<Next, RunError> {
    match progress {
        Progress::Ended(ending) => end(ctx, run, uid, ending).await,
        Progress::Running { since } => {
            if phase(run) == RunPhase::Running {
                return Ok(look_again(run));
            }
            let lasted = since.map(|since| Timestamp::now().duration_since(since));
            let first = SignedDuration::try_from(RUNNING_WRITTEN_AFTER).unwrap_or_default();
            if lasted.is_some_and(|lasted| lasted < first) {
                return Ok(Next::After(RUNNING_WRITTEN_AFTER));
            }
            let status = json!({
                "phase": RunPhase::Running,
                "job": names::job_name(uid),
                "startedAt": since.map(Time),
                "waiting": null,
                "report": { "sent": PENDING },
            });
            ctx.patch_run(run, status).await.map_err(failed("writing that it runs", run))?;
            ctx.queues.builds.add(&run.spec.pr_build.name);
            Ok(look_again(run))
        }
        Progress::Starting(why) => {
            if let Some(ending) = waited_too_long(run, why.as_deref()) {
                return end(ctx, run, uid, ending).await;
            }
            let reason = why.unwrap_or_else(|| "its machine is being prepared".to_owned());
            let since = ctx.live.get(uid).waiting.filter(|old| old.reason == reason);
            let since = since.map_or_else(now, |old| old.since);
            let waiting = Waiting { reason, ahead: 0, since };
            ctx.live.update(uid, |live| live.waiting = Some(waiting.clone()));
            let next = write_waiting(ctx, run, uid, &waiting, RunPhase::Dispatched).await?;
            Ok(next.or(look_again(run)))
        }
    }
}

/// A run that should have a pod and has none: its Job is asked, and the Job's own Events.
async fn without_pod(ctx: &Arc<Context>, run: &BuilderRun, uid: &str) -> Result<Next, RunError> {
    let live = ctx.live.get(uid);
    if let Some(since) = live.job_since
        && !live.pod_seen
        && since.elapsed() < POD_EXPECTED_AFTER
    {
        return Ok(Next::After(POD_EXPECTED_AFTER - since.elapsed()));
    }
    let job = ctx.api.jobs.get_opt(&names::job_name(uid)).await;
    let Some(job) = job.map_err(failed("looking at its Job", run))? else {
        let ending = Ending::infrastructure("its Job was deleted");
        return end(ctx, run, uid, ending).await;
    };
    if job.metadata.deletion_timestamp.is_some() {
        let ending = Ending::infrastructure("its Job was deleted");
        return end(ctx, run, uid, ending).await;
    }
    let over = job.status.as_ref().and_then(|status| {
        let conditions = status.conditions.iter().flatten();
        // FailureTarget comes first, Failed when the last pod is gone (KEP-3329).
        let over = ["FailureTarget", "Failed", "Complete"];
        conditions.clone().find(|found| over.contains(&found.type_.as_str()) && found.status == "True").cloned()
    });
    if let Some(over) = over {
        let ending = match (over.type_.as_str(), over.reason.as_deref()) {
            ("Complete", _) => Ending::infrastructure("its pod is gone, and its result with it"),
            (_, Some("DeadlineExceeded")) => Ending::new(RunPhase::TimedOut, "took longer than its deadline"),
            _ => Ending::infrastructure("its pod was deleted before it ended"),
        };
        return end(ctx, run, uid, ending).await;
    }
    if live.pod_seen || phase(run) == RunPhase::Running {
        // Its pod is gone; the Job controller is about to say so.
        return Ok(Next::After(Duration::from_secs(1)));
    }
    let why = refused_pod(ctx, run, uid).await?;
    // A quota frees itself; whatever else refuses the pod refuses it for ever.
    if let Some(why) = why.as_ref().filter(|why| !why.contains("exceeded quota")) {
        return end(ctx, run, uid, Ending::new(RunPhase::Error, why).stopping()).await;
    }
    let waited = live.job_since.map(|since| since.elapsed()).unwrap_or_default();
    let again = Next::After((waited / 2).clamp(POD_EXPECTED_AFTER, POD_LOOKED_FOR_EVERY));
    follow(ctx, run, uid, Progress::Starting(why)).await.map(|_| again.or(queue_time_left(run)))
}

/// Why the Job controller cannot make the pod: a quota, an admission policy.
async fn refused_pod(ctx: &Context, run: &BuilderRun, uid: &str) -> Result<Option<String>, RunError> {
    let job = names::job_name(uid);
    let about = format!("involvedObject.kind=Job,involvedObject.name={job},reason=FailedCreate");
    let about = ListParams::default().fields(&about);
    let events = ctx.api.events.list(&about).await.map_err(failed("looking at its Job's Events", run))?;
    let newest = events.items.into_iter().max_by_key(|event| event.last_timestamp.clone());
    let message = newest.and_then(|event| event.message);
    Ok(message.map(|message| format!("the cluster refuses its pod: {}", message.replace(&job, "it"))))
}

/// A run that has not begun within its builder's queue timeout ends in error.
fn waited_too_long(run: &BuilderRun, why: Option<&str>) -> Option<Ending> {
    if queue_left(run) > SignedDuration::ZERO {
        return None;
    }
    let limit = queue_limit(run);
    let limit = text::duration(limit.unsigned_abs());
    let why = why.unwrap_or("its machine was still being prepared");
    // A Job that nobody has seen may be there all the same.
    Some(Ending::new(RunPhase::Error, format!("did not start within {limit}: {why}")).stopping())
}

fn queue_limit(run: &BuilderRun) -> SignedDuration {
    let recipe = run.spec.task.recipe.as_ref();
    SignedDuration::from_secs(recipe.map_or(0, |recipe| recipe.timeouts.queue_seconds))
}

fn queue_left(run: &BuilderRun) -> SignedDuration {
    let created = run.creation_timestamp().map_or_else(Timestamp::now, |time| time.0);
    queue_limit(run) - Timestamp::now().duration_since(created)
}

fn queue_time_left(run: &BuilderRun) -> Next {
    let left = Duration::try_from(queue_left(run)).unwrap_or_default();
    Next::After(left.max(Duration::from_millis(100)))
}

/// Timers that no event brings: deadlines, lost nodes, images that stay away.
fn look_again(run: &BuilderRun) -> Next {
    match phase(run) {
        RunPhase::Running => Next::After(Duration::from_secs(60)),
        _ => Next::After(Duration::from_secs(15)).or(queue_time_left(run)),
    }
}

/// Tells GitHub once that the run is pending.
fn tell_pending(ctx: &Context, run: &BuilderRun, uid: &str, waiting: Option<&Waiting>) {
    let told = ctx.live.update(uid, |live| std::mem::replace(&mut live.pending_told, true));
    let sent = run.status.as_ref().and_then(|status| status.report.as_ref()?.sent.as_ref());
    if !told && sent.is_none() {
        tell::pending(ctx, run, waiting);
    }
}

/// Writes down what a run waits for, once it has waited a while, and seldom.
async fn write_waiting(
    ctx: &Context,
    run: &BuilderRun,
    uid: &str,
    waiting: &Waiting,
    phase: RunPhase,
) -> Result<Next, RunError> {
    let status = run.status.clone().unwrap_or_default();
    let same = status.waiting.as_ref().is_some_and(|old| old.reason == waiting.reason);
    if same && status.phase == phase {
        return Ok(Next::Wait);
    }
    let written = ctx.live.update(uid, |live| live.waiting_written);
    let waited = Timestamp::now().duration_since(waiting.since.0);
    let waited = Duration::try_from(waited).unwrap_or_default();
    let left = match written {
        Some(written) => WAITING_WRITTEN_EVERY.saturating_sub(written.elapsed()),
        None => WAITING_WRITTEN_AFTER.saturating_sub(waited),
    };
    if !left.is_zero() {
        return Ok(Next::After(left));
    }
    let mut patch = json!({ "phase": phase, "waiting": waiting });
    if ctx.live.get(uid).pending_told {
        patch["report"] = json!({ "sent": PENDING });
    }
    ctx.patch_run(run, patch).await.map_err(failed("writing what it waits for", run))?;
    ctx.live.update(uid, |live| live.waiting_written = Some(Instant::now()));
    Ok(Next::Wait)
}

/// Ends a run: stops its Job where it still runs, tells GitHub, and writes the end down. The write
/// waits a moment for GitHub's answer, so that one write holds both.
async fn end(ctx: &Arc<Context>, run: &BuilderRun, uid: &str, ending: Ending) -> Result<Next, RunError> {
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
        Told::Recorded(PENDING.to_owned())
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
    patch["report"] = match report {
        Told::Recorded(sent) => json!({ "sent": sent, "error": null }),
        Told::Later => {
            let why = tell::trouble(ctx, &ended).unwrap_or_else(|| NO_ANSWER.to_owned());
            json!({ "sent": null, "error": why })
        }
        Told::Nowhere(why) => json!({ "sent": null, "error": why }),
    };
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
    Ok(Next::Wait)
}

/// Deletes the Job of a run, pods first, so that the Job's absence means theirs.
async fn stop(ctx: &Context, run: &BuilderRun, uid: &str) -> Result<(), RunError> {
    if ctx.live.get(uid).job_since.is_none() && phase(run) == RunPhase::Queued && ctx.pod_of(uid).is_none() {
        // After a restart a queued run may have a Job that nobody here has seen.
        let job = ctx.api.jobs.get_opt(&names::job_name(uid)).await;
        if job.map_err(failed("looking for its Job", run))?.is_none() {
            return Ok(());
        }
    }
    ctx.metrics.wrote("jobs");
    match ctx.api.jobs.delete(&names::job_name(uid), &DeleteParams::foreground()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => deleted.map(|_| ()).map_err(failed("deleting its Job", run)),
    }
}

/// A run that has ended: GitHub may still have to hear it.
async fn settle(ctx: &Arc<Context>, run: &BuilderRun, uid: &str) -> Result<Next, RunError> {
    let report = run.status.as_ref().and_then(|status| status.report.clone()).unwrap_or_default();
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
    let (patch, next) = match told {
        Told::Recorded(sent) => (json!({ "sent": sent, "error": null }), Next::Wait),
        Told::Later => return Ok(Next::Wait),
        Told::Nowhere(why) if report.error.as_ref() == Some(&why) => {
            return Ok(Next::After(REPOSITORY_LOOKED_FOR_EVERY));
        }
        Told::Nowhere(why) => (json!({ "error": why }), Next::After(REPOSITORY_LOOKED_FOR_EVERY)),
    };
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
    let exists = ctx.cache.runs.get(&next).is_some_and(|next| next.spec.pr_build == *owner);
    exists || will_be_followed(ctx, run)
}

/// Whether another attempt will be made: not when the build is cancelled or gone.
fn will_be_followed(ctx: &Context, run: &BuilderRun) -> bool {
    let owner = &run.spec.pr_build;
    let build = ctx.cache.builds.get(&owner.name).filter(|build| build.uid().as_ref() == Some(&owner.uid));
    build.is_some_and(|build| summary::is_retried(run, build.spec.cancel.is_some()))
}
