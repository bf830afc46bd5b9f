//! Whether a worker has room for a run that could take a slot.

use crds::{BuilderRun, OnWorker};

use super::set_waiting;
use crate::{context::Context, worker};

/// What no worker was found for in this look, and why: hundreds of runs may wait for the same.
#[derive(Default)]
pub(super) struct Full(Vec<(OnWorker, String, String)>);

impl Full {
    fn why(&self, on: &OnWorker, repository: &str) -> Option<&String> {
        let mut known = self.0.iter();
        let found = known.find(|(other, name, _)| other == on && name == repository);
        found.map(|(.., why)| why)
    }
}

/// Whether a worker has room for a run that needs one: then it is promised to the run. Else the run knows why not.
pub(super) fn has_machine(ctx: &Context, run: &BuilderRun, full: &mut Full) -> bool {
    let task = &run.spec.task;
    let Some(on) = &task.worker else {
        return true;
    };
    let uid = run.metadata.uid.as_deref().unwrap_or_default();
    // One that was declined has reasons of its own.
    let is_like_others = ctx.live.get(uid).declined.is_empty();
    let known = full.why(on, &task.repository).filter(|_| is_like_others);
    let found = match known {
        Some(why) => Err(why.clone()),
        None => worker::admit(ctx, run),
    };
    match found {
        Ok(choice) => {
            ctx.live.update(uid, |live| live.chosen = Some(choice));
            true
        }
        Err(why) => {
            if is_like_others && full.why(on, &task.repository).is_none() {
                let entry = (on.clone(), task.repository.clone(), why.clone());
                full.0.push(entry);
            }
            set_waiting(ctx, run, uid, why, 0);
            false
        }
    }
}
