//! Holding the forge, and whoever talks to it, against GitHub's published descriptions.

use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use http::request::Parts;
use serde_json::Value;

use super::rest::Answer;

/// A difference from what GitHub publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What was looked at.
    pub what: String,
    /// The difference.
    pub difference: String,
}

/// The descriptions, and the differences found so far.
pub struct Contract {
    found: Mutex<Vec<Violation>>,
}

impl Contract {
    pub async fn load() -> Self {
        Self { found: Mutex::default() }
    }

    pub fn violations(&self) -> Vec<Violation> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn webhook(&self, _event: &str, _payload: &Value) {}

    pub fn exchange(&self, _template: Option<&str>, _request: &Parts, _body: &Bytes, _answer: &Answer) {}
}

/// The differences as a list for people.
pub fn report(found: &[Violation]) -> String {
    let lines = found.iter().map(|one| format!("\n  {}: {}", one.what, one.difference));
    format!("{} differences from GitHub's descriptions:{}", found.len(), lines.collect::<String>())
}
