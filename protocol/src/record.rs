//! What stays of a run when its objects are gone: records that the operator sends to the gateway at
//! the end of each run and build, and short histories, each one file, so that a page needs no
//! object, no listing and no index.

mod history;

use serde::{Deserialize, Serialize};

pub use history::{
    AlsoFailed, BUILDER_HISTORY, BuilderHistory, Cell, FAULT_LOOKS_AT, HISTORY_FAILURES,
    HistoryRun, PULL_HISTORY, PullBuild, PullHistory,
};

use crate::{StepReport, log::LogDigest};

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
