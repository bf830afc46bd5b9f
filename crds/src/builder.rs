//! Builder: one way to build.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use protocol::{ExitCode, Step, Tests, Timeouts};
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
    validation = Rule::new("has(self.kubernetes) != has(self.worker)").message("a Builder has exactly one backend: set spec.kubernetes or spec.worker"),
    validation = Rule::new("self.steps.exists(s, !has(s.__if__) || s.__if__ != 'failure()')").message("every step has `if: failure()`: nothing would run"),
    validation = Rule::new("!(self.steps.exists(s, has(s.continue__dash__on__dash__error) && s.continue__dash__on__dash__error) && self.steps.all(s, (has(s.continue__dash__on__dash__error) && s.continue__dash__on__dash__error) || (has(s.__if__) && s.__if__ == 'failure()')))").message("every step has `continue-on-error`, or runs only after a failure: this builder could never fail"),
    validation = Rule::new("self.steps.map(s, size(s.run)).sum() <= 16384").message("the scripts of all steps together have at most 16,384 characters; put longer ones into the image"),
    validation = Rule::new("self.timeouts.noOutputSeconds <= self.timeouts.runSeconds").message("timeouts.noOutputSeconds, 1200 where it is not written, is longer than timeouts.runSeconds and would never be reached; set both"),
    // The API server rounds the schema's minimum of 0.001 down where the value is written as an integer.
    validation = Rule::new("self.steps.all(s, !has(s.timeout__dash__minutes) || s.timeout__dash__minutes > 0.0)").message("the timeout-minutes of a step are more than 0"),
    validation = Rule::new("self.steps.all(s, !has(s.timeout__dash__minutes) || s.timeout__dash__minutes * 60.0 <= double(self.timeouts.runSeconds))").message("the timeout-minutes of a step are longer than timeouts.runSeconds and would never be reached"),
    validation = Rule::new("self.steps.all(s, !has(s.working__dash__directory) || !(s.working__dash__directory.startsWith('/') || s.working__dash__directory.matches('(^|/)[.][.](/|$)')))").message("the working-directory of a step leaves the checkout: write a path inside it")
)]
pub struct BuilderSpec {
    /// Name that people read, in statuses and comments: `s390x Debian`.
    #[schemars(regex(pattern = "^[A-Za-z0-9][A-Za-z0-9 ._+()/-]{0,79}$"))]
    pub display_name: String,
    /// Words that a Repository's labels can select builders by: `linux`, `big-endian`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63)))]
    pub tags: Vec<String>,
    /// Support tier, for people to read: `tier-1`. Nothing depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 30))]
    pub tier: Option<String>,
    /// `Stable`: passes unless the code is wrong. `Unstable`: known to fail for reasons of its own; a label
    /// selects it only with `includeUnstable`.
    #[serde(default)]
    pub stability: Stability,
    /// A label selects this builder if the label's `flavour` is one of these: `default`, `refleak`.
    #[serde(default = "default_flavours")]
    #[schemars(
        length(min = 1, max = 16),
        inner(regex(pattern = "^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$"))
    )]
    pub flavours: Vec<String>,
    /// Base branches whose pull requests this builder builds, such as `main` or `3.*`; `*` stands for
    /// any characters. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255)))]
    pub base_branches: Vec<String>,
    /// The steps, run one after the other in the checkout, in the vocabulary of GitHub Actions.
    #[schemars(length(min = 1, max = 50))]
    pub steps: Vec<Step>,
    /// Exit codes of steps that mean something other than failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.code == a.code))").message("an exit code is mapped twice"))]
    pub exit_codes: Vec<ExitCode>,
    /// Where the names of failing tests come from, for the comment and for annotations.
    #[serde(default, skip_serializing_if = "Tests::is_empty")]
    #[x_kube(
        validation = Rule::new("!has(self.junit) || self.junit.all(j, !(j.startsWith('/') || j.matches('(^|/)[.][.](/|$)')))").message("a path in tests.junit leaves the checkout: write a path inside it"),
        validation = Rule::new("!has(self.patterns) || self.patterns.all(a, self.patterns.exists_one(b, b == a))").message("a pattern stands in tests.patterns twice")
    )]
    pub tests: Tests,
    /// How sure it must be that a person looked at exactly this commit before this builder runs it.
    /// `Label`: somebody authorized labelled it while the head stood still. `ExactSha`: somebody
    /// authorized typed its full SHA. `Review`: a trusted person other than the author approved it.
    #[serde(default)]
    pub evidence: Evidence,
    /// How many runs of this builder there are at a time; others wait. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_concurrent: Option<i64>,
    /// How long a run may wait, take, and be silent, in seconds.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How often a run is tried again after the infrastructure failed. Failing tests are never tried again.
    #[serde(default = "default_retries")]
    #[schemars(range(min = 0, max = 5))]
    pub infra_retries: i64,
    /// While true, new runs wait; those that run go on.
    #[serde(default)]
    pub paused: bool,
    /// The steps run in a pod of this cluster. Exactly one of `kubernetes` and `worker` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
    /// The steps run on a physical machine that is lent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<OnWorker>,
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
    /// Written by a newer version; not relied on.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// How the steps run in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kubernetes {
    /// Container image that the steps run in. It needs a shell and what the steps call; git and
    /// PrBuild's own program are brought along.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// When the image is pulled.
    #[serde(default)]
    pub image_pull_policy: PullPolicy,
    /// CPU, memory and disk that a run gets: this much is reserved, and more is not given.
    #[serde(default)]
    #[x_kube(validation = Rule::new("[self.cpu, self.memory, self.disk].all(q, quantity(q).isGreaterThan(quantity('0')))").message("resources.cpu, memory and disk are more than 0: Kubernetes takes a limit of 0 for no limit"))]
    pub resources: Resources,
    /// RuntimeClass of the pod, such as `gvisor` or `kata`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"))]
    pub runtime_class: Option<String>,
    /// Labels that the node must have, such as `kubernetes.io/arch: s390x`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = { "type": "string", "maxLength": 63 }
    ))]
    pub node_selector: BTreeMap<String, String>,
}

/// On which physical machines the steps run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != (has(self.selector) && size(self.selector) > 0)").message("spec.worker names one worker, or selects several by labels: set exactly one of name and selector"))]
pub struct OnWorker {
    /// Name of the one Worker that runs it. While that is away its run waits, or goes on there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"))]
    pub name: Option<String>,
    /// Labels that a Worker must have, all of them. Whichever takes a run first runs it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = { "type": "string", "maxLength": 63 }
    ))]
    pub selector: BTreeMap<String, String>,
    /// Also workers whose builds run as the same user as the agent, so that one build can lie in wait for
    /// the next: for machines on which nothing else works.
    #[serde(default)]
    pub allow_shared: bool,
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
    /// Written by a newer version; pulled each time.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What a run gets of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// CPUs: `2`, `0.5`, `500m` (thousandths).
    #[schemars(regex(pattern = "^[0-9]{1,9}(\\.[0-9]{1,3}|m)?$"))]
    pub cpu: String,
    /// Memory: `512Mi`, `4Gi`. A run that takes more is stopped and has failed.
    #[schemars(regex(pattern = "^[0-9]{1,15}(Ki|Mi|Gi|Ti|k|M|G|T)?$"))]
    pub memory: String,
    /// Disk for checkout, build and temporary files: `10Gi`. A run that takes more is stopped and has failed.
    #[schemars(regex(pattern = "^[0-9]{1,15}(Ki|Mi|Gi|Ti|k|M|G|T)?$"))]
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
    /// Generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
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
