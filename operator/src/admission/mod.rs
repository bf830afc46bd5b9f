//! Which waiting run gets a slot.
//!
//! The ordinary run of a builder without a limit begins at once. For the others one task decides, in
//! passes: which builds may start at all ([`guard`], [`limits`], [`checks`], pure; [`builds`] brings
//! together what they need), what waits, what holds a slot ([`order`], pure), and the compare-and-swap
//! that writes a grant into `Builder.status.running` ([`ledger`]) before the run may have its Job. So
//! the limit holds under stale caches and under two leaders.
//!
//! GitHub is asked in the background: by [`poll`] how checks stand, by [`rights`] who may still build.

mod builds;
pub mod checks;
pub mod guard;
pub mod ledger;
pub mod limits;
mod machines;
pub mod order;
mod poll;
mod rights;
pub mod twin;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use crds::{Builder, BuilderRun, Repository, RunPhase, Waiting};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    build::{stop, summary::phase_of},
    context::{Context, LIVE, QUEUED, now, of_status},
};
use ledger::Taken;
use machines::{Full, has_machine};
use order::Waiter;
use rights::Right;
use twin::{Other, Relation};

/// How long after the last change an idle ledger is tidied.
const TIDY_AFTER: Duration = Duration::from_secs(5);

/// How often it is looked at what waits, if nothing tells of it: windows of workers end, who declined is
/// asked again, and a cluster that refused a Job takes it.
const UNTOLD_EVERY: Duration = Duration::from_secs(20);

/// Builders that are looked at side by side: each may wait for a write.
const BUILDERS_AT_A_TIME: usize = 16;

/// Wakes the admission task, and holds what it asked GitHub.
#[derive(Default)]
pub struct Admission {
    wake: Notify,
    polls: poll::Polls,
    rights: rights::Rights,
}

impl Admission {
    /// Something changed that a waiting run may have waited for.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Decides until `stop`.
    pub async fn run(ctx: Arc<Context>, stop: CancellationToken) {
        loop {
            let tidy = pass(&ctx).await;
            let admission = &ctx.admission;
            let due = [admission.polls.next_due(), admission.rights.next_due()];
            let due = due.into_iter().flatten().min();
            tokio::select! {
                () = stop.cancelled() => return,
                () = admission.wake.notified() => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = tokio::time::sleep(TIDY_AFTER), if tidy => tidy_ledgers(&ctx).await,
                () = tokio::time::sleep(UNTOLD_EVERY) => {}
            }
        }
    }
}

/// Whether a run may have its Job without asking: its builder has no limit and is not paused, and
/// nothing is to be found out about its build.
pub fn is_free(ctx: &Context, run: &BuilderRun, builder: &Builder) -> bool {
    let limited = builder.spec.max_concurrent.is_some() || run.spec.task.worker.is_some();
    if builder.spec.paused || limited {
        return false;
    }
    let Some(build) = ctx.cache.builds.get(&run.spec.pr_build.name) else {
        return false;
    };
    let repository = &build.spec.request.repository.name;
    let repository = ctx.cache.repositories.get(repository);
    guard::is_plain(&build, repository.as_deref(), Timestamp::now())
}

/// The way to GitHub of a Repository, by the name that it has there now.
fn github_of(ctx: &Context, repository: &Repository) -> Option<github::Repo> {
    let connection = ctx.connections.get(&repository.spec.connection)?;
    let status = repository.status.as_ref();
    let now_called = status.and_then(|status| status.full_name.as_deref());
    let (owner, name) = now_called
        .and_then(|full_name| full_name.split_once('/'))
        .unwrap_or((&repository.spec.owner, &repository.spec.name));
    Some(connection.repo(owner, name))
}

/// Whether a run may have a Job, or has one.
fn has_begun(ctx: &Context, run: &BuilderRun) -> bool {
    let live = ctx
        .live
        .get(run.metadata.uid.as_deref().unwrap_or_default());
    live.granted || live.job_since.is_some() || phase_of(run) != RunPhase::Queued
}

/// Whether a run, also one that has ended, may have a Job of its own, or had one.
pub fn has_had_job(ctx: &Context, run: &BuilderRun) -> bool {
    let had = run
        .status
        .as_ref()
        .is_some_and(|status| status.job.is_some() || status.worker.is_some());
    let live = ctx
        .live
        .get(run.metadata.uid.as_deref().unwrap_or_default());
    let ended = phase_of(run).is_terminal();
    had || live.granted || live.job_since.is_some() || (!ended && phase_of(run) != RunPhase::Queued)
}

/// What a run that has not begun has to do with runs of other builds.
#[derive(Clone, Debug)]
pub enum Company {
    /// It runs by itself.
    Alone,
    /// That run does the same: it is waited for.
    Follows(Arc<BuilderRun>),
    /// That run is newer and does something else: this one stops.
    Overtaken(Arc<BuilderRun>),
}

