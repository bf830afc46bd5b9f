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
    /// User or organization that owns the repository on GitHub: `python` of `python/cpython`.
    #[schemars(regex(pattern = "^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}$"))]
    pub owner: String,
    /// Name of the repository on GitHub: `cpython` of `python/cpython`.
    #[schemars(regex(pattern = "^[A-Za-z0-9._-]{1,100}$"))]
    #[x_kube(validation = Rule::new("self != '.' && self != '..' && !self.endsWith('.git')").message("name is the repository's name as GitHub shows it, without .git"))]
    pub name: String,
    /// Name of the connection that serves this repository: a directory mounted into webhook and
    /// operator, with a GitHub App's key or a token, and the webhook's secrets.
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub connection: String,
    /// While true, nothing new is accepted and nothing that waits is started; what runs goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// The labels that start builds, and what each selects.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.name.lowerAscii() == a.name.lowerAscii()))").message("two labels have the same name; GitHub does not tell upper from lower case"))]
    pub labels: Vec<LabelRule>,
    /// Who may start builds. Absent: everybody with write access.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self.minimum != 'Triage'").message("authorization.minimum is Write, Maintain or Admin; open a single label to triagers with its own minimum"))]
    pub authorization: Authorization,
    /// What else must hold before a label starts a build: the head stands still, the base branch is built.
    #[serde(default)]
    pub guards: Guards,
    /// Which tree is built. `Merge`: the pull request merged into its base branch, as GitHub's own
    /// test merge. `Head`: its bare head.
    #[serde(default)]
    pub checkout: Checkout,
    /// How commands in comments begin.
    #[serde(default)]
    pub commands: Commands,
    /// What stops a build before its end.
    #[serde(default)]
    pub cancel_on: CancelOn,
    /// How results are shown on GitHub.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self.context.split('{builder}').size() == 2").message("reporting.context contains {builder} once: two builders with one context would overwrite each other's status"))]
    pub reporting: Reporting,
}

/// Characters of a regular expression over display names: of a label's `pattern`, and of one in a
/// command.
pub const PATTERN_CHARACTERS: usize = 256;
/// Bytes of such an expression when it is compiled, and of what searching with it may keep.
pub const PATTERN_BYTES: usize = 1 << 20;
/// Groups within groups of such an expression.
pub const PATTERN_DEPTH: u32 = 32;

