//! Taking, refusing and ending an assignment: each is written by compare-and-swap before it is answered.

use crds::{Declined, Failing, Worker, condition};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use protocol::worker::completion::{Completion, RunEnd};
use protocol::worker::envelope::Envelope;
use protocol::worker::fault::{Fault, FaultCode};
use protocol::worker::server::{self, Step};
use protocol::worker::wire::{Accepted, Decline, DeclineCode, LEASE_SECONDS, REASON_LIMIT, Taken};
use serde_json::json;

use super::objects::{Known, Write, id_of};
use super::session::Open;
use super::status::failed_again;
use super::{Workers, away, cut};

impl Workers {
    /// Lets a worker have an assignment, once; asked again it gets the same answer.
    pub(super) async fn accept(&self, worker: &Open, id: &str) -> Result<Accepted, Fault> {
        let now = Timestamp::now();
        let until = now + SignedDuration::from_secs(LEASE_SECONDS);
        let decide = |known: Option<&Known>| {
            let view = known.map(Known::view);
            match (server::accept(view.as_ref(), &worker.name), known) {
                (Ok(Step::Write), Some(known)) => {
                    let status = json!({
                        "worker": worker.name,
                        "acceptedAt": Time(now),
                        "leaseExpiresAt": Time(until),
                    });
                    Write::Patch(status, Ok(accepted(known, LEASE_SECONDS)))
                }
                (Ok(_), Some(known)) => Write::Known(Ok(accepted(known, left(known, now)))),
                (Err(code), _) => Write::Known(Err(refused(code))),
                (Ok(_), None) => Write::Known(Err(refused(FaultCode::Gone))),
            }
        };
        // Of several in this process the later ones learn that it is taken without asking the cluster.
        let turn = self.turns.of(id).await;
        let answer = self.objects.change(id, decide).await;
        drop(turn);
        let accepted = answer.map_err(|error| away(&error))??;
        self.show_refused(worker, None).await;
        Ok(accepted)
    }

    /// Notes that a worker does not want an assignment.
    pub(super) async fn decline(
        &self,
        worker: &Open,
        id: &str,
        said: Decline,
    ) -> Result<Taken, Fault> {
        let entry = Declined {
            worker: worker.name.clone(),
            code: said.code,
            reason: cut(&said.reason, REASON_LIMIT),
            at: Time(Timestamp::now()),
        };
        let decide = |known: Option<&Known>| {
            let Some(known) = known else {
                return Write::Known(Err(refused(FaultCode::Gone)));
            };
            if known.view().holder.is_some() || !known.view().to.has(&worker.name) {
                return Write::Known(Err(refused(FaultCode::Taken)));
            }
            let status = known.object.status.clone().unwrap_or_default();
            let run = known.object.spec.run.name.clone();
            let mut declined = status.declined;
            if declined.iter().any(|by| by.worker == worker.name) {
                return Write::Known(Ok(run));
            }
            declined.push(entry.clone());
            Write::Patch(json!({ "declined": declined }), Ok(run))
        };
        let answer = self.objects.change(id, decide).await;
        let run = answer.map_err(|error| away(&error))??;
        self.turns.declined(id);
        if let Some(word) = is_alarming(entry.code) {
            let message = format!("it declined `{run}`: {}", entry.reason);
            let refused = Some((word, message.as_str()));
            self.show_refused(worker, refused).await;
        }
        Ok(Taken {})
    }

    /// Shows on the object that a worker did not believe an offer, until it takes one. That this is lost with the
    /// cluster's answer hurts nobody: the run says it, too.
    async fn show_refused(&self, worker: &Open, refused: Option<(&str, &str)>) {
        let kind = condition::kind::OFFER_REFUSED;
        let decide = |known: Option<&Worker>| {
            let status = known.and_then(|worker| worker.status.clone());
            let mut conditions = status.unwrap_or_default().conditions;
            let (reason, message) = refused.unwrap_or(("Taken", ""));
            let shown = condition::is_true(&conditions, kind);
            let now = Time(Timestamp::now());
            let holds = refused.is_some();
            let news = (holds || shown)
                && condition::set(&mut conditions, kind, holds, reason, message, now);
            match news {
                true => Write::Patch(json!({ "conditions": conditions }), ()),
                false => Write::Known(()),
            }
        };
        let shown = self.objects.change_worker(&worker.name, decide).await;
        if let Err(error) = shown {
            tracing::warn!(worker = worker.name, %error, "what a worker refused could not be written");
        }
    }

    /// Takes the end of a run, if its worker signed it; the first one counts.
    pub(super) async fn complete(
        &self,
        worker: &Open,
        id: &str,
        signed: Envelope,
    ) -> Result<Taken, Fault> {
        let completion = checked(worker, id, &signed)?;
        let digest = signed.digest();
        let decide = |known: Option<&Known>| {
            let view = known.map(Known::view);
            match server::complete(view.as_ref(), &worker.name, &digest) {
                Ok(Step::Write) => {
                    let ended = known.and_then(Known::ended_at);
                    let ended = Time(ended.unwrap_or_else(Timestamp::now));
                    let status = json!({ "result": signed, "endedAt": ended });
                    Write::Patch(status, Ok(true))
                }
                Ok(Step::Again) => Write::Known(Ok(false)),
                Err(code) => Write::Known(Err(refused(code))),
            }
        };
        let answer = self.objects.change(id, decide).await;
        if answer.map_err(|error| away(&error))?? {
            self.count(worker, &completion.result).await;
        }
        Ok(Taken {})
    }

