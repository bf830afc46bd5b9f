//! Carries out what the journal says.

use std::{collections::BTreeSet, sync::Arc};

use protocol::worker::{
    agent::{Command, Event, Held, HeldState},
    assignment::Assignment,
    completion::RunEnd,
    envelope::Envelope,
    fault::FaultCode,
    wire::{Accepted, DeclineCode},
};

use super::{Daemon, Live, Message, happen::lease_until, say, threads};
use crate::{
    text::one_line,
    worker::{
        clock::steady,
        files,
        held::{Record, Stage},
        history::What,
        policy::{self, No},
        run::{self, Finished, Why, log_limits},
        shipping::{Shipping, Spools},
    },
};

impl Daemon {
    /// Goes on with what an earlier start of the agent left.
    pub(super) fn resume(&mut self, commands: Vec<Command>) {
        for command in commands {
            if let Command::Deliver(id) = &command
                && let Err(error) = self.cut_off(id)
            {
                // What is not known any more cannot be told, and is forgotten.
                say(&format!(
                    "the end of a run before the restart is lost: {error}"
                ));
            }
            self.carry_out(command);
        }
    }

    /// Sends the rest of logs whose runs were settled before the restart.
    pub(super) fn finish_logs(&mut self) {
        for record in Record::all(&self.site.layout) {
            if self.book.journal().held.contains_key(&record.id) {
                continue;
            }
            match self.follow(&record) {
                Ok(live) => {
                    live.shipping.ended();
                    self.live.insert(record.id.clone(), live);
                }
                Err(error) => say(&format!("the rest of a log cannot be sent: {error}")),
            }
            self.forget(&record.id);
        }
    }

    /// Signs the end of a run that the agent's own end cut off, and sends the rest of its log.
    fn cut_off(&mut self, id: &str) -> std::io::Result<()> {
        let layout = &self.site.layout;
        let record = Record::load(layout, id).map_err(std::io::Error::other)?;
        let mut record = record.ok_or_else(|| std::io::Error::other("nothing is known of it"))?;
        let mut live = self.follow(&record)?;
        live.shipping.ended();
        if record.completion.is_none() {
            let end = record.cut_off();
            self.note(&record.assignment, What::Ended, &in_words(&end));
            let completion = record.ended(&self.site.config.name, end);
            run::sign(&self.site, &mut record, completion)?;
        } else {
            // It had ended by itself, and waited for its log.
            live.log_comes_first = true;
            self.wait_for_log(id, &live.shipping);
        }
        self.live.insert(id.to_owned(), live);
        Ok(())
    }

    /// Sends the log of a run, and can stop it.
    fn follow(&self, record: &Record) -> std::io::Result<Live> {
        let (site, stop) = (&self.site, Arc::new(self.site.stop()));
        Spools::of(&site.layout, &record.id)
            .make()
            .map_err(std::io::Error::other)?;
        let limits = log_limits(&site.config, record);
        let hinted = stop.hinted.clone();
        let shipping = Shipping::begin(&site.layout, &site.config.server, record, limits, hinted)?;
        Ok(Live {
            name: record.assignment.run.name.clone(),
            stop,
            shipping: Arc::new(shipping),
            log_comes_first: false,
        })
    }

    /// Carries out one command.
    pub(super) fn carry_out(&mut self, command: Command) {
        match command {
            Command::Accept(id) => threads::accept(&self.link, &self.shared, &self.to_self, id),
            Command::Decline(id, code) => {
                let reason = match code {
                    DeclineCode::Repeated => "it was begun here before, and nothing is begun twice",
                    _ => "it cannot be taken",
                };
                self.decline(&id, No::new(code, reason));
            }
            Command::Start(id) => self.start(id),
            Command::Stop(id) => self.stop(&id, &Why::Cancelled),
            Command::Kill(id) => self.stop(&id, &Why::Cancelled),
            Command::Deliver(id) => self.deliver(id),
            Command::Forget(id) => self.forget(&id),
        }
    }

