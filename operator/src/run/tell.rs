//! Telling GitHub about a run, through the reporter.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, Outcome, PrBuild, ReportMode, RunPhase, Waiting};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub use super::told::{Recorded, Told};

use super::told::{SETTLED, was_to_be_tried_again};
use crate::{
    admission::{self, twin},
    build::{REPOSITORY_LOOKED_FOR_EVERY, nowhere, stop, summary::phase_of},
    context::{Context, LiveRun, of_build, of_status},
    journal::Subject,
    report::{Channel, Order, Sent, Standing, Target, Ticket, check::check_run, desired},
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
    let first = Knowledge::First;
    drop(speak(ctx, &run, order, false, first));
}

/// Tells that a run ended in error and another attempt follows.
pub fn retried(ctx: &Context, ended: &BuilderRun) {
    let uid = ended.metadata.uid.as_deref().unwrap_or_default();
    ctx.live.update(uid, |live| live.retry_told = true);
    // It speaks for the attempt that follows, which waits now.
    say(ctx, ended, order(ctx, ended).next_attempt(), true);
}

/// Runs of one context from which its statuses are counted on GitHub: each has two as a rule, and GitHub
/// takes a thousand.
const MANY_RUNS: usize = 200;

/// `report.sent` while only a pending state was told.
pub const PENDING: &str = "pending";
/// What is recorded while GitHub is silent.
const NO_ANSWER: &str = "GitHub has not answered yet";

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
    let Some(ticket) = speak(ctx, &run, last, false, Knowledge::Later) else {
        // Its Repository or the connection is away: the build tells it anew when they may be back.
        ctx.live_builds
            .update(&uid, |live| live.missing_told.remove(&builder));
        let (queue, name) = (&ctx.queues.builds, build.name_any());
        return queue.add_after(&name, REPOSITORY_LOOKED_FOR_EVERY);
    };
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
    drop(speak(ctx, run, order, retried, Knowledge::Later));
}

/// Whether something may have been told of a run before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    /// Not by this process.
    First,
    /// As far as is known of the run.
    Later,
}

/// Hands to the reporter what a run says; none when it has nothing to say, or nobody to say it to.
fn speak(
    ctx: &Context,
    run: &BuilderRun,
    order: Order,
    retried: bool,
    before: Knowledge,
) -> Option<Ticket> {
    if is_overtaken(ctx, run, &order) {
        return None;
    }
    let order = spoken_order(ctx, run, order);
    let target = target(ctx, run)?;
    let mut said = desired(run, retried)?;
    said.url = page(ctx, run, retried);
    if target.channel == Channel::Status {
        let standing = Standing {
            uncounted: is_uncounted(ctx, run),
            ..Standing::default()
        };
        return Some(ctx.reporter.tell_beside(target, order, said, standing));
    }
    let also = ctx.recorder.as_ref().map(|known| known.also_failed(run));
    let also = also.unwrap_or_default();
    said.check = Some(Arc::new(check_run(run, &said, retried, &also)));
    let standing = standing(ctx, run, before);
    Some(ctx.reporter.tell_beside(target, order, said, standing))
}

/// The page that the *Details* of a run open: where its log is. Of a run that another attempt follows,
/// which is no object yet, that of the build.
fn page(ctx: &Context, run: &BuilderRun, retried: bool) -> Option<String> {
    let pages = ctx.pages.as_ref()?;
    if retried {
        return Some(pages.build(&run.spec.task.repository, &run.spec.pr_build.name));
    }
    let followed = twin::followed(run).and_then(|first| ctx.cache.runs.get(first));
    Some(pages.of_run(followed.as_deref().unwrap_or(run)))
}

