//! One fetch at a time works in the mirrors; whoever else wants to waits until it is done, or until it is not
//! wanted any more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Whether somebody works in the mirrors.
#[derive(Debug, Default)]
pub struct Turns {
    taken: Mutex<bool>,
    changed: Condvar,
}

/// The right to work there, until it is dropped.
#[derive(Debug)]
pub struct Turn<'a>(&'a Turns);

impl Turns {
    /// Waits until nobody else works there; nothing where this is not wanted any more before. That is asked
    /// again whenever [`Self::look`] is called.
    pub fn take(&self, is_unwanted: impl Fn() -> bool) -> Option<Turn<'_>> {
        let mut taken = self.lock();
        while *taken {
            if is_unwanted() {
                return None;
            }
            let waited = self.changed.wait(taken);
            taken = waited.unwrap_or_else(PoisonError::into_inner);
        }
        *taken = true;
        Some(Turn(self))
    }

    /// Lets those who wait look whether they are still wanted.
    pub fn look(&self) {
        let _taken = self.lock();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.lock() = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_works_at_a_time_and_everybody_has_a_turn() {
        let (turns, inside, done) = (Turns::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let _turn = turns.take(|| false).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(done.into_inner(), 16);
    }

    #[test]
    fn who_is_not_wanted_any_more_stops_waiting() {
        let (turns, unwanted) = (Turns::default(), AtomicBool::new(false));
        let turn = turns.take(|| false).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| turns.take(|| unwanted.load(Ordering::SeqCst)).is_some());
            unwanted.store(true, Ordering::SeqCst);
            turns.look();
            assert!(!waits.join().unwrap());
        });
        drop(turn);
        assert!(turns.take(|| true).is_some(), "nobody is in its way");
    }
}
