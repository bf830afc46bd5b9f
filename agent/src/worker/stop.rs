//! Stops one run: its executor is told to end, and it is known when it does not.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::turns::Turns;
use crate::os::Leash;

/// Why a run is stopped from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The operator asked.
    Cancelled,
    /// The machine, its owner, or the lease.
    Machine(String),
}

/// Stops one run.
#[derive(Debug, Default)]
pub struct Stop {
    why: Mutex<Option<Why>>,
    executing: Mutex<Executing>,
    changed: Condvar,
    /// Where it may wait.
    fetching: Arc<Turns>,
    /// The gateway said in an answer to the log that it is to be stopped.
    pub hinted: Arc<AtomicBool>,
}

/// The executor of the run.
#[derive(Debug, Default)]
struct Executing {
    /// It is there.
    runs: bool,
    /// What stops it when dropped; nothing once it was told.
    leash: Option<Leash>,
}

impl Stop {
    /// For a run that may wait for its turn to fetch there.
    pub fn waiting(fetching: Arc<Turns>) -> Self {
        Self {
            fetching,
            ..Self::default()
        }
    }

    /// Asks the run to stop. The first reason stays.
    pub fn stop(&self, why: Why) {
        lock(&self.why).get_or_insert(why);
        self.let_go();
        self.fetching.look();
    }

    /// Why it was asked to stop, if it was.
    pub fn why(&self) -> Option<Why> {
        lock(&self.why).clone()
    }

    /// Whether the gateway hinted at a wish to stop since it was asked last.
    pub fn take_hint(&self) -> bool {
        self.hinted.swap(false, Ordering::SeqCst)
    }

    /// Keeps what stops the executor that runs now.
    pub fn hold(&self, leash: Leash) {
        *lock(&self.executing) = Executing {
            runs: true,
            leash: Some(leash),
        };
        if self.why().is_some() {
            self.let_go();
        }
    }

    /// Tells the executor to stop: it sees the other end closed.
    pub fn let_go(&self) {
        drop(lock(&self.executing).leash.take());
        self.changed.notify_all();
    }

    /// The executor is gone.
    pub fn gone(&self) {
        *lock(&self.executing) = Executing::default();
        self.changed.notify_all();
    }

    /// Waits until the executor is gone; answers whether it was told to stop and is there so long after
    /// that.
    pub fn is_overdue(&self, patience: Duration) -> bool {
        let is_held = |now: &mut Executing| now.runs && now.leash.is_some();
        let told = self.changed.wait_while(lock(&self.executing), is_held);
        let told = told.unwrap_or_else(PoisonError::into_inner);
        let runs = |now: &mut Executing| now.runs;
        let waited = self.changed.wait_timeout_while(told, patience, runs);
        waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held by a leash whose other end is gone, as that of an executor that was killed.
    fn held() -> Stop {
        let stop = Stop::default();
        stop.hold(Leash::new().unwrap().0);
        stop
    }

    #[test]
    fn an_executor_that_is_there_long_after_it_was_told_to_stop_is_overdue() {
        let stop = held();
        stop.stop(Why::Cancelled);
        assert!(stop.is_overdue(Duration::from_millis(1)));
        stop.gone();
        assert!(!stop.is_overdue(Duration::ZERO));
    }

    #[test]
    fn one_that_was_told_before_it_began_is_overdue_too() {
        let stop = Stop::default();
        stop.stop(Why::Machine("disk".into()));
        stop.stop(Why::Cancelled);
        stop.hold(Leash::new().unwrap().0);
        assert!(stop.is_overdue(Duration::from_millis(1)));
        assert_eq!(stop.why(), Some(Why::Machine("disk".into())));
    }

    #[test]
    fn nobody_is_late_who_was_told_nothing_or_ends_in_time() {
        for told in [false, true] {
            let stop = held();
            std::thread::scope(|scope| {
                let waits = scope.spawn(|| stop.is_overdue(Duration::from_secs(600)));
                if told {
                    stop.stop(Why::Cancelled);
                }
                stop.gone();
                assert!(!waits.join().unwrap());
            });
        }
    }
}
