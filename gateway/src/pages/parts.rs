//! The builders of one build: each by its last attempt, of live objects or of the record.

use std::{collections::BTreeMap, sync::Arc};

use crds::{BuilderResult, BuilderRun, PrBuild};
use kube::ResourceExt;
use protocol::record::BuildRun;
use serde::Serialize;

use super::{
    matrix::Cell,
    state::State,
    text::Foreign,
    words::{self, Moment},
};
use crate::{cluster::phase_of, redact::redacted};

/// What a run that has no place yet waits for: the operator writes a reason when it has lasted.
const QUEUED: &str = "queued a moment ago";
/// What is said of a builder whose infrastructure failed and that is tried again.
const AGAIN: &str = "another attempt is queued";

/// One builder of a build.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Name of the Builder object.
    pub builder: String,
    /// The name that people read.
    pub name: Foreign,
    /// Where its last attempt stands.
    pub state: State,
    /// Passed, with a warning.
    pub warning: bool,
    /// Uid of the last attempt's run; absent where there is none (any more).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Number of that attempt.
    pub attempt: i64,
    /// When its steps began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Moment>,
    /// Seconds that its steps took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// A sentence: what it waits for, with its place; or what happened.
    #[serde(skip_serializing_if = "Foreign::is_empty")]
    pub reason: Foreign,
    /// Failing tests, the first ones.
    pub failures: Vec<Foreign>,
    /// How many there were, at least.
    pub failures_total: i64,
    /// Attempts before the last one, the latest first.
    pub earlier: Vec<Earlier>,
}

/// An attempt before the last one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Earlier {
    /// Its number.
    pub attempt: i64,
    /// Uid of its run.
    pub run: String,
    /// How it ended.
    pub state: State,
}

impl Part {
    /// As small as it goes.
    pub fn cell(&self) -> Cell {
        Cell {
            name: self.name.clone(),
            state: self.state,
            run: self.run.clone(),
        }
    }

    /// A builder of which no run exists: not yet, or not any more.
    fn without_run(builder: &str, result: Option<&BuilderResult>) -> Self {
        Self {
            builder: builder.to_owned(),
            name: builder.into(),
            state: result.map_or(State::Waiting, |result| result.phase.into()),
            warning: false,
            run: None,
            attempt: result.map_or(1, |result| result.attempt),
            started: None,
            seconds: None,
            reason: Foreign::default(),
            failures: Vec::new(),
            failures_total: 0,
            earlier: Vec::new(),
        }
    }

    fn of_run(run: &BuilderRun) -> Self {
        let status = run.status.clone().unwrap_or_default();
        let state = State::from(phase_of(run));
        let started = status.started_at.as_ref().map(|time| time.0);
        let finished = status.finished_at.as_ref().map(|time| time.0);
        let seconds = started.zip(finished);
        let waiting = status.waiting.map(|waiting| waiting.reason);
        let outcome = status.outcome.unwrap_or_default();
        Self {
            builder: run.spec.task.builder.clone(),
            name: run.spec.task.display_name.as_str().into(),
            state,
            warning: outcome.warning,
            run: run.uid(),
            attempt: run.spec.attempt,
            started: started.map(Moment),
            seconds: seconds.map(|(from, to)| words::seconds_between(from, to)),
            reason: match state {
                State::Waiting => waiting.unwrap_or_else(|| QUEUED.to_owned()),
                State::Starting => waiting.unwrap_or_default(),
                _ => redacted(&outcome.reason),
            }
            .into(),
            failures_total: outcome.failures_total.max(outcome.failures.len() as i64),
            failures: foreign(&outcome.failures),
            earlier: Vec::new(),
        }
    }

    /// A builder of a record.
    pub fn of_record(run: &BuildRun) -> Self {
        Self {
            builder: run.builder.clone(),
            name: run.display_name.as_str().into(),
            state: run.result.into(),
            warning: run.warning,
            run: Some(run.run.clone()).filter(|run| !run.is_empty()),
            attempt: run.attempt,
            started: None,
            seconds: run.seconds,
            reason: redacted(&run.reason).into(),
            failures: foreign(&run.failures),
            failures_total: run.failures.len() as i64,
            earlier: Vec::new(),
        }
    }
}

/// Names of tests, which may have a token in them, as a log may.
fn foreign(names: &[String]) -> Vec<Foreign> {
    names.iter().map(|name| redacted(name).into()).collect()
}

/// The builders of a live build, what needs a look first.
pub fn of_objects(build: &PrBuild, runs: &[Arc<BuilderRun>]) -> Vec<Part> {
    let results = build.status.iter().flat_map(|status| &status.results);
    let results: BTreeMap<&str, &BuilderResult> = results
        .map(|result| (result.builder.as_str(), result))
        .collect();
    let mut attempts: BTreeMap<&str, Vec<&BuilderRun>> = BTreeMap::new();
    for builder in &build.spec.request.builders {
        attempts.insert(builder, Vec::new());
    }
    for run in runs {
        let of_builder = attempts.entry(&run.spec.task.builder).or_default();
        of_builder.push(run);
    }
    let parts = attempts.into_iter().map(|(builder, mut attempts)| {
        attempts.sort_by_key(|run| std::cmp::Reverse(run.spec.attempt));
        part(builder, results.get(builder).copied(), &attempts)
    });
    ordered(parts.collect())
}

/// A builder with its attempts, the latest first. What the operator says of it counts where there is no run, and
/// where another attempt follows.
fn part(builder: &str, result: Option<&BuilderResult>, attempts: &[&BuilderRun]) -> Part {
    let Some((last, earlier)) = attempts.split_first() else {
        return Part::without_run(builder, result);
    };
    let mut part = Part::of_run(last);
    let is_tried_again = result.is_some_and(|result| !result.phase.is_terminal());
    if part.state == State::Error && is_tried_again {
        part.state = State::Waiting;
        part.reason = AGAIN.into();
    }
    let told = earlier.iter().map(|run| Earlier {
        attempt: run.spec.attempt,
        run: run.uid().unwrap_or_default(),
        state: phase_of(run).into(),
    });
    part.earlier = told.collect();
    part
}

/// What needs a look first, then by name.
pub fn ordered(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by(|a, b| (a.state, &a.name).cmp(&(b.state, &b.name)));
    parts
}
