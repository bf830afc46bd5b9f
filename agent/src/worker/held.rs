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
use crate::os::{self, Process};

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
        files::remove(&layout.executor(id))?;
        files::remove(&layout.held(id))
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

/// The process that runs an assignment, to be found again by the next start of the agent.
///
/// It is not waited for until the disk has it: what has to survive is a kill of the agent. After a power cut or a
/// reboot nothing runs any more, and another process may have the same id.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Executor {
    id: u32,
    began: u64,
    boot: String,
}

impl Executor {
    /// Notes which process runs an assignment from now on, if it is known.
    pub fn note(layout: &Layout, id: &str, process: Option<Process>) -> Result<(), FileError> {
        let path = layout.executor(id);
        let Some(Process { id, began }) = process else {
            return files::remove(&path);
        };
        let boot = os::boot_id();
        let text = serde_json::to_vec(&Self { id, began, boot }).unwrap_or_default();
        std::fs::write(&path, text).map_err(|source| FileError::new(&path, "written", source))
    }

    /// The process that ran it last, if that can still be there: nothing outlives a reboot.
    pub fn of(layout: &Layout, id: &str) -> Option<Process> {
        let known: Self = files::read_json(&layout.executor(id)).ok().flatten()?;
        let Self { id, began, boot } = known;
        (boot == os::boot_id()).then_some(Process { id, began })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn an_executor_of_an_earlier_boot_is_not_looked_for() {
        let scratch = Scratch::new();
        let layout = Layout::new(scratch.root());
        layout.make_own().unwrap();
        let process = Process { id: 7, began: 99 };
        assert_eq!(Executor::of(&layout, "a"), None);
        Executor::note(&layout, "a", Some(process)).unwrap();
        assert_eq!(Executor::of(&layout, "a"), Some(process));
        let text = std::fs::read_to_string(layout.executor("a")).unwrap();
        let earlier = text.replace(&os::boot_id(), "another");
        std::fs::write(layout.executor("a"), earlier).unwrap();
        assert_eq!(Executor::of(&layout, "a"), None);
        assert!(Record::all(&layout).is_empty(), "it is no record");
        Executor::note(&layout, "a", None).unwrap();
        assert!(!layout.executor("a").exists());
    }
}
