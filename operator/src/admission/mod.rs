//! Which waiting run gets a slot.
//!
//! Builders without a limit let everything through at once. For the others one task decides, in
//! passes: what waits, what holds a slot ([`order`], pure), and the compare-and-swap that writes a
//! grant into `Builder.status.running` ([`ledger`]) before the run may have its Job. So the limit
//! holds under stale caches and under two leaders.

pub mod ledger;
pub mod order;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use crds::{Builder, BuilderRun, Waiting};
use futures::{StreamExt, stream};
use kube::ResourceExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::context::{Context, LIVE, QUEUED, now};
use ledger::Taken;
use order::Waiter;

/// How long after the last change an idle ledger is tidied.
const TIDY_AFTER: Duration = Duration::from_secs(5);

/// Builders that are looked at side by side: each may wait for a write.
const BUILDERS_AT_A_TIME: usize = 16;

/// Wakes the admission task.
#[derive(Default)]
pub struct Admission {
    wake: Notify,
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
            tokio::select! {
                () = stop.cancelled() => return,
                () = ctx.admission.wake.notified() => {}
                () = tokio::time::sleep(TIDY_AFTER), if tidy => tidy_ledgers(&ctx).await,
            }
        }
    }
}

/// Whether runs of a builder may have their Jobs without asking: it has no limit and is not paused.
pub fn is_free(builder: &Builder) -> bool {
    !builder.spec.paused && builder.spec.max_concurrent.is_none()
}

/// One look at all that waits. Says whether a ledger names runs that have ended.
async fn pass(ctx: &Context) -> bool {
    ctx.metrics.set_live(ctx.cache.runs.count(LIVE));
    let looks = stream::iter(waiting_by_builder(ctx))
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
    let untidy = looks
        .fold(false, |any, untidy| std::future::ready(any | untidy))
        .await;
    untidy
        || ctx
            .cache
            .builders
            .all()
            .iter()
            .any(|builder| has_ended_slots(ctx, builder))
}

/// Runs that wait for a slot, by the builder that they wait for.
fn waiting_by_builder(ctx: &Context) -> BTreeMap<String, Vec<Arc<BuilderRun>>> {
    let mut waiting: BTreeMap<String, Vec<Arc<BuilderRun>>> = BTreeMap::new();
    for run in ctx.cache.runs.group(QUEUED) {
        let build = ctx.cache.builds.get(&run.spec.pr_build.name);
        let cancelled =
            run.spec.cancel.is_some() || build.is_some_and(|build| build.spec.cancel.is_some());
        let wanted = !cancelled && run.spec.task.invalid.is_none();
        if wanted && !ctx.live.get(&run.uid().unwrap_or_default()).granted {
            waiting
                .entry(run.spec.task.builder.clone())
                .or_default()
                .push(run);
        }
    }
    waiting
}

async fn admit_to(ctx: &Context, builder: &Builder, waiting: &[Arc<BuilderRun>]) -> bool {
    let waiters: Vec<Waiter> = waiting.iter().map(|run| waiter(run)).collect();
    if builder.spec.paused {
        for (waiter, run) in waiters.iter().zip(waiting) {
            let reason = format!("`{}` is paused", builder.spec.display_name);
            set_waiting(ctx, run, &waiter.uid, reason, 0);
        }
        return false;
    }
    let Some(limit) = builder.spec.max_concurrent else {
        for (waiter, run) in waiters.iter().zip(waiting) {
            grant(ctx, &waiter.uid, &run.name_any());
        }
        return false;
    };
    let held = ledger::held(ctx, builder).await;
    let decision = order::admit(limit, &held.slots, &waiters);
    if !decision.grants.is_empty() {
        let chosen = pick(waiting, &decision.grants);
        match ledger::take(ctx, builder, &held, &chosen).await {
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
            let reason = match ahead {
                0 => format!("next on `{name}`"),
                ahead => format!("{ahead} ahead on `{name}`"),
            };
            set_waiting(ctx, run, &uid, reason, ahead);
        }
    }
    held.ended > 0
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
        if old.is_some_and(|old| old.reason == reason) {
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
