//! Which commands and presses were done. A label comes off when its build is there, but a command and a
//! press stay what they are: when somebody deletes what came of them, it is this memory that keeps a
//! delivery which comes once more, or the sweep, from doing them again. Replicas share it by a note.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// What one replica remembers at most; the oldest go first. A day has seldom as many builds.
const MOST: usize = 20_000;
/// Bytes of the note, which the newest get: about a thousand.
const NOTE: usize = 64 << 10;
/// Bytes that a note has beside each name: quotes, a colon, seconds, a comma.
const BESIDE: usize = 16;
/// For how long: a button works until 48 hours after its check run last changed, and clocks differ.
const KEPT: SignedDuration = SignedDuration::from_hours(49);

/// What was done.
#[derive(Clone, Copy, Debug)]
pub enum Deed<'a> {
    /// The build of this name was stored.
    Built(&'a str),
    /// The command of this name was answered.
    Answered(&'a str),
    /// The press with this delivery id was read back and decided.
    Pressed(&'a str),
}

impl Deed<'_> {
    fn key(self) -> String {
        match self {
            Self::Built(name) => name.to_owned(),
            Self::Answered(name) => format!("answer {name}"),
            Self::Pressed(id) => format!("press {id}"),
        }
    }
}

/// What this replica remembers, and what it read of the others.
#[derive(Default)]
pub struct Done(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// The second in which each was asked for.
    seconds: HashMap<String, i64>,
    /// Oldest first.
    order: BTreeSet<(i64, String)>,
}

impl Done {
    /// Remembers what was done about something that was asked for then.
    pub fn note(&self, deed: Deed<'_>, asked_at: Timestamp) {
        self.memory().add(deed.key(), asked_at.as_second());
    }

    /// Whether it was done.
    pub fn knows(&self, deed: Deed<'_>) -> bool {
        self.memory().seconds.contains_key(&deed.key())
    }

    /// Learns what replicas wrote down, and forgets what is old. Returns what is to be written instead,
    /// if this one knows more.
    pub fn share(&self, written: &str, now: Timestamp) -> Option<String> {
        let written: BTreeMap<String, i64> = serde_json::from_str(written).unwrap_or_default();
        let oldest = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        let mut memory = self.memory();
        for (name, second) in &written {
            memory.add(name.clone(), *second);
        }
        memory.forget_before(oldest.as_second());
        let newest = memory.newest();
        let is_new = newest.keys().any(|name| !written.contains_key(*name));
        is_new.then(|| serde_json::to_string(&newest).unwrap_or_default())
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn add(&mut self, name: String, second: i64) {
        if self.seconds.contains_key(&name) {
            return;
        }
        self.order.insert((second, name.clone()));
        self.seconds.insert(name, second);
        while self.order.len() > MOST {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, name)) = self.order.pop_first() {
            self.seconds.remove(&name);
        }
    }

    fn forget_before(&mut self, second: i64) {
        while self.order.first().is_some_and(|(at, _)| *at < second) {
            self.forget_first();
        }
    }

    /// As many as a note holds.
    fn newest(&self) -> BTreeMap<&str, i64> {
        let mut left = NOTE;
        let fitting = self.order.iter().rev().map_while(|(second, name)| {
            left = left.checked_sub(name.len() + BESIDE)?;
            Some((name.as_str(), *second))
        });
        fitting.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let done = Done::default();
        let many = i64::try_from(MOST).expect("a number");
        for second in 0..=many {
            done.note(Deed::Built(&format!("app-{second}-c1")), at(second));
            done.note(Deed::Built("app-1-c1"), at(1));
        }
        assert!(!done.knows(Deed::Built("app-0-c1")));
        assert!(done.knows(Deed::Built("app-2-c1")));
        assert_eq!(done.memory().order.len(), MOST);
    }

    #[test]
    fn what_one_replica_wrote_the_other_one_knows_and_writes_no_more() {
        let (one, other) = (Done::default(), Done::default());
        one.note(Deed::Built("app-7-c1"), at(100));
        one.note(Deed::Answered("app-7-c2"), at(100));
        other.note(Deed::Pressed("72d3162e"), at(101));
        let now = at(200);
        let written = one.share("", now).expect("it is new");
        let both = other.share(&written, now).expect("it is new");
        assert_eq!(one.share(&both, now), None);
        assert_eq!(other.share(&both, now), None);
        for replica in [one, other] {
            assert!(replica.knows(Deed::Built("app-7-c1")));
            assert!(replica.knows(Deed::Answered("app-7-c2")));
            assert!(replica.knows(Deed::Pressed("72d3162e")));
            assert!(!replica.knows(Deed::Built("app-7-c2")), "it was answered");
        }
    }

    #[test]
    fn what_is_too_old_to_ask_for_anything_is_forgotten_and_not_learned_again() {
        let done = Done::default();
        done.note(Deed::Built("app-7-c1"), at(0));
        let later = at(KEPT.as_secs() + 1);
        assert_eq!(done.share("", later), None);
        assert!(!done.knows(Deed::Built("app-7-c1")));
        assert_eq!(done.share(r#"{"app-7-c1":0}"#, later), None);
        assert!(!done.knows(Deed::Built("app-7-c1")));
    }

    #[test]
    fn a_note_has_the_newest_and_an_end_and_what_nobody_can_read_is_written_anew() {
        let done = Done::default();
        for second in 0..10_000 {
            done.note(Deed::Built(&format!("app-{second}-c1")), at(second));
        }
        for unreadable in ["", "no JSON", "[1]", r#"{"app-1-c1":"yesterday"}"#] {
            let note = done.share(unreadable, at(10_000)).expect("it is new");
            assert!(note.len() <= NOTE && note.len() > NOTE / 2);
            assert!(note.contains("app-9999-c1") && !note.contains("app-0-c1"));
        }
    }
}
