//! Pure: what is kept of a run, and its entry in the history of its builder.

use crds::{BuilderRun, RunPhase};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use protocol::{
    Source,
    record::{AlsoFailed, BuilderHistory, HistoryRun, PullRef, RunRecord, RunResult},
};

/// What the objects around a run say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Another attempt follows it.
    pub followed: bool,
    /// Uid of the run whose outcome it took over, if it did.
    pub same_as: Option<String>,
}

/// The record of a run that has ended.
pub fn record(run: &BuilderRun, around: Around) -> RunRecord {
    let task = &run.spec.task;
    let status = run.status.clone().unwrap_or_default();
    let outcome = status.outcome.unwrap_or_default();
    let created = run.creation_timestamp().map(|time| millis(&time));
    let finished = status.finished_at.as_ref().map(millis);
    RunRecord {
        name: run.name_any(),
        uid: run.uid().unwrap_or_default(),
        build: run.spec.pr_build.name.clone(),
        builder: task.builder.clone(),
        display_name: task.display_name.clone(),
        attempt: run.spec.attempt,
        pull: pull(&task.repository, &task.source),
        requester: task.requester.clone(),
        commit: task.source.commit.clone(),
        parents: task.source.parents.clone(),
        tree: outcome.tree,
        head_sha: task.source.head_sha.clone(),
        base_ref: task.source.base_ref.clone(),
        image: task
            .kubernetes
            .as_ref()
            .map(|machine| machine.image.clone()),
        image_digest: outcome.image_digest,
        worker: status.worker,
        signed_logs: outcome.logs,
        result: result(status.phase),
        warning: outcome.warning,
        exit_code: outcome.exit_code,
        reason: outcome.reason,
        followed: around.followed,
        same_as: around.same_as,
        queued_ms: created.or(finished).unwrap_or_default(),
        started_ms: status.started_at.as_ref().map(millis),
        finished_ms: finished.or(created).unwrap_or_default(),
        steps: outcome.steps,
        failures: outcome.failures,
        failures_total: outcome.failures_total,
    }
}

/// What the history of a run's builder says of it: one entry. None where the run says nothing of its
/// builder: it was cancelled before it began, or took over what another run did.
pub fn history(run: &BuilderRun) -> Option<BuilderHistory> {
    let task = &run.spec.task;
    let status = run.status.clone().unwrap_or_default();
    let began = status.started_at.is_some();
    if status.same_as.is_some() || (status.phase == RunPhase::Cancelled && !began) {
        return None;
    }
    let record = record(run, Around::default());
    let entry = HistoryRun {
        seconds: record.seconds(),
        run: record.uid,
        repository: record.pull.repository,
        number: record.pull.number,
        head_sha: record.head_sha,
        base_ref: record.base_ref,
        result: record.result,
        warning: record.warning,
        finished_ms: record.finished_ms,
        failures: record.failures,
    };
    let mut history = BuilderHistory {
        builder: task.builder.clone(),
        display_name: task.display_name.clone(),
        runs: Vec::new(),
    };
    history.add(entry);
    Some(history)
}

/// The failing tests of a run that failed in earlier runs of its builder on other pull requests, too.
pub fn also_failed(run: &BuilderRun, history: &BuilderHistory) -> Vec<(String, AlsoFailed)> {
    let record = record(run, Around::default());
    let (pull, before) = (&record.pull, record.finished_ms);
    let found = record.failures.iter().filter_map(|test| {
        let also = history.also_failed(test, &pull.repository, pull.number, before)?;
        Some((test.clone(), also))
    });
    found.collect()
}

/// The pull request that a run is about.
pub fn pull(repository: &str, source: &Source) -> PullRef {
    let url = source.clone_url.strip_suffix(".git");
    PullRef {
        repository: repository.to_owned(),
        full_name: source.repository.clone(),
        url: url.unwrap_or(&source.clone_url).to_owned(),
        number: source.pull_request,
    }
}

/// The result as a record says it.
pub fn result(phase: RunPhase) -> RunResult {
    match phase {
        RunPhase::Succeeded => RunResult::Passed,
        RunPhase::Failed => RunResult::Failed,
        RunPhase::TimedOut => RunResult::TimedOut,
        RunPhase::Cancelled => RunResult::Cancelled,
        RunPhase::Error => RunResult::Error,
        RunPhase::Queued
        | RunPhase::Dispatched
        | RunPhase::Running
        | RunPhase::Lost
        | RunPhase::Unknown => RunResult::Unknown,
    }
}

/// Milliseconds since 1970, as precisely as an object keeps a time: a record that is made once more
/// after a restart says the same.
pub fn millis(time: &Time) -> i64 {
    seconds(time.0) * 1000
}

