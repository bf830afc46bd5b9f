//! What people see: server-rendered, read-only, without cookies, and readable without JavaScript.
//!
//! Each page is made in three steps: a *model* of what is to be said, a pure function of objects and
//! records; the model as HTML, or as JSON where the address ends in `.json`; and [`shell`] around it.
//! Handlers only fetch and choose.

pub mod address;
pub mod asked;
pub mod assets;
pub mod build;
pub mod builder;
pub mod builders;
#[cfg(test)]
mod json_tests;
pub mod line;
#[cfg(test)]
mod listing_tests;
pub mod matrix;
pub mod overview;
pub mod parts;
pub mod problem;
pub mod pull;
pub mod run;
#[cfg(test)]
mod samples;
pub mod shell;
pub mod site;
pub mod state;
pub mod strip;
#[cfg(test)]
mod tests;
pub mod text;
pub mod theme;
#[cfg(test)]
mod theme_tests;
pub mod words;

use std::sync::Arc;

use axum::{
    Router,
    middleware::map_response,
    response::Response,
    routing::{MethodRouter, get},
};
use http::{HeaderName, HeaderValue, header};

use asked::Asked;
use problem::Problem;
pub use site::Site;

/// Where pages are, and what answers there; those of runs are [`run::routes`].
fn routes() -> Vec<(&'static str, MethodRouter<Arc<Site>>)> {
    vec![
        ("/", get(overview::page)),
        ("/overview.json", get(overview::page)),
        ("/r/{repository}/pull/{number}", get(pull::page)),
        ("/r/{repository}/builds/{name}", get(build::page)),
        ("/builders", get(builders::page)),
        ("/builders.json", get(builders::page)),
        ("/builders/{name}", get(builder::page)),
        ("/assets/{hash}/{file}", get(assets::asset)),
    ]
}

/// Every page.
pub fn router(site: Arc<Site>) -> Router {
    let pages = routes().into_iter();
    pages
        .fold(Router::new(), |router, (path, page)| {
            router.route(path, page)
        })
        .fallback(|asked: Asked| async move { asked.problem(&Problem::NoPage) })
        .with_state(site.clone())
        .merge(run::router(Arc::new(run::Runs::new(site))))
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
