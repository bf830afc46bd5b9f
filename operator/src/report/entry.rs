//! One commit status or check run: what its newest run wants, what is under way, what GitHub took.
//! Pure.

use std::time::Instant;

use github::StatusState;

use super::{
    plan::{Reply, Resolved},
    target::{CommitStatus, Order, Sent, Standing},
};

/// Statuses of one commit and context after which pending states are left out: GitHub takes a
/// thousand, and the last ones are for results.
pub const RESULTS_ONLY_AFTER: u32 = 980;

/// Whoever waits for a state to be taken.
pub trait Waiter {
    /// Whether it does not wait any more.
    fn gave_up(&self) -> bool;
}

/// What is known of one target.
pub struct Entry<T> {
    /// The newest run that spoke.
    pub newest: Order,
    /// The last state that GitHub took.
    pub taken: Option<(Order, CommitStatus)>,
    /// Its number in the line of its lane.
    pub place: Option<u64>,
    /// Tries in a row that failed.
    pub tries: u32,
    /// Answers since the last good one that GitHub knows no such repository, to a result.
    pub missing: u32,
    /// Why the last one did.
    pub trouble: Option<String>,
    /// When it is forgotten, wanting nothing: its key in the plan.
    pub quiet: Option<(Instant, u64)>,
    /// Statuses that GitHub took, or may have taken.
    pub sent: u32,
    /// The check run that stands.
    pub standing: Standing,
    /// The build whose result that check run has.
    ended_by: Option<String>,
    want: Option<Want<T>>,
    flight: Option<Want<T>>,
    /// Why GitHub will never take a state of this run.
    settled: Option<(Order, String)>,
}

/// A state that a run wants to stand.
pub struct Want<T> {
    order: Order,
    status: CommitStatus,
    waiters: Vec<T>,
}

impl<T> Want<T> {
    /// A state that one waits for.
    pub fn new(order: Order, status: CommitStatus, waiter: T) -> Self {
        Self {
            order,
            status,
            waiters: vec![waiter],
        }
    }

    /// Whether this says to GitHub what that would say. Of a run that is pending, one line is enough.
    fn says(&self, that: &Self) -> bool {
        says((&self.order, &self.status), (&that.order, &that.status))
    }

    fn resolve(self, sent: &Sent) -> Resolved<T> {
        self.waiters
            .into_iter()
            .map(|waiter| (waiter, sent.clone()))
            .collect()
    }
}

fn says(this: (&Order, &CommitStatus), that: (&Order, &CommitStatus)) -> bool {
    this.1 == that.1 || (this.0 == that.0 && !this.1.is_final() && this.1.state == that.1.state)
}

impl<T: Waiter> Entry<T> {
    /// A target of which nothing is known but who speaks.
    pub fn new(order: &Order) -> Self {
        Self {
            newest: order.clone(),
            taken: None,
            place: None,
            tries: 0,
            missing: 0,
            trouble: None,
            quiet: None,
            sent: 0,
            standing: Standing::default(),
            ended_by: None,
            want: None,
            flight: None,
            settled: None,
        }
    }

    /// Whether a request is under way.
    pub fn is_under_way(&self) -> bool {
        self.flight.is_some()
    }

    /// Whether a state waits to be sent, and whether it is a final one.
    pub fn wanted(&self) -> Option<bool> {
        self.want.as_ref().map(|want| want.status.is_final())
    }

    /// Whether a state comes too late: a newer run has spoken, or this one has already ended. So does
    /// a pending one where GitHub soon takes no more.
    pub fn is_late(&self, order: &Order, status: &CommitStatus) -> bool {
        let ended = |said: Option<(&Order, &CommitStatus)>| {
            said.is_some_and(|(by, said)| by == order && said.is_final())
        };
        let want = self.want.as_ref().map(|want| (&want.order, &want.status));
        let flight = self
            .flight
            .as_ref()
            .map(|flight| (&flight.order, &flight.status));
        let taken = self.taken.as_ref().map(|(order, status)| (order, status));
        let spared = self.sent >= RESULTS_ONLY_AFTER;
        *order < self.newest
            || (!status.is_final() && (spared || ended(want) || ended(flight) || ended(taken)))
    }

    /// Takes a state that is not late. What waited until now is replaced.
    pub fn want(&mut self, mut new: Want<T>) -> Resolved<T> {
        let mut resolved = Vec::new();
        if let Some(mut old) = self.want.take() {
            if old.says(&new) {
                old.waiters.retain(|waiter| !waiter.gave_up());
                old.waiters.append(&mut new.waiters);
                new.waiters = old.waiters;
            } else {
                resolved = old.resolve(&Sent::Superseded);
            }
        }
        match &mut self.flight {
            Some(flight) if flight.says(&new) => {
                flight.order = new.order;
                flight.waiters.retain(|waiter| !waiter.gave_up());
                flight.waiters.append(&mut new.waiters);
            }
            _ => {
                self.want = Some(new);
                resolved.append(&mut self.drop_superfluous());
            }
        }
        resolved
    }

