//! Writes down what is wrong with a Repository or a Builder. What that is, [`health`](crate::health)
//! decides.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crds::{Repository, RepositoryStatus, condition};
use kube::{ResourceExt, runtime::events::EventType};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use crate::health::probed::Probed;
use crate::{
    cache::{Cache, Parts, version_of},
    context::{Context, now, patch_status, trim},
    health::{
        self, Change,
        entrance::{self, Probe},
        probed::{Due, Standing},
        repository::Seen,
    },
    metrics::Verb,
    queue::Next,
    report::{Refusal, talk},
};

/// Least time between two looks at a Repository because GitHub refuses something.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// The status of a Repository or Builder could not be written. It is tried again.
#[derive(Debug, thiserror::Error)]
#[error("the status of {name} could not be written: {source}")]
pub struct SpecError {
    name: String,
    source: kube::Error,
}

/// Looks a Repository over, on GitHub too.
///
/// # Errors
/// The API server did not take the status.
pub async fn repository(ctx: Arc<Context>, name: String) -> Result<Next, SpecError> {
    let Some(repository) = ctx.cache.repositories.get(&name) else {
        return Ok(Next::Wait);
    };
    let seen = health::repository::look(&ctx.connections, &repository).await;
    let seen = match is_token_refused(&ctx, &repository) {
        true if matches!(seen, Seen::Found(_)) => Seen::NoStatuses,
        _ => seen,
    };
    let probe = probe(&ctx, &repository, &seen).await;
    let (others, builders) = (ctx.cache.repositories.all(), ctx.cache.builders.all());
    let is_app = ctx.connections.get(&repository.spec.connection);
    let is_app = is_app.map(|connection| connection.is_app());
    let change = health::repository::check(
        &repository,
        &seen,
        is_app,
        probe.as_ref(),
        &others,
        &builders,
        &now(),
    );
    let status = match &change {
        Some(change) => Some(&change.status),
        None => repository.status.as_ref(),
    };
    let standing = standing(&seen, status);
    let built = repository.status.as_ref().is_some_and(is_built);
    let changed = write(
        &ctx,
        "repositories",
        &ctx.api.repositories,
        &ctx.cache.repositories,
        &repository,
        change,
    );
    let changed = changed.await?;
    if standing == Standing::Builds && !built {
        // What it lacked was granted.
        ctx.reporter.try_again(&repository.spec.connection);
    }
    if changed {
        return Ok(Next::After(Duration::ZERO));
    }
    let next = ctx.probed.next_look(&repository, standing, Instant::now());
    Ok(Next::After(next))
}

/// Whether GitHub takes no statuses from a Repository's personal token. What it may do shows only when
/// one is written; of an App GitHub tells it.
fn is_token_refused(ctx: &Context, repository: &Repository) -> bool {
    let connection = &repository.spec.connection;
    let is_token = ctx
        .connections
        .get(connection)
        .is_some_and(|found| !found.is_app());
    let names = names(repository);
    is_token
        && ctx
            .reporter
            .lacks_statuses(connection, names.iter().map(String::as_str))
}

/// What a Repository may be called on GitHub: as its spec says, and as GitHub does.
fn names(repository: &Repository) -> Vec<String> {
    let (spec, status) = (&repository.spec, repository.status.as_ref());
    let called = status.and_then(|status| status.full_name.clone());
    let asked = format!("{}/{}", spec.owner, spec.name);
    [asked].into_iter().chain(called).collect()
}

/// How a Repository stands, by what was seen and what its status says.
fn standing(seen: &Seen, status: Option<&RepositoryStatus>) -> Standing {
    let builds = status.is_some_and(is_built);
    match seen {
        Seen::NoConnection => Standing::NoConnection,
        _ if builds => Standing::Builds,
        Seen::Failed(error) if talk::is_away(error) => Standing::Away,
        _ => Standing::Faulty,
    }
}

/// Whether builds of a Repository are started, by its status.
fn is_built(status: &RepositoryStatus) -> bool {
    let known = condition::find(&status.conditions, condition::kind::READY).is_some();
    known && condition::builds(&status.conditions)
}

/// Has Repositories looked over, until `stop`, whose results GitHub refuses to take, or takes again:
/// the permission that somebody took away in the midst of a build stands in the condition at once.
pub async fn heed_refusals(ctx: Arc<Context>, stop: CancellationToken) {
    let mut looked: HashMap<String, Instant> = HashMap::new();
    loop {
        let refusal = tokio::select! {
            () = stop.cancelled() => return,
            refusal = ctx.reporter.refusal() => refusal,
        };
        let now = Instant::now();
        looked.retain(|_, at| now - *at < REFUSED_PAUSE);
        for repository in ctx.cache.repositories.all() {
            let name = repository.name_any();
            let lately = refusal.refused && looked.contains_key(&name);
            if is_about(&refusal, &repository) && !lately {
                looked.insert(name.clone(), now);
                ctx.queues.repositories.add(&name);
            }
        }
    }
}

