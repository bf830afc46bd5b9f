//! Names of objects. They are functions of what an object stands for, so that doing something twice
//! meets the object of the first time.

use crate::{Trigger, TriggerKind};

/// Name of the PrBuild or Answer of one event: `<Repository>-<number>-<l|c|b|m><event id>`.
pub fn event_name(repository: &str, number: i64, trigger: &Trigger) -> String {
    let letter = match trigger.kind {
        TriggerKind::Label => 'l',
        TriggerKind::Comment => 'c',
        TriggerKind::Button => 'b',
        TriggerKind::Manual => 'm',
    };
    format!("{repository}-{number}-{letter}{}", trigger.event_id)
}

/// Name of the BuilderRun of one attempt: `<PrBuild>-<Builder>-<attempt>`.
pub fn run_name(build: &str, builder: &str, attempt: i64) -> String {
    format!("{build}-{builder}-{attempt}")
}

/// Name of the Job that executes a BuilderRun.
pub fn job_name(run_uid: &str) -> String {
    format!("run-{run_uid}")
}

/// The uid of the BuilderRun that a Job of this name executes.
pub fn run_uid_of_job(job: &str) -> Option<&str> {
    job.strip_prefix("run-")
}

/// First ten characters of a SHA, as people read it.
pub fn short_sha(sha: &str) -> String {
    sha.chars().take(10).collect()
}
