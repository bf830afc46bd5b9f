//! Holding the forge, and whoever talks to it, against GitHub's published descriptions: the REST
//! description, the webhook schemas and the GraphQL schema.

mod graphql;
mod graphql_answer;
mod graphql_variables;
mod openapi;
mod published;
mod schemas;
mod trim;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use http::request::Parts;
use serde_json::Value;

use super::rest::Answer;
use schemas::Schemas;

pub use published::{Example, examples};

/// A difference from what GitHub publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What was looked at: `answer to GET /repos/octo/app`, `webhook pull_request labeled`.
    pub what: String,
    /// The difference.
    pub difference: String,
}

/// The descriptions, and the differences found so far.
pub struct Contract {
    schemas: &'static Schemas,
    found: Arc<Mutex<Vec<Violation>>>,
}

impl Contract {
    /// Reads the descriptions, once for the process; fetches them into the cache first if need be.
    ///
    /// # Panics
    /// If they cannot be had.
    pub async fn load() -> Self {
        let loaded = tokio::task::spawn_blocking(schemas::shared).await;
        match loaded {
            Ok(Ok(schemas)) => Self {
                schemas,
                found: Arc::default(),
            },
            Ok(Err(error)) => panic!("forge: cannot read GitHub's descriptions: {error}"),
            Err(error) => panic!("forge: reading GitHub's descriptions ended early: {error}"),
        }
    }

    /// What was found so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Checks the payload of a webhook.
    pub fn webhook(&self, event: &str, payload: &Value) {
        let action = payload["action"].as_str();
        let what = format!("webhook {event} {}", action.unwrap_or_default());
        let differences = self.schemas.webhook(event, action, payload);
        self.add(what.trim_end(), differences);
    }

    /// Checks a request: its path, method, query and body.
    pub fn request(&self, template: Option<&str>, request: &Parts, body: &Bytes) {
        let what = format!("request {} {}", request.method, request.uri.path());
        if template == Some("/graphql") {
            self.add(&what, graphql::differences(body));
        } else {
            self.add(
                &what,
                openapi::request(self.schemas, template, request, body),
            );
        }
    }

    /// Checks an answer: its status and body, by what was asked.
    pub fn answer(
        &self,
        template: Option<&str>,
        (request, asked): (&Parts, &Bytes),
        answer: &Answer,
    ) {
        let what = format!(
            "answer {} to {} {}",
            answer.status,
            request.method,
            request.uri.path()
        );
        if template == Some("/graphql") {
            self.add(&what, graphql_answer::differences(asked, &answer.bytes()));
        } else if let Some(template) = template {
            self.add(
                &what,
                openapi::answer(self.schemas, template, request, answer),
            );
        }
    }

    fn add(&self, what: &str, differences: Vec<String>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.extend(differences.into_iter().map(|difference| Violation {
            what: what.to_owned(),
            difference,
        }));
    }
}

/// The differences as a list for people; of many equal ones only the first few.
pub fn report(found: &[Violation]) -> String {
    const SHOWN: usize = 30;
    let mut out = format!(
        "{} differences from GitHub's published descriptions:",
        found.len()
    );
    for one in found.iter().take(SHOWN) {
        out.push_str(&format!("\n  {}: {}", one.what, one.difference));
    }
    if found.len() > SHOWN {
        out.push_str(&format!("\n  and {} more", found.len() - SHOWN));
    }
    out
}
