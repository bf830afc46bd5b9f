//! What cannot be decided yet, and when it is looked at again: after one look, two, four, …

use std::collections::HashMap;
use std::hash::Hash;

/// The longest pause before something is looked at again, in looks.
const LONGEST_PAUSE: u32 = 16;

/// Things that wait for another look, by what tells them apart.
#[derive(Debug)]
pub struct Undecided<K, T> {
    waiting: HashMap<K, Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    thing: T,
    pause: u32,
    left: u32,
}

impl<K, T> Default for Undecided<K, T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, T: Clone> Undecided<K, T> {
    /// A look has come: what is to be looked at now.
    pub fn due(&mut self) -> HashMap<K, T> {
        let mut due = HashMap::new();
        for (key, waiting) in &mut self.waiting {
            waiting.left = waiting.left.saturating_sub(1);
            if waiting.left == 0 {
                due.insert(key.clone(), waiting.thing.clone());
            }
        }
        due
    }

    /// It could not be decided, once more.
    pub fn again(&mut self, key: K, thing: T) {
        let pause = self.waiting.get(&key).map_or(1, |known| known.pause * 2);
        let pause = pause.min(LONGEST_PAUSE);
        let waiting = Waiting {
            thing,
            pause,
            left: pause,
        };
        self.waiting.insert(key, waiting);
    }

    /// Everything that waits.
    pub fn waiting(&self) -> impl Iterator<Item = &T> {
        self.waiting.values().map(|waiting| &waiting.thing)
    }

    /// Gives up on everything else.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.waiting.retain(|_, waiting| keep(&waiting.thing));
    }

    /// It is decided.
    pub fn done(&mut self, key: &K) {
        self.waiting.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_undecided_is_looked_at_less_and_less_often_and_never_forgotten() {
        let mut undecided = Undecided::default();
        undecided.again(1, "a");
        let mut looked = Vec::new();
        for look in 1..=63 {
            if undecided.due().contains_key(&1) {
                looked.push(look);
                undecided.again(1, "a");
            }
        }
        assert_eq!(looked, [1, 3, 7, 15, 31, 47, 63]);
        undecided.done(&1);
        assert!((0..20).all(|_| undecided.due().is_empty()));
    }

    #[test]
    fn what_is_given_up_does_not_come_back() {
        let mut undecided = Undecided::default();
        undecided.again(1, "old");
        undecided.again(2, "new");
        undecided.retain(|thing| *thing == "new");
        assert_eq!(undecided.waiting().collect::<Vec<_>>(), [&"new"]);
        assert_eq!(undecided.due().len(), 1);
    }
}
