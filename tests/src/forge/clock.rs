//! GitHub's time, which a story can move and stop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The forge's clock: real time plus an offset, unless it was stopped. Every timestamp and every
/// `Date` header comes from it. Clones are handles to the same one.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    ahead: SignedDuration,
    stopped: Option<Timestamp>,
}

impl Clock {
    /// The time that GitHub believes it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let real = state.stopped.unwrap_or_else(Timestamp::now);
        real.saturating_add(state.ahead).unwrap_or(Timestamp::MAX)
    }

    /// Moves the clock forward at once.
    pub fn advance(&self, by: Duration) {
        self.shift(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX));
    }

    /// Moves the clock back at once: for people who doubt that nobody compares it with their own.
    pub fn set_back(&self, by: Duration) {
        self.shift(SignedDuration::try_from(by).map_or(SignedDuration::MIN, |by| -by));
    }

    /// Stops the clock at a whole second: from now on only [`Clock::advance`] moves it. For stories in
    /// which one second counts.
    pub fn stop(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let second = Timestamp::from_second(Timestamp::now().as_second());
        state.stopped = Some(second.unwrap_or(Timestamp::MIN));
        let whole = SignedDuration::from_secs(state.ahead.as_secs());
        state.ahead = whole;
    }

    fn shift(&self, by: SignedDuration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ahead = state.ahead.saturating_add(by);
    }
}

/// A timestamp as GitHub's API writes it: UTC, whole seconds.
#[must_use]
pub fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A timestamp as an HTTP header writes it.
#[must_use]
pub fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
