//! GitHub's rate limits: the hourly budget of each caller, and the secondary limits when switched on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// What the budget headers of an answer say.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// What it is for: `core` or `graphql`.
    pub resource: &'static str,
    /// Requests an hour.
    pub limit: u32,
    /// Requests so far.
    pub used: u32,
    /// When a new hour begins, in seconds since 1970.
    pub reset: i64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Charge {
    /// It may go on.
    Paid(Budget),
    /// The hour's budget is used up.
    Exhausted(Budget),
    /// Too many writes in a minute: a secondary limit.
    TooFast(Budget),
}

#[derive(Debug, Default)]
struct State {
    core: Option<u32>,
    writes_per_minute: Option<usize>,
    windows: HashMap<(String, &'static str), (u32, Timestamp)>,
    writes: HashMap<String, VecDeque<Timestamp>>,
}

/// The switches and counters. Cloned handles share them.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    state: Arc<Mutex<State>>,
}

/// What the headers say when no limit is set; then a new window begins when half of it is used, so that
/// nobody becomes careful.
const UNLIMITED: u32 = 15_000;

impl Limits {
    /// Enforces an hourly budget for every caller and each resource (REST, GraphQL), or no more.
    pub fn set_hourly(&self, limit: Option<u32>) {
        let mut state = self.lock();
        state.core = limit;
        state.windows.clear();
    }

    /// Refuses a caller's writes beyond so many in a minute (GitHub: about 80), or no more.
    pub fn set_writes_per_minute(&self, limit: Option<usize>) {
        let mut state = self.lock();
        state.writes_per_minute = limit;
        state.writes.clear();
    }

    pub(super) fn charge(
        &self,
        caller: &str,
        resource: &'static str,
        write: bool,
        now: Timestamp,
    ) -> Charge {
        let mut state = self.lock();
        let (enforced, writes_limit) = (state.core, state.writes_per_minute);
        let limit = enforced.unwrap_or(UNLIMITED);
        let hour = SignedDuration::from_hours(1);
        let window = state
            .windows
            .entry((caller.to_owned(), resource))
            .or_insert((0, now + hour));
        if now >= window.1 || (enforced.is_none() && window.0 >= limit / 2) {
            *window = (0, now + hour);
        }
        let reset = window.1.as_second();
        if window.0 >= limit {
            return Charge::Exhausted(Budget {
                resource,
                limit,
                used: limit,
                reset,
            });
        }
        window.0 += 1;
        let budget = Budget {
            resource,
            limit,
            used: window.0,
            reset,
        };
        if let (true, Some(most)) = (write, writes_limit) {
            let writes = state.writes.entry(caller.to_owned()).or_default();
            let minute_ago = now - SignedDuration::from_mins(1);
            while writes.front().is_some_and(|time| *time <= minute_ago) {
                writes.pop_front();
            }
            if writes.len() >= most {
                return Charge::TooFast(budget);
            }
            writes.push_back(now);
        }
        Charge::Paid(budget)
    }

    /// What is left of a budget, without using it.
    pub(super) fn look(&self, caller: &str, resource: &'static str, now: Timestamp) -> Budget {
        let state = self.lock();
        let limit = state.core.unwrap_or(UNLIMITED);
        let hour = SignedDuration::from_hours(1);
        let window = state
            .windows
            .get(&(caller.to_owned(), resource))
            .filter(|window| now < window.1);
        let (used, end) = window.copied().unwrap_or((0, now + hour));
        Budget {
            resource,
            limit,
            used,
            reset: end.as_second(),
        }
    }

    /// Gives a request back: a conditional request that was answered 304 costs nothing.
    pub(super) fn refund(&self, caller: &str, resource: &'static str) {
        if let Some(window) = self.lock().windows.get_mut(&(caller.to_owned(), resource)) {
            window.0 = window.0.saturating_sub(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