    /// The gateway answered to an accept.
    pub(super) fn accepted(
        &mut self,
        id: String,
        sent: u64,
        answer: Result<Box<Accepted>, FaultCode>,
    ) {
        let accepted = match answer {
            Ok(accepted) => *accepted,
            Err(code) => {
                say(&format!("an offer was not to be had any more ({code:?})"));
                return self.happen(Event::Refused { id });
            }
        };
        let Accepted {
            signed,
            log_token,
            lease_seconds,
            ..
        } = accepted;
        let record = self.ordered(&id, &signed).and_then(|assignment| {
            let record = Record {
                id: id.clone(),
                assignment,
                log_token,
                stage: Stage::Preparing,
                slot: self.free_slot(),
                begun: crate::worker::clock::own(),
                completion: None,
            };
            let saved = record.save(&self.site.layout);
            saved.map(|()| record).map_err(|error| error.to_string())
        });
        match record {
            Ok(_) => {
                let margin = self.link.timing().kill_margin_seconds;
                let lease_until = lease_until(sent, lease_seconds, margin);
                let now = steady();
                self.happen(Event::Accepted {
                    id,
                    lease_until,
                    now,
                });
            }
            Err(why) => {
                say(&format!("does not run what it accepted: {why}"));
                self.happen(Event::Refused { id });
                // Else the cluster would believe for minutes that it runs here.
                self.link.renew_session();
            }
        }
    }

    /// The assignment that was let have, if it is the run that was asked for, and its owner takes it: since it
    /// was offered the agent may have been started again, with other rules.
    fn ordered(&self, id: &str, signed: &Envelope) -> Result<Assignment, String> {
        let assignment = self.verify(signed)?;
        let held = self.book.journal().held.get(id);
        let is_same =
            |held: &Held| held.run == assignment.run && held.pool == assignment.to.is_pool();
        if !held.is_some_and(is_same) {
            return Err("the gateway let it have another run than it had offered".to_owned());
        }
        policy::takes(&self.site.config.policy, &assignment).map_err(|no| no.reason)?;
        Ok(assignment)
    }

    /// The first slot that no held run has.
    fn free_slot(&self) -> u32 {
        let held = self.book.journal().held.iter();
        let there = held.filter(|(_, held)| held.state != HeldState::Done);
        let known = there.filter_map(|(id, _)| Record::load(&self.site.layout, id).ok()?);
        let taken: BTreeSet<u32> = known.map(|record| record.slot).collect();
        (0..).find(|slot| !taken.contains(slot)).unwrap_or_default()
    }

    fn start(&mut self, id: String) {
        let record = Record::load(&self.site.layout, &id).ok().flatten();
        let followed = record.and_then(|record| Some((self.follow(&record).ok()?, record)));
        let Some((mut live, record)) = followed else {
            // The disk took it a moment ago.
            say("a run that was accepted cannot be begun: its record or its log is not there");
            return self.happen(Event::Ended { id });
        };
        self.note(&record.assignment, What::Began, "");
        self.counted = None;
        say(&format!(
            "begins {} for {}",
            live.name, record.assignment.requester.login
        ));
        live.log_comes_first = true;
        self.spawn(record, &live);
        self.live.insert(id, live);
    }

    fn spawn(&self, mut record: Record, live: &Live) {
        let (site, to) = (self.site.clone(), self.to_self.clone());
        let (stop, shipping) = (live.stop.clone(), live.shipping.clone());
        std::thread::spawn(move || {
            let finished = run::run(&site, &mut record, &stop);
            let completion = protocol::worker::completion::Completion {
                prepared_ms: finished.prepared_ms,
                ran_ms: finished.ran_ms,
                ..record.ended(&site.config.name, finished.result.clone())
            };
            let id = record.id.clone();
            // At once: no restart of the agent takes an end away that only waits for its log.
            let signed = run::sign(&site, &mut record, completion.clone());
            // The slot is free from here on; the log may still be on its way.
            let _ = to.send(Message::Gone(id.clone(), Box::new(finished)));
            shipping.ended();
            shipping.wait();
            // A disk that was full may have room by now.
            let signed = signed.or_else(|_| run::sign(&site, &mut record, completion));
            if let Err(error) = signed {
                say(&format!("the end of a run cannot be signed: {error}"));
            }
            let _ = to.send(Message::Logged(id));
        });
    }

