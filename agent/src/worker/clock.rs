//! What time it is, without trust in the machine's own clock. Durations are counted by a clock that
//! nobody sets; the one date that counts, when an assignment expires, is compared with the latest that
//! anybody told.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::os;

/// Milliseconds of the clock that counts while the machine sleeps.
pub fn steady() -> u64 {
    os::since_boot().as_millis().try_into().unwrap_or(u64::MAX)
}

/// The machine's own clock, in seconds since 1970.
pub fn own() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs().try_into().unwrap_or(i64::MAX))
}

/// How far the machine's own clock may be ahead. An assignment may be started for twenty minutes after it
/// was signed: for a clock that is further ahead each one is too old.
const AHEAD: Duration = Duration::from_secs(600);

/// The latest time that was told.
#[derive(Debug, Default)]
pub struct Clock {
    told: AtomicI64,
    /// When that was, by the clock that nobody sets.
    at: AtomicI64,
}

impl Clock {
    /// Somebody told the time: the gateway, or a signature. It never goes back.
    pub fn told(&self, seconds: i64) {
        if seconds > self.by_told() {
            self.told.store(seconds, Ordering::SeqCst);
            self.at.store(steady_seconds(), Ordering::SeqCst);
        }
    }

    /// The latest of the machine's own clock and what was told, in seconds since 1970.
    pub fn now(&self) -> i64 {
        own().max(self.by_told())
    }

    /// How far the machine's own clock is from what was told; nothing where nobody told.
    pub fn off(&self) -> Option<Duration> {
        let told = self.by_told();
        (told > 0).then(|| Duration::from_secs(own().abs_diff(told)))
    }

    /// How far the machine's own clock is ahead of what was told, where that is so far that assignments look
    /// too old. The gateway's word alone makes none younger: with it, one that was withheld for days could
    /// still be started.
    pub fn ahead(&self) -> Option<Duration> {
        let told = self.by_told();
        let ahead = u64::try_from(own().saturating_sub(told)).ok()?;
        let ahead = Duration::from_secs(ahead);
        (told > 0 && ahead > AHEAD).then_some(ahead)
    }

    fn by_told(&self) -> i64 {
        match self.told.load(Ordering::SeqCst) {
            0 => 0,
            told => told + steady_seconds() - self.at.load(Ordering::SeqCst),
        }
    }
}

/// What is wrong with a clock that is so far ahead, as a sentence without a name in front.
pub fn in_words(ahead: Duration) -> String {
    format!("its clock is ahead by {}", crate::text::duration(ahead))
}

fn steady_seconds() -> i64 {
    (steady() / 1000).try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_time_that_was_told_counts() {
        let clock = Clock::default();
        assert_eq!(clock.off(), None);
        clock.told(1_000);
        assert!(clock.now() >= own());
        let ahead = own() + 7_200;
        clock.told(ahead);
        clock.told(5);
        assert!(clock.now() >= ahead);
        assert!(clock.off().unwrap() >= Duration::from_secs(7_100));
        assert_eq!(clock.ahead(), None, "it is behind");
    }

    #[test]
    fn a_clock_that_is_far_ahead_of_what_was_told_is_known() {
        let clock = Clock::default();
        assert_eq!(clock.ahead(), None, "nobody told");
        clock.told(own() - 7_230);
        let ahead = clock.ahead().unwrap();
        assert_eq!(in_words(ahead), "its clock is ahead by 2 h 00 min");
        clock.told(own() - 300);
        assert_eq!(clock.ahead(), None);
    }
}
