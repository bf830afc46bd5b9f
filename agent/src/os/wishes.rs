//! Wishes to stop, counted, where the system takes one handler for all of a process: whoever begins to listen
//! after the first wish hears the second one.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Wishes that were heard so far. Clones count the same ones.
#[derive(Clone, Debug, Default)]
pub struct Wishes(Arc<AtomicU32>);

impl Wishes {
    /// One more.
    pub fn wish(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Somebody who listens from now on.
    pub fn listen(&self) -> Listener {
        Listener {
            wishes: self.clone(),
            known: self.count(),
        }
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Hears the wishes that come after it was made.
#[derive(Debug)]
pub struct Listener {
    wishes: Wishes,
    known: u32,
}

impl Listener {
    /// Whether there was one, now or before.
    pub fn has_heard(&self) -> bool {
        self.wishes.count() != self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_after_the_first_wish_hears_the_second_one() {
        let wishes = Wishes::default();
        let first = wishes.listen();
        assert!(!first.has_heard());
        wishes.wish();
        let second = wishes.listen();
        assert!(first.has_heard() && !second.has_heard());
        wishes.wish();
        assert!(first.has_heard() && second.has_heard());
    }
}
