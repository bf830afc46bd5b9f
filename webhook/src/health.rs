//! The inner port: `/healthz`, `/readyz`, `/metrics`. Never where strangers reach it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use service::Standing;

use crate::metrics::Metrics;

/// What the inner port tells.
pub struct Health {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// What it waits for before it takes deliveries.
    pub standing: Arc<Standing>,
}

impl Health {
    /// Answers one request.
    pub fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return said(StatusCode::METHOD_NOT_ALLOWED, "");
        }
        match request.uri().path() {
            "/healthz" => said(StatusCode::OK, "ok"),
            "/readyz" => match self.standing.problem() {
                None => said(StatusCode::OK, "ok"),
                Some(problem) => said(StatusCode::SERVICE_UNAVAILABLE, problem),
            },
            "/metrics" => Response::new(Full::from(self.metrics.text())),
            _ => said(StatusCode::NOT_FOUND, ""),
        }
    }
}

fn said(status: StatusCode, words: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(words.into()));
    *response.status_mut() = status;
    response
}
