//! What a build needs next, in named steps: dispatch, new attempts, its status.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crds::{
    BuildPhase, Builder, BuilderRun, PrBuild, PrBuildStatus,
    condition::{self, kind},
    names,
};
use futures::{StreamExt, TryStreamExt, stream};
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    cancel,
    dispatch::{self, Materials},
    repeat,
    status::{changed, due, is_talked, status},
    stop,
    story::tell_story,
    summary::{self, summarize},
    talk,
};
use crate::{
    api,
    cache::version_of,
    context::{Context, of_build, patch_status, trim, trim_run},
    health, journal,
    metrics::Verb,
    queue::Next,
    record::keep,
    run::{self, tell},
};

/// Runs that are created at a time.
const CREATES_AT_A_TIME: usize = 16;

/// The status of a complete build is written with the gateway's answer if that comes this soon.
const RECORD_PATIENCE: Duration = Duration::from_secs(1);

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
    let unwritten = PrBuildStatus::default();
    let status = build.status.as_ref().unwrap_or(&unwritten);
    let (dispatched, talked) = ctx
        .live_builds
        .update(&uid, |live| (live.dispatched, live.talked));
    let mut family = Family::of(&ctx, &build, &uid);
    if !dispatched && !condition::is_true(&status.conditions, kind::DISPATCHED) {
        dispatch(&ctx, &build).await?;
        family = Family::of(&ctx, &build, &uid);
        cancel::by_new_runs(&ctx, &build, &family.runs).await;
        ctx.live_builds.update(&uid, |live| live.dispatched = true);
        journal::dispatched(&build);
    }
    if !talked && !is_talked(status) {
        ctx.queues.talks.add_new(&name);
    }
    if status.phase != BuildPhase::Complete {
        cancel::by_newer_build(&ctx, &build, &family.runs).await;
        if try_again(&ctx, &build, &family).await? {
            family = Family::of(&ctx, &build, &uid);
        }
    }
    if !condition::is_true(&status.conditions, kind::REPORTED) {
        tell_missing(&ctx, &build, &family);
    }
    stop_runs(&ctx, &build, &family.runs);
    write_status(&ctx, &build, status).await
}

/// Creates the first attempt of every builder. Doing it twice meets the runs of the first time.
async fn dispatch(ctx: &Context, build: &PrBuild) -> Result<(), BuildError> {
    let builders = builders_of(ctx, build).await?;
    // Asked only here: once its runs are made, the build that it repeats may be collected.
    let origin = build.spec.request.rerun_of.as_ref();
    let origin = origin.and_then(|name| ctx.cache.builds.get(name));
    let unfounded = repeat::unfounded(build, origin.as_deref());
    let names = build.spec.request.builders.iter();
    let runs: Vec<BuilderRun> = with_materials(ctx, build, |from| {
        names
            .map(|name| {
                let builder = match &unfounded {
                    Some(why) => Err(why.clone()),
                    None => usable(name, &builders),
                };
                dispatch::first_attempt(from, name, builder)
            })
            .collect()
    });
    stream::iter(runs)
        .map(|run| create(ctx, build, run))
        .buffer_unordered(CREATES_AT_A_TIME)
        .try_collect::<()>()
        .await
}

