//! Writes down what is wrong with a Repository or a Builder. What that is, [`health`](crate::health)
//! decides.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crds::Repository;
use kube::{ResourceExt, runtime::events::EventType};

use crate::{
    cache::{Cache, Parts, version_of},
    context::{Context, now, patch_status, trim},
    health::{self, Change, entrance::Probe, repository::Seen},
    queue::Next,
};
use tokio::time::Instant;

/// How often GitHub is asked about a repository that is fine.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// How often its webhook is looked at.
const PROBE_EVERY: Duration = Duration::from_secs(3600);
/// How often it is looked at while something is wrong with it.
const PROBE_AGAIN: Duration = Duration::from_secs(300);
/// How often it is asked about one that is not.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How often a connection is looked for that is not mounted. Nobody is asked.
const LOOK_FOR_CONNECTION: Duration = Duration::from_secs(2);

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
    let conditions = |status: &crds::RepositoryStatus| {
        crds::condition::is_true(&status.conditions, crds::condition::kind::READY)
    };
    let ready = match &change {
        Some(change) => conditions(&change.status),
        None => repository.status.as_ref().is_some_and(conditions),
    };
    write(
        &ctx,
        &ctx.api.repositories,
        &ctx.cache.repositories,
        &repository,
        change,
    )
    .await?;
    Ok(Next::After(match (&seen, ready) {
        (Seen::NoConnection, _) => LOOK_FOR_CONNECTION,
        (_, true) => LOOK_EVERY,
        (_, false) => LOOK_AGAIN,
    }))
}

/// What was last seen of each Repository's webhook: of which generation, when, and whether all was well.
#[derive(Default)]
pub struct Probed(Mutex<HashMap<String, Glance>>);

#[derive(Clone)]
struct Glance {
    generation: Option<i64>,
    at: Instant,
    probe: Probe,
    is_well: bool,
}

/// What is known of the webhook of a Repository that GitHub was just seen to have. It is looked at
/// when the spec changed, every hour, and every few minutes while something is wrong.
async fn probe(ctx: &Context, repository: &Repository, seen: &Seen) -> Option<Probe> {
    if !matches!(seen, Seen::Found(_)) {
        return None;
    }
    let name = repository.name_any();
    let all = || ctx.probed.0.lock().unwrap_or_else(PoisonError::into_inner);
    let generation = repository.metadata.generation;
    if let Some(known) = all().get(&name) {
        let lasts = if known.is_well {
            PROBE_EVERY
        } else {
            PROBE_AGAIN
        };
        if known.generation == generation && known.at.elapsed() < lasts {
            return Some(known.probe.clone());
        }
    }
    let probe = health::entrance::probe(&ctx.connections, repository).await?;
    let glance = Glance {
        generation,
        at: Instant::now(),
        is_well: health::entrance::judge(repository, &probe).1.is_none(),
        probe: probe.clone(),
    };
    let mut all = all();
    all.retain(|known, _| ctx.cache.repositories.get(known).is_some());
    all.insert(name, glance);
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
    write(
        &ctx,
        &ctx.api.builders,
        &ctx.cache.builders,
        &builder,
        change,
    )
    .await?;
    Ok(Next::Wait)
}

async fn write<K, S>(
    ctx: &Context,
    api: &kube::Api<K>,
    cache: &Cache<K>,
    object: &K,
    change: Option<Change<S>>,
) -> Result<(), SpecError>
where
    K: Parts,
    S: serde::Serialize,
{
    let Some(change) = change else { return Ok(()) };
    let name = object.name_any();
    match patch_status(api, object, serde_json::json!(change.status)).await {
        Ok(written) => cache.learn(&name, version_of(&written), trim(written)),
        Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => {
            return Ok(());
        }
        Err(source) => return Err(SpecError { name, source }),
    }
    for news in change.news {
        let kind = if news.warning {
            EventType::Warning
        } else {
            EventType::Normal
        };
        ctx.event(object, kind, news.reason, news.note).await;
    }
    Ok(())
}
