//! What becomes of what a worker holds. A heartbeat writes only when a lease of a pool is renewed, which is
//! seldom.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use protocol::worker::fault::{Fault, FaultCode};
use protocol::worker::server;
use protocol::worker::wire::{
    Action, Heartbeat, HeartbeatAnswer, Instruction, LEASE_SECONDS, RUNNING_LIMIT, Running,
    RunningState,
};
use serde_json::json;

use super::objects::{Known, Write};
use super::seen::{Heard, Takes};
use super::session::Open;
use super::{Workers, away};

/// A lease is renewed when less than this is left of it.
const RENEWED_BELOW: SignedDuration = SignedDuration::from_secs(LEASE_SECONDS / 3 * 2);

impl Workers {
    /// Answers what becomes of each assignment.
    pub(super) async fn heartbeat(
        &self,
        worker: &Open,
        said: Heartbeat,
    ) -> Result<HeartbeatAnswer, Fault> {
        if said.running.len() > RUNNING_LIMIT {
            return Err(Fault::new(
                FaultCode::Malformed,
                "it names too many assignments",
            ));
        }
        let heard = self.seen.sight(&worker.name).heard;
        let says = Takes {
            disk_full: said.disk_full,
            ..heard.map(Heard::takes).unwrap_or_default()
        };
        self.seen.tell(&worker.name, &worker.who, says);
        let spec = self.objects.worker(&worker.name);
        Ok(HeartbeatAnswer {
            verdicts: self.instruct(worker, &said.running).await?,
            drain: spec.is_some_and(|worker| worker.spec.drain),
            keys: self.newest_keys(),
        })
    }

    /// What becomes of each of these.
    pub(super) async fn instruct(
        &self,
        worker: &Open,
        running: &[Running],
    ) -> Result<Vec<Instruction>, Fault> {
        let mut verdicts = Vec::new();
        for Running { id, state, .. } in running {
            let known = self.objects.find(id).await.map_err(|error| away(&error))?;
            let view = known.as_ref().map(Known::view);
            let action = server::instruct(view.as_ref(), &worker.name, *state);
            let cancel = known
                .as_ref()
                .and_then(|known| known.object.spec.cancel.clone());
            let lease_seconds = match (action, &known) {
                (Action::Continue, Some(known)) => self.lease(id, known).await?,
                _ => None,
            };
            if let (RunningState::Done, Action::Continue, Some(known)) = (*state, action, &known) {
                self.note_gone(id, known).await?;
            }
            verdicts.push(Instruction {
                id: id.clone(),
                action,
                lease_seconds,
                reason: cancel
                    .filter(|_| action == Action::Cancel)
                    .map(|cancel| cancel.reason),
            });
        }
        Ok(verdicts)
    }

    /// Notes that nothing of a run is left on its worker, whose end waits for its log: its slot is free. It is told
    /// with the first heartbeat of a log that takes that long, and written once.
    async fn note_gone(&self, id: &str, known: &Known) -> Result<(), Fault> {
        if !is_news(known) {
            return Ok(());
        }
        let gone = json!({ "endedAt": Time(Timestamp::now()) });
        let note = |known: Option<&Known>| match known.filter(|known| is_news(known)) {
            Some(_) => Write::Patch(gone.clone(), ()),
            None => Write::Known(()),
        };
        let noted = self.objects.change(id, note).await;
        noted.map_err(|error| away(&error))
    }

    /// Seconds that are left of a lease, renewed if they are few. What is promised is written down.
    async fn lease(&self, id: &str, known: &Known) -> Result<Option<i64>, Fault> {
        let status = known.object.status.as_ref();
        let until = status.and_then(|status| status.lease_expires_at.clone());
        let Some(until) = until.filter(|_| known.object.spec.pool) else {
            return Ok(None);
        };
        let now = Timestamp::now();
        let left = until.0.duration_since(now);
        if left >= RENEWED_BELOW {
            return Ok(Some(left.as_secs()));
        }
        let renewed = now + SignedDuration::from_secs(LEASE_SECONDS);
        let renew = |known: Option<&Known>| match known {
            // It may have been taken back, or have ended, meanwhile: then there is nothing to renew.
            Some(known) if known.view().holder.is_some() && known.view().completion.is_none() => {
                let patch = json!({ "leaseExpiresAt": Time(renewed) });
                Write::Patch(patch, true)
            }
            _ => Write::Known(false),
        };
        let written = self.objects.change(id, renew).await;
        match written.map_err(|error| away(&error))? {
            true => Ok(Some(LEASE_SECONDS)),
            false => Ok(Some(left.as_secs().max(0))),
        }
    }
}

/// Whether a run has a worker, no end, and nothing that says that it runs no more.
fn is_news(known: &Known) -> bool {
    let view = known.view();
    view.holder.is_some() && view.completion.is_none() && known.ended_at().is_none()
}
