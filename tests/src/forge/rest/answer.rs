//! What is answered.

use axum::body::Bytes;
use serde_json::{Value, json};

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers beside those that every answer has.
    pub headers: Vec<(&'static str, String)>,
    kind: Option<&'static str>,
    body: Bytes,
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, value: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            kind: Some("application/json; charset=utf-8"),
            body: value.to_string().into(),
        }
    }

    /// 200 with JSON.
    pub fn ok(value: Value) -> Self {
        Self::json(200, value)
    }

    /// No body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            kind: None,
            body: Bytes::new(),
        }
    }

    /// A page for people.
    pub fn html(status: u16, page: &'static str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            kind: Some("text/html; charset=utf-8"),
            body: page.into(),
        }
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
        let errors =
            json!([{"resource": resource, "field": field, "code": "custom", "message": message}]);
        let value = json!({"message": "Validation Failed", "errors": errors, "documentation_url": "https://docs.github.com/rest", "status": "422"});
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
