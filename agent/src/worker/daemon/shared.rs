//! What the threads know of each other: what is held, whether more is taken, and who is woken when that changes.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use protocol::worker::wire::{DeclineCode, Poll, Running};

use super::say;
use crate::worker::{bell::Bell, clock, link::CallError, policy::No};

/// What the threads know of each other.
#[derive(Default)]
pub struct Shared {
    running: Mutex<Vec<Running>>,
    open: Mutex<Open>,
    trouble: Mutex<Option<String>>,
    distrust: Mutex<Option<String>>,
    busy: Mutex<Option<String>>,
    cancelled: Mutex<BTreeSet<String>>,
    heard: AtomicI64,
    over: AtomicBool,
    draining: AtomicBool,
    declined: AtomicBool,
    poll: Bell,
    beat: Bell,
}

/// Whether work is taken.
#[derive(Clone, Debug, Default)]
struct Open {
    /// Slots in which nothing runs.
    free: usize,
    /// An assignment is being asked for: until there is an answer nobody knows how many slots are free, and the
    /// gateway would only offer the same one again.
    accepting: bool,
    no: Option<No>,
    disk: u64,
}

impl Open {
    fn free(&self) -> usize {
        match self.no.is_none() && !self.accepting {
            true => self.free,
            false => 0,
        }
    }
}

impl Shared {
    /// What is held.
    pub fn running(&self) -> Vec<Running> {
        lock(&self.running).clone()
    }

    /// Notes what is held, how many slots are left, and whether one is being asked for. Whoever waits for
    /// something to tell of, or for a free slot, hears it at once.
    pub fn set_held(&self, running: Vec<Running>, free: usize, accepting: bool) {
        let mut known = lock(&self.running);
        let (was_empty, is_empty) = (known.is_empty(), running.is_empty());
        *known = running;
        drop(known);
        if was_empty && !is_empty {
            self.beat.ring();
        }
        self.open_up(|open| (open.free, open.accepting) = (free, accepting));
        if is_empty && !was_empty {
            // From here on polls say that the worker is there.
            self.poll.ring();
        }
    }

    /// Notes why nothing is taken, if so.
    pub fn set_closed(&self, no: Option<No>, disk: u64) {
        self.open_up(|open| (open.no, open.disk) = (no, disk));
    }

    /// Whoever asks for work is woken when it is taken from now on, or no more.
    fn open_up(&self, change: impl FnOnce(&mut Open)) {
        let mut open = lock(&self.open);
        let before = open.free() > 0;
        change(&mut open);
        if before != (open.free() > 0) {
            self.poll.ring();
        }
    }

    /// The gateway answered.
    pub fn heard(&self) {
        self.heard.store(clock::own(), Ordering::SeqCst);
        *lock(&self.trouble) = None;
    }

    /// When it answered last.
    pub fn last_heard(&self) -> i64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// What is wrong: the keys, or the connection.
    pub fn trouble(&self) -> Option<String> {
        let distrust = lock(&self.distrust).clone();
        distrust.or_else(|| lock(&self.trouble).clone())
    }

    /// No keys are trusted, or some are again.
    pub fn distrust(&self, why: Option<String>) {
        *lock(&self.distrust) = why;
        // What is asked for says so.
        self.poll.ring();
    }

    /// Whether keys were served that are not to be trusted.
    pub fn distrusts(&self) -> bool {
        lock(&self.distrust).is_some()
    }

    /// What the owner's program said last.
    pub fn busy(&self) -> Option<String> {
        lock(&self.busy).clone()
    }

    /// Notes what the owner's program said.
    pub fn set_busy(&self, why: Option<String>) {
        *lock(&self.busy) = why;
    }

    /// The gateway wants this one stopped.
    pub fn cancelled(&self, id: &str) {
        lock(&self.cancelled).insert(id.to_owned());
    }

    /// Whether it said so; asked once.
    pub fn was_cancelled(&self, id: &str) -> bool {
        lock(&self.cancelled).remove(id)
    }

