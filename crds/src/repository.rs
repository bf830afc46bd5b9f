//! Repository: one GitHub repository whose pull requests may be built.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Permission;

/// One public GitHub repository: which labels start what, who may set them, and how results are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "prbuild.dev",
    version = "v1alpha1",
    kind = "Repository",
    plural = "repositories",
    namespaced,
    status = "RepositoryStatus",
    shortname = "ghrepo",
    category = "prbuild",
    derive = "PartialEq",
    doc = "One public GitHub repository: which labels start what, who may set them, and how results are told.",
    validation = Rule::new("size(self.metadata.name) <= 30").message("the name of a Repository has at most 30 characters: the names of its builds begin with it"),
    printcolumn(name = "GitHub", type_ = "string", json_path = ".status.fullName"),
    printcolumn(name = "Connection", type_ = "string", json_path = ".spec.connection"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct RepositorySpec {
    /// User or organization that owns the repository on GitHub.
    #[schemars(regex(pattern = "^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}$"))]
    pub owner: String,
    /// Name of the repository on GitHub.
    #[schemars(regex(pattern = "^[A-Za-z0-9._-]{1,100}$"))]
    pub name: String,
    /// The mounted connection (GitHub App or token, and webhook secrets) that serves this repository.
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub connection: String,
    /// The labels that start builds, and what each selects.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.name.lowerAscii() == a.name.lowerAscii()))").message("two labels have the same name; GitHub does not tell upper from lower case"))]
    pub labels: Vec<LabelRule>,
    /// Who may start builds.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self.minimum != 'Triage'").message("authorization.minimum is Write, Maintain or Admin; open a single label to triagers with its own minimum"))]
    pub authorization: Authorization,
    /// What must hold besides.
    #[serde(default)]
    pub guards: Guards,
    /// Which tree is built.
    #[serde(default)]
    pub checkout: Checkout,
    /// Commands in comments.
    #[serde(default)]
    pub commands: Commands,
    /// How results are told.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self.context.contains('{builder}')").message("reporting.context contains {builder}: two builders with one context would overwrite each other's status"))]
    pub reporting: Reporting,
}

/// A label and what adding it to a pull request starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelRule {
    /// The label as people know it. `:hammer: test` and `🔨 test` are the same label.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// Builders that list this flavour are selected.
    #[serde(default = "default_flavour")]
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$"))]
    pub flavour: String,
    /// Of those, builders that have one of these tags. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tags: Vec<String>,
    /// Of those, only these builders, by object name. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub builders: Vec<String>,
    /// Also builders whose stability is `Unstable`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_unstable: bool,
    /// The least permission for this label, where it differs from `authorization.minimum`. `Triage`
    /// opens the label to triagers, and then only to builders on Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Permission>,
}

/// The flavour of labels and builders that name none.
pub fn default_flavour() -> String {
    "default".to_owned()
}

/// Who may start builds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Authorization {
    /// The least permission on the repository.
    pub minimum: Permission,
    /// A team (`organization/slug`) that the person must be an active member of, on top.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[A-Za-z0-9-]{1,39}/[a-z0-9._-]{1,100}$"))]
    pub team: Option<String>,
    /// Numeric GitHub ids of people who may not start builds, whatever else they may do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub denied_user_ids: Vec<i64>,
}

/// What must hold besides authorization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Guards {
    /// Seconds before the label in which the head must not have been moved by somebody without
    /// write permission.
    #[schemars(range(min = 10, max = 86400))]
    pub quiet_period_seconds: i64,
    /// Base branches whose pull requests may be built; `*` stands for any characters. Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub base_branches: Vec<String>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            quiet_period_seconds: 60,
            base_branches: Vec::new(),
        }
    }
}

/// Which tree of a pull request is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Checkout {
    /// The test merge that GitHub made of exactly the labelled head and the base branch: what would land.
    #[default]
    Merge,
    /// The bare head.
    Head,
}

/// Commands in comments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Commands {
    /// The word that a command begins with.
    #[schemars(regex(pattern = "^[!/@][A-Za-z0-9_-]{1,39}$"))]
    pub prefix: String,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            prefix: "/prbuild".to_owned(),
        }
    }
}

/// How results are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Reporting {
    /// Context of a builder's commit status. `{builder}` stands for its display name; CPython uses
    /// `buildbot/{builder} PR`.
    #[schemars(length(min = 1, max = 200))]
    pub context: String,
}

impl Default for Reporting {
    fn default() -> Self {
        Self {
            context: "prbuild/{builder}".to_owned(),
        }
    }
}

/// What the operator found out about a Repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RepositoryStatus {
    /// GitHub's numeric id. Once known, another repository under the same name is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// `owner/name` as GitHub spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// `Ready`: builds can be started and told; else what is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
