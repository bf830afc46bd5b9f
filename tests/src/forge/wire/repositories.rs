//! Repositories, labels, statuses, activity.

use serde_json::{Value, json};

use super::{Wire, merge};
use crate::forge::clock::iso;
use crate::forge::model::{Activity, Id, Label, PullState, Repository, User, UserType};

impl Wire<'_> {
    /// The URL of a repository in the API.
    #[must_use]
    pub fn repository_url(&self, repository: &Repository) -> String {
        format!("{}/repos/{}", self.api(), self.world.full_name(repository))
    }

    /// A repository with the fields that webhooks and pull requests carry.
    #[must_use]
    pub fn repository(&self, repository: &Repository) -> Value {
        let open = repository
            .pulls
            .values()
            .filter(|pull| pull.state == PullState::Open)
            .count();
        let full_name = self.world.full_name(repository);
        let web = format!("{}/{full_name}", self.base);
        let mut value = self.minimal_repository(repository);
        merge(
            &mut value,
            json!({
                "created_at": iso(repository.created_at),
                "updated_at": iso(repository.pushed_at),
                "pushed_at": iso(repository.pushed_at),
                "git_url": format!("git://{}.git", web.trim_start_matches("http://")),
                "ssh_url": format!("git@github.com:{full_name}.git"),
                "clone_url": format!("{web}.git"),
                "svn_url": web,
                "homepage": null,
                "size": 0,
                "stargazers_count": 0,
                "watchers_count": 0,
                "language": null,
                "has_issues": true,
                "has_projects": true,
                "has_downloads": true,
                "has_wiki": true,
                "has_pages": false,
                "has_discussions": false,
                "forks_count": 0,
                "mirror_url": null,
                "archived": false,
                "disabled": false,
                "open_issues_count": open,
                "license": null,
                "allow_forking": true,
                "is_template": false,
                "web_commit_signoff_required": false,
                "topics": [],
                "visibility": if repository.private { "private" } else { "public" },
                "forks": 0,
                "open_issues": open,
                "watchers": 0,
                "default_branch": repository.default_branch,
            }),
        );
        value
    }

    /// A repository inside an event of the webhook, which knows one field more.
    #[must_use]
    pub fn hook_repository(&self, repository: &Repository) -> Value {
        let mut value = self.repository(repository);
        merge(&mut value, json!({"custom_properties": {}}));
        value
    }

    /// What every payload of a webhook ends with: repository, organization, sender.
    #[must_use]
    pub fn surroundings(&self, repository: &Repository, sender: Id) -> Value {
        let mut value =
            json!({"repository": self.hook_repository(repository), "sender": self.user(sender)});
        if let Some(owner) = self
            .world
            .users
            .get(&repository.owner)
            .filter(|owner| owner.kind == UserType::Organization)
        {
            merge(
                &mut value,
                json!({"organization": self.organization(owner)}),
            );
        }
        value
    }

    fn organization(&self, owner: &User) -> Value {
        let url = format!("{}/orgs/{}", self.api(), owner.login);
        json!({
            "login": owner.login,
            "id": owner.id,
            "node_id": format!("O_kgDO{}", owner.id),
            "url": url,
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events"),
            "hooks_url": format!("{url}/hooks"),
            "issues_url": format!("{url}/issues"),
            "members_url": format!("{url}/members{{/member}}"),
            "public_members_url": format!("{url}/public_members{{/member}}"),
            "avatar_url": format!("{}/avatars/u/{}?v=4", self.base, owner.id),
            "description": "",
        })
    }

    /// A repository as `GET /repos/{owner}/{repo}` answers it.
    #[must_use]
    pub fn full_repository(&self, repository: &Repository) -> Value {
        let mut value = self.repository(repository);
        merge(
            &mut value,
            json!({"network_count": 0, "subscribers_count": 0, "temp_clone_token": null}),
        );
        if let Some(parent) = repository
            .fork_of
            .and_then(|id| self.world.repositories.get(&id))
        {
            merge(
                &mut value,
                json!({"parent": self.repository(parent), "source": self.repository(parent)}),
            );
        }
        value
    }

    /// A repository with its id, names and links only.
    #[must_use]
    pub fn minimal_repository(&self, repository: &Repository) -> Value {
        let full_name = self.world.full_name(repository);
        let url = self.repository_url(repository);
        let mut value = json!({
            "id": repository.id,
            "node_id": format!("R_kgDO{}", repository.id),
            "name": repository.name,
            "full_name": full_name,
            "private": repository.private,
            "owner": self.user(repository.owner),
            "html_url": format!("{}/{full_name}", self.base),
            "description": null,
            "fork": repository.fork_of.is_some(),
            "url": url,
        });
        if let Value::Object(fields) = &mut value {
            for (name, path) in LINKS {
                fields.insert((*name).to_owned(), Value::String(format!("{url}/{path}")));
            }
        }
        value
    }

    /// A label of a repository. One that is only a name in a pull request has the grey of new labels.
    #[must_use]
    pub fn label(&self, repository: &Repository, name: &str) -> Value {
        let id = repository
            .labels
            .iter()
            .find(|label| label.name == name)
            .map_or(0, |label: &Label| label.id);
        json!({
            "id": id,
            "node_id": format!("LA_kwDO{id}"),
            "url": format!("{}/labels/{}", self.repository_url(repository), encode(name)),
            "name": name,
            "color": "ededed",
            "default": false,
            "description": "",
        })
    }

    /// One movement of a branch.
    #[must_use]
    pub fn activity(&self, entry: &Activity) -> Value {
        json!({
            "id": entry.id,
            "node_id": format!("PSH_{}", entry.id),
            "before": entry.before,
            "after": entry.after,
            "ref": entry.reference,
            "timestamp": iso(entry.timestamp),
            "activity_type": entry.kind.name(),
            "actor": entry.actor.map_or(Value::Null, |id| self.user(id)),
        })
    }
}

/// A path segment with everything but letters, digits and `-._~` percent-encoded.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The links of a repository, as templates below its URL.
const LINKS: &[(&str, &str)] = &[
    ("forks_url", "forks"),
    ("keys_url", "keys{/key_id}"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("teams_url", "teams"),
    ("hooks_url", "hooks"),
    ("issue_events_url", "issues/events{/number}"),
    ("events_url", "events"),
    ("assignees_url", "assignees{/user}"),
    ("branches_url", "branches{/branch}"),
    ("tags_url", "tags"),
    ("blobs_url", "git/blobs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("trees_url", "git/trees{/sha}"),
    ("statuses_url", "statuses/{sha}"),
    ("languages_url", "languages"),
    ("stargazers_url", "stargazers"),
    ("contributors_url", "contributors"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("commits_url", "commits{/sha}"),
    ("git_commits_url", "git/commits{/sha}"),
    ("comments_url", "comments{/number}"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("contents_url", "contents/{+path}"),
    ("compare_url", "compare/{base}...{head}"),
    ("merges_url", "merges"),
    ("archive_url", "{archive_format}{/ref}"),
    ("downloads_url", "downloads"),
    ("issues_url", "issues{/number}"),
    ("pulls_url", "pulls{/number}"),
    ("milestones_url", "milestones{/number}"),
    (
        "notifications_url",
        "notifications{?since,all,participating}",
    ),
    ("labels_url", "labels{/name}"),
    ("releases_url", "releases{/id}"),
    ("deployments_url", "deployments"),
];
