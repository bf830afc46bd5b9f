//! Times and durations as people read them.

use crds::names::short_sha;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use maud::{Markup, html};
use serde::{Serialize, Serializer};

use super::text::Foreign;

/// A moment, in JSON to the second: `2026-01-31T12:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&exact(self.0))
    }
}

/// A duration: `0.8 s`, `12 s`, `4 min 12 s`, `2 h 05 min`, `3 days`; `under 1 s` where nothing could be
/// measured.
pub fn duration(seconds: f64) -> String {
    let tenths = (seconds.max(0.0) * 10.0).round() as u64;
    match (tenths, tenths % 10) {
        (0, _) => return "under 1 s".to_owned(),
        (1..100, 1..) => return format!("{}.{} s", tenths / 10, tenths % 10),
        _ => {}
    }
    let seconds = seconds.round() as u64;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, _) => format!("{rest} s"),
        (0, _, 0) => format!("{minutes} min"),
        (0, _, _) => format!("{minutes} min {rest} s"),
        (72.., _, _) => format!("{} days", hours / 24),
        (_, 0, _) => format!("{hours} h"),
        (_, _, _) => format!("{hours} h {minutes:02} min"),
    }
}

/// How long ago, roughly: `just now`, `5 min ago`, `3 h ago`, `2 days ago`; the date where that is long.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs();
    match seconds {
        ..10 => "just now".to_owned(),
        10..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..129_600 => format!("{} h ago", seconds / 3600),
        129_600..2_592_000 => format!("{} days ago", (seconds + 43_200) / 86_400),
        _ => then.to_zoned(TimeZone::UTC).date().to_string(),
    }
}

/// A moment, relative to now, with the exact one in UTC on hover.
pub fn moment(then: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(exact(then)) title=(utc(then)) { (ago(then, now)) } }
}

/// The moment as machines read it, to the second.
pub fn exact(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The moment as people read it: `2026-01-31 12:00:00 UTC`.
pub fn utc(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A moment of a record, in milliseconds since 1970; one out of all range is 1970.
pub fn of_ms(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Seconds from one moment to another; 0 where they are out of order.
pub fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    let between = to.duration_since(from);
    between.max(SignedDuration::ZERO).as_secs_f64()
}

/// A commit by ten characters of its id; the whole one on hover, and for whoever copies it.
pub fn sha(sha: &str) -> Markup {
    let (short, whole) = (short_sha(sha), Foreign::from(sha));
    html! { code title=(whole) { (Foreign(short)) } }
}

/// A count with its noun: `1 builder`, `3 builders`.
pub fn count(n: usize, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        _ => format!("{n} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_speech() {
        for (seconds, words) in [
            (0.0, "under 1 s"),
            (-5.0, "under 1 s"),
            (f64::NAN, "under 1 s"),
            (0.84, "0.8 s"),
            (5.0, "5 s"),
            (9.96, "10 s"),
            (60.0, "1 min"),
            (252.0, "4 min 12 s"),
            (3600.0, "1 h"),
            (7500.0, "2 h 05 min"),
            (300_000.0, "3 days"),
        ] {
            assert_eq!(duration(seconds), words);
        }
    }

    #[test]
    fn a_moment_is_told_relative_to_now_and_exactly_on_hover() {
        let at = |seconds: i64| of_ms(1_700_000_000_000 + seconds * 1000);
        let table = [
            (-30, "just now"),
            (9, "just now"),
            (59, "59 s ago"),
            (3599, "59 min ago"),
            (7300, "2 h ago"),
            (86_400 * 3, "3 days ago"),
            (86_400 * 40, "2023-11-14"),
        ];
        for (later, words) in table {
            assert_eq!(ago(at(0), at(later)), words);
        }
        assert_eq!(
            moment(at(0), at(60)).into_string(),
            r#"<time datetime="2023-11-14T22:13:20Z" title="2023-11-14 22:13:20 UTC">1 min ago</time>"#
        );
        assert_eq!(of_ms(i64::MAX), Timestamp::UNIX_EPOCH);
    }
}
