//! What is known of a run, whether it lives as an object or is a record.

use crds::{BuilderRun, RunPhase};
use jiff::Timestamp;
use kube::ResourceExt;
use protocol::{
    StepReport,
    log::LogDigest,
    record::{BuilderHistory, PullRef, RunRecord},
};
use serde::Serialize;

use crate::{
    cluster::phase_of,
    pages::{line::Pull, state::State, text::Foreign, words},
    redact::redacted,
};

/// What a run waits for of which nothing was said yet: the operator says it when it has lasted.
const QUEUED: &str = "queued a moment ago";

/// Seconds after the end of a run in which the end of its log may be on its way.
const LATELY: f64 = 150.0;

/// What is known of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Name of the BuilderRun.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Name of the PrBuild.
    pub build: String,
    /// The pull request.
    pub pull: Pull,
    /// Name of the Builder.
    pub builder: String,
    /// The builder's name that people read.
    pub display_name: Foreign,
    /// Number of the attempt, from 1.
    pub attempt: i64,
    /// Where it stands.
    pub state: State,
    /// Passed with a warning.
    pub warning: bool,
    /// Login of who asked.
    pub requester: Foreign,
    /// The commit that is built.
    pub commit: String,
    /// Its parents: base and head, where it is a test merge.
    pub parents: Vec<String>,
    /// Its tree, as the checkout found it.
    pub tree: Option<String>,
    /// The labelled head.
    pub head_sha: String,
    /// The base branch.
    pub base_ref: Foreign,
    /// The image that it runs in.
    pub image: Option<Foreign>,
    /// That image by its digest.
    pub image_digest: Option<Foreign>,
    /// Name of the Worker that it runs on.
    pub worker: Option<Foreign>,
    /// What that worker signed of its log.
    #[serde(skip)]
    pub signed_logs: Vec<LogDigest>,
    /// A sentence: why it waits, or what happened.
    pub reason: Foreign,
    /// Exit code of the step that decided.
    pub exit_code: Option<i32>,
    /// Failing tests, the first ones.
    pub failures: Vec<Failure>,
    /// How many there were.
    pub failures_total: i64,
    /// When it was queued, in milliseconds since 1970.
    pub queued_ms: i64,
    /// When its steps began.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// Seconds that this builder usually takes when it passes.
    pub expected_seconds: Option<f64>,
    /// Another attempt follows this one.
    pub followed: bool,
    /// Uid of the run of another build whose outcome this one took over.
    pub same_as: Option<String>,
    /// What its steps reported at the end.
    pub reported: Vec<StepReport>,
}

/// A failing test.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Its name.
    pub name: Foreign,
    /// In how many of the builder's last runs on other pull requests it failed, too, and of how many.
    pub also_failed: Option<(usize, usize)>,
}

impl Facts {
    /// A run that is an object. `web` is where people see repositories.
    pub fn of_run(run: &BuilderRun, web: &str) -> Self {
        let task = &run.spec.task;
        let source = &task.source;
        let status = run.status.clone().unwrap_or_default();
        let state = State::from(phase_of(run));
        let outcome = status.outcome.unwrap_or_default();
        let reason = match (state, status.waiting) {
            (State::Waiting | State::Starting, Some(waiting)) => waiting.reason,
            (State::Waiting, None) => QUEUED.to_owned(),
            _ => outcome.reason,
        };
        let pull = PullRef {
            repository: task.repository.clone(),
            full_name: source.repository.clone(),
            url: format!("{web}/{}", source.repository),
            number: source.pull_request,
        };
        Self {
            name: run.name_any(),
            uid: run.uid().unwrap_or_default(),
            build: run.spec.pr_build.name.clone(),
            pull: Pull::of_record(&pull, web),
            builder: task.builder.clone(),
            display_name: task.display_name.as_str().into(),
            attempt: run.spec.attempt,
            state,
            warning: outcome.warning,
            requester: task.requester.as_str().into(),
            commit: source.commit.clone(),
            parents: source.parents.clone(),
            tree: outcome.tree,
            head_sha: source.head_sha.clone(),
            base_ref: source.base_ref.as_str().into(),
            image: task
                .kubernetes
                .as_ref()
                .map(|kubernetes| kubernetes.image.as_str().into()),
            image_digest: outcome.image_digest.map(Foreign),
            worker: status.worker.map(Foreign),
            signed_logs: outcome.logs,
            reason: redacted(&reason).into(),
            exit_code: outcome.exit_code,
            failures_total: outcome.failures_total.max(outcome.failures.len() as i64),
            failures: failures(&outcome.failures),
            queued_ms: run
                .creation_timestamp()
                .map_or(0, |time| time.0.as_millisecond()),
            started_ms: status.started_at.map(|time| time.0.as_millisecond()),
            finished_ms: status.finished_at.map(|time| time.0.as_millisecond()),
            expected_seconds: None,
            followed: false,
            same_as: None,
            reported: steps(outcome.steps),
        }
    }