/// What the objects and this process know of the check run that stands for a run: its own, that of
/// an attempt before it, or one of another build that still waits.
fn standing(ctx: &Context, run: &BuilderRun, before: Knowledge) -> Standing {
    let (uid, task) = (&run.spec.pr_build.uid, &run.spec.task);
    let report = |run: &BuilderRun| run.status.as_ref()?.report.clone();
    let id = |run: &BuilderRun| report(run).and_then(|report| report.id);
    let waits =
        |run: &BuilderRun| report(run).is_some_and(|it| it.sent.as_deref() == Some("pending"));
    let attempts = ctx.cache.runs.group(&of_build(uid));
    let own = attempts
        .iter()
        .filter(|one| one.spec.task.builder == task.builder);
    let own = id(run).or_else(|| own.filter_map(|one| id(one)).max());
    let others: Vec<Arc<BuilderRun>> = ctx.cache.runs.group(&of_status(run));
    let others = || {
        let all = others.iter().filter(|one| one.spec.pr_build.uid != *uid);
        all.filter(|one| one.spec.task.report_mode == ReportMode::Checks)
    };
    let ended = |found: &i64| others().any(|one| id(one) == Some(*found) && !waits(one));
    let waiting = || others().filter(|one| waits(one));
    let id = own.or_else(|| waiting().filter_map(|one| id(one)).find(|id| !ended(id)));
    let born_here = ctx.live_builds.update(uid, |live| live.born_here);
    let told = || {
        let uid = run.uid().unwrap_or_default();
        before == Knowledge::Later && ctx.live.get(&uid).pending_told
    };
    let nameless = || waiting().any(|one| report(one).is_some_and(|it| it.id.is_none()));
    Standing {
        id,
        unsure: id.is_none() && (!born_here || told() || nameless()),
        uncounted: false,
    }
}

/// Whether the context of a run may have many statuses that this process did not send: of a build
/// that began before it, and where many runs have told of the same.
fn is_uncounted(ctx: &Context, run: &BuilderRun) -> bool {
    let uid = &run.spec.pr_build.uid;
    let born_here = ctx.live_builds.update(uid, |live| live.born_here);
    !born_here || ctx.cache.runs.group(&of_status(run)).len() >= MANY_RUNS
}

/// What is written into `status.report` of a run: what became of telling it, and the id of its check
/// run once there is one.
pub fn report(ctx: &Context, run: &BuilderRun, told: &Told) -> Value {
    let mut report = match told {
        Told::Recorded(recorded) => json!({ "sent": recorded.sent, "error": recorded.refused }),
        Told::Later => {
            let why = trouble(ctx, run).unwrap_or_else(|| NO_ANSWER.to_owned());
            json!({ "sent": null, "error": why })
        }
        Told::Nowhere(why) => json!({ "sent": null, "error": why }),
    };
    if let Some(id) = check_id(ctx, run) {
        report["id"] = id.into();
    }
    report
}

/// What is written into `status.report` of a run that has told that it waits or runs.
pub fn pending_report(ctx: &Context, run: &BuilderRun) -> Value {
    report(ctx, run, &Told::Recorded(Recorded::sent(PENDING)))
}

/// The id of a run's check run, once GitHub has answered.
fn check_id(ctx: &Context, run: &BuilderRun) -> Option<i64> {
    let target = target(ctx, run).filter(|target| target.channel == Channel::Check)?;
    ctx.reporter.check_id(&target)
}

/// Tells how a run ended, and waits for GitHub's answer no longer than `patience`.
pub async fn finished(ctx: &Arc<Context>, run: &BuilderRun, patience: Duration) -> Told {
    let uid = run.uid().unwrap_or_default();
    // That nobody can be told now is written over that it was announced.
    let announced = ctx.live.update(&uid, |live| {
        live.retry_told |= was_to_be_tried_again(run);
        live.retry_told
    });
    let order = match announced {
        // The attempt that does not come was announced: this speaks in its place.
        true => order(ctx, run).next_attempt(),
        false => order(ctx, run),
    };
    let settled = || Told::Recorded(Recorded::sent(SETTLED));
    if desired(run, false).is_none() || is_overtaken(ctx, run, &order) {
        return settled();
    }
    let Some(ticket) = speak(ctx, run, order, false, Knowledge::Later) else {
        // A connection may be mounted anew, a Repository applied again, as long as the build is there.
        let there = ctx.build_of(run).is_some();
        let why = nowhere(&run.spec.task.repository);
        return if there { Told::Nowhere(why) } else { settled() };
    };
    let question = ctx.live.update(&uid, LiveRun::ask);
    let (name, later) = (run.name_any(), ctx.clone());
    let (asked, job) = (ctx.asked(run), ctx.live.get(&uid).job_since);
    let subject = Subject::of(run);
    let (answer, mut heard) = oneshot::channel();
    tokio::spawn(async move {
        let sent = ticket.await;
        if matches!(sent, Sent::Taken(_)) {
            let job = job.map(|since| since.elapsed());
            later.metrics.told(asked, job);
        }
        let sent = Recorded::from(sent);
        subject.reported(&sent.sent);
        later
            .live
            .update(&uid, |live| live.hear(question, sent.clone()));
        // Who still waits writes it down.
        if answer.send(sent).is_err() {
            later.queues.runs.add(&name);
        }
    });
    let in_time = match ctx.patience.try_acquire() {
        Ok(_permit) => tokio::time::timeout(patience, &mut heard).await.ok(),
        Err(_) => None,
    };
    // It may have come just now, and the run does not come back for it.
    heard.close();
    let sent = in_time.and_then(Result::ok);
    let sent = sent.or_else(|| heard.try_recv().ok());
    sent.map_or(Told::Later, Told::Recorded)
}