/// A label and what adding it to a pull request starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelRule {
    /// The label as people know it. `:hammer: test` and `🔨 test` are the same label.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// Other spellings of the same label, such as its name before a rename.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 100)))]
    pub aliases: Vec<String>,
    /// Selects the builders whose `flavours` contain this word; builders of no flavour of their own
    /// have `default`. `tags`, `builders` and `includeUnstable` narrow or widen that.
    #[serde(default = "default_flavour")]
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$"))]
    pub flavour: String,
    /// Of the flavour's builders only those that have one of these tags. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63)))]
    pub tags: Vec<String>,
    /// Of the flavour's builders only these, by the name of the Builder object. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        inner(regex(pattern = "^[a-z0-9]([-a-z0-9.]{0,38}[a-z0-9])?$"))
    )]
    pub builders: Vec<String>,
    /// Of the flavour's builders only those whose display name this regular expression finds,
    /// upper and lower case alike: `refleaks`, `^(ios|android)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = PATTERN_CHARACTERS))]
    pub pattern: Option<String>,
    /// Select builders whose `stability` is `Unstable`, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_unstable: bool,
    /// The least permission for this label, where it differs from `authorization.minimum`. `Triage`
    /// opens the label to triagers, and then only for builders that run in the cluster.
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
    /// The least permission on the GitHub repository: `Write`, `Maintain` or `Admin`.
    pub minimum: Permission,
    /// A team (`organization/slug`) that the person must be an active member of, on top.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[A-Za-z0-9-]{1,39}/[a-z0-9._-]{1,100}$"))]
    pub team: Option<String>,
    /// Numeric GitHub ids (`gh api users/LOGIN --jq .id`) of people who may not start builds,
    /// whatever else they may do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(range(min = 1)))]
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
    /// Base branches whose pull requests may be built, such as `main` or `3.*`; `*` stands for any
    /// characters. Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255)))]
    pub base_branches: Vec<String>,
    /// Contexts of statuses, or names of check runs, that must be green on the labelled head before
    /// a builder starts, such as `CI / tests`. The build waits for them, and is dropped if one fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 255)))]
    pub after_checks: Vec<String>,
    /// How many builds of one pull request run at a time; newer ones wait. Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub builds_per_pull_request: Option<i64>,
    /// How many builds that one person asked for run at a time; newer ones wait. Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub builds_per_person: Option<i64>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            quiet_period_seconds: 60,
            base_branches: Vec::new(),
            after_checks: Vec::new(),
            builds_per_pull_request: None,
            builds_per_person: None,
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
    /// Written by a newer version; built as a merge.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Commands in comments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Commands {
    /// The word that a command in a comment begins with, as in `/prbuild run <full SHA>`.
    #[schemars(regex(pattern = "^[!/@][A-Za-z0-9_-]{1,39}$"))]
    pub prefix: String,
    /// The word that stands before a regular expression over the names of builders, as CPython's
    /// core developers write it: `!buildbot ios|android`. Such a command reaches unstable builders,
    /// too. Empty: there is no such command.
    #[schemars(regex(pattern = "^([!/@][A-Za-z0-9_-]{1,39})?$"))]
    pub pattern_prefix: String,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            prefix: "/prbuild".to_owned(),
            pattern_prefix: "!buildbot".to_owned(),
        }
    }
}

/// What stops a build before its end, besides a command and `spec.cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CancelOn {
    /// A push to the pull request: its builds of older commits stop.
    pub push: bool,
    /// The pull request is closed: unmerged, all its builds stop; merged, what waits is dropped and
    /// what runs finishes.
    pub close: bool,
    /// The pull request is turned into a draft.
    pub draft: bool,
    /// A newer build of another commit of the same pull request begins.
    pub newer_build: bool,
}

impl Default for CancelOn {
    fn default() -> Self {
        Self {
            push: true,
            close: true,
            draft: false,
            newer_build: true,
        }
    }
}

/// How results are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Reporting {
    /// Context of a builder's commit status. `{builder}` stands for its display name; CPython uses
    /// `buildbot/{builder} PR`. Short enough that GitHub takes it with the longest display name: 255.
    #[schemars(length(min = 1, max = 170))]
    pub context: String,
    /// Commit statuses, or check runs, which only a GitHub App can write. For new builds.
    pub mode: ReportMode,
    /// The wording of comments.
    pub preset: Preset,
    /// The beginning of a build's comment, in place of the preset's; docs/comment.md names its
    /// placeholders. What placeholders bring in is shown as plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4000))]
    pub announcement: Option<String>,
    /// The end of a build's comment once all builders are done, in place of the preset's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4000))]
    pub result: Option<String>,
}

/// What a result is on GitHub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReportMode {
    /// One commit status for each builder.
    #[default]
    Statuses,
    /// One check run for each builder, with summary, buttons and annotations. Needs a GitHub App.
    Checks,
    /// Written by a newer version.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// The wording of comments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Preset {
    /// PrBuild's own words.
    #[default]
    Default,
    /// The words that CPython's core developers know from their buildbot.
    Cpython,
    /// Written by a newer version.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

impl Default for Reporting {
    fn default() -> Self {
        Self {
            context: "prbuild/{builder}".to_owned(),
            mode: ReportMode::default(),
            preset: Preset::default(),
            announcement: None,
            result: None,
        }
    }
}

/// What the operator found out about a Repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RepositoryStatus {
    /// GitHub's numeric id of the repository. Once known, another repository under the same name is
    /// refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// `owner/name` as GitHub spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// Generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: builds can be started and told; else what is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
