//! One connection's queue of requests and its pace. Pure.
//!
//! Finals go before pendings, these before what builds say, and that before answers; else first come,
//! first served. What has used up its own part of a limit keeps nobody behind it waiting. Several
//! requests are under way at once.
//! A limit that GitHub names closes the lane until it is over and slows it down afterwards; answers
//! that fail close it for a time that doubles, and then one request at a time tries the way.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    pace::{Cost, Pace},
    plan::Reply,
    target::Target,
};

/// Requests of one connection under way at once. GitHub counts a hundred for all of an App.
pub const WIDTH: usize = 8;

/// The longest that a lane stays closed for a limit: GitHub's hour, and some.
const LIMIT_MOST: Duration = Duration::from_secs(3_900);

/// Time between requests after GitHub named a limit: its own advice for writes.
const AFTER_LIMIT: Duration = Duration::from_secs(1);

/// Times between tries where GitHub fails: from, to.
const OUTAGE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Times between tries of one target that fails: from, to.
const FAILING: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Times between tries where GitHub refuses: from, to. A person has to change something.
const REFUSED: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(300));

/// The queue of one connection.
#[derive(Debug, Default)]
pub struct Lane {
    /// Targets in line, by the number that they came with.
    line: HashMap<u64, InLine>,
    /// Those that may go, by rank and number.
    ready: BTreeSet<(Rank, u64)>,
    /// Those that back off.
    later: BTreeSet<(Instant, u64)>,
    flights: usize,
    closed_until: Option<Instant>,
    failures: u32,
    /// Least time between two requests after a limit; it shrinks with each success.
    spacing: Duration,
    /// Least time between two requests by the remaining budget.
    budget_spacing: Duration,
    last_start: Option<Instant>,
    /// What GitHub allows in a minute and an hour.
    pace: Pace,
}

/// What waits in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A status or check run.
    Status(Arc<Target>),
    /// Somebody who speaks on a pull request.
    Talk(Cost),
}

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A result.
    Final,
    /// That a run waits or runs.
    Pending,
    /// A label that comes off.
    Label,
    /// What builds say on pull requests.
    Comment,
    /// Answers to events that make no build.
    Answer,
    /// Reactions, which answer those who may not ask.
    Reaction,
}

impl Rank {
    const ALL: [Self; 6] = [
        Self::Final,
        Self::Pending,
        Self::Label,
        Self::Comment,
        Self::Answer,
        Self::Reaction,
    ];

    /// The rank of what is said on a pull request.
    pub fn of_talk(cost: Cost) -> Self {
        match cost {
            Cost::Status => Self::Pending,
            Cost::Label => Self::Label,
            Cost::Comment | Cost::Edit => Self::Comment,
            Cost::Answer => Self::Answer,
            Cost::Reaction => Self::Reaction,
        }
    }
}

#[derive(Debug)]
struct InLine {
    item: Item,
    rank: Rank,
    not_before: Option<Instant>,
}

impl Lane {
    /// Puts something into the line, not before a moment where one is given. One number stands there
    /// once: its age and its back-off stay, its rank may change.
    pub fn enqueue(&mut self, number: u64, item: Item, rank: Rank, later: Option<Instant>) {
        let before = self.dequeue(number);
        let not_before = later.or(before.and_then(|before| before.not_before));
        self.line.insert(
            number,
            InLine {
                item,
                rank,
                not_before,
            },
        );
        match not_before {
            Some(at) => self.later.insert((at, number)),
            None => self.ready.insert((rank, number)),
        };
    }

    /// Takes something out of the line.
    pub fn remove(&mut self, number: u64) {
        self.dequeue(number);
    }

    fn dequeue(&mut self, number: u64) -> Option<InLine> {
        let found = self.line.remove(&number)?;
        match found.not_before {
            Some(at) => self.later.remove(&(at, number)),
            None => self.ready.remove(&(found.rank, number)),
        };
        Some(found)
    }

