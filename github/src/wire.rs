//! What GitHub sends, as far as PrBuild reads it. Own structs, with what is read and no
//! more: those of octocrab know permissions that GitHub does not send (`pull`, `push`) and fail on those that
//! it does (`write`, `read`, `none`).

use jiff::Timestamp;
use serde::Deserialize;

/// An account, of a person or a bot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Numeric id; survives renames.
    pub id: i64,
    /// Login at the time of the answer.
    pub login: String,
    /// `User`, `Bot`, `Organization`, `Mannequin`. Empty where GitHub leaves it out.
    #[serde(default, rename = "type")]
    pub kind: String,
}

impl User {
    /// Whether this is a person's account. Everything that GitHub does not call a `User` is not.
    pub fn is_person(&self) -> bool {
        self.kind == "User"
    }
}

/// A GitHub App, where an event was made through one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AppRef {
    /// Name that people read.
    #[serde(default)]
    pub name: String,
    /// Name in URLs.
    #[serde(default)]
    pub slug: Option<String>,
}

/// A label of a pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// As it is spelled on GitHub.
    #[serde(default)]
    pub name: String,
}

/// What is asked of a repository: who it is, and whether it can be built.
#[derive(Clone, Debug, Deserialize)]
pub struct RepositoryInfo {
    /// Numeric id; survives renames and transfers.
    pub id: i64,
    /// `owner/name` as GitHub spells it.
    pub full_name: String,
    /// Not public.
    #[serde(default)]
    pub private: bool,
    /// Read-only.
    #[serde(default)]
    pub archived: bool,
    /// The default branch.
    #[serde(default)]
    pub default_branch: String,
}

/// A pull request, from the list or by number.
#[derive(Clone, Debug, Deserialize)]
pub struct PullRequest {
    /// Its number.
    pub number: i64,
    /// `open` or `closed`.
    pub state: String,
    /// The author. Absent when the account is gone.
    pub user: Option<User>,
    /// What it wants to bring in.
    pub head: Head,
    /// Where to.
    pub base: Base,
    /// The labels that it has now.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
    /// When it was merged, if it was.
    #[serde(default)]
    pub merged_at: Option<Timestamp>,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
}

/// The head of a pull request.
#[derive(Clone, Debug, Deserialize)]
pub struct Head {
    /// Its commit.
    pub sha: String,
    /// Its branch, without `refs/heads/`.
    #[serde(rename = "ref")]
    pub branch: String,
    /// The repository of the branch. Absent when the fork was deleted.
    pub repo: Option<ForkRef>,
}

/// The repository that a head branch is in.
#[derive(Clone, Debug, Deserialize)]
pub struct ForkRef {
    /// Numeric id.
    pub id: i64,
    /// `owner/name`.
    pub full_name: String,
    /// The last push to any of its branches.
    #[serde(default)]
    pub pushed_at: Option<Timestamp>,
}

/// The base of a pull request.
#[derive(Clone, Debug, Deserialize)]
pub struct Base {
    /// Its branch, without `refs/heads/`.
    #[serde(rename = "ref")]
    pub branch: String,
    /// The repository of the branch.
    pub repo: ForkRef,
}

/// An entry of a pull request's events, such as `labeled`.
#[derive(Clone, Debug, Deserialize)]
pub struct IssueEvent {
    /// Id, unique over all events.
    pub id: i64,
    /// `labeled`, `unlabeled`, …
    pub event: String,
    /// Who did it. Absent when the account is gone.
    pub actor: Option<User>,
    /// When.
    pub created_at: Timestamp,
    /// The label, of `labeled` and `unlabeled`.
    #[serde(default)]
    pub label: Option<Label>,
    /// The App that did it, on behalf of the actor.
    #[serde(default)]
    pub performed_via_github_app: Option<AppRef>,
}

