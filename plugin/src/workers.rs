//! `worker list` and `worker drain`.

use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::{Desk, PluginError, failed, words};

/// Workers as they are served. What a worker's conditions are called is theirs to say.
fn workers(desk: &Desk) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: crds::GROUP.to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: format!("{}/v1alpha1", crds::GROUP),
        kind: "Worker".to_owned(),
        plural: "workers".to_owned(),
    };
    Api::namespaced_with(desk.client.clone(), &desk.namespace, &resource)
}

/// Shows all workers.
pub(crate) async fn list(desk: &Desk) -> Result<(), PluginError> {
    let all = workers(desk).list(&ListParams::default()).await;
    let all = all.map_err(failed("workers cannot be listed"))?;
    let mut rows = vec![
        ["NAME", "READY", "DRAINED", "VERSION"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(all.items.iter().map(row));
    print!("{}", words::table(&rows));
    Ok(())
}

fn row(worker: &DynamicObject) -> Vec<String> {
    let conditions = worker.data["status"]["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Ready");
    let text = |value: &Value| value.as_str().unwrap_or("–").to_owned();
    let drained = worker.data["spec"]["drain"].as_bool().unwrap_or_default();
    vec![
        worker.name_any(),
        ready.map_or_else(|| "–".to_owned(), |ready| text(&ready["status"])),
        if drained { "yes" } else { "no" }.to_owned(),
        text(&worker.data["status"]["version"]),
    ]
}

/// Sends a worker home, or takes it back.
pub(crate) async fn drain(desk: &Desk, name: &str, drain: bool) -> Result<(), PluginError> {
    let patch = Patch::Merge(json!({ "spec": { "drain": drain } }));
    let patched = workers(desk)
        .patch(name, &PatchParams::default(), &patch)
        .await;
    patched.map_err(failed(format!("{name} cannot be changed")))?;
    match drain {
        true => println!("{name} gets nothing new; what it runs goes on"),
        false => println!("{name} gets work again"),
    }
    Ok(())
}
