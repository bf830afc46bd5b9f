//! Agents, a gateway and an operator over a network that loses, repeats, reorders and delays: whatever
//! happens, no run begins twice and none gets two results; and when the network heals, every run ends.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    agent::{Command, Event, HeldState, Journal},
    assignment::{Audience, RunId},
    fault::FaultCode,
    server::{self, Step, View},
    wire::{Action, Instruction, Running},
};

const LEASE: u64 = 900;
const MARGIN: u64 = 90;
/// What the operator waits beyond the end of a lease.
const SLACK: u64 = 60;
const WORKERS: [&str; 3] = ["a", "b", "c"];

/// An assignment as the cluster stores it.
#[derive(Clone, Debug)]
struct Stored {
    run: RunId,
    to: Audience,
    holder: Option<String>,
    lease_until: u64,
    cancelled: bool,
    completion: Option<String>,
}

#[derive(Clone, Debug)]
enum Message {
    Accept(usize, String, u64),
    Accepted(usize, String, u64),
    Refused(usize, String),
    Complete(usize, String, String),
    Delivered(usize, String, Result<(), FaultCode>),
    Heartbeat(usize, Vec<Running>, u64),
    Instructions(usize, Vec<Instruction>, u64),
}

/// The world: what is stored, who runs what, and what is on its way.
struct World {
    now: u64,
    next: u64,
    stored: BTreeMap<String, Stored>,
    agents: Vec<Journal>,
    running: Vec<BTreeSet<String>>,
    network: Vec<Message>,
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
    fn new() -> Self {
        Self {
            now: 0,
            next: 0,
            stored: BTreeMap::new(),
            agents: vec![Journal::default(); WORKERS.len()],
            running: vec![BTreeSet::new(); WORKERS.len()],
            network: Vec::new(),
            begun: BTreeMap::new(),
            results: BTreeMap::new(),
        }
    }

    /// The operator hands a run out, as often as it is not accepted.
    fn hand_out(&mut self, run: RunId, to: Audience) {
        self.next += 1;
        let stored = Stored {
            run,
            to,
            holder: None,
            lease_until: 0,
            cancelled: false,
            completion: None,
        };
        self.stored.insert(format!("id{}", self.next), stored);
    }

    /// The operator takes back what nobody accepted, and hands the same run out anew.
    fn withdraw(&mut self, n: usize) {
        let Some(id) = self.stored.keys().nth(n).cloned() else {
            return;
        };
        if self.stored[&id].holder.is_none() {
            let old = self.stored.remove(&id).unwrap();
            self.hand_out(old.run, old.to);
        }
    }

