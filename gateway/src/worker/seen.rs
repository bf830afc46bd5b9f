//! Who was heard of, when, and what they said of themselves: the only thing that is kept in memory, and that a
//! restart may lose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

/// How long after the last word a worker is missed: a held poll and its answer's way.
pub const MISSED_AFTER: Duration = Duration::from_secs(75);
/// How long other gateways have to say that they hear of a worker that one of them misses. They look every second.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// How long a machine has to be silent before another one may come in with its key.
pub const SILENT_FOR: Duration = Duration::from_secs(60);
/// How long it shows that two machines use one key, or that somebody uses a wrong one.
pub const SHOWN_FOR: Duration = Duration::from_secs(600);

/// How long another machine is put off without that anything is heard of the one that has the session, until it
/// shows that there are two: longer than it takes another gateway to miss it.
pub const CONTESTED_FOR: Duration = Duration::from_secs(90);

/// What is known of each worker.
#[derive(Default)]
pub struct Seen {
    all: Mutex<HashMap<String, Entry>>,
    bells: Mutex<HashMap<String, Arc<Notify>>>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    heard: Option<Heard>,
    /// The session in which its agent said good-bye, where it did.
    left_in: i64,
    duplicate: Option<Instant>,
    wrong_key: Option<Instant>,
    /// Other gateways were asked whether they hear of it, since then.
    asked: Option<Instant>,
    /// A machine that was put off, since when.
    contested: Option<(String, Instant)>,
}

/// The last that was heard of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When, by a clock that is not set.
    pub at: Instant,
    /// When, for people.
    pub time: Timestamp,
    /// Installation and start of the machine.
    pub who: String,
    /// Its agent said good-bye, with this reason.
    pub left: Option<String>,
    /// Why it takes nothing, in its owner's words.
    pub closed: Option<String>,
    /// Its disk is too full.
    pub disk_full: bool,
    /// Mebibytes that are free on it, where it said so.
    pub disk_free_mb: Option<u64>,
}

/// What a worker says that it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// Why it takes nothing, in its owner's words.
    pub closed: Option<String>,
    /// Its disk is too full.
    pub disk_full: bool,
    /// Mebibytes that are free on it.
    pub disk_free_mb: Option<u64>,
}

impl Heard {
    fn now(who: &str, takes: Takes) -> Self {
        Self {
            at: Instant::now(),
            time: Timestamp::now(),
            who: who.to_owned(),
            left: None,
            closed: takes.closed,
            disk_full: takes.disk_full,
            disk_free_mb: takes.disk_free_mb,
        }
    }

    /// What it said last that it takes.
    pub fn takes(self) -> Takes {
        Takes {
            closed: self.closed,
            disk_full: self.disk_full,
            disk_free_mb: self.disk_free_mb,
        }
    }
}

/// What is known of a worker.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// The last that was heard of it in this process.
    pub heard: Option<Heard>,
    /// It is silent, and for so long other gateways have been asked on its object whether they hear of it.
    pub asked: Option<Duration>,
    /// Lately another machine tried to come in with its key.
    pub duplicate: bool,
    /// Lately somebody tried to come in with another key.
    pub wrong_key: bool,
}

impl Seen {
    /// Something was heard of a worker; what it said of itself before stands.
    pub fn hear(&self, worker: &str, who: &str) {
        self.update(worker, |entry| {
            let old = entry.heard.take().filter(|old| old.who == who);
            let takes = old.map(Heard::takes).unwrap_or_default();
            entry.heard = Some(Heard::now(who, takes));
            entry.asked = None;
        });
    }

    /// A worker said what it takes.
    pub fn tell(&self, worker: &str, who: &str, takes: Takes) {
        self.update(worker, |entry| {
            entry.heard = Some(Heard::now(who, takes));
            entry.asked = None;
        });
    }

    /// A worker's agent said good-bye in this session.
    pub fn leave(&self, worker: &str, reason: String, epoch: i64) {
        self.update(worker, |entry| {
            if let Some(heard) = &mut entry.heard {
                heard.left = Some(reason);
                entry.left_in = epoch;
            }
        });
    }

