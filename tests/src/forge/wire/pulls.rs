//! Pull requests, as lists, single answers, webhooks and issues show them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Wire, merge};
use crate::forge::clock::iso;
use crate::forge::model::{
    CheckRun, Comment, Id, PullRequest, PullState, Repository, Review, Role,
};

impl Wire<'_> {
    /// A pull request as lists and webhooks show it.
    #[must_use]
    pub fn simple_pull(&self, repository: &Repository, pull: &PullRequest) -> Value {
        let url = self.repository_url(repository);
        let (number, api) = (pull.number, format!("{url}/pulls/{}", pull.number));
        let issue = format!("{url}/issues/{number}");
        let html = self.pull_html(repository, number);
        let labels: Vec<Value> = pull
            .labels
            .iter()
            .map(|name| self.label(repository, name))
            .collect();
        let merged_at = if pull.state == PullState::Merged {
            pull.closed_at
        } else {
            None
        };
        json!({
            "url": api,
            "id": pull.id,
            "node_id": format!("PR_kwDO{}", pull.id),
            "html_url": html,
            "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"),
            "issue_url": issue,
            "number": number,
            "state": state(pull),
            "locked": false,
            "title": pull.title,
            "user": self.user(pull.author),
            "body": pull.body,
            "created_at": iso(pull.created_at),
            "updated_at": iso(pull.updated_at),
            "closed_at": pull.closed_at.map(iso),
            "merged_at": merged_at.map(iso),
            "merge_commit_sha": self.merge_commit_sha(pull),
            "assignee": null,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "labels": labels,
            "milestone": null,
            "draft": pull.draft,
            "commits_url": format!("{api}/commits"),
            "review_comments_url": format!("{api}/comments"),
            "review_comment_url": format!("{url}/pulls/comments{{/number}}"),
            "comments_url": format!("{issue}/comments"),
            "statuses_url": format!("{url}/statuses/{}", pull.head_sha),
            "head": self.head(pull),
            "base": self.base_of(repository, pull),
            "_links": links(&url, &html, pull),
            "author_association": self.association(repository, pull.author),
            "auto_merge": null,
            "active_lock_reason": null,
        })
    }

    /// A pull request with what only the single answer and webhooks tell.
    #[must_use]
    pub fn pull(&self, repository: &Repository, pull: &PullRequest) -> Value {
        let mut value = self.simple_pull(repository, pull);
        let comments = repository
            .comments
            .values()
            .filter(|comment| comment.number == pull.number)
            .count();
        let (mergeable, word) = mergeability(repository, pull);
        merge(
            &mut value,
            json!({
                "merged": pull.state == PullState::Merged,
                "mergeable": mergeable,
                "rebaseable": mergeable,
                "mergeable_state": word,
                "merged_by": pull.merged_by.as_ref().map(|(user, _)| self.user(*user)),
                "comments": comments,
                "review_comments": 0,
                "maintainer_can_modify": false,
                "commits": 1,
                "additions": 1,
                "deletions": 0,
                "changed_files": 1,
            }),
        );
        value
    }

    /// A comment on a pull request or issue.
    #[must_use]
    pub fn comment(&self, repository: &Repository, comment: &Comment) -> Value {
        let url = self.repository_url(repository);
        let api = format!("{url}/issues/comments/{}", comment.id);
        json!({
            "url": api,
            "html_url": format!("{}#issuecomment-{}", self.page_of(repository, comment.number), comment.id),
            "issue_url": format!("{url}/issues/{}", comment.number),
            "id": comment.id,
            "node_id": format!("IC_kwDO{}", comment.id),
            "user": self.user(comment.user),
            "created_at": iso(comment.created_at),
            "updated_at": iso(comment.updated_at),
            "author_association": self.association(repository, comment.user),
            "body": comment.body,
            "reactions": self.reactions(&api, &comment.reactions),
            "performed_via_github_app": self.via_app(comment.via_app),
        })
    }

    /// A comment as the API answers it: with whether it was folded away.
    #[must_use]
    pub fn read_comment(&self, repository: &Repository, comment: &Comment) -> Value {
        let mut value = self.comment(repository, comment);
        let reason = comment.minimized.as_ref();
        value["minimized"] = json!(reason.map(|reason| json!({"reason": reason})));
        value
    }

    /// A review.
    #[must_use]
    pub fn review(&self, repository: &Repository, number: u64, review: &Review) -> Value {
        let html = format!(
            "{}#pullrequestreview-{}",
            self.pull_html(repository, number),
            review.id
        );
        let pull = format!("{}/pulls/{number}", self.repository_url(repository));
        json!({
            "id": review.id,
            "node_id": format!("PRR_kwDO{}", review.id),
            "user": self.user(review.user),
            "body": review.body,
            "state": review.state.name(),
            "html_url": html,
            "pull_request_url": pull,
            "author_association": self.association(repository, review.user),
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
            "submitted_at": iso(review.submitted_at),
            "commit_id": review.commit,
        })
    }

    /// How somebody relates to a repository, as far as it shows.
    #[must_use]
    pub fn association(&self, repository: &Repository, user: Id) -> &'static str {
        match self.world.role(repository, user).0 {
            _ if repository.owner == user => "OWNER",
            role if role >= Role::Write => "MEMBER",
            Role::Triage => "COLLABORATOR",
            _ => "NONE",
        }
    }

    /// The page of a pull request.
    #[must_use]
    pub fn pull_html(&self, repository: &Repository, number: u64) -> String {
        format!(
            "{}/{}/pull/{number}",
            self.base,
            self.world.full_name(repository)
        )
    }

    /// The roll-up of reactions that comments and issues carry.
    pub(super) fn reactions(
        &self,
        url: &str,
        reactions: &[crate::forge::model::Reaction],
    ) -> Value {
        let mut value = json!({"url": format!("{url}/reactions"), "total_count": reactions.len()});
        for content in [
            "+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes",
        ] {
            value[content] = json!(
                reactions
                    .iter()
                    .filter(|one| one.content == content)
                    .count()
            );
        }
        value
    }

    fn merge_commit_sha(&self, pull: &PullRequest) -> Option<String> {
        match &pull.merged_by {
            Some((_, commit)) => Some(commit.clone()),
            None => pull
                .test_merge
                .current
                .as_ref()
                .map(|merge| merge.oid.clone()),
        }
    }

    fn head(&self, pull: &PullRequest) -> Value {
        let repository = pull
            .head_repository
            .and_then(|id| self.world.repositories.get(&id));
        json!({
            "label": format!("{}:{}", self.world.login(pull.head_owner), pull.head_ref),
            "ref": pull.head_ref,
            "sha": pull.head_sha,
            "user": self.user(pull.head_owner),
            "repo": repository.map(|one| self.hook_repository(one)),
        })
    }

    fn base_of(&self, repository: &Repository, pull: &PullRequest) -> Value {
        json!({
            "label": format!("{}:{}", self.world.login(repository.owner), pull.base_ref),
            "ref": pull.base_ref,
            "sha": pull.base_sha,
            "user": self.user(repository.owner),
            "repo": self.hook_repository(repository),
        })
    }
}

