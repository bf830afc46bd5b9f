//! PrBuild: one authorized request.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cancel, ReportMode, RepositoryRef, RunPhase, Trigger, condition};

/// One authorized request: some builders on one commit of one pull request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "prbuild.dev",
    version = "v1alpha1",
    kind = "PrBuild",
    plural = "prbuilds",
    namespaced,
    status = "PrBuildStatus",
    shortname = "prb",
    category = "prbuild",
    derive = "PartialEq",
    doc = "One authorized request: some builders on one commit of one pull request. The webhook makes it when somebody who may adds a label. `kubectl get prb NAME` shows one, `kubectl get prbuild` all kinds of PrBuild's objects.",
    selectable = ".spec.request.number",
    selectable = ".spec.request.headSha",
    selectable = ".status.phase",
    printcolumn(name = "PR", type_ = "integer", json_path = ".spec.request.number"),
    printcolumn(name = "SHA", type_ = "string", json_path = ".status.shortSha"),
    printcolumn(
        name = "Flavour",
        type_ = "string",
        json_path = ".spec.request.flavour"
    ),
    printcolumn(
        name = "By",
        type_ = "string",
        json_path = ".spec.request.trigger.user.login"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Result", type_ = "string", json_path = ".status.summary"),
    printcolumn(
        name = "Running",
        type_ = "integer",
        json_path = ".status.counts.running"
    ),
    printcolumn(
        name = "Queued",
        type_ = "integer",
        json_path = ".status.counts.queued"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Repo",
        type_ = "string",
        json_path = ".spec.request.repository.fullName",
        priority = 1
    ),
    printcolumn(
        name = "Base",
        type_ = "string",
        json_path = ".spec.request.baseRef",
        priority = 1
    ),
    printcolumn(
        name = "Trigger",
        type_ = "string",
        json_path = ".spec.request.trigger.kind",
        priority = 1
    ),
    printcolumn(
        name = "Duration",
        type_ = "string",
        json_path = ".status.duration",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.reason",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.request == oldSelf.request").message("spec.request is immutable: it records what was authorized. Ask for a new build instead"),
    validation = Rule::new("!has(oldSelf.cancel) || (has(self.cancel) && self.cancel == oldSelf.cancel)").message("spec.cancel is set once and stays: a cancelled build does not come back. Ask for a new one"),
    validation = Rule::new("!has(oldSelf.cancelBuilders) || (has(self.cancelBuilders) && oldSelf.cancelBuilders.all(b, b in self.cancelBuilders && self.cancelBuilders[b] == oldSelf.cancelBuilders[b]))").message("an entry of spec.cancelBuilders is set once and stays: a cancelled run does not come back. Ask for a new build")
)]
pub struct PrBuildSpec {
    /// What was authorized: which code, on which builders, on whose request. Immutable.
    pub request: Request,
    /// Stops the build when set: `kubectl patch prb NAME --type merge -p '{"spec": {"cancel": {"by":
    /// "me", "reason": "why", "at": "2026-01-31T12:00:00Z"}}}'`. May be set once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
    /// Stops single builders of the build, by the name of the Builder object. Entries stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    #[x_kube(validation = Rule::new("self.all(b, size(b) <= 40)").message("a key of spec.cancelBuilders is the name of a Builder, which has at most 40 characters"))]
    pub cancel_builders: BTreeMap<String, Cancel>,
}

