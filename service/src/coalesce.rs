//! An event loop that wakes up less often while it has much to do.
//!
//! A program that shares its processors with an API server begins each turn with cold caches, and that takes it
//! longer than what it woke up for: one watched event, one answer. Network cards know the cure as interrupt
//! coalescing. A loop that is awake for more than its share of the time pauses before it waits again, and finds all
//! that came in between at its next turn. A build alone meets no pause; of ten a second, each takes a third less
//! processor time.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// How long a loop may be awake at once after a rest: for some four builds.
const MOST: Duration = Duration::from_millis(30);

/// Pauses between the turns of a busy loop, once they have begun.
#[derive(Clone, Debug)]
pub struct Coalesce(Arc<Mutex<Share>>);

impl Coalesce {
    /// A runtime of one thread, and the switch that lets it begin to pause. It may be awake for one part in `parts` of
    /// the time. After more it pauses for as long as earns that back, `pause` at most: what has very much to do works
    /// through it. Timers and signals are that much later then.
    ///
    /// # Errors
    ///
    /// Where the system has no room for one more file.
    pub fn runtime(parts: u32, pause: Duration) -> io::Result<(Runtime, Self)> {
        let share = Share::new(parts, pause, Instant::now());
        let coalesce = Self(Arc::new(Mutex::new(share)));
        let (ends, begins) = (coalesce.clone(), coalesce.clone());
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || {
                let pause = ends.share().turn_ends(Instant::now());
                if !pause.is_zero() {
                    std::thread::sleep(pause);
                }
            })
            .on_thread_unpark(move || begins.share().woke = Instant::now())
            .build()?;
        Ok((runtime, coalesce))
    }

    /// Begins to pause. Not before all is read that has to be known for the work: that is many short turns which
    /// nothing is gained by holding up.
    pub fn begin(&self) {
        self.share().begun = true;
    }

    fn share(&self) -> MutexGuard<'_, Share> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a loop may still be awake for. Pure.
#[derive(Debug)]
struct Share {
    parts: f64,
    /// The longest pause, in seconds.
    pause: f64,
    begun: bool,
    /// Seconds. Below nothing: it was awake for more than its share.
    left: f64,
    /// When the last turn ended.
    ended: Instant,
    /// When this turn began.
    woke: Instant,
}

impl Share {
    fn new(parts: u32, pause: Duration, now: Instant) -> Self {
        Self {
            parts: f64::from(parts),
            pause: pause.as_secs_f64(),
            begun: false,
            left: MOST.as_secs_f64(),
            ended: now,
            woke: now,
        }
    }

    /// Ends a turn. Returns how long to pause.
    fn turn_ends(&mut self, now: Instant) -> Duration {
        let earned = now.duration_since(self.ended).as_secs_f64() / self.parts;
        let awake = now.duration_since(self.woke).as_secs_f64();
        self.ended = now;
        if !self.begun {
            return Duration::ZERO;
        }
        // What one pause does not earn back is forgiven: nothing pays later for a flood that is over.
        let least = -self.pause / self.parts;
        self.left = (self.left + earned - awake).clamp(least, MOST.as_secs_f64());
        Duration::from_secs_f64((-self.left * self.parts).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(100);
    const TURN: Duration = Duration::from_micros(250);

    /// The pauses after so many turns: so long awake each, and so long at rest before.
    fn pauses(share: &mut Share, turns: usize, awake: Duration, rest: Duration) -> Vec<Duration> {
        let mut paused = Duration::ZERO;
        let ends = |_| {
            share.woke = share.ended + paused + rest;
            let now = share.woke + awake;
            paused = share.turn_ends(now);
            paused
        };
        (0..turns).map(ends).collect()
    }

    fn begun() -> Share {
        let mut share = Share::new(50, PAUSE, Instant::now());
        share.begun = true;
        share
    }

    fn none(pauses: &[Duration]) -> bool {
        pauses.iter().all(Duration::is_zero)
    }

    #[test]
    fn builds_that_come_one_after_the_other_meet_no_pause() {
        let mut share = begun();
        for _ in 0..600 {
            assert!(none(&pauses(
                &mut share,
                40,
                TURN,
                Duration::from_millis(1)
            )));
            assert!(none(&pauses(
                &mut share,
                1,
                TURN,
                Duration::from_millis(950)
            )));
        }
    }

    #[test]
    fn a_busy_loop_pauses_until_it_is_awake_for_its_share() {
        let mut share = begun();
        let each = Duration::from_millis(2);
        let paused = pauses(&mut share, 3_000, TURN, each);
        assert!(none(&paused[..100]), "what a rest earned comes first");
        let busy = &paused[2_000..];
        let total = (TURN + each) * 1_000 + busy.iter().sum::<Duration>();
        let share_of_time = (TURN * 1_000).as_secs_f64() / total.as_secs_f64();
        assert!((0.019..0.021).contains(&share_of_time), "{share_of_time}");
    }

    #[test]
    fn no_pause_is_longer_than_was_said_and_nothing_pays_for_a_flood_that_is_over() {
        let mut share = begun();
        let long = Duration::from_millis(80);
        let paused = pauses(&mut share, 100, long, Duration::ZERO);
        assert!(paused.iter().all(|one| *one <= PAUSE), "{paused:?}");
        assert_eq!(paused[99], PAUSE);
        assert!(none(&pauses(
            &mut share,
            1,
            TURN,
            Duration::from_millis(120)
        )));
    }

    #[test]
    fn nothing_is_held_up_before_everything_is_read() {
        let mut share = Share::new(50, PAUSE, Instant::now());
        assert!(none(&pauses(&mut share, 10_000, TURN, Duration::ZERO)));
        share.begun = true;
        let after = pauses(&mut share, 10, TURN, Duration::from_millis(1));
        assert!(none(&after), "what it took does not count: {after:?}");
    }

    #[test]
    fn a_runtime_pauses_and_what_came_meanwhile_is_done() {
        let (runtime, coalesce) = Coalesce::runtime(50, PAUSE).unwrap();
        coalesce.begin();
        coalesce.share().left = -0.001;
        let began = Instant::now();
        let (told, heard) = std::sync::mpsc::channel();
        runtime.block_on(async {
            for one in 0..3 {
                tokio::task::spawn_blocking(|| {}).await.unwrap();
                told.send(one).unwrap();
            }
        });
        assert_eq!(heard.try_iter().count(), 3);
        assert!(began.elapsed() >= Duration::from_millis(30));
    }
}