    /// This is the newest session of a worker: that its agent said good-bye in an older one is forgotten. It came
    /// back at another gateway, which knows better.
    pub fn came_back(&self, worker: &str, epoch: i64) {
        let mut all = self.lock();
        if let Some(entry) = all.get_mut(worker).filter(|entry| entry.left_in < epoch) {
            let heard = entry.heard.take();
            entry.heard = heard.filter(|heard| heard.left.is_none());
        }
    }

    /// Other gateways are asked whether they hear of a worker that was heard of last at that moment.
    pub fn ask(&self, worker: &str, last: Instant) {
        let is_silent = |heard: &Heard| heard.at <= last;
        self.update(worker, |entry| {
            if entry.heard.as_ref().is_some_and(is_silent) {
                entry.asked.get_or_insert_with(Instant::now);
            }
        });
    }

    /// It was written down that a worker is off-line, or another gateway has said that it hears of it: from here
    /// on that one knows better.
    pub fn forget(&self, worker: &str, since: Instant) {
        self.update(worker, |entry| {
            entry.heard = entry.heard.take().filter(|heard| heard.at > since);
            entry.asked = None;
        });
    }

    /// Another machine tried to come in with a worker's key.
    pub fn duplicate(&self, worker: &str) {
        self.update(worker, |entry| entry.duplicate = Some(Instant::now()));
    }

    /// Another machine is put off, because somebody else may be this worker. How long that has been so.
    pub fn contested(&self, worker: &str, who: &str) -> Duration {
        let mut all = self.lock();
        let entry = all.entry(worker.to_owned()).or_default();
        let known = entry.contested.take().filter(|known| known.0 == who);
        let (who, since) = known.unwrap_or_else(|| (who.to_owned(), Instant::now()));
        entry.contested = Some((who, since));
        since.elapsed()
    }

    /// It is known who a worker is.
    pub fn settle(&self, worker: &str) {
        self.update(worker, |entry| entry.contested = None);
    }

    /// Somebody tried to come in with a key that is not the worker's.
    pub fn wrong_key(&self, worker: &str) {
        self.update(worker, |entry| entry.wrong_key = Some(Instant::now()));
    }

    /// What is known of a worker.
    pub fn sight(&self, worker: &str) -> Sight {
        let all = self.lock();
        let lately = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < SHOWN_FOR);
        let entry = all.get(worker);
        entry.map_or_else(Sight::default, |entry| Sight {
            heard: entry.heard.clone(),
            asked: entry.asked.map(|since| since.elapsed()),
            duplicate: lately(entry.duplicate),
            wrong_key: lately(entry.wrong_key),
        })
    }

    /// What wakes the polls of a worker.
    pub fn bell(&self, worker: &str) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(worker.to_owned()).or_default().clone()
    }

    fn update(&self, worker: &str, change: impl FnOnce(&mut Entry)) {
        change(self.lock().entry(worker.to_owned()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_bye_counts_until_the_next_session() {
        let seen = Seen::default();
        let left = || seen.sight("mac").heard.and_then(|heard| heard.left);
        seen.hear("mac", "i b");
        seen.leave("mac", "bye".to_owned(), 3);
        seen.came_back("mac", 3);
        assert_eq!(left().as_deref(), Some("bye"), "that was its last one");
        seen.came_back("mac", 4);
        assert!(seen.sight("mac").heard.is_none(), "another gateway knows");
        seen.hear("mac", "i b");
        seen.came_back("mac", 5);
        assert!(seen.sight("mac").heard.is_some(), "it is here");
    }

    #[test]
    fn what_others_were_asked_counts_until_a_worker_is_heard_of_again_or_forgotten() {
        let seen = Seen::default();
        let asked = || seen.sight("mac").asked.is_some();
        seen.hear("mac", "i b");
        let last = seen.sight("mac").heard.unwrap().at;
        let before = last.checked_sub(Duration::from_secs(1)).unwrap();
        seen.ask("mac", before);
        assert!(!asked(), "it was heard of since");
        seen.ask("mac", last);
        assert!(asked());
        seen.hear("mac", "i b");
        assert!(!asked(), "it is here");
        let last = seen.sight("mac").heard.unwrap().at;
        seen.ask("mac", last);
        seen.forget("mac", last);
        assert!(!asked() && seen.sight("mac").heard.is_none());
    }
}
