//! One call of an operation: what was asked, and what all operations have in common.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Reply, Route};
use crate::forge::Inner;
use crate::forge::auth::Caller;
use crate::forge::model::{Id, PullRequest, Repository, World};
use crate::forge::wire::Wire;

/// What a route has to work with.
pub struct Call<'a> {
    /// The forge that is asked.
    pub forge: &'a Arc<Inner>,
    /// Who asks.
    pub caller: &'a Caller,
    /// Parameters of the path, decoded.
    pub params: HashMap<String, String>,
    /// Parameters of the query, decoded.
    pub query: HashMap<String, String>,
    /// The JSON body, null if there is none.
    pub body: Value,
    /// The method.
    pub method: &'a http::Method,
    /// The URI as it was asked for.
    pub uri: &'a http::Uri,
    /// The base of links in headers.
    pub host: String,
    /// `X-GitHub-Api-Version`, if one was asked for.
    pub version: Option<&'a str>,
}

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
        let name = self.full_name();
        match world.repository(&name) {
            Some(found) if self.caller.sees(found) => Ok(found),
            Some(_) => Err(Answer::not_found()),
            None => {
                let moved = world.moved(&name).filter(|one| self.caller.sees(one));
                Err(moved.map_or_else(Answer::not_found, |one| self.redirect(one.id)))
            }
        }
    }

    /// Where a repository is that had the name of the path: 301 for who only reads, 307 for others, so
    /// that they ask again with the same method and body.
    fn redirect(&self, id: Id) -> Answer {
        let (status, message) = match *self.method {
            http::Method::GET | http::Method::HEAD => (301, "Moved Permanently"),
            _ => (307, "Temporary Redirect"),
        };
        let rest = self.uri.path().splitn(5, '/').nth(4);
        let rest = rest.map_or_else(String::new, |rest| format!("/{rest}"));
        let query = self.uri.query();
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        let url = format!("{}/repositories/{id}{rest}{query}", self.host);
        let value = json!({
            "message": message,
            "url": url,
            "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
        });
        let mut answer = Answer::json(status, value);
        answer.headers.push(("location", url));
        answer
    }

    /// The pull request of the path; issues and pull requests share their numbers.
    pub fn pull<'w>(&self, world: &'w World) -> Result<(&'w Repository, &'w PullRequest), Answer> {
        let name = if self.params.contains_key("pull_number") {
            "pull_number"
        } else {
            "issue_number"
        };
        let (repository, number) = (self.repository(world)?, self.number(name)?);
        Ok((
            repository,
            repository
                .pulls
                .get(&number)
                .ok_or_else(Answer::not_found)?,
        ))
    }

    /// The repository of the path, and the number of a pull request or issue of it.
    pub fn issue<'w>(&self, world: &'w World) -> Result<(&'w Repository, u64), Answer> {
        let (repository, number) = (self.repository(world)?, self.number("issue_number")?);
        let known =
            repository.pulls.contains_key(&number) || repository.issues.contains_key(&number);
        match known {
            true => Ok((repository, number)),
            false => Err(Answer::not_found()),
        }
    }

    /// The writer of JSON.
    pub fn wire<'w>(&'w self, world: &'w World) -> Wire<'w> {
        Wire {
            world,
            base: &self.forge.base,
        }
    }

    /// The account that writes, and its App; 401 for nobody.
    pub fn writer(&self) -> Result<(Id, Option<Id>), Answer> {
        self.caller
            .writer()
            .ok_or_else(|| Answer::error(401, "Requires authentication"))
    }

    /// A string of the body.
    pub fn text(&self, name: &str) -> Option<String> {
        self.body[name].as_str().map(str::to_owned)
    }

    /// The page that was asked for, as a list.
    pub fn page<T>(&self, all: &[T], write: impl Fn(&T) -> Value) -> Answer {
        let (shown, link) = self.cut(all);
        linked(Answer::ok(shown.iter().map(write).collect()), link)
    }

    /// The page that was asked for, as a list within an object that counts all.
    pub fn counted<T>(&self, name: &str, all: &[T], write: impl Fn(&T) -> Value) -> Answer {
        let (shown, link) = self.cut(all);
        let list: Vec<Value> = shown.iter().map(write).collect();
        linked(
            Answer::ok(json!({"total_count": all.len(), name: list})),
            link,
        )
    }

    /// The entries of the page that was asked for (30 by default, 100 at most), and the `Link` header
    /// with absolute links to other pages.
    pub fn cut<'t, T>(&self, all: &'t [T]) -> (&'t [T], Option<String>) {
        let number = |name: &str| {
            self.query
                .get(name)
                .and_then(|value| value.parse::<usize>().ok())
        };
        let size = number("per_page").unwrap_or(30).clamp(1, 100);
        let page = number("page").unwrap_or(1).max(1);
        let from = (page - 1).saturating_mul(size).min(all.len());
        let shown = &all[from..(from + size).min(all.len())];
        let last = all.len().div_ceil(size).max(1);
        let mut links = Vec::new();
        let mut link = |page: usize, name: &str| {
            links.push(format!("<{}>; rel=\"{name}\"", self.page_url(page, size)))
        };
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
        (shown, (!links.is_empty()).then(|| links.join(", ")))
    }

    fn page_url(&self, page: usize, size: usize) -> String {
        let mut query: Vec<String> = Vec::new();
        for pair in self
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let name = pair.split('=').next().unwrap_or_default();
            if name != "page" && name != "per_page" {
                query.push(pair.to_owned());
            }
        }
        query.push(format!("per_page={size}&page={page}"));
        format!("{}{}?{}", self.host, self.uri.path(), query.join("&"))
    }
}

/// An answer with a `Link` header, if there is one.
pub fn linked(mut answer: Answer, link: Option<String>) -> Answer {
    answer.headers.extend(link.map(|link| ("link", link)));
    answer
}
