//! What no event brings: orphans, and objects whose time is over.
//!
//! Nothing of ours has an ownerReference or a finalizer: Jobs live in another namespace, and a
//! deleted run must still tell GitHub. So orphans are looked for at start, when something is
//! deleted, and every ten minutes, and believed only after an uncached read.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crds::{Answer, BuildPhase, BuilderRun, Outcome, PrBuild, RunPhase, condition::kind, names};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Preconditions},
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    build::summary::phase_of,
    cache::Cache,
    context::{Context, now, of_build, of_uid},
    metrics::Verb,
    record::keep,
    run::{job::LABEL, tell},
    worker,
};

/// How often everything is looked over.
const EVERY: Duration = Duration::from_secs(600);
/// Runs go this long after their build is complete.
const KEEP_RUNS: SignedDuration = SignedDuration::from_hours(1);
/// Builds go this long after they are complete. Events older than a day are not accepted, so nothing
/// runs twice.
pub(crate) const KEEP_BUILDS: SignedDuration = SignedDuration::from_hours(48);
/// Answers, the audit, go after this long.
const KEEP_ANSWERS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Looks everything over, now and then, until `stop`.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) {
    loop {
        let looks = [
            look_over(&ctx).await,
            orphaned_jobs(&ctx).await,
            orphaned_assignments(&ctx).await,
        ];
        for looked in looks {
            if let Err(error) = looked {
                tracing::warn!(%error, "housekeeping did not finish; it comes again in ten minutes");
            }
        }
        forget_gone(&ctx);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn look_over(ctx: &Context) -> kube::Result<()> {
    let now = Timestamp::now();
    for run in ctx.cache.runs.all() {
        if is_orphan(ctx, &run) {
            // Its reconcile confirms it, cancels it and tells GitHub.
            ctx.queues.runs.add(&run.name_any());
        }
        if run_is_over(ctx, &run, now) && !(is_orphan(ctx, &run) && has_build(ctx, &run).await?) {
            ctx.metrics.wrote(Verb::Delete, "builderruns");
            delete(&ctx.api.runs, run.as_ref()).await?;
        }
    }
    for build in ctx.cache.builds.all() {
        if build_is_over(&build, now) {
            ctx.metrics.wrote(Verb::Delete, "prbuilds");
            delete(&ctx.api.builds, build.as_ref()).await?;
        }
    }
    for answer in ctx.cache.answers.all() {
        if answer_is_over(&answer, now) {
            ctx.metrics.wrote(Verb::Delete, "answers");
            delete(&ctx.api.answers, answer.as_ref()).await?;
        }
    }
    Ok(())
}

/// Forgets what is noted of objects that are gone: memory, and room of workers that is promised to them.
fn forget_gone(ctx: &Context) {
    ctx.live.forget_gone(|| uids(&ctx.cache.runs));
    ctx.live_builds.forget_gone(|| {
        let mut there = uids(&ctx.cache.builds);
        there.extend(uids(&ctx.cache.answers));
        there
    });
}

fn uids<K: ResourceExt>(cache: &Cache<K>) -> HashSet<String> {
    let all = cache.all();
    all.iter().filter_map(|one| one.as_ref().uid()).collect()
}

/// Whether a run's build is not in the cache.
fn is_orphan(ctx: &Context, run: &BuilderRun) -> bool {
    let owner = &run.spec.pr_build;
    let build = ctx.cache.builds.get(&owner.name);
    build.and_then(|build| build.uid()).as_ref() != Some(&owner.uid)
}

/// Whether the build of a run is there after all, by the API server's own word.
async fn has_build(ctx: &Context, run: &BuilderRun) -> kube::Result<bool> {
    let owner = &run.spec.pr_build;
    let build = ctx.api.builds.get_opt(&owner.name).await?;
    Ok(build.and_then(|build| build.uid()).as_ref() == Some(&owner.uid))
}

/// Whether a run may go: it has ended, GitHub knows, it is on record, and its build has been complete for an hour and
/// is told as a whole, or is gone. Without its build it goes after a week also where GitHub cannot be told.
fn run_is_over(ctx: &Context, run: &BuilderRun, now: Timestamp) -> bool {
    if is_orphan(ctx, run) {
        let is_done = is_told(run) || is_given_up(run, now);
        return is_done && keep::run_is_kept(ctx, run, None, now);
    }
    if !is_told(run) {
        return false;
    }
    let build = ctx.cache.builds.get(&run.spec.pr_build.name);
    keep::run_is_kept(ctx, run, build.as_deref(), now)
        && build.is_some_and(|build| runs_are_over(&build, now))
}

/// Whether a run has ended, and GitHub knows.
fn is_told(run: &BuilderRun) -> bool {
    let status = run.status.as_ref();
    let ended = status.filter(|status| status.phase.is_terminal());
    let report = ended.and_then(|status| status.report.as_ref());
    report.is_some_and(|report| report.sent.is_some())
}

/// Whether a run ended so long ago that nobody is told of it any more: its Repository is gone, say.
fn is_given_up(run: &BuilderRun, now: Timestamp) -> bool {
    let status = run.status.as_ref();
    let ended = status.filter(|status| status.phase.is_terminal());
    let finished = ended.and_then(|status| status.finished_at.as_ref());
    finished.is_some_and(|finished| now > finished.0 + KEEP_ANSWERS)
}

/// Whether the time of a build's runs is over: it has been complete for an hour, and GitHub knows every
/// result. Before that a run that is missing is told as a run that somebody deleted, over its result.
fn runs_are_over(build: &PrBuild, now: Timestamp) -> bool {
    let completed = completed(build).filter(|_| build.holds(kind::REPORTED));
    completed.is_some_and(|completed| now > completed + KEEP_RUNS)
}

fn completed(build: &PrBuild) -> Option<Timestamp> {
    let status = build
        .status
        .as_ref()
        .filter(|status| status.phase == BuildPhase::Complete)?;
    Some(status.completed_at.as_ref()?.0)
}

/// Whether a build may go: complete for two days, and its label is off or none of ours.
fn build_is_over(build: &PrBuild, now: Timestamp) -> bool {
    let label = build.condition(kind::LABEL_REMOVED);
    // A label that was added again belongs to a newer request, whose object keeps the name busy.
    let settled = ["Removed", "NotNeeded", "AddedAgain"];
    let label_is_off = label.is_some_and(|label| settled.contains(&label.reason.as_str()));
    // A label that cannot be taken off does not keep it for ever: its event is too old by far.
    let keep = if label_is_off {
        KEEP_BUILDS
    } else {
        KEEP_ANSWERS
    };
    completed(build).is_some_and(|completed| now > completed + keep)
}

fn answer_is_over(answer: &Answer, now: Timestamp) -> bool {
    answer
        .creation_timestamp()
        .is_some_and(|created| now > created.0 + KEEP_ANSWERS)
}

/// Deletes Jobs whose run is gone.
async fn orphaned_jobs(ctx: &Context) -> kube::Result<()> {
    let ours = ListParams::default().labels(LABEL);
    let jobs = ctx.api.jobs.list_metadata(&ours).await?;
    let known = uids(&ctx.cache.runs);
    let stray: Vec<String> = jobs
        .items
        .iter()
        .map(ResourceExt::name_any)
        .filter(|job| names::run_uid_of_job(job).is_some_and(|uid| !known.contains(uid)))
        .collect();
    if stray.is_empty() {
        return Ok(());
    }
    let runs = ctx.api.runs.list_metadata(&ListParams::default()).await?;
    let there: HashSet<String> = runs.items.iter().filter_map(ResourceExt::uid).collect();
    for job in stray {
        if names::run_uid_of_job(&job).is_some_and(|uid| !there.contains(uid)) {
            delete_job(ctx, &job).await?;
        }
    }
    Ok(())
}

/// Deletes Assignments whose run is gone. A worker that has one is told to stop.
async fn orphaned_assignments(ctx: &Context) -> kube::Result<()> {
    let all = ctx.cache.assignments.all();
    let known = |uid: &str| !ctx.cache.runs.group(&of_uid(uid)).is_empty();
    let stray = all.iter().filter(|found| !known(&found.spec.run.uid));
    for stray in stray {
        let run = ctx.api.runs.get_opt(&stray.spec.run.name).await?;
        if run.and_then(|run| run.uid()).as_ref() != Some(&stray.spec.run.uid) {
            ctx.metrics.wrote(Verb::Delete, "assignments");
            delete(&ctx.api.assignments, stray.as_ref()).await?;
        }
    }
    Ok(())
}

/// Remembers a run that was deleted while its build goes on: its check run is not known otherwise.
pub fn note_deleted(ctx: &Context, run: &Arc<BuilderRun>) {
    let owner = &run.spec.pr_build;
    let build = ctx.cache.builds.get(&owner.name);
    let build = build.filter(|build| build.uid().as_ref() == Some(&owner.uid));
    if build.is_some_and(|build| completed(&build).is_none()) {
        let builder = run.spec.task.builder.clone();
        ctx.live_builds.update(&owner.uid, |live| {
            live.deleted.insert(builder, run.clone());
        });
    }
}

/// A run was deleted from outside: its Job goes, and its build hears of it.
pub async fn after_run_deleted(ctx: &Arc<Context>, run: &BuilderRun) -> kube::Result<()> {
    let uid = run.uid().unwrap_or_default();
    ctx.live.forget(&uid);
    ctx.queues.builds.add(&run.spec.pr_build.name);
    ctx.admission.wake();
    if phase_of(run).is_terminal() {
        // With its build gone as well nobody looks at its pod any more.
        return match is_orphan(ctx, run) && run.spec.task.worker.is_none() {
            true => delete_job(ctx, &names::job_name(&uid)).await,
            false => Ok(()),
        };
    }
    if is_orphan(ctx, run) {
        // Its build cannot tell any more that it is gone.
        tell::lost(ctx, run);
    }
    keep::deleted(ctx, deleted(run));
    if run.spec.task.worker.is_some() {
        let name = names::assignment_name(&uid);
        return worker::stop_orphan(ctx, &name).await;
    }
    delete_job(ctx, &names::job_name(&uid)).await
}

/// A run as it ended that was deleted before it had: cancelled.
fn deleted(run: &BuilderRun) -> BuilderRun {
    let mut run = run.clone();
    let status = run.status.get_or_insert_default();
    status.phase = RunPhase::Cancelled;
    status.finished_at = Some(now());
    status.outcome = Some(Outcome {
        reason: "its run was deleted".to_owned(),
        ..Outcome::default()
    });
    run
}

/// A build was deleted from outside: its runs find out by themselves.
pub fn after_build_deleted(ctx: &Context, build: &PrBuild) {
    let uid = build.uid().unwrap_or_default();
    ctx.live_builds.forget(&uid);
    for run in ctx.cache.runs.group(&of_build(&uid)) {
        ctx.queues.runs.add(&run.name_any());
    }
}

async fn delete_job(ctx: &Context, name: &str) -> kube::Result<()> {
    ctx.metrics.wrote(Verb::Delete, "jobs");
    let how = DeleteParams::foreground();
    match ctx.api.jobs.delete(name, &how).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => deleted.map(|_| ()),
    }
}

/// Deletes exactly this object: one of the same name that was made anew stays.
async fn delete<K>(api: &Api<K>, object: &K) -> kube::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let exactly = DeleteParams {
        preconditions: Some(Preconditions {
            uid: object.uid(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(&object.name_any(), &exactly).await {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        deleted => deleted.map(|_| ()),
    }
}

#[cfg(test)]
#[path = "housekeeping_tests.rs"]
mod tests;
