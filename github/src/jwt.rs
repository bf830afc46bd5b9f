//! How an App says that it is itself: a JWT that is good for a few minutes of GitHub's time. So it is the
//! one thing that is dated by a clock of ours, and by GitHub's where that one is wrong.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, errors::Error};
use secrecy::SecretString;
use serde::Serialize;

/// It is dated back by so many seconds: clocks differ a little.
const DATED_BACK: i64 = 60;
/// It ends after so many. GitHub takes ten minutes at most.
const LIFE: i64 = 9 * 60;
/// By so many seconds clocks differ without a JWT being refused for it.
const DRIFT: i64 = 30;
/// For so long GitHub's refusal of a JWT that was dated by its clock is not put down to the clock again:
/// the key is wrong then, whatever our clock is.
const IN_VAIN: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Claims {
    iss: u64,
    iat: i64,
    exp: i64,
}

/// An App's JWT, made at this time.
pub(crate) fn jwt(app: u64, key: &EncodingKey, now: Timestamp) -> Result<SecretString, Error> {
    let now = now.as_second();
    let claims = Claims {
        iss: app,
        iat: now - DATED_BACK,
        exp: now + LIFE,
    };
    encode(&Header::new(Algorithm::RS256), &claims, key).map(SecretString::from)
}

/// What is known of GitHub's clock.
#[derive(Debug, Default)]
pub(crate) struct Clock(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Seconds by which it is ahead, where ours made JWTs that were refused.
    ahead: i64,
    /// Seconds by which a JWT was dated ahead that was refused all the same, and when.
    in_vain: Option<(i64, Instant)>,
}

impl Clock {
    /// By how many seconds a JWT is dated ahead of our clock.
    pub fn ahead(&self) -> i64 {
        self.state().ahead
    }

    /// By how many seconds a JWT is to be dated ahead instead, after one that was dated by `known` was
    /// refused. None: it was not refused for its date, or that was tried a moment ago.
    pub fn instead_of(
        &self,
        known: i64,
        githubs: Timestamp,
        ours: Timestamp,
        now: Instant,
    ) -> Option<i64> {
        let ahead = githubs.as_second() - ours.as_second();
        let differ = |one: i64| (ahead - one).abs() > DRIFT;
        let in_vain = self.state().in_vain.is_some_and(|(tried, at)| {
            !differ(tried) && now.saturating_duration_since(at) < IN_VAIN
        });
        (differ(known) && !in_vain).then_some(ahead)
    }

    /// A JWT that was dated so was not refused.
    pub fn fits(&self, ahead: i64) {
        *self.state() = State {
            ahead,
            in_vain: None,
        };
    }

    /// A JWT that was dated so was refused, too.
    pub fn does_not_fit(&self, ahead: i64, now: Instant) {
        self.state().in_vain = Some((ahead, now));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_put_down_to_the_clock_only_where_the_clocks_differ() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        for (known, githubs, expected) in [
            (0, 1000, None),
            (0, 1030, None),
            (0, 1031, Some(31)),
            (0, 700, Some(-300)),
            (-300, 700, None),
            // Ours was set right meanwhile.
            (-300, 1000, Some(0)),
        ] {
            let found = Clock::default().instead_of(known, at(githubs), at(1000), Instant::now());
            assert_eq!(found, expected, "{known} {githubs}");
        }
    }

    #[test]
    fn a_wrong_key_is_not_put_down_to_the_clock_each_time() {
        let (clock, start) = (Clock::default(), Instant::now());
        let at = |second| Timestamp::from_second(second).expect("a time");
        let tried = |githubs: i64, after: Duration| {
            clock.instead_of(clock.ahead(), at(githubs), at(1000), start + after)
        };
        assert_eq!(tried(700, Duration::ZERO), Some(-300));
        clock.does_not_fit(-300, start);
        assert_eq!(clock.ahead(), 0);
        assert_eq!(tried(700, Duration::ZERO), None);
        assert_eq!(tried(701, IN_VAIN - Duration::from_secs(1)), None);
        assert_eq!(
            tried(701, IN_VAIN),
            Some(-299),
            "it may be the clock by now"
        );
        let other = tried(1300, Duration::ZERO);
        assert_eq!(other, Some(300), "the clock is another one");
        clock.fits(-300);
        assert_eq!(clock.ahead(), -300);
        assert_eq!(tried(700, Duration::ZERO), None, "it was not the date");
        assert_eq!(tried(1000, Duration::ZERO), Some(0), "ours was set right");
    }
}
