//! Writes down who is there and what they do, when it changes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crds::{Assignment, Slot, Worker, WorkerStatus};
use kube::ResourceExt;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::Workers;
use super::objects::Write;
use super::seen::Sight;
use super::status::{Facts, LOOK_EVERY, is_silent, status};

/// How long what a worker has in hand may change all the time until it is written down as it is.
const UNWRITTEN_FOR: Duration = Duration::from_secs(5);

/// How long after a write of this gateway's the watch may still bring what stood there before.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Looks at every worker once a second, and wakes the polls of those that something changed for.
pub async fn run(workers: &Workers) {
    tokio::join!(ring(workers), keep(workers));
}

async fn ring(workers: &Workers) {
    let mut changed = workers.objects.changed.subscribe();
    loop {
        match changed.recv().await {
            Ok(name) => workers.seen.bell(&name).notify_waiters(),
            // Too much at once: everybody looks.
            Err(RecvError::Lagged(_)) => {
                for worker in workers.objects.workers() {
                    workers.seen.bell(&worker.name_any()).notify_waiters();
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn keep(workers: &Workers) {
    let mut unwritten = Unwritten::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = workers.stop.cancelled() => return,
        }
        if !workers.objects.are_read() {
            continue;
        }
        for worker in workers.objects.workers() {
            look(workers, &worker, &mut unwritten).await;
        }
    }
}

/// What workers had in hand at the last look, where that is not written down: what changes with every short run is
/// not written with every one.
#[derive(Default)]
pub(super) struct Unwritten(HashMap<String, (Vec<Slot>, Instant)>);

impl Unwritten {
    /// Whether this status of a worker is to be written now, if it is another one than it has.
    fn is_due(&mut self, name: &str, status: Option<&WorkerStatus>, wanted: &WorkerStatus) -> bool {
        let known = self.0.remove(name);
        let Some(status) = status.filter(|status| *status != wanted) else {
            return true;
        };
        let otherwise_same = WorkerStatus {
            running: wanted.running.clone(),
            busy: wanted.busy,
            ..status.clone()
        };
        if otherwise_same != *wanted {
            return true;
        }
        let running = wanted.running.clone();
        let since = match known {
            Some((before, _)) if before == running => return true,
            Some((_, since)) if since.elapsed() >= UNWRITTEN_FOR => return true,
            Some((_, since)) => since,
            None => Instant::now(),
        };
        self.0.insert(name.to_owned(), (running, since));
        false
    }
}

pub(super) async fn look(workers: &Workers, worker: &Worker, unwritten: &mut Unwritten) {
    let name = worker.name_any();
    let name = name.as_str();
    let known = worker.status.as_ref();
    if let Some(session) = known.and_then(|known| known.session.as_ref()) {
        workers.seen.came_back(name, session.epoch);
    }
    let sight = workers.seen.sight(name);
    let mut held = workers.objects.held_by(name);
    held.retain(|held| is_there(held));
    let now = jiff::Timestamp::now();
    let facts = Facts {
        worker,
        sight: &sight,
        held: &held,
        now,
    };
    if !unwritten.is_due(name, worker.status.as_ref(), &status(&facts)) {
        return;
    }
    let decide = |worker: Option<&Worker>| {
        let Some(worker) = worker else {
            return Write::Known(None);
        };
        let facts = Facts {
            worker,
            sight: &sight,
            held: &held,
            now,
        };
        let wanted = status(&facts);
        if worker.status.as_ref() == Some(&wanted) {
            return Write::Known(Some(wanted));
        }
        let patch = json!({
            "observedGeneration": wanted.observed_generation,
            "conditions": wanted.conditions,
            "offlineSince": wanted.offline_since,
            "missed": wanted.missed,
            "running": wanted.running,
            "busy": wanted.busy,
        });
        Write::Patch(patch, Some(wanted))
    };
    match workers.objects.change_worker(name, decide).await {
        Ok(Some(stands)) => note(workers, name, &sight, &stands),
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(worker = name, %error, "how a worker stands could not be written");
        }
    }
}

/// Remembers what was asked of other gateways, and forgets what they know better: a worker that went off-line or over
/// to another one may come in there.
fn note(workers: &Workers, name: &str, sight: &Sight, stands: &WorkerStatus) {
    let Some(heard) = sight.heard.as_ref().filter(|heard| heard.left.is_none()) else {
        return;
    };
    match (&stands.offline_since, &stands.missed) {
        (Some(_), _) => workers.seen.forget(name, heard.at),
        (None, Some(_)) if is_silent(heard) => workers.seen.ask(name, heard.at),
        (None, None) if sight.asked.is_some_and(|asked| asked >= SETTLED_AFTER) => {
            workers.seen.forget(name, heard.at);
        }
        _ => {}
    }
}

/// Whether a run that a worker has may still have processes there.
fn is_there(held: &Assignment) -> bool {
    let status = held.status.as_ref();
    status.is_none_or(|status| status.ended_at.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(runs: &[&str]) -> WorkerStatus {
        let slot = |run: &&str| Slot {
            run: (*run).to_owned(),
            uid: (*run).to_owned(),
            since: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                jiff::Timestamp::UNIX_EPOCH,
            ),
        };
        WorkerStatus {
            busy: runs.len() as i64,
            running: runs.iter().map(slot).collect(),
            ..WorkerStatus::default()
        }
    }

    #[test]
    fn what_a_worker_has_in_hand_is_written_when_it_lasts() {
        let mut unwritten = Unwritten::default();
        let idle = busy(&[]);
        let mut due = |wanted: &WorkerStatus| unwritten.is_due("mac", Some(&idle), wanted);
        assert!(!due(&busy(&["a"])));
        assert!(!due(&busy(&["b"])), "another one: the first was short");
        assert!(due(&busy(&["b"])), "it lasts");
        assert!(!due(&busy(&["c"])));
        assert!(due(&idle), "nothing is to be written");
        let offline = WorkerStatus {
            version: Some("2".to_owned()),
            ..busy(&["a"])
        };
        assert!(due(&offline), "what else changes is not put off");
    }

    #[test]
    fn what_changes_all_the_time_is_written_now_and_then() {
        let long_ago = Instant::now().checked_sub(UNWRITTEN_FOR);
        let mut unwritten = Unwritten::default();
        let entry = (busy(&["a"]).running, long_ago.unwrap());
        unwritten.0.insert("mac".to_owned(), entry);
        assert!(unwritten.is_due("mac", Some(&busy(&[])), &busy(&["b"])));
    }
}