/// Why GitHub has not taken the state of a run yet, where it is being tried.
pub fn trouble(ctx: &Context, run: &BuilderRun) -> Option<String> {
    ctx.reporter.trouble(&target(ctx, run)?)
}

/// The status or check run that a run speaks for; none when its Repository or connection is gone.
fn target(ctx: &Context, run: &BuilderRun) -> Option<Target> {
    let task = &run.spec.task;
    let repository = ctx.cache.repositories.get(&task.repository)?;
    let connection = ctx.connections.get(&repository.spec.connection)?;
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
        // A personal token cannot write check runs: a status says more than nothing.
        channel: match task.report_mode {
            ReportMode::Checks if connection.is_app() => Channel::Check,
            _ => Channel::Status,
        },
    })
}

fn order(ctx: &Context, run: &BuilderRun) -> Order {
    let build = ctx.build_of(run);
    let created = build.and_then(|build| build.creation_timestamp());
    let created = created.or_else(|| run.creation_timestamp());
    Order {
        build_created: created.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        build: run.spec.pr_build.name.clone(),
        attempt: run.spec.attempt,
    }
}

/// Whether another build speaks for the same status: then this run says nothing more.
fn is_overtaken(ctx: &Context, run: &BuilderRun, own: &Order) -> bool {
    let itself = speaker(ctx, run);
    beside(ctx, run).iter().any(|other| {
        let (newer, other) = (order(ctx, other) > *own, speaker(ctx, other));
        match newer {
            true => !twin::leaves_the_word(other, itself),
            false => twin::keeps_silent(itself, other),
        }
    })
}

/// The order in which a run speaks: no older than what newer runs have told that leave it the word.
fn spoken_order(ctx: &Context, run: &BuilderRun, own: Order) -> Order {
    let itself = speaker(ctx, run);
    let others = beside(ctx, run);
    let left = others
        .iter()
        .filter(|other| has_told(ctx, other) && twin::leaves_the_word(speaker(ctx, other), itself));
    left.map(|other| match phase_of(other).is_terminal() {
        // It has said its last.
        true => order(ctx, other).next_attempt(),
        false => order(ctx, other),
    })
    .fold(own, Order::max)
}

/// The runs of other builds that speak for the same status in the same way.
fn beside(ctx: &Context, run: &BuilderRun) -> Vec<Arc<BuilderRun>> {
    let mut others = ctx.cache.runs.group(&of_status(run));
    others.retain(|other| {
        other.spec.task.report_mode == run.spec.task.report_mode
            && other.spec.pr_build.uid != run.spec.pr_build.uid
    });
    others
}

fn speaker<'a>(ctx: &Context, run: &'a BuilderRun) -> twin::Speaker<'a> {
    let begun = admission::has_had_job(ctx, run);
    let cancelled = match phase_of(run) {
        RunPhase::Cancelled => true,
        phase if phase.is_terminal() => false,
        _ => {
            let build = ctx.build_of(run);
            build.is_none_or(|build| stop::wanted(Some(&build), run, begun).is_some())
        }
    };
    twin::Speaker {
        run,
        begun,
        cancelled,
    }
}

/// Whether GitHub was told something of a run.
fn has_told(ctx: &Context, run: &BuilderRun) -> bool {
    let report = run
        .status
        .as_ref()
        .and_then(|status| status.report.as_ref());
    let sent = report.and_then(|report| report.sent.as_deref());
    let live = ctx
        .live
        .get(run.metadata.uid.as_deref().unwrap_or_default());
    sent.is_some_and(|sent| sent != SETTLED) || live.pending_told
}
