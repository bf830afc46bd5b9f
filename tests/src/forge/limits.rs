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
    /// Whether answers say so.
    pub told: bool,
}

/// What a request uses of the limits.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The hourly budget that it is taken from: `core` or `graphql`.
    pub resource: &'static str,
    /// Points of the secondary limit: 1 to read, 5 to write; a GraphQL request with mutations is 5.
    pub points: u32,
    /// Whether it writes by REST.
    pub write: bool,
    /// What it makes that people are told of: comments.
    pub content: usize,
    /// The names of its mutations.
    pub mutations: Vec<String>,
}

impl Cost {
    /// What a request to this route costs.
    pub fn of(template: Option<&str>, method: &http::Method, body: &[u8]) -> Self {
        let reads = matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS");
        if template == Some("/graphql") {
            let mutations = super::graphql::mutations(body);
            let comments = mutations.iter().filter(|name| *name == "addComment");
            return Self {
                resource: "graphql",
                points: if mutations.is_empty() { 1 } else { 5 },
                write: false,
                content: comments.count(),
                mutations,
            };
        }
        let comments = template.is_some_and(|template| template.ends_with("}/comments"));
        Self {
            resource: "core",
            points: if reads { 1 } else { 5 },
            write: !reads,
            content: usize::from(!reads && comments),
            mutations: Vec::new(),
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Charge {
    /// It may go on.
    Paid(Budget),
    /// The hour's budget is used up.
    Exhausted(Budget),
    /// Too much in a minute: a secondary limit, and after how many seconds it is worth another try.
    TooFast(Budget, u64),
}

/// What was used lately, oldest first.
type Lately = VecDeque<(Timestamp, usize)>;

#[derive(Debug, Default)]
struct State {
    core: Option<u32>,
    writes_per_minute: Option<usize>,
    secondary: bool,
    off: bool,
    windows: HashMap<(String, &'static str), (u32, Timestamp)>,
    lately: HashMap<(String, &'static str), Lately>,
}

/// The switches and counters. Cloned handles share them.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    state: Arc<Mutex<State>>,
}

/// What the headers say when no limit is set; then a new window begins when half of it is used, so that
/// nobody becomes careful.
const UNLIMITED: u32 = 15_000;
/// GitHub's secondary limits: points a minute by REST and by GraphQL, comments a minute and an hour.
const REST_POINTS: usize = 900;
const GRAPHQL_POINTS: usize = 2000;
const CONTENT: usize = 80;
const CONTENT_AN_HOUR: usize = 500;

impl Limits {
    /// Enforces an hourly budget for every caller and each resource (REST, GraphQL), or no more.
    pub fn set_hourly(&self, limit: Option<u32>) {
        let mut state = self.lock();
        state.core = limit;
        state.windows.clear();
    }

    /// Refuses a caller's writes by REST beyond so many in a minute, or no more.
    pub fn set_writes_per_minute(&self, limit: Option<usize>) {
        let mut state = self.lock();
        state.writes_per_minute = limit;
        state.lately.clear();
    }

    /// Enforces the secondary limits that GitHub documents: 900 points a minute by REST, 2,000 by
    /// GraphQL, 80 comments a minute and 500 an hour. `Retry-After` says when there is room again.
    pub fn enforce_secondary(&self, on: bool) {
        let mut state = self.lock();
        state.secondary = on;
        state.lately.clear();
    }

    /// No limits at all, and answers name none: as on an Enterprise Server, by default. For load that
    /// GitHub itself would refuse.
    pub fn turn_off(&self) {
        self.lock().off = true;
    }

    pub(super) fn charge(&self, caller: &str, cost: &Cost, now: Timestamp) -> Charge {
        let mut state = self.lock();
        let (enforced, resource) = (state.core, cost.resource);
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
                told: true,
            });
        }
        window.0 += 1;
        let budget = Budget {
            resource,
            limit,
            used: window.0,
            reset,
            told: !state.off,
        };
        match state.secondary(caller, cost, now) {
            Some(wait) => Charge::TooFast(budget, wait),
            None => Charge::Paid(budget),
        }
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
            told: !state.off,
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

impl State {
    /// Takes from the secondary limits, or says after how many seconds there is room.
    fn secondary(&mut self, caller: &str, cost: &Cost, now: Timestamp) -> Option<u64> {
        let minute = SignedDuration::from_mins(1);
        let hour = SignedDuration::from_hours(1);
        let mut limits = Vec::new();
        if let (true, Some(most)) = (cost.write, self.writes_per_minute) {
            limits.push(("writes", 1, most, minute));
        }
        if self.secondary {
            let points = usize::try_from(cost.points).unwrap_or(usize::MAX);
            limits.push(match cost.resource {
                "graphql" => ("graphql points", points, GRAPHQL_POINTS, minute),
                _ => ("points", points, REST_POINTS, minute),
            });
            if cost.content > 0 {
                limits.push(("content", cost.content, CONTENT, minute));
                limits.push(("content an hour", cost.content, CONTENT_AN_HOUR, hour));
            }
        }
        // All have room, or nothing is taken.
        for &(name, amount, most, period) in &limits {
            let lately = self.lately.entry((caller.to_owned(), name)).or_default();
            while lately.front().is_some_and(|(at, _)| *at + period <= now) {
                lately.pop_front();
            }
            let used: usize = lately.iter().map(|(_, amount)| amount).sum();
            if let (true, Some((oldest, _))) = (used + amount > most, lately.front()) {
                // In whole seconds, and not too early.
                let wait = (*oldest + period).duration_since(now).as_millis();
                let wait = u64::try_from(wait).unwrap_or_default();
                return Some(wait.div_ceil(1000).max(1));
            }
        }
        for (name, amount, ..) in limits {
            let lately = self.lately.entry((caller.to_owned(), name)).or_default();
            lately.push_back((now, amount));
        }
        None
    }
}