    /// Sends what waits: from now on it is under way.
    pub fn depart(&mut self) -> Option<(CommitStatus, Standing)> {
        self.place = None;
        let want = self.want.take()?;
        let ended = self.ended_by.as_ref();
        if ended.is_some_and(|build| *build != want.order.build) {
            // What has ended keeps its result; a newer build gets a check run of its own. One that
            // still waits is taken over, so that none waits for ever.
            self.standing = Standing::default();
            self.ended_by = None;
        }
        let status = want.status.clone();
        self.flight = Some(want);
        Some((status, self.standing))
    }

    /// Counts an answer to what is under way. That a repository is not there says nothing of a result that is not
    /// there either: until the run ends it may be back.
    pub fn count(&mut self, reply: &Reply) {
        if !matches!(reply, Reply::Limited(..)) {
            self.tries += 1;
        }
        let flight = self.flight.as_ref();
        let is_result = flight.is_some_and(|flight| flight.status.is_final());
        match reply {
            Reply::Missing(_) => self.missing += u32::from(is_result),
            // These tell nothing of the repository.
            Reply::Limited(..) | Reply::Unavailable(_) | Reply::Spared => {}
            Reply::Taken | Reply::Stands(_) | Reply::Never(_) | Reply::Denied(_) => {
                self.missing = 0;
            }
        }
    }

    /// Takes GitHub's answer to what is under way.
    pub fn land(&mut self, reply: Reply) -> Resolved<T> {
        let Some(flight) = self.flight.take() else {
            return Vec::new();
        };
        self.note(&flight, &reply);
        let mut resolved = match reply {
            Reply::Taken | Reply::Stands(_) => {
                self.at_peace();
                self.taken = Some((flight.order.clone(), flight.status.clone()));
                let sent = Sent::Taken(flight.status.state);
                flight.resolve(&sent)
            }
            Reply::Spared => {
                self.at_peace();
                flight.resolve(&Sent::Superseded)
            }
            Reply::Never(why) => {
                self.at_peace();
                self.settled = Some((flight.order.clone(), why.clone()));
                flight.resolve(&Sent::Settled(why))
            }
            Reply::Missing(why)
            | Reply::Denied(why)
            | Reply::Limited(_, why)
            | Reply::Unavailable(why) => {
                self.trouble = Some(why);
                if self.want.is_some() {
                    flight.resolve(&Sent::Superseded)
                } else {
                    self.want = Some(flight);
                    Vec::new()
                }
            }
        };
        resolved.append(&mut self.drop_superfluous());
        resolved
    }

    /// Notes what stands on GitHub, or may stand.
    fn note(&mut self, flight: &Want<T>, reply: &Reply) {
        match reply {
            Reply::Taken => self.sent = self.sent.saturating_add(1),
            Reply::Stands(id) => {
                self.standing = Standing {
                    id: Some(*id),
                    ..Standing::default()
                };
                let ended = flight.status.is_final();
                self.ended_by = ended.then(|| flight.order.build.clone());
            }
            Reply::Unavailable(_) => {
                self.sent = self.sent.saturating_add(1);
                self.standing.unsure |= self.standing.id.is_none();
            }
            Reply::Spared
            | Reply::Never(_)
            | Reply::Missing(_)
            | Reply::Denied(_)
            | Reply::Limited(..) => {}
        }
    }

    /// Learns how many statuses there are.
    pub fn counted(&mut self, count: u32) {
        self.sent = self.sent.max(count);
        self.standing.uncounted = false;
    }

    fn at_peace(&mut self) {
        self.tries = 0;
        self.missing = 0;
        self.trouble = None;
    }

    /// Drops what waits when it stands already, or can never stand.
    fn drop_superfluous(&mut self) -> Resolved<T> {
        let Some(want) = self.want.take_if(|want| {
            self.flight.is_none() && {
                let stands = self.taken.as_ref().is_some_and(|(order, status)| {
                    says((order, status), (&want.order, &want.status))
                });
                let never = self
                    .settled
                    .as_ref()
                    .is_some_and(|(order, _)| *order == want.order);
                // After a request that failed, nobody knows what stands: it is sent again.
                (stands && self.trouble.is_none()) || never
            }
        }) else {
            return Vec::new();
        };
        match &self.settled {
            Some((order, why)) if *order == want.order => {
                let sent = Sent::Settled(why.clone());
                want.resolve(&sent)
            }
            _ => {
                let state: StatusState = want.status.state;
                want.resolve(&Sent::Taken(state))
            }
        }
    }
}
