//! Check runs and the suites that they belong to: one suite for each commit and App.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::Id;

/// GitHub keeps so many check runs of one name in a suite, and deletes the oldest.
const MOST_OF_A_NAME: usize = 1000;

/// The check suites and check runs of a repository.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// Suites by id.
    pub suites: BTreeMap<Id, CheckSuite>,
    /// Runs by id.
    pub runs: BTreeMap<Id, CheckRun>,
}

/// All that one App says of one commit.
#[derive(Clone, Debug)]
pub struct CheckSuite {
    /// Numeric id.
    pub id: Id,
    /// The App.
    pub app: Id,
    /// The commit.
    pub head_sha: String,
    /// Somebody asked to run it again and the App has not done anything since: it is queued, whatever
    /// its runs say.
    pub rerequested: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it or one of its runs changed last.
    pub updated_at: Timestamp,
}

/// One check run.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRun {
    /// Numeric id.
    pub id: Id,
    /// The suite that it belongs to.
    pub suite: Id,
    /// The App that made it, the only one that may change it.
    pub app: Id,
    /// What tells the runs of one suite apart; the newest of a name counts.
    pub name: String,
    /// The commit.
    pub head_sha: String,
    /// Where details are.
    pub details_url: Option<String>,
    /// What the App remembers by it.
    pub external_id: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// `success`, `failure`, …; only when completed.
    pub conclusion: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// What people read.
    pub output: CheckOutput,
    /// Its buttons.
    pub actions: Vec<CheckAction>,
}

/// What people read of a check run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckOutput {
    /// One line.
    pub title: Option<String>,
    /// Markdown above the annotations.
    pub summary: Option<String>,
    /// Markdown below them.
    pub text: Option<String>,
    /// Annotations as they were sent: each update adds to them.
    pub annotations: Vec<Value>,
}

/// A button of a check run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckAction {
    /// What stands on it, at most 20 characters.
    pub label: String,
    /// What it does, at most 40 characters.
    pub description: String,
    /// What the App is told, at most 20 characters.
    pub identifier: String,
}

impl Checks {
    /// The suite of a commit and App.
    #[must_use]
    pub fn suite_of(&self, sha: &str, app: Id) -> Option<&CheckSuite> {
        self.suites
            .values()
            .find(|suite| suite.head_sha == sha && suite.app == app)
    }

    /// The runs of a suite, oldest first.
    pub fn of_suite(&self, suite: Id) -> impl Iterator<Item = &CheckRun> {
        self.runs.values().filter(move |run| run.suite == suite)
    }

    /// The newest run of each name in a suite: what GitHub counts.
    #[must_use]
    pub fn latest(&self, suite: Id) -> Vec<&CheckRun> {
        let mut newest: BTreeMap<&str, &CheckRun> = BTreeMap::new();
        for run in self.of_suite(suite) {
            newest.insert(&run.name, run);
        }
        newest.into_values().collect()
    }

    /// Status and conclusion of a suite, which follow from its newest runs.
    #[must_use]
    pub fn state(&self, suite: &CheckSuite) -> (&'static str, Option<&'static str>) {
        let runs = self.latest(suite.id);
        if suite.rerequested || runs.is_empty() {
            return ("queued", None);
        }
        if runs.iter().all(|run| run.status == "completed") {
            let said = |word: &str| {
                runs.iter()
                    .any(|run| run.conclusion.as_deref() == Some(word))
            };
            let gravest = [
                "failure",
                "timed_out",
                "action_required",
                "cancelled",
                "stale",
                "success",
                "neutral",
            ];
            let word = gravest.into_iter().find(|word| said(word));
            return ("completed", Some(word.unwrap_or("skipped")));
        }
        let queued = runs.iter().all(|run| run.status == "queued");
        (if queued { "queued" } else { "in_progress" }, None)
    }

    /// Adds a run and forgets the oldest of its name when there are too many.
    pub fn add(&mut self, run: CheckRun) {
        let same: Vec<Id> = self
            .of_suite(run.suite)
            .filter(|one| one.name == run.name)
            .map(|one| one.id)
            .collect();
        if same.len() >= MOST_OF_A_NAME {
            self.runs.remove(&same[0]);
        }
        self.runs.insert(run.id, run);
    }
}
