//! How long to wait before trying again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// Failures in a row.
#[derive(Debug, Default)]
pub struct BackOff {
    failures: u32,
}

impl BackOff {
    /// The pause after one more failure: it doubles, up to ten seconds. At most half of it is taken
    /// off by `random`, so that a thousand senders do not come back at once.
    pub fn pause(&mut self, random: u64) -> Duration {
        let whole = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures += 1;
        let half = whole / 2;
        half + half.mul_f64(random as f64 / u64::MAX as f64)
    }

    /// Something worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether the last thing worked.
    pub fn is_reset(&self) -> bool {
        self.failures == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds_and_begin_anew() {
        let mut back_off = BackOff::default();
        let pauses: Vec<u128> = (0..9)
            .map(|_| back_off.pause(u64::MAX).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]
        );
        for _ in 0..100 {
            assert!(back_off.pause(0) <= LONGEST);
        }
        back_off.reset();
        assert_eq!(back_off.pause(0), FIRST / 2);
    }
}