/// Looks for runs of other builds that do the same as this one, or newer work for the same status.
pub fn company(ctx: &Context, run: &BuilderRun) -> Company {
    let mut others = ctx.cache.runs.group(&of_status(run));
    others.retain(|other| other.spec.pr_build.uid != run.spec.pr_build.uid);
    let Some(own) = ctx.cache.builds.get(&run.spec.pr_build.name) else {
        return Company::Alone;
    };
    if others.is_empty() {
        return Company::Alone;
    }
    let origin = |name: &str| ctx.cache.builds.get(name).map(|build| stop::order(&build));
    let known = others.iter().filter_map(|other| {
        let build = ctx.cache.builds.get(&other.spec.pr_build.name)?;
        Some((other, stop::order(&build), build))
    });
    let known: Vec<_> = known.collect();
    let seen: Vec<Other<'_>> = known
        .iter()
        .map(|(other, order, build)| {
            let uid = build.metadata.uid.as_deref().unwrap_or_default();
            Other {
                run: other,
                order,
                newer: stop::takes_the_place(build, &own, origin),
                begun: has_begun(ctx, other),
                // After a restart only what is written down tells.
                held: ctx.live_builds.update(uid, |live| live.hold.is_some())
                    || guard::is_kept(build),
                cancelled: stop::wanted(Some(build), other, false).is_some(),
            }
        })
        .collect();
    let find = |found: &BuilderRun| {
        let mut all = known.iter().map(|(other, ..)| *other);
        all.find(|other| std::ptr::eq(other.as_ref(), found))
            .cloned()
    };
    match twin::relation(run, &stop::order(&own), &seen) {
        Relation::Alone => Company::Alone,
        Relation::Follows(first) => find(first).map_or(Company::Alone, Company::Follows),
        Relation::Overtaken(newer) => find(newer).map_or(Company::Alone, Company::Overtaken),
    }
}

/// One look at all that waits. Says whether a ledger names runs that have ended.
async fn pass(ctx: &Arc<Context>) -> bool {
    ctx.metrics.set_live(ctx.cache.runs.count(LIVE));
    let waiting = builds::may_start(ctx, waiting(ctx)).await;
    // Mostly nobody waits.
    let untidy = !waiting.is_empty() && admit(ctx, waiting).await;
    let builders = ctx.cache.builders.all();
    untidy || builders.iter().any(|one| has_ended_slots(ctx, one))
}

/// Gives slots to those that may start. Says whether a ledger names runs that have ended.
async fn admit(ctx: &Arc<Context>, waiting: Vec<Arc<BuilderRun>>) -> bool {
    let looks = stream::iter(by_builder(waiting))
        .map(|(name, waiting)| async move {
            match ctx.cache.builders.get(&name) {
                Some(builder) => admit_to(ctx, &builder, &waiting).await,
                None => {
                    // Each finds out, and ends with that reason.
                    waiting
                        .iter()
                        .for_each(|run| ctx.queues.runs.add(&run.name_any()));
                    false
                }
            }
        })
        .buffer_unordered(BUILDERS_AT_A_TIME);
    looks
        .fold(false, |any, untidy| std::future::ready(any | untidy))
        .await
}

/// Runs that wait for a slot of their own.
fn waiting(ctx: &Context) -> Vec<Arc<BuilderRun>> {
    let mut waiting = ctx.cache.runs.group(QUEUED);
    waiting.retain(|run| {
        let uid = run.metadata.uid.as_deref().unwrap_or_default();
        // Most of them, and many under load: they are `Queued` until they have run for a while.
        if ctx.live.is_granted(uid) {
            return false;
        }
        let build = ctx.cache.builds.get(&run.spec.pr_build.name);
        stop::wanted(build.as_deref(), run, false).is_none()
            && run.spec.task.invalid.is_none()
            && twin::followed(run).is_none()
    });
    waiting
}

fn by_builder(waiting: Vec<Arc<BuilderRun>>) -> BTreeMap<String, Vec<Arc<BuilderRun>>> {
    let mut by_builder: BTreeMap<String, Vec<Arc<BuilderRun>>> = BTreeMap::new();
    for run in waiting {
        let builder = run.spec.task.builder.clone();
        by_builder.entry(builder).or_default().push(run);
    }
    by_builder
}

