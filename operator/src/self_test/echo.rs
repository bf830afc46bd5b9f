//! An echo of GitHub: one repository, one pull request, one label that was just added to it. It answers
//! what webhook and operator ask because of that, and remembers what it is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::commits::Commits;
use super::reach::{Doors, Reached};
use super::{LABEL, NUMBER};

/// `owner/name` of the repository.
pub(super) const REPOSITORY: &str = "prbuild/self-test";
/// Its number; GitHub has no repository with one as high.
pub(super) const REPOSITORY_ID: i64 = (1 << 53) - 1;
/// The number of the labelling. It is part of the build's name.
pub(super) const EVENT: i64 = 1;
/// Whoever does something here.
const PERSON: (i64, &str) = ((1 << 53) - 2, "prbuild-self-test");

/// The echo.
pub(super) struct Echo {
    commits: Commits,
    doors: Doors,
    token: String,
    began: Timestamp,
    told: Mutex<Told>,
}

/// What it was told and asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// The label came off.
    pub unlabelled: bool,
    /// A comment stands.
    pub commented: bool,
    /// Statuses of the head: state and description, oldest first.
    pub statuses: Vec<(String, String)>,
    /// At which doors the build was.
    pub reached: Reached,
    /// Requests that it has no answer to; a personal token may be refused what lists webhooks.
    pub unanswered: Vec<String>,
}

impl Echo {
    /// An echo that answers who has this token, and whose build knocks at these doors.
    pub(super) fn new(token: &str, doors: Doors) -> Arc<Self> {
        let began = Timestamp::now();
        Arc::new(Self {
            commits: Commits::make(&doors.script()),
            doors,
            token: token.to_owned(),
            // Whole seconds, as GitHub's.
            began: Timestamp::from_second(began.as_second()).unwrap_or(began),
            told: Mutex::default(),
        })
    }

    /// Where others find it.
    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.doors.allowed
    }

    /// What it was told so far.
    pub(super) fn told(&self) -> Told {
        self.held().clone()
    }

    /// The label is off from now on, whatever came of it: nobody finds it and builds again.
    pub(super) fn end(&self) {
        self.held().unlabelled = true;
    }

    /// All its addresses.
    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(respond).with_state(self.clone())
    }

    /// The door that NetworkPolicies deny to the build: it says who was there all the same.
    pub(super) fn denied_door(self: &Arc<Self>) -> Router {
        Router::new().fallback(knocked).with_state(self.clone())
    }

    /// The delivery that GitHub would send.
    pub(super) fn delivery(&self) -> Value {
        json!({
            "action": "labeled",
            "number": NUMBER,
            "label": { "name": LABEL },
            "pull_request": self.pull_request(false),
            "repository": repository(),
            "sender": person(),
        })
    }

    fn held(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pull_request(&self, unlabelled: bool) -> Value {
        let labels = match unlabelled {
            true => json!([]),
            false => json!([{ "name": LABEL }]),
        };
        json!({
            "number": NUMBER, "state": "open", "draft": false, "user": person(), "labels": labels,
            "updated_at": self.began,
            "head": { "sha": self.commits.head, "ref": "change", "repo": repository() },
            "base": { "sha": self.commits.base, "ref": "main", "repo": repository() },
        })
    }

    /// The answer to a request of the API, if there is one.
    fn answer(&self, method: &Method, path: &str, body: &Value) -> Option<Value> {
        let rest = of_repository(path)?;
        let sha = rest.strip_prefix("/statuses/");
        match (method.as_str(), rest) {
            ("GET", "") => Some(repository()),
            ("GET", "/pulls") => Some(json!([])),
            ("GET", "/pulls/1") => Some(self.pull_request(self.held().unlabelled)),
            ("GET", "/issues/1/events") => Some(self.events()),
            ("GET", "/activity") => Some(self.movements()),
            ("GET", "/issues/comments" | "/issues/1/comments" | "/pulls/1/reviews") => {
                Some(json!([]))
            }
            ("GET", rest) if rest.starts_with("/collaborators/") => Some(json!({
                "permission": "write", "role_name": "write", "user": person(),
            })),
            ("POST" | "PATCH", rest) if rest.starts_with("/issues/") => {
                self.held().commented = true;
                Some(self.comment())
            }
            ("DELETE", rest) if rest.starts_with("/issues/1/labels/") => {
                self.held().unlabelled = true;
                Some(json!([]))
            }
            ("POST", _) if sha == Some(&self.commits.head) => {
                let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
                let status = (text("state"), text("description"));
                self.held().statuses.push(status);
                Some(json!({ "id": 1 }))
            }
            _ => None,
        }
    }

    /// The answer to a request of GraphQL, by what is asked for in it.
    fn graphql(&self, body: &Value) -> Option<Value> {
        let query = body["query"].as_str()?;
        let asks = |word: &str| query.contains(word);
        if asks("mutation") {
            let (comments, unlabels) = (asks("addComment"), asks("removeLabelsFromLabelable"));
            let mut told = self.held();
            told.commented |= comments;
            told.unlabelled |= unlabels;
            let edge = json!({ "commentEdge": { "node": { "fullDatabaseId": "1" } } });
            return Some(json!({ "data": {
                "comment": comments.then_some(edge),
                "label": unlabels.then_some(json!({ "clientMutationId": null })),
            }}));
        }
        let Commits {
            base,
            head,
            merge,
            tree,
            ..
        } = &self.commits;
        let pull = if asks("potentialMergeCommit") {
            json!({
                "headRefOid": head, "baseRefName": "main", "mergeable": "MERGEABLE",
                "potentialMergeCommit": {
                    "oid": merge, "tree": { "oid": tree },
                    "parents": { "nodes": [{ "oid": base }, { "oid": head }] },
                },
            })
        } else if asks("LABELED_EVENT") {
            let labelled = json!({
                "createdAt": self.began, "actor": { "login": PERSON.1 }, "label": { "name": LABEL },
            });
            let label = json!({ "id": "L", "name": LABEL });
            let labels: Vec<Value> = match self.held().unlabelled {
                true => Vec::new(),
                false => vec![label],
            };
            json!({
                "id": "P", "labels": { "nodes": labels }, "timelineItems": { "nodes": [labelled] },
            })
        } else {
            return None;
        };
        Some(json!({ "data": { "repository": { "pullRequest": pull } } }))
    }

    fn events(&self) -> Value {
        json!([{
            "id": EVENT, "event": "labeled", "actor": person(), "created_at": self.began,
            "label": { "name": LABEL },
        }])
    }

    /// The branch was made an hour ago and stood still since.
    fn movements(&self) -> Value {
        let hour = jiff::SignedDuration::from_hours(1);
        json!([{
            "before": "0".repeat(40), "after": self.commits.head, "ref": "refs/heads/change",
            "timestamp": self.began.saturating_sub(hour).unwrap_or(self.began),
            "activity_type": "branch_creation", "actor": person(),
        }])
    }

    fn comment(&self) -> Value {
        json!({
            "id": 1, "body": "", "user": person(),
            "created_at": self.began, "updated_at": self.began,
        })
    }
}

