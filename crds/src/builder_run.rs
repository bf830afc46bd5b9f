//! BuilderRun: one builder in one build, one attempt.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use protocol::{Annotation, Recipe, Source, StepReport, log::LogDigest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cancel, Evidence, Kubernetes, OnWorker, ReportMode};

/// One builder in one build, one attempt. A Job is how the cluster executes it, an Assignment how a worker does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "prbuild.dev",
    version = "v1alpha1",
    kind = "BuilderRun",
    plural = "builderruns",
    namespaced,
    status = "BuilderRunStatus",
    shortname = "run",
    category = "prbuild",
    derive = "PartialEq",
    doc = "One builder in one build, one attempt. A Job is how the cluster executes it, an Assignment how a worker does.",
    printcolumn(
        name = "Builder",
        type_ = "string",
        json_path = ".spec.task.displayName"
    ),
    printcolumn(
        name = "PR",
        type_ = "integer",
        json_path = ".spec.task.source.pullRequest"
    ),
    printcolumn(name = "Attempt", type_ = "integer", json_path = ".spec.attempt"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Waiting",
        type_ = "string",
        json_path = ".status.waiting.reason"
    ),
    printcolumn(name = "Ahead", type_ = "integer", json_path = ".status.waiting.ahead"),
    printcolumn(
        name = "Exit",
        type_ = "integer",
        json_path = ".status.outcome.exitCode"
    ),
    printcolumn(name = "Told", type_ = "string", json_path = ".status.report.sent"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Build",
        type_ = "string",
        json_path = ".spec.prBuild.name",
        priority = 1
    ),
    printcolumn(
        name = "Worker",
        type_ = "string",
        json_path = ".status.worker",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.outcome.reason",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.prBuild == oldSelf.prBuild && self.attempt == oldSelf.attempt").message("a run belongs to one build and one attempt for ever"),
    validation = Rule::new("self.task == oldSelf.task").message("spec.task is immutable: it is what was authorized and dispatched"),
    validation = Rule::new("!has(oldSelf.cancel) || (has(self.cancel) && self.cancel == oldSelf.cancel)").message("spec.cancel is set once and stays")
)]
pub struct BuilderRunSpec {
    /// The build that it belongs to.
    pub pr_build: BuildRef,
    /// Number of the attempt, from 1; it grows when the infrastructure failed.
    #[schemars(range(min = 1, max = 10))]
    pub attempt: i64,
    /// The whole snapshot of what runs. Immutable: a Job is a function of it and nothing else.
    pub task: Task,
    /// Stops the run. May be set once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
}

/// A build by name and uid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildRef {
    /// Name of the PrBuild.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its uid: a build of the same name that was made anew is another one.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

/// What runs: code, steps, limits and machine, as they were at dispatch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.invalid) || (has(self.recipe) && has(self.kubernetes) != has(self.worker))").message("spec.task has recipe and one of kubernetes and worker, or says in `invalid` why it cannot run"))]
pub struct Task {
    /// Name of the Builder object.
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9.]{0,38}[a-z0-9])?$"))]
    pub builder: String,
    /// The builder's name that people read.
    #[schemars(length(max = 80))]
    pub display_name: String,
    /// Whether results are commit statuses or check runs.
    #[serde(default)]
    pub report_mode: ReportMode,
    /// Context of the commit status: the name that GitHub shows before a result.
    #[schemars(length(max = 300))]
    pub context: String,
    /// Name of the Repository object.
    #[schemars(length(max = 30))]
    pub repository: String,
    /// Login of the person who asked; requesters take turns in the queue.
    #[schemars(length(max = 253))]
    pub requester: String,
    /// Numeric id of that person.
    pub requester_id: i64,
    /// The exact code, by full SHAs.
    pub source: Source,
    /// Steps, exit codes, limits in time. Absent only where `invalid` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// New attempts that remain after this one.
    #[serde(default)]
    pub infra_retries: i64,
    /// How it runs in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
    /// On which worker it runs. One of the two is there unless `invalid` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<OnWorker>,
    /// How sure the gate was that a person looked at exactly this commit: owners of workers ask.
    #[serde(default)]
    pub evidence: Evidence,
    /// Why this run cannot run at all, as a sentence: its Builder is gone or not valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub invalid: Option<String>,
}

/// How far a run is. Written by the operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BuilderRunStatus {
    /// Where the run stands.
    pub phase: RunPhase,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Name of the Job in the build namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Name of the Worker that took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// When the steps started: in the cluster the build container, on a worker the checkout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Since when its builder's queue timeout counts, where that is not its creation: until then its
    /// build was held, or it followed another build's run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_since: Option<Time>,
    /// Name of the BuilderRun of another build whose outcome this one takes over: the same builder
    /// on the same commit. Such a run has no Job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What GitHub was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// `true` once the gateway has stored the record of how it ended: the log's page needs no object
    /// any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recorded: bool,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// Waits for a slot.
    #[default]
    Queued,
    /// Has a Job that has not started the steps yet, or an Assignment that nobody has taken yet.
    Dispatched,
    /// The steps run.
    Running,
    /// The steps may run: its worker is not heard of. It goes on when the worker is back.
    Lost,
    /// The steps passed.
    Succeeded,
    /// The code's doing: a step failed, ran out of memory or disk, or left no valid result.
    Failed,
    /// The steps took too long.
    TimedOut,
    /// Stopped on request.
    Cancelled,
    /// The infrastructure's doing. Not the code's, and never green.
    Error,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

impl RunPhase {
    /// Whether the run has ended.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled | Self::Error
        )
    }

    /// The result as people say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "waiting",
            Self::Dispatched => "starting",
            Self::Running => "running",
            Self::Lost => "worker is away",
            Self::Succeeded => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// A sentence: `3 ahead on s390x Debian`, `the builder is paused`.
    pub reason: String,
    /// Runs before it in the same queue.
    pub ahead: i32,
    /// Since when it waits for this.
    pub since: Time,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Outcome {
    /// Exit code of the step that decided, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Passed, with an exit code that the Builder maps to a warning.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub warning: bool,
    /// A sentence: what happened, and what it means.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The failure was the infrastructure's, and another attempt may heal it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retryable: bool,
    /// The commit that was checked out, as the checkout verified it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// The image that the steps ran in, by its digest, as the node found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub image_digest: Option<String>,
    /// What the worker signed of its log: bytes and digest of each stream. The gateway's pages say whether what
    /// they show is that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub logs: Vec<LogDigest>,
    /// The steps, as the run reported them: a claim of the pull request's own code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub steps: Vec<StepReport>,
    /// Names of failing tests, as the run reported them: the first ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 256)))]
    pub failures: Vec<String>,
    /// How many failing tests there were in all; 1000 means at least as many.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 1000))]
    pub failures_total: i64,
    /// What is wrong on which line, as the run reported it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub annotations: Vec<Annotation>,
}

fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// What GitHub was told about a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// The last state that GitHub took: `pending`, `success`, `failure`, `error`; or `settled` when
    /// it will never take one (the commit is gone, or its limit of statuses is reached) or a newer
    /// run speaks for the same context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// GitHub's id of the check run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// Why the last try did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
