//! Agents, a gateway and an operator over a network that loses, repeats, reorders and delays. The gateway can lose all
//! that it knows beside the cluster, and with it every session.

mod gateway;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    agent::{Command, Event, HeldState, Journal},
    assignment::{Audience, RunId},
    fault::FaultCode,
    server::{self, View},
    wire::{Instruction, Running},
};

pub const LEASE: u64 = 900;
const MARGIN: u64 = 90;
/// What the operator waits beyond the end of a lease.
pub const SLACK: u64 = 60;
pub const WORKERS: [&str; 3] = ["a", "b", "c"];

/// An assignment as the cluster stores it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub run: RunId,
    pub to: Audience,
    pub holder: Option<String>,
    pub lease_until: u64,
    pub cancelled: bool,
    /// Its worker was back and did not name it.
    pub forgotten: bool,
    pub completion: Option<String>,
}

/// The text of a session: which start of the gateway made it, and which session of the worker it is.
type Ticket = (u64, u64);

/// What an agent knows of its session.
#[derive(Clone, Debug, Default)]
struct Session {
    ticket: Option<Ticket>,
    /// Nonce of the request that is under way. Nothing is accepted until there is an answer.
    opening: Option<u64>,
}

/// The newest session of a worker, as the cluster stores it.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    epoch: u64,
    nonce: u64,
}

/// What is on its way from or to an agent.
#[derive(Clone, Debug)]
pub enum Message {
    Asked(usize, Ticket, Request),
    /// There is no such session, or a newer one of this worker.
    NoSession(usize, Ticket),
    /// Asks for a session, with a nonce of this start of the gateway.
    Open(usize, u64, u64, Vec<Running>, u64),
    Opened(usize, u64, Ticket),
    Accepted(usize, String, u64),
    Refused(usize, String),
    Delivered(usize, String, Result<(), FaultCode>),
    Instructions(usize, Vec<Instruction>, u64),
}

/// What an agent asks in a session.
#[derive(Clone, Debug)]
pub enum Request {
    Accept(String, u64),
    Complete(String, String),
    Heartbeat(Vec<Running>, u64),
}

/// The world: what is stored, who runs what, and what is on its way.
pub struct World {
    now: u64,
    pub next: u64,
    pub stored: BTreeMap<String, Stored>,
    pub agents: Vec<Journal>,
    pub running: Vec<BTreeSet<String>>,
    pub network: Vec<Message>,
    sessions: Vec<Session>,
    newest: Vec<Newest>,
    nonce: u64,
    /// How often the gateway has started.
    starts: u64,
    begun: BTreeMap<(String, i64), usize>,
    results: BTreeMap<String, Vec<String>>,
}

fn view(stored: &Stored) -> View<'_> {
    View {
        to: &stored.to,
        holder: stored.holder.as_deref(),
        cancelled: stored.cancelled,
        completion: stored.completion.as_deref(),
    }
}

impl World {
    pub fn new() -> Self {
        Self {
            now: 0,
            next: 0,
            stored: BTreeMap::new(),
            agents: vec![Journal::default(); WORKERS.len()],
            running: vec![BTreeSet::new(); WORKERS.len()],
            network: Vec::new(),
            sessions: vec![Session::default(); WORKERS.len()],
            newest: vec![Newest::default(); WORKERS.len()],
            nonce: 0,
            starts: 1,
            begun: BTreeMap::new(),
            results: BTreeMap::new(),
        }
    }

    /// The operator hands a run out, as often as it is not accepted.
    pub fn hand_out(&mut self, run: RunId, to: Audience) {
        self.next += 1;
        let stored = Stored {
            run,
            to,
            holder: None,
            lease_until: 0,
            cancelled: false,
            forgotten: false,
            completion: None,
        };
        self.stored.insert(format!("id{}", self.next), stored);
    }

    /// The operator takes back what nobody accepted, and hands the same run out anew.
    pub fn withdraw(&mut self, n: usize) {
        let Some(id) = self.stored.keys().nth(n).cloned() else {
            return;
        };
        if self.stored[&id].holder.is_none() {
            let old = self.stored.remove(&id).unwrap();
            self.hand_out(old.run, old.to);
        }
    }

    /// The operator gives up what a pool's worker holds no lease of any more, and what its worker has forgotten:
    /// another attempt begins.
    pub fn expire(&mut self, n: usize) {
        let Some(id) = self.stored.keys().nth(n).cloned() else {
            return;
        };
        let stored = self.stored[&id].clone();
        let over = stored.holder.is_some() && stored.completion.is_none();
        let expired = stored.to.is_pool() && self.now >= stored.lease_until + SLACK;
        if over && (expired || stored.forgotten) {
            let holder = WORKERS
                .iter()
                .position(|name| Some(*name) == stored.holder.as_deref());
            let runs = &self.running[holder.unwrap()];
            assert!(!runs.contains(&id), "{id}: its worker has it no more");
            self.stored.remove(&id);
            let mut run = stored.run;
            run.uid = format!("{}+", run.uid);
            run.attempt += 1;
            self.hand_out(run, stored.to);
        }
    }

    fn act(&mut self, agent: usize, event: Event) {
        let commands = self.agents[agent].on(event);
        self.carry_out(agent, commands);
    }

