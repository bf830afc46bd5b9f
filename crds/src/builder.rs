//! Builder: one way to build.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use protocol::{ExitCode, Step, Timeouts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Evidence, default_flavour};

/// One way to build: steps, limits, and the machine they run on. Written by the infrastructure team; nothing in a pull request changes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "prbuild.dev",
    version = "v1alpha1",
    kind = "Builder",
    namespaced,
    status = "BuilderStatus",
    shortname = "bld",
    category = "prbuild",
    derive = "PartialEq",
    doc = "One way to build: steps, limits, and the machine they run on. Nothing in a pull request changes it.",
    validation = Rule::new("size(self.metadata.name) <= 40").message("the name of a Builder has at most 40 characters: the names of its runs contain it"),
    printcolumn(name = "Tier", type_ = "string", json_path = ".spec.tier"),
    printcolumn(name = "Stability", type_ = "string", json_path = ".spec.stability"),
    printcolumn(name = "Limit", type_ = "integer", json_path = ".spec.maxConcurrent"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Paused", type_ = "boolean", json_path = ".spec.paused"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Display name", type_ = "string", json_path = ".spec.displayName", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.kubernetes.image", priority = 1),
    printcolumn(name = "Evidence", type_ = "string", json_path = ".spec.evidence", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.kubernetes)").message("a Builder has exactly one backend: set spec.kubernetes"),
    validation = Rule::new("self.steps.exists(s, !has(s.__if__) || s.__if__ != 'failure()')").message("every step has `if: failure()`: nothing would run"),
    validation = Rule::new("!self.steps.all(s, has(s.continue__dash__on__dash__error) && s.continue__dash__on__dash__error)").message("every step has `continue-on-error`: this builder could never fail"),
    validation = Rule::new("self.steps.map(s, size(s.run)).sum() <= 16384").message("the scripts of all steps together have at most 16,384 characters; put longer ones into the image"),
    validation = Rule::new("self.timeouts.noOutputSeconds <= self.timeouts.runSeconds").message("timeouts.noOutputSeconds is longer than timeouts.runSeconds and would never be reached")
)]
pub struct BuilderSpec {
    /// Name that people read, in statuses and comments: `s390x Debian`.
    #[schemars(regex(pattern = "^[A-Za-z0-9][A-Za-z0-9 ._+()/-]{0,79}$"))]
    pub display_name: String,
    /// Words that labels select by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tags: Vec<String>,
    /// Support tier, for reading: `tier-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 30))]
    pub tier: Option<String>,
    /// Labels select stable builders unless they say otherwise.
    #[serde(default)]
    pub stability: Stability,
    /// Flavours of labels that this builder takes part in.
    #[serde(default = "default_flavours")]
    #[schemars(length(min = 1, max = 16))]
    pub flavours: Vec<String>,
    /// Base branches whose pull requests this builder builds; `*` stands for any characters. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub base_branches: Vec<String>,
    /// The steps, in the vocabulary of GitHub Actions.
    #[schemars(length(min = 1, max = 50))]
    pub steps: Vec<Step>,
    /// Exit codes that mean something other than failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.code == a.code))").message("an exit code is mapped twice"))]
    pub exit_codes: Vec<ExitCode>,
    /// Evidence that a commit needs before this builder runs it.
    #[serde(default)]
    pub evidence: Evidence,
    /// Runs at a time. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_concurrent: Option<i64>,
    /// Limits in time.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// New attempts after a failure that was the infrastructure's.
    #[serde(default = "default_retries")]
    #[schemars(range(min = 0, max = 5))]
    pub infra_retries: i64,
    /// Runs wait while this is set.
    #[serde(default)]
    pub paused: bool,
    /// Backend: a Job in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
}

/// The flavours of a Builder that names none.
pub fn default_flavours() -> Vec<String> {
    vec![default_flavour()]
}

fn default_retries() -> i64 {
    2
}

/// Whether a builder's results are to be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Stability {
    /// Passes unless the code is wrong.
    #[default]
    Stable,
    /// Known to fail for reasons of its own.
    Unstable,
}

/// How the steps run in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kubernetes {
    /// The image that the steps run in.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// Whether the image is pulled each time.
    #[serde(default)]
    pub image_pull_policy: PullPolicy,
    /// CPU, memory and disk that a run gets: request and limit in one.
    #[serde(default)]
    pub resources: Resources,
    /// RuntimeClass of the pod, such as `gvisor` or `kata`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"))]
    pub runtime_class: Option<String>,
    /// Labels that the node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// When the node does not have it.
    #[default]
    IfNotPresent,
    /// Before each run.
    Always,
    /// Never: the node has it.
    Never,
}

/// What a run gets of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// CPUs, as a Kubernetes quantity.
    #[schemars(regex(pattern = "^[0-9]+(\\.[0-9]+|m)?$"))]
    pub cpu: String,
    /// Memory, as a Kubernetes quantity.
    #[schemars(regex(pattern = "^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$"))]
    pub memory: String,
    /// Disk for checkout, build and temporary files, as a Kubernetes quantity.
    #[schemars(regex(pattern = "^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$"))]
    pub disk: String,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpu: "1".to_owned(),
            memory: "2Gi".to_owned(),
            disk: "10Gi".to_owned(),
        }
    }
}

/// What the operator knows about a Builder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BuilderStatus {
    /// The slot ledger: runs that hold a slot. Kept only where `maxConcurrent` is set; an entry whose
    /// run has ended is dropped with the next write.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<Slot>,
    /// `Ready`: runs can be started; else what is wrong with the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// One slot that is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Name of the BuilderRun.
    pub run: String,
    /// Its uid.
    pub uid: String,
    /// Since when.
    pub since: Time,
}
