//! What the executor is asked to do: which code, and which steps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::findings::Tests;

/// All that an executor needs for one run: one commit and the steps to run on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// The commit to check out.
    pub source: Source,
    /// The steps and their limits.
    pub recipe: Recipe,
}

/// One commit of one repository, pinned by full SHAs. Nothing in it moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// GitHub's numeric id of the base repository.
    pub repository_id: i64,
    /// `owner/name` of the base repository.
    #[cfg_attr(feature = "schema", schemars(length(max = 140)))]
    pub repository: String,
    /// Where the commit is fetched from: the base repository, never the fork. From the connection's
    /// configuration, never from a payload.
    #[cfg_attr(feature = "schema", schemars(length(max = 512)))]
    pub clone_url: String,
    /// Number of the pull request.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub pull_request: i64,
    /// The commit to check out, a full SHA: the pinned test merge, or the head itself.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))
    )]
    pub commit: String,
    /// Parents that `commit` must have, in order: base and head of a test merge. Empty when the
    /// bare head is built, whose parents nobody promised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = 2)))]
    pub parents: Vec<String>,
    /// Tree that `commit` must have, as GitHub told it for the test merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// The labelled head of the pull request, which statuses are written to.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))
    )]
    pub head_sha: String,
    /// Name of the base branch.
    #[cfg_attr(feature = "schema", schemars(length(max = 255)))]
    pub base_ref: String,
}

/// The steps of a Builder with their limits, as they were when the build was dispatched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Recipe {
    /// Steps, run one after the other.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 50)))]
    pub steps: Vec<Step>,
    /// Exit codes of steps that mean something other than failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = 16)))]
    pub exit_codes: Vec<ExitCode>,
    /// Limits in time.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Where the names of failing tests come from.
    #[serde(default, skip_serializing_if = "Tests::is_empty")]
    pub tests: Tests,
}

/// One step, in the vocabulary of GitHub Actions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// Name that people read; the first line of `run` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 80)))]
    pub name: Option<String>,
    /// The script.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 16384)))]
    pub run: String,
    /// What runs the script. Absent: `bash -e`, or `sh -e` where there is no bash, as on GitHub Actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<Shell>,
    /// Environment variables of this step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(extend(
            "maxProperties" = 100,
            "additionalProperties" = { "type": "string", "maxLength": 8192 }
        ))
    )]
    pub env: BTreeMap<String, String>,
    /// Directory relative to the checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 255)))]
    pub working_directory: Option<String>,
    /// Minutes after which the step is stopped and counts as timed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.001, max = 10080.0)))]
    pub timeout_minutes: Option<f64>,
    /// A failure of this step fails neither the build nor the steps after it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continue_on_error: bool,
    /// When the step runs. Absent: `success()`.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub run_if: Option<RunIf>,
}

impl Step {
    /// The name that people read: `name`, else the first line of the script.
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| {
            let line = self.run.lines().find(|line| !line.trim().is_empty());
            line.unwrap_or("step").trim()
        })
    }
}

/// Whether a variable belongs to the executor or to the facts of a run: it is taken over neither from the
/// image nor from a Builder, and no step hands it on.
pub fn is_reserved_variable(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let prefixes = ["PRBUILD_", "GITHUB_", "RUNNER_"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// What runs a step's script, as on GitHub Actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Shell {
    /// `bash --noprofile --norc -eo pipefail`
    Bash,
    /// `sh -e`
    Sh,
    /// `python`
    Python,
}

/// The conditions of GitHub Actions that a step can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RunIf {
    /// When no step before it failed.
    #[default]
    #[serde(rename = "success()")]
    Success,
    /// When a step before it failed.
    #[serde(rename = "failure()")]
    Failure,
    /// Always, also after a failure. Not after the build was cancelled or timed out.
    #[serde(rename = "always()")]
    Always,
}

/// An exit code of a step that means something other than failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExitCode {
    /// The exit code. 0 is success and cannot be mapped.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 255)))]
    pub code: i32,
    /// What it means.
    pub means: ExitMeaning,
}

/// What a mapped exit code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ExitMeaning {
    /// The step passed, and the status says "with warnings". CPython's regrtest exits with 5 when
    /// tests failed and passed when run again.
    Warning,
}

/// Limits in time of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Timeouts {
    /// Seconds that a run may wait for a slot and for its machine before it ends in `Error`.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 604800)))]
    pub queue_seconds: i64,
    /// Seconds that fetching the code may take, all tries together. One try may take half of them, and
    /// laying the files out as long as a try, at least two minutes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 3600)))]
    pub checkout_seconds: i64,
    /// Seconds that all steps together may take.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 604800)))]
    pub run_seconds: i64,
    /// Seconds without a line of output after which a step is stopped.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 604800)))]
    pub no_output_seconds: i64,
}

impl Default for Timeouts {
    /// A day in the queue, four hours of run, twenty minutes of silence: CPython's own limits, whose code at
    /// depth 1 is 30 MB.
    fn default() -> Self {
        Self {
            queue_seconds: 86_400,
            checkout_seconds: 300,
            run_seconds: 14_400,
            no_output_seconds: 1_200,
        }
    }
}
