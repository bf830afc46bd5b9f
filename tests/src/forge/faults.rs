//! What goes wrong when a story asks for it: answers to requests, and deliveries of webhooks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::log::fits;

/// How an answer goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The answer is right and late.
    Latency(Duration),
    /// An error with GitHub's usual body, and nothing done: 401, 403, 404, 500, 502, ….
    Status(u16),
    /// A secondary rate limit: 403 or 429, with or without `Retry-After` in seconds.
    RateLimited {
        /// 403 or 429.
        status: u16,
        /// `Retry-After`; none leaves the header out.
        retry_after: Option<u64>,
    },
    /// The request is done and the connection closed in the middle of the answer.
    Cut,
    /// A page for people, as load balancers send it, and nothing done.
    Html(u16),
    /// The request is done and its JSON ends too early, in a complete answer.
    Malformed,
    /// The request is done, the answer is an error all the same.
    AnswerLost(u16),
    /// An answer of the story's own making, and nothing done.
    Answer(u16, Value),
}

/// How a delivery goes wrong.
#[derive(Clone, Debug)]
pub enum DeliveryFault {
    /// Never arrives, and stands on record as failed.
    Lost,
    /// Never arrives, and GitHub does not know of it: there is nothing to ask for again.
    NeverMade,
    /// Arrives after this time.
    Late(Duration),
    /// Waits until [`Faults::release_deliveries`].
    Held,
    /// Arrives so many times more, all at once and with the same GUID.
    Duplicated(u32),
}

/// A fault that was switched on.
#[derive(Debug)]
struct Armed<P, F> {
    id: u64,
    pattern: P,
    fault: F,
    left: Option<u32>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    answers: Vec<Armed<String, Fault>>,
    deliveries: Vec<Armed<Option<String>, DeliveryFault>>,
    mutations: Vec<Armed<String, &'static str>>,
}

/// The switches. Cloned handles share them.
#[derive(Clone, Debug)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    released: tokio::sync::watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            released: tokio::sync::watch::Sender::new(0),
        }
    }
}

/// A switch that is on, to turn it off again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

impl Faults {
    /// Every request that fits the pattern goes wrong until [`Faults::off`]. The pattern is as in
    /// [`super::RequestLog::matching`], or `mutation addComment` for GraphQL; with several that fit, the oldest acts, latency besides.
    pub fn on(&self, pattern: &str, fault: Fault) -> FaultId {
        self.arm(pattern, fault, None)
    }

    /// As [`Faults::on`], for the next so many requests that fit.
    pub fn next(&self, times: u32, pattern: &str, fault: Fault) -> FaultId {
        self.arm(pattern, fault, Some(times))
    }

    fn arm(&self, pattern: &str, fault: Fault, left: Option<u32>) -> FaultId {
        let mut state = self.lock();
        state.next += 1;
        let id = state.next;
        state.answers.push(Armed {
            id,
            pattern: pattern.to_owned(),
            fault,
            left,
        });
        FaultId(id)
    }

    /// The next so many deliveries go wrong; of one event such as `pull_request`, or of any.
    pub fn deliveries(&self, times: u32, event: Option<&str>, fault: DeliveryFault) -> FaultId {
        let mut state = self.lock();
        state.next += 1;
        let id = state.next;
        let armed = Armed {
            id,
            pattern: event.map(str::to_owned),
            fault,
            left: Some(times),
        };
        state.deliveries.push(armed);
        FaultId(id)
    }

    /// The next so many mutations of this name (`addComment`) fail with this type of error
    /// (`FORBIDDEN`, `UNPROCESSABLE`, `SERVICE_UNAVAILABLE`, …), and nothing is done; others of the same
    /// request are done all the same.
    pub fn mutations(&self, times: u32, name: &str, kind: &'static str) -> FaultId {
        let mut state = self.lock();
        state.next += 1;
        let id = state.next;
        let armed = Armed {
            id,
            pattern: name.to_owned(),
            fault: kind,
            left: Some(times),
        };
        state.mutations.push(armed);
        FaultId(id)
    }

    /// GitHub is down until [`Faults::clear`]: every request gets a page for people, git's too, and what
    /// is delivered meanwhile fails and stands on record so.
    pub fn outage(&self) {
        self.on("* /**", Fault::Html(503));
        self.deliveries(u32::MAX, None, DeliveryFault::Lost);
    }

    /// Turns one switch off.
    pub fn off(&self, id: FaultId) {
        let mut state = self.lock();
        state.answers.retain(|armed| armed.id != id.0);
        state.deliveries.retain(|armed| armed.id != id.0);
        state.mutations.retain(|armed| armed.id != id.0);
    }

    /// Turns everything off.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.answers.clear();
        state.deliveries.clear();
        state.mutations.clear();
    }

    /// Lets go of every delivery that is held.
    pub fn release_deliveries(&self) {
        self.released.send_modify(|generation| *generation += 1);
    }

    /// Resolves when [`Faults::release_deliveries`] is called after this call.
    pub(super) fn released(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut receiver = self.released.subscribe();
        async move {
            // An error means that the forge is gone, and with it the delivery.
            let _ = receiver.changed().await;
        }
    }

    /// What happens to this request: a delay, and at most one fault.
    pub(super) fn take(
        &self,
        method: &str,
        path: &str,
        mutations: &[String],
    ) -> (Duration, Option<Fault>) {
        let mut state = self.lock();
        let (mut delay, mut found) = (Duration::ZERO, None);
        for armed in &mut state.answers {
            let mutation = armed.pattern.strip_prefix("mutation ");
            let fits = match mutation {
                Some(name) => mutations.iter().any(|one| one == name),
                None => fits(&armed.pattern, method, path),
            };
            if armed.left == Some(0) || !fits {
                continue;
            }
            match &armed.fault {
                Fault::Latency(by) => delay += *by,
                fault if found.is_none() => found = Some(fault.clone()),
                _ => continue,
            }
            armed.left = armed.left.map(|left| left - 1);
        }
        state.answers.retain(|armed| armed.left != Some(0));
        (delay, found)
    }

    /// What happens to this delivery.
    pub(super) fn take_delivery(&self, event: &str) -> Option<DeliveryFault> {
        let mut state = self.lock();
        let fitting = |armed: &Armed<Option<String>, _>| {
            armed
                .pattern
                .as_deref()
                .is_none_or(|wanted| wanted == event)
        };
        let index = state.deliveries.iter().position(fitting)?;
        let armed = &mut state.deliveries[index];
        let fault = armed.fault.clone();
        armed.left = armed.left.map(|left| left.saturating_sub(1));
        if armed.left == Some(0) {
            state.deliveries.remove(index);
        }
        Some(fault)
    }

    /// The type of error with which this mutation fails.
    pub(super) fn take_mutation(&self, name: &str) -> Option<&'static str> {
        let mut state = self.lock();
        let armed = state.mutations.iter_mut();
        let armed = armed
            .filter(|armed| armed.left != Some(0))
            .find(|armed| armed.pattern == name)?;
        armed.left = armed.left.map(|left| left - 1);
        Some(armed.fault)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
