//! What people see: server-rendered, read-only, without cookies, and readable without JavaScript.
//!
//! Each page is made in three steps: a *model* of what is to be said, a pure function of objects and
//! records; the model as HTML, or as JSON where the address ends in `.json`; and [`shell`] around it.
//! Handlers only fetch and choose.

pub mod asked;
pub mod assets;
pub mod line;
pub mod matrix;
pub mod parts;
pub mod problem;
pub mod shell;
pub mod state;
pub mod text;
pub mod theme;
pub mod words;

use std::sync::Arc;

use axum::{Router, middleware::map_response, response::Response, routing::get};
use http::{HeaderName, HeaderValue, header};

use crate::{app::App, cluster::Cluster};
use asked::Asked;
use problem::Problem;

/// What pages are made from.
pub struct Site {
    /// Logs and records.
    pub app: Arc<App>,
    /// What is in the cluster now.
    pub cluster: Arc<Cluster>,
    /// Where people see repositories: `https://github.com`.
    pub web: String,
}

impl Site {
    /// What is kept for how long, as a sentence: a page that is not there says it.
    pub fn keeps(&self) -> String {
        let days = words::count(self.app.retention_days as usize, "day");
        format!("Logs and results are kept for {days} after the end of a run.")
    }
}

/// Every page.
pub fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/assets/{hash}/{file}", get(assets::asset))
        .fallback(|asked: Asked| async move { asked.problem(&Problem::NoPage) })
        .with_state(site)
        .layer(map_response(secured))
}

/// What a page may do: show itself. Everything comes from here, nobody frames it, nothing is sent.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Puts the security headers on every answer. Who may keep it, an answer says itself, else it is asked for
/// again each time.
async fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.extend(HEADERS);
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    response
}