    /// An offer was declined: the next poll waits a little.
    pub fn declined(&self) {
        self.declined.store(true, Ordering::SeqCst);
    }

    /// A heartbeat is sent now.
    pub fn beat_now(&self) {
        self.beat.ring();
    }

    /// No work is asked for any more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.poll.ring();
    }

    /// Everything ends.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.poll.ring();
        self.beat.ring();
    }

    /// Whether everything ends.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Waits until there is something new to ask for, at most that long.
    pub fn wait_to_poll(&self, limit: Duration) {
        self.poll.wait(limit);
    }

    /// The poller has an answer to look at.
    pub fn poll_was_answered(&self) {
        self.poll.ring();
    }

    /// Waits until a heartbeat is due, at most that long.
    pub fn wait_to_beat(&self, limit: Duration) {
        self.beat.wait(limit);
    }

    /// Whether an offer was declined since this was asked last.
    pub fn has_declined(&self) -> bool {
        self.declined.swap(false, Ordering::SeqCst)
    }

    /// Whether the owner's program is to be asked: nothing else is against a run.
    pub fn is_free(&self) -> bool {
        lock(&self.open).free() > 0 && !self.draining.load(Ordering::SeqCst)
    }

    /// Notes what went wrong, once.
    pub fn failed(&self, error: &CallError) {
        let words = error.to_string();
        let mut trouble = lock(&self.trouble);
        if trouble.as_ref() != Some(&words) {
            say(&format!("{words}; trying again"));
            *trouble = Some(words);
        }
    }

    /// What to ask for. Trouble with the connection is no reason to be given nothing: whoever reads this
    /// is connected.
    pub fn poll(&self) -> Poll {
        let open = lock(&self.open).clone();
        let busy = self.busy();
        let is_open = busy.is_none() && !self.draining.load(Ordering::SeqCst);
        let free = u32::try_from(open.free()).unwrap_or(u32::MAX);
        let disk_full = matches!(&open.no, Some(no) if no.code == DeclineCode::Disk);
        let closed = open.no.map(|no| no.reason).or(busy);
        Poll {
            free_slots: if is_open { free } else { 0 },
            closed: closed.or_else(|| lock(&self.distrust).clone()),
            disk_free_mb: Some(open.disk >> 20),
            disk_full,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use protocol::worker::wire::RunningState;

    use super::*;

    fn running(id: &str) -> Vec<Running> {
        vec![Running {
            id: id.to_owned(),
            state: RunningState::Running,
        }]
    }

    /// Whether the poller was woken since this was asked last.
    fn rang(shared: &Shared) -> bool {
        shared.poll.wait(Duration::ZERO)
    }

    #[test]
    fn a_slot_that_gets_free_is_asked_for_at_once_and_none_while_one_is_being_taken() {
        let shared = Shared::default();
        shared.set_closed(None, 1 << 30);
        shared.set_held(Vec::new(), 2, false);
        assert!(rang(&shared));
        assert_eq!(shared.poll().free_slots, 2);
        shared.set_held(running("a"), 1, true);
        assert!(rang(&shared), "what it asks for now would be wrong");
        assert_eq!(
            shared.poll().free_slots,
            0,
            "the same offer would come again"
        );
        shared.set_held(running("a"), 1, false);
        assert!(rang(&shared));
        assert_eq!(shared.poll().free_slots, 1);
        shared.set_held(running("a"), 1, false);
        assert!(!rang(&shared), "nothing is new");
    }

    #[test]
    fn a_connection_that_failed_is_no_reason_to_be_given_nothing() {
        let shared = Shared::default();
        shared.set_held(Vec::new(), 1, false);
        shared.failed(&CallError::Unreachable("refused".into()));
        assert_eq!(shared.poll().closed, None);
        assert!(shared.trouble().is_some(), "its owner is told");
        shared.distrust(Some("other keys".into()));
        assert_eq!(shared.poll().closed.as_deref(), Some("other keys"));
    }
}
