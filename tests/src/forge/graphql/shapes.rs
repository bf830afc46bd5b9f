//! Objects of the GraphQL API with all fields that the forge knows. What was not asked for is left out
//! later; `__typename` says what they are.

use serde_json::{Value, json};

use crate::forge::clock::iso;
use crate::forge::model::{
    Comment, EventKind, Id, MergeCommit, PullRequest, PullState, Repository, TimelineEvent,
    UserType,
};
use crate::forge::wire::Wire;

impl Wire<'_> {
    /// A repository.
    pub fn node_repository(&self, one: &Repository) -> Value {
        json!({
            "__typename": "Repository",
            "id": format!("R_kgDO{}", one.id),
            "databaseId": one.id,
            "name": one.name,
            "nameWithOwner": self.world.full_name(one),
            "owner": self.node_actor(one.owner),
            "isPrivate": one.private,
            "pushedAt": iso(one.pushed_at),
            "url": format!("{}/{}", self.base, self.world.full_name(one)),
        })
    }

    /// An account; null for the ghost. Bots have no `[bot]` at the end of their login here.
    pub fn node_actor(&self, id: Id) -> Value {
        let Some(user) = self.world.users.get(&id) else {
            return Value::Null;
        };
        let login = match user.kind {
            UserType::Bot => user.login.trim_end_matches("[bot]"),
            _ => &user.login,
        };
        json!({
            "__typename": user.kind.name(),
            "id": format!("U_kgDO{id}"),
            "databaseId": id,
            "login": login,
            "url": format!("{}/{login}", self.base),
        })
    }

    /// A label.
    pub fn node_label(&self, repository: &Repository, name: &str) -> Value {
        let label = self.label(repository, name);
        json!({
            "__typename": "Label",
            "id": label["node_id"],
            "name": name,
            "color": label["color"],
            "description": label["description"],
        })
    }

    /// A comment on a pull request.
    pub fn node_comment(&self, repository: &Repository, comment: &Comment) -> Value {
        json!({
            "__typename": "IssueComment",
            "id": format!("IC_kwDO{}", comment.id),
            "databaseId": comment.id,
            "fullDatabaseId": comment.id.to_string(),
            "body": comment.body,
            "url": self.comment(repository, comment)["html_url"],
            "author": self.node_actor(comment.user),
            "authorAssociation": self.association(repository, comment.user),
            "createdAt": iso(comment.created_at),
            "updatedAt": iso(comment.updated_at),
            "isMinimized": comment.minimized.is_some(),
            "minimizedReason": comment.minimized,
        })
    }

    /// An entry of the timeline and the name by which it is asked for. None for a comment that was
    /// deleted meanwhile.
    pub fn node_event(
        &self,
        repository: &Repository,
        event: &TimelineEvent,
    ) -> Option<(&'static str, Value)> {
        let (item, kind) = names(&event.kind);
        let mut value = match &event.kind {
            EventKind::Commented(id) => self.node_comment(repository, repository.comments.get(id)?),
            EventKind::Reviewed(id) => json!({"id": format!("PRR_kwDO{id}")}),
            EventKind::Committed(sha) => {
                json!({"id": format!("PURC_{sha}"), "commit": {"oid": sha}})
            }
            _ => json!({
                "id": self.event_node_id(event),
                "actor": self.node_actor(event.actor),
                "createdAt": iso(event.created_at),
            }),
        };
        value["__typename"] = json!(kind);
        match &event.kind {
            EventKind::Labeled(name) | EventKind::Unlabeled(name) => {
                value["label"] = self.node_label(repository, name);
            }
            EventKind::BaseRefChanged(from, to) => {
                value["previousRefName"] = json!(from);
                value["currentRefName"] = json!(to);
            }
            _ => {}
        }
        Some((item, value))
    }

    /// A pull request, with the test merge as it is to be told.
    pub fn node_pull(
        &self,
        repository: &Repository,
        pull: &PullRequest,
        mergeable: &str,
        merge: Option<&MergeCommit>,
    ) -> Value {
        let state = match pull.state {
            PullState::Open => "OPEN",
            PullState::Closed => "CLOSED",
            PullState::Merged => "MERGED",
        };
        let commit = merge.map(|merge| {
            let parents: Vec<Value> = merge.parents.iter().map(|oid| json!({"oid": oid})).collect();
            json!({"oid": merge.oid, "tree": {"oid": merge.tree}, "parents": {"totalCount": parents.len(), "nodes": parents}})
        });
        let head = pull
            .head_repository
            .and_then(|id| self.world.repositories.get(&id))
            .map(|one| self.node_repository(one));
        json!({
            "__typename": "PullRequest",
            "id": format!("PR_kwDO{}", pull.id),
            "databaseId": pull.id,
            "fullDatabaseId": pull.id.to_string(),
            "number": pull.number,
            "title": pull.title,
            "body": pull.body.clone().unwrap_or_default(),
            "url": self.pull_html(repository, pull.number),
            "author": self.node_actor(pull.author),
            "headRefOid": pull.head_sha,
            "headRefName": pull.head_ref,
            "headRepository": head,
            "baseRefName": pull.base_ref,
            "baseRefOid": pull.base_sha,
            "isDraft": pull.draft,
            "state": state,
            "closed": pull.state != PullState::Open,
            "merged": pull.state == PullState::Merged,
            "mergeable": mergeable,
            "createdAt": iso(pull.created_at),
            "updatedAt": iso(pull.updated_at),
            "potentialMergeCommit": commit,
            "viewerCanLabel": true,
        })
    }
}

/// How an entry of the timeline is asked for, and what it is.
fn names(kind: &EventKind) -> (&'static str, &'static str) {
    match kind {
        EventKind::Labeled(_) => ("LABELED_EVENT", "LabeledEvent"),
        EventKind::Unlabeled(_) => ("UNLABELED_EVENT", "UnlabeledEvent"),
        EventKind::Closed => ("CLOSED_EVENT", "ClosedEvent"),
        EventKind::Reopened => ("REOPENED_EVENT", "ReopenedEvent"),
        EventKind::Merged(_) => ("MERGED_EVENT", "MergedEvent"),
        EventKind::HeadRefForcePushed(_) => {
            ("HEAD_REF_FORCE_PUSHED_EVENT", "HeadRefForcePushedEvent")
        }
        EventKind::HeadRefDeleted => ("HEAD_REF_DELETED_EVENT", "HeadRefDeletedEvent"),
        EventKind::BaseRefChanged(..) => ("BASE_REF_CHANGED_EVENT", "BaseRefChangedEvent"),
        EventKind::ConvertToDraft => ("CONVERT_TO_DRAFT_EVENT", "ConvertToDraftEvent"),
        EventKind::ReadyForReview => ("READY_FOR_REVIEW_EVENT", "ReadyForReviewEvent"),
        EventKind::Committed(_) => ("PULL_REQUEST_COMMIT", "PullRequestCommit"),
        EventKind::Commented(_) => ("ISSUE_COMMENT", "IssueComment"),
        EventKind::Reviewed(_) => ("PULL_REQUEST_REVIEW", "PullRequestReview"),
    }
}
