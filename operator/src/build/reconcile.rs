//! What a build needs next, in named steps: dispatch, new attempts, its status.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crds::{
    BuildPhase, Builder, BuilderRun, PrBuild, PrBuildStatus,
    condition::{self, kind},
    names,
};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{ResourceExt, runtime::events::EventType};
use tokio::time::Instant;

use super::{
    dispatch::{self, Materials},
    summary::{self, Summary, summarize},
};
use crate::{
    api,
    cache::version_of,
    context::{Context, LiveBuild, now, of_build, patch_status, trim, trim_run},
    health,
    queue::Next,
    report::text,
    run::tell,
};

/// The first status of a build is written this long after its first look, so that what happens at
/// once takes one write.
const FIRST_WRITE_AFTER: Duration = Duration::from_millis(300);
/// Later ones come at most this often.
const WRITE_EVERY: Duration = Duration::from_secs(2);
/// A complete build waits this long for its comment and label, to be written once.
const TALK_PATIENCE: Duration = Duration::from_secs(1);
/// Runs that are created at a time.
const CREATES_AT_A_TIME: usize = 16;

/// Why a build could not be brought further. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A run could not be created.
    #[error("run {run} of build {build} could not be created: {source}")]
    Create {
        /// The build.
        build: String,
        /// The run.
        run: String,
        /// Why.
        source: kube::Error,
    },
    /// Another object stands where a run should be.
    #[error(
        "run {run} exists already and belongs to another build than {build}; it goes when that one is collected"
    )]
    Foreign {
        /// The build.
        build: String,
        /// The run.
        run: String,
    },
    /// The status could not be written.
    #[error("the status of build {build} could not be written: {source}")]
    Status {
        /// The build.
        build: String,
        /// Why.
        source: kube::Error,
    },
}

/// Brings one build further.
pub async fn reconcile(ctx: Arc<Context>, name: String) -> Result<Next, BuildError> {
    let Some(build) = ctx.cache.builds.get(&name) else {
        return Ok(Next::Wait);
    };
    let uid = build.uid().unwrap_or_default();
    let status = build.status.clone().unwrap_or_default();
    let live = ctx.live_builds.update(&uid, |live| live.clone());
    if !live.dispatched && !condition::is_true(&status.conditions, kind::DISPATCHED) {
        dispatch(&ctx, &build).await?;
        ctx.live_builds.update(&uid, |live| live.dispatched = true);
    }
    if !live.talked && !is_talked(&status) {
        ctx.queues.talks.add_new(&name);
    }
    if status.phase != BuildPhase::Complete {
        try_again(&ctx, &build).await?;
    }
    if !condition::is_true(&status.conditions, kind::REPORTED) {
        tell_missing(&ctx, &build);
    }
    if build.spec.cancel.is_some() {
        stop_runs(&ctx, &uid);
    }
    write_status(&ctx, &build, &status).await
}

/// Whether what is to be said on the pull request at the start was said.
pub(super) fn is_talked(status: &PrBuildStatus) -> bool {
    [kind::ANNOUNCED, kind::LABEL_REMOVED]
        .iter()
        .all(|kind| condition::find(&status.conditions, kind).is_some_and(is_settled))
}

/// A condition that holds, or that will not come to hold.
fn is_settled(found: &Condition) -> bool {
    found.status == "True"
        || ["NotNeeded", "Refused", "AddedAgain"].contains(&found.reason.as_str())
}

/// Creates the first attempt of every builder. Doing it twice meets the runs of the first time.
async fn dispatch(ctx: &Context, build: &PrBuild) -> Result<(), BuildError> {
    let builders = ctx.cache.builders.all();
    let names = build.spec.request.builders.iter();
    let runs: Vec<BuilderRun> = with_materials(ctx, build, |from| {
        names
            .map(|name| dispatch::first_attempt(from, name, usable(name, &builders)))
            .collect()
    });
    stream::iter(runs)
        .map(|run| create(ctx, build, run))
        .buffer_unordered(CREATES_AT_A_TIME)
        .try_collect::<()>()
        .await
}

