//! What is left of GitHub's rate limits, as its answers say.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::HeaderMap;
use jiff::Timestamp;

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

/// A limit that was met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub until: Timestamp,
    pub wait: Duration,
    /// GitHub named the time; without, the minute is a guess, and longer each time that it was wrong.
    pub named: bool,
}

impl Limit {
    /// The primary limit of GraphQL, which is told with status 200: it holds until the hour ends.
    pub fn until_reset(reset: Option<Timestamp>, date: Timestamp) -> Self {
        let seconds = reset.map(|reset| reset.as_second() - date.as_second());
        Self::from(date, seconds.unwrap_or(60), seconds.is_some())
    }

    /// As this one, twice as long for each time that it was met before; at most a quarter of an hour.
    fn longer(self, times: u32) -> Self {
        const MOST: Duration = Duration::from_secs(900);
        let wait = self.wait.saturating_mul(1 << times.min(4)).min(MOST);
        let more = jiff::SignedDuration::try_from(wait.saturating_sub(self.wait));
        let until = self.until.saturating_add(more.unwrap_or_default());
        Self {
            until: until.unwrap_or(self.until),
            wait,
            ..self
        }
    }

    fn from(date: Timestamp, seconds: i64, named: bool) -> Self {
        let seconds = seconds.clamp(1, 7200);
        Self {
            until: date
                .saturating_add(jiff::SignedDuration::from_secs(seconds))
                .unwrap_or(date),
            wait: Duration::from_secs(seconds.unsigned_abs()),
            named,
        }
    }
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
    /// time that this was not enough. The limit that holds now.
    pub fn pause(&self, resource: Resource, met: Limit) -> Limit {
        let mut state = self.state(resource);
        let limit = match met.named {
            true => met,
            false => {
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
        let mut state = self.state(resource);
        let (end, until) = state.paused?;
        let wait = end.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            state.paused = None;
            return None;
        }
        Some(Limit {
            until,
            wait,
            named: true,
        })
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

pub(crate) fn reset(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::from_second(number(headers, "x-ratelimit-reset")?).ok()
}

/// Tells a rate limit from a missing permission. GitHub answers both with 403: a limit has
/// `Retry-After`, or nothing remaining, or says so in its message (secondary limits).
pub(crate) fn limit(
    status: u16,
    headers: &HeaderMap,
    message: &str,
    date: Timestamp,
) -> Option<Limit> {
    if status != 403 && status != 429 {
        return None;
    }
    let from_now = |seconds: i64, named| Limit::from(date, seconds, named);
    if let Some(seconds) = number(headers, "retry-after") {
        return Some(from_now(seconds, true));
    }
    if number(headers, "x-ratelimit-remaining") == Some(0)
        && let Some(reset) = reset(headers)
    {
        return Some(from_now(reset.as_second() - date.as_second(), true));
    }
    let said = message.to_ascii_lowercase();
    let secondary = said.contains("rate limit") || said.contains("abuse detection");
    // GitHub's advice where no time is named: at least a minute.
    (status == 429 || secondary).then(|| from_now(60, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    value.parse().expect("a header value"),
                )
            })
            .collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// Status, headers, message, and the seconds to wait.
    type Case = (
        u16,
        &'static [(&'static str, &'static str)],
        &'static str,
        Option<u64>,
    );

    #[test]
    fn a_limit_is_told_from_a_missing_permission() {
        let cases: &[Case] = &[
            (403, &[], "Resource not accessible by integration", None),
            (
                403,
                &[("x-ratelimit-remaining", "4999")],
                "Must have admin rights",
                None,
            ),
            (403, &[("retry-after", "7")], "", Some(7)),
            (429, &[("retry-after", "7")], "", Some(7)),
            (429, &[], "", Some(60)),
            (
                403,
                &[],
                "You have exceeded a secondary rate limit.",
                Some(60),
            ),
            (
                403,
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1120"),
                ],
                "API rate limit exceeded",
                Some(120),
            ),
            (404, &[("retry-after", "7")], "", None),
        ];
        for (status, pairs, message, expected) in cases {
            let found = limit(*status, &headers(pairs), message, at(1000));
            assert_eq!(
                found.map(|limit| limit.wait.as_secs()),
                *expected,
                "{status} {pairs:?} {message}"
            );
        }
    }

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
        }
        ledger.went_well(Resource::Rest);
        assert_eq!(ledger.pause(Resource::Rest, met()).wait.as_secs(), 60);
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
