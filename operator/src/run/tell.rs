//! Telling GitHub about a run, through the reporter.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, Outcome, PrBuild, RunPhase, Waiting};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    context::{Context, Telling, of_status},
    report::{Order, Sent, Target, desired},
};

/// Tells that a run waits or starts, with its place in the queue.
pub fn pending(ctx: &Context, run: &BuilderRun, waiting: Option<&Waiting>) {
    let order = order(ctx, run);
    let mut run = run.clone();
    let status = run.status.get_or_insert_default();
    status.phase = if waiting.is_some() {
        RunPhase::Queued
    } else {
        RunPhase::Dispatched
    };
    status.waiting = waiting.cloned();
    say(ctx, &run, order, false);
}

/// Tells that a run ended in error and another attempt follows.
pub fn retried(ctx: &Context, ended: &BuilderRun) {
    // It speaks for the attempt that follows, which waits now.
    say(ctx, ended, order(ctx, ended).next_attempt(), true);
}

/// `report.sent` where GitHub will never take a state, or another run speaks.
const SETTLED: &str = "settled";

/// Tells that the runs of a builder were deleted before they ended; `run` stands for them. Their
/// build comes back to its queue when GitHub has answered.
pub fn deleted(ctx: &Arc<Context>, build: &PrBuild, run: &BuilderRun) {
    let mut run = run.clone();
    let status = run.status.get_or_insert_default();
    status.phase = RunPhase::Cancelled;
    status.outcome = Some(Outcome {
        reason: "its run was deleted".to_owned(),
        ..Outcome::default()
    });
    let (builder, uid) = (
        run.spec.task.builder.clone(),
        build.uid().unwrap_or_default(),
    );
    let (Some(target), Some(said)) = (target(ctx, &run), desired(&run, false)) else {
        return;
    };
    // Whatever attempts there were, none speaks after this.
    let last = Order {
        attempt: i64::MAX,
        ..order(ctx, &run)
    };
    if is_overtaken(ctx, &run, &last) {
        ctx.live_builds
            .update(&uid, |live| live.missing_told.insert(builder, true));
        return ctx.queues.builds.add(&build.name_any());
    }
    let ticket = ctx.reporter.tell(target, last, said);
    let (ctx, name) = (ctx.clone(), build.name_any());
    tokio::spawn(async move {
        ticket.await;
        ctx.live_builds
            .update(&uid, |live| live.missing_told.insert(builder, true));
        ctx.queues.builds.add(&name);
    });
}

/// Tells that a run was deleted together with its build.
pub fn lost(ctx: &Context, run: &BuilderRun) {
    let mut run = run.clone();
    let status = run.status.get_or_insert_default();
    status.phase = RunPhase::Cancelled;
    status.outcome = Some(Outcome {
        reason: "its build was deleted".to_owned(),
        ..Outcome::default()
    });
    say(ctx, &run, order(ctx, &run), false);
}

/// Tells what nobody waits for.
fn say(ctx: &Context, run: &BuilderRun, order: Order, retried: bool) {
    if is_overtaken(ctx, run, &order) {
        return;
    }
    if let Some(target) = target(ctx, run)
        && let Some(said) = desired(run, retried)
    {
        drop(ctx.reporter.tell(target, order, said));
    }
}

/// What became of telling a final state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is settled; this is to be recorded.
    Recorded(String),
    /// GitHub has not answered yet; the run comes back to its queue when it has.
    Later,
    /// There is nobody to tell, and why. They may come back.
    Nowhere(String),
}

/// Tells how a run ended, and waits for GitHub's answer no longer than `patience`.
pub async fn finished(ctx: &Arc<Context>, run: &BuilderRun, patience: Duration) -> Told {
    let uid = run.uid().unwrap_or_default();
    let order = match was_to_be_tried_again(run) {
        // The attempt that does not come was announced: this speaks in its place.
        true => order(ctx, run).next_attempt(),
        false => order(ctx, run),
    };
    let settled = || Told::Recorded(SETTLED.to_owned());
    let Some(said) = desired(run, false) else {
        return settled();
    };
    if is_overtaken(ctx, run, &order) {
        return settled();
    }
    let Some(target) = target(ctx, run) else {
        // A connection may be mounted anew, a Repository applied again, as long as the build is there.
        let there = ctx.cache.builds.get(&run.spec.pr_build.name).is_some();
        let why = format!(
            "the Repository `{}` or its connection is gone",
            run.spec.task.repository
        );
        return if there { Told::Nowhere(why) } else { settled() };
    };
    let ticket = ctx.reporter.tell(target, order, said);
    ctx.live.update(&uid, |live| live.telling = Telling::Asked);
    let (name, later) = (run.name_any(), ctx.clone());
    let mut answer = tokio::spawn(async move {
        let sent = recorded(ticket.await);
        later
            .live
            .update(&uid, |live| live.telling = Telling::Done(sent.clone()));
        later.queues.runs.add(&name);
        sent
    });
    let Ok(_permit) = ctx.patience.try_acquire() else {
        return Told::Later;
    };
    match tokio::time::timeout(patience, &mut answer).await {
        Ok(Ok(sent)) => Told::Recorded(sent),
        Ok(Err(_)) | Err(_) => Told::Later,
    }
}

/// Whether GitHub was told that another attempt follows this run.
fn was_to_be_tried_again(run: &BuilderRun) -> bool {
    let status = run.status.clone().unwrap_or_default();
    let retryable = status.outcome.is_some_and(|outcome| outcome.retryable);
    retryable
        && status
            .report
            .is_some_and(|report| report.sent.as_deref() == Some("pending"))
}

/// Why GitHub has not taken the state of a run yet, where it is being tried.
pub fn trouble(ctx: &Context, run: &BuilderRun) -> Option<String> {
    ctx.reporter.trouble(&target(ctx, run)?)
}

/// What `report.sent` says.
fn recorded(sent: Sent) -> String {
    match sent {
        Sent::Taken(state) => state.word().to_owned(),
        Sent::Settled(_) | Sent::Superseded => SETTLED.to_owned(),
    }
}

/// The status that a run speaks for; none when its Repository or connection is gone.
fn target(ctx: &Context, run: &BuilderRun) -> Option<Target> {
    let task = &run.spec.task;
    let repository = ctx.cache.repositories.get(&task.repository)?;
    ctx.connections.get(&repository.spec.connection)?;
    let now_called = repository
        .status
        .as_ref()
        .and_then(|status| status.full_name.as_deref());
    let (owner, name) = now_called
        .unwrap_or(&task.source.repository)
        .split_once('/')?;
    Some(Target {
        connection: repository.spec.connection.clone(),
        owner: owner.to_owned(),
        name: name.to_owned(),
        sha: task.source.head_sha.clone(),
        context: task.context.clone(),
    })
}

fn order(ctx: &Context, run: &BuilderRun) -> Order {
    let build = ctx.cache.builds.get(&run.spec.pr_build.name);
    let created = build.and_then(|build| build.creation_timestamp());
    let created = created.or_else(|| run.creation_timestamp());
    Order {
        build_created: created.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        build: run.spec.pr_build.name.clone(),
        attempt: run.spec.attempt,
    }
}

/// Whether a newer build speaks for the same status: then this one says nothing more.
fn is_overtaken(ctx: &Context, run: &BuilderRun, own: &Order) -> bool {
    let others = ctx.cache.runs.group(&of_status(run));
    others
        .iter()
        .any(|other| other.spec.pr_build.uid != run.spec.pr_build.uid && order(ctx, other) > *own)
}