async fn admit_to(ctx: &Arc<Context>, builder: &Builder, waiting: &[Arc<BuilderRun>]) -> bool {
    let waiters: Vec<Waiter> = waiting.iter().map(|run| waiter(run)).collect();
    if builder.spec.paused {
        for (waiter, run) in waiters.iter().zip(waiting) {
            let reason = order::paused(&builder.spec.display_name);
            set_waiting(ctx, run, &waiter.uid, reason, 0);
        }
        return false;
    }
    let mut full = Full::default();
    let Some(limit) = builder.spec.max_concurrent else {
        let line = order::admit(i64::MAX, &[], &waiters).grants;
        for run in pick(waiting, &line) {
            if is_cleared(ctx, &run) && has_machine(ctx, &run, &mut full) {
                grant(ctx, &run.uid().unwrap_or_default(), &run.name_any());
            }
        }
        return false;
    };
    let held = ledger::held(ctx, builder).await;
    let decision = order::admit(limit, &held.slots, &waiters);
    if !decision.grants.is_empty() || held.strays > 0 {
        let mut chosen = pick(waiting, &decision.grants);
        // The slot of one that is not cleared stays free until it is, which takes a moment.
        chosen.retain(|run| is_cleared(ctx, run) && has_machine(ctx, run, &mut full));
        let taken = ledger::take(ctx, builder, &held, &chosen).await;
        if taken != Taken::Written {
            for run in &chosen {
                let uid = run.uid().unwrap_or_default();
                ctx.live.update(&uid, |live| live.chosen = None);
            }
        }
        match taken {
            Taken::Written => {}
            // Somebody else wrote: the watch brings it and wakes us.
            Taken::Conflict => return false,
            Taken::Failed => return true,
        }
        for run in chosen {
            grant(ctx, &run.uid().unwrap_or_default(), &run.name_any());
        }
    }
    let by_uid = by_uid(waiting);
    for (uid, ahead) in decision.places {
        if let Some(run) = by_uid.get(uid.as_str()) {
            let name = &builder.spec.display_name;
            let reason = order::place(name, ahead);
            set_waiting(ctx, run, &uid, reason, ahead);
        }
    }
    held.ended > 0
}

/// The last look at a run that could take a slot: nobody else does the same, and the person who asked
/// may still ask. Where that has to be looked up first, the run comes again with the answer.
fn is_cleared(ctx: &Arc<Context>, run: &BuilderRun) -> bool {
    if !matches!(company(ctx, run), Company::Alone) {
        ctx.queues.runs.add(&run.name_any());
        return false;
    }
    let Some(build) = ctx.cache.builds.get(&run.spec.pr_build.name) else {
        return false;
    };
    let name = &build.spec.request.repository.name;
    let repository = ctx.cache.repositories.get(name);
    let rights = &ctx.admission.rights;
    let hold = match rights.of(&build, repository.as_deref(), Timestamp::now()) {
        Right::Holds => return true,
        Right::Ask => repository.map(|repository| rights.ask(ctx, &build, &repository)),
        Right::Unknown(hold) => Some(hold),
        // The next pass cancels it.
        Right::Lost(_) => None,
    };
    if let Some(hold) = hold {
        let uid = run.uid().unwrap_or_default();
        set_waiting(ctx, run, &uid, hold.sentence, hold.ahead);
    }
    false
}

fn by_uid(runs: &[Arc<BuilderRun>]) -> HashMap<&str, &Arc<BuilderRun>> {
    runs.iter()
        .map(|run| (run.metadata.uid.as_deref().unwrap_or_default(), run))
        .collect()
}

fn pick(waiting: &[Arc<BuilderRun>], uids: &[String]) -> Vec<Arc<BuilderRun>> {
    let by_uid = by_uid(waiting);
    uids.iter()
        .filter_map(|uid| by_uid.get(uid.as_str()).map(|run| Arc::clone(run)))
        .collect()
}

fn waiter(run: &BuilderRun) -> Waiter {
    Waiter {
        uid: run.uid().unwrap_or_default(),
        requester: run.spec.task.requester_id,
        created: run
            .creation_timestamp()
            .map(|time| time.0)
            .unwrap_or_default(),
        name: run.name_any(),
    }
}

fn grant(ctx: &Context, uid: &str, name: &str) {
    ctx.live.update(uid, |live| {
        live.granted = true;
        live.waiting = None;
    });
    ctx.queues.runs.add(name);
}

/// Notes what a run waits for, and lets it tell when that is new to it.
fn set_waiting(ctx: &Context, run: &BuilderRun, uid: &str, reason: String, ahead: i32) {
    let changed = ctx.live.update(uid, |live| {
        let old = live.waiting.as_ref();
        if old.is_some_and(|old| old.reason == reason && old.ahead == ahead) {
            return false;
        }
        let since = old.map_or_else(now, |old| old.since.clone());
        live.waiting = Some(Waiting {
            reason,
            ahead,
            since,
        });
        true
    });
    if changed {
        ctx.queues.runs.add(&run.name_any());
    }
}

fn has_ended_slots(ctx: &Context, builder: &Builder) -> bool {
    let slots = builder.status.iter().flat_map(|status| &status.running);
    slots
        .into_iter()
        .any(|slot| ledger::state_of(ctx, slot) != ledger::SlotState::Held)
}

/// Drops ended runs from the ledgers of builders that nothing has been admitted to for a while.
async fn tidy_ledgers(ctx: &Context) {
    for builder in ctx.cache.builders.all() {
        if has_ended_slots(ctx, &builder) {
            let held = ledger::held(ctx, &builder).await;
            ledger::take(ctx, &builder, &held, &[]).await;
        }
    }
}
