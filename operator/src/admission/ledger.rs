//! The slot ledger: `Builder.status.running`, written by compare-and-swap.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crds::{Builder, BuilderRun, RunPhase, Slot};
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;

use super::{order::Holder, twin};
use crate::{
    api,
    build::summary::phase_of,
    cache::version_of,
    context::{Context, now, of_builder},
    metrics::Verb,
};

/// A slot is asked about at most this often.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// What became of writing a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is written, or there was nothing to write.
    Written,
    /// Somebody else wrote since.
    Conflict,
    /// The API server did not take it; nobody has a slot.
    Failed,
}

/// What became of a run that the ledger names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Its steps may be running.
    Held,
    /// Its build container has ended, or its pod is gone; on a worker, its processes are. Or it has no Job, and
    /// waits for another run.
    Free,
    /// The caches do not tell; the API server has to be asked.
    Ask,
}

/// The slots of one builder as they really are.
pub struct HeldSlots {
    /// Runs that hold one.
    pub slots: Vec<Holder>,
    /// Entries of the ledger that stay.
    entries: Vec<Slot>,
    /// How many entries are to be dropped.
    pub ended: usize,
    /// How many entries are to be added for runs that have begun.
    pub strays: usize,
}

/// What the caches tell about a slot. A slot is freed when the build container has terminated or
/// its pod is gone, not when a phase says so.
pub fn state_of(ctx: &Context, slot: &Slot) -> SlotState {
    if let Some(pod) = ctx.pod_of(&slot.uid) {
        return if pod.has_ended() {
            SlotState::Free
        } else {
            SlotState::Held
        };
    }
    // A worker's slot is free when its agent says that nothing of the run is left.
    let assignment = ctx
        .cache
        .assignments
        .get(&crds::names::assignment_name(&slot.uid));
    if let Some(status) = assignment.as_ref().and_then(|found| found.status.as_ref())
        && status.worker.is_some()
        && status.result.is_none()
        && status.forgotten.is_none()
    {
        return match status.ended_at {
            Some(_) => SlotState::Free,
            None => SlotState::Held,
        };
    }
    let run = ctx.cache.runs.get(&slot.run);
    let run = run.filter(|run| run.uid().as_deref() == Some(&slot.uid));
    match run {
        Some(run) if !is_idle(&run) => SlotState::Held,
        // It is about to have its Job all the same.
        Some(run) if !is_over(&run) && ctx.live.is_granted(&slot.uid) => SlotState::Held,
        _ => SlotState::Ask,
    }
}

fn is_over(run: &BuilderRun) -> bool {
    phase_of(run).is_terminal()
}

/// Whether a run needs no slot as long as it has no Job: it has ended, or waits for another one that does the
/// same and needs the slot itself. A restart may have forgotten that it was granted one before.
fn is_idle(run: &BuilderRun) -> bool {
    is_over(run) || twin::followed(run).is_some()
}

/// Slots of a builder that are taken, as far as is known without asking.
pub fn taken(ctx: &Context, builder: &Builder) -> i64 {
    let slots = builder.status.iter().flat_map(|status| &status.running);
    let taken = slots.filter(|slot| state_of(ctx, slot) == SlotState::Held);
    i64::try_from(taken.count()).unwrap_or(i64::MAX)
}

/// Sorts the ledger of a builder into what is held and what has ended, asking where needed.
pub async fn held(ctx: &Context, builder: &Builder) -> HeldSlots {
    let ledger = builder
        .status
        .as_ref()
        .map(|status| status.running.clone())
        .unwrap_or_default();
    let mut held = HeldSlots {
        slots: Vec::new(),
        entries: Vec::new(),
        ended: 0,
        strays: 0,
    };
    let strays = strays(ctx, builder, &ledger);
    held.strays = strays.len();
    for slot in ledger.into_iter().chain(strays) {
        let state = match state_of(ctx, &slot) {
            SlotState::Ask => ask(ctx, &slot).await,
            known => known,
        };
        if state == SlotState::Free {
            held.ended += 1;
            continue;
        }
        let run = ctx.cache.runs.get(&slot.run);
        let requester = run.map(|run| run.spec.task.requester_id);
        held.slots.push(Holder {
            uid: slot.uid.clone(),
            requester,
        });
        held.entries.push(slot);
    }
    held
}

