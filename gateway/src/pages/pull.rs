//! `/r/{repo}/pull/{number}`: the builds of a pull request, newest first.

use std::{collections::HashSet, sync::Arc};

use axum::{
    extract::{Path, State},
    response::Response,
};
use jiff::Timestamp;
use maud::{Markup, html};
use protocol::record::PullHistory;
use serde::Serialize;

use super::{
    Site,
    asked::Asked,
    line::{self, Line, Naming, Pull},
    matrix::Shelves,
    problem::Problem,
    shell::Page,
    site::kept,
};
use crate::names;

/// Builds that the page shows.
const MOST_BUILDS: usize = 50;
/// Builds that it shows with their builders; of older ones it shows the sum.
const MOST_MATRICES: usize = 10;
/// Seconds after which a page with builds that go on is looked at again.
const AGAIN: u32 = 5;

/// The builds of a pull request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PullPage {
    /// The pull request.
    pub pull: Pull,
    /// Its builds, newest first.
    pub builds: Vec<Line>,
    /// Why builds may be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The page of a pull request.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    asked: Asked,
    Path((repository, last)): Path<(String, String)>,
) -> Response {
    let now = Timestamp::now();
    let found = find(&site, &repository, asked.name(&last), now).await;
    asked.answer(found, |page| Page {
        title: format!("#{} {}", page.pull.number, page.pull.full_name.0),
        state: page.builds.first().map(|build| build.state),
        path: page.pull.address(),
        again: page
            .builds
            .iter()
            .any(|build| !build.state.is_over())
            .then_some(AGAIN),
        body: body(page, now),
        ..Page::default()
    })
}

async fn find(
    site: &Site,
    repository: &str,
    number: &str,
    now: Timestamp,
) -> Result<PullPage, Problem> {
    let number = Some(number).filter(|number| names::is_number(number));
    let number = number.and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| site.unknown("pull request"))?;
    let shelves = site.shelves();
    let objects = site.cluster.builds_of_pull(repository, number);
    let live: Vec<Line> = objects
        .iter()
        .map(|build| site.line_of(build, &shelves))
        .collect();
    let (history, store) = match kept(site.app.records.pull(repository, number)).await {
        Ok(history) => (history.unwrap_or_default(), None),
        Err(problem) if live.is_empty() => return Err(problem),
        Err(problem) => (PullHistory::default(), Some(problem.sentence())),
    };
    let builds = merged(live, &history, &site.web, &shelves);
    let newest = builds.first().ok_or_else(|| site.unknown("pull request"))?;
    Ok(PullPage {
        pull: newest.pull.clone(),
        builds,
        note: site.note(now).or(store),
    })
}

/// Live builds and those of the history, each once, newest first. What goes on is told from its object; what
/// has ended, from the history, which keeps its builders longer.
fn merged(live: Vec<Line>, history: &PullHistory, web: &str, shelves: &Shelves) -> Vec<Line> {
    let goes_on: HashSet<String> = live
        .iter()
        .filter(|line| !line.state.is_over())
        .map(|line| line.name.clone())
        .collect();
    let pull = || {
        live.first().map_or_else(
            || Pull::of_record(&history.pull, web),
            |line| line.pull.clone(),
        )
    };
    let kept = history
        .builds
        .iter()
        .filter(|build| !goes_on.contains(&build.name))
        .map(|build| Line::of_history(build, pull(), shelves));
    let mut builds: Vec<Line> = kept.collect();
    let told: HashSet<String> = builds.iter().map(|line| line.name.clone()).collect();
    builds.extend(live.into_iter().filter(|line| !told.contains(&line.name)));
    builds.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
    builds.truncate(MOST_BUILDS);
    for old in builds.iter_mut().skip(MOST_MATRICES) {
        old.matrix = Vec::new();
    }
    builds
}

fn body(page: &PullPage, now: Timestamp) -> Markup {
    html! {
        p class="up" { a href=(page.pull.github) { "on GitHub" } }
        h1 { (page.pull.full_name) "#" (page.pull.number) }
        @if let Some(note) = &page.note { p class="note" { (note) } }
        h2 { "Builds" }
        (line::html(&page.builds, Naming::WithoutPull, now))
    }
}
