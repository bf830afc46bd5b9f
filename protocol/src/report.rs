//! What the executor answers. In a pod both reports travel as termination messages, which
//! Kubernetes caps at 4,096 bytes, and the second one is written beside the code of a pull request:
//! whoever reads it treats it as that code's claim.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{findings::Annotation, message};

/// Bytes that Kubernetes keeps of one container's termination message.
pub const MESSAGE_LIMIT: usize = 4096;

/// What `prbuild-agent checkout` found after it fetched and verified the commit. No code of the
/// pull request has run by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckoutReport {
    /// The commit that is checked out, full SHA; empty when the checkout failed.
    #[serde(default)]
    pub commit: String,
    /// Its parents, in order, as the commit object names them.
    #[serde(default)]
    pub parents: Vec<String>,
    /// Its tree.
    #[serde(default)]
    pub tree: String,
    /// Why there is no checkout, as a sentence: network, missing commit, wrong parents or tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What `prbuild-agent exec` says when the last process of the build is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecReport {
    /// The verdict over all steps.
    pub verdict: Verdict,
    /// Exit code of the step that decided; 0 when passed.
    pub exit_code: i32,
    /// A sentence for people when not plainly passed: which step, what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A step passed with an exit code that the Builder maps to a warning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warning: bool,
    /// The steps that were looked at, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepReport>,
    /// Names of failing tests, each once, in the order in which they were found; at most
    /// [`FAILURES_LIMIT`](crate::FAILURES_LIMIT).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    /// How many failing tests there were in all; counted up to
    /// [`FAILURES_COUNTED`](crate::FAILURES_COUNTED).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures_total: u32,
    /// What is wrong on which line; at most [`ANNOTATIONS_LIMIT`](crate::ANNOTATIONS_LIMIT).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// How the steps ended, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Every step passed, or may fail.
    Passed,
    /// A step failed.
    Failed,
    /// A step, its silence, or all steps together took too long.
    TimedOut,
    /// The executor was asked to stop.
    Cancelled,
    /// The executor itself could not run the steps: no shell, no workspace, full disk.
    Error,
}

/// How one step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepReport {
    /// The step's title.
    #[cfg_attr(feature = "schema", schemars(length(max = 120)))]
    pub name: String,
    /// Its result.
    pub result: StepResult,
    /// Its exit code, where a process ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Seconds it took.
    #[serde(default)]
    pub seconds: f64,
}

/// Result of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StepResult {
    /// Exit code 0.
    Passed,
    /// Passed with an exit code that is mapped to a warning.
    Warning,
    /// Failed.
    Failed,
    /// Failed, but the step may (`continue-on-error`).
    Tolerated,
    /// Stopped for its time or its silence.
    TimedOut,
    /// Not run, because of its `if` or of what happened before.
    Skipped,
    /// Stopped because the run was cancelled.
    Cancelled,
}

/// A termination message that is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The message is empty: the container ended before it could write one.
    #[error("the container left no result message")]
    Missing,
    /// The message is something else.
    #[error("the container's result message is not valid: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Reading a report from a termination message.
pub trait Parse: DeserializeOwned {
    /// Reads the report; never trusts it.
    fn parse(message: &str) -> Result<Self, ReportError> {
        match message.trim() {
            "" => Err(ReportError::Missing),
            text => Ok(serde_json::from_str(text)?),
        }
    }
}

impl Parse for CheckoutReport {}
impl Parse for ExecReport {}

impl ExecReport {
    /// A report of a verdict and nothing else.
    pub fn new(verdict: Verdict, exit_code: i32) -> Self {
        Self {
            verdict,
            exit_code,
            reason: None,
            warning: false,
            steps: Vec::new(),
            failures: Vec::new(),
            failures_total: 0,
            annotations: Vec::new(),
        }
    }

    /// The report as a message that fits [`MESSAGE_LIMIT`]. Steps, failing tests and annotations
    /// are shortened and left out before the verdict would be cut.
    pub fn to_message(&self) -> String {
        message::fit(self, MESSAGE_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_foreign_message_is_an_error_and_not_a_result() {
        assert!(matches!(
            ExecReport::parse(" \n"),
            Err(ReportError::Missing)
        ));
        assert!(matches!(
            ExecReport::parse("exit 0"),
            Err(ReportError::Malformed(_))
        ));
        assert!(ExecReport::parse(r#"{"verdict":"Green","exitCode":0}"#).is_err());
    }
}
