//! When a worker's windows are closed to new runs.

use jiff::{SignedDuration, Timestamp, Zoned, civil, tz::TimeZone};

use crate::{Day, Window};

/// A window that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadZone(pub String);

impl Window {
    /// Until when this window is closed, if it is at `now`. A zone that is not known closes it for good: nobody's
    /// night is taken for granted.
    pub fn closed_until(&self, now: Timestamp) -> Result<Option<Zoned>, BadZone> {
        let bad = || BadZone(self.time_zone.clone());
        let zone = TimeZone::get(&self.time_zone).map_err(|_| bad())?;
        let (from, to) = (minutes(&self.from), minutes(&self.to));
        let today = now.to_zoned(zone.clone()).date();
        // It may have begun yesterday.
        for back in 0..=1 {
            let begins_on = today.saturating_sub(SignedDuration::from_hours(24 * back));
            if !self.begins(begins_on) {
                continue;
            }
            let ends_on = match to > from {
                true => begins_on,
                false => begins_on.saturating_add(SignedDuration::from_hours(24)),
            };
            let at = |date: civil::Date, minutes: i64| {
                let midnight = date.at(0, 0, 0, 0);
                midnight
                    .saturating_add(SignedDuration::from_mins(minutes))
                    .to_zoned(zone.clone())
                    .map_err(|_| bad())
            };
            let (begin, end) = (at(begins_on, from)?, at(ends_on, to)?);
            if begin.timestamp() <= now && now < end.timestamp() {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn begins(&self, date: civil::Date) -> bool {
        let day = match date.weekday() {
            civil::Weekday::Monday => Day::Mon,
            civil::Weekday::Tuesday => Day::Tue,
            civil::Weekday::Wednesday => Day::Wed,
            civil::Weekday::Thursday => Day::Thu,
            civil::Weekday::Friday => Day::Fri,
            civil::Weekday::Saturday => Day::Sat,
            civil::Weekday::Sunday => Day::Sun,
        };
        self.days.is_empty() || self.days.contains(&day)
    }
}

/// Minutes from midnight to a time such as `22:00`.
fn minutes(time: &str) -> i64 {
    let (hours, minutes) = time.split_once(':').unwrap_or((time, "0"));
    let number = |text: &str| text.parse::<i64>().unwrap_or_default();
    number(hours) * 60 + number(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Day], from: &str, to: &str, zone: &str) -> Window {
        Window {
            days: days.to_vec(),
            from: from.to_owned(),
            to: to.to_owned(),
            time_zone: zone.to_owned(),
        }
    }

    fn until(window: &Window, now: &str) -> Option<String> {
        let closed = window.closed_until(now.parse().unwrap()).unwrap();
        closed.map(|end| end.timestamp().to_string())
    }

    #[test]
    fn a_night_is_closed_on_both_sides_of_midnight_in_its_owners_time() {
        let night = window(&[], "22:00", "08:00", "Europe/Paris");
        // Paris is one hour ahead in winter and two in summer.
        for (now, expected) in [
            ("2026-01-14T20:59:59Z", None),
            ("2026-01-14T21:00:00Z", Some("2026-01-15T07:00:00Z")),
            ("2026-01-15T06:59:59Z", Some("2026-01-15T07:00:00Z")),
            ("2026-01-15T07:00:00Z", None),
            ("2026-07-14T20:00:00Z", Some("2026-07-15T06:00:00Z")),
        ] {
            assert_eq!(until(&night, now).as_deref(), expected, "{now}");
        }
    }

    #[test]
    fn a_window_begins_on_its_days_only() {
        let wednesday = window(&[Day::Wed], "20:00", "06:00", "UTC");
        assert_eq!(until(&wednesday, "2026-01-13T21:00:00Z"), None, "Tuesday");
        assert!(until(&wednesday, "2026-01-14T21:00:00Z").is_some());
        assert!(until(&wednesday, "2026-01-15T05:00:00Z").is_some());
        assert_eq!(until(&wednesday, "2026-01-15T21:00:00Z"), None, "Thursday");
        let whole = window(&[Day::Sun], "00:00", "24:00", "UTC");
        let end = until(&whole, "2026-01-18T23:59:59Z");
        assert_eq!(end.as_deref(), Some("2026-01-19T00:00:00Z"));
    }

    #[test]
    fn a_window_lasts_over_the_hour_that_a_change_of_clocks_takes_or_gives() {
        let night = window(&[], "22:00", "08:00", "Europe/Paris");
        let end = until(&night, "2026-03-28T23:30:00Z");
        assert_eq!(end.as_deref(), Some("2026-03-29T06:00:00Z"));
    }

    #[test]
    fn a_zone_that_nobody_knows_is_said_and_not_guessed() {
        let now = "2026-01-14T12:00:00Z".parse().unwrap();
        let odd = window(&[], "22:00", "08:00", "Europe/Atlantis");
        assert_eq!(
            odd.closed_until(now),
            Err(BadZone("Europe/Atlantis".to_owned()))
        );
    }
}
