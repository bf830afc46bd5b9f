//! `/`: what runs, what waits and why, and what ended last.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use crds::BuilderRun;
use jiff::Timestamp;
use kube::ResourceExt;
use maud::{Markup, html};
use serde::Serialize;

use super::{
    Site, address,
    asked::Asked,
    line::{self, Line, Naming},
    shell::Page,
    state::State as Stands,
    text::Foreign,
    words::{self, Moment},
};
use crate::cluster::phase_of;

/// Builds that go on, as far as the page shows them.
const MOST_LIVE: usize = 30;
/// Entries of what waits.
const MOST_WAITING: usize = 60;
/// Builds that ended.
const MOST_ENDED: usize = 20;
/// Seconds after which the page is looked at again.
const AGAIN: u32 = 5;

/// What there is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Why it may be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Builds that go on, newest first.
    pub builds: Vec<Line>,
    /// How many more there are.
    pub more_builds: usize,
    /// What waits, and why; what waits longest comes first.
    pub waiting: Vec<Waits>,
    /// How many more entries there are.
    pub more_waiting: usize,
    /// Builds that ended, those asked for last first.
    pub ended: Vec<Line>,
}

/// Builders of one build that wait for the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waits {
    /// Name of the Repository object.
    pub repository: String,
    /// Number of the pull request.
    pub number: i64,
    /// Name of the build.
    pub build: String,
    /// How many builders wait for it.
    pub builders: usize,
    /// The first of them, by the name that people read.
    pub builder: Foreign,
    /// Its run.
    pub run: String,
    /// What they wait for: `3 ahead on s390x Debian`.
    pub reason: Foreign,
    /// Since when.
    pub since: Moment,
}

/// The first page.
pub(super) async fn page(State(site): State<Arc<Site>>, asked: Asked) -> Response {
    let now = Timestamp::now();
    let found = Ok(find(&site, now));
    asked.answer(found, |overview| Page {
        title: title(overview),
        state: overview.builds.first().map(|_| Stands::Running),
        again: Some(AGAIN),
        body: body(overview, now),
        ..Page::default()
    })
}

fn find(site: &Site, now: Timestamp) -> Overview {
    let shelves = site.shelves();
    let lines = |builds: Vec<Arc<crds::PrBuild>>| -> Vec<Line> {
        builds
            .iter()
            .map(|build| site.line_of(build, &shelves))
            .collect()
    };
    let mut waiting = waits(&site.cluster.live_runs());
    let more_waiting = waiting.len().saturating_sub(MOST_WAITING);
    waiting.truncate(MOST_WAITING);
    let builds = lines(site.cluster.live_builds(MOST_LIVE));
    let mut ended = lines(site.cluster.ended_builds(MOST_ENDED));
    for line in &mut ended {
        // Its own page tells them apart.
        line.matrix = Vec::new();
    }
    Overview {
        note: site.note(now),
        more_builds: site
            .cluster
            .count_live_builds()
            .saturating_sub(builds.len()),
        builds,
        waiting,
        more_waiting,
        ended,
    }
}

/// What waits: builders of a build that wait for the same are one entry.
fn waits(runs: &[Arc<BuilderRun>]) -> Vec<Waits> {
    let mut entries: BTreeMap<(String, String), Waits> = BTreeMap::new();
    for run in runs {
        let status = run.status.as_ref();
        let Some(waiting) = status.and_then(|status| status.waiting.as_ref()) else {
            continue;
        };
        if phase_of(run).is_terminal() {
            continue;
        }
        let key = (run.spec.pr_build.name.clone(), waiting.reason.clone());
        let since = Moment(waiting.since.0);
        let entry = entries
            .entry(key)
            .and_modify(|entry| entry.builders += 1)
            .or_insert_with(|| Waits {
                repository: run.spec.task.repository.clone(),
                number: run.spec.task.source.pull_request,
                build: run.spec.pr_build.name.clone(),
                builders: 1,
                builder: run.spec.task.display_name.as_str().into(),
                run: run.uid().unwrap_or_default(),
                reason: waiting.reason.as_str().into(),
                since,
            });
        entry.since = entry.since.min(since);
    }
    let mut entries: Vec<Waits> = entries.into_values().collect();
    entries.sort_by(|a, b| (a.since, &a.build, &a.builder).cmp(&(b.since, &b.build, &b.builder)));
    entries
}

fn title(overview: &Overview) -> String {
    match overview.builds.len() + overview.more_builds {
        0 => "Nothing runs".to_owned(),
        live => format!("{} under way", words::count(live, "build")),
    }
}

fn body(overview: &Overview, now: Timestamp) -> Markup {
    html! {
        h1 { (title(overview)) }
        @if let Some(note) = &overview.note { p class="note" { (note) } }
        @if overview.builds.is_empty() && overview.note.is_none() {
            p class="soft" { "A build begins when somebody who may adds a label to a pull request." }
        }
        @if !overview.builds.is_empty() { h2 class="unseen" { "Under way" } }
        (line::html(&overview.builds, Naming::WithPull, now))
        (more(overview.more_builds))
        @if !overview.waiting.is_empty() {
            h2 { "Waiting" }
            (waiting(&overview.waiting, now))
            (more(overview.more_waiting))
        }
        @if !overview.ended.is_empty() {
            h2 { "Last builds" }
            (line::html(&overview.ended, Naming::WithPull, now))
        }
    }
}

fn waiting(entries: &[Waits], now: Timestamp) -> Markup {
    html! {
        table class="rows" {
            thead {
                tr {
                    th scope="col" { "Builder" }
                    th scope="col" { "Waits" }
                    th scope="col" { "Build" }
                    th scope="col" { "Since" }
                }
            }
            tbody {
                @for entry in entries {
                    tr {
                        td {
                            @if entry.builders == 1 {
                                a href=(address::run(&entry.repository, &entry.run)) { (entry.builder) }
                            } @else {
                                (words::count(entry.builders, "builder"))
                            }
                        }
                        td class="wide reason" { (entry.reason.sentence()) }
                        td {
                            a href=(address::build(&entry.repository, &entry.build)) { "#" (entry.number) }
                        }
                        td { (words::moment(entry.since.0, now)) }
                    }
                }
            }
        }
    }
}

/// What a page says of what it does not show.
pub(super) fn more(rest: usize) -> Markup {
    html! { @if rest > 0 { p class="more" { "… and " (rest) " more" } } }
}