    /// Says when the log of a run that has ended is where it belongs, or has kept its end waiting for long enough.
    fn wait_for_log(&self, id: &str, shipping: &Arc<Shipping>) {
        let (to, shipping, id) = (self.to_self.clone(), shipping.clone(), id.to_owned());
        std::thread::spawn(move || {
            shipping.wait();
            // The daemon is gone when nobody listens.
            let _ = to.send(Message::Logged(id));
        });
    }

    /// The end of a run may be delivered; it is as soon as it is written down that the run has ended.
    pub(super) fn logged(&mut self, id: String) {
        if let Some(live) = self.live.get_mut(&id) {
            live.log_comes_first = false;
        }
        let held = self.book.journal().held.get(&id);
        if held.is_some_and(|held| held.state == HeldState::Done) {
            self.deliver(id);
        }
    }

    /// The last process of a run is gone.
    pub(super) fn gone(&mut self, id: &str, finished: Finished) {
        match (&finished.trouble, &finished.result) {
            (Some(why), _) => self.breaker.failed(&one_line(why, 200), steady()),
            (None, RunEnd::Ran { .. }) => self.breaker.worked(),
            // What was stopped, or would run nowhere, says nothing about the machine.
            (None, _) => {}
        }
        let path = self.site.layout.own("breaker.json");
        if let Err(error) = files::write_json(&path, &self.breaker) {
            say(&error.to_string());
        }
        let words = in_words(&finished.result);
        if let Some(live) = self.live.get(id) {
            say(&format!("{} {words}", live.name));
        }
        if let Ok(Some(record)) = Record::load(&self.site.layout, id) {
            self.note(&record.assignment, What::Ended, &words);
        }
        self.happen(Event::Ended { id: id.to_owned() });
    }

    fn stop(&self, id: &str, why: &Why) {
        let lease_is_over = self
            .book
            .journal()
            .held
            .get(id)
            .is_some_and(|held| held.pool);
        let cancelled = self.shared.was_cancelled(id);
        if let Some(live) = self.live.get(id) {
            live.stop.stop(match lease_is_over && !cancelled {
                true => {
                    Why::Machine("its lease ended while the gateway was not to be reached".into())
                }
                false => why.clone(),
            });
        }
    }

    fn deliver(&mut self, id: String) {
        let waits = |live: &Live| live.log_comes_first;
        if self.live.get(&id).is_some_and(waits) {
            return;
        }
        let record = Record::load(&self.site.layout, &id).ok().flatten();
        match record.and_then(|record| record.completion) {
            Some(what) => threads::deliver(&self.link, &self.shared, &self.to_self, id, what),
            // Without a signed end nothing can be told: the operator's own limits end the run.
            None => self.happen(Event::Delivered {
                id,
                answer: Err(FaultCode::Gone),
            }),
        }
    }

    /// Removes what is kept of a run, once its log is where it belongs.
    fn forget(&mut self, id: &str) {
        let (layout, id) = (self.site.layout.clone(), id.to_owned());
        let live = self.live.remove(&id);
        std::thread::spawn(move || {
            if let Some(live) = live {
                live.stop.stop(Why::Cancelled);
                live.shipping.join();
            }
            if let Err(error) = Record::forget(&layout, &id) {
                say(&error.to_string());
            }
        });
    }
}

/// How a run ended, for the owner.
fn in_words(end: &RunEnd) -> String {
    match end {
        RunEnd::Ran { report, .. } => match &report.reason {
            None => format!("{:?}", report.verdict).to_lowercase(),
            Some(reason) => format!(
                "{}: {reason}",
                format!("{:?}", report.verdict).to_lowercase()
            ),
        },
        RunEnd::NotRun { reason, .. } => format!("did not run: {reason}"),
        RunEnd::Broken { reason } => format!("was cut off: {reason}"),
        RunEnd::Cancelled => "was cancelled".into(),
    }
}
