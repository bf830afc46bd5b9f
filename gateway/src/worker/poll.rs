//! Asking for work. A poll is held until there is something to say; it costs no write.

use std::time::Duration;

use crds::Worker;
use jiff::Timestamp;
use protocol::worker::fault::{Fault, FaultCode};
use protocol::worker::server;
use protocol::worker::session::Timing;
use protocol::worker::wire::{Offer, Poll, PollAnswer, REASON_LIMIT};
use tokio::time::Instant;

use super::objects::{Known, id_of};
use super::seen::Takes;
use super::session::Open;
use super::status::quarantined_until;
use super::{Workers, cut};

impl Workers {
    /// An offer, as soon as there is one.
    pub(super) async fn poll(&self, worker: Open, said: Poll) -> Result<PollAnswer, Fault> {
        // What is held with a poll is short, however long its owner's words are.
        let closed = said.closed.map(|why| cut(&why, REASON_LIMIT));
        let takes = said.free_slots > 0 && closed.is_none() && !said.disk_full;
        let says = Takes {
            closed,
            disk_full: said.disk_full,
            disk_free_mb: said.disk_free_mb,
        };
        self.seen.tell(&worker.name, &worker.who, says);
        let bell = self.seen.bell(&worker.name);
        let end = Instant::now() + Duration::from_secs(Timing::default().poll_seconds);
        let was_drained = self.is_drained(&worker.name);
        loop {
            // Asked for before looking, so that what comes in between is not missed.
            let rung = bell.notified();
            let found = match takes {
                true => self.offer(&worker.name),
                false => Found::Nothing,
            };
            let (offer, again) = match found {
                Found::Offer(offer) => (Some(offer), end),
                Found::Later(again) => (None, again.min(end)),
                Found::Nothing => (None, end),
            };
            let answer = PollAnswer {
                offer,
                drain: self.is_drained(&worker.name),
                keys: self.newest_keys(),
            };
            if answer.offer.is_some() || answer.drain != was_drained {
                return Ok(answer);
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep_until(again) => {
                    if again == end {
                        self.seen.hear(&worker.name, &worker.who);
                        return Ok(answer);
                    }
                }
                () = self.stop.cancelled() => {
                    let why = "this gateway is about to stop; ask again";
                    return Err(Fault::new(FaultCode::Unavailable, why).after(1));
                }
            }
        }
    }

    fn is_drained(&self, name: &str) -> bool {
        let worker = self.objects.worker(name);
        worker.is_some_and(|worker| worker.spec.drain)
    }

    /// The oldest assignment that this worker may take and has not declined, and that no other one is offered.
    fn offer(&self, name: &str) -> Found {
        let Some(worker) = self.objects.worker(name) else {
            return Found::Nothing;
        };
        if is_closed(&worker) {
            return Found::Nothing;
        }
        let mut later: Option<Instant> = None;
        for object in self.objects.offered_to(name) {
            let known = Known::of(object);
            if !may_have(&known, name) {
                continue;
            }
            let id = id_of(&known.object);
            match self.turns.offer(&id, name) {
                Ok(()) => {
                    let signed = known.object.spec.signed.clone();
                    return Found::Offer(Offer { id, signed });
                }
                Err(until) => later = Some(later.map_or(until, |known| known.min(until))),
            }
        }
        later.map_or(Found::Nothing, Found::Later)
    }
}

/// What there is for a worker.
enum Found {
    /// This.
    Offer(Offer),
    /// What is offered to another one until then.
    Later(Instant),
    /// Nothing.
    Nothing,
}

/// Whether a worker is given nothing now: by the infrastructure team, or because its machine ended too many runs. The
/// operator learns of that a moment later, and what it had promised before waits for other machines.
fn is_closed(worker: &Worker) -> bool {
    let now = Timestamp::now();
    let mut windows = worker.spec.windows.iter();
    let status = worker.status.as_ref();
    worker.spec.paused
        || worker.spec.drain
        || status.is_some_and(|status| quarantined_until(status, now).is_some())
        || windows.any(|window| !matches!(window.closed_until(now), Ok(None)))
}

fn may_have(known: &Known, worker: &str) -> bool {
    let status = known.object.status.as_ref();
    let mut declined = status.into_iter().flat_map(|status| &status.declined);
    server::may_offer(&known.view(), worker) && !declined.any(|by| by.worker == worker)
}
