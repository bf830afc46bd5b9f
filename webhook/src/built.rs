//! Which events this process has built. A label comes off when its build is there, but a command and a
//! press stay what they are: when somebody deletes their build, it is this memory that keeps a delivery
//! which comes once more, or the sweep, from building them again.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Names that are remembered; the oldest go first. A day has seldom as many builds.
const MOST: usize = 20_000;

/// Names of the builds that were stored.
#[derive(Default)]
pub struct Built(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    names: HashSet<String>,
    /// Oldest first.
    order: VecDeque<String>,
}

impl Built {
    /// Remembers a build.
    pub fn note(&self, name: &str) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !memory.names.insert(name.to_owned()) {
            return;
        }
        memory.order.push_back(name.to_owned());
        if memory.order.len() > MOST
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.names.remove(&oldest);
        }
    }

    /// Whether a build was stored.
    pub fn knows(&self, name: &str) -> bool {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_builds_are_forgotten_first() {
        let built = Built::default();
        for number in 0..=MOST {
            built.note(&format!("app-{number}-c1"));
            built.note("app-1-c1");
        }
        assert!(!built.knows("app-0-c1") && built.knows("app-2-c1"));
        assert_eq!(built.0.lock().unwrap().order.len(), MOST);
    }
}
