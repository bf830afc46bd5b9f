//! Keeps agents of one gateway from running after the same assignment: a hint, and nothing that is true. What is
//! true is decided by compare-and-swap.
//!
//! An assignment of a pool is offered to one of its workers at a time, for a moment. Two that want the same take
//! turns, so that the second learns from memory, and not from the cluster, that it is taken.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an assignment is offered to one worker alone. An agent answers at once.
const ALONE: Duration = Duration::from_millis(250);
/// Assignments that may be asked for at the same time without waiting for each other.
const LINES: usize = 64;

/// Whose turn it is.
pub struct Turns {
    lines: [tokio::sync::Mutex<()>; LINES],
    hasher: RandomState,
    offered: Mutex<HashMap<String, (String, Instant)>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            lines: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            hasher: RandomState::new(),
            offered: Mutex::default(),
        }
    }
}

impl Turns {
    /// Waits until nobody else asks for this assignment here.
    pub async fn of(&self, id: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let line = self.hasher.hash_one(id) % LINES as u64;
        let line = usize::try_from(line).unwrap_or_default();
        self.lines[line].lock().await
    }

    /// Offers an assignment to a worker.
    ///
    /// # Errors
    /// Until when it is offered to another one.
    pub fn offer(&self, id: &str, worker: &str) -> Result<(), Instant> {
        let now = Instant::now();
        let mut offered = self.offered();
        match offered.get(id) {
            Some((other, until)) if other != worker && *until > now => return Err(*until),
            Some((other, until)) if other == worker && *until > now => return Ok(()),
            _ => {}
        }
        offered.retain(|_, (_, until)| *until > now);
        offered.insert(id.to_owned(), (worker.to_owned(), now + ALONE));
        Ok(())
    }

    /// A worker does not want what it was offered.
    pub fn declined(&self, id: &str) {
        self.offered().remove(id);
    }

    fn offered(&self) -> MutexGuard<'_, HashMap<String, (String, Instant)>> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_assignment_is_one_workers_for_a_moment_and_then_the_next_ones() {
        let turns = Turns::default();
        assert_eq!(turns.offer("a", "mac-1"), Ok(()));
        assert_eq!(turns.offer("a", "mac-1"), Ok(()), "its answer was lost");
        let until = turns.offer("a", "mac-2").unwrap_err();
        assert!(until > Instant::now());
        assert_eq!(turns.offer("b", "mac-2"), Ok(()), "there is another one");
        tokio::time::sleep_until(until).await;
        assert_eq!(turns.offer("a", "mac-2"), Ok(()));
        turns.declined("a");
        assert_eq!(turns.offer("a", "mac-3"), Ok(()), "at once");
    }

    #[tokio::test]
    async fn who_asks_for_the_same_waits_for_its_turn() {
        let turns = Turns::default();
        let first = turns.of("a").await;
        let waits = tokio::time::timeout(Duration::ZERO, turns.of("a"));
        assert!(waits.await.is_err());
        drop(first);
        drop(turns.of("a").await);
    }
}
