//! What is known of one assignment that this worker holds, in a file of its own: it goes on from there
//! after a restart.

use protocol::worker::{
    assignment::Assignment,
    completion::{Completion, RunEnd},
    envelope::Envelope,
};
use serde::{Deserialize, Serialize};

use super::{
    files::{self, FileError},
    layout::Layout,
};
use crate::os::Process;

/// One assignment on this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its id.
    pub id: String,
    /// What the operator signed.
    pub assignment: Assignment,
    /// Lets its bearer write this run's log.
    #[serde(default)]
    pub log_token: Option<String>,
    /// How far it is.
    #[serde(default)]
    pub stage: Stage,
    /// The executor that runs it, to be found again after a crash: id, and when it began.
    #[serde(default)]
    pub executor: Option<(u32, u64)>,
    /// Its directory's slot.
    #[serde(default)]
    pub slot: u32,
    /// When it was begun, in seconds since 1970, for people.
    #[serde(default)]
    pub begun: i64,
    /// How it ended, once that is signed.
    #[serde(default)]
    pub completion: Option<Envelope>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// No step has begun.
    #[default]
    Preparing,
    /// Steps may have begun.
    Steps,
}

impl Record {
    /// Reads what is known of an assignment.
    pub fn load(layout: &Layout, id: &str) -> Result<Option<Self>, FileError> {
        files::read_json(&layout.held(id))
    }

    /// All that are kept. What cannot be read is left out: it was written whole or not at all.
    pub fn all(layout: &Layout) -> Vec<Self> {
        let entries = std::fs::read_dir(layout.own("held")).into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .filter_map(|path| files::read_json(&path).ok().flatten())
            .collect()
    }

    /// Keeps it.
    pub fn save(&self, layout: &Layout) -> Result<(), FileError> {
        files::write_json(&layout.held(&self.id), self)
    }

    /// Forgets it, with what it printed.
    pub fn forget(layout: &Layout, id: &str) -> Result<(), FileError> {
        files::remove(&layout.spool(id))?;
        files::remove(&layout.held(id))
    }

    /// The executor as a process, if one was started.
    pub fn process(&self) -> Option<Process> {
        self.executor.map(|(id, began)| Process { id, began })
    }

    /// A completion with this result, not signed yet.
    pub fn ended(&self, worker: &str, result: RunEnd) -> Completion {
        Completion {
            assignment: self.id.clone(),
            run: self.assignment.run.uid.clone(),
            attempt: self.assignment.run.attempt,
            worker: worker.to_owned(),
            result,
            logs: Vec::new(),
            prepared_ms: None,
            ran_ms: 0,
        }
    }

    /// How a run ended that the agent's own end cut off.
    pub fn cut_off(&self) -> RunEnd {
        let reason = "the agent or its machine was restarted while it ran".to_owned();
        match self.stage {
            Stage::Preparing => RunEnd::NotRun {
                reason,
                machine: true,
            },
            Stage::Steps => RunEnd::Broken { reason },
        }
    }
}
