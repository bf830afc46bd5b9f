//! The workers that a builder runs on: which of them take runs, and why the others do not. Pure.

use std::sync::Arc;

use crds::{Builder, Worker, condition};
use kube::ResourceExt;
use serde::Serialize;

use crate::pages::text::Foreign;

/// A worker as the pages of builders tell of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Name of the Worker object.
    pub name: Foreign,
    /// It takes runs.
    pub ready: bool,
    /// How many it has.
    pub busy: i64,
    /// It gets none for a while, because its machine ended several in a row.
    pub quarantined: bool,
    /// Why it takes none, and until when, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Foreign>,
}

/// The workers that a builder is pinned to, or selects, by name.
pub fn machines(builder: &Builder, workers: &[Arc<Worker>]) -> Vec<Machine> {
    let Some(on) = &builder.spec.worker else {
        return Vec::new();
    };
    let is_meant = |worker: &&Arc<Worker>| match &on.name {
        Some(name) => worker.name_any() == *name,
        None => {
            let labels = &worker.spec.labels;
            let mut asked = on.selector.iter();
            asked.all(|(name, value)| labels.get(name) == Some(value))
        }
    };
    let meant = workers.iter().filter(is_meant);
    let mut machines: Vec<Machine> = meant.map(|worker| machine(worker)).collect();
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    machines
}

fn machine(worker: &Worker) -> Machine {
    let status = worker.status.clone().unwrap_or_default();
    let of = |kind: &str| condition::find(&status.conditions, kind);
    let holds = |kind: &str| condition::is_true(&status.conditions, kind);
    let ready = holds(condition::kind::READY);
    let quarantined = holds(condition::kind::QUARANTINED);
    // Of one that is away, too, what its owner has to look at comes first.
    let telling = match quarantined {
        true => condition::kind::QUARANTINED,
        false => condition::kind::READY,
    };
    let why = of(telling).map_or("its agent has never been here", |told| {
        told.message.as_str()
    });
    Machine {
        name: worker.name_any().into(),
        ready,
        busy: status.busy,
        quarantined,
        why: (!ready).then(|| why.into()),
    }
}
