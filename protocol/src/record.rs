//! What stays of a run when its objects are gone: records that the operator sends to the gateway at
//! the end of each run and build, and short histories, each one file, so that a page needs no object,
//! no listing and no index.

use serde::{Deserialize, Serialize};

use crate::{StepReport, log::LogDigest};

/// Runs that a [`BuilderHistory`] keeps.
pub const BUILDER_HISTORY: usize = 200;
/// Builds that a [`PullHistory`] keeps.
pub const PULL_HISTORY: usize = 50;
/// Failing tests that an entry of a history names.
pub const HISTORY_FAILURES: usize = 20;
/// Earlier runs that "also failed in" looks at.
pub const FAULT_LOOKS_AT: usize = 5;

/// How a run ended, in the words that people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunResult {
    /// The steps passed.
    Passed,
    /// The code's doing.
    Failed,
    /// The steps took too long.
    TimedOut,
    /// Stopped on request.
    Cancelled,
    /// The infrastructure's doing.
    Error,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

impl RunResult {
    /// The result as people say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

/// A pull request on GitHub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PullRef {
    /// Name of the Repository object.
    pub repository: String,
    /// `owner/name` on GitHub.
    pub full_name: String,
    /// Where people see the repository: `https://github.com/owner/name`.
    pub url: String,
    /// Number of the pull request.
    pub number: i64,
}

/// All of a run that is worth keeping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// Name of the BuilderRun.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Name of the PrBuild.
    pub build: String,
    /// Name of the Builder.
    pub builder: String,
    /// The builder's name that people read.
    pub display_name: String,
    /// Number of the attempt, from 1.
    pub attempt: i64,
    /// The pull request.
    pub pull: PullRef,
    /// Login of who asked.
    pub requester: String,
    /// The commit that was built, full SHA.
    pub commit: String,
    /// Its parents, as pinned; empty where the bare head was built.
    #[serde(default)]
    pub parents: Vec<String>,
    /// Its tree, as the checkout found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// The labelled head.
    pub head_sha: String,
    /// The base branch.
    pub base_ref: String,
    /// The image that it ran in, as the Builder names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The image by its digest, as the node found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Name of the Worker that it ran on; absent where it ran in a pod, or nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// What that worker signed of its log, as the operator verified it: pages hold what is stored against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_logs: Vec<LogDigest>,
    /// How it ended.
    pub result: RunResult,
    /// Passed, with an exit code that means a warning.
    #[serde(default)]
    pub warning: bool,
    /// Exit code of the step that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// A sentence: what happened.
    #[serde(default)]
    pub reason: String,
    /// Another attempt follows this one.
    #[serde(default)]
    pub followed: bool,
    /// Uid of the run of another build whose outcome this one took over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// When it was queued, in milliseconds since 1970.
    pub queued_ms: i64,
    /// When its steps began; absent where they never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<i64>,
    /// When it ended.
    pub finished_ms: i64,
    /// Its steps, as the run reported them.
    #[serde(default)]
    pub steps: Vec<StepReport>,
    /// Failing tests, as the run reported them: the first ones.
    #[serde(default)]
    pub failures: Vec<String>,
    /// How many there were.
    #[serde(default)]
    pub failures_total: i64,
}

impl RunRecord {
    /// Seconds that its steps took.
    pub fn seconds(&self) -> Option<f64> {
        let started = self.started_ms?;
        Some((self.finished_ms - started).max(0) as f64 / 1000.0)
    }
}

/// All of a build that is worth keeping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildRecord {
    /// Name of the PrBuild.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The pull request.
    pub pull: PullRef,
    /// Login of who asked.
    pub requester: String,
    /// What started it, in words: the label `test`, the command `/prbuild run`.
    pub trigger: String,
    /// What was asked for: `default`, `refleaks`.
    #[serde(default)]
    pub flavour: String,
    /// The commit that was built.
    pub commit: String,
    /// The labelled head.
    pub head_sha: String,
    /// The base branch.
    pub base_ref: String,
    /// The result in one line: `93 passed, 2 failed`.
    pub summary: String,
    /// The worst result of its builders.
    pub result: RunResult,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was complete; absent while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_ms: Option<i64>,
    /// Its builders, the last attempt of each.
    pub runs: Vec<BuildRun>,
    /// Builders that were left out, and why.
    #[serde(default)]
    pub left_out: Vec<(String, String)>,
    /// Name of the build that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<String>,
}

/// One builder of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildRun {
    /// Name of the Builder.
    pub builder: String,
    /// The name that people read.
    pub display_name: String,
    /// Uid of the last attempt's BuilderRun.
    pub run: String,
    /// Number of that attempt.
    pub attempt: i64,
    /// How it ended.
    pub result: RunResult,
    /// Passed with a warning.
    #[serde(default)]
    pub warning: bool,
    /// Seconds that its steps took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// A sentence: what happened.
    #[serde(default)]
    pub reason: String,
    /// Failing tests, the first ones.
    #[serde(default)]
    pub failures: Vec<String>,
}

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
