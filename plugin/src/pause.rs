//! `pause` and `resume`.

use crds::{Builder, Repository};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::cli::Paused;
use crate::{Desk, PluginError, failed, out};

/// Pauses or resumes what was named.
pub(crate) async fn set(desk: &Desk, what: &Paused, paused: bool) -> Result<(), PluginError> {
    let patch = Patch::Merge(json!({ "spec": { "paused": paused } }));
    let (how, word) = (
        PatchParams::default(),
        if paused { "paused" } else { "not paused" },
    );
    if let Some(name) = &what.repository {
        let patched = desk.api::<Repository>().patch(name, &how, &patch).await;
        patched.map_err(failed(format!("{name} cannot be changed")))?;
        return out::line(&format!("repository {name} is {word}"));
    }
    let builders = desk.api::<Builder>();
    let names: Vec<String> = match &what.builder {
        Some(name) => vec![name.clone()],
        None => {
            let all = builders.list(&ListParams::default()).await;
            let all = all.map_err(failed("builders cannot be listed"))?;
            all.items.iter().map(ResourceExt::name_any).collect()
        }
    };
    for name in names {
        let patched = builders.patch(&name, &how, &patch).await;
        patched.map_err(failed(format!("{name} cannot be changed")))?;
        out::line(&format!("builder {name} is {word}"))?;
    }
    Ok(())
}
