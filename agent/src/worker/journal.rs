//! The journal: which runs were begun here, and what is held. It is on the disk before any command that
//! comes of it is carried out, so that no crash starts a run twice.

use protocol::worker::{
    agent::{Command, Event, HeldState, Journal},
    wire::Action,
};

use super::{
    files::{self, FileError},
    layout::Layout,
};

/// Runs that the journal remembers. An assignment expires within the hour; two thousand are days even where
/// many short ones run at a time. It is written with each step that a run makes, so it stays small.
const REMEMBERED: usize = 2_000;

/// The journal and its file.
#[derive(Debug)]
pub struct Book {
    journal: Journal,
    layout: Layout,
}

impl Book {
    /// Opens the journal; answers what is left to do of an earlier start, when nothing of that runs
    /// any more.
    pub fn open(layout: &Layout) -> Result<(Self, Vec<Command>), FileError> {
        let journal: Option<Journal> = files::read_json(&layout.own("journal.json"))?;
        let mut book = Self {
            journal: journal.unwrap_or_default(),
            layout: layout.clone(),
        };
        let commands = book.journal.restarted();
        book.write(true)?;
        Ok((book, commands))
    }

    /// What is to be done about an event. An event that could not be written down has not happened.
    pub fn on(&mut self, event: Event) -> Result<Vec<Command>, FileError> {
        // Once a second, and what is remembered is long.
        if matches!(event, Event::Tick { .. }) && self.journal.held.is_empty() {
            return Ok(Vec::new());
        }
        // After a power cut nothing runs: what was only asked for, or was told to stop, may be forgotten. No
        // disk is waited for twice before an offer is answered, nor with each heartbeat.
        let lasts = !matches!(event, Event::Offered { .. } | Event::Instructed { .. });
        let is_lease = matches!(&event, Event::Instructed { instruction, .. }
            if instruction.action == Action::Continue);
        let mut next = self.journal.clone();
        let commands = next.on(event);
        if is_lease {
            // It comes of nothing but the clock, and after a restart no lease counts: what ran has ended.
            self.journal = next;
        } else if next != self.journal {
            let before = std::mem::replace(&mut self.journal, next);
            if let Err(error) = self.write(lasts) {
                self.journal = before;
                return Err(error);
            }
        }
        Ok(commands)
    }

    /// What stands in it.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Runs that take a slot: asked for, running, or being stopped.
    pub fn busy(&self) -> usize {
        let mut states = self.journal.held.values().map(|held| held.state);
        let first = states.by_ref().filter(|state| *state != HeldState::Done);
        first.count()
    }

    fn write(&mut self, lasts: bool) -> Result<(), FileError> {
        let beyond = self.journal.begun.len().saturating_sub(REMEMBERED);
        self.journal.begun.drain(..beyond);
        let path = self.layout.own("journal.json");
        files::write_compact(&path, &self.journal)?;
        match lasts {
            true => files::settle(&path),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::worker::{assignment::RunId, wire::Instruction};

    use super::*;
    use crate::testing::Scratch;

    fn continues(id: &str, lease_until: u64) -> Event {
        let instruction = Instruction {
            id: id.to_owned(),
            action: Action::Continue,
            lease_seconds: None,
            reason: None,
        };
        let lease_until = Some(lease_until);
        Event::Instructed {
            instruction,
            lease_until,
        }
    }

    #[test]
    fn what_began_is_on_the_disk_and_a_lease_is_not_written_with_each_heartbeat() {
        let scratch = Scratch::new();
        let layout = Layout::new(scratch.root());
        layout.make_own().unwrap();
        let (mut book, left) = Book::open(&layout).unwrap();
        assert!(left.is_empty());
        let run = RunId {
            name: "app-12-mac".into(),
            uid: "uid".into(),
            attempt: 1,
        };
        let (id, pool) = ("a".to_owned(), true);
        let offered = Event::Offered { id, run, pool };
        let asked = book.on(offered.clone()).unwrap();
        assert_eq!(asked, [Command::Accept("a".into())]);
        let (id, lease_until, now) = ("a".to_owned(), 1_000, 0);
        let accepted = Event::Accepted {
            id,
            lease_until,
            now,
        };
        assert_eq!(book.on(accepted).unwrap(), [Command::Start("a".into())]);
        let file = layout.own("journal.json");
        let written = std::fs::read(&file).unwrap();
        book.on(continues("a", 9_000)).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), written);
        let tick = |now| Event::Tick { now };
        assert!(book.on(tick(8_000)).unwrap().is_empty(), "it has the lease");
        assert_eq!(book.on(tick(9_000)).unwrap(), [Command::Stop("a".into())]);
        drop(book);
        let (mut book, left) = Book::open(&layout).unwrap();
        assert_eq!(left, [Command::Deliver("a".into())]);
        book.on(Event::Delivered {
            id: "a".into(),
            answer: Ok(()),
        })
        .unwrap();
        let again = book.on(offered).unwrap();
        assert!(matches!(&again[..], [Command::Decline(..)]), "{again:?}");
    }
}
