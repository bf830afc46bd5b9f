//! A build as a line in a list: of a live object, or of its pull request's history.

use std::sync::Arc;

use crds::{BuilderRun, PrBuild, Repository};
use kube::ResourceExt;
use maud::{Markup, html};
use protocol::record::{PullBuild, PullRef};
use serde::Serialize;

use super::{
    address,
    matrix::{self, Cell, Group, Shelves},
    state::{self, State},
    text::Foreign,
    words::{self, Moment},
};
use crate::pages::parts;

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    /// Name of the Repository object.
    pub repository: String,
    /// `owner/name` on GitHub.
    pub full_name: Foreign,
    /// Number of the pull request.
    pub number: i64,
    /// Where it is on GitHub.
    pub github: String,
}

impl Pull {
    /// The pull request of a live build. `web` is where people see repositories: `https://github.com`.
    pub fn of_build(build: &PrBuild, repository: Option<&Repository>, web: &str) -> Self {
        let request = &build.spec.request;
        let status = repository.and_then(|repository| repository.status.as_ref());
        let now_called = status.and_then(|status| status.full_name.clone());
        let full_name = now_called.unwrap_or_else(|| request.repository.full_name.clone());
        Self {
            github: address::on_github("", web, &full_name, request.number),
            repository: request.repository.name.clone(),
            full_name: full_name.into(),
            number: request.number,
        }
    }

    /// The pull request of a record.
    pub fn of_record(pull: &PullRef, web: &str) -> Self {
        Self {
            github: address::on_github(&pull.url, web, &pull.full_name, pull.number),
            repository: pull.repository.clone(),
            full_name: pull.full_name.as_str().into(),
            number: pull.number,
        }
    }

    /// Where its page is here.
    pub fn address(&self) -> String {
        address::pull(&self.repository, self.number)
    }
}

/// A build as a line in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Name of the PrBuild.
    pub name: String,
    /// Its pull request.
    pub pull: Pull,
    /// Where it stands.
    pub state: State,
    /// In one line: `93 passed, 2 failed, 1 running`.
    pub summary: Foreign,
    /// Why it waits, or ended as it did, where that is not plain.
    #[serde(skip_serializing_if = "Foreign::is_empty")]
    pub reason: Foreign,
    /// What was asked for.
    pub flavour: Foreign,
    /// Login of who asked.
    pub requester: Foreign,
    /// The labelled head.
    pub head_sha: String,
    /// When it was asked for.
    pub created: Moment,
    /// When the last run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Moment>,
    /// Its builders. Empty where they are not told apart.
    pub matrix: Vec<Group>,
}

impl Line {
    /// A build that is an object.
    pub fn of_build(
        build: &PrBuild,
        runs: &[Arc<BuilderRun>],
        pull: Pull,
        shelves: &Shelves,
    ) -> Self {
        let request = &build.spec.request;
        let status = build.status.as_ref();
        let finished = status.and_then(|status| status.completed_at.as_ref());
        let parts = parts::of_objects(build, runs);
        Self {
            name: build.name_any(),
            pull,
            state: state::of_build(status),
            summary: status
                .map(|status| status.summary.clone())
                .unwrap_or_default()
                .into(),
            reason: status
                .and_then(|status| status.reason.clone())
                .unwrap_or_default()
                .into(),
            flavour: request.flavour.as_str().into(),
            requester: request.trigger.user.login.as_str().into(),
            head_sha: request.head_sha.clone(),
            created: Moment(created(build)),
            finished: finished.map(|time| Moment(time.0)),
            matrix: shelves.group(parts.iter().map(|part| part.cell()).collect()),
        }
    }

    /// A build of a pull request's history.
    pub fn of_history(build: &PullBuild, pull: Pull, shelves: &Shelves) -> Self {
        let cell = |cell: &protocol::record::Cell| Cell {
            name: cell.name.as_str().into(),
            state: cell.result.into(),
            run: Some(cell.run.clone()).filter(|run| !run.is_empty()),
        };
        Self {
            name: build.name.clone(),
            pull,
            state: build.result.into(),
            summary: build.summary.as_str().into(),
            reason: Foreign::default(),
            flavour: build.flavour.as_str().into(),
            requester: build.requester.as_str().into(),
            head_sha: build.head_sha.clone(),
            created: Moment(words::of_ms(build.created_ms)),
            finished: Some(Moment(words::of_ms(build.finished_ms))),
            matrix: shelves.group(build.cells.iter().map(cell).collect()),
        }
    }

    /// Where its page is.
    pub fn address(&self) -> String {
        address::build(&self.pull.repository, &self.name)
    }
}

/// When a build was made; long ago where its object does not say.
pub fn created(build: &PrBuild) -> jiff::Timestamp {
    build
        .creation_timestamp()
        .map_or(jiff::Timestamp::UNIX_EPOCH, |time| time.0)
}

/// Which parts of a line are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Which pull request it is of, too.
    WithPull,
    /// The list is about one pull request.
    WithoutPull,
}

/// A list of builds.
pub fn html(lines: &[Line], naming: Naming, now: jiff::Timestamp) -> Markup {
    html! {
        ul class="builds" {
            @for line in lines { li { (one(line, naming, now)) } }
        }
    }
}

fn one(line: &Line, naming: Naming, now: jiff::Timestamp) -> Markup {
    let took = line
        .finished
        .map(|finished| words::seconds_between(line.created.0, finished.0));
    html! {
        div class="entry" {
            (line.state.told())
            h3 {
                @if naming == Naming::WithPull {
                    a href=(line.pull.address()) { (line.pull.full_name) "#" (line.pull.number) }
                    " · "
                }
                a href=(line.address()) { (flavour(&line.flavour)) }
            }
            span { (line.summary) }
            (words::moment(line.created.0, now))
        }
        p class="soft" {
            "asked for by " (line.requester) " on "
            (words::sha(&line.head_sha))
            @if let Some(seconds) = took { ", took " (words::duration(seconds)) }
        }
        @if !line.reason.is_empty() { p class="soft reason" { (line.reason.sentence()) } }
        (matrix::html(&line.pull.repository, &line.matrix))
    }
}

/// What a build is called beside its pull request: what was asked for.
pub fn flavour(flavour: &Foreign) -> Markup {
    html! {
        @if flavour.0 == "default" { "build" } @else { (flavour) " build" }
    }
}
