//! Writes down who is there and what they do, when it changes.

use kube::ResourceExt;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::Workers;
use super::objects::Write;
use super::status::{Facts, LOOK_EVERY, status};

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
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = workers.stop.cancelled() => return,
        }
        if !workers.objects.are_read() {
            continue;
        }
        for worker in workers.objects.workers() {
            look(workers, &worker.name_any()).await;
        }
    }
}

async fn look(workers: &Workers, name: &str) {
    let sight = workers.seen.sight(name);
    let held = workers.objects.held_by(name);
    let decide = |worker: Option<&crds::Worker>| {
        let Some(worker) = worker else {
            return Write::Known(false);
        };
        let facts = Facts {
            worker,
            sight: &sight,
            held: &held,
            now: jiff::Timestamp::now(),
        };
        let wanted = status(&facts);
        if worker.status.as_ref() == Some(&wanted) {
            return Write::Known(wanted.offline_since.is_some());
        }
        let patch = json!({
            "observedGeneration": wanted.observed_generation,
            "conditions": wanted.conditions,
            "offlineSince": wanted.offline_since,
            "running": wanted.running,
            "busy": wanted.busy,
        });
        Write::Patch(patch, wanted.offline_since.is_some())
    };
    match workers.objects.change_worker(name, decide).await {
        // It may come in again through another gateway, which then knows better.
        Ok(true) => {
            if let Some(heard) = &sight.heard
                && heard.left.is_none()
            {
                workers.seen.forget(name, heard.at);
            }
        }
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(worker = name, %error, "how a worker stands could not be written");
        }
    }
}
