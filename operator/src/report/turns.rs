//! Those who wait for their turn to speak on a pull request, by their number in the line.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Those who wait for their turn.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<u64, oneshot::Sender<()>>>);

impl Turns {
    /// Puts somebody into the line with `ask`, which answers with their number. As soon as they stand there it may
    /// be their turn: so nobody is given one before it is known here who they are.
    pub fn wait(&self, ask: impl FnOnce() -> u64) -> oneshot::Receiver<()> {
        let (sender, mine) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.insert(ask(), sender);
        mine
    }

    /// Lets somebody speak. Says whether they were still there.
    pub fn give(&self, number: u64) -> bool {
        let waits = self.lock().remove(&number);
        waits.is_some_and(|waits| waits.send(()).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_turn_is_given_to_somebody_in_the_line_who_is_not_known_yet() {
        let turns = Turns::default();
        let mut mine = turns.wait(|| {
            // The line has the number from here on, and another task gives it its turn.
            assert!(turns.0.try_lock().is_err(), "the turn would be lost");
            7
        });
        assert!(mine.try_recv().is_err(), "nobody gave it");
        assert!(turns.give(7));
        assert_eq!(mine.try_recv(), Ok(()));
    }

    #[test]
    fn who_went_away_is_passed_over() {
        let turns = Turns::default();
        drop(turns.wait(|| 7));
        assert!(!turns.give(7));
        assert!(!turns.give(8), "nobody has this number");
    }
}
