//! One delivery from verified to stored, and the sweep's share of the same path.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::AnswerReason;
use github::Connections;

use crate::cache::{Cache, Known};
use crate::event;
use crate::gate::{Gate, Verdict};
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

impl Outcome {
    /// A word for metrics and log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stored(word) | Self::Ignored(word) | Self::Later(word) => word,
            Self::Foreign => "foreign",
            Self::Taken => "taken",
        }
    }
}

impl App {
    /// Decides a verified delivery, in [`LIMIT`] at most.
    pub async fn deliver(&self, verified: &Verified) -> Outcome {
        self.metrics.secret(verified.secret());
        let event = match event::read(verified) {
            Ok(event) => event,
            Err(ignored) => return Outcome::Ignored(ignored.word()),
        };
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
        let Some(request) = Request::of_delivery(verified, &event, &repository) else {
            return Outcome::Ignored("not_asked");
        };
        let start = Instant::now();
        let outcome = tokio::time::timeout(LIMIT, self.decide(&request, start + LIMIT)).await;
        self.metrics.gate(start.elapsed());
        outcome.unwrap_or_else(|_| {
            tracing::warn!(
                delivery = verified.id(),
                repository = request.repository_id,
                pull_request = request.number,
                "no decision in time"
            );
            Outcome::Later("timeout")
        })
    }

    /// Decides a request and stores what came of it.
    pub async fn decide(&self, request: &Request, deadline: Instant) -> Outcome {
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
        let verdict = self.gate.decide(request, &builders, &repo, deadline).await;
        let judged = started.elapsed();
        let outcome = match verdict {
            Verdict::Authorized(authorized) => {
                self.stored(self.submit.build(*authorized).await, "build", "build_again")
            }
            Verdict::Refused(refused) => self.refused(*refused).await,
            Verdict::Nothing(word) => Outcome::Ignored(word),
            Verdict::Retry(why) => {
                tracing::warn!(
                    repository = request.repository_id,
                    pull_request = request.number,
                    why,
                    "cannot decide now"
                );
                Outcome::Later("undecided")
            }
        };
        tracing::info!(
            repository = request.repository_id,
            pull_request = request.number,
            decision = outcome.word(),
            swept = request.told.is_none(),
            gate_ms = milliseconds(judged),
            store_ms = milliseconds(started.elapsed().saturating_sub(judged)),
            "decided"
        );
        outcome
    }

    async fn refused(&self, refused: crate::gate::Refused) -> Outcome {
        let reason = refused.reason();
        let outcome = self.stored(
            self.submit.answer(refused).await,
            "refused",
            "refused_again",
        );
        if outcome == Outcome::Stored("refused") {
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
        new: &'static str,
        before: &'static str,
    ) -> Outcome {
        match result {
            Ok(Stored::New) => Outcome::Stored(new),
            Ok(Stored::Before) => Outcome::Stored(before),
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
