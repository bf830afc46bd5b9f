//! Whose delivery is decided now. So many are at a time, and of what one person wrote or pressed only a
//! few: anybody can write comments, and nobody is to wait behind somebody else's flood of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::event::{Event, What};

/// Deliveries that are decided at a time.
const MOST: usize = 100;
/// Of these, comments and presses of one person.
const OF_ONE: usize = 4;
/// The longest that a delivery waits for its turn. What is left of [`LIMIT`](crate::handle::LIMIT) is
/// for its decision.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// The places in which deliveries are decided.
pub struct Turns {
    all: Semaphore,
    /// By numeric id, of those who wait or are decided.
    people: Mutex<HashMap<i64, Arc<Semaphore>>>,
}

/// The right to decide one delivery.
pub struct Turn<'a> {
    _all: SemaphorePermit<'a>,
    _one: Option<OwnedSemaphorePermit>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            all: Semaphore::new(MOST),
            people: Mutex::default(),
        }
    }
}

impl Turns {
    /// The turn of an event; none when it does not come for so long.
    pub async fn of(&self, event: &Event, patience: Duration) -> Option<Turn<'_>> {
        let waiting = async {
            // First the person's own, so that a flood holds none of everybody's.
            let one = match is_for_anybody(&event.what) {
                true => Some(self.person(event.sender.id).acquire_owned().await.ok()?),
                false => None,
            };
            Some(Turn {
                _all: self.all.acquire().await.ok()?,
                _one: one,
            })
        };
        tokio::time::timeout(patience, waiting).await.ok()?
    }

    fn person(&self, id: i64) -> Arc<Semaphore> {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        people.retain(|_, turns| Arc::strong_count(turns) > 1);
        let turns = people.entry(id);
        turns
            .or_insert_with(|| Arc::new(Semaphore::new(OF_ONE)))
            .clone()
    }
}

/// Whether people without any right can do it. Labels take a right, and come in bursts.
fn is_for_anybody(what: &What) -> bool {
    matches!(what, What::Commented { .. } | What::Pressed(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Less patience than anybody has.
    const SHORT: Duration = Duration::from_millis(10);

    fn comment_by(id: i64) -> Event {
        let user = serde_json::json!({ "id": id, "login": "somebody", "type": "User" });
        Event {
            repository: 1,
            full_name: "o/r".to_owned(),
            number: Some(7),
            sender: serde_json::from_value(user).expect("a user"),
            what: What::Commented {
                id: 1,
                body: "/prbuild run".to_owned(),
            },
        }
    }

    #[tokio::test]
    async fn a_flood_of_one_person_waits_for_itself_and_for_nobody_else() {
        let turns = Turns::default();
        let (stranger, developer) = (comment_by(1), comment_by(2));
        let mut held = Vec::new();
        for _ in 0..OF_ONE {
            held.push(turns.of(&stranger, PATIENCE).await.expect("a turn"));
        }
        assert!(turns.of(&stranger, SHORT).await.is_none());
        assert!(turns.of(&developer, PATIENCE).await.is_some());
        held.pop();
        assert!(turns.of(&stranger, PATIENCE).await.is_some());
        held.clear();
        drop(turns.of(&developer, PATIENCE).await);
        assert!(turns.people.lock().expect("a lock").len() <= 1);
    }

    #[tokio::test]
    async fn one_more_than_are_decided_at_a_time_waits_for_its_turn_and_not_for_ever() {
        let turns = Turns::default();
        let people: Vec<Event> = (0..).take(1 + MOST).map(comment_by).collect();
        let mut held = Vec::new();
        for person in &people[1..] {
            held.push(turns.of(person, PATIENCE).await.expect("a turn"));
        }
        assert!(turns.of(&people[0], SHORT).await.is_none());
        let (next, ()) = tokio::join!(turns.of(&people[0], PATIENCE), async { drop(held.pop()) });
        assert!(next.is_some());
    }
}
