//! The inner port: `/healthz`, `/readyz`, `/metrics`. Never where strangers reach it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::metrics::Metrics;
use crate::server::Answer;

/// What the inner port tells.
pub struct Health {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The watches have their first list.
    pub ready: AtomicBool,
}

impl Health {
    /// Answers one request.
    pub fn respond(&self, request: &Request<Incoming>) -> Answer {
        if request.method() != Method::GET {
            return said(StatusCode::METHOD_NOT_ALLOWED, "");
        }
        match request.uri().path() {
            "/healthz" => said(StatusCode::OK, "ok"),
            "/readyz" if self.ready.load(Ordering::Acquire) => said(StatusCode::OK, "ok"),
            "/readyz" => said(
                StatusCode::SERVICE_UNAVAILABLE,
                "waiting for the first lists",
            ),
            "/metrics" => Response::new(Full::from(self.metrics.text())),
            _ => said(StatusCode::NOT_FOUND, ""),
        }
    }
}

fn said(status: StatusCode, words: &'static str) -> Answer {
    let mut response = Response::new(Full::from(words));
    *response.status_mut() = status;
    response
}
