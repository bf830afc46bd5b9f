//! Pure: when the gateway is asked again after it did not answer. One look at a time finds out, for
//! everybody.

use std::time::{Duration, Instant};

/// Pause after the first failure; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// An outage is told to people when it has lasted this long.
const TOLD_AFTER: Duration = Duration::from_secs(300);

/// How well the gateway answers.
#[derive(Clone, Debug, Default)]
pub struct Outage {
    failures: u32,
    since: Option<Instant>,
    closed_until: Option<Instant>,
    told: bool,
}

impl Outage {
    /// How long nobody should ask; none when it is worth it now. Whoever is let through while there is
    /// an outage finds out for all the others, who wait meanwhile.
    pub fn wait(&mut self, now: Instant) -> Option<Duration> {
        let left = self.left(now);
        if left.is_none() && self.since.is_some() {
            self.closed_until = Some(now + self.pause());
        }
        left
    }

    /// How long nobody asks; none when somebody may.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let until = self.closed_until.filter(|until| *until > now)?;
        Some(until - now)
    }

    /// The gateway answered.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// The gateway did not answer, or takes nothing.
    pub fn failed(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        self.closed_until = Some(now + self.pause());
    }

    /// Whether it did not answer when it was last asked.
    pub fn is_under_way(&self) -> bool {
        self.since.is_some()
    }

    /// Whether people should hear of it: once an outage, when it has lasted.
    pub fn is_to_be_told(&mut self, now: Instant) -> bool {
        let lasted = self.since.is_some_and(|since| now >= since + TOLD_AFTER);
        lasted && !std::mem::replace(&mut self.told, true)
    }

    fn pause(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures.saturating_sub(1).min(16));
        FIRST.saturating_mul(factor).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn after_a_failure_one_at_a_time_asks_until_there_is_an_answer() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert_eq!(outage.wait(start), None);
        outage.failed(start);
        assert_eq!(outage.wait(start), Some(SECOND));
        let later = start + SECOND;
        assert_eq!(outage.wait(later), None, "one finds out");
        assert_eq!(outage.wait(later), Some(SECOND), "and the others wait");
        outage.failed(later);
        assert_eq!(outage.wait(later), Some(2 * SECOND));
        outage.answered();
        assert_eq!(outage.wait(later), None);
        assert_eq!(outage.wait(later), None);
    }

    #[test]
    fn pauses_grow_to_half_a_minute() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        (0..40).for_each(|_| outage.failed(start));
        assert_eq!(outage.wait(start), Some(LONGEST));
    }

    #[test]
    fn people_hear_of_an_outage_once_and_only_if_it_lasts() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        outage.failed(start);
        assert!(!outage.is_to_be_told(start + TOLD_AFTER - SECOND));
        assert!(outage.is_to_be_told(start + TOLD_AFTER));
        assert!(!outage.is_to_be_told(start + 2 * TOLD_AFTER));
        outage.answered();
        assert!(!outage.is_to_be_told(start + 3 * TOLD_AFTER));
    }
}
