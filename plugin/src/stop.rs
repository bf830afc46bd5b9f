//! `cancel`.

use crds::PrBuild;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{Desk, PluginError, failed};

/// Stops a build, or one builder of it, in the name of who asks.
pub(crate) async fn cancel(
    desk: &Desk,
    build: &str,
    builder: Option<&str>,
    reason: &str,
    waiting_only: bool,
) -> Result<(), PluginError> {
    let at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut cancel = json!({ "by": desk.user().await?, "reason": reason, "at": at });
    if waiting_only {
        cancel["waitingOnly"] = true.into();
    }
    let patch = match builder {
        Some(builder) => json!({ "spec": { "cancelBuilders": { builder: cancel } } }),
        None => json!({ "spec": { "cancel": cancel } }),
    };
    let patched = desk
        .api::<PrBuild>()
        .patch(build, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    patched.map_err(failed(format!("{build} cannot be stopped")))?;
    println!("{build} is asked to stop: {reason}");
    Ok(())
}