/// Notes who knocks where nobody should come through.
async fn knocked(State(echo): State<Arc<Echo>>, uri: Uri) -> StatusCode {
    if !echo.doors.is_knock(uri.path()) {
        return StatusCode::NOT_FOUND;
    }
    echo.held().reached.denied = true;
    StatusCode::OK
}

/// Answers one request: git's to everybody, the API's to who has the token.
async fn respond(
    State(echo): State<Arc<Echo>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if echo.doors.is_knock(uri.path()) {
        echo.held().reached.allowed = true;
        return StatusCode::OK.into_response();
    }
    let git = uri.path().strip_prefix('/').unwrap_or_default();
    let git = git.strip_prefix(REPOSITORY).unwrap_or_default();
    let kind = |kind: &str| {
        [(
            "content-type",
            format!("application/x-git-upload-pack-{kind}"),
        )]
    };
    match (method.as_str(), git) {
        ("GET", ".git/info/refs") => {
            return (kind("advertisement"), echo.commits.advertisement()).into_response();
        }
        ("POST", ".git/git-upload-pack") => {
            return (kind("result"), echo.commits.upload(&body)).into_response();
        }
        _ => {}
    }
    let credential = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    if credential != Some(&format!("Bearer {}", echo.token)) {
        let no = axum::Json(json!({ "message": "Bad credentials" }));
        return (StatusCode::UNAUTHORIZED, no).into_response();
    }
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let answer = match uri.path() {
        "/graphql" => echo.graphql(&body),
        path => echo.answer(&method, path, &body),
    };
    match answer {
        Some(answer) => axum::Json(answer).into_response(),
        None => {
            let asked = format!("{method} {}", uri.path());
            echo.held().unanswered.push(asked);
            let nothing = axum::Json(json!({ "message": "Not Found" }));
            (StatusCode::NOT_FOUND, nothing).into_response()
        }
    }
}

/// What stands behind the repository, which is asked for by its name or by its number.
fn of_repository(path: &str) -> Option<&str> {
    match path.strip_prefix("/repositories/") {
        Some(by_number) => by_number.strip_prefix(&REPOSITORY_ID.to_string()),
        None => path.strip_prefix("/repos/")?.strip_prefix(REPOSITORY),
    }
}

fn person() -> Value {
    let (id, login) = PERSON;
    json!({ "id": id, "login": login, "type": "User", "permissions": { "push": true } })
}

fn repository() -> Value {
    json!({
        "id": REPOSITORY_ID, "full_name": REPOSITORY, "private": false, "archived": false,
        "default_branch": "main",
    })
}

#[cfg(test)]
#[path = "echo_tests.rs"]
mod tests;