    fn carry_out(&mut self, agent: usize, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Accept(id) => self.take(agent, id),
                Command::Start(id) => {
                    let run = &self.agents[agent].held[&id].run;
                    *self
                        .begun
                        .entry((run.uid.clone(), run.attempt))
                        .or_default() += 1;
                    self.running[agent].insert(id);
                }
                Command::Stop(id) | Command::Kill(id) => {
                    self.running[agent].remove(&id);
                    self.act(agent, Event::Ended { id });
                }
                Command::Deliver(id) => self.deliver(agent, id),
                Command::Decline(..) | Command::Forget(_) => {}
            }
        }
    }

    fn deliver(&mut self, agent: usize, id: String) {
        let digest = format!("{} by {}", id, WORKERS[agent]);
        self.ask(agent, Request::Complete(id, digest));
    }

    /// Nothing is accepted while a session is being opened, which names all that was accepted before.
    fn take(&mut self, agent: usize, id: String) {
        if self.sessions[agent].opening.is_none() {
            self.ask(agent, Request::Accept(id, self.now));
        }
    }

    /// Asks in the session that the agent has; without one it has to open one first.
    fn ask(&mut self, agent: usize, request: Request) {
        if let Some(ticket) = self.sessions[agent].ticket {
            self.network.push(Message::Asked(agent, ticket, request));
        }
    }

    /// An agent opens a session, because it has none or the old one ends soon.
    pub fn open(&mut self, agent: usize) {
        self.nonce += 1;
        self.sessions[agent].opening = Some(self.nonce);
        let running = self.agents[agent].running();
        let open = Message::Open(agent, self.starts, self.nonce, running, self.now);
        self.network.push(open);
    }

    /// The gateway ends and another one begins, which knows what the cluster knows.
    pub fn restart_gateway(&mut self) {
        self.starts += 1;
    }

    /// What an agent says again, because time passed without an answer.
    pub fn repeat(&mut self, agent: usize) {
        let session = &self.sessions[agent];
        if session.ticket.is_none() || session.opening.is_some() {
            self.open(agent);
        }
        let journal = self.agents[agent].clone();
        self.ask(agent, Request::Heartbeat(journal.running(), self.now));
        for (id, held) in journal.held {
            match held.state {
                HeldState::Accepting => self.take(agent, id),
                HeldState::Done => self.deliver(agent, id),
                _ => {}
            }
        }
        // What nobody holds is offered to whoever may have it; what it holds and does not know, again.
        let offers: Vec<_> = self
            .stored
            .iter()
            .map(|(id, s)| (id.clone(), s.clone()))
            .collect();
        for (id, stored) in offers {
            if server::may_offer(&view(&stored), WORKERS[agent]) {
                let (run, pool) = (stored.run, stored.to.is_pool());
                self.act(agent, Event::Offered { id, run, pool });
            }
        }
    }

    pub fn tick(&mut self, seconds: u64) {
        // Agents look at their clocks more often than leases run out.
        for _ in 0..seconds.div_ceil(30) {
            self.now += 30;
            for agent in 0..WORKERS.len() {
                self.act(agent, Event::Tick { now: self.now });
            }
        }
    }

    pub fn crash(&mut self, agent: usize) {
        self.running[agent].clear();
        self.sessions[agent] = Session::default();
        let commands = self.agents[agent].restarted();
        self.carry_out(agent, commands);
    }

    pub fn finish(&mut self, agent: usize) {
        if let Some(id) = self.running[agent].pop_first() {
            self.act(agent, Event::Ended { id });
        }
    }

    /// One message arrives.
    pub fn arrive(&mut self, message: Message) {
        match message {
            Message::Asked(agent, ticket, request) => self.asked(agent, ticket, request),
            Message::NoSession(agent, ticket) => {
                let session = &mut self.sessions[agent];
                session.ticket = session.ticket.filter(|known| *known != ticket);
            }
            Message::Open(agent, start, nonce, running, sent) => {
                self.opened(agent, (start, nonce), &running, sent);
            }
            Message::Opened(agent, nonce, ticket) => {
                let session = &mut self.sessions[agent];
                if session.opening == Some(nonce) {
                    session.opening = None;
                    session.ticket = Some(ticket);
                }
            }
            Message::Accepted(agent, id, lease_until) => {
                let now = self.now;
                self.act(
                    agent,
                    Event::Accepted {
                        id,
                        lease_until,
                        now,
                    },
                );
            }
            Message::Refused(agent, id) => self.act(agent, Event::Refused { id }),
            Message::Delivered(agent, id, answer) => {
                self.act(agent, Event::Delivered { id, answer });
            }
            Message::Instructions(agent, instructions, until) => {
                for instruction in instructions {
                    let lease_until = Some(until);
                    self.act(
                        agent,
                        Event::Instructed {
                            instruction,
                            lease_until,
                        },
                    );
                }
            }
        }
    }

    /// What must hold at every moment.
    pub fn check(&self) {
        for (run, times) in &self.begun {
            assert_eq!(*times, 1, "{run:?} began more than once");
        }
        for (run, results) in &self.results {
            assert_eq!(results.len(), 1, "{run} has results {results:?}");
        }
        for (id, stored) in &self.stored {
            let on = (0..WORKERS.len()).filter(|agent| self.running[*agent].contains(id));
            let on: Vec<_> = on.map(|agent| Some(WORKERS[agent])).collect();
            assert!(on.len() <= 1, "{id} runs on {on:?}");
            assert!(on.is_empty() || on[0] == stored.holder.as_deref(), "{id}");
        }
    }
}