    /// A run that was recorded.
    pub fn of_record(record: RunRecord, web: &str) -> Self {
        Self {
            pull: Pull::of_record(&record.pull, web),
            display_name: record.display_name.into(),
            state: record.result.into(),
            requester: record.requester.into(),
            base_ref: record.base_ref.into(),
            image: record.image.map(Foreign),
            image_digest: record.image_digest.map(Foreign),
            worker: record.worker.map(Foreign),
            signed_logs: record.signed_logs,
            reason: redacted(&record.reason).into(),
            failures: failures(&record.failures),
            failures_total: record.failures_total.max(record.failures.len() as i64),
            name: record.name,
            uid: record.uid,
            build: record.build,
            builder: record.builder,
            attempt: record.attempt,
            warning: record.warning,
            commit: record.commit,
            parents: record.parents,
            tree: record.tree,
            head_sha: record.head_sha,
            exit_code: record.exit_code,
            queued_ms: record.queued_ms,
            started_ms: record.started_ms,
            finished_ms: Some(record.finished_ms),
            expected_seconds: None,
            followed: record.followed,
            same_as: record.same_as,
            reported: steps(record.steps),
        }
    }

    /// Adds what the builder's history says: what to expect, and which tests fail elsewhere, too.
    pub fn with_history(mut self, history: &BuilderHistory) -> Self {
        self.expected_seconds = history.expected_seconds();
        let (repository, number) = (&self.pull.repository, self.pull.number);
        let ended = self.finished_ms.unwrap_or(i64::MAX);
        for failure in &mut self.failures {
            let also = history.also_failed(&failure.name.0, repository, number, ended);
            failure.also_failed = also.map(|also| (also.failed, also.of));
        }
        self
    }

    /// Where it stands and why, in a line.
    pub fn told(&self) -> String {
        format!("{}: {}", self.state.word(), self.reason.shown())
    }

    /// Whether nothing more happens.
    pub fn is_over(&self) -> bool {
        self.state.is_over() && self.state != State::Unknown
    }

    /// Whether it ended so lately that its log may still be on its way: a sidecar has 100 seconds.
    pub fn ended_lately(&self, now: Timestamp) -> bool {
        let ended = self.finished_ms.map(words::of_ms);
        ended.is_some_and(|ended| words::seconds_between(ended, now) < LATELY)
    }

    /// Seconds from when it was asked for until its steps began, or it ended without.
    pub fn waited(&self, now: Timestamp) -> f64 {
        let until = self.started_ms.or(self.finished_ms);
        words::seconds_between(
            words::of_ms(self.queued_ms),
            until.map_or(now, words::of_ms),
        )
    }

    /// Seconds that its steps took so far.
    pub fn ran(&self, now: Timestamp) -> Option<f64> {
        let until = self.finished_ms.map_or(now, words::of_ms);
        Some(words::seconds_between(
            words::of_ms(self.started_ms?),
            until,
        ))
    }
}

/// Whether a run that is an object tells more than its record: until it has ended.
pub fn is_live(run: &BuilderRun) -> bool {
    let phase = phase_of(run);
    !phase.is_terminal() && phase != RunPhase::Unknown
}

/// What a build called its tests and steps may have a token in it, as its log may.
fn steps(mut reports: Vec<StepReport>) -> Vec<StepReport> {
    for report in &mut reports {
        report.name = redacted(&report.name);
    }
    reports
}

fn failures(names: &[String]) -> Vec<Failure> {
    let failure = |name: &String| Failure {
        name: redacted(name).into(),
        also_failed: None,
    };
    names.iter().map(failure).collect()
}