/// All Builders, also those of a build that the watch has not brought yet: that one is gone is believed only from
/// an uncached read.
async fn builders_of(ctx: &Context, build: &PrBuild) -> Result<Vec<Arc<Builder>>, BuildError> {
    let mut all = ctx.cache.builders.all();
    for name in &build.spec.request.builders {
        if all.iter().any(|builder| builder.name_any() == *name) {
            continue;
        }
        let found = match ctx.api.builders.get_opt(name).await {
            // The watch has left it out, too, and said why: it keeps no other builder of the build waiting.
            Err(kube::Error::SerdeError(_)) => None,
            found => found.map_err(|source| BuildError::Create {
                build: build.name_any(),
                run: names::run_name(&build.name_any(), name, 1),
                source,
            })?,
        };
        all.extend(found.map(Arc::new));
    }
    Ok(all)
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
    ctx.metrics.wrote(Verb::Create, "builderruns");
    let created = match ctx.pressure.time(api::create(&ctx.api.runs, &run)).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            ctx.api.runs.get(&name).await
        }
        Err(kube::Error::Api(status)) if status.is_invalid() => {
            // What was asked for is answered, also when it cannot run.
            let run = dispatch::not_taken(run, &status.message);
            ctx.metrics.wrote(Verb::Create, "builderruns");
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
    let version = version_of(&created);
    let created = trim_run(created);
    ctx.cache.runs.learn(&name, version, created.clone());
    ctx.queues.runs.add(&name);
    if created.spec.attempt > 1 {
        // A run of another build may follow this builder's attempts.
        run::tell_followers(ctx, &created);
    }
    Ok(())
}

/// Creates the next attempt of every run that failed for reasons of the infrastructure. Says whether
/// there was one.
async fn try_again(ctx: &Context, build: &PrBuild, family: &Family) -> Result<bool, BuildError> {
    let mut tried = false;
    for run in family.speaking.values() {
        let over = stop::is_over(build, &run.spec.task.builder);
        if !summary::is_retried(run, over) {
            continue;
        }
        // In full: steps of ended runs are not kept in memory, and the same steps run again.
        let failed = ctx.api.runs.get_opt(&run.name_any()).await;
        let failed = failed.map_err(|source| BuildError::Create {
            build: build.name_any(),
            run: run.name_any(),
            source,
        })?;
        if let Some(failed) = failed.filter(|failed| failed.spec.cancel.is_none()) {
            create(ctx, build, dispatch::next_attempt(build, &failed)).await?;
            tried = true;
        }
    }
    Ok(tried)
}

/// The runs of a build.
struct Family {
    /// All that there are.
    runs: Vec<Arc<BuilderRun>>,
    /// Those that speak for their builders.
    speaking: BTreeMap<String, Arc<BuilderRun>>,
}

impl Family {
    /// Looks at the runs of a build, and notes the highest attempt of each builder: one that is missing
    /// was deleted.
    fn of(ctx: &Context, build: &PrBuild, uid: &str) -> Self {
        let runs = ctx.cache.runs.group(&of_build(uid));
        let written = build.status.iter().flat_map(|status| &status.results);
        let written = written.map(|one| (&one.builder, one.attempt));
        let seen = runs
            .iter()
            .map(|run| (&run.spec.task.builder, run.spec.attempt));
        let attempts = ctx.live_builds.update(uid, |live| {
            for (builder, attempt) in written.chain(seen) {
                if live
                    .attempts
                    .get(builder)
                    .is_none_or(|known| *known < attempt)
                {
                    Arc::make_mut(&mut live.attempts).insert(builder.clone(), attempt);
                }
            }
            live.attempts.clone()
        });
        Self {
            speaking: summary::speaking(&runs, &attempts),
            runs,
        }
    }
}

/// A run that somebody deleted is a cancelled run, and its status must not stay pending.
fn tell_missing(ctx: &Arc<Context>, build: &PrBuild, family: &Family) {
    let uid = build.uid().unwrap_or_default();
    let runs = &family.speaking;
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
            tell::deleted(ctx, build, &stand_in(ctx, build, family, name));
        }
    }
}

