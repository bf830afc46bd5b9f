//! Where a build is spoken about, and which labellings are spoken for.

use std::time::Duration;

use crds::{PrBuild, Trigger, TriggerKind, names};
use github::Repo;

use crate::context::Context;

/// How often it is looked whether a Repository or a connection that is gone came back.
pub const REPOSITORY_LOOKED_FOR_EVERY: Duration = Duration::from_secs(30);

/// What is said while there is no such Repository, or not its connection.
pub fn nowhere(repository: &str) -> String {
    format!("the Repository `{repository}` or its connection is gone")
}

/// The repository, and the name of its connection.
pub(super) fn repo(ctx: &Context, build: &PrBuild) -> Option<(Repo, String)> {
    let request = &build.spec.request;
    let repository = ctx.cache.repositories.get(&request.repository.name)?;
    let connection = ctx.connections.get(&repository.spec.connection)?;
    let status = repository.status.as_ref();
    let now_called = status.and_then(|status| status.full_name.as_deref());
    let full_name = now_called.unwrap_or(&request.repository.full_name);
    let (owner, name) = full_name.split_once('/')?;
    let repo = connection.repo(owner, name);
    Some((repo, repository.spec.connection.clone()))
}

/// Whether a `labeled` event has become a build or an answer already.
pub fn has_object(
    ctx: &Context,
    repository: &str,
    number: i64,
    like: &Trigger,
    event: i64,
) -> bool {
    let trigger = Trigger {
        kind: TriggerKind::Label,
        event_id: event,
        ..like.clone()
    };
    let name = names::event_name(repository, number, &trigger);
    ctx.cache.builds.get(&name).is_some() || ctx.cache.answers.get(&name).is_some()
}
