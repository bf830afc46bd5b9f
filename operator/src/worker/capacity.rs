//! What workers have in hand, as far as the caches and this process know, and whether one has room for a run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crds::{BuilderRun, OnWorker, Worker, names};
use jiff::Timestamp;

use super::fleet::{Choice, Machine, Wish, choose, is_selected};
use crate::context::{Context, UNTAKEN, held_by};

/// How long a worker that declined a run is not asked again for the same one.
pub(super) const DECLINED_FOR: Duration = Duration::from_secs(600);

/// Whether a run has an Assignment, as far as is known without asking.
pub fn is_there(ctx: &Context, uid: &str) -> bool {
    ctx.cache
        .assignments
        .get(&names::assignment_name(uid))
        .is_some()
}

/// Whether a worker has taken a run, as far as is known without asking.
pub fn is_taken(ctx: &Context, uid: &str) -> bool {
    let found = ctx.cache.assignments.get(&names::assignment_name(uid));
    let status = found.as_ref().and_then(|found| found.status.as_ref());
    status.is_some_and(|status| status.worker.is_some())
}

/// Who may take a run now. What is promised to a run that has no Assignment yet counts as taken.
///
/// # Errors
/// What it waits for, as a sentence.
pub fn admit(ctx: &Context, run: &BuilderRun) -> Result<Choice, String> {
    let Some(on) = &run.spec.task.worker else {
        return Err("its builder names no worker".to_owned());
    };
    let uid = run.metadata.uid.as_deref().unwrap_or_default();
    // There may be a thousand others.
    let workers = meant(ctx, on);
    let names: HashSet<&str> = workers.iter().map(|worker| name_of(worker)).collect();
    let promised = promised(ctx, uid, &names);
    let declined = ctx.live.get(uid).declined;
    let machines: Vec<Machine<'_>> = workers
        .iter()
        .map(|worker| {
            let name = name_of(worker);
            let held = ctx.cache.assignments.count(&held_by(name));
            let alone = promised.alone.get(name).copied().unwrap_or_default();
            let lately = declined
                .iter()
                .find(|by| by.worker == name && by.at.elapsed() < DECLINED_FOR);
            Machine {
                worker,
                taken: i64::try_from(held)
                    .unwrap_or(i64::MAX)
                    .saturating_add(alone),
                declined: lately.map(|by| by.reason.as_str()),
            }
        })
        .collect();
    let wish = Wish {
        on,
        repository: &run.spec.task.repository,
        promised: promised.to_several,
        now: Timestamp::now(),
    };
    choose(&wish, &machines)
}

/// The workers that a Builder names or selects.
fn meant(ctx: &Context, on: &OnWorker) -> Vec<Arc<Worker>> {
    match &on.name {
        Some(name) => ctx.cache.workers.get(name).into_iter().collect(),
        None => {
            let mut all = ctx.cache.workers.all();
            all.retain(|worker| is_selected(on, worker));
            all
        }
    }
}

fn name_of(worker: &Worker) -> &str {
    worker.metadata.name.as_deref().unwrap_or_default()
}

/// What is promised to some workers, and not taken.
#[derive(Default)]
struct Promised {
    /// Runs that are for one worker alone, by its name.
    alone: HashMap<String, i64>,
    /// Runs of pools that one of them is in.
    to_several: i64,
}

impl Promised {
    fn add(&mut self, to: &[String], pool: bool, names: &HashSet<&str>) {
        let Some(first) = to.iter().find(|name| names.contains(name.as_str())) else {
            return;
        };
        match pool {
            true => self.to_several += 1,
            false => *self.alone.entry(first.clone()).or_default() += 1,
        }
    }
}

/// What is promised to these workers, to all runs but this one.
fn promised(ctx: &Context, except: &str, of: &HashSet<&str>) -> Promised {
    let mut promised = Promised::default();
    for assignment in ctx.cache.assignments.group(UNTAKEN) {
        let spec = &assignment.spec;
        if spec.run.uid != except {
            promised.add(&spec.to, spec.pool, of);
        }
    }
    for (uid, choice) in ctx.live.chosen() {
        let assignment = ctx.cache.assignments.get(&names::assignment_name(&uid));
        if uid != except && assignment.is_none() {
            promised.add(&choice.to, choice.pool, of);
        }
    }
    promised
}
