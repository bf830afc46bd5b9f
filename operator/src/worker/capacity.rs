//! What workers have in hand, as far as the caches and this process know, and whether one has room for a run.

use std::collections::HashMap;
use std::time::Duration;

use crds::{Assignment, BuilderRun, names};
use jiff::Timestamp;
use kube::ResourceExt;

use super::fleet::{Choice, Machine, Wish, choose};
use crate::context::{Context, of_worker};

/// How long a worker that declined a run is not asked again for the same one.
const DECLINED_FOR: Duration = Duration::from_secs(600);

/// Who may take a run now. What is promised to a run that has no Assignment yet counts as taken.
///
/// # Errors
/// What it waits for, as a sentence.
pub fn admit(ctx: &Context, run: &BuilderRun) -> Result<Choice, String> {
    let Some(on) = &run.spec.task.worker else {
        return Err("its builder names no worker".to_owned());
    };
    let uid = run.metadata.uid.as_deref().unwrap_or_default();
    let workers = ctx.cache.workers.all();
    let declined = ctx.live.get(uid).declined;
    let (alone, pools) = promised(ctx, uid);
    let machines: Vec<Machine<'_>> = workers
        .iter()
        .map(|worker| {
            let name = worker.name_any();
            let held = ctx.cache.assignments.group(&of_worker(&name));
            let held = held.iter().filter(|held| holds(held, &name)).count();
            let promised = alone.get(&name).copied().unwrap_or_default();
            let lately = declined
                .iter()
                .find(|by| by.worker == name && by.at.elapsed() < DECLINED_FOR);
            Machine {
                worker,
                taken: i64::try_from(held)
                    .unwrap_or(i64::MAX)
                    .saturating_add(promised),
                declined: lately.map(|by| by.reason.as_str()),
            }
        })
        .collect();
    let fits = |name: &String| {
        let mut all = workers.iter();
        all.any(|worker| {
            let labels = &worker.spec.labels;
            let mut asked = on.selector.iter();
            worker.name_any() == *name && asked.all(|(key, value)| labels.get(key) == Some(value))
        })
    };
    let overlapping = pools.iter().filter(|pool| pool.iter().any(fits)).count();
    let wish = Wish {
        on,
        repository: &run.spec.task.repository,
        promised: i64::try_from(overlapping).unwrap_or(i64::MAX),
        now: Timestamp::now(),
    };
    choose(&wish, &machines)
}

/// Whether a worker has this in hand: accepted, and not known to have ended there.
fn holds(assignment: &Assignment, worker: &str) -> bool {
    let status = assignment.status.as_ref();
    status.is_some_and(|status| {
        status.worker.as_deref() == Some(worker)
            && status.result.is_none()
            && status.forgotten.is_none()
    })
}

/// What is promised and not taken: how many runs to each worker alone, and to whom each of a pool's.
fn promised(ctx: &Context, except: &str) -> (HashMap<String, i64>, Vec<Vec<String>>) {
    let (mut alone, mut pools) = (HashMap::new(), Vec::new());
    let mut promise = |to: Vec<String>, pool: bool| match (pool, to.first()) {
        (false, Some(name)) => *alone.entry(name.clone()).or_default() += 1,
        _ => pools.push(to),
    };
    for assignment in ctx.cache.assignments.all() {
        let taken = assignment
            .status
            .as_ref()
            .is_some_and(|status| status.worker.is_some());
        if !taken && assignment.spec.run.uid != except {
            promise(assignment.spec.to.clone(), assignment.spec.pool);
        }
    }
    for (uid, choice) in ctx.live.chosen() {
        let exists = ctx
            .cache
            .assignments
            .get(&names::assignment_name(&uid))
            .is_some();
        if uid != except && !exists {
            promise(choice.to, choice.pool);
        }
    }
    (alone, pools)
}