/// A person's right on a repository.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "WireCollaborator")]
pub struct Collaborator {
    /// `admin`, `write`, `read`, `none`: maintain counts as write, triage as read.
    pub permission: String,
    /// The role itself, custom roles by their name.
    pub role_name: Option<String>,
    /// Whose right it is. A login may have changed hands; the id tells.
    pub user: Option<User>,
    /// Whether that person may push, where GitHub says so once more.
    pub push: Option<bool>,
}

#[derive(Deserialize)]
struct WireCollaborator {
    #[serde(default)]
    permission: String,
    #[serde(default)]
    role_name: Option<String>,
    #[serde(default)]
    user: Option<WireCollaboratorUser>,
}

#[derive(Deserialize)]
struct WireCollaboratorUser {
    #[serde(flatten)]
    user: User,
    #[serde(default)]
    permissions: Option<WirePermissions>,
}

#[derive(Deserialize)]
struct WirePermissions {
    #[serde(default)]
    push: Option<bool>,
}

impl From<WireCollaborator> for Collaborator {
    fn from(wire: WireCollaborator) -> Self {
        let (user, permissions) = match wire.user {
            Some(found) => (Some(found.user), found.permissions),
            None => (None, None),
        };
        Self {
            permission: wire.permission,
            role_name: wire.role_name,
            user,
            push: permissions.and_then(|permissions| permissions.push),
        }
    }
}

/// A movement of a branch.
#[derive(Clone, Debug, Deserialize)]
pub struct Activity {
    /// The commit before.
    #[serde(default)]
    pub before: String,
    /// The commit after.
    #[serde(default)]
    pub after: String,
    /// The full name of the branch: `refs/heads/…`.
    #[serde(default, rename = "ref")]
    pub full_ref: String,
    /// When.
    pub timestamp: Timestamp,
    /// `push`, `force_push`, `branch_creation`, …
    #[serde(default)]
    pub activity_type: String,
    /// Who. Absent when the account is gone.
    pub actor: Option<User>,
}

/// A review of a pull request.
#[derive(Clone, Debug, Deserialize)]
pub struct Review {
    /// Its id.
    pub id: i64,
    /// Who. Absent when the account is gone.
    pub user: Option<User>,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED`, `PENDING`.
    pub state: String,
    /// The commit that was reviewed.
    #[serde(default)]
    pub commit_id: Option<String>,
    /// When.
    #[serde(default)]
    pub submitted_at: Option<Timestamp>,
}

/// A comment on a pull request.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "WireComment")]
pub struct Comment {
    /// Its id.
    pub id: i64,
    /// The text, as Markdown.
    pub body: String,
    /// Who wrote it; 0 when the account is gone.
    pub user_id: i64,
    /// Who wrote it. Absent when the account is gone.
    pub user: Option<User>,
    /// When.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub updated_at: Timestamp,
    /// Number of the pull request, from the comment's URLs. None: it is on an issue.
    pub number: Option<i64>,
    /// The App that wrote it, on behalf of the user or as itself.
    pub through: Option<AppRef>,
}

#[derive(Deserialize)]
struct WireComment {
    id: i64,
    #[serde(default)]
    body: Option<String>,
    user: Option<User>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default)]
    issue_url: String,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    performed_via_github_app: Option<AppRef>,
}

impl From<WireComment> for Comment {
    fn from(wire: WireComment) -> Self {
        Self {
            id: wire.id,
            body: wire.body.unwrap_or_default(),
            user_id: wire.user.as_ref().map_or(0, |user| user.id),
            user: wire.user,
            created_at: wire.created_at,
            updated_at: wire.updated_at,
            number: on_pull_request(&wire.html_url)
                .then(|| wire.issue_url.rsplit('/').next()?.parse().ok())
                .flatten(),
            through: wire.performed_via_github_app,
        }
    }
}

/// Whether a comment's page, `…/pull/7#issuecomment-1`, is a pull request's: `issue_url` is the same for
/// both. What does not say is taken for one.
fn on_pull_request(html_url: &str) -> bool {
    let page = html_url.split('#').next().unwrap_or_default();
    page.rsplit('/').nth(1).is_none_or(|kind| kind != "issues")
}

/// Whether a pull request merges with its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mergeable {
    /// It does.
    Mergeable,
    /// It conflicts.
    Conflicting,
    /// GitHub has not computed it yet, or says something new.
    #[serde(other)]
    Unknown,
}