/// What was asked for, by whom, and the exact code that it was granted for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.mergeSha) == has(self.baseSha) && has(self.mergeSha) == has(self.mergeTree)").message("mergeSha, mergeTree and baseSha come together: they are the pinned test merge"),
    validation = Rule::new("self.repository.id > 0 && self.trigger.user.id > 0").message("repository.id and trigger.user.id are GitHub's numeric ids, from 1: names can change hands")
)]
pub struct Request {
    /// The repository that the pull request wants to change.
    pub repository: RepositoryRef,
    /// Number of the pull request.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// The labelled head of the pull request, in full. Results are told on this commit.
    #[schemars(regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub head_sha: String,
    /// The commit that is built: GitHub's test merge of exactly that head into the base branch.
    /// Absent when the bare head is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub merge_sha: Option<String>,
    /// Tree of the test merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub merge_tree: Option<String>,
    /// First parent of the test merge: the tip of the base branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub base_sha: Option<String>,
    /// The base branch.
    #[schemars(length(min = 1, max = 255))]
    pub base_ref: String,
    /// What was asked for, as people name it: the label's flavour, or `custom`.
    #[schemars(length(min = 1, max = 40))]
    pub flavour: String,
    /// Names of the Builder objects that run, as they were selected when the request was granted.
    #[schemars(
        length(min = 1, max = 256),
        inner(regex(pattern = "^[a-z0-9]([-a-z0-9.]{0,38}[a-z0-9])?$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub builders: Vec<String>,
    /// Builders that the request asks for and that do not run, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub left_out: Vec<LeftOut>,
    /// The label or command that asked, when, and by whom.
    pub trigger: Trigger,
    /// Contexts of statuses, or names of check runs, that must be green on `headSha` before a builder
    /// starts, as `guards.afterChecks` named them when the request was granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 255)))]
    pub after_checks: Vec<String>,
    /// Name of the PrBuild whose commits this request repeats; the first one, where a repetition is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub rerun_of: Option<String>,
}

/// A builder that was not included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Object name of the builder.
    #[schemars(length(max = 40))]
    pub builder: String,
    /// Why, and what would include it, as a sentence.
    #[schemars(length(max = 300))]
    pub reason: String,
}

/// How far a build is. Written by the operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PrBuildStatus {
    /// Where the build stands.
    pub phase: BuildPhase,
    /// The result, once complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<BuildResult>,
    /// How many builders wait, run, passed, failed …
    pub counts: Counts,
    /// First ten characters of the labelled head.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub short_sha: String,
    /// One line: `93 passed, 2 failed, 1 error`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Why it ended as it did, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the last run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// From request to last result, as `12 min 3 s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// The last attempt of each builder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<BuilderResult>,
    /// `Dispatched`, `Announced`, `LabelRemoved`, `Reported`, `Recorded`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// GitHub's id of the build's comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment_id: Option<i64>,
}

impl PrBuild {
    /// The condition `kind`, where its status has it.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        condition::find(&self.status.as_ref()?.conditions, kind)
    }

    /// Whether the condition `kind` is `True`.
    pub fn holds(&self, kind: &str) -> bool {
        let found = self.condition(kind);
        found.is_some_and(|found| found.status == "True")
    }
}

/// Where a build stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BuildPhase {
    /// Authorized; its runs are being made.
    #[default]
    Accepted,
    /// Runs wait or run.
    Running,
    /// Asked to stop; runs are ending.
    Cancelling,
    /// Every run has ended.
    Complete,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BuildResult {
    /// Every builder passed.
    Passed,
    /// A builder failed or timed out.
    Failed,
    /// No builder failed, but infrastructure kept one from a result.
    Error,
    /// Cancelled before every builder had a result of its own.
    Cancelled,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// Builders of a build by where their last attempt stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// All builders.
    pub total: i32,
    /// Waiting for a slot or a machine.
    pub queued: i32,
    /// Running.
    pub running: i32,
    /// Passed.
    pub passed: i32,
    /// Failed.
    pub failed: i32,
    /// Timed out.
    pub timed_out: i32,
    /// Ended in error.
    pub error: i32,
    /// Cancelled.
    pub cancelled: i32,
}

/// The last attempt of one builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuilderResult {
    /// Object name of the builder.
    pub builder: String,
    /// Number of its last attempt.
    pub attempt: i64,
    /// Where that attempt stands.
    pub phase: RunPhase,
    /// The page of that attempt, with its log; absent where no pages are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What its result is on GitHub; absent before its first attempt was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_mode: Option<ReportMode>,
    /// Context of its status, or name of its check run, whatever the Repository and the Builder say since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub context: Option<String>,
}
