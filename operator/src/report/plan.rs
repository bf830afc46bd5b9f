//! What to tell GitHub next: the desired state of every commit status, and the order and pace in
//! which differences are sent. Pure: time comes in, requests go out.
//!
//! For each (repository, SHA, context) the newest run speaks; what an older one says is dropped, and
//! a pending state that was overtaken is never sent. At most one request for a target is under way,
//! so answers cannot overtake each other. Comments wait in the same lanes, behind all of that.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    entry::{Entry, Waiter, Want},
    lane::{self, Item, Lane, Rank},
    pace::Cost,
    target::{CommitStatus, Order, Sent, Standing, Target},
};

/// How long a target is remembered after its last news: so long does a late result of an older run
/// find out that it is late.
pub const REMEMBER: Duration = Duration::from_secs(15 * 60);

/// The same for a target with many statuses, which GitHub takes only a thousand of.
const REMEMBER_MANY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many are many.
const MANY: u32 = 100;

/// Targets that are remembered although nothing is to be sent; beyond, the oldest are forgotten.
pub const REMEMBER_MOST: usize = 20_000;

/// Answers "not found" to a result after which that is believed: about an hour, for an App that is being reinstalled.
/// Tries that failed in another way are not among them.
pub const MISSING_TRIES: u32 = 16;

/// What GitHub said to one status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It took the state.
    Taken,
    /// It took the state, as the check run with this id.
    Stands(i64),
    /// It was not asked: soon it takes no more, and this is no result.
    Spared,
    /// It will never take it: no such commit, or no more statuses for this context.
    Never(String),
    /// It knows no such repository, or does not show it to this connection.
    Missing(String),
    /// The connection may not write statuses here.
    Denied(String),
    /// Not before this time is over.
    Limited(Duration, String),
    /// No answer that can be relied on; the state may have been taken.
    Unavailable(String),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Send this there, now. The last says what is known of the check run that stands there.
    Send(Arc<Target>, CommitStatus, Standing),
    /// Whoever has this number speaks now, by this connection.
    Talk(u64, String),
    /// Nothing before this moment, unless something is told or answered.
    Wait(Instant),
    /// Nothing, until something is told or answered.
    Idle,
}

/// Waiters, and how the state that they wait for ended.
pub type Resolved<T> = Vec<(T, Sent)>;

/// All targets and the lanes that they are sent on. `T` is whoever waits for an answer.
pub struct Plan<T> {
    targets: HashMap<Arc<Target>, Entry<T>>,
    lanes: BTreeMap<String, Lane>,
    /// Targets that want nothing, by when they are forgotten.
    quiet: BTreeMap<(Instant, u64), Arc<Target>>,
    next_number: u64,
}

impl<T> Default for Plan<T> {
    fn default() -> Self {
        Self {
            targets: HashMap::new(),
            lanes: BTreeMap::new(),
            quiet: BTreeMap::new(),
            next_number: 0,
        }
    }
}

impl<T: Waiter> Plan<T> {
    /// Takes a state that a run wants to stand. Answers at once those whom it concerns: the waiters
    /// of a state that this one replaces, and the teller itself when there is nothing to send.
    pub fn tell(
        &mut self,
        now: Instant,
        target: Target,
        order: Order,
        status: CommitStatus,
        waiter: T,
    ) -> Resolved<T> {
        let target = Arc::new(target);
        let entry = self
            .targets
            .entry(Arc::clone(&target))
            .or_insert_with(|| Entry::new(&order));
        if entry.is_late(&order, &status) {
            return vec![(waiter, Sent::Superseded)];
        }
        entry.newest = order.clone();
        let want = Want::new(order, status, waiter);
        let resolved = entry.want(want);
        self.arrange(now, &target, None);
        resolved
    }

    /// Learns what stands for a target that nothing is known of yet.
    pub fn stands(&mut self, target: &Target, order: &Order, standing: Standing) {
        if !self.targets.contains_key(target) {
            let mut entry = Entry::new(order);
            entry.standing = standing;
            self.targets.insert(Arc::new(target.clone()), entry);
        }
    }

    /// Learns how many statuses GitHub has for a target.
    pub fn counted(&mut self, target: &Target, count: u32) {
        if let Some(entry) = self.targets.get_mut(target) {
            entry.counted(count);
        }
    }

    /// The id of the check run that stands for a target, as far as it is remembered.
    pub fn check_id(&self, target: &Target) -> Option<i64> {
        self.targets.get(target)?.standing.id
    }

    /// Puts somebody into the line who speaks on a pull request. Answers with their number.
    pub fn ask(&mut self, connection: &str, cost: Cost) -> u64 {
        self.next_number += 1;
        let lane = self.lanes.entry(connection.to_owned()).or_default();
        lane.enqueue(
            self.next_number,
            Item::Talk(cost),
            Rank::of_talk(cost),
            None,
        );
        self.next_number
    }

