//! One delivery from verified to stored, and the sweep's share of the same path.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::{AnswerReason, Repository};
use github::Connections;

use crate::all_checks::all_checks;
use crate::builds::Builds;
use crate::cache::{Cache, Known};
use crate::done::{Deed, Done};
use crate::event::{self, Button, Event, What};
use crate::gate::{Comment, Gate, Refused, Stopping, Verdict};
use crate::metrics::Metrics;
use crate::request::Request;
use crate::signature::Verified;
use crate::submit::{Stored, Submit, SubmitError};

/// Time for a delivery, from its last byte to the answer. GitHub gives up after 10 s.
pub const LIMIT: Duration = Duration::from_secs(8);

/// Everything that a decision needs.
pub struct App {
    /// The mounted connections.
    pub connections: Arc<Connections>,
    /// The watched objects.
    pub cache: Cache,
    /// The gate.
    pub gate: Gate,
    /// Where objects are stored.
    pub submit: Submit,
    /// The builds that exist.
    pub builds: Builds,
    /// What was done.
    pub done: Arc<Done>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
}

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A PrBuild or an Answer stands for it.
    Stored(&'static str),
    /// Nothing is to be done.
    Ignored(&'static str),
    /// It is not signed by the connection of its repository.
    Foreign,
    /// It cannot be decided or stored now; the sweep, or GitHub, brings it back.
    Later(&'static str),
    /// Something else stands under its name.
    Taken,
}

/// A build stood for it before.
pub const BUILT_BEFORE: Outcome = Outcome::Stored("build_again");
/// A refusal did.
pub const REFUSED_BEFORE: Outcome = Outcome::Stored("refused_again");

impl Outcome {
    /// Of several, the one that says most: nothing is hidden by something that went well.
    fn and(self, other: Self) -> Self {
        let weight = |outcome: &Self| match outcome {
            Self::Ignored(_) => 0,
            Self::Stored(_) => 1,
            Self::Taken => 2,
            Self::Foreign => 3,
            Self::Later(_) => 4,
        };
        match weight(&other) > weight(&self) {
            true => other,
            false => self,
        }
    }

    /// Whether an object stands for the event.
    fn stands(self) -> bool {
        matches!(self, Self::Stored(_))
    }

    /// A word for metrics and log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stored(word) | Self::Ignored(word) | Self::Later(word) => word,
            Self::Foreign => "foreign",
            Self::Taken => "taken",
        }
    }
}

/// What cannot be told now.
const UNDECIDED: Outcome = Outcome::Later("undecided");

/// What the log says of a decision beside its outcome.
#[derive(Default)]
struct Line {
    /// The commit that it is about, where that is known.
    head_sha: Option<String>,
    /// The build that stands for it.
    build: Option<String>,
    /// The answer that stands for it.
    answer: Option<String>,
    /// Why nothing is built.
    reason: Option<String>,
}

impl Line {
    /// Notes why something was refused. Returns the name of the answer.
    fn refused(&mut self, refused: &Refused) -> String {
        self.reason = Some(format!("{:?}", refused.reason()));
        refused.name().to_owned()
    }
}

impl App {
    /// Decides a verified delivery, in [`LIMIT`] at most.
    pub async fn deliver(&self, verified: &Verified) -> Outcome {
        match self.read(verified) {
            Ok(event) => self.act(verified, &event, Instant::now() + LIMIT).await,
            Err(outcome) => outcome,
        }
    }

    /// What a verified delivery tells, or what comes of one that tells nothing. Takes no time.
    ///
    /// # Errors
    /// Nothing is to be done about it.
    pub fn read(&self, verified: &Verified) -> Result<Event, Outcome> {
        if let Some(secret) = verified.secret() {
            self.metrics.secret(secret);
        }
        event::read(verified).map_err(|ignored| Outcome::Ignored(ignored.word()))
    }

