//! The page of a run: what happened, and the log, as it is written and ever after.
//!
//! ```text
//! bytes ─ split ─▶ RawLine ─ ansi, command, html ─▶ Piece (line) ─┬─ window ─▶ steps ─▶ page
//! marks ─ marks ─▶ Section, times ────────────────────────────────┴─ render ─▶ hub ─▶ who watches
//! ```
//! What a log says is hostile: it becomes HTML in [`html`] and [`markdown`] only. All of that is pure;
//! [`extent`], [`choice`], [`window`], [`search`] read the log, [`reports`] says which summaries a page has,
//! [`shelf`] keeps marks that were read, [`fetch`] puts the page together, [`hub`] follows.

pub mod ansi;
pub mod choice;
pub mod command;
pub mod extent;
pub mod facts;
pub mod fetch;
#[cfg(test)]
mod held_tests;
pub mod html;
pub mod hub;
#[cfg(test)]
mod limits_tests;
pub mod line;
pub mod markdown;
pub mod marks;
pub mod model;
pub mod page;
pub mod plain;
#[cfg(test)]
mod plain_tests;
pub mod render;
pub mod reports;
pub mod scan;
pub mod search;
pub mod shelf;
pub mod signed;
pub mod split;
pub mod steps;
pub mod streams;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
pub mod window;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Response},
    routing::{MethodRouter, get},
};
use futures::stream;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::Deserialize;

use super::{
    asked::{Asked, no_text},
    problem::Problem,
};
use crate::names::RunKey;
pub use fetch::Runs;

/// Where the pages of runs are, and what belongs to them; and what answers there.
pub(super) fn routes() -> Vec<(&'static str, MethodRouter<Arc<Runs>>)> {
    vec![
        ("/r/{repository}/runs/{run}", get(page_or_text)),
        ("/r/{repository}/runs/{run}/lines", get(lines)),
        ("/r/{repository}/runs/{run}/live", get(live)),
        ("/r/{repository}/runs/{run}/state", get(state)),
    ]
}

/// The pages of runs, and what belongs to them.
pub fn router(runs: Arc<Runs>) -> Router {
    let routes = routes().into_iter();
    routes
        .fold(Router::new(), |router, (path, page)| {
            router.route(path, page)
        })
        .with_state(runs)
}

/// What of a log is asked for. Lines are counted from 1, as the page does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// Lines of this step, the last ones.
    step: Option<String>,
    /// Lines from this one on. For events: the offset in the log.
    from: Option<String>,
    /// The step that this line is in, from a few lines before it on.
    line: Option<String>,
    /// Lines before this one, the last ones.
    before: Option<String>,
    /// The summary of this step, however long it is.
    summary: Option<String>,
    /// Lines with these words.
    q: Option<String>,
}

impl Wish {
    /// What an address asks for; nonsense asks for nothing.
    fn of(uri: &Uri) -> Self {
        Query::try_from_uri(uri)
            .map(|Query(wish)| wish)
            .unwrap_or_default()
    }

    /// Words that are searched for.
    fn words(&self) -> Option<&str> {
        self.q
            .as_deref()
            .map(str::trim)
            .filter(|words| !words.is_empty())
    }
}

fn number(text: Option<&String>) -> Option<u64> {
    text?.parse().ok()
}

async fn page_or_text(
    State(runs): State<Arc<Runs>>,
    asked: Asked,
    Path((repository, last)): Path<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(name) = last.strip_suffix(".txt") else {
        return match RunKey::new(&repository, asked.name(&last)) {
            Some(key) => asked.answer(runs.model(&key, &Wish::of(&uri)).await, page::page),
            None => asked.problem(&runs.unknown()),
        };
    };
    let found = match RunKey::new(&repository, name) {
        Some(key) => runs.text(&key).await.map(|log| (key, log)),
        None => Err(runs.unknown()),
    };
    match found {
        Ok((key, log)) => plain::answer(log, key.run(), &method, &headers),
        Err(problem) => no_text(&problem),
    }
}

/// Lines, or a summary, as HTML, to be put into a page.
async fn lines(
    State(runs): State<Arc<Runs>>,
    asked: Asked,
    Path((repository, run)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let Some(key) = RunKey::new(&repository, &run) else {
        return asked.problem(&runs.unknown());
    };
    match runs.lines(&key, &Wish::of(&uri)).await {
        Ok(Some(markup)) => Html(markup.into_string()).into_response(),
        Ok(None) => asked.problem(&runs.unknown()),
        Err(error) => asked.problem(&Problem::of_store(&error)),
    }
}

/// Where the run stands, in a line: a page that is open asks for it often, and for more when it changes.
async fn state(
    State(runs): State<Arc<Runs>>,
    asked: Asked,
    Path((repository, run)): Path<(String, String)>,
) -> Response {
    let Some(key) = RunKey::new(&repository, &run) else {
        return asked.problem(&runs.unknown());
    };
    match runs.known(&key).await {
        Ok(Some(facts)) => runs.held(&key).told(&facts).into_response(),
        Ok(None) => asked.problem(&runs.unknown()),
        Err(problem) => asked.problem(&problem),
    }
}

/// What comes, as server-sent events.
async fn live(
    State(runs): State<Arc<Runs>>,
    asked: Asked,
    Path((repository, run)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    let from = last.or(number(Wish::of(&uri).from.as_ref())).unwrap_or(0);
    let Some(key) = RunKey::new(&repository, &run) else {
        return asked.problem(&runs.unknown());
    };
    let viewer = match runs.watch(&key, from).await {
        Ok(Some(viewer)) => viewer,
        Ok(None) => return asked.problem(&runs.unknown()),
        Err(fetch::WatchError::Full) => {
            let again = [(header::RETRY_AFTER, "10")];
            let why =
                "Too many people watch logs now. The page shows what there is; load it again.";
            return (StatusCode::SERVICE_UNAVAILABLE, again, why).into_response();
        }
        Err(fetch::WatchError::Store(error)) => return asked.problem(&Problem::of_store(&error)),
    };
    let events = stream::unfold(viewer, |mut viewer| async move {
        let bytes = viewer.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), viewer))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // A proxy that collects what it passes on would make of a live log one of yesterday.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(events)).into_response()
}
