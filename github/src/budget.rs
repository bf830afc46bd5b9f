//! What is left of GitHub's rate limits, as its answers say.

use std::sync::Mutex;
use std::time::Instant;

use http::HeaderMap;
use jiff::Timestamp;

use crate::limit::{Limit, number, reset};

/// What is left of the primary limit of one credential, by the newest answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Requests an hour. `None` before the first answer.
    pub limit: Option<i64>,
    /// Requests left until `reset`.
    pub remaining: Option<i64>,
    /// When the hour ends, by GitHub's clock.
    pub reset: Option<Timestamp>,
}

/// REST and GraphQL have separate budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Rest,
    Graphql,
}

/// The budgets of one credential.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rest: Mutex<State>,
    graphql: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    budget: Budget,
    paused: Option<(Instant, Timestamp)>,
    /// Limits without a time since the last answer that was none.
    guessed: u32,
}

impl State {
    /// The pause that holds now.
    fn held(&mut self) -> Option<Limit> {
        let (end, until) = self.paused?;
        let wait = end.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            self.paused = None;
            return None;
        }
        Some(Limit {
            until,
            wait,
            named: true,
        })
    }
}

impl Ledger {
    fn state(&self, resource: Resource) -> std::sync::MutexGuard<'_, State> {
        let mutex = match resource {
            Resource::Rest => &self.rest,
            Resource::Graphql => &self.graphql,
        };
        mutex
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn budget(&self) -> Budget {
        self.state(Resource::Rest).budget
    }

    /// Takes what an answer says about the budget.
    pub fn note(&self, resource: Resource, headers: &HeaderMap) {
        let Some(remaining) = number(headers, "x-ratelimit-remaining") else {
            return;
        };
        self.state(resource).budget = Budget {
            limit: number(headers, "x-ratelimit-limit"),
            remaining: Some(remaining),
            reset: reset(headers),
        };
    }

    /// Sends nothing more of this kind until the limit is over: calling on while limited is what
    /// gets an integration banned. Where GitHub names no time it asks for a minute, and for longer each
    /// time that this was not enough. Several requests that were under way at once meet one limit. The
    /// limit that holds now.
    pub fn pause(&self, resource: Resource, met: Limit) -> Limit {
        let mut state = self.state(resource);
        let limit = match (met.named, state.held()) {
            (true, _) => met,
            // Nothing is sent while it holds, so this was sent before.
            (false, Some(held)) => return held,
            (false, None) => {
                let longer = met.longer(state.guessed);
                state.guessed += 1;
                longer
            }
        };
        state.paused = Some((Instant::now() + limit.wait, limit.until));
        limit
    }

    /// An answer was none of a limit.
    pub fn went_well(&self, resource: Resource) {
        self.state(resource).guessed = 0;
    }

    /// The pause that holds now.
    pub fn paused(&self, resource: Resource) -> Option<Limit> {
        self.state(resource).held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{
        limit,
        tests::{at, headers},
    };

    #[test]
    fn a_pause_of_one_budget_is_not_one_of_the_other() {
        let ledger = Ledger::default();
        let met = limit(429, &headers(&[("retry-after", "60")]), "", at(0)).expect("a limit");
        ledger.pause(Resource::Graphql, met);
        assert!(ledger.paused(Resource::Graphql).is_some());
        assert!(ledger.paused(Resource::Rest).is_none());
    }

    #[test]
    fn a_limit_without_a_time_is_waited_out_longer_each_time_until_an_answer_is_none() {
        let ledger = Ledger::default();
        let met = || limit(403, &headers(&[]), "secondary rate limit", at(0)).expect("a limit");
        let waits = [60, 120, 240, 480, 900, 900];
        for seconds in waits {
            let holds = ledger.pause(Resource::Rest, met());
            assert_eq!(
                (holds.wait.as_secs(), holds.until),
                (seconds, at(seconds as i64))
            );
            assert!(ledger.paused(Resource::Rest).is_some());
            // It is over.
            ledger.state(Resource::Rest).paused = None;
        }
        ledger.went_well(Resource::Rest);
        assert_eq!(ledger.pause(Resource::Rest, met()).wait.as_secs(), 60);
    }

    #[test]
    fn requests_that_were_under_way_at_once_meet_one_limit() {
        let ledger = Ledger::default();
        let met = || limit(403, &headers(&[]), "secondary rate limit", at(0)).expect("a limit");
        let first = ledger.pause(Resource::Rest, met());
        for _ in 0..5 {
            let same = ledger.pause(Resource::Rest, met());
            assert!(same.wait <= first.wait, "{same:?}");
            assert_eq!(same.until, first.until);
        }
        ledger.state(Resource::Rest).paused = None;
        let second = ledger.pause(Resource::Rest, met());
        assert_eq!(second.wait, first.wait * 2);
    }

    #[test]
    fn the_budget_is_what_the_newest_answer_says() {
        let ledger = Ledger::default();
        assert_eq!(ledger.budget(), Budget::default());
        ledger.note(
            Resource::Rest,
            &headers(&[
                ("x-ratelimit-limit", "5000"),
                ("x-ratelimit-remaining", "4321"),
                ("x-ratelimit-reset", "1700000000"),
            ]),
        );
        assert_eq!(ledger.budget().remaining, Some(4321));
        assert_eq!(ledger.budget().reset, Some(at(1_700_000_000)));
    }
}
