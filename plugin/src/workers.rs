//! `worker list` and `worker drain`.

use crds::{Worker, condition};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::{Desk, PluginError, failed, out, words};

/// Shows all workers.
pub(crate) async fn list(desk: &Desk) -> Result<(), PluginError> {
    let all = desk.api::<Worker>().list(&ListParams::default()).await;
    let all = all.map_err(failed("workers cannot be listed"))?;
    out::bytes(words::table(&rows(&all.items)).as_bytes())
}

/// A heading, and a row for each. Pure.
fn rows(workers: &[Worker]) -> Vec<Vec<String>> {
    let heading = ["NAME", "READY", "WHY", "RUNS", "DRAINED", "VERSION"];
    let heading = heading.map(str::to_owned).to_vec();
    std::iter::once(heading)
        .chain(workers.iter().map(row))
        .collect()
}

fn row(worker: &Worker) -> Vec<String> {
    let none = || "–".to_owned();
    let status = worker.status.clone().unwrap_or_default();
    let ready = condition::find(&status.conditions, condition::kind::READY);
    // Being on-line is what is expected, and needs no word.
    let why = ready.filter(|ready| ready.status != "True");
    vec![
        worker.name_any(),
        ready.map_or_else(none, |ready| ready.status.clone()),
        why.map_or_else(none, |ready| ready.message.clone()),
        format!("{} of {}", status.busy, worker.spec.slots),
        if worker.spec.drain { "yes" } else { "no" }.to_owned(),
        status.version.unwrap_or_else(none),
    ]
}

/// Sends a worker home, or takes it back.
pub(crate) async fn drain(desk: &Desk, name: &str, drain: bool) -> Result<(), PluginError> {
    let patch = Patch::Merge(json!({ "spec": { "drain": drain } }));
    let patched = desk
        .api::<Worker>()
        .patch(name, &PatchParams::default(), &patch)
        .await;
    patched.map_err(failed(format!("{name} cannot be changed")))?;
    out::line(&match drain {
        true => format!("{name} gets nothing new; what it runs goes on"),
        false => format!("{name} gets work again"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(status: serde_json::Value) -> Worker {
        let object = json!({
            "apiVersion": "prbuild.dev/v1alpha1", "kind": "Worker", "metadata": { "name": "mac-1" },
            "spec": { "contact": "Ada <ada@example.org>", "slots": 2 }, "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_worker_says_why_it_is_not_ready_and_how_much_it_runs() {
        let ready = |status: &str, message: &str| {
            json!([{ "type": "Ready", "status": status, "reason": "R", "message": message,
                "lastTransitionTime": "2026-01-01T00:00:00Z" }])
        };
        let away =
            json!({ "conditions": ready("False", "not heard of since 14:05"), "version": "0.1.0" });
        let here = json!({ "conditions": ready("True", "it asks for runs"), "busy": 1 });
        let rows = rows(&[worker(away), worker(here), worker(json!({}))]);
        let texts: Vec<String> = rows[1..].iter().map(|row| row.join("|")).collect();
        assert_eq!(
            texts,
            [
                "mac-1|False|not heard of since 14:05|0 of 2|no|0.1.0",
                "mac-1|True|–|1 of 2|no|–",
                "mac-1|–|–|0 of 2|no|–",
            ]
        );
    }
}
