//! How busy the cluster is, as this process feels it: how long a write takes, and how long pods come
//! after their Jobs.
//!
//! Where the API server is the bottleneck, what only informs must not slow down what it informs of:
//! the slower writes are, the later it comes, and what was overtaken meanwhile is never written. And
//! a pod that is only late is not asked after.

use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// What only informs waits this many times as long as a write takes.
const COURTESY: u32 = 20;
/// The longest that it waits for others.
const COURTESY_MOST: Duration = Duration::from_secs(10);
/// The newest write counts for this part of the average.
const NEWEST: u32 = 8;
/// How late pods came is believed this long after the last one.
const LATENESS_HOLDS: Duration = Duration::from_secs(10);
/// The most that is believed.
const LATENESS_MOST: Duration = Duration::from_secs(60);

/// What was felt lately.
#[derive(Debug, Default)]
pub struct Pressure(Mutex<Felt>);

#[derive(Clone, Copy, Debug, Default)]
struct Felt {
    write: Duration,
    pod: Option<(Instant, Duration)>,
}

impl Pressure {
    /// Does a write, and notes how long it took.
    pub async fn time<T>(&self, write: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let answer = write.await;
        self.wrote(began.elapsed());
        answer
    }

    fn wrote(&self, took: Duration) {
        let mut felt = self.felt();
        felt.write = (felt.write * (NEWEST - 1) + took) / NEWEST;
    }

    /// How long what only informs waits before it is written: `least` on an idle cluster.
    pub fn courtesy(&self, least: Duration) -> Duration {
        let write = self.felt().write;
        least.max((write * COURTESY).min(COURTESY_MOST))
    }

    /// A pod came so long after its Job.
    pub fn pod_came(&self, after: Duration) {
        self.felt().pod = Some((Instant::now(), after));
    }

    /// How long pods come after their Jobs now, as far as that is known.
    pub fn lateness(&self) -> Duration {
        self.lateness_at(Instant::now())
    }

    fn lateness_at(&self, now: Instant) -> Duration {
        let known = self.felt().pod;
        let recent = known.filter(|(seen, _)| now.duration_since(*seen) < LATENESS_HOLDS);
        recent.map_or(Duration::ZERO, |(_, late)| late.min(LATENESS_MOST))
    }

    fn felt(&self) -> MutexGuard<'_, Felt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn an_idle_cluster_is_told_at_once_and_a_slow_one_later() {
        let pressure = Pressure::default();
        let least = 300 * MILLISECOND;
        assert_eq!(pressure.courtesy(least), least);
        (0..100).for_each(|_| pressure.wrote(8 * MILLISECOND));
        assert_eq!(pressure.courtesy(least), least);
        (0..100).for_each(|_| pressure.wrote(200 * MILLISECOND));
        let slow = pressure.courtesy(least);
        assert!(slow > 3500 * MILLISECOND && slow <= 4000 * MILLISECOND);
        (0..100).for_each(|_| pressure.wrote(Duration::from_secs(5)));
        assert_eq!(pressure.courtesy(least), COURTESY_MOST);
    }

    #[test]
    fn how_late_pods_come_is_believed_as_long_as_pods_come() {
        let pressure = Pressure::default();
        assert_eq!(pressure.lateness(), Duration::ZERO);
        pressure.pod_came(Duration::from_secs(20));
        assert_eq!(pressure.lateness(), Duration::from_secs(20));
        let later = Instant::now() + LATENESS_HOLDS;
        assert_eq!(pressure.lateness_at(later), Duration::ZERO);
    }
}
