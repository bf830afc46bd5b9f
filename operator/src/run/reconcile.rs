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
    admission::{self},
    context::{Context, LiveRun, Telling, now},
    queue::Next,
    run::tell,
};

/// What a run waits for is written down when it has waited this long, and then at most this often.
const WAITING_WRITTEN_AFTER: Duration = Duration::from_secs(2);
const WAITING_WRITTEN_EVERY: Duration = Duration::from_secs(30);
/// A pod that is not there this long after its Job is asked for.
const POD_EXPECTED_AFTER: Duration = Duration::from_secs(5);
/// The end of a run is written with GitHub's answer if that comes this soon.
const TELL_PATIENCE: Duration = Duration::from_secs(1);
/// What is recorded while GitHub is silent.
const NO_ANSWER: &str = "GitHub has not answered yet";
/// Running is written when it has lasted this long: a run that ends at once takes one write less.
const RUNNING_WRITTEN_AFTER: Duration = Duration::from_secs(1);

/// Why a step of a run could not be finished. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Step {
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

fn step(action: &'static str, run: &BuilderRun) -> impl FnOnce(kube::Error) -> Step + use<> {
    let run = run.name_any();
    move |source| Step::Api { action, run, source }
}

/// Brings one run further.
pub async fn reconcile(ctx: Arc<Context>, name: String) -> Result<Next, Step> {
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
async fn cancelled(ctx: &Context, run: &BuilderRun) -> Result<Option<Cancel>, Step> {
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
    match build.map_err(step("looking for its build", run))? {
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
    let mut ending = Ending::new(RunPhase::Cancelled, reason);
    ending.stop = true;
    ending
}

/// A run without a Job: it takes its slot and its Job, or it waits and says for what.
async fn wait_or_begin(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    live: LiveRun,
) -> Result<Next, Step> {
    let builder = ctx.cache.builders.get(&run.spec.task.builder);
    if live.granted || admission::is_free(builder.as_deref()) {
        tell_pending(ctx, run, uid, None);
        return begin(ctx, run, uid).await;
    }
    let Some(waiting) = live.waiting.clone() else {
        ctx.admission.wake();
        return Ok(queue_time_left(run));
    };
    if let Some(ending) = waited_too_long(run, Some(&waiting.reason)) {
        return end(ctx, run, uid, ending).await;
    }
    tell_pending(ctx, run, uid, Some(&waiting));
    let next = write_waiting(ctx, run, uid, &waiting, RunPhase::Queued).await?;
    Ok(next.or(queue_time_left(run)))
}

/// Creates the Job. Its name is the run's uid, so that doing it twice meets the first one.
async fn begin(ctx: &Arc<Context>, run: &BuilderRun, uid: &str) -> Result<Next, Step> {
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
            if let Some(ending) = waited_too_long(run, Some("the cluster takes no Jobs")) {
                return end(ctx, run, uid, ending).await;
            }
            return Err(step("creating its Job", run)(error));
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
) -> Result<Next, Step> {
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
            });
            ctx.patch_run(run, status).await.map_err(step("writing that it runs", run))?;
            ctx.queues.builds.add(&run.spec.pr_build.name);
            Ok(look_again(run))
        }
        Progress::Starting(why) => {
            if let Some(ending) = waited_too_long(run, why.as_deref()) {
                let mut ending = ending;
                ending.stop = true;
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
async fn without_pod(ctx: &Arc<Context>, run: &BuilderRun, uid: &str) -> Result<Next, Step> {
    let live = ctx.live.get(uid);
    if let Some(since) = live.job_since
        && !live.pod_seen
        && since.elapsed() < POD_EXPECTED_AFTER
    {
        return Ok(Next::After(POD_EXPECTED_AFTER - since.elapsed()));
    }
    let job = ctx.api.jobs.get_opt(&names::job_name(uid)).await;
    let Some(job) = job.map_err(step("looking at its Job", run))? else {
        let ending = Ending::infrastructure("its Job was deleted");
        return end(ctx, run, uid, ending).await;
    };
    if job.metadata.deletion_timestamp.is_some() {
        let ending = Ending::infrastructure("its Job was deleted");
        return end(ctx, run, uid, ending).await;
    }
    let failed = job.status.as_ref().and_then(|status| {
        let conditions = status.conditions.iter().flatten();
        conditions.clone().find(|found| found.type_ == "Failed" && found.status == "True").cloned()
    });
    if let Some(failed) = failed {
        let ending = match failed.reason.as_deref() {
            Some("DeadlineExceeded") => Ending::new(RunPhase::TimedOut, "took longer than its deadline"),
            _ => Ending::infrastructure("its pod was deleted before it ended"),
        };
        return end(ctx, run, uid, ending).await;
    }
    let why = refused_pod(ctx, run, uid).await?;
    if let Some(why) = why.as_ref().filter(|why| why.contains("violates PodSecurity")) {
        let mut ending = Ending::new(RunPhase::Error, why);
        ending.stop = true;
        return end(ctx, run, uid, ending).await;
    }
    follow(ctx, run, uid, Progress::Starting(why)).await.map(|next| next.or(Next::After(POD_EXPECTED_AFTER)))
}

/// Why the Job controller cannot make the pod: a quota, an admission policy.
async fn refused_pod(ctx: &Context, run: &BuilderRun, uid: &str) -> Result<Option<String>, Step> {
    let job = names::job_name(uid);
    let about = ListParams::default()
        .fields(&format!("involvedObject.kind=Job,involvedObject.name={job},reason=FailedCreate"))
        .limit(1);
    let events = ctx.api.events.list(&about).await.map_err(step("looking at its Job's Events", run))?;
    let message = events.items.into_iter().filter_map(|event| event.message).next();
    Ok(message.map(|message| format!("the cluster refuses its pod: {}", message.replace(&job, "it"))))
}

/// A run that has not begun within its builder's queue timeout ends in error.
fn waited_too_long(run: &BuilderRun, why: Option<&str>) -> Option<Ending> {
    if queue_left(run) > SignedDuration::ZERO {
        return None;
    }
    let limit = queue_limit(run);
    let limit = crate::report::text::duration(limit.unsigned_abs());
    let why = why.unwrap_or("its machine was still being prepared");
    Some(Ending::new(RunPhase::Error, format!("did not start within {limit}: {why}")))
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
) -> Result<Next, Step> {
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
    let patch = json!({ "phase": phase, "waiting": waiting });
    ctx.patch_run(run, patch).await.map_err(step("writing what it waits for", run))?;
    ctx.live.update(uid, |live| live.waiting_written = Some(Instant::now()));
    Ok(Next::Wait)
}

/// Ends a run: stops its Job where it still runs, tells GitHub, and writes the end down. The write
/// waits a moment for GitHub's answer, so that one write holds both.
async fn end(ctx: &Arc<Context>, run: &BuilderRun, uid: &str, ending: Ending) -> Result<Next, Step> {
    if ending.stop {
        stop(ctx, run, uid).await?;
    }
    let retried = ending.outcome.retryable && run.spec.task.infra_retries > 0;
    let mut ended = run.clone();
    let status = ended.status.get_or_insert_default();
    status.phase = ending.phase;
    status.waiting = None;
    status.started_at = ending.started.map(Time).or(status.started_at.take());
    status.finished_at = Some(ending.finished.map_or_else(now, Time));
    status.outcome = Some(ending.outcome);
    let report = match retried {
        true => {
            tell::retried(ctx, &ended);
            Some("pending".to_owned())
        }
        false => tell::finished(ctx, &ended, TELL_PATIENCE).await,
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
        Some(sent) => json!({ "sent": sent, "error": null }),
        None => json!({ "error": tell::trouble(ctx, &ended).unwrap_or_else(|| NO_ANSWER.to_owned()) }),
    };
    match ctx.patch_run(run, patch).await {
        // It was deleted, or made anew: there is nothing left to write to.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
        written => written.map_err(step("writing how it ended", run))?,
    }
    ctx.metrics.ended(&ended);
    ctx.admission.wake();
    ctx.queues.builds.add(&run.spec.pr_build.name);
    Ok(Next::Wait)
}

/// Deletes the Job of a run, pods first, so that the Job's absence means theirs.
async fn stop(ctx: &Context, run: &BuilderRun, uid: &str) -> Result<(), Step> {
    if ctx.live.get(uid).job_since.is_none() && phase(run) == RunPhase::Queued && ctx.pod_of(uid).is_none() {
        // After a restart a queued run may have a Job that nobody here has seen.
        let job = ctx.api.jobs.get_opt(&names::job_name(uid)).await;
        if job.map_err(step("looking for its Job", run))?.is_none() {
            return Ok(());
        }
    }
    ctx.metrics.wrote("jobs");
    match ctx.api.jobs.delete(&names::job_name(uid), &DeleteParams::foreground()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => deleted.map(|_| ()).map_err(step("deleting its Job", run)),
    }
}

/// A run that has ended: GitHub may still have to hear it.
async fn settle(ctx: &Arc<Context>, run: &BuilderRun, uid: &str) -> Result<Next, Step> {
    let sent = run.status.as_ref().and_then(|status| status.report.as_ref()?.sent.clone());
    if sent.is_some() {
        ctx.live.forget(uid);
        return Ok(Next::Wait);
    }
    let report = match ctx.live.get(uid).telling {
        Telling::Done(sent) => Some(sent),
        Telling::Asked => None,
        Telling::Not => tell::finished(ctx, run, TELL_PATIENCE).await,
    };
    if let Some(sent) = report {
        let patch = json!({ "report": { "sent": sent, "error": null } });
        match ctx.patch_run(run, patch).await {
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
            written => written.map_err(step("writing what GitHub was told", run))?,
        }
        ctx.live.forget(uid);
        ctx.queues.builds.add(&run.spec.pr_build.name);
    }
    Ok(Next::Wait)
}
