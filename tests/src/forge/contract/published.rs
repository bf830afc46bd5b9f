//! Where GitHub's descriptions come from: npm packages, fetched into the cache and never committed.

use std::path::PathBuf;

use serde_json::Value;

use crate::parts::{self, PartError};

/// The REST description of github.com.
pub fn openapi() -> Result<PathBuf, PartError> {
    Ok(parts::OPENAPI
        .obtain()?
        .join("generated/api.github.com.json"))
}

/// The schemas of webhook payloads.
pub fn webhooks() -> Result<PathBuf, PartError> {
    Ok(parts::WEBHOOKS.obtain()?.join("schema.json"))
}

/// The public GraphQL schema.
pub fn graphql() -> Result<PathBuf, PartError> {
    Ok(parts::GRAPHQL.obtain()?.join("schema.graphql"))
}

/// A payload that GitHub published as an example.
#[derive(Clone, Debug)]
pub struct Example {
    /// The event, for `X-GitHub-Event`.
    pub event: String,
    /// The payload.
    pub payload: Value,
}

/// Every example payload of github.com that GitHub published.
///
/// # Errors
/// When the package cannot be fetched or read.
pub fn examples() -> Result<Vec<Example>, Box<dyn std::error::Error + Send + Sync>> {
    let file = parts::WEBHOOK_EXAMPLES
        .obtain()?
        .join("api.github.com/index.json");
    let all: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let mut found = Vec::new();
    for event in all.as_array().into_iter().flatten() {
        for payload in event["examples"].as_array().into_iter().flatten() {
            let event = event["name"].as_str().unwrap_or_default().to_owned();
            found.push(Example {
                event,
                payload: payload.clone(),
            });
        }
    }
    Ok(found)
}
