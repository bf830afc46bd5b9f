//! `/builders/{name}`: one builder, with its last runs.

mod html;
mod model;

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use jiff::Timestamp;

use super::{Site, address, asked::Asked, builders, problem::Problem, shell::Page, site::kept};

pub use model::BuilderPage;

/// The page of one builder.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    asked: Asked,
    Path(last): Path<String>,
) -> Response {
    let now = Timestamp::now();
    let found = find(&site, asked.name(&last), now).await;
    asked.answer(found, |builder| Page {
        title: builder.display_name.0.clone(),
        state: builder.runs.first().map(|run| run.past.state),
        path: address::builder(&builder.name),
        body: html::html(builder, now),
        ..Page::default()
    })
}

/// A builder is told from its object and from its history, and from one of them where the other is missing.
async fn find(site: &Site, name: &str, now: Timestamp) -> Result<BuilderPage, Problem> {
    let object = site.cluster.builder(name);
    let (history, trouble) = match kept(site.app.records.builder(name)).await {
        Ok(history) => (history, None),
        Err(problem) if object.is_none() => return Err(problem),
        Err(problem) => (None, Some(problem.sentence())),
    };
    if object.is_none() && history.is_none() {
        return Err(site.unknown("builder"));
    }
    let row = object.as_ref().map(|builder| {
        let load = builders::load_of(builder, &site.cluster.live_runs_of(name));
        builders::row(builder, &site.cluster.workers(), load, Vec::new())
    });
    let page = model::page(name, object.as_deref(), row, &history.unwrap_or_default());
    Ok(BuilderPage {
        note: site.note(now).or(trouble),
        ..page
    })
}
