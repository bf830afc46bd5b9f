//! What an agent does next with the assignments that it holds. Pure: events go in, commands come out, and
//! what has to survive a crash is [`Journal`], which is on the disk before the command that it
//! stands for is carried out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    assignment::RunId,
    fault::FaultCode,
    wire::{Action, DeclineCode, Instruction, Running, RunningState},
};

/// What an agent has to remember: every run that it ever began, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Journal {
    /// Uid and attempt of every run that was begun here. One that stands here is never begun again.
    /// Entries may go when their assignment has expired.
    pub begun: Vec<(String, i64)>,
    /// What it holds, by the assignment's id.
    pub held: BTreeMap<String, Held>,
}

/// One assignment that an agent holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The run.
    pub run: RunId,
    /// Its lease counts.
    pub pool: bool,
    /// How far it is.
    pub state: HeldState,
}

/// How far an assignment is on its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HeldState {
    /// It was asked for, and the answer is not known.
    Accepting,
    /// Its processes may be there.
    Running {
        /// When the lease ends, in milliseconds of a clock that counts while the machine sleeps.
        lease_until: u64,
    },
    /// It is being stopped, and its end will be delivered.
    Stopping,
    /// It is being stopped, and nothing will be delivered.
    Dropping,
    /// It has ended. Its completion is to be delivered until it is taken.
    Done,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An offer came. The agent has verified it and asked its owner's policy.
    Offered {
        /// Its id.
        id: String,
        /// Its run.
        run: RunId,
        /// Its lease counts.
        pool: bool,
    },
    /// The gateway let it have the assignment.
    Accepted {
        /// Its id.
        id: String,
        /// When the lease ends: when the request was *sent*, and the seconds of the answer less the margin.
        lease_until: u64,
        /// The same clock, now.
        now: u64,
    },
    /// The gateway did not let it have the assignment, and asking again does not help.
    Refused {
        /// Its id.
        id: String,
    },
    /// A heartbeat or a new session brought an instruction.
    Instructed {
        /// It.
        instruction: Instruction,
        /// When the lease ends, counted as above.
        lease_until: Option<u64>,
    },
    /// The last process of a run is gone.
    Ended {
        /// Its id.
        id: String,
    },
    /// The gateway answered to a completion: taken, or why not.
    Delivered {
        /// Its id.
        id: String,
        /// What it said.
        answer: Result<(), FaultCode>,
    },
    /// Time passed.
    Tick {
        /// Milliseconds of the clock that counts while the machine sleeps.
        now: u64,
    },
}

/// What to do. Nothing is done before the journal is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask for it, until there is an answer.
    Accept(String),
    /// Refuse the offer.
    Decline(String, DeclineCode),
    /// Start its steps.
    Start(String),
    /// Stop its processes; its end is delivered.
    Stop(String),
    /// Stop its processes; nothing is delivered.
    Kill(String),
    /// Deliver its completion, until there is an answer.
    Deliver(String),
    /// Remove what is kept of it.
    Forget(String),
}

impl Journal {
    /// What is to be done about an event.
    pub fn on(&mut self, event: Event) -> Vec<Command> {
        match event {
            Event::Offered { id, run, pool } => self.offered(id, run, pool),
            Event::Accepted {
                id,
                lease_until,
                now,
            } => self.accepted(id, lease_until, now),
            Event::Refused { id } => self.refused(id),
            Event::Instructed {
                instruction,
                lease_until,
            } => self.instructed(instruction, lease_until),
            Event::Ended { id } => self.ended(id),
            Event::Delivered { id, answer } => self.delivered(id, answer),
            Event::Tick { now } => self.tick(now),
        }
    }

    /// After a start of the agent, when nothing of an earlier start runs any more: what was being asked
    /// for is asked for again, what ran has ended.
    pub fn restarted(&mut self) -> Vec<Command> {
        let mut commands = Vec::new();
        self.held.retain(|id, held| match held.state {
            HeldState::Accepting => {
                commands.push(Command::Accept(id.clone()));
                true
            }
            HeldState::Dropping => {
                commands.push(Command::Forget(id.clone()));
                false
            }
            HeldState::Running { .. } | HeldState::Stopping | HeldState::Done => {
                held.state = HeldState::Done;
                commands.push(Command::Deliver(id.clone()));
                true
            }
        });
        commands
    }

