//! What happens is written down before anything comes of it.

use protocol::worker::{
    agent::{Event, HeldState},
    wire::{Action, Instruction},
};

use super::{Daemon, say};
use crate::worker::{clock::steady, files::FileError};

impl Daemon {
    /// A heartbeat or a new session, asked for at that moment, brought this.
    pub(super) fn instructed(&mut self, sent: u64, verdicts: Vec<Instruction>) {
        let margin = self.link.timing().kill_margin_seconds;
        for instruction in verdicts {
            let lasts = |seconds: i64| lease_until(sent, seconds, margin);
            let lease_until = instruction.lease_seconds.map(lasts);
            if instruction.action != Action::Continue {
                self.shared.cancelled(&instruction.id);
            }
            self.happen(Event::Instructed {
                instruction,
                lease_until,
            });
        }
    }

    /// Writes an event down and carries out what comes of it. What cannot be written down now and does not
    /// come again by itself is kept until it can: the end of a run would hold its slot for ever.
    pub(super) fn happen(&mut self, event: Event) {
        let comes_again = matches!(
            event,
            Event::Offered { .. } | Event::Instructed { .. } | Event::Tick { .. }
        );
        self.catch_up();
        if let Err(error) = self.write_down(event.clone()) {
            let later = match comes_again {
                true => "",
                false => "; it is written down later",
            };
            say(&format!("the journal cannot be kept: {error}{later}"));
            if !comes_again {
                self.unwritten.push_back(event);
            }
        }
    }

    /// Writes down what could not be written down before, as far as that goes now.
    fn catch_up(&mut self) {
        while let Some(event) = self.unwritten.pop_front() {
            let event = match event {
                Event::Accepted {
                    id, lease_until, ..
                } => Event::Accepted {
                    id,
                    lease_until,
                    now: steady(),
                },
                event => event,
            };
            if self.write_down(event.clone()).is_err() {
                self.unwritten.push_front(event);
                return;
            }
        }
    }

    fn write_down(&mut self, event: Event) -> Result<(), FileError> {
        let commands = self.book.on(event)?;
        self.tell_running();
        commands
            .into_iter()
            .for_each(|command| self.carry_out(command));
        Ok(())
    }

    /// Tells the other threads what is held, and what is left for more.
    pub(super) fn tell_running(&self) {
        let journal = self.book.journal();
        let mut held = journal.held.values();
        let accepting = held.any(|held| held.state == HeldState::Accepting);
        let free = self.slots().saturating_sub(self.book.busy());
        self.shared.set_held(journal.running(), free, accepting);
    }

    /// Runs that the owner lets it take at a time.
    pub(super) fn slots(&self) -> usize {
        usize::try_from(self.site.config.slots).unwrap_or(1)
    }
}

/// When a lease ends: counted from when the request was sent, less the time that killing takes.
pub(super) fn lease_until(sent: u64, seconds: i64, margin: u64) -> u64 {
    let seconds = u64::try_from(seconds).unwrap_or_default();
    sent + seconds.saturating_sub(margin) * 1000
}