fn is_about(refusal: &Refusal, repository: &Repository) -> bool {
    let mut names = names(repository).into_iter();
    repository.spec.connection == refusal.connection
        && names.any(|name| name.eq_ignore_ascii_case(&refusal.repository))
}

/// What is known of the webhook of a Repository that GitHub was just seen to have.
async fn probe(ctx: &Context, repository: &Repository, seen: &Seen) -> Option<Probe> {
    if !matches!(seen, Seen::Found(_)) {
        return None;
    }
    let (before, shared) = match ctx.probed.due(repository, Instant::now()) {
        Due::Known(probe) => return Some(*probe),
        Due::Now { before, shared } => (before, shared),
    };
    let spec = &repository.spec;
    let connection = ctx.connections.get(&spec.connection)?;
    let repo = connection.repo(&spec.owner, &spec.name);
    let look = entrance::webhooks(&repo);
    let webhooks = match connection.is_app() {
        true => ctx.probed.of_app(connection.name(), shared, look).await,
        false => look.await,
    };
    let probe = entrance::probe(&repo, webhooks, before.map(|before| *before)).await;
    let is_well = entrance::judge(repository, &probe).1.is_none();
    ctx.probed
        .keep(|name| ctx.cache.repositories.get(name).is_some());
    let now = Instant::now();
    ctx.probed.learn(repository, probe.clone(), is_well, now);
    Some(probe)
}

/// Looks a Builder over.
///
/// # Errors
/// The API server did not take the status.
pub async fn builder(ctx: Arc<Context>, name: String) -> Result<Next, SpecError> {
    let Some(builder) = ctx.cache.builders.get(&name) else {
        return Ok(Next::Wait);
    };
    let others = ctx.cache.builders.all();
    let mut change = health::builder::check(&builder, &others, &now());
    if let Some(change) = &mut change {
        // The ledger has a writer of its own.
        change.status.running.clear();
    }
    let changed = write(
        &ctx,
        "builders",
        &ctx.api.builders,
        &ctx.cache.builders,
        &builder,
        change,
    );
    Ok(match changed.await? {
        true => Next::After(Duration::ZERO),
        false => Next::Wait,
    })
}

/// Writes a status, and tells what changed. Answers whether somebody changed the spec meanwhile: the
/// watch tells nothing new of that, and nobody has looked at it yet.
async fn write<K, S>(
    ctx: &Context,
    kind: &'static str,
    api: &kube::Api<K>,
    cache: &Cache<K>,
    object: &K,
    change: Option<Change<S>>,
) -> Result<bool, SpecError>
where
    K: Parts,
    S: serde::Serialize,
{
    let Some(change) = change else {
        return Ok(false);
    };
    let name = object.name_any();
    ctx.metrics.wrote(Verb::Patch, kind);
    let written = match patch_status(api, object, serde_json::json!(change.status)).await {
        Ok(written) => written,
        Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => {
            return Ok(false);
        }
        Err(source) => return Err(SpecError { name, source }),
    };
    let changed = written.meta().generation != object.meta().generation;
    cache.learn(&name, version_of(&written), trim(written));
    if changed {
        // Paused, a limit, somebody denied: what waits may go on, or not at all.
        ctx.admission.wake();
    }
    for news in change.news {
        let kind = if news.warning {
            EventType::Warning
        } else {
            EventType::Normal
        };
        ctx.event(object, kind, news.reason, news.note).await;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(ready: &str, reason: &str) -> RepositoryStatus {
        let mut status = RepositoryStatus::default();
        let kind = condition::kind::READY;
        condition::set_to(&mut status.conditions, kind, ready, reason, "", now());
        status
    }

    #[test]
    fn what_builds_with_a_fault_is_no_more_urgent_than_what_has_none() {
        let lacks = Seen::Lacks(vec!["statuses: write".to_owned()]);
        let away = Seen::Failed(github::GithubError::Unavailable {
            call: "GET /repos/o/n".to_owned(),
            reason: "no answer".to_owned(),
        });
        let gone = Seen::Failed(github::GithubError::NotFound {
            call: "GET /repos/o/n".to_owned(),
        });
        for (seen, ready, reason, expected) in [
            (&away, "True", "Valid", Standing::Builds),
            (&away, "False", "WebhookSilent", Standing::Builds),
            (&away, "False", "EventMissing", Standing::Builds),
            (&away, "False", "GitHubUnreachable", Standing::Away),
            (&gone, "False", "NotFound", Standing::Faulty),
            (&lacks, "False", "PermissionMissing", Standing::Faulty),
            (
                &Seen::NoConnection,
                "False",
                "NoConnection",
                Standing::NoConnection,
            ),
        ] {
            let status = status(ready, reason);
            assert_eq!(standing(seen, Some(&status)), expected, "{reason}");
        }
        assert_eq!(standing(&away, None), Standing::Away);
    }
}
