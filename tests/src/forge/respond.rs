//! Answers as HTTP: GitHub's headers, its refusals when somebody asks too much, and answers that a
//! fault spoils.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::clock::http_date;
use super::faults::Fault;
use super::limits::Budget;
use super::rest::Answer;

/// The hour's budget is used up. GraphQL says so with status 200, in its own kind of error.
pub fn exhausted(resource: &str) -> Answer {
    let message = "API rate limit exceeded for this caller. See https://docs.github.com/rest/overview/rate-limits-for-the-rest-api";
    match resource {
        "graphql" => Answer::ok(json!({"errors": [{"type": "RATE_LIMITED", "message": message}]})),
        _ => Answer::error(403, message),
    }
}

pub fn too_fast(status: u16, retry_after: Option<u64>) -> Answer {
    let message =
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    let mut answer = Answer::error(status, message);
    if let Some(seconds) = retry_after {
        answer.headers.push(("retry-after", seconds.to_string()));
    }
    answer
}

/// The answer of a fault that does nothing of what was asked.
pub fn instead(fault: &Fault) -> Option<Answer> {
    match fault {
        Fault::Status(status) => Some(Answer::error(*status, message(*status))),
        Fault::RateLimited {
            status,
            retry_after,
        } => Some(too_fast(*status, *retry_after)),
        Fault::Html(status) => Some(Answer::html(
            *status,
            "<!DOCTYPE html><title>Unicorn!</title><p>No server is currently available.",
        )),
        Fault::Answer(status, value) => Some(Answer::json(*status, value.clone())),
        Fault::Latency(_) | Fault::Cut | Fault::Malformed | Fault::AnswerLost(_) => None,
    }
}

fn message(status: u16) -> &'static str {
    match status {
        401 => "Bad credentials",
        403 => "Resource not accessible by integration",
        404 => "Not Found",
        422 => "Validation Failed",
        _ => "Server Error",
    }
}

/// Spoils an answer after the work was done.
pub async fn spoil(response: Response, fault: Option<Fault>, now: jiff::Timestamp) -> Response {
    match fault {
        Some(Fault::AnswerLost(status)) => finish(
            Answer::error(status, "Server Error").into_response(),
            None,
            now,
        ),
        Some(Fault::Cut) => {
            let (mut parts, body) = response.into_parts();
            let whole = axum::body::to_bytes(body, usize::MAX)
                .await
                .unwrap_or_default();
            parts
                .headers
                .insert("content-length", HeaderValue::from(whole.len().max(2)));
            let half = whole.slice(..whole.len() / 2);
            let cut =
                futures::stream::iter([Ok(half), Err(std::io::Error::other("cut by a fault"))]);
            Response::from_parts(parts, Body::from_stream(cut))
        }
        Some(Fault::Malformed) => {
            let (mut parts, body) = response.into_parts();
            let whole = axum::body::to_bytes(body, usize::MAX)
                .await
                .unwrap_or_default();
            parts.headers.remove("content-length");
            Response::from_parts(parts, Body::from(whole.slice(..whole.len() / 2)))
        }
        _ => response,
    }
}

/// GitHub's headers.
pub fn finish(mut response: Response, budget: Option<Budget>, now: jiff::Timestamp) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let request = NEXT.fetch_add(1, Ordering::Relaxed);
    let headers = response.headers_mut();
    set(headers, "date", http_date(now));
    set(headers, "server", "github.com".to_owned());
    set(
        headers,
        "x-github-media-type",
        "github.v3; format=json".to_owned(),
    );
    set(headers, "x-github-request-id", format!("F0RE:{request:X}"));
    if let Some(budget) = budget.filter(|budget| budget.told) {
        set(headers, "x-ratelimit-limit", budget.limit.to_string());
        set(headers, "x-ratelimit-used", budget.used.to_string());
        set(
            headers,
            "x-ratelimit-remaining",
            budget.limit.saturating_sub(budget.used).to_string(),
        );
        set(headers, "x-ratelimit-reset", budget.reset.to_string());
        set(headers, "x-ratelimit-resource", budget.resource.to_owned());
    }
    response
}

fn set(headers: &mut HeaderMap, name: &'static str, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

impl Answer {
    /// As an HTTP response.
    pub fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(Body::from(self.bytes()));
        *response.status_mut() = status;
        if let Some(kind) = self.content_type() {
            response
                .headers_mut()
                .insert("content-type", HeaderValue::from_static(kind));
        }
        for (name, value) in self.headers {
            set(response.headers_mut(), name, value);
        }
        response
    }
}