    /// Counts the runs in a row that a machine ended. That a count is lost with the cluster's answer hurts
    /// nobody.
    async fn count(&self, worker: &Open, end: &RunEnd) {
        let decide = |known: Option<&Worker>| {
            let old = known.and_then(|worker| worker.status.as_ref()?.failing.clone());
            match counted(old.as_ref(), end, Timestamp::now()) {
                Some(new) if new != old => Write::Patch(json!({ "failing": new }), ()),
                _ => Write::Known(()),
            }
        };
        let counted = self.objects.change_worker(&worker.name, decide).await;
        if let Err(error) = counted {
            tracing::warn!(worker = worker.name, %error, "how often a worker failed could not be written");
        }
    }
}

/// Whether somebody should look at a worker that refuses an offer like this: it should have believed it, or should
/// not have got it.
fn is_alarming(code: DeclineCode) -> Option<&'static str> {
    match code {
        DeclineCode::Invalid => Some("Invalid"),
        DeclineCode::Repeated => Some("Repeated"),
        DeclineCode::Policy
        | DeclineCode::Busy
        | DeclineCode::Disk
        | DeclineCode::Draining
        | DeclineCode::Other => None,
    }
}

/// What is counted after this end; none where it says nothing about the machine.
fn counted(old: Option<&Failing>, end: &RunEnd, now: Timestamp) -> Option<Option<Failing>> {
    match end {
        RunEnd::Ran { .. } => Some(None),
        RunEnd::NotRun {
            reason,
            machine: true,
        }
        | RunEnd::Broken { reason } => Some(Some(failed_again(old, reason, now))),
        RunEnd::NotRun { machine: false, .. } | RunEnd::Cancelled => None,
    }
}

/// What a worker signed, if it is about this assignment.
fn checked(worker: &Open, id: &str, signed: &Envelope) -> Result<Completion, Fault> {
    let completion: Completion = signed.open(&worker.keys).map_err(|error| {
        let why = format!("the completion is not signed with the worker's key: {error}");
        Fault::new(FaultCode::Malformed, why)
    })?;
    let run = id.split_once('.').map(|(run, _)| run);
    let fits = completion.assignment == id
        && completion.worker == worker.name
        && run == Some(completion.run.as_str());
    match fits {
        true => Ok(completion),
        false => {
            let why = "the completion is about another assignment than its address";
            Err(Fault::new(FaultCode::Malformed, why))
        }
    }
}

fn accepted(known: &Known, lease_seconds: i64) -> Accepted {
    let spec = &known.object.spec;
    Accepted {
        id: id_of(&known.object),
        signed: spec.signed.clone(),
        lease_seconds,
        log_token: spec.log_token.clone(),
    }
}

fn left(known: &Known, now: Timestamp) -> i64 {
    let status = known.object.status.as_ref();
    let until = status.and_then(|status| status.lease_expires_at.as_ref());
    until.map_or(0, |until| until.0.duration_since(now).as_secs().max(0))
}

fn refused(code: FaultCode) -> Fault {
    let why = match code {
        FaultCode::Gone => "there is no such assignment any more; stop what runs of it",
        FaultCode::Taken => "it is not this worker's; stop what runs of it",
        FaultCode::Cancelled => "it was cancelled",
        FaultCode::Completed => "it has ended with another result",
        _ => "it cannot be done",
    };
    Fault::new(code, why)
}

#[cfg(test)]
mod tests {
    use protocol::{CheckoutReport, ExecReport, Verdict};

    use super::*;

    /// Runs in a row that are counted after two and this end; none where it says nothing.
    fn after(end: &RunEnd) -> Option<i64> {
        let now = Timestamp::UNIX_EPOCH;
        let one = failed_again(None, "no disk", now);
        let two = failed_again(Some(&one), "no disk", now);
        let counted = counted(Some(&two), end, now)?;
        Some(counted.map_or(0, |failing| failing.runs))
    }

    #[test]
    fn only_what_a_machine_did_counts_against_it() {
        let reason = || "a sentence".to_owned();
        let not_run = |machine| RunEnd::NotRun {
            reason: reason(),
            machine,
        };
        let checkout = CheckoutReport {
            commit: "c".to_owned(),
            parents: Vec::new(),
            tree: "t".to_owned(),
            error: None,
        };
        let report = ExecReport::new(Verdict::Failed, 137);
        assert_eq!(after(&RunEnd::Broken { reason: reason() }), Some(3));
        assert_eq!(after(&not_run(true)), Some(3));
        assert_eq!(after(&not_run(false)), None, "a commit that is gone");
        assert_eq!(after(&RunEnd::Cancelled), None);
        assert_eq!(after(&RunEnd::Ran { checkout, report }), Some(0));
    }
}
