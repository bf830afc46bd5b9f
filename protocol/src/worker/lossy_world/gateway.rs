//! The gateway of a lossy world: what it answers, and what is stored before it does.

use super::{LEASE, MARGIN, Message, Newest, Request, Ticket, WORKERS, World, view};
use crate::worker::{
    fault::FaultCode,
    server::{self, Step},
    wire::{Action, Instruction, Running},
};

impl World {
    /// What the gateway does with a request: only in the newest session of its worker.
    pub(super) fn asked(&mut self, agent: usize, ticket: Ticket, request: Request) {
        if ticket != (self.starts, self.newest[agent].epoch) {
            self.network.push(Message::NoSession(agent, ticket));
            return;
        }
        match request {
            Request::Accept(id, sent) => {
                let answer = self.accept(agent, &id, sent);
                self.network.push(answer);
            }
            Request::Complete(id, digest) => {
                let answer = self.complete(agent, &id, digest);
                self.network.push(Message::Delivered(agent, id, answer));
            }
            Request::Heartbeat(running, sent) => self.heartbeat(agent, &running, sent),
        }
    }

    /// A session counts if its nonce is of this gateway, and newer than that of the session before. What the worker
    /// has taken and does not name is lost by it.
    pub(super) fn opened(
        &mut self,
        agent: usize,
        nonce: (u64, u64),
        running: &[Running],
        sent: u64,
    ) {
        let (start, nonce) = nonce;
        if start != self.starts || nonce <= self.newest[agent].nonce {
            return;
        }
        let epoch = self.newest[agent].epoch + 1;
        self.newest[agent] = Newest { epoch, nonce };
        for (id, stored) in &mut self.stored {
            let is_its = stored.holder.as_deref() == Some(WORKERS[agent]);
            let is_named = running.iter().any(|running| running.id == *id);
            stored.forgotten |= is_its && !is_named && stored.completion.is_none();
        }
        let opened = Message::Opened(agent, nonce, (self.starts, epoch));
        self.network.push(opened);
        self.heartbeat(agent, running, sent);
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
}
