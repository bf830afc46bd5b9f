//! Numbers that are looked up now and then instead of counted: what waits, and what GitHub still allows.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crds::{BuilderRun, Worker, condition};
use jiff::Timestamp;
use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use crate::context::{Context, QUEUED};

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// What waits for one builder.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waiting {
    /// How many runs.
    pub runs: i64,
    /// Seconds that the oldest of them has waited.
    pub oldest: i64,
}

/// How the workers stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    /// How many say this of themselves: the reasons of their condition `Ready`.
    pub states: BTreeMap<String, i64>,
    /// Seconds since each that is wanted was last on-line; 0 for one that is.
    pub offline: BTreeMap<String, i64>,
}

/// Looks until `stop`.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) {
    loop {
        let queued = ctx.cache.runs.group(QUEUED);
        let mut waiting = waiting(&queued, Timestamp::now());
        // A build may name what is no Builder; its run ends in a moment.
        waiting.retain(|builder, _| ctx.cache.builders.get(builder).is_some());
        ctx.metrics.set_waiting(&waiting);
        let workers = ctx.cache.workers.all();
        ctx.metrics.set_fleet(&fleet(&workers, Timestamp::now()));
        let connections = ctx.connections.all();
        let budgets = connections.iter().map(|one| (one.name(), one.budget()));
        ctx.metrics.set_budgets(budgets);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn waiting(queued: &[Arc<BuilderRun>], now: Timestamp) -> BTreeMap<String, Waiting> {
    let mut builders: BTreeMap<String, Waiting> = BTreeMap::new();
    for run in queued {
        let since = run.creation_timestamp().map_or(now, |created| created.0);
        let waiting = builders.entry(run.spec.task.builder.clone()).or_default();
        waiting.runs += 1;
        waiting.oldest = waiting.oldest.max(now.duration_since(since).as_secs());
    }
    builders
}

fn fleet(workers: &[Arc<Worker>], now: Timestamp) -> Fleet {
    let mut fleet = Fleet::default();
    for worker in workers {
        let status = worker.status.clone().unwrap_or_default();
        let ready = condition::find(&status.conditions, condition::kind::READY);
        let state = ready.map_or("NeverSeen", |ready| ready.reason.as_str());
        *fleet.states.entry(state.to_owned()).or_default() += 1;
        // Nobody waits for one that was sent home.
        if worker.spec.drain || worker.spec.paused {
            continue;
        }
        let since = status.offline_since.map(|since| since.0);
        let seconds = since.map_or(0, |since| now.duration_since(since).as_secs().max(0));
        fleet.offline.insert(worker.name_any(), seconds);
    }
    fleet
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn worker(name: &str, spec: serde_json::Value, status: serde_json::Value) -> Arc<Worker> {
        let mut spec = spec;
        spec["contact"] = json!("Ada <ada@example.org>");
        let worker = json!({
            "apiVersion": "prbuild.dev/v1alpha1", "kind": "Worker",
            "metadata": { "name": name }, "spec": spec, "status": status,
        });
        Arc::new(serde_json::from_value(worker).unwrap())
    }

    fn ready(status: &str, reason: &str) -> serde_json::Value {
        json!([{
            "type": "Ready", "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }])
    }

    #[test]
    fn workers_are_counted_by_how_they_stand_and_those_that_are_missed_by_how_long() {
        let now: Timestamp = "2026-01-01T02:00:00Z".parse().unwrap();
        let away = json!({
            "conditions": ready("False", "Offline"), "offlineSince": "2026-01-01T00:00:00Z",
        });
        let workers = [
            worker(
                "here",
                json!({}),
                json!({ "conditions": ready("True", "Online") }),
            ),
            worker("away", json!({}), away.clone()),
            worker("home", json!({ "drain": true }), away),
            worker("new", json!({}), json!({})),
        ];
        let found = fleet(&workers, now);
        let states = [("NeverSeen", 1), ("Offline", 2), ("Online", 1)];
        let offline = [("away", 7200), ("here", 0), ("new", 0)];
        let named = |all: &[(&str, i64)]| {
            let all = all.iter();
            all.map(|(name, value)| ((*name).to_owned(), *value))
                .collect()
        };
        let expected = Fleet {
            states: named(&states),
            offline: named(&offline),
        };
        assert_eq!(found, expected);
    }
}