fn state(pull: &PullRequest) -> &'static str {
    if pull.state == PullState::Open {
        "open"
    } else {
        "closed"
    }
}

fn mergeability(repository: &Repository, pull: &PullRequest) -> (Option<bool>, &'static str) {
    match &pull.test_merge {
        _ if pull.state != PullState::Open => (None, "unknown"),
        merge if merge.unknown_answers > 0 => (None, "unknown"),
        merge if merge.conflicting || merge.current.is_none() => (Some(false), "dirty"),
        // Nothing here is a required check: what is red or pending does not keep anybody from merging.
        _ if !all_green(repository, &pull.head_sha) => (Some(true), "unstable"),
        _ => (Some(true), "clean"),
    }
}

/// Whether the newest status of each context and the newest check run of each name passed.
fn all_green(repository: &Repository, sha: &str) -> bool {
    let mut newest = BTreeMap::new();
    for status in repository.statuses.get(sha).into_iter().flatten() {
        newest.insert(&status.context, status.state == "success");
    }
    let suites = repository.checks.suites.values();
    let passed = |run: &CheckRun| {
        matches!(
            run.conclusion.as_deref(),
            Some("success" | "neutral" | "skipped")
        )
    };
    newest.values().all(|green| *green)
        && suites
            .filter(|suite| suite.head_sha == sha)
            .all(|suite| repository.checks.latest(suite.id).into_iter().all(passed))
}

fn links(url: &str, html: &str, pull: &PullRequest) -> Value {
    let (api, issue) = (
        format!("{url}/pulls/{}", pull.number),
        format!("{url}/issues/{}", pull.number),
    );
    json!({
        "self": {"href": api},
        "html": {"href": html},
        "issue": {"href": issue},
        "comments": {"href": format!("{issue}/comments")},
        "review_comments": {"href": format!("{api}/comments")},
        "review_comment": {"href": format!("{url}/pulls/comments{{/number}}")},
        "commits": {"href": format!("{api}/commits")},
        "statuses": {"href": format!("{url}/statuses/{}", pull.head_sha)},
    })
}
