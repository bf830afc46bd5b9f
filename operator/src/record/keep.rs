//! When a run or a build is put on record: once it has ended, until the gateway has stored it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crds::{
    BuildPhase, BuilderRun, PrBuild, PrBuildStatus,
    condition::{self, kind},
};
use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt, runtime::events::EventType};

use super::{
    RecordError, Recorder,
    build::{self, Complete},
    run::{self, Around},
};
use crate::{
    build::summary::Summary,
    context::{Context, Said},
};

/// What is not on record after this long never will be: its objects go.
pub const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// After a restart, histories are told again of what ended this short a time ago.
const TOLD_AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// Pause before a record is sent again that the gateway refuses as it is.
const REFUSED: Duration = Duration::from_secs(600);
/// How long an answer is waited for where nobody else waits.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The least pause before another try.
const SOON: Duration = Duration::from_secs(1);

/// Tries for a run whose object is gone, and so cannot remember that it is not on record.
const TRIES_WITHOUT_OBJECT: u32 = 5;

/// Whether something is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is stored.
    Stored,
    /// It has to be sent again after this time.
    Later(Duration),
    /// There is no gateway, and nothing is kept.
    NoGateway,
}

/// Puts a run that has ended on record; gives up after `patience`.
pub async fn run(ctx: &Context, run: &BuilderRun, followed: bool, patience: Duration) -> Kept {
    let Some(recorder) = &ctx.recorder else {
        return Kept::NoGateway;
    };
    let around = Around {
        followed,
        same_as: same_as(ctx, run),
    };
    let record = run::record(run, around);
    let sent = tokio::time::timeout(patience, recorder.send_run(&record)).await;
    match sent {
        Ok(Ok(())) => {
            recorder.remember_run(run);
            Kept::Stored
        }
        Ok(Err(error)) => refused(ctx, recorder, run, &error).await,
        Err(_) => Kept::Later(SOON),
    }
}

/// The same, of a run as the cache knows it, which does not keep all of what has ended.
pub async fn run_again(
    ctx: &Context,
    known: &BuilderRun,
    followed: bool,
    patience: Duration,
) -> kube::Result<Kept> {
    let Some(recorder) = &ctx.recorder else {
        return Ok(Kept::NoGateway);
    };
    if let Some(wait) = recorder.away_for() {
        return Ok(Kept::Later(wait));
    }
    let task = &known.spec.task;
    if task.kubernetes.is_some() || task.worker.is_some() || task.invalid.is_some() {
        return Ok(run(ctx, known, followed, patience).await);
    }
    let whole = ctx.api.runs.get_opt(&known.name_any()).await?;
    Ok(match whole.filter(|whole| whole.uid() == known.uid()) {
        Some(whole) => run(ctx, &whole, followed, patience).await,
        None => Kept::Later(SOON),
    })
}

/// Sees to it that histories tell of a run that is on record.
pub fn remember(ctx: &Context, run: &BuilderRun) {
    let status = run.status.as_ref();
    let finished = status.and_then(|status| status.finished_at.as_ref());
    let lately = finished.is_some_and(|at| Timestamp::now().duration_since(at.0) < TOLD_AGAIN);
    if let Some(recorder) = ctx.recorder.as_ref().filter(|_| lately) {
        recorder.remember_run(run);
    }
}

/// Puts a run on record that was deleted before it ended: `ended` says how. Its page must not wait for
/// ever.
pub fn deleted(ctx: &Arc<Context>, ended: BuilderRun) {
    if ctx.recorder.is_none() {
        return;
    }
    let ctx = ctx.clone();
    tokio::spawn(async move {
        for _ in 0..TRIES_WITHOUT_OBJECT {
            match run(&ctx, &ended, false, PATIENCE).await {
                Kept::Later(wait) => tokio::time::sleep(wait).await,
                Kept::Stored | Kept::NoGateway => return,
            }
        }
    });
}

