//! The model as GitHub's JSON: shapes that both its REST description and its webhook schemas accept.

mod checks;
mod events;
mod hooks;
mod issues;
mod pulls;
mod repositories;
mod statuses;

use serde_json::{Value, json};

use super::clock::iso;
use super::model::{App, Id, Installation, Role, Team, User, World};

/// Writes one world as JSON, with links below one base URL.
#[derive(Clone, Copy)]
pub struct Wire<'a> {
    /// What is written.
    pub world: &'a World,
    /// `http://host:port` of the forge.
    pub base: &'a str,
}

impl Wire<'_> {
    /// The base of URLs of the REST API.
    #[must_use]
    pub fn api(&self) -> String {
        format!("{}{}", self.base, self.world.api_path)
    }

    /// A user by id; somebody unknown is the ghost.
    #[must_use]
    pub fn user(&self, id: Id) -> Value {
        match self.world.users.get(&id) {
            Some(user) => self.simple_user(user),
            None => self.simple_user(&User {
                id: 10_137,
                login: "ghost".to_owned(),
                kind: super::UserType::User,
            }),
        }
    }

    fn simple_user(&self, user: &User) -> Value {
        let (base, login, id) = (self.base, &user.login, user.id);
        let name = repositories::encode(login);
        let url = format!("{}/users/{name}", self.api());
        json!({
            "login": login,
            "id": id,
            "node_id": format!("U_kgDO{id}"),
            "avatar_url": format!("{base}/avatars/u/{id}?v=4"),
            "gravatar_id": "",
            "url": url,
            "html_url": format!("{base}/{name}"),
            "followers_url": format!("{url}/followers"),
            "following_url": format!("{url}/following{{/other_user}}"),
            "gists_url": format!("{url}/gists{{/gist_id}}"),
            "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{url}/subscriptions"),
            "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events{{/privacy}}"),
            "received_events_url": format!("{url}/received_events"),
            "type": user.kind.name(),
            "site_admin": false,
        })
    }

    /// A user with all that a profile shows.
    #[must_use]
    pub fn public_user(&self, user: &User) -> Value {
        let mut value = self.simple_user(user);
        merge(
            &mut value,
            json!({
                "name": null, "company": null, "blog": "", "location": null, "email": null, "hireable": null,
                "bio": null, "public_repos": 1, "public_gists": 0, "followers": 0, "following": 0,
                "created_at": "2011-01-25T18:44:36Z", "updated_at": "2011-01-25T18:44:36Z",
            }),
        );
        value
    }

    /// What `collaborators/{user}/permission` answers.
    #[must_use]
    pub fn collaborator(&self, user: Id, role: Role, role_name: &str) -> Value {
        let mut person = self.user(user);
        merge(
            &mut person,
            json!({
                "permissions": {
                    "pull": role >= Role::Read,
                    "triage": role >= Role::Triage,
                    "push": role >= Role::Write,
                    "maintain": role >= Role::Maintain,
                    "admin": role >= Role::Admin,
                },
                "role_name": role_name,
            }),
        );
        json!({"permission": role.legacy(), "role_name": role_name, "user": person})
    }

    /// An App.
    #[must_use]
    pub fn app(&self, app: &App) -> Value {
        json!({
            "id": app.id,
            "slug": app.slug,
            "node_id": format!("A_kwHO{}", app.id),
            "owner": self.user(app.owner),
            "name": app.slug,
            "description": null,
            "external_url": format!("{}/{}", self.base, app.slug),
            "html_url": format!("{}/apps/{}", self.base, app.slug),
            "created_at": iso(app.created_at),
            "updated_at": iso(app.created_at),
            "events": app.subscriptions(&app.permissions),
            "permissions": app.permissions,
        })
    }

    /// The App through which something was done, or null.
    #[must_use]
    pub fn via_app(&self, app: Option<Id>) -> Value {
        app.and_then(|id| self.world.apps.get(&id))
            .map_or(Value::Null, |app| self.app(app))
    }

    /// An installation of an App.
    #[must_use]
    pub fn installation(&self, one: &Installation) -> Value {
        let slug = self
            .world
            .apps
            .get(&one.app)
            .map_or("", |app| app.slug.as_str());
        let events = self
            .world
            .apps
            .get(&one.app)
            .map(|app| app.subscriptions(&one.permissions));
        let api = format!("{}/app/installations/{}", self.api(), one.id);
        let kind = self
            .world
            .users
            .get(&one.account)
            .map_or("User", |user| user.kind.name());
        json!({
            "id": one.id,
            "account": self.user(one.account),
            "repository_selection": "selected",
            "access_tokens_url": format!("{api}/access_tokens"),
            "repositories_url": format!("{}/installation/repositories", self.api()),
            "html_url": format!("{}/settings/installations/{}", self.base, one.id),
            "app_id": one.app,
            "app_slug": slug,
            "target_id": one.account,
            "target_type": kind,
            "permissions": one.permissions,
            "events": events,
            "created_at": iso(one.created_at),
            "updated_at": iso(one.created_at),
            "single_file_name": null,
            "suspended_by": null,
            "suspended_at": if one.suspended { json!(iso(one.created_at)) } else { Value::Null },
        })
    }

    /// The membership of a user in a team.
    #[must_use]
    pub fn membership(&self, team: &Team, user: Id, active: bool) -> Value {
        let (login, base) = (self.world.login(user), self.api());
        let path = format!(
            "organizations/{}/team/{}/memberships/{login}",
            team.organization, team.id
        );
        json!({
            "url": format!("{base}/{path}"),
            "role": "member",
            "state": if active { "active" } else { "pending" },
        })
    }
}

/// Puts the fields of one object into another.
pub fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (into, more) {
        fields.extend(more);
    }
}
