//! What GitHub says when somebody asks too much, by a status or in words, and how long it is to be left
//! alone then. Pure.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

/// A limit that was met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub until: Timestamp,
    pub wait: Duration,
    /// GitHub named the time; without, the minute is a guess, and longer each time that it was wrong.
    pub named: bool,
}

impl Limit {
    /// As this one, twice as long for each time that it was met before; at most a quarter of an hour.
    pub fn longer(self, times: u32) -> Self {
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

/// What the headers of an answer say of limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    retry_after: Option<i64>,
    remaining: Option<i64>,
    /// When the budget's hour ends.
    reset: Option<Timestamp>,
}

impl Told {
    pub fn by(headers: &HeaderMap) -> Self {
        Self {
            retry_after: number(headers, "retry-after"),
            remaining: number(headers, "x-ratelimit-remaining"),
            reset: reset(headers),
        }
    }

    /// The limit that GraphQL tells of in an answer with status 200, if these words do. The primary one
    /// has a kind of its own and holds until the hour ends; of the others the words say it, under any kind.
    pub fn in_words(self, kind: &str, message: &str, date: Timestamp) -> Option<Limit> {
        let is_primary = matches!(kind, "RATE_LIMIT" | "RATE_LIMITED");
        match self.reset {
            Some(reset) if is_primary && !message.contains("secondary") => {
                let seconds = reset.as_second() - date.as_second();
                Some(Limit::from(date, seconds, true))
            }
            _ => (is_primary || says_limit(message)).then(|| self.limit(date)),
        }
    }

    fn limit(self, date: Timestamp) -> Limit {
        if let Some(seconds) = self.retry_after {
            return Limit::from(date, seconds, true);
        }
        match self.reset.filter(|_| self.remaining == Some(0)) {
            Some(reset) => Limit::from(date, reset.as_second() - date.as_second(), true),
            // GitHub's advice where no time is named: at least a minute.
            None => Limit::from(date, 60, false),
        }
    }
}

/// Words for what is written too fast: GitHub takes it for invalid, and takes it a little later.
const TOO_QUICKLY: &str = "submitted too quickly";

/// Whether GitHub's words are those of a limit.
fn says_limit(message: &str) -> bool {
    let said = message.to_ascii_lowercase();
    let words = ["rate limit", "abuse detection", TOO_QUICKLY];
    words.into_iter().any(|words| said.contains(words))
}

/// The number that a header is.
pub(crate) fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// When the budget's hour ends.
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
    let told = Told::by(headers);
    let is_limit = match status {
        429 => true,
        403 => {
            let used_up = told.remaining == Some(0) && told.reset.is_some();
            told.retry_after.is_some() || used_up || says_limit(message)
        }
        422 => message.contains(TOO_QUICKLY),
        _ => false,
    };
    is_limit.then(|| told.limit(date))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Headers of these names and values.
    pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
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

    /// So many seconds after 1970.
    pub(crate) fn at(second: i64) -> Timestamp {
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
            (
                422,
                &[],
                "Validation Failed: was submitted too quickly",
                Some(60),
            ),
            (422, &[], "Validation Failed: No commit found", None),
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
    fn a_limit_of_graphql_is_told_by_its_kind_or_in_words() {
        let told = Told::by(&headers(&[("x-ratelimit-reset", "1120")]));
        let waits = |told: Told, kind: &str, message: &str| {
            let met = told.in_words(kind, message, at(1000))?;
            Some((met.wait.as_secs(), met.named))
        };
        let primary = "API rate limit already exceeded for installation ID 7.";
        let secondary = "You have exceeded a secondary rate limit.";
        for (kind, message, expected) in [
            ("RATE_LIMITED", primary, Some((120, true))),
            ("RATE_LIMIT", primary, Some((120, true))),
            ("RATE_LIMIT", secondary, Some((60, false))),
            ("", secondary, Some((60, false))),
            (
                "UNPROCESSABLE",
                "was submitted too quickly",
                Some((60, false)),
            ),
            ("UNPROCESSABLE", "Body is too long", None),
            ("NOT_FOUND", "Could not resolve to a Repository", None),
        ] {
            assert_eq!(waits(told, kind, message), expected, "{kind} {message}");
        }
        let soon = Told::by(&headers(&[("retry-after", "7")]));
        assert_eq!(waits(soon, "", secondary), Some((7, true)));
        assert_eq!(waits(soon, "NOT_FOUND", "no such thing"), None);
        assert_eq!(
            waits(Told::default(), "RATE_LIMIT", primary),
            Some((60, false))
        );
    }
}
