//! Issue events and the timeline.

use serde_json::{Value, json};

use super::{Wire, merge};
use crate::forge::clock::iso;
use crate::forge::model::{EventKind, PullRequest, Repository, TimelineEvent};

impl Wire<'_> {
    /// One entry of the list of issue events; also how most entries of the timeline look.
    #[must_use]
    pub fn issue_event(&self, repository: &Repository, event: &TimelineEvent) -> Value {
        let url = self.repository_url(repository);
        let commit = match &event.kind {
            EventKind::Merged(commit) | EventKind::HeadRefForcePushed(commit) => Some(commit),
            _ => None,
        };
        let mut value = json!({
            "id": event.id,
            "node_id": self.event_node_id(event),
            "url": format!("{url}/issues/events/{}", event.id),
            "actor": self.user(event.actor),
            "event": event.kind.name(),
            "commit_id": commit,
            "commit_url": commit.map(|sha| format!("{url}/commits/{sha}")),
            "created_at": iso(event.created_at),
            "performed_via_github_app": self.via_app(event.via_app),
        });
        if let EventKind::Labeled(label) | EventKind::Unlabeled(label) = &event.kind {
            merge(
                &mut value,
                json!({"label": {"name": label, "color": "ededed"}}),
            );
        }
        value
    }

    /// The id of an event in the GraphQL API, which the REST API tells too.
    #[must_use]
    pub fn event_node_id(&self, event: &TimelineEvent) -> String {
        let prefix = match event.kind {
            EventKind::Labeled(_) => "LE_lADO",
            EventKind::Unlabeled(_) => "UNLE_lADO",
            _ => "E_",
        };
        format!("{prefix}{}", event.id)
    }

    /// One entry of the timeline. None for a comment that was deleted meanwhile.
    #[must_use]
    pub fn timeline_event(
        &self,
        repository: &Repository,
        pull: &PullRequest,
        event: &TimelineEvent,
    ) -> Option<Value> {
        match &event.kind {
            EventKind::Committed(sha) => Some(self.committed(repository, event, sha)),
            EventKind::Commented(id) => {
                let mut value = self.comment(repository, repository.comments.get(id)?);
                merge(
                    &mut value,
                    json!({"event": "commented", "actor": self.user(event.actor)}),
                );
                Some(value)
            }
            EventKind::Reviewed(id) => {
                let review = pull.reviews.iter().find(|review| review.id == *id)?;
                let mut value = self.review(repository, pull.number, review);
                // The timeline writes the states of reviews in small letters.
                merge(
                    &mut value,
                    json!({"event": "reviewed", "state": review.state.name().to_lowercase()}),
                );
                Some(value)
            }
            _ => Some(self.issue_event(repository, event)),
        }
    }

    /// A pushed commit. Its dates are the author's claim, and it has neither id nor actor.
    fn committed(&self, repository: &Repository, event: &TimelineEvent, sha: &str) -> Value {
        let (url, login) = (
            self.repository_url(repository),
            self.world.login(event.actor),
        );
        let html = format!(
            "{}/{}/commit/{sha}",
            self.base,
            self.world.full_name(repository)
        );
        let person = json!({"name": login, "email": format!("{login}@example.com"), "date": iso(event.created_at)});
        json!({
            "event": "committed",
            "sha": sha,
            "node_id": format!("C_{sha}"),
            "url": format!("{url}/git/commits/{sha}"),
            "html_url": html,
            "author": person,
            "committer": person,
            "tree": {"sha": sha, "url": format!("{url}/git/trees/{sha}")},
            "message": "Change",
            "parents": [],
            "verification": {"verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null},
        })
    }
}
