//! Commit statuses.

use serde_json::{Value, json};

use super::{Wire, merge};
use crate::forge::clock::iso;
use crate::forge::model::{Repository, Status};

impl Wire<'_> {
    /// A commit status.
    #[must_use]
    pub fn status(&self, repository: &Repository, sha: &str, status: &Status) -> Value {
        let mut value = self.simple_status(repository, sha, status);
        merge(&mut value, json!({"creator": self.user(status.creator)}));
        value
    }

    /// A commit status without the one who wrote it.
    #[must_use]
    pub fn simple_status(&self, repository: &Repository, sha: &str, status: &Status) -> Value {
        json!({
            "url": format!("{}/statuses/{sha}", self.repository_url(repository)),
            "avatar_url": self.avatar(status),
            "id": status.id,
            "node_id": format!("SC_kwDO{}", status.id),
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": iso(status.created_at),
            "updated_at": iso(status.created_at),
        })
    }

    /// A commit status as webhooks tell of it: with its commit and the branches that end there.
    #[must_use]
    pub fn hook_status(&self, repository: &Repository, sha: &str, status: &Status) -> Value {
        let (name, api) = (
            self.world.full_name(repository),
            self.repository_url(repository),
        );
        let (url, at) = (format!("{api}/commits/{sha}"), iso(status.created_at));
        let person = json!({"name": "GitHub", "email": "noreply@github.com", "date": at});
        let tips = repository.branches.iter().filter(|(_, tip)| *tip == sha);
        let branches = tips.map(|(branch, _)| {
            json!({"name": branch, "commit": {"sha": sha, "url": url}, "protected": false})
        });
        json!({
            "id": status.id,
            "sha": sha,
            "name": name,
            "avatar_url": self.avatar(status),
            "target_url": status.target_url,
            "context": status.context,
            "description": status.description,
            "state": status.state,
            "commit": {
                "sha": sha,
                "node_id": format!("C_{sha}"),
                "commit": {
                    "author": person,
                    "committer": person,
                    "message": "Change",
                    "tree": {"sha": sha, "url": format!("{api}/git/trees/{sha}")},
                    "url": format!("{api}/git/commits/{sha}"),
                    "comment_count": 0,
                    "verification": {"verified": false, "reason": "unsigned", "signature": null, "payload": null},
                },
                "url": url,
                "html_url": format!("{}/{name}/commit/{sha}", self.base),
                "comments_url": format!("{url}/comments"),
                "author": null,
                "committer": null,
                "parents": [],
            },
            "branches": branches.collect::<Vec<_>>(),
            "created_at": at,
            "updated_at": at,
        })
    }

    fn avatar(&self, status: &Status) -> String {
        format!("{}/avatars/u/{}?v=4", self.base, status.creator)
    }
}