    /// Decides what a verified delivery tells, until `deadline` at most.
    pub async fn act(&self, verified: &Verified, event: &Event, deadline: Instant) -> Outcome {
        let by = |connection: &str| verified.is_by(connection);
        let repository = match self.cache.find(event.repository, &event.full_name, by) {
            Known::Ready(repository) => repository,
            Known::NotReady => return Outcome::Later("not_ready"),
            Known::Unknown => {
                let known = self
                    .cache
                    .find(event.repository, &event.full_name, |_| true);
                return match known {
                    Known::Unknown => Outcome::Ignored("unknown_repository"),
                    _ => Outcome::Foreign,
                };
            }
        };
        if let What::Changed(changed) = &event.what {
            let stopping = self.stop_as_told(&repository, event, changed, deadline);
            return tokio::time::timeout_at(deadline.into(), stopping)
                .await
                .unwrap_or(Outcome::Later("timeout"));
        }
        let start = Instant::now();
        let deciding = self.answer(verified, event, &repository, deadline);
        let outcome = tokio::time::timeout_at(deadline.into(), deciding).await;
        self.metrics.gate(start.elapsed());
        outcome.unwrap_or_else(|_| {
            tracing::warn!(
                delivery = verified.id(),
                repository = event.repository,
                pull_request = event.number,
                "no decision in time"
            );
            Outcome::Later("timeout")
        })
    }

    /// Decides all that a delivery asks, one after the other: a comment may say `cancel` and then
    /// `run`. What cannot be decided now keeps the rest waiting.
    async fn answer(
        &self,
        verified: &Verified,
        event: &Event,
        repository: &Arc<Repository>,
        deadline: Instant,
    ) -> Outcome {
        let requests = match self.requests(verified, event, repository).await {
            Ok(requests) => requests,
            Err(outcome) => return outcome,
        };
        let mut whole = Outcome::Ignored("not_asked");
        let mut comment = Comment::default();
        for request in &requests {
            let outcome = self.decide(request, &mut comment, deadline).await;
            if matches!(outcome, Outcome::Later(_)) {
                return outcome;
            }
            whole = whole.and(outcome);
        }
        whole
    }

    /// What a delivery asks.
    async fn requests(
        &self,
        verified: &Verified,
        event: &Event,
        repository: &Arc<Repository>,
    ) -> Result<Vec<Request>, Outcome> {
        let What::Pressed(pressed) = &event.what else {
            return Ok(Request::of_delivery(verified, event, repository));
        };
        let connection = self.connections.get(&repository.spec.connection);
        let app = connection.and_then(|connection| connection.app_id());
        if app != Some(pressed.app) {
            return Err(Outcome::Ignored("another_app"));
        }
        if pressed.button != Button::RerunAll {
            return Ok(Request::of_delivery(verified, event, repository));
        }
        let builds = self.builds.of_head(event.repository, &pressed.head_sha);
        let builds = builds.await.map_err(|error| {
            tracing::warn!(%error, "the builds of a commit are not to be had");
            Outcome::Later("no_builds")
        })?;
        let builds = all_checks(&builds, pressed.changed_at);
        if builds.is_empty() {
            return Err(Outcome::Ignored("no_build"));
        }
        let asked = builds.into_iter();
        let asked = asked.map(|build| Request::of_all(verified, event, pressed, repository, build));
        Ok(asked.collect())
    }

    /// Decides a request and stores what came of it. `comment` is handed from one command of a comment
    /// to the next.
    pub async fn decide(
        &self,
        request: &Request,
        comment: &mut Comment,
        deadline: Instant,
    ) -> Outcome {
        let spec = &request.repository.spec;
        let Some(connection) = self.connections.get(&spec.connection) else {
            return Outcome::Later("no_connection");
        };
        let full_name = request.full_name();
        let (owner, name) = full_name
            .split_once('/')
            .unwrap_or((&spec.owner, &spec.name));
        let repo = connection.repo(owner, name);
        let builders = self.cache.builders();
        let started = Instant::now();
        let deciding = self
            .gate
            .decide(request, &builders, &repo, comment, deadline);
        let verdict = deciding.await;
        let judged = started.elapsed();
        let mut line = Line {
            head_sha: request.head_sha().map(str::to_owned),
            ..Line::default()
        };
        let outcome = self.carry_out(verdict, &mut line).await;
        if outcome == UNDECIDED {
            tracing::warn!(
                delivery = request.delivery(),
                repository = request.repository_id,
                pull_request = request.number,
                reason = line.reason,
                "cannot decide now"
            );
        }
        tracing::info!(
            delivery = request.delivery(),
            repository = request.repository_id,
            pull_request = request.number,
            head_sha = line.head_sha,
            build = line.build,
            answer = line.answer,
            decision = outcome.word(),
            reason = line.reason,
            swept = request.told.is_none(),
            gate_ms = milliseconds(judged),
            store_ms = milliseconds(started.elapsed().saturating_sub(judged)),
            "decided"
        );
        outcome
    }

