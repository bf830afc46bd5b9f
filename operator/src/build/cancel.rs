//! Writes PrBuild's own word into runs: `spec.cancel` of BuilderRuns, which only the operator writes.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, Cancel, PrBuild};
use futures::{StreamExt, stream};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    stop,
    summary::{self, phase_of},
};
use crate::{
    admission::twin,
    cache::version_of,
    context::{Context, now, of_pull_request, of_status, trim_run},
    metrics::Verb,
};

/// Writes that are under way at a time.
const AT_A_TIME: usize = 16;
/// Pause before a run that could not be written to is looked at again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Cancels runs, whatever their phase. One that could not be written to is cancelled when it or its build
/// is looked at again.
pub async fn runs(ctx: &Context, runs: &[Arc<BuilderRun>], word: &Cancel) {
    let unheard = runs.iter().filter(|run| run.spec.cancel.is_none());
    stream::iter(unheard)
        .for_each_concurrent(AT_A_TIME, |run| one(ctx, run, word))
        .await;
}

async fn one(ctx: &Context, run: &BuilderRun, word: &Cancel) {
    let name = run.name_any();
    let patch = json!({ "metadata": { "uid": run.uid() }, "spec": { "cancel": word } });
    let (how, patch) = (PatchParams::default(), Patch::Merge(patch));
    ctx.metrics.wrote(Verb::Patch, "builderruns");
    match ctx.api.runs.patch(&name, &how, &patch).await {
        Ok(patched) => {
            let version = version_of(&patched);
            ctx.cache.runs.learn(&name, version, trim_run(patched));
            ctx.queues.runs.add(&name);
        }
        Err(error) => {
            tracing::warn!(run = name, %error, "a run could not be cancelled yet");
            // Whoever wanted it looks again: a run or a build soon, admission in its next pass.
            ctx.queues.runs.add_after(&name, AGAIN_AFTER);
            let build = &run.spec.pr_build.name;
            ctx.queues.builds.add_after(build, AGAIN_AFTER);
        }
    }
}

/// Stops a build of which there is a newer one of another commit of its pull request: every run that
/// has not ended, or would be tried again.
pub async fn by_newer_build(ctx: &Context, build: &PrBuild, of_build: &[Arc<BuilderRun>]) {
    let others = ctx.cache.builds.group(&of_pull_request(build));
    if others.len() < 2 {
        return;
    }
    let mut open = of_build.to_vec();
    open.retain(|run| {
        let over = stop::is_over(build, &run.spec.task.builder);
        run.spec.cancel.is_none()
            && (!phase_of(run).is_terminal() || summary::is_retried(run, over))
    });
    if open.is_empty() || !is_on(ctx, build) {
        return;
    }
    if let Some(newer) = stop::newer(build, others.iter().map(Arc::as_ref)) {
        runs(ctx, &open, &stop::by_newer_build(newer, now())).await;
    }
}

/// Whether a newer build stops older ones.
fn is_on(ctx: &Context, build: &PrBuild) -> bool {
    let repository = &build.spec.request.repository.name;
    let repository = ctx.cache.repositories.get(repository);
    repository.is_none_or(|repository| repository.spec.cancel_on.newer_build)
}

/// Lets the older builds of a pull request see that there is a new one, and stops the runs of older
/// builds that speak for the same statuses as its runs and do something else.
pub async fn by_new_runs(ctx: &Context, build: &PrBuild, new: &[Arc<BuilderRun>]) {
    let order = stop::order(build);
    for other in ctx.cache.builds.group(&of_pull_request(build)) {
        if stop::order(&other) < order {
            ctx.queues.builds.add(&other.name_any());
        }
    }
    for run in new.iter().filter(|run| run.spec.task.invalid.is_none()) {
        let mut older = ctx.cache.runs.group(&of_status(run));
        older.retain(|other| {
            let of = ctx.cache.builds.get(&other.spec.pr_build.name);
            let is_older = of.is_some_and(|of| {
                let over = stop::is_over(&of, &other.spec.task.builder);
                let open = !phase_of(other).is_terminal() || summary::is_retried(other, over);
                let origin = |name: &str| ctx.cache.builds.get(name).map(|it| stop::order(&it));
                open && stop::takes_the_place(build, &of, origin)
            });
            is_older && !twin::is_same(other, run)
        });
        if !older.is_empty() {
            runs(ctx, &older, &stop::by_newer_run(run, now())).await;
        }
    }
}
