//! The inner port: is it alive, is it ready, and its metrics.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use service::Standing;

use crate::metrics::Metrics;

/// What the inner port answers from.
pub struct Health {
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// What it waits for before it serves. A store that is down is no reason not to: what is in memory is
    /// shown, and senders keep what is not stored.
    pub standing: Arc<Standing>,
}

impl Health {
    /// Answers `/healthz`, `/readyz` and `/metrics`.
    pub fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let (status, text) = match request.uri().path() {
            "/healthz" => (StatusCode::OK, "ok".to_owned()),
            "/readyz" => match self.standing.problem() {
                None => (StatusCode::OK, "ok".to_owned()),
                Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem),
            },
            "/metrics" => (StatusCode::OK, self.metrics.text()),
            _ => (StatusCode::NOT_FOUND, "not found".to_owned()),
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        response
    }
}