/// The state of a pull request together with GitHub's test merge of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TestMerge {
    /// The head when the answer was made.
    pub head_sha: String,
    /// The base branch.
    pub base_ref: String,
    /// Whether it merges.
    pub mergeable: Mergeable,
    /// The test merge. It may belong to an older head: its second parent tells.
    pub commit: Option<MergeCommit>,
}

/// The commit of a test merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeCommit {
    /// Its SHA.
    pub sha: String,
    /// Its tree.
    pub tree: String,
    /// Its parents: tip of the base branch, head of the pull request.
    pub parents: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_that_github_sends_is_read() {
        for permission in ["admin", "write", "read", "none", "something-new"] {
            let json = format!(
                r#"{{"permission":"{permission}","role_name":"x","user":{{"id":1,"login":"a"}}}}"#
            );
            let found: Collaborator = serde_json::from_str(&json).expect("a collaborator");
            assert_eq!(found.permission, permission);
        }
    }

    #[test]
    fn s12_whether_somebody_may_push_is_read_where_github_says_it() {
        for (permissions, push) in [
            (r#","permissions":{"pull":true,"push":false}"#, Some(false)),
            (r#","permissions":{"push":true}"#, Some(true)),
            (r#","permissions":{}"#, None),
            ("", None),
        ] {
            let json = format!(
                r#"{{"permission":"write","role_name":"write","user":{{"id":1,"login":"a"{permissions}}}}}"#
            );
            let found: Collaborator = serde_json::from_str(&json).expect("a collaborator");
            assert_eq!(found.push, push, "{json}");
        }
    }

    #[test]
    fn a_pull_request_of_a_deleted_fork_is_read() {
        let json = r#"{"number":1,"state":"open","user":null,"updated_at":"2026-01-01T00:00:00Z",
            "head":{"sha":"a","ref":"b","repo":null},
            "base":{"ref":"main","repo":{"id":1,"full_name":"o/r"}},"labels":[]}"#;
        let pull: PullRequest = serde_json::from_str(json).expect("a pull request");
        assert!(pull.head.repo.is_none() && pull.user.is_none());
    }

    #[test]
    fn only_a_comment_on_a_pull_request_has_its_number() {
        for (page, number) in [
            ("https://github.com/o/r/pull/7#issuecomment-1", Some(7)),
            ("https://github.com/o/r/issues/7#issuecomment-1", None),
            (
                "https://github.com/issues/pull/pull/7#issuecomment-1",
                Some(7),
            ),
            ("", Some(7)),
        ] {
            let json = serde_json::json!({
                "id": 1, "user": null, "html_url": page,
                "issue_url": "https://api.github.com/repos/o/r/issues/7",
                "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            });
            let comment: Comment = serde_json::from_value(json).expect("a comment");
            assert_eq!(comment.number, number, "{page}");
        }
    }

    #[test]
    fn a_state_of_merging_that_is_new_to_us_is_unknown() {
        let found: Mergeable = serde_json::from_str("\"QUEUED\"").expect("a state");
        assert_eq!(found, Mergeable::Unknown);
    }

    #[test]
    fn only_a_user_is_a_person() {
        for (kind, person) in [
            ("User", true),
            ("Bot", false),
            ("Mannequin", false),
            ("", false),
        ] {
            let user = User {
                kind: kind.to_owned(),
                ..User::default()
            };
            assert_eq!(user.is_person(), person, "{kind}");
        }
    }
}