    /// Takes GitHub's answer to what was said; none where it says nothing of the others.
    pub fn talked(&mut self, now: Instant, connection: &str, reply: Option<&Reply>) {
        if let Some(lane) = self.lanes.get_mut(connection) {
            match reply {
                Some(reply) => lane.landed(now, reply),
                None => lane.ended(),
            }
        }
    }

    /// The next request, if one may be made now.
    pub fn next(&mut self, now: Instant) -> Next {
        self.forget(now);
        let mut wake = self.quiet.keys().next().map(|(until, _)| *until);
        for (connection, lane) in &mut self.lanes {
            match lane.next(now) {
                Ok((number, Item::Talk(_))) => return Next::Talk(number, connection.clone()),
                Ok((_, Item::Status(target))) => {
                    let found = self.targets.get_mut(&target).and_then(Entry::depart);
                    if let Some((status, standing)) = found {
                        return Next::Send(target, status, standing);
                    }
                }
                Err(Some(at)) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
                Err(None) => {}
            }
        }
        wake.map_or(Next::Idle, Next::Wait)
    }

    /// Takes GitHub's answer to a request that [`next`](Self::next) gave out.
    pub fn done(&mut self, now: Instant, target: &Arc<Target>, reply: Reply) -> Resolved<T> {
        self.lanes
            .entry(target.connection.clone())
            .or_default()
            .landed(now, &reply);
        let Some(entry) = self.targets.get_mut(target) else {
            return Vec::new();
        };
        entry.count(&reply);
        let reply = match reply {
            Reply::Missing(why) if entry.missing >= MISSING_TRIES => Reply::Never(why),
            other => other,
        };
        let later = lane::back_off(&reply, entry.tries).map(|wait| now + wait);
        let resolved = entry.land(reply);
        self.arrange(now, target, later);
        resolved
    }

    /// Sets the least time between two requests of a connection, as its remaining budget asks for,
    /// and whether it has limits at all.
    pub fn pace(&mut self, connection: &str, spacing: Duration, limited: bool) {
        if let Some(lane) = self.lanes.get_mut(connection) {
            lane.pace(spacing, limited);
        }
    }

    /// Forgets that a connection was refused something, and lets all that backs off go at once.
    pub fn try_again(&mut self, connection: &str) {
        let of_it = |target: &Target| target.connection == connection;
        let entries = self.targets.iter_mut();
        entries
            .filter(|(target, _)| of_it(target))
            .for_each(|(_, entry)| (entry.tries, entry.missing) = (0, 0));
        if let Some(lane) = self.lanes.get_mut(connection) {
            lane.release(None);
        }
    }

    /// Why the last try for a target did not succeed, as long as it is being tried.
    pub fn trouble(&self, target: &Target) -> Option<&str> {
        self.targets
            .get(target)
            .and_then(|entry| entry.trouble.as_deref())
    }

    /// How many wait for their turn, by connection.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, usize)> {
        self.lanes
            .iter()
            .map(|(connection, lane)| (connection.as_str(), lane.waiting()))
    }

    /// Targets that are known at all.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether no target is known.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Gives a target the place that fits what it wants: in its lane, on the way, or at rest.
    fn arrange(&mut self, now: Instant, target: &Arc<Target>, later: Option<Instant>) {
        self.next_number += 1;
        let number = self.next_number;
        let Some(entry) = self.targets.get_mut(target) else {
            return;
        };
        if let Some(quiet) = entry.quiet.take() {
            self.quiet.remove(&quiet);
        }
        match (entry.wanted(), entry.is_under_way()) {
            (_, true) => {}
            (Some(is_final), false) => {
                let lane = self.lanes.entry(target.connection.clone()).or_default();
                let number = *entry.place.get_or_insert(number);
                let rank = if is_final { Rank::Final } else { Rank::Pending };
                lane.enqueue(number, Item::Status(Arc::clone(target)), rank, later);
            }
            (None, false) => {
                if let Some(place) = entry.place.take()
                    && let Some(lane) = self.lanes.get_mut(&target.connection)
                {
                    lane.remove(place);
                }
                let remember = if entry.sent < MANY {
                    REMEMBER
                } else {
                    REMEMBER_MANY
                };
                let until = now + remember;
                entry.quiet = Some((until, number));
                self.quiet.insert((until, number), Arc::clone(target));
            }
        }
    }

    /// Forgets targets that came to rest long ago.
    fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.quiet.first_entry()
            && (oldest.key().0 <= now || self.targets.len() > REMEMBER_MOST)
        {
            self.targets.remove(&oldest.remove());
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
