//! What is said of builders. Pure.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crds::{Builder, BuilderRun, RunPhase, Stability, Worker, condition};
use kube::ResourceExt;
use serde::Serialize;

use super::machines::{Machine, machines};
use crate::{
    cluster::phase_of,
    pages::{strip::Past, text::Foreign},
};

/// Every builder.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Builders {
    /// Why it may be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// They, by name.
    pub builders: Vec<Row>,
}

/// A builder in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Name of the Builder object.
    pub name: String,
    /// The name that people read.
    pub display_name: Foreign,
    /// Words that labels select it by.
    pub tags: Vec<Foreign>,
    /// Its support tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Foreign>,
    /// Whether it is known to fail for reasons of its own.
    pub unstable: bool,
    /// What labels can ask of it.
    pub flavours: Vec<Foreign>,
    /// New runs wait.
    pub paused: bool,
    /// Why no run of it can be started, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<Foreign>,
    /// What it does now.
    #[serde(flatten)]
    pub load: Load,
    /// Workers that it runs on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<Machine>,
    /// Its last runs, newest first. All of them are of pull requests.
    pub last: Vec<Past>,
}

/// What a builder does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Runs that hold a slot.
    pub running: usize,
    /// How many there may be; absent where there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Runs that wait.
    pub queued: usize,
}

/// What a builder does now, by its runs that have not ended. One in the ledger holds a slot, also where its
/// Job has not begun yet.
pub fn load_of(builder: &Builder, live: &[Arc<BuilderRun>]) -> Load {
    let status = builder.status.as_ref();
    let slots = status.iter().flat_map(|status| &status.running);
    let held: HashSet<&str> = slots.map(|slot| slot.uid.as_str()).collect();
    let holds = |run: &&Arc<BuilderRun>| {
        phase_of(run) != RunPhase::Queued
            || run
                .metadata
                .uid
                .as_deref()
                .is_some_and(|uid| held.contains(uid))
    };
    // What follows another build's run waits for that one and takes no slot.
    let follows = |run: &&Arc<BuilderRun>| {
        let status = run.status.as_ref();
        status.is_some_and(|status| status.same_as.is_some())
    };
    let own = live.iter().filter(|run| !follows(run));
    let running = own.filter(holds).count();
    Load {
        running,
        limit: builder.spec.max_concurrent,
        queued: live.len() - running,
    }
}

/// A row for each builder.
pub fn rows(
    builders: &[Arc<Builder>],
    workers: &[Arc<Worker>],
    loads: &HashMap<String, Load>,
    last: &HashMap<String, Arc<Vec<Past>>>,
) -> Vec<Row> {
    let row = |builder: &Arc<Builder>| {
        let name = builder.name_any();
        let load = loads.get(&name).copied().unwrap_or_default();
        let last = last.get(&name).map(|runs| runs.to_vec());
        row(builder, workers, load, last.unwrap_or_default())
    };
    let mut rows: Vec<Row> = builders.iter().map(row).collect();
    rows.sort_by(|a, b| (&a.tier, &a.display_name).cmp(&(&b.tier, &b.display_name)));
    rows
}

/// One builder.
pub fn row(builder: &Builder, workers: &[Arc<Worker>], load: Load, last: Vec<Past>) -> Row {
    let spec = &builder.spec;
    let foreign = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    Row {
        name: builder.name_any(),
        display_name: spec.display_name.as_str().into(),
        tags: foreign(&spec.tags),
        tier: spec.tier.as_deref().map(Foreign::from),
        unstable: spec.stability != Stability::Stable,
        flavours: foreign(&spec.flavours),
        paused: spec.paused,
        broken: broken(builder),
        load,
        workers: machines(builder, workers),
        last,
    }
}

fn broken(builder: &Builder) -> Option<Foreign> {
    let conditions = &builder.status.as_ref()?.conditions;
    let ready = condition::find(conditions, condition::kind::READY)?;
    (ready.status == "False").then(|| ready.message.as_str().into())
}
