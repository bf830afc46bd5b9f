//! Names of objects. They are functions of what an object stands for, so that doing something twice
//! meets the object of the first time.

use crate::{Trigger, TriggerKind};

/// GitHub's ids of comments are far below this, and a few times it is an integer that JSON keeps.
const NEXT_COMMAND: i64 = 1_000_000_000_000_000;

/// Identifier of the button of check runs that runs again what did not pass: the operator puts it
/// there, and the webhook hears of it.
pub const RERUN_FAILED: &str = "rerun-failed";
/// Identifier of the button of check runs that stops a run.
pub const CANCEL: &str = "cancel";

/// Name of the PrBuild or Answer of one event: `<Repository>-<number>-<l|c|b|m><event id>`.
pub fn event_name(repository: &str, number: i64, trigger: &Trigger) -> String {
    name_of(repository, number, trigger.kind, trigger.event_id)
}

/// The same, where no more than kind and id of the event are known.
pub fn name_of(repository: &str, number: i64, kind: TriggerKind, event_id: i64) -> String {
    let letter = match kind {
        TriggerKind::Label => 'l',
        TriggerKind::Comment => 'c',
        TriggerKind::Button => 'b',
        TriggerKind::Manual => 'm',
        TriggerKind::Unknown => 'u',
    };
    format!("{repository}-{number}-{letter}{event_id}")
}

/// Event id of a command, from 0, of a comment: the first has the comment's own, so that the third of
/// comment 4711 is `c2000000000004711`.
pub fn command_event(comment: i64, ordinal: u8) -> i64 {
    comment + i64::from(ordinal) * NEXT_COMMAND
}

/// GitHub's id of the comment that holds the command of this event.
pub fn comment_of(event_id: i64) -> i64 {
    event_id % NEXT_COMMAND
}

/// Name of the BuilderRun of one attempt: `<PrBuild>-<Builder>-<attempt>`.
pub fn run_name(build: &str, builder: &str, attempt: i64) -> String {
    format!("{build}-{builder}-{attempt}")
}

/// What the name of a BuilderRun says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunName<'a> {
    /// Name of its PrBuild.
    pub build: &'a str,
    /// Number of the pull request.
    pub number: i64,
    /// Object name of its builder.
    pub builder: &'a str,
}

/// Reads the name of a BuilderRun of this Repository. None: it is not one.
pub fn read_run_name<'a>(repository: &str, run: &'a str) -> Option<RunName<'a>> {
    let (rest, attempt) = run.rsplit_once('-')?;
    attempt.parse::<u8>().ok()?;
    let of_repository = rest.strip_prefix(repository)?.strip_prefix('-')?;
    let (number, of_number) = of_repository.split_once('-')?;
    let (event, builder) = of_number.split_once('-')?;
    event
        .strip_prefix(['l', 'c', 'b', 'm', 'u'])?
        .parse::<u64>()
        .ok()?;
    Some(RunName {
        build: &rest[..rest.len() - builder.len() - 1],
        number: number.parse().ok().filter(|number| *number > 0)?,
        builder: (!builder.is_empty()).then_some(builder)?,
    })
}

/// Name of the Job that executes a BuilderRun.
pub fn job_name(run_uid: &str) -> String {
    format!("run-{run_uid}")
}

/// The uid of the BuilderRun that a Job of this name executes.
pub fn run_uid_of_job(job: &str) -> Option<&str> {
    job.strip_prefix("run-")
}

/// Name of the Assignment of a BuilderRun. It is the run's uid, so that a run has one at a time.
pub fn assignment_name(run_uid: &str) -> String {
    format!("run-{run_uid}")
}

/// First ten characters of a SHA, as people read it.
pub fn short_sha(sha: &str) -> String {
    sha.chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_of_a_comment_has_an_event_of_its_own_that_leads_back_to_the_comment() {
        assert_eq!(command_event(4711, 0), 4711);
        assert_eq!(command_event(4711, 2), 2_000_000_000_004_711);
        for ordinal in 0..6 {
            let event = command_event(3_456_789_012, ordinal);
            assert_eq!(comment_of(event), 3_456_789_012);
            assert!(event < 1 << 53, "JSON keeps it");
        }
    }

    #[test]
    fn the_name_of_a_run_is_read_back_whatever_its_parts_are_called() {
        for (repository, build, builder) in [
            ("app", "app-7-l12", "linux"),
            ("my-app-7", "my-app-7-7-b34", "s390x-debian-3.14"),
            ("app-7", "app-7-1-c2000000000004711", "l1-2"),
        ] {
            let run = run_name(build, builder, 3);
            let found = read_run_name(repository, &run).expect("a run");
            assert_eq!((found.build, found.builder), (build, builder));
        }
        for other in [
            "",
            "app-7-l12",
            "app-7-x12-linux-1",
            "app-0-l1-linux-1",
            "b-7-l1-linux-1",
            "app-7-l1-linux",
            "app-7-l1--1",
        ] {
            assert_eq!(read_run_name("app", other), None, "{other}");
        }
    }
}