    /// Whose turn it is, with its number; else when to ask again, if time alone changes anything.
    pub fn next(&mut self, now: Instant) -> Result<(u64, Item), Option<Instant>> {
        self.release(Some(now));
        if self.ready.is_empty() {
            return Err(self.later.first().map(|(at, _)| *at));
        }
        if self.flights >= self.width() {
            return Err(None);
        }
        if let Some(at) = self.opens().filter(|at| *at > now) {
            return Err(Some(at));
        }
        let (number, cost) = self.first_open(now)?;
        let Some(found) = self.dequeue(number) else {
            return Err(None);
        };
        self.pace.spend(now, cost);
        self.flights += 1;
        self.last_start = Some(now);
        Ok((number, found.item))
    }

    /// The first that GitHub allows, and what it costs; else when it allows one.
    fn first_open(&mut self, now: Instant) -> Result<(u64, Cost), Option<Instant>> {
        let mut opens = self.later.first().map(|(at, _)| *at);
        for rank in Rank::ALL {
            let first = self.ready.range((rank, 0)..=(rank, u64::MAX)).next();
            let Some(&(_, number)) = first else { continue };
            let cost = match self.line.get(&number).map(|found| &found.item) {
                Some(Item::Talk(cost)) => *cost,
                _ => Cost::Status,
            };
            match self.pace.opens(now, cost) {
                None => return Ok((number, cost)),
                Some(at) => opens = Some(opens.map_or(at, |sooner| sooner.min(at))),
            }
        }
        Err(opens)
    }

    /// A request came to its end, and its answer says nothing of GitHub.
    pub fn ended(&mut self) {
        self.flights = self.flights.saturating_sub(1);
    }

    /// Learns how a request ended.
    pub fn landed(&mut self, now: Instant, reply: &Reply) {
        self.ended();
        match reply {
            Reply::Taken | Reply::Stands(_) => {
                if self.failures > 0 {
                    // GitHub is back: nobody waits out a back-off that was made for its absence.
                    self.release(None);
                }
                self.failures = 0;
                self.spacing -= self.spacing / 16;
                if self.spacing < Duration::from_millis(20) {
                    self.spacing = Duration::ZERO;
                }
            }
            Reply::Spared => {}
            Reply::Never(_) | Reply::Missing(_) | Reply::Denied(_) => self.failures = 0,
            Reply::Limited(wait, _) => {
                self.close(now + (*wait).min(LIMIT_MOST));
                self.spacing = AFTER_LIMIT;
            }
            // What failed together counts once.
            Reply::Unavailable(_) if self.closed_until.is_some_and(|until| until > now) => {}
            Reply::Unavailable(_) => {
                self.failures += 1;
                self.close(now + doubling(OUTAGE, self.failures));
            }
        }
    }

    /// Sets the least time between two requests that the remaining budget asks for, and whether there
    /// are limits at all.
    pub fn pace(&mut self, spacing: Duration, limited: bool) {
        self.budget_spacing = spacing;
        self.pace.limited(limited);
    }

    /// How many wait in the line.
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    fn width(&self) -> usize {
        if self.failures > 0 || !self.spacing.is_zero() {
            1
        } else {
            WIDTH
        }
    }

    fn opens(&self) -> Option<Instant> {
        let spacing = self.spacing.max(self.budget_spacing);
        let paced = self
            .last_start
            .filter(|_| !spacing.is_zero())
            .map(|last| last + spacing);
        self.closed_until.max(paced)
    }

    fn close(&mut self, until: Instant) {
        self.closed_until = self.closed_until.max(Some(until));
    }

    /// Lets go those whose back-off is over by then; all of them without a time.
    pub fn release(&mut self, until: Option<Instant>) {
        while let Some(&(at, number)) = self.later.first()
            && until.is_none_or(|until| at <= until)
        {
            self.later.remove(&(at, number));
            if let Some(found) = self.line.get_mut(&number) {
                found.not_before = None;
                self.ready.insert((found.rank, number));
            }
        }
    }
}

/// How long a target waits after its `tries`th try in a row; none where only its lane waits.
pub fn back_off(reply: &Reply, tries: u32) -> Option<Duration> {
    match reply {
        Reply::Taken | Reply::Stands(_) | Reply::Spared | Reply::Never(_) | Reply::Limited(..) => {
            None
        }
        Reply::Missing(_) | Reply::Denied(_) => Some(doubling(REFUSED, tries)),
        Reply::Unavailable(_) => Some(doubling(FAILING, tries)),
    }
}

fn doubling((from, to): (Duration, Duration), tries: u32) -> Duration {
    from.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1).min(16)))
        .min(to)
}
