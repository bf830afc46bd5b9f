//! An event loop that wakes up less often while it has much to do.
//!
//! A program that shares its processors with an API server begins each turn with cold caches, and that takes it
//! longer than what it woke up for: one watched event, one answer. Network cards know the cure as interrupt
//! coalescing. A loop that was awake for more than its share of the last seconds pauses before it waits again, and
//! finds all that came in between at its next turn. A build alone meets no pause; of ten a second, each takes a
//! quarter less processor time.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// Of the time, what a loop may be awake before it pauses: one part in so many.
const SHARE: u32 = 50;
/// How long it may be awake at once after a rest: for some fifteen builds.
const MOST: Duration = Duration::from_millis(100);
/// How far it overdraws at most. Little, so that what comes half a second after a flood meets no pause.
const LEAST: Duration = Duration::from_millis(10);

/// Pauses between the turns of a busy loop, once they have begun.
#[derive(Clone, Debug)]
pub struct Coalesce(Arc<Mutex<Share>>);

impl Coalesce {
    /// A runtime of one thread which pauses for so long between two turns while it is busy, and the switch that lets
    /// it begin. Timers and signals are that much later then.
    ///
    /// # Errors
    ///
    /// Where the system has no room for one more file.
    pub fn runtime(pause: Duration) -> io::Result<(Runtime, Self)> {
        let coalesce = Self(Arc::new(Mutex::new(Share::new(Instant::now()))));
        let (ends, begins) = (coalesce.clone(), coalesce.clone());
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || {
                let spent = ends.share().turn_ends(Instant::now());
                if spent {
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
    begun: bool,
    /// Seconds. Below nothing: it was awake for more than its share.
    left: f64,
    /// When the last turn ended.
    ended: Instant,
    /// When this turn began.
    woke: Instant,
}

impl Share {
    fn new(now: Instant) -> Self {
        Self {
            begun: false,
            left: MOST.as_secs_f64(),
            ended: now,
            woke: now,
        }
    }

    /// Ends a turn. Returns whether more than the share is spent.
    fn turn_ends(&mut self, now: Instant) -> bool {
        let earned = now.duration_since(self.ended).as_secs_f64() / f64::from(SHARE);
        let awake = now.duration_since(self.woke).as_secs_f64();
        self.ended = now;
        if !self.begun {
            return false;
        }
        let (least, most) = (-LEAST.as_secs_f64(), MOST.as_secs_f64());
        self.left = (self.left + earned - awake).clamp(least, most);
        self.left < 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these turns end with a pause: so long awake each, and so long at rest before.
    fn pauses(share: &mut Share, turns: usize, awake: Duration, rest: Duration) -> usize {
        let ends = |_| {
            share.woke = share.ended + rest;
            let now = share.woke + awake;
            share.turn_ends(now)
        };
        (0..turns).map(ends).filter(|pause| *pause).count()
    }

    fn begun() -> Share {
        let mut share = Share::new(Instant::now());
        share.begun = true;
        share
    }

    const TURN: Duration = Duration::from_micros(250);

    #[test]
    fn builds_that_come_one_after_the_other_meet_no_pause() {
        let mut share = begun();
        for _ in 0..600 {
            assert_eq!(pauses(&mut share, 40, TURN, Duration::from_millis(1)), 0);
            let rest = Duration::from_millis(950);
            assert_eq!(pauses(&mut share, 1, TURN, rest), 0);
        }
    }

    #[test]
    fn a_loop_that_is_awake_for_more_than_its_share_pauses_until_it_has_rested() {
        let mut share = begun();
        let each = Duration::from_millis(2);
        let spent = pauses(&mut share, 400, TURN, each);
        assert_eq!(spent, 0, "what a rest earned comes first");
        assert!(pauses(&mut share, 2_000, TURN, each) > 1_500);
        let rest = Duration::from_millis(600);
        assert_eq!(pauses(&mut share, 1, TURN, rest), 0, "after half a second");
    }

    #[test]
    fn nothing_is_held_up_before_everything_is_read() {
        let mut share = Share::new(Instant::now());
        let held = pauses(&mut share, 10_000, TURN, Duration::ZERO);
        assert_eq!(held, 0);
        share.begun = true;
        let held = pauses(&mut share, 10, TURN, Duration::from_millis(1));
        assert_eq!(held, 0, "and what it took does not count");
    }

    #[test]
    fn a_runtime_pauses_and_what_came_meanwhile_is_done() {
        let (runtime, coalesce) = Coalesce::runtime(Duration::from_millis(5)).unwrap();
        coalesce.begin();
        coalesce.share().left = -LEAST.as_secs_f64();
        let began = Instant::now();
        let (told, heard) = std::sync::mpsc::channel();
        runtime.block_on(async {
            for one in 0..3 {
                tokio::task::spawn_blocking(|| {}).await.unwrap();
                told.send(one).unwrap();
            }
        });
        assert_eq!(heard.try_iter().count(), 3);
        assert!(began.elapsed() >= Duration::from_millis(5));
    }
}
