//! Pure: who is next. First come, first served, with requesters taking turns.

use std::collections::HashMap;

use jiff::Timestamp;

/// A run that waits for a slot of one builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// uid of the run.
    pub uid: String,
    /// Numeric GitHub id of the person who asked.
    pub requester: i64,
    /// When the run was made.
    pub created: Timestamp,
    /// Its name: the tie-break within one second.
    pub name: String,
}

/// A run that holds a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// uid of the run.
    pub uid: String,
    /// Who asked for it, where the run is still known.
    pub requester: Option<i64>,
}

/// Who gets a slot, and who waits behind how many.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// uids of runs that may have their Job, in order.
    pub grants: Vec<String>,
    /// uids of runs that wait on, each with the number of runs before it.
    pub places: Vec<(String, i32)>,
}

/// What a run waits for whose builder, of this display name, is paused.
pub fn paused(builder: &str) -> String {
    format!("`{builder}` is paused")
}

/// What a run waits for that has so many before it.
pub fn place(builder: &str, ahead: i32) -> String {
    match ahead {
        0 => format!("next on `{builder}`"),
        ahead => format!("{ahead} ahead on `{builder}`"),
    }
}

/// Hands out the free slots of one builder. A waiter that already holds a slot gets it again: its
/// grant was written down and then forgotten by a restart.
pub fn admit(limit: i64, holders: &[Holder], waiters: &[Waiter]) -> Decision {
    let held = |waiter: &&Waiter| holders.iter().any(|holder| holder.uid == waiter.uid);
    let (again, waiting): (Vec<&Waiter>, Vec<&Waiter>) = waiters.iter().partition(held);
    let limit = usize::try_from(limit).unwrap_or(0);
    let free = limit.saturating_sub(holders.len());
    let line = line(holders, waiting);
    let (now, later) = line.split_at(free.min(line.len()));
    Decision {
        grants: again
            .iter()
            .chain(now)
            .map(|waiter| waiter.uid.clone())
            .collect(),
        places: later
            .iter()
            .zip(0..)
            .map(|(waiter, ahead)| (waiter.uid.clone(), ahead))
            .collect(),
    }
}

/// The waiting line: everybody's first before anybody's second, and so on; a run that holds a slot
/// counts as its requester's earlier turn.
fn line<'a>(holders: &[Holder], mut waiting: Vec<&'a Waiter>) -> Vec<&'a Waiter> {
    waiting.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let mut turns: HashMap<i64, usize> = HashMap::new();
    for requester in holders.iter().filter_map(|holder| holder.requester) {
        *turns.entry(requester).or_default() += 1;
    }
    let mut line: Vec<(usize, &Waiter)> = waiting
        .into_iter()
        .map(|waiter| {
            let turn = turns.entry(waiter.requester).or_default();
            *turn += 1;
            (*turn, waiter)
        })
        .collect();
    line.sort_by_key(|(turn, _)| *turn);
    line.into_iter().map(|(_, waiter)| waiter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(uid: &str, requester: i64, second: i64) -> Waiter {
        let created = Timestamp::from_second(second).unwrap();
        Waiter {
            uid: uid.into(),
            requester,
            created,
            name: uid.into(),
        }
    }

    fn holder(uid: &str, requester: i64) -> Holder {
        Holder {
            uid: uid.into(),
            requester: Some(requester),
        }
    }

    #[test]
    fn the_limit_holds_and_the_first_come_is_first_served() {
        let waiters = [waiter("c", 1, 3), waiter("a", 1, 1), waiter("b", 1, 2)];
        let decision = admit(2, &[holder("x", 1)], &waiters);
        assert_eq!(decision.grants, ["a"]);
        assert_eq!(decision.places, [("b".into(), 0), ("c".into(), 1)]);
        assert!(admit(1, &[holder("x", 1)], &waiters).grants.is_empty());
        assert!(
            admit(1, &[holder("x", 1), holder("y", 1)], &waiters)
                .grants
                .is_empty()
        );
    }

    #[test]
    fn one_person_with_many_runs_does_not_keep_another_waiting() {
        let mut waiters: Vec<_> = (0..50)
            .map(|n| waiter(&format!("ada{n:02}"), 1, n))
            .collect();
        waiters.push(waiter("bob", 2, 100));
        let decision = admit(2, &[], &waiters);
        assert_eq!(decision.grants, ["ada00", "bob"]);
        let decision = admit(2, &[holder("ada99", 1)], &waiters);
        assert_eq!(decision.grants, ["bob"], "ada already has a turn");
    }

    #[test]
    fn a_grant_that_a_restart_forgot_is_given_again_and_takes_no_second_slot() {
        let waiters = [waiter("a", 1, 1), waiter("b", 1, 2)];
        let decision = admit(1, &[holder("a", 1)], &waiters);
        assert_eq!(decision.grants, ["a"]);
        assert_eq!(decision.places, [("b".into(), 0)]);
    }
}
