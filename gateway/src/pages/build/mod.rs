//! `/r/{repo}/builds/{name}`: one build, live or kept.

mod html;
mod model;

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use jiff::Timestamp;

use super::{Site, asked::Asked, problem::Problem, shell::Page, site::kept, state::of_build};

pub use model::Build;

/// Seconds after which a build that goes on is looked at again.
const AGAIN: u32 = 5;

/// The page of one build.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    asked: Asked,
    Path((repository, last)): Path<(String, String)>,
) -> Response {
    let found = find(&site, &repository, asked.name(&last)).await;
    asked.answer(found, |build| {
        let line = &build.line;
        Page {
            title: build.title().0,
            state: Some(line.state),
            path: line.address(),
            again: (!line.state.is_over()).then_some(AGAIN),
            body: html::html(build, Timestamp::now()),
            ..Page::default()
        }
    })
}

/// A build is told from its objects while it goes on, then from its record. Where that is missing, objects
/// that still exist say what they can.
async fn find(site: &Site, repository: &str, name: &str) -> Result<Build, Problem> {
    let object = site.cluster.build(name);
    let object = object.filter(|build| build.spec.request.repository.name == repository);
    let shelves = site.shelves();
    let is_over = object
        .as_ref()
        .is_none_or(|build| of_build(build.status.as_ref()).is_over());
    if is_over {
        match kept(site.app.records.build(repository, name)).await {
            Ok(Some(record)) => return Ok(model::of_record(&record, &site.web, &shelves)),
            Err(problem) if object.is_none() => return Err(problem),
            Ok(None) | Err(_) => {}
        }
    }
    let build = object.ok_or_else(|| site.unknown("build"))?;
    let runs = site.runs_of(&build);
    let pull = site.pull_of(&build);
    let found = model::of_objects(&build, &runs, pull, &shelves);
    let note = site.note(Timestamp::now());
    Ok(Build {
        note: note.filter(|_| !is_over),
        ..found
    })
}