/// The builder of this name, or why it cannot run anything.
fn usable<'a>(name: &str, builders: &'a [Arc<Builder>]) -> Result<&'a Builder, String> {
    let builder = builders.iter().find(|builder| builder.name_any() == name);
    let builder = builder.ok_or_else(|| dispatch::gone(name))?;
    health::builder::validate(builder, builders).map_err(|invalid| invalid.to_string())?;
    Ok(builder)
}

async fn create(ctx: &Context, build: &PrBuild, run: BuilderRun) -> Result<(), BuildError> {
    let name = run.name_any();
    ctx.metrics.wrote("builderruns");
    let created = match api::create(&ctx.api.runs, &run).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            ctx.api.runs.get(&name).await
        }
        Err(kube::Error::Api(status)) if status.is_invalid() => {
            // What was asked for is answered, also when it cannot run.
            let run = dispatch::not_taken(run, &status.message);
            api::create(&ctx.api.runs, &run).await
        }
        created => created,
    };
    let created = created.map_err(|source| BuildError::Create {
        build: build.name_any(),
        run: name.clone(),
        source,
    })?;
    if Some(&created.spec.pr_build.uid) != build.uid().as_ref() {
        return Err(BuildError::Foreign {
            build: build.name_any(),
            run: name,
        });
    }
    ctx.cache
        .runs
        .learn(&name, version_of(&created), trim_run(created));
    ctx.queues.runs.add(&name);
    Ok(())
}

/// Creates the next attempt of every run that failed for reasons of the infrastructure.
async fn try_again(ctx: &Context, build: &PrBuild) -> Result<(), BuildError> {
    let uid = build.uid().unwrap_or_default();
    let runs = ctx.cache.runs.group(&of_build(&uid));
    let attempts = note_attempts(ctx, build, &uid, &runs);
    for run in summary::speaking(&runs, &attempts).values() {
        if summary::is_retried(run, build.spec.cancel.is_some()) {
            // In full: steps of ended runs are not kept in memory, and the same steps run again.
            let failed = ctx.api.runs.get_opt(&run.name_any()).await;
            let failed = failed.map_err(|source| BuildError::Create {
                build: build.name_any(),
                run: run.name_any(),
                source,
            })?;
            if let Some(failed) = failed {
                create(ctx, build, dispatch::next_attempt(build, &failed)).await?;
            }
        }
    }
    Ok(())
}

/// Notes the highest attempt that was made for each builder, and answers with all of them.
fn note_attempts(
    ctx: &Context,
    build: &PrBuild,
    uid: &str,
    runs: &[Arc<BuilderRun>],
) -> HashMap<String, i64> {
    let written = build.status.iter().flat_map(|status| &status.results);
    let written = written.map(|one| (one.builder.clone(), one.attempt));
    let seen = runs
        .iter()
        .map(|run| (run.spec.task.builder.clone(), run.spec.attempt));
    ctx.live_builds.update(uid, |live| {
        for (builder, attempt) in written.chain(seen) {
            let highest = live.attempts.entry(builder).or_insert(attempt);
            *highest = attempt.max(*highest);
        }
        live.attempts.clone()
    })
}

/// A run that somebody deleted is a cancelled run, and its status must not stay pending.
fn tell_missing(ctx: &Arc<Context>, build: &PrBuild) {
    let uid = build.uid().unwrap_or_default();
    let runs = ctx.cache.runs.group(&of_build(&uid));
    let attempts = note_attempts(ctx, build, &uid, &runs);
    let runs = summary::speaking(&runs, &attempts);
    for name in build
        .spec
        .request
        .builders
        .iter()
        .filter(|name| !runs.contains_key(*name))
    {
        let new = ctx.live_builds.update(&uid, |live| {
            let new = !live.missing_told.contains_key(name);
            live.missing_told.entry(name.clone()).or_insert(false);
            new
        });
        if new {
            tell::deleted(
                ctx,
                build,
                &with_materials(ctx, build, |from| {
                    let builder = ctx.cache.builders.get(name);
                    dispatch::first_attempt(
                        from,
                        name,
                        builder.as_deref().ok_or_else(|| dispatch::gone(name)),
                    )
                }),
            );
        }
    }
}