fn seconds(time: Timestamp) -> i64 {
    time.as_second()
}

#[cfg(test)]
pub(crate) mod tests {
    use crds::{BuildRef, BuilderRunSpec, BuilderRunStatus, Outcome};
    use jiff::SignedDuration;

    use super::*;
    use crate::run::outcome::tests::task;

    pub fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    /// A run of the builder `debian` that ended so, after ten seconds.
    pub fn run(phase: RunPhase, failures: &[&str]) -> BuilderRun {
        let spec = BuilderRunSpec {
            pr_build: BuildRef {
                name: "app-7-l1".to_owned(),
                uid: "build".to_owned(),
            },
            attempt: 1,
            task: task(),
            cancel: None,
        };
        let mut run = BuilderRun::new("app-7-l1-debian-1", spec);
        run.metadata.uid = Some("0b5c".to_owned());
        run.metadata.creation_timestamp = Some(at(50));
        run.status = Some(BuilderRunStatus {
            phase,
            started_at: Some(at(60)),
            finished_at: Some(at(70)),
            outcome: Some(Outcome {
                reason: "step `test` failed".to_owned(),
                failures: failures.iter().map(|name| (*name).to_owned()).collect(),
                ..Outcome::default()
            }),
            ..BuilderRunStatus::default()
        });
        run
    }

    #[test]
    fn the_record_of_a_run_says_all_that_its_page_needs_when_every_object_is_gone() {
        let record = record(&run(RunPhase::Failed, &["test_ssl"]), Around::default());
        assert_eq!(record.uid, "0b5c");
        assert_eq!(record.pull.url, "https://github.com/octo/app");
        assert_eq!((record.pull.number, &*record.pull.repository), (7, "app"));
        assert_eq!(record.image.as_deref(), Some("gcc:14"));
        assert_eq!(record.result, RunResult::Failed);
        assert_eq!((record.queued_ms, record.finished_ms), (50_000, 70_000));
        assert_eq!(record.seconds(), Some(10.0));
        assert_eq!(record.failures, ["test_ssl"]);
    }

    #[test]
    fn every_phase_that_is_an_end_has_a_result() {
        use RunPhase::{
            Cancelled, Dispatched, Error, Failed, Queued, Running, Succeeded, TimedOut,
        };
        for phase in [Succeeded, Failed, TimedOut, Cancelled, Error] {
            assert_ne!(result(phase), RunResult::Unknown, "{phase:?}");
        }
        for phase in [Queued, Dispatched, Running, RunPhase::Unknown] {
            assert_eq!(result(phase), RunResult::Unknown, "{phase:?}");
        }
    }

    #[test]
    fn a_record_that_is_made_again_from_the_object_is_the_same() {
        let mut fresh = run(RunPhase::Succeeded, &[]);
        let stored = fresh.clone();
        let status = fresh.status.as_mut().unwrap();
        let finished = status.finished_at.as_mut().unwrap();
        finished.0 += SignedDuration::from_millis(345);
        let again = |run: &BuilderRun| record(run, Around::default());
        assert_eq!(again(&fresh), again(&stored));
        assert_eq!(history(&fresh), history(&stored));
    }

    #[test]
    fn what_says_nothing_of_a_builder_is_not_in_its_history() {
        let ended = run(RunPhase::Failed, &["test_ssl"]);
        let history_of = history(&ended).unwrap();
        assert_eq!(history_of.runs[0].failures, ["test_ssl"]);
        assert_eq!(history_of.runs[0].seconds, Some(10.0));

        let mut stopped = run(RunPhase::Cancelled, &[]);
        assert!(history(&stopped).is_some(), "it ran");
        stopped.status.as_mut().unwrap().started_at = None;
        assert_eq!(history(&stopped), None, "it never began");

        let mut follows = ended;
        follows.status.as_mut().unwrap().same_as = Some("app-7-l0-debian-1".to_owned());
        assert_eq!(history(&follows), None, "another run did it");
    }

    #[test]
    fn a_run_that_never_had_a_pod_has_a_record_too() {
        let mut run = run(RunPhase::Error, &[]);
        run.status = Some(BuilderRunStatus {
            phase: RunPhase::Error,
            finished_at: Some(at(55)),
            outcome: Some(Outcome {
                reason: "the builder `debian` does not exist any more".to_owned(),
                ..Outcome::default()
            }),
            ..BuilderRunStatus::default()
        });
        run.spec.task.kubernetes = None;
        let record = record(&run, Around::default());
        assert_eq!((record.started_ms, record.seconds()), (None, None));
        assert!(record.reason.contains("does not exist"));
    }
}
