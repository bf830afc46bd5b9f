//! Parts that several kinds share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A git commit id in full: SHA-1 or SHA-256.
pub const SHA_PATTERN: &str = "^([0-9a-f]{40}|[0-9a-f]{64})$";

/// The GitHub repository that a request is about, by CR and by GitHub's own id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryRef {
    /// Name of the Repository object.
    #[schemars(length(max = 30))]
    pub name: String,
    /// GitHub's numeric id of the repository, which survives renames.
    pub id: i64,
    /// `owner/name` at the time of the request.
    #[schemars(length(max = 140))]
    pub full_name: String,
}

/// A person on GitHub. The id decides; the login is for reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// GitHub's numeric user id.
    pub id: i64,
    /// Login at the time of the request; people change theirs. A build that was made by hand has the
    /// name of a user of the cluster.
    #[schemars(length(max = 253))]
    pub login: String,
}

/// How a request reached PrBuild.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TriggerKind {
    /// A label was added to the pull request.
    #[default]
    Label,
    /// A command was written in a comment.
    Comment,
    /// A button on GitHub was pressed.
    Button,
    /// An object was made by hand in the cluster.
    Manual,
    /// Written by a newer version.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// How sure the gate is that a person looked at exactly this commit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Evidence {
    /// An authorized person labelled the pull request while its head stood still.
    #[default]
    Label,
    /// An authorized person typed the full SHA of the commit.
    ExactSha,
    /// A trusted person other than the author approved exactly this commit.
    Review,
    /// Written by a newer version: stronger than any that this one can find.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Rights on a repository, weakest first, as GitHub names its roles.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Permission {
    /// May label and close issues and pull requests, not push.
    Triage,
    /// May push.
    #[default]
    Write,
    /// May manage the repository without its most sensitive settings.
    Maintain,
    /// May do everything.
    Admin,
    /// Written by a newer version: nobody has it here.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

impl Permission {
    /// The word that GitHub and people use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
            Self::Unknown => "a permission that this version of PrBuild does not know",
        }
    }

    /// The right that GitHub's two words for it stand for together, `permission` (`admin`, `write`,
    /// `read`, `none`: maintain counts as write, triage as read) and `role`. They must fit: a custom
    /// role, a missing word or a new one is no right. `push` is whether GitHub says once more that the
    /// person may push; without that there is nothing above triage.
    pub fn granted(permission: &str, role: &str, push: Option<bool>) -> Option<Self> {
        let level = match (permission, role) {
            ("admin", "admin") => Self::Admin,
            ("write", "maintain") => Self::Maintain,
            ("write", "write") => Self::Write,
            ("read", "triage") => Self::Triage,
            _ => return None,
        };
        (level == Self::Triage || push != Some(false)).then_some(level)
    }
}

/// The event on GitHub that asked for something, and who caused it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.kind != 'Label' || has(self.label)").message("a trigger of kind Label names its label"),
    validation = Rule::new("self.kind != 'Comment' || has(self.command)").message("a trigger of kind Comment names its command")
)]
pub struct Trigger {
    /// What kind of event it was.
    pub kind: TriggerKind,
    /// GitHub's id of the event (timeline event, comment); it names the object.
    #[schemars(range(min = 1))]
    pub event_id: i64,
    /// When it happened, by GitHub's clock.
    pub time: Time,
    /// The label, as it is spelled on GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub label: Option<String>,
    /// The command as written, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub command: Option<String>,
    /// Who asked.
    pub user: Person,
    /// The role that GitHub reported for that person: `admin`, `maintain`, `write`, `triage`, `read`, `none`.
    #[schemars(length(max = 100))]
    pub permission: String,
    /// The strongest evidence that was found that a person looked at exactly this commit.
    #[serde(default)]
    pub evidence: Evidence,
}

/// A request to stop. Set once, never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cancel {
    /// Who asked: a login, or a part of PrBuild.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,
    /// Why, as a sentence.
    #[schemars(length(max = 300))]
    pub reason: String,
    /// When.
    pub at: Time,
    /// Only what has not started yet is stopped; what runs finishes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waiting_only: bool,
}
