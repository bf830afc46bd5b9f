//! Answer: an event that was looked at and makes no build.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Person, RepositoryRef, Trigger};

/// An event that was looked at and makes no build, and what its author is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "prbuild.dev",
    version = "v1alpha1",
    kind = "Answer",
    namespaced,
    status = "AnswerStatus",
    shortname = "ans",
    category = "prbuild",
    derive = "PartialEq",
    doc = "An event on GitHub that was looked at and makes no build, and what its author is told. `kubectl get answers` is the audit.",
    selectable = ".spec.number",
    printcolumn(name = "PR", type_ = "integer", json_path = ".spec.number"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.trigger.user.login"),
    printcolumn(name = "Trigger", type_ = "string", json_path = ".spec.trigger.kind"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason"),
    printcolumn(name = "Given", type_ = "string", json_path = ".status.given"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Repo",
        type_ = "string",
        json_path = ".spec.repository.fullName",
        priority = 1
    ),
    printcolumn(
        name = "Sentence",
        type_ = "string",
        json_path = ".status.sentence",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("an Answer is immutable: it records what was decided"))]
pub struct AnswerSpec {
    /// The repository of the pull request.
    pub repository: RepositoryRef,
    /// Number of the pull request.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// The label or command, when, and by whom.
    pub trigger: Trigger,
    /// Why it makes no build.
    pub reason: AnswerReason,
    /// How it is answered on GitHub: by a comment, by a reaction, or not at all.
    #[serde(default)]
    pub manner: Manner,
    /// What was found, for the sentence and for the audit.
    #[serde(default)]
    pub facts: Facts,
}

/// Why an event makes no build. Of each it is said here what the facts beside it hold, where they hold
/// anything: `subject` is a name or somebody's words, to be shown as code; `detail` is one sentence or
/// several lines of them, with names in backticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AnswerReason {
    /// The person may not start builds with this label or command. `needed`: the least permission.
    Permission,
    /// The person is on the list of denied ids.
    Denied,
    /// The person is not an active member of the required team. `subject`: the team.
    Team,
    /// Bots start no builds.
    Bot,
    /// Set through a GitHub App on behalf of a person. `subject`: the App.
    ThroughApp,
    /// The event of the timeline names another person than the delivery: the webhook secret may be known to others.
    /// `subject`: the login that the delivery names.
    ActorMismatch,
    /// The head moved in the quiet period before the event. `movement`: who and when.
    HeadMovedBefore,
    /// The head moved after the event. `movement`: who and when, where that is known.
    HeadMovedAfter,
    /// It cannot be seen when the head last moved. `detail`: why an approval would not help, where it would not.
    MovementUnknown,
    /// The pull request is closed.
    Closed,
    /// The fork is gone.
    ForkDeleted,
    /// The base branch is not one that is built. `subject`: the branch.
    BaseBranch,
    /// It does not merge with the base branch. `subject`: the branch.
    Conflict,
    /// No builder is left. `detail`: for each builder that was asked for, a line why it is left out.
    NoBuilder,
    /// The typed SHA is not the head of the pull request, or is not a full one.
    WrongSha,
    /// The words after the prefix are not a command. `subject`: the line; `detail`: what may have been
    /// meant, as a question, where something is close.
    UnknownCommand,
    /// The regular expression of a command, or of the label, cannot be used. `subject`: the expression;
    /// `detail`: what is wrong with it.
    Pattern,
    /// The regular expression or the words of a command match no builder. `subject`: they; `detail`: what
    /// may have been meant, as a question, where something is close.
    NoMatch,
    /// More builders than one build, or more commands than one comment can have. `subject`: what asks for
    /// them; `detail`: how many there are, and how many there can be.
    TooMany,
    /// There is no build that the command or button could be about. `subject`: the builder, where one was
    /// named; `detail`: why there is nothing to do, and what would help.
    NoBuild,
    /// Asked for the commands. No facts: the Repository and its Builders tell what can be written.
    Help,
    /// Asked how the builds of the pull request stand. No facts: they are looked at when it is answered.
    Status,
    /// Asked to stop, and what could be stopped is stopping. `subject`: the builders by display name, absent
    /// for whole builds; `detail`: how much is stopping.
    Cancelled,
    /// The repository is paused. No facts.
    Paused,
    /// The event is more than a day old.
    TooOld,
    /// Written by a newer version.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// How an event is answered on GitHub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Manner {
    /// One comment, which replaces the previous answer of that kind on that pull request.
    #[default]
    Comment,
    /// A reaction on the comment that asked: strangers get no words.
    Reaction,
    /// Nothing but the audit.
    Silent,
    /// Written by a newer version; nothing is said.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What the gate found. Never a SHA: an answer must not teach which commit to approve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// The movement of the head that the answer is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub movement: Option<Movement>,
    /// The least permission that was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub needed: Option<String>,
    /// The App, branch, team, builder or words that the answer names; see each reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub subject: Option<String>,
    /// What the reason alone does not tell, as a sentence or lines of them; see each reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub detail: Option<String>,
}

/// A movement of the head branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Movement {
    /// Who moved it, where GitHub tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// When, by GitHub's clock.
    pub at: Time,
}

/// Whether the answer was given. Written by the operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnswerStatus {
    /// `Comment`, `Reaction`, `Silent`, or `Failed` when GitHub would not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// When it was given, by GitHub's clock where GitHub took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_at: Option<Time>,
    /// The sentence that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// GitHub's id of the comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment_id: Option<i64>,
    /// The label was taken off the pull request, or is not this answer's to take off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub label_settled: bool,
}