/// The run that a builder had which has none: as it was when it was deleted, else as it would be made
/// today, and told as the build's status says that it was. Only that of a build whose operator ended
/// before the first write of the status, some 0.3 s after its runs were made, is told as the Repository
/// says today, or as the build's other runs are.
fn stand_in(ctx: &Context, build: &PrBuild, family: &Family, name: &str) -> BuilderRun {
    let uid = build.uid().unwrap_or_default();
    let deleted = ctx
        .live_builds
        .update(&uid, |live| live.deleted.get(name).cloned());
    if let Some(deleted) = deleted {
        return (*deleted).clone();
    }
    let mut run = with_materials(ctx, build, |from| {
        let builder = ctx.cache.builders.get(name);
        let builder = builder.as_deref().ok_or_else(|| dispatch::gone(name));
        dispatch::first_attempt(from, name, builder)
    });
    let (mode, context) = summary::told_as(build, name);
    let other = family.runs.first();
    let task = &mut run.spec.task;
    if let Some(mode) = mode.or_else(|| other.map(|other| other.spec.task.report_mode)) {
        task.report_mode = mode;
    }
    if let Some(context) = context {
        task.context = context;
    }
    run
}

/// Calls with what the runs of a build are made from.
fn with_materials<R>(ctx: &Context, build: &PrBuild, make: impl FnOnce(&Materials<'_>) -> R) -> R {
    let request = &build.spec.request;
    let repository = ctx.cache.repositories.get(&request.repository.name);
    let connection = repository
        .as_ref()
        .and_then(|found| ctx.connections.get(&found.spec.connection));
    let full_name = &request.repository.full_name;
    let clone_url = connection
        .as_ref()
        .map(|connection| connection.clone_url(full_name));
    let (owner, name) = full_name.split_once('/').unwrap_or_default();
    let writes_checks = connection.is_some_and(|found| found.repo(owner, name).writes_checks());
    make(&Materials {
        build,
        repository: repository.as_deref(),
        clone_url: clone_url.as_deref().unwrap_or_default(),
        writes_checks,
    })
}

/// Lets every run see that its build, or its builder in this build, was cancelled.
fn stop_runs(ctx: &Context, build: &PrBuild, runs: &[Arc<BuilderRun>]) {
    for run in runs {
        if stop::is_over(build, &run.spec.task.builder) {
            // Also those that ended and were to be tried again: now they are final.
            ctx.queues.runs.add(&run.name_any());
        }
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
    let (attempts, missing_told) = ctx.live_builds.family(&uid);
    let sum = summarize(build, &runs, &attempts, &missing_told);
    let speaking = summary::speaking(&runs, &attempts);
    let unkept = keep::build(ctx, build, &sum, &speaking, RECORD_PATIENCE).await;
    let next = unkept.map_or(Next::Wait, Next::After);
    let mut live = ctx.live_builds.update(&uid, |live| live.clone());
    if sum.result.is_some() && live.ended.is_none() {
        live.ended = Some(Instant::now());
        ctx.live_builds
            .update(&uid, |known| known.ended = live.ended);
    }
    talk::follow_up(ctx, build, &sum);
    let new = status(build, old, &sum, &runs, &live, ctx.pages.as_ref());
    if new == *old {
        return Ok(next);
    }
    let due = due(&live, talk::is_over(&new), &ctx.pressure);
    if due > Instant::now() {
        return Ok(next.or(Next::After(due - Instant::now())));
    }
    let patch = changed(old, &new);
    ctx.metrics.wrote(Verb::Patch, "prbuilds");
    let patch = patch_status(&ctx.api.builds, build, patch);
    let patched = ctx.pressure.time(patch).await;
    let patched = match patched {
        Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => {
            return Ok(Next::Wait);
        }
        patched => patched.map_err(|source| BuildError::Status {
            build: build.name_any(),
            source,
        })?,
    };
    // The watch tells nothing new of this write. If the answer shows that somebody wrote before it, to
    // stop the build, nobody has looked at that yet.
    if patched.metadata.generation != build.metadata.generation {
        ctx.queues.builds.add(&build.name_any());
    }
    ctx.cache
        .builds
        .learn(&build.name_any(), version_of(&patched), trim(patched));
    ctx.live_builds
        .update(&uid, |live| live.written = Some(Instant::now()));
    tell_story(ctx, build, old, &new).await;
    Ok(next)
}
