//! Issues, and pull requests as the issues that they also are.

use serde_json::{Value, json};

use super::{Wire, merge};
use crate::forge::clock::iso;
use crate::forge::model::{Issue, PullRequest, PullState, Repository};

impl Wire<'_> {
    /// The issue or pull request of a number, as `issue_comment` tells of it; null if there is none.
    #[must_use]
    pub fn issue_of(&self, repository: &Repository, number: u64) -> Value {
        match (
            repository.pulls.get(&number),
            repository.issues.get(&number),
        ) {
            (Some(pull), _) => self.pull_as_issue(repository, pull),
            (None, Some(issue)) => self.issue(repository, issue),
            (None, None) => Value::Null,
        }
    }

    /// The page of an issue or pull request.
    #[must_use]
    pub fn page_of(&self, repository: &Repository, number: u64) -> String {
        match repository.issues.contains_key(&number) {
            true => format!(
                "{}/{}/issues/{number}",
                self.base,
                self.world.full_name(repository)
            ),
            false => self.pull_html(repository, number),
        }
    }

    /// An issue: it has no `pull_request`, by which one tells.
    fn issue(&self, repository: &Repository, issue: &Issue) -> Value {
        let mut value = self.frame(repository, issue.number);
        let at = iso(issue.created_at);
        merge(
            &mut value,
            json!({
                "id": issue.id,
                "node_id": format!("I_kwDO{}", issue.id),
                "title": issue.title,
                "user": self.user(issue.author),
                "labels": [],
                "state": "open",
                "created_at": at,
                "updated_at": at,
                "closed_at": null,
                "author_association": self.association(repository, issue.author),
                "body": null,
            }),
        );
        value
    }

    fn pull_as_issue(&self, repository: &Repository, pull: &PullRequest) -> Value {
        let html = self.pull_html(repository, pull.number);
        let labels = pull.labels.iter();
        let merged_at = match pull.state {
            PullState::Merged => pull.closed_at.map(iso),
            _ => None,
        };
        let mut value = self.frame(repository, pull.number);
        merge(
            &mut value,
            json!({
                "id": pull.id,
                "node_id": format!("PR_kwDO{}", pull.id),
                "title": pull.title,
                "user": self.user(pull.author),
                "labels": labels.map(|name| self.label(repository, name)).collect::<Vec<_>>(),
                "state": if pull.state == PullState::Open { "open" } else { "closed" },
                "created_at": iso(pull.created_at),
                "updated_at": iso(pull.updated_at),
                "closed_at": pull.closed_at.map(iso),
                "author_association": self.association(repository, pull.author),
                "draft": pull.draft,
                "pull_request": {
                    "url": format!("{}/pulls/{}", self.repository_url(repository), pull.number),
                    "html_url": html,
                    "diff_url": format!("{html}.diff"),
                    "patch_url": format!("{html}.patch"),
                    "merged_at": merged_at,
                },
                "body": pull.body,
            }),
        );
        value
    }

    /// What both have in common.
    fn frame(&self, repository: &Repository, number: u64) -> Value {
        let repository_url = self.repository_url(repository);
        let url = format!("{repository_url}/issues/{number}");
        let comments = repository.comments.values();
        json!({
            "url": url,
            "repository_url": repository_url,
            "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"),
            "html_url": self.page_of(repository, number),
            "number": number,
            "locked": false,
            "assignee": null,
            "assignees": [],
            "milestone": null,
            "comments": comments.filter(|comment| comment.number == number).count(),
            "active_lock_reason": null,
            "reactions": self.reactions(&url, &[]),
            "timeline_url": format!("{url}/timeline"),
            "performed_via_github_app": null,
            "state_reason": null,
        })
    }
}