    /// Does what the gate decided, and notes what the log says of it.
    async fn carry_out(&self, verdict: Verdict, line: &mut Line) -> Outcome {
        match verdict {
            Verdict::Authorized(authorized) => {
                let (new, before) = (Outcome::Stored("build"), BUILT_BEFORE);
                let name = authorized.name().to_owned();
                line.head_sha = Some(authorized.head_sha().to_owned());
                let outcome = self.stored(self.submit.build(*authorized).await, new, before);
                line.build = outcome.stands().then_some(name);
                outcome
            }
            Verdict::Refused(refused) => {
                let name = line.refused(&refused);
                let outcome = self.refused(*refused).await;
                line.answer = outcome.stands().then_some(name);
                outcome
            }
            Verdict::Stop(stopping) => {
                let name = line.refused(stopping.answer());
                let outcome = self.stop(*stopping).await;
                line.answer = outcome.stands().then_some(name);
                outcome
            }
            Verdict::Nothing(word) => Outcome::Ignored(word),
            Verdict::Retry(why) => {
                line.reason = Some(why);
                UNDECIDED
            }
        }
    }

    /// Whether an event was answered, also where somebody deleted the answer.
    pub(crate) fn is_answered(&self, name: &str) -> bool {
        self.cache.is_answered(name) || self.done.knows(Deed::Answered(name))
    }

    /// A Repository on GitHub, if its connection is there. GitHub's own spelling of its name, so that
    /// it is found under its new one.
    pub(crate) fn repo(&self, repository: &crds::Repository) -> Option<github::Repo> {
        let spec = &repository.spec;
        let connection = self.connections.get(&spec.connection)?;
        let known = repository.status.as_ref();
        let known = known.and_then(|status| status.full_name.as_deref()?.split_once('/'));
        let (owner, name) = known.unwrap_or((&spec.owner, &spec.name));
        Some(connection.repo(owner, name))
    }

    /// Stops builds, and stores the answer when that is done: as long as it is not there, the event is
    /// looked at again.
    async fn stop(&self, stopping: Stopping) -> Outcome {
        let (targets, cancel, answer) = stopping.into_parts();
        for (build, builders) in targets {
            let stopped = match builders.is_empty() {
                true => self.builds.cancel(&build, &cancel).await,
                false => {
                    self.builds
                        .cancel_builders(&build, &builders, &cancel)
                        .await
                }
            };
            if let Err(error) = stopped {
                tracing::warn!(%error, build, "cannot be stopped now");
                return Outcome::Later("not_stopped");
            }
        }
        self.refused(answer).await
    }

    async fn refused(&self, refused: Refused) -> Outcome {
        let reason = refused.reason();
        let (new, before) = (Outcome::Stored("refused"), REFUSED_BEFORE);
        let outcome = self.stored(self.submit.answer(refused).await, new, before);
        if outcome == new {
            self.metrics.refusal(reason);
            if reason == AnswerReason::ActorMismatch {
                tracing::error!(
                    "a signed delivery names another person than GitHub: the webhook secret may be known to others; rotate it"
                );
            }
        }
        outcome
    }

    fn stored(
        &self,
        result: Result<Stored, SubmitError>,
        new: Outcome,
        before: Outcome,
    ) -> Outcome {
        match result {
            Ok(Stored::New) => new,
            Ok(Stored::Before) => before,
            Ok(Stored::Deleted) => Outcome::Ignored("deleted"),
            Err(error @ SubmitError::Taken { .. }) => {
                tracing::error!(%error, "not stored");
                self.metrics.alert("name_taken");
                Outcome::Taken
            }
            Err(error) => {
                tracing::warn!(%error, "not stored");
                Outcome::Later("not_stored")
            }
        }
    }
}

/// For the log: to the hundredth.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}