/// Calls with what the runs of a build are made from.
fn with_materials<R>(ctx: &Context, build: &PrBuild, make: impl FnOnce(&Materials<'_>) -> R) -> R {
    let request = &build.spec.request;
    let repository = ctx.cache.repositories.get(&request.repository.name);
    let connection = repository
        .as_ref()
        .and_then(|found| ctx.connections.get(&found.spec.connection));
    let clone_url =
        connection.map(|connection| connection.clone_url(&request.repository.full_name));
    make(&Materials {
        build,
        repository: repository.as_deref(),
        clone_url: clone_url.as_deref().unwrap_or_default(),
    })
}

/// Lets every run see that its build was cancelled.
fn stop_runs(ctx: &Context, uid: &str) {
    for run in ctx.cache.runs.group(&of_build(uid)) {
        // Also those that ended and were to be tried again: now they are final.
        ctx.queues.runs.add(&run.name_any());
    }
}

/// Writes the status, if it changed and its time has come.
async fn write_status(
    ctx: &Context,
    build: &PrBuild,
    old: &PrBuildStatus,
) -> Result<Next, BuildError> {
    let uid = build.uid().unwrap_or_default();
    let runs = ctx.cache.runs.group(&of_build(&uid));
    let live = ctx.live_builds.update(&uid, |live| live.clone());
    let sum = summarize(build, &runs, &live.attempts, &live.missing_told);
    let new = status(build, old, &sum, &runs, &live);
    if new == *old {
        return Ok(Next::Wait);
    }
    let due = due(&live, sum.result.is_some(), is_talked(&new));
    if due > Instant::now() {
        return Ok(Next::After(due - Instant::now()));
    }
    let patch = changed(old, &new);
    ctx.metrics.wrote("prbuilds");
    let patched = patch_status(&ctx.api.builds, build, patch).await;
    let patched = match patched {
        Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => {
            return Ok(Next::Wait);
        }
        patched => patched.map_err(|source| BuildError::Status {
            build: build.name_any(),
            source,
        })?,
    };
    ctx.cache
        .builds
        .learn(&build.name_any(), version_of(&patched), trim(patched));
    ctx.live_builds
        .update(&uid, |live| live.written = Some(Instant::now()));
    tell_story(ctx, build, old, &new).await;
    Ok(Next::Wait)
}

/// When a changed status is to be written.
fn due(live: &LiveBuild, complete: bool, talked: bool) -> Instant {
    match (complete, talked) {
        (true, true) => Instant::now(),
        (true, false) => live.written.unwrap_or(live.seen) + TALK_PATIENCE,
        (false, _) => match live.written {
            Some(written) => written + WRITE_EVERY,
            None => live.seen + FIRST_WRITE_AFTER,
        },
    }
}

fn status(
    build: &PrBuild,
    old: &PrBuildStatus,
    sum: &Summary,
    runs: &[Arc<BuilderRun>],
    live: &LiveBuild,
) -> PrBuildStatus {
    let conditions = conditions(build, old, sum, live);
    if old.phase == BuildPhase::Complete {
        // Its runs are collected after a while; what they said stays.
        return PrBuildStatus {
            conditions,
            ..old.clone()
        };
    }
    let created = build.creation_timestamp().map(|time| time.0);
    PrBuildStatus {
        phase: match (sum.result, &build.spec.cancel) {
            (Some(_), _) => BuildPhase::Complete,
            (None, Some(_)) => BuildPhase::Cancelling,
            (None, None) => BuildPhase::Running,
        },
        result: sum.result,
        counts: sum.counts,
        short_sha: names::short_sha(&build.spec.request.head_sha),
        summary: sum.line.clone(),
        reason: reason(build, runs),
        completed_at: sum.result.map(|_| sum.finished.map_or_else(now, Time)),
        duration: created
            .zip(sum.finished)
            .and_then(|(from, to)| text::between(from, to)),
        results: sum.results.clone(),
        conditions,
        comment_id: old.comment_id,
    }
}

/// Why it ended as it did: the cancellation, else the first error.
fn reason(build: &PrBuild, runs: &[Arc<BuilderRun>]) -> Option<String> {
    if let Some(cancel) = &build.spec.cancel {
        return Some(format!("cancelled by {}: {}", cancel.by, cancel.reason));
    }
    let last = summary::last_attempts(runs);
    let errors = last
        .values()
        .filter(|run| summary::phase_of(run) == crds::RunPhase::Error);
    let first = errors
        .filter_map(|run| run.status.as_ref()?.outcome.as_ref())
        .next();
    first.map(|outcome| outcome.reason.clone())
}

fn conditions(
    build: &PrBuild,
    old: &PrBuildStatus,
    sum: &Summary,
    live: &LiveBuild,
) -> Vec<Condition> {
    let mut all = old.conditions.clone();
    let total = build.spec.request.builders.len();
    let dispatched = format!("{total} runs were made");
    condition::set(
        &mut all,
        kind::DISPATCHED,
        true,
        "RunsExist",
        &dispatched,
        now(),
    );
    for said in &live.said {
        condition::set(
            &mut all,
            said.kind,
            said.holds,
            said.reason,
            &said.message,
            now(),
        );
    }
    let reported = condition::is_true(&old.conditions, kind::REPORTED);
    if sum.result.is_some() && !reported {
        let (reason, message) = match &sum.untold {
            None => (
                "AllTaken",
                "GitHub has the result of every builder".to_owned(),
            ),
            Some(why) => (
                "Waiting",
                format!("GitHub has not taken every result yet: {why}"),
            ),
        };
        condition::set(
            &mut all,
            kind::REPORTED,
            sum.untold.is_none(),
            reason,
            &message,
            now(),
        );
    }
    all
}

/// A merge patch of what changed. A field that is gone becomes null.
fn changed(old: &PrBuildStatus, new: &PrBuildStatus) -> serde_json::Value {
    let object = |status: &PrBuildStatus| match serde_json::to_value(status) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (old, mut new) = (object(old), object(new));
    let gone: Vec<String> = old
        .keys()
        .filter(|field| !new.contains_key(*field))
        .cloned()
        .collect();
    new.retain(|field, value| old.get(field) != Some(value));
    new.extend(
        gone.into_iter()
            .map(|field| (field, serde_json::Value::Null)),
    );
    serde_json::Value::Object(new)
}

/// The Events of a build: that it began, and how it ended.
async fn tell_story(ctx: &Context, build: &PrBuild, old: &PrBuildStatus, new: &PrBuildStatus) {
    let request = &build.spec.request;
    let began = |status: &PrBuildStatus| condition::is_true(&status.conditions, kind::DISPATCHED);
    let completes = new.phase == BuildPhase::Complete && old.phase != BuildPhase::Complete;
    let mut beginning = String::new();
    if began(new) && !began(old) {
        let by = &request.trigger.user.login;
        let builders = request.builders.len();
        beginning = format!("@{by} asked for {builders} builders on {}", new.short_sha);
        // What begins and ends at once is told at once.
        if !completes {
            let note = std::mem::take(&mut beginning);
            ctx.event(build, EventType::Normal, "Dispatched", note)
                .await;
        }
    }
    for said in &new.conditions {
        let before = condition::find(&old.conditions, &said.type_);
        let news = before.is_none_or(|before| before.message != said.message);
        if said.status == "False" && said.reason == "Refused" && news {
            ctx.event(build, EventType::Warning, &said.type_, said.message.clone())
                .await;
        }
    }
    if completes {
        ctx.metrics.completed(new);
        let took = new.duration.as_deref();
        let took = took.map(|took| format!(" in {took}")).unwrap_or_default();
        let before = if beginning.is_empty() { "" } else { ": " };
        let note = format!("{beginning}{before}{}{took}", new.summary);
        ctx.event(build, EventType::Normal, "Complete", note).await;
    }
}
