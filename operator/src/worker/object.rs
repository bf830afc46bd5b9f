//! The Assignment of a run as an object: found, cancelled, deleted. I/O.

use std::sync::Arc;

use crds::{Assignment, BuilderRun, Cancel, names};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use crate::build::stop as words;
use crate::cache::version_of;
use crate::context::{Context, now, trim};
use crate::metrics::Verb;
use crate::run::{RunError, failed};

/// How often a write is tried again after somebody else wrote first.
const TRIES: usize = 5;

/// The Assignment of a run: that there is none is believed only from the API server itself.
pub(super) async fn find(
    ctx: &Context,
    run: &BuilderRun,
    uid: &str,
) -> Result<Option<Arc<Assignment>>, RunError> {
    let name = names::assignment_name(uid);
    if let Some(found) = ctx.cache.assignments.get(&name) {
        return Ok(Some(found));
    }
    let found = ctx.api.assignments.get_opt(&name).await;
    let found = found.map_err(failed("looking at its Assignment", run))?;
    if let Some(found) = &found {
        learn(ctx, found.clone());
    }
    Ok(found.map(Arc::new))
}

/// Stops a run that is to end: what nobody has accepted is taken back, and what somebody has is cancelled
/// there, now or when that worker is back.
pub async fn stop(ctx: &Context, run: &BuilderRun, uid: &str, why: &str) -> Result<(), RunError> {
    let name = names::assignment_name(uid);
    for _ in 0..TRIES {
        let found = ctx.api.assignments.get_opt(&name).await;
        let Some(found) = found.map_err(failed("looking at its Assignment", run))? else {
            return Ok(());
        };
        let status = found.status.as_ref();
        if status.is_some_and(|status| status.result.is_some()) || found.spec.cancel.is_some() {
            return Ok(());
        }
        if status.is_some_and(|status| status.worker.is_some()) {
            let cancel = words::ours(why.to_owned(), now());
            return cancel_there(ctx, run, &found, &cancel).await;
        }
        if delete(ctx, run, &found).await? {
            return Ok(());
        }
    }
    let busy = kube::core::Status::failure("it changes all the time", "Conflict").with_code(409);
    Err(failed("stopping its Assignment", run)(kube::Error::Api(
        Box::new(busy),
    )))
}

/// Deletes the Assignment of a run that is gone: a worker that has it is told to stop.
pub async fn stop_orphan(ctx: &Context, name: &str) -> kube::Result<()> {
    ctx.metrics.wrote(Verb::Delete, "assignments");
    let how = DeleteParams::default();
    match ctx.api.assignments.delete(name, &how).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => deleted.map(drop),
    }
}

/// Has a run stopped on its worker, now or when that is back. Who was first has cancelled it.
pub(super) async fn cancel_there(
    ctx: &Context,
    run: &BuilderRun,
    assignment: &Assignment,
    cancel: &Cancel,
) -> Result<(), RunError> {
    let patch = json!({
        "metadata": { "uid": assignment.uid() },
        "spec": { "cancel": cancel },
    });
    let name = assignment.name_any();
    let (how, patch) = (PatchParams::default(), Patch::Merge(patch));
    ctx.metrics.wrote(Verb::Patch, "assignments");
    match ctx.api.assignments.patch(&name, &how, &patch).await {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        // It is set once: who was first has cancelled it.
        Err(kube::Error::Api(status)) if status.is_invalid() => Ok(()),
        written => {
            let written = written.map_err(failed("cancelling its Assignment", run))?;
            learn(ctx, written);
            Ok(())
        }
    }
}

/// Deletes an assignment if nobody wrote it since it was read: whoever accepts it at this moment has it.
pub(super) async fn delete(
    ctx: &Context,
    run: &BuilderRun,
    assignment: &Assignment,
) -> Result<bool, RunError> {
    let exactly = DeleteParams {
        preconditions: Some(Preconditions {
            uid: assignment.uid(),
            resource_version: assignment.resource_version(),
        }),
        ..DeleteParams::default()
    };
    ctx.metrics.wrote(Verb::Delete, "assignments");
    let name = assignment.name_any();
    match ctx.api.assignments.delete(&name, &exactly).await {
        Ok(_) => {
            // The watch brings it a moment later.
            ctx.cache.assignments.gone(&name, 0);
            Ok(true)
        }
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            ctx.cache.assignments.gone(&name, 0);
            Ok(true)
        }
        Err(kube::Error::Api(status)) if status.is_conflict() => Ok(false),
        Err(error) => Err(failed("taking its Assignment back", run)(error)),
    }
}

/// Takes the answer to a write of our own into the cache, before the watch brings it.
pub(super) fn learn(ctx: &Context, assignment: Assignment) {
    let (name, version) = (assignment.name_any(), version_of(&assignment));
    ctx.cache
        .assignments
        .learn(&name, version, trim(assignment));
}
