//! The routes of the REST API: one table, and what every route has in common.

mod apps;
mod issues;
mod pulls;
mod repositories;
mod statuses;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use serde_json::{Value, json};

use super::auth::{Caller, Needs};
use super::model::{PullRequest, Repository, Role, World};
use super::wire::Wire;
use super::{Inner, graphql};

/// One operation.
pub struct Route {
    /// GET, POST, PATCH or DELETE.
    pub method: &'static str,
    /// The path as GitHub's description writes it.
    pub template: &'static str,
    needs: Needs,
    work: fn(&Call<'_>) -> Reply,
}

/// An answer, or the answer that refuses.
pub type Reply = Result<Answer, Answer>;

/// What a route has to work with.
pub struct Call<'a> {
    pub forge: &'a Arc<Inner>,
    pub caller: &'a Caller,
    pub params: HashMap<String, String>,
    pub query: HashMap<String, String>,
    pub body: Value,
    pub uri: &'a http::Uri,
    pub host: String,
    pub version: Option<&'a str>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    kind: Option<&'static str>,
    body: Bytes,
}

const PULL: &[&str] = &["pull_requests", "issues"];

const fn route(method: &'static str, template: &'static str, needs: Needs, work: fn(&Call<'_>) -> Reply) -> Route {
    Route { method, template, needs, work }
}

/// Every operation that the forge knows, with the permission that GitHub's documentation names.
pub static ROUTES: &[Route] = &[
    route("POST", "/graphql", Needs::Nothing, graphql::answer),
    route("GET", "/rate_limit", Needs::Nothing, apps::rate_limit),
    route("GET", "/user", Needs::Nothing, apps::user),
    route("GET", "/users/{username}", Needs::Nothing, apps::user_by_name),
    route("GET", "/app", Needs::Jwt, apps::app),
    route("GET", "/app/installations", Needs::Jwt, apps::installations),
    route("GET", "/app/installations/{installation_id}", Needs::Jwt, apps::installation),
    route("POST", "/app/installations/{installation_id}/access_tokens", Needs::Jwt, apps::create_token),
    route("GET", "/app/hook/deliveries", Needs::Jwt, apps::deliveries),
    route("GET", "/app/hook/deliveries/{delivery_id}", Needs::Jwt, apps::delivery),
    route("POST", "/app/hook/deliveries/{delivery_id}/attempts", Needs::Jwt, apps::redeliver),
    route("GET", "/installation/repositories", Needs::Read(&["metadata"]), apps::repositories),
    route("GET", "/orgs/{org}/teams/{team_slug}/memberships/{username}", Needs::Read(&["members"]), apps::membership),
    route("GET", "/repos/{owner}/{repo}", Needs::Read(&["metadata"]), repositories::get),
    route("GET", "/repos/{owner}/{repo}/installation", Needs::Jwt, apps::repository_installation),
    route("GET", "/repos/{owner}/{repo}/activity", Needs::Read(&["contents"]), repositories::activity),
    route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", Needs::Read(&["metadata"]), repositories::permission),
    route("GET", "/repos/{owner}/{repo}/pulls", Needs::Read(&["pull_requests"]), pulls::list),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", Needs::Read(&["pull_requests"]), pulls::get),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", Needs::Read(&["pull_requests"]), pulls::reviews),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/events", Needs::Read(PULL), pulls::events),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/timeline", Needs::Read(PULL), pulls::timeline),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels", Needs::Read(PULL), issues::labels),
    route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels", Needs::Write(PULL, Role::Triage), issues::add_labels),
    route("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}", Needs::Write(PULL, Role::Triage), issues::remove_label),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", Needs::Read(PULL), issues::comments),
    route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", Needs::Write(PULL, Role::Read), issues::create_comment),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Needs::Read(PULL), issues::comment),
    route("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Needs::Write(PULL, Role::Read), issues::update_comment),
    route("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Needs::Write(PULL, Role::Read), issues::delete_comment),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", Needs::Read(PULL), issues::reactions),
    route("POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", Needs::Write(PULL, Role::Read), issues::react),
    route("POST", "/repos/{owner}/{repo}/statuses/{sha}", Needs::Write(&["statuses"], Role::Write), statuses::create),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/statuses", Needs::Read(&["statuses"]), statuses::list),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/status", Needs::Read(&["statuses"]), statuses::combined),
];