/// Puts a build on record whose builders all have a result, gives up after `patience`, and notes the
/// condition that says so. None: nothing is left to do.
pub async fn build(
    ctx: &Context,
    build: &PrBuild,
    sum: &Summary,
    speaking: &BTreeMap<String, Arc<BuilderRun>>,
    patience: Duration,
) -> Option<Duration> {
    let recorder = ctx.recorder.as_ref()?;
    sum.result?;
    let uid = build.uid().unwrap_or_default();
    let status = build.status.clone().unwrap_or_default();
    let (said, history_told) = ctx.live_builds.update(&uid, |live| {
        let mut said = live.said.iter();
        let said = said.any(|said| said.kind == kind::RECORDED && said.holds);
        (said, live.history_told)
    });
    let stored = said || condition::is_true(&status.conditions, kind::RECORDED);
    if stored && history_told {
        return None;
    }
    let sum = known_end(&status, sum);
    let ago = sum
        .finished
        .map(|finished| Timestamp::now().duration_since(finished));
    let limit = if stored { TOLD_AGAIN } else { GIVEN_UP_AFTER };
    if ago.is_some_and(|ago| ago > limit) {
        return None;
    }
    let record = build::record(
        &Complete {
            build,
            sum: &sum,
            speaking,
            web: &web(ctx, build),
        },
        |name| ctx.cache.builders.get(name),
    );
    if !stored {
        match tokio::time::timeout(patience, recorder.send_build(&record)).await {
            Ok(Ok(())) => say(ctx, &uid, true, "Stored", "the gateway has its record"),
            Ok(Err(error)) => {
                if !matches!(error, RecordError::Away(_)) {
                    say(ctx, &uid, false, "NotStored", &error.to_string());
                }
                return Some(after(recorder, &error));
            }
            Err(_) => return Some(SOON),
        }
    }
    recorder.remember_build(&record);
    ctx.live_builds
        .update(&uid, |live| live.history_told = true);
    None
}

/// Whether nothing more of a run has to be put on record before it goes.
pub fn run_is_kept(
    ctx: &Context,
    run: &BuilderRun,
    build: Option<&PrBuild>,
    now: Timestamp,
) -> bool {
    let status = run.status.clone().unwrap_or_default();
    let finished = status.finished_at.map(|time| time.0);
    let given_up = finished.is_none_or(|finished| now > finished + GIVEN_UP_AFTER);
    // What the record of its build says of it is read from the run.
    let build_is_kept = build
        .and_then(|build| build.status.as_ref())
        .is_none_or(|status| condition::is_true(&status.conditions, kind::RECORDED));
    ctx.recorder.is_none() || given_up || (status.recorded && build_is_kept)
}

/// Of a build that has been complete for a while the runs may be gone: how it ended stands in its
/// status.
fn known_end(status: &PrBuildStatus, sum: &Summary) -> Summary {
    if status.phase != BuildPhase::Complete {
        return sum.clone();
    }
    Summary {
        counts: status.counts,
        results: status.results.clone(),
        line: status.summary.clone(),
        result: status.result,
        finished: status.completed_at.as_ref().map(|time| time.0),
        ..sum.clone()
    }
}

/// What a failure means for a run, and who hears of it.
async fn refused(
    ctx: &Context,
    recorder: &Recorder,
    run: &BuilderRun,
    error: &RecordError,
) -> Kept {
    let reason = "NotRecorded";
    if let RecordError::Refused(why) = error {
        let uid = run.uid().unwrap_or_default();
        let told =
            |live: &mut crate::live::LiveRun| std::mem::replace(&mut live.refused_told, true);
        if !ctx.live.update(&uid, told) {
            let note = format!("the gateway does not keep its record: {why}");
            ctx.event(run, EventType::Warning, reason, note).await;
        }
    } else if recorder.is_to_be_told()
        && let Some(repository) = ctx.cache.repositories.get(&run.spec.task.repository)
    {
        let note = format!(
            "results are told on GitHub, but nothing has been put on record for five minutes, and logs may be missing: {error}"
        );
        let about = repository.as_ref();
        ctx.event(about, EventType::Warning, reason, note).await;
    }
    Kept::Later(after(recorder, error))
}

/// When it is worth another try.
fn after(recorder: &Recorder, error: &RecordError) -> Duration {
    match error {
        RecordError::Refused(_) => REFUSED,
        RecordError::Away(wait) => (*wait).max(SOON),
        RecordError::NoAnswer(_) | RecordError::Token(_) => {
            recorder.away_for().unwrap_or(SOON).max(SOON)
        }
    }
}

/// Uid of the run whose outcome this one took over.
fn same_as(ctx: &Context, run: &BuilderRun) -> Option<String> {
    let name = run.status.as_ref()?.same_as.as_ref()?;
    ctx.cache.runs.get(name)?.uid()
}

/// Where GitHub's pages are, as the build's connection knows it.
fn web(ctx: &Context, build: &PrBuild) -> String {
    let repository = ctx
        .cache
        .repositories
        .get(&build.spec.request.repository.name);
    let connection = repository.and_then(|found| ctx.connections.get(&found.spec.connection));
    connection.map_or_else(String::new, |found| found.git_url().to_owned())
}

fn say(ctx: &Context, uid: &str, holds: bool, reason: &'static str, message: &str) {
    ctx.live_builds.update(uid, |live| {
        live.said.retain(|said| said.kind != kind::RECORDED);
        live.said.push(Said {
            kind: kind::RECORDED,
            holds,
            reason,
            message: message.to_owned(),
        });
    });
}
