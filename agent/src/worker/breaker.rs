//! Whether the machine works at all. Pure: three failures in a row that are the machine's own, and it
//! takes nothing for a while; the pause doubles, up to an hour.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Failures in a row after which a pause begins.
const LIMIT: u32 = 3;
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

/// Failures of the machine in a row. Kept on the disk, so that a restart is no way out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Breaker {
    failures: u32,
    last: String,
    /// Milliseconds of [`since_boot`](crate::os::since_boot) until which nothing is taken.
    until: u64,
    /// The boot of the machine that this is counted from.
    boot: String,
}

impl Breaker {
    /// A run began here and its steps ended, however.
    pub fn worked(&mut self) {
        let boot = std::mem::take(&mut self.boot);
        *self = Self {
            boot,
            ..Self::default()
        };
    }

    /// A run failed for a reason of the machine, at this moment.
    pub fn failed(&mut self, why: &str, now: u64) {
        self.failures += 1;
        self.last = why.to_owned();
        self.until = self.until.max(now + self.pause());
    }

    /// Milliseconds of the pause after so many failures.
    fn pause(&self) -> u64 {
        let Some(beyond) = self.failures.checked_sub(LIMIT) else {
            return 0;
        };
        let pause = FIRST.saturating_mul(1 << beyond.min(10)).min(LONGEST);
        u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
    }

    /// This is the boot of the machine, at this moment. After another one the clock began anew, and so does
    /// the pause. Where the system tells no boots from others, the clock may begin with each program
    /// (Windows): what is left is never longer than a pause.
    pub fn booted(&mut self, boot: &str, now: u64) {
        if self.boot != boot {
            self.until = self.until.min(FIRST.as_millis().try_into().unwrap_or(0));
            boot.clone_into(&mut self.boot);
        }
        self.until = self.until.min(now + self.pause());
    }

    /// Why nothing is taken now, if so.
    pub fn closed(&self, now: u64) -> Option<String> {
        let left = self.until.checked_sub(now).filter(|left| *left > 0)?;
        let left = crate::text::duration(Duration::from_millis(left));
        Some(format!(
            "{} runs in a row failed on it and it rests for {left}; the last time: {}",
            self.failures, self.last
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_make_a_pause_that_doubles() {
        let mut breaker = Breaker::default();
        breaker.failed("disk", 0);
        breaker.failed("disk", 0);
        assert_eq!(breaker.closed(1), None);
        breaker.failed("disk", 0);
        let words = breaker.closed(0).unwrap();
        assert_eq!(
            words,
            "3 runs in a row failed on it and it rests for 1 min; the last time: disk"
        );
        assert_eq!(breaker.closed(60_000), None);
        breaker.failed("disk", 60_000);
        assert!(breaker.closed(179_999).is_some());
        for _ in 0..40 {
            breaker.failed("disk", 0);
        }
        assert_eq!(breaker.closed(3_600_000), None);
        breaker.worked();
        assert_eq!(breaker.closed(0), None);
    }

    #[test]
    fn a_pause_does_not_outlast_the_clock_that_it_is_counted_by() {
        let mut breaker = Breaker::default();
        (0..20).for_each(|_| breaker.failed("disk", 1 << 40));
        breaker.booted("", 1 << 40);
        assert!(
            breaker.closed((1 << 40) + 60_000).is_some(),
            "a restart of the agent is no way out"
        );
        breaker.booted("another", 1_000);
        assert_eq!(breaker.closed(60_000), None);
    }

    #[test]
    fn a_clock_that_begins_with_each_program_makes_no_pause_of_days() {
        let mut breaker = Breaker::default();
        let days = 10 * 86_400_000;
        (0..3).for_each(|_| breaker.failed("disk", days));
        breaker.booted("", 5);
        assert!(breaker.closed(30_000).is_some(), "a restart is no way out");
        assert_eq!(breaker.closed(60_005), None);
    }
}
