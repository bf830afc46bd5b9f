//! What becomes of an offer: verified, judged by the owner's rules, then accepted or declined with a
//! sentence that owner and requester both see.

use std::{
    io::ErrorKind,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use protocol::worker::{
    agent::Event,
    assignment::{Assignment, Unfit},
    envelope::Envelope,
    wire::{DeclineCode, Offer, is_assignment_id},
};

use super::{Daemon, say, threads};
use crate::{
    text::one_line,
    worker::{
        clock,
        control::Wish,
        history::{Entry, What},
        policy::{self, No},
    },
};

/// Time between two notes of offers that were not believed.
const UNBELIEVED: Duration = Duration::from_secs(60);

/// How long the owner's program may take.
const BUSY: Duration = Duration::from_secs(10);

impl Daemon {
    /// Decides about an offer.
    pub(super) fn offered(&mut self, offer: Offer) {
        if !is_assignment_id(&offer.id) {
            say("the gateway offers something whose id is none");
            return self.shared.declined();
        }
        if self.book.journal().held.contains_key(&offer.id) {
            // Its answer is on the way, or this gateway has not heard yet that it was accepted.
            return self.shared.declined();
        }
        if self.pinned.is_none() && !self.shared.distrusts() {
            // The keys are on their way, and the offer comes again.
            return self.shared.declined();
        }
        let assignment = match self.verify(&offer.signed) {
            Ok(assignment) => assignment,
            Err(reason) => {
                say(&format!("declines an offer: {reason}"));
                self.note_unbelieved(&offer.id, &reason);
                return self.decline(&offer.id, No::new(DeclineCode::Invalid, reason));
            }
        };
        if !self.has_room() {
            // It came while another one was being taken. A decline would be remembered for long; like this
            // it comes again to whoever has a free slot first.
            return self.shared.declined();
        }
        if let Err(no) = self.judge(&assignment) {
            self.note(&assignment, What::Declined, &no.reason);
            return self.decline(&offer.id, no);
        }
        let (run, pool) = (assignment.run.clone(), assignment.to.is_pool());
        let id = offer.id;
        self.happen(Event::Offered { id, run, pool });
    }

    /// The assignment in an envelope, if a pinned key signed it and this worker may start it now. Its
    /// digest proves that steps and commit are those that were signed.
    pub(super) fn verify(&self, signed: &Envelope) -> Result<Assignment, String> {
        let Some(pinned) = &self.pinned else {
            return Err("it has no keys of the operator yet".into());
        };
        let keys = pinned
            .set
            .public_keys()
            .map_err(|error| error.to_string())?;
        let assignment: Assignment = signed.open(&keys).map_err(|error| error.to_string())?;
        self.clock.told(assignment.issued);
        let fits = assignment.fits(&self.site.config.name, self.clock.now());
        match (fits, self.clock.ahead()) {
            (Ok(()), _) => Ok(assignment),
            (Err(Unfit::Expired(_)), Some(ahead)) => Err(clock::in_words(ahead)),
            (Err(unfit), _) => Err(unfit.to_string()),
        }
    }

    fn judge(&mut self, assignment: &Assignment) -> Result<(), No> {
        policy::takes(&self.site.config.policy, assignment)?;
        let mut machine = self.machine(&Wish::load(&self.site.layout));
        machine.busy = busy(&self.site.config.policy.busy_command);
        self.shared.set_busy(machine.busy.clone());
        policy::closed(&self.site.config, &machine)
    }

    fn has_room(&self) -> bool {
        self.book.busy() < self.slots()
    }

    pub(super) fn decline(&self, id: &str, no: No) {
        self.shared.declined();
        threads::decline(&self.link, id, no);
    }

    /// Writes down for the owner that an offer was not believed. Whoever makes up offers fills no history with them.
    fn note_unbelieved(&mut self, id: &str, reason: &str) {
        let lately = |at: Instant| at.elapsed() < UNBELIEVED;
        if self.unbelieved.is_some_and(lately) {
            return;
        }
        self.unbelieved = Some(Instant::now());
        self.write_history(&Entry {
            at: clock::own(),
            what: What::Declined,
            run: id.to_owned(),
            repository: String::new(),
            pull_request: 0,
            commit: String::new(),
            by: String::new(),
            how: one_line(reason, 300),
        });
    }

    /// Writes down for the owner what happened with a run.
    pub(super) fn note(&self, assignment: &Assignment, what: What, how: &str) {
        let source = &assignment.work.source;
        self.write_history(&Entry {
            at: clock::own(),
            what,
            run: assignment.run.name.clone(),
            repository: source.repository.clone(),
            pull_request: source.pull_request,
            commit: source.commit.clone(),
            by: assignment.requester.login.clone(),
            how: how.to_owned(),
        });
    }

    fn write_history(&self, entry: &Entry) {
        if let Err(error) = self.history.add(entry) {
            say(&format!("the history cannot be written: {error}"));
        }
    }
}

/// What the owner's program says against a build now.
pub(super) fn busy(command: &[String]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Some(format!(
                "its owner's `busy_command` does not start: {error}"
            ));
        }
    };
    let end = Instant::now() + BUSY;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return None,
            Ok(Some(_)) => {
                return Some("something else runs on it, says its owner's program".into());
            }
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Some("its owner's `busy_command` does not answer".into());
            }
        }
    }
}