/// Runs of a builder that have begun and hold no slot: it had no limit then, or was made anew since. As many as the
/// limit lets run are enough to keep others from beginning.
fn strays(ctx: &Context, builder: &Builder, ledger: &[Slot]) -> Vec<Slot> {
    let limit = builder.spec.max_concurrent.unwrap_or(0);
    let known: HashSet<&str> = ledger.iter().map(|slot| slot.uid.as_str()).collect();
    let runs = ctx.cache.runs.group(&of_builder(&builder.name_any()));
    let begun = runs.iter().filter_map(|run| {
        let uid = run.uid().unwrap_or_default();
        let begun = phase_of(run) != RunPhase::Queued || ctx.live.is_granted(&uid);
        begun.then(|| Slot {
            run: run.name_any(),
            uid,
            since: now(),
        })
    });
    let is_stray =
        |slot: &Slot| !known.contains(slot.uid.as_str()) && state_of(ctx, slot) == SlotState::Held;
    let limit = usize::try_from(limit).unwrap_or(0);
    begun.filter(is_stray).take(limit).collect()
}

/// A run that ended without a pod that we saw end: its slot is free once its Job is gone, which
/// with foreground deletion means that its pods are. In doubt the slot stays taken.
async fn ask(ctx: &Context, slot: &Slot) -> SlotState {
    let asked = ctx
        .live
        .update(&slot.uid, |live| live.slot_asked.replace(Instant::now()));
    if asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
        ctx.live.update(&slot.uid, |live| live.slot_asked = asked);
        return SlotState::Held;
    }
    let job = ctx
        .api
        .jobs
        .get_opt(&crds::names::job_name(&slot.uid))
        .await;
    match job {
        Ok(None) if is_gone_or(ctx, slot, is_idle).await => SlotState::Free,
        Ok(Some(job)) => {
            let active = job.status.and_then(|status| status.active).unwrap_or(0);
            let finished = active == 0 && job.metadata.deletion_timestamp.is_none();
            if finished && is_gone_or(ctx, slot, is_over).await {
                SlotState::Free
            } else {
                SlotState::Held
            }
        }
        Ok(None) => SlotState::Held,
        Err(error) => {
            tracing::warn!(run = slot.run, %error, "cannot see whether a slot is free; it stays taken");
            SlotState::Held
        }
    }
}

/// Whether a run is gone, or is like this, by the API server's own word.
async fn is_gone_or(ctx: &Context, slot: &Slot, is: fn(&BuilderRun) -> bool) -> bool {
    match ctx.api.runs.get_opt(&slot.run).await {
        Ok(None) => true,
        Ok(Some(run)) if run.uid().as_deref() != Some(&slot.uid) => true,
        Ok(Some(run)) => is(&run),
        Err(_) => false,
    }
}

/// Writes the ledger anew: what is held, and `chosen` on top.
pub async fn take(
    ctx: &Context,
    builder: &Builder,
    held: &HeldSlots,
    chosen: &[Arc<BuilderRun>],
) -> Taken {
    let since = now();
    let known = |run: &&Arc<BuilderRun>| {
        !held
            .entries
            .iter()
            .any(|slot| Some(&slot.uid) == run.uid().as_ref())
    };
    let new = chosen.iter().filter(known).map(|run| Slot {
        run: run.name_any(),
        uid: run.uid().unwrap_or_default(),
        since: since.clone(),
    });
    let running: Vec<Slot> = held.entries.iter().cloned().chain(new).collect();
    if held.ended + held.strays == 0 && running.len() == held.entries.len() {
        return Taken::Written;
    }
    let metadata = json!({ "resourceVersion": builder.resource_version(), "uid": builder.uid() });
    let status = json!({ "running": running });
    let name = builder.name_any();
    ctx.metrics.wrote(Verb::Patch, "builders");
    match api::patch(&ctx.api.builders, builder, metadata, status).await {
        Ok(written) => {
            let version = version_of(&written);
            ctx.cache.builders.learn(&name, version, written);
            Taken::Written
        }
        Err(error) => {
            if matches!(&error, kube::Error::Api(status) if status.is_conflict()) {
                tracing::info!(
                    builder = name,
                    "somebody else wrote since the ledger was read; it is read anew"
                );
                return Taken::Conflict;
            }
            tracing::warn!(builder = name, %error, "the ledger could not be written; nobody gets a slot until it can");
            Taken::Failed
        }
    }
}
