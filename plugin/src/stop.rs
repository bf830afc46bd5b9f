//! `cancel`.

use crds::{BuildPhase, PrBuild};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{Desk, PluginError, failed, out};

/// Stops a build, or one builder of it, in the name of who asks.
pub(crate) async fn cancel(
    desk: &Desk,
    build: &str,
    builder: Option<&str>,
    reason: &str,
    waiting_only: bool,
) -> Result<(), PluginError> {
    let found = desk.api::<PrBuild>().get_opt(build).await;
    let found = found.map_err(failed(format!("{build} cannot be read")))?;
    let found = found.ok_or_else(|| PluginError::Nothing {
        what: format!("build {build}"),
        remedy: "kubectl prbuild status".to_owned(),
    })?;
    can_stop(&found, builder)?;
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
    out::line(&format!("{build} is asked to stop: {reason}"))
}

/// Whether there is something to stop. Pure.
fn can_stop(build: &PrBuild, builder: Option<&str>) -> Result<(), PluginError> {
    let name = build.name_any();
    let status = build.status.clone().unwrap_or_default();
    if status.phase == BuildPhase::Complete {
        return Err(PluginError::Ended {
            build: name,
            summary: status.summary,
        });
    }
    let builders = &build.spec.request.builders;
    match builder.filter(|builder| !builders.iter().any(|one| one == builder)) {
        Some(builder) => Err(unknown_builder(build, builder)),
        None => Ok(()),
    }
}

/// A builder that a build does not have.
pub(crate) fn unknown_builder(build: &PrBuild, builder: &str) -> PluginError {
    PluginError::Nothing {
        what: format!("builder {builder} in {}", build.name_any()),
        remedy: format!("one of {}", build.spec.request.builders.join(", ")),
    }
}