impl Call<'_> {
    /// Checks what the route asks of its caller, and does the work.
    pub fn handle(&self, route: &Route) -> Reply {
        {
            let world = self.forge.lock();
            let repository = match self.params.contains_key("repo") {
                true => Some(self.repository(&world)?),
                false => None,
            };
            self.caller.may(&world, repository, route.needs)?;
        }
        (route.work)(self)
    }

    /// A parameter of the path, decoded.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// A numeric parameter of the path.
    pub fn number(&self, name: &str) -> Result<u64, Answer> {
        self.param(name).parse().map_err(|_| Answer::not_found())
    }

    /// `owner/name` of the path.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.param("owner"), self.param("repo"))
    }

    /// The repository of the path, 404 if the caller does not see it.
    pub fn repository<'w>(&self, world: &'w World) -> Result<&'w Repository, Answer> {
        let found = world.repository(&self.full_name()).ok_or_else(Answer::not_found)?;
        if self.caller.sees(found) { Ok(found) } else { Err(Answer::not_found()) }
    }

    /// The pull request of the path; issues and pull requests share their numbers.
    pub fn pull<'w>(&self, world: &'w World) -> Result<(&'w Repository, &'w PullRequest), Answer> {
        let name = if self.params.contains_key("pull_number") { "pull_number" } else { "issue_number" };
        let (repository, number) = (self.repository(world)?, self.number(name)?);
        Ok((repository, repository.pulls.get(&number).ok_or_else(Answer::not_found)?))
    }

    /// The writer of JSON.
    pub fn wire<'w>(&'w self, world: &'w World) -> Wire<'w> {
        Wire { world, base: &self.forge.base }
    }

    /// The account that writes, and its App; 401 for nobody.
    pub fn writer(&self) -> Result<(super::Id, Option<super::Id>), Answer> {
        self.caller.writer().ok_or_else(|| Answer::error(401, "Requires authentication"))
    }

    /// A string of the body.
    pub fn text(&self, name: &str) -> Option<String> {
        self.body[name].as_str().map(str::to_owned)
    }

    /// The page that was asked for (30 entries by default, 100 at most), with absolute links to others.
    pub fn page<T>(&self, all: &[T], write: impl Fn(&T) -> Value) -> Answer {
        let number = |name: &str| self.query.get(name).and_then(|value| value.parse::<usize>().ok());
        let size = number("per_page").unwrap_or(30).clamp(1, 100);
        let page = number("page").unwrap_or(1).max(1);
        let from = (page - 1).saturating_mul(size).min(all.len());
        let shown: Vec<Value> = all[from..(from + size).min(all.len())].iter().map(write).collect();
        let mut answer = Answer::json(200, Value::Array(shown));
        let last = all.len().div_ceil(size).max(1);
        let mut links = Vec::new();
        let mut link = |page: usize, name: &str| links.push(format!("<{}>; rel=\"{name}\"", self.page_url(page, size)));
        if page > 1 {
            link(page - 1, "prev");
        }
        if page < last {
            link(page + 1, "next");
            link(last, "last");
        }
        if page > 1 {
            link(1, "first");
        }
        if !links.is_empty() {
            answer.headers.push(("link", links.join(", ")));
        }
        answer
    }

    fn page_url(&self, page: usize, size: usize) -> String {
        let mut query: Vec<String> = Vec::new();
        for pair in self.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap_or_default();
            if name != "page" && name != "per_page" {
                query.push(pair.to_owned());
            }
        }
        query.push(format!("per_page={size}&page={page}"));
        format!("{}{}?{}", self.host, self.uri.path(), query.join("&"))
    }
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, value: Value) -> Self {
        Self { status, headers: Vec::new(), kind: Some("application/json; charset=utf-8"), body: value.to_string().into() }
    }

    /// 200 with JSON.
    pub fn ok(value: Value) -> Self {
        Self::json(200, value)
    }

    /// No body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), kind: None, body: Bytes::new() }
    }

    /// A page for people.
    pub fn html(status: u16, page: &'static str) -> Self {
        Self { status, headers: Vec::new(), kind: Some("text/html; charset=utf-8"), body: page.into() }
    }

    /// GitHub's usual error.
    pub fn error(status: u16, message: &str) -> Self {
        let value = json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()});
        Self::json(status, value)
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::error(404, "Not Found")
    }

    /// 422 with one reason.
    pub fn invalid(resource: &str, field: &str, message: &str) -> Self {
        let errors = json!([{"resource": resource, "field": field, "code": "custom", "message": message}]);
        let value = json!({"message": format!("Validation Failed: {message}"), "errors": errors, "documentation_url": "https://docs.github.com/rest", "status": "422"});
        Self::json(422, value)
    }

    /// The bytes of the body; a cheap copy.
    pub fn bytes(&self) -> Bytes {
        self.body.clone()
    }

    /// The content type, if there is a body.
    pub fn content_type(&self) -> Option<&'static str> {
        self.kind
    }
}