    /// What it says of itself in a heartbeat or when it opens a session.
    pub fn running(&self) -> Vec<Running> {
        let say = |(id, held): (&String, &Held)| Running {
            id: id.clone(),
            state: match held.state {
                HeldState::Done => RunningState::Done,
                _ => RunningState::Running,
            },
        };
        let told = self.held.iter();
        told.filter(|(_, held)| held.state != HeldState::Dropping)
            .map(say)
            .collect()
    }

    fn offered(&mut self, id: String, run: RunId, pool: bool) -> Vec<Command> {
        // The same offer again: its answer is on the way.
        if self.held.contains_key(&id) {
            return Vec::new();
        }
        let known = self.held.values().any(|held| held.run.uid == run.uid);
        if known || self.has_begun(&run) {
            return vec![Command::Decline(id, DeclineCode::Repeated)];
        }
        let state = HeldState::Accepting;
        self.held.insert(id.clone(), Held { run, pool, state });
        vec![Command::Accept(id)]
    }

    fn accepted(&mut self, id: String, lease_until: u64, now: u64) -> Vec<Command> {
        let Some(held) = self.held.get_mut(&id) else {
            return Vec::new();
        };
        if held.state != HeldState::Accepting {
            return Vec::new();
        }
        // The answer was so long on its way that another worker may get the run any moment.
        if held.pool && now >= lease_until {
            self.held.remove(&id);
            return vec![Command::Forget(id)];
        }
        held.state = HeldState::Running { lease_until };
        self.begun.push((held.run.uid.clone(), held.run.attempt));
        vec![Command::Start(id)]
    }

    fn refused(&mut self, id: String) -> Vec<Command> {
        match self.held.get(&id).map(|held| held.state) {
            Some(HeldState::Accepting) => {
                self.held.remove(&id);
                vec![Command::Forget(id)]
            }
            _ => Vec::new(),
        }
    }

    fn instructed(&mut self, instruction: Instruction, until: Option<u64>) -> Vec<Command> {
        let Instruction { id, action, .. } = instruction;
        let Some(held) = self.held.get_mut(&id) else {
            return Vec::new();
        };
        match (action, held.state) {
            (Action::Continue, HeldState::Running { lease_until }) => {
                // An answer that was long on its way shortens nothing.
                let lease_until = until.unwrap_or_default().max(lease_until);
                held.state = HeldState::Running { lease_until };
                Vec::new()
            }
            (Action::Cancel, HeldState::Running { .. }) => {
                held.state = HeldState::Stopping;
                vec![Command::Stop(id)]
            }
            // It may have been accepted meanwhile: the answer to that decides.
            (Action::Kill | Action::Forget, HeldState::Accepting) => Vec::new(),
            (Action::Kill | Action::Forget, HeldState::Running { .. } | HeldState::Stopping) => {
                held.state = HeldState::Dropping;
                vec![Command::Kill(id)]
            }
            (Action::Kill | Action::Forget, HeldState::Done) => {
                self.held.remove(&id);
                vec![Command::Forget(id)]
            }
            _ => Vec::new(),
        }
    }

    fn ended(&mut self, id: String) -> Vec<Command> {
        let Some(held) = self.held.get_mut(&id) else {
            return Vec::new();
        };
        match held.state {
            HeldState::Running { .. } | HeldState::Stopping => {
                held.state = HeldState::Done;
                vec![Command::Deliver(id)]
            }
            HeldState::Dropping => {
                self.held.remove(&id);
                vec![Command::Forget(id)]
            }
            HeldState::Accepting | HeldState::Done => Vec::new(),
        }
    }

    fn delivered(&mut self, id: String, answer: Result<(), FaultCode>) -> Vec<Command> {
        let done = self.held.get(&id).map(|held| held.state) == Some(HeldState::Done);
        let settled = match answer {
            Ok(()) => true,
            Err(code) => code.retry() == super::fault::Retry::Never,
        };
        if !done || !settled {
            return Vec::new();
        }
        self.held.remove(&id);
        vec![Command::Forget(id)]
    }

    /// Stops what has no lease any more. What is pinned needs none.
    fn tick(&mut self, now: u64) -> Vec<Command> {
        let mut commands = Vec::new();
        for (id, held) in &mut self.held {
            let HeldState::Running { lease_until } = held.state else {
                continue;
            };
            if held.pool && now >= lease_until {
                held.state = HeldState::Stopping;
                commands.push(Command::Stop(id.clone()));
            }
        }
        commands
    }

    fn has_begun(&self, run: &RunId) -> bool {
        let mut begun = self.begun.iter();
        begun.any(|(uid, attempt)| *uid == run.uid && *attempt == run.attempt)
    }
}
