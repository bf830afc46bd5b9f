//! How an App says that it is itself: a JWT that is good for a few minutes of GitHub's time. So it is the
//! one thing that is dated by a clock of ours, and by GitHub's where that one is wrong.

use jiff::Timestamp;
use octocrab::auth::EncodingKey;
use octocrab::jsonwebtoken::{Algorithm, Header, encode, errors::Error};
use secrecy::SecretString;
use serde::Serialize;

/// It is dated back by so many seconds: clocks differ a little.
const DATED_BACK: i64 = 60;
/// It ends after so many. GitHub takes ten minutes at most.
const LIFE: i64 = 9 * 60;
/// By so many seconds clocks differ without a JWT being refused for it.
const DRIFT: i64 = 30;

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

/// By how many seconds GitHub's clock is ahead of ours, where a JWT may have been refused for it: it was
/// dated as if that were `known`.
pub(crate) fn ahead(known: i64, githubs: Timestamp, ours: Timestamp) -> Option<i64> {
    let ahead = githubs.as_second() - ours.as_second();
    ((ahead - known).abs() > DRIFT).then_some(ahead)
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
            assert_eq!(
                ahead(known, at(githubs), at(1000)),
                expected,
                "{known} {githubs}"
            );
        }
    }
}
