//! The last builds of a pull request and the last runs of a builder, newest first, and what they tell:
//! whether a test also fails for others, and how long a run usually takes.

use serde::{Deserialize, Serialize};

use super::{PullRef, RunResult};

/// Runs that a [`BuilderHistory`] keeps.
pub const BUILDER_HISTORY: usize = 200;
/// Builds that a [`PullHistory`] keeps.
pub const PULL_HISTORY: usize = 50;
/// Failing tests that an entry of a history names.
pub const HISTORY_FAILURES: usize = 20;
/// Earlier runs that "also failed in" looks at.
pub const FAULT_LOOKS_AT: usize = 5;

/// The last builds of one pull request, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PullHistory {
    /// The pull request.
    pub pull: PullRef,
    /// At most [`PULL_HISTORY`].
    pub builds: Vec<PullBuild>,
}

/// A build in the history of its pull request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullBuild {
    /// Name of the PrBuild.
    pub name: String,
    /// Login of who asked.
    pub requester: String,
    /// The labelled head.
    pub head_sha: String,
    /// What was asked for.
    pub flavour: String,
    /// The result in one line.
    pub summary: String,
    /// The worst result of its builders.
    pub result: RunResult,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was complete.
    pub finished_ms: i64,
    /// Its builders, for a matrix.
    pub cells: Vec<Cell>,
}

/// One builder of a build, as small as it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// The name that people read.
    pub name: String,
    /// Uid of the last attempt's run.
    pub run: String,
    /// How it ended.
    pub result: RunResult,
}

/// The last runs of one builder, newest first. All of them are of pull requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BuilderHistory {
    /// Name of the Builder.
    pub builder: String,
    /// The name that people read.
    pub display_name: String,
    /// At most [`BUILDER_HISTORY`].
    pub runs: Vec<HistoryRun>,
}

/// A run in the history of its builder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryRun {
    /// Uid of the BuilderRun.
    pub run: String,
    /// Name of the Repository object.
    pub repository: String,
    /// Number of the pull request.
    pub number: i64,
    /// The labelled head.
    pub head_sha: String,
    /// The base branch.
    pub base_ref: String,
    /// How it ended.
    pub result: RunResult,
    /// Passed with a warning.
    #[serde(default)]
    pub warning: bool,
    /// When it ended, in milliseconds since 1970.
    pub finished_ms: i64,
    /// Seconds that its steps took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Failing tests, at most [`HISTORY_FAILURES`].
    #[serde(default)]
    pub failures: Vec<String>,
}

/// In how many of a builder's last runs a test failed, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlsoFailed {
    /// Runs in which it failed.
    pub failed: usize,
    /// Runs that were looked at.
    pub of: usize,
}

impl BuilderHistory {
    /// Puts a run in front; a run that is there already is replaced. Whether anything changed.
    pub fn add(&mut self, mut run: HistoryRun) -> bool {
        run.failures.truncate(HISTORY_FAILURES);
        if self.runs.contains(&run) {
            return false;
        }
        self.runs.retain(|other| other.run != run.run);
        let later = |other: &HistoryRun| other.finished_ms > run.finished_ms;
        let place = self.runs.iter().take_while(|other| later(other)).count();
        self.runs.insert(place, run);
        self.runs.truncate(BUILDER_HISTORY);
        true
    }

    /// "Is it my fault?": in how many of the last [`FAULT_LOOKS_AT`] runs of this builder on *other*
    /// pull requests that ended before this one the test failed, too. None where there are no such runs or
    /// it failed in none.
    pub fn also_failed(
        &self,
        test: &str,
        repository: &str,
        number: i64,
        before_ms: i64,
    ) -> Option<AlsoFailed> {
        let mut found = AlsoFailed { failed: 0, of: 0 };
        let told = |run: &&HistoryRun| {
            matches!(run.result, RunResult::Passed | RunResult::Failed)
                && run.repository == repository
                && run.number != number
                && run.finished_ms < before_ms
        };
        for run in self.runs.iter().filter(told).take(FAULT_LOOKS_AT) {
            found.of += 1;
            found.failed += usize::from(run.failures.iter().any(|failure| failure == test));
        }
        (found.failed > 0).then_some(found)
    }

    /// The median of the seconds of the last runs that passed: what to expect. None below three.
    pub fn expected_seconds(&self) -> Option<f64> {
        let passed = self
            .runs
            .iter()
            .filter(|run| run.result == RunResult::Passed);
        let mut seconds: Vec<f64> = passed.filter_map(|run| run.seconds).take(40).collect();
        seconds.sort_by(f64::total_cmp);
        (seconds.len() >= 3).then(|| seconds[seconds.len() / 2])
    }
}

impl PullHistory {
    /// Puts a build in front; a build that is there already is replaced. Whether anything changed.
    pub fn add(&mut self, build: PullBuild) -> bool {
        if self.builds.contains(&build) {
            return false;
        }
        self.builds.retain(|other| other.name != build.name);
        let later = |other: &PullBuild| other.created_ms > build.created_ms;
        let place = self.builds.iter().take_while(|other| later(other)).count();
        self.builds.insert(place, build);
        self.builds.truncate(PULL_HISTORY);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: i64, number: i64, failures: &[&str]) -> HistoryRun {
        HistoryRun {
            run: format!("run-{id}"),
            repository: "app".to_owned(),
            number,
            head_sha: String::new(),
            base_ref: "main".to_owned(),
            result: match failures {
                [] => RunResult::Passed,
                _ => RunResult::Failed,
            },
            warning: false,
            finished_ms: id,
            seconds: Some(id as f64),
            failures: failures.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn a_history_has_each_run_once_newest_first_and_no_more_than_it_keeps() {
        let mut history = BuilderHistory::default();
        for id in (0..300).rev().chain(0..300) {
            history.add(run(id, 1, &[]));
        }
        assert_eq!(history.runs.len(), BUILDER_HISTORY);
        let ids: Vec<i64> = history.runs.iter().map(|run| run.finished_ms).collect();
        assert_eq!(ids, (100..300).rev().collect::<Vec<_>>());
        assert!(!history.add(run(299, 1, &[])));
    }

    #[test]
    fn a_test_that_fails_elsewhere_too_is_told_from_one_that_does_not() {
        let mut history = BuilderHistory::default();
        for id in 1..=6 {
            history.add(run(id, 10 + id, if id > 2 { &["flaky"] } else { &[] }));
        }
        history.add(run(7, 1, &["mine"]));
        history.add(run(9, 30, &["later"]));
        let also = |test: &str| history.also_failed(test, "app", 1, 8);
        assert_eq!(also("flaky"), Some(AlsoFailed { failed: 4, of: 5 }));
        assert_eq!(also("mine"), None);
        assert_eq!(also("later"), None);
        assert_eq!(history.also_failed("flaky", "other", 1, 8), None);
    }
}