    /// The operator gives up what a pool's worker holds no lease of any more: another attempt begins.
    fn expire(&mut self, n: usize) {
        let Some(id) = self.stored.keys().nth(n).cloned() else {
            return;
        };
        let stored = self.stored[&id].clone();
        let over = stored.holder.is_some() && stored.completion.is_none();
        if over && stored.to.is_pool() && self.now >= stored.lease_until + SLACK {
            let holder = WORKERS
                .iter()
                .position(|name| Some(*name) == stored.holder.as_deref());
            let runs = &self.running[holder.unwrap()];
            assert!(!runs.contains(&id), "its worker stopped it before");
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
                Command::Accept(id) => self.network.push(Message::Accept(agent, id, self.now)),
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
        self.network.push(Message::Complete(agent, id, digest));
    }

    /// What an agent says again, because time passed without an answer.
    fn repeat(&mut self, agent: usize) {
        let journal = self.agents[agent].clone();
        let heartbeat = Message::Heartbeat(agent, journal.running(), self.now);
        self.network.push(heartbeat);
        for (id, held) in journal.held {
            match held.state {
                HeldState::Accepting => {
                    let accept = Message::Accept(agent, id, self.now);
                    self.network.push(accept);
                }
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

    fn tick(&mut self, seconds: u64) {
        // Agents look at their clocks more often than leases run out.
        for _ in 0..seconds.div_ceil(30) {
            self.now += 30;
            for agent in 0..WORKERS.len() {
                self.act(agent, Event::Tick { now: self.now });
            }
        }
    }

    fn crash(&mut self, agent: usize) {
        self.running[agent].clear();
        let commands = self.agents[agent].restarted();
        self.carry_out(agent, commands);
    }

    fn finish(&mut self, agent: usize) {
        if let Some(id) = self.running[agent].pop_first() {
            self.act(agent, Event::Ended { id });
        }
    }

    /// One message arrives.
    fn arrive(&mut self, message: Message) {
        match message {
            Message::Accept(agent, id, sent) => {
                let answer = self.accept(agent, &id, sent);
                self.network.push(answer);
            }
            Message::Complete(agent, id, digest) => {
                let answer = self.complete(agent, &id, digest);
                self.network.push(Message::Delivered(agent, id, answer));
            }
            Message::Heartbeat(agent, running, sent) => self.heartbeat(agent, &running, sent),
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

    fn accept(&mut self, agent: usize, id: &str, sent: u64) -> Message {
        let view = self.stored.get(id).map(view);
        match server::accept(view.as_ref(), WORKERS[agent]) {
            Err(_) => Message::Refused(agent, id.to_owned()),
            Ok(step) => {
                let stored = self.stored.get_mut(id).unwrap();
                if step == Step::Write {
                    stored.holder = Some(WORKERS[agent].to_owned());
                    stored.lease_until = self.now + LEASE;
                }
                // A repeated answer promises no more than what is written down.
                let until = (sent + LEASE).min(stored.lease_until) - MARGIN;
                Message::Accepted(agent, id.to_owned(), until)
            }
        }
    }

    fn complete(&mut self, agent: usize, id: &str, digest: String) -> Result<(), FaultCode> {
        let view = self.stored.get(id).map(view);
        let step = server::complete(view.as_ref(), WORKERS[agent], &digest)?;
        if step == Step::Write {
            let stored = self.stored.get_mut(id).unwrap();
            stored.completion = Some(digest.clone());
            self.results
                .entry(stored.run.uid.clone())
                .or_default()
                .push(digest);
        }
        Ok(())
    }

    fn heartbeat(&mut self, agent: usize, running: &[Running], sent: u64) {
        let mut until = u64::MAX;
        let instructions = running.iter().map(|Running { id, state, .. }| {
            let view = self.stored.get(id).map(view);
            let action = server::instruct(view.as_ref(), WORKERS[agent], *state);
            Instruction {
                id: id.clone(),
                action,
                lease_seconds: None,
                reason: None,
            }
        });
        let instructions: Vec<_> = instructions.collect();
        for instruction in &instructions {
            if instruction.action == Action::Continue {
                let stored = self.stored.get_mut(&instruction.id).unwrap();
                if stored.holder.is_some() && self.now < stored.lease_until {
                    stored.lease_until = self.now + LEASE;
                }
                until = until.min(
                    (sent + LEASE)
                        .min(stored.lease_until)
                        .saturating_sub(MARGIN),
                );
            }
        }
        self.network
            .push(Message::Instructions(agent, instructions, until));
    }

    /// What must hold at every moment.
    fn check(&self) {
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

#[derive(Clone, Debug)]
enum Doing {
    HandOut(bool),
    Withdraw(usize),
    Expire(usize),
    Cancel(usize),
    Repeat(usize),
    Finish(usize),
    Crash(usize),
    Tick(u64),
    Deliver(usize),
    Duplicate(usize),
    Lose(usize),
}

fn doing() -> impl Strategy<Value = Doing> {
    prop_oneof![
        1 => any::<bool>().prop_map(Doing::HandOut),
        1 => (0usize..4).prop_map(Doing::Withdraw),
        2 => (0usize..4).prop_map(Doing::Expire),
        1 => (0usize..4).prop_map(Doing::Cancel),
        4 => (0usize..3).prop_map(Doing::Repeat),
        2 => (0usize..3).prop_map(Doing::Finish),
        1 => (0usize..3).prop_map(Doing::Crash),
        2 => (1u64..1200).prop_map(Doing::Tick),
        8 => (0usize..64).prop_map(Doing::Deliver),
        3 => (0usize..64).prop_map(Doing::Duplicate),
        2 => (0usize..64).prop_map(Doing::Lose),
    ]
}

fn one(world: &mut World, doing: Doing) {
    match doing {
        Doing::HandOut(pool) => {
            let uid = format!("run{}", world.next);
            let run = RunId {
                name: uid.clone(),
                uid,
                attempt: 1,
            };
            let to = match pool {
                true => Audience::Pool(WORKERS.map(str::to_owned).to_vec()),
                false => Audience::Worker(WORKERS[0].to_owned()),
            };
            world.hand_out(run, to);
        }
        Doing::Withdraw(n) => world.withdraw(n),
        Doing::Expire(n) => world.expire(n),
        Doing::Cancel(n) => {
            if let Some(stored) = world.stored.values_mut().nth(n) {
                stored.cancelled = true;
            }
        }
        Doing::Repeat(agent) => world.repeat(agent),
        Doing::Finish(agent) => world.finish(agent),
        Doing::Crash(agent) => world.crash(agent),
        Doing::Tick(seconds) => world.tick(seconds),
        Doing::Deliver(n) | Doing::Duplicate(n) | Doing::Lose(n) if n >= world.network.len() => {}
        Doing::Deliver(n) => {
            let message = world.network.remove(n);
            world.arrive(message);
        }
        Doing::Duplicate(n) => world.arrive(world.network[n].clone()),
        Doing::Lose(n) => {
            world.network.remove(n);
        }
    }
    world.check();
}

/// The network delivers everything, in order, machines stay up, and leases of what nobody runs run out.
fn heal(world: &mut World) {
    for _ in 0..12 {
        for agent in 0..WORKERS.len() {
            world.repeat(agent);
        }
        settle(world);
        for agent in 0..WORKERS.len() {
            while !world.running[agent].is_empty() {
                world.finish(agent);
            }
        }
        settle(world);
        world.tick(LEASE + SLACK);
        for n in 0..world.stored.len() {
            world.expire(n);
        }
    }
}

/// Everything that is under way arrives.
fn settle(world: &mut World) {
    while !world.network.is_empty() {
        let message = world.network.remove(0);
        world.arrive(message);
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_run_begins_twice_or_has_two_results_and_every_one_ends_when_the_network_heals(
        doings in prop::collection::vec(doing(), 1..120)
    ) {
        let mut world = World::new();
        for doing in doings {
            one(&mut world, doing);
        }
        heal(&mut world);
        for (id, stored) in &world.stored {
            let over = stored.completion.is_some() || (stored.cancelled && stored.holder.is_none());
            prop_assert!(over, "{id} has not ended: {stored:?}");
        }
        for journal in &world.agents {
            prop_assert!(journal.held.is_empty(), "{journal:?}");
        }
    }
}
