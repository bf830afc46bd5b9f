//! A watch that feeds a cache, and knows whether the API server still answers.

use std::{collections::HashSet, fmt::Debug, pin::pin, time::Duration};

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::ListParams,
    core::DeserializeGuard,
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;

use super::cache::{Cache, version_of};

/// How often an API server that was away is asked whether it is back.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Keeps a cache up to date, for ever. A stored object that cannot be read (written by another version)
/// is logged and left out; it does not stop the others. `changed` is told the name of each object that is new or
/// another.
pub async fn follow<K>(
    api: Api<DeserializeGuard<K>>,
    cache: &Cache<K>,
    trim: fn(&mut K),
    changed: impl Fn(&str),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = pin!(watcher(api.clone(), watcher::Config::default()).default_backoff());
    let mut listed = HashSet::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = answers(&api), if cache.sign().away_since.is_some() => {
                cache.is_back();
                continue;
            }
        };
        match event {
            Some(Ok(event)) => {
                cache.is_back();
                take(event, cache, trim, &mut listed, &changed);
            }
            Some(Err(error)) => {
                tracing::warn!(kind = %K::kind(&()), %error, "the watch broke; it is being set up again");
                cache.is_away(Timestamp::now());
            }
            None => return,
        }
    }
}

/// Waits until the API server answers: a watch that is set up again says nothing of its own until
/// something changes.
async fn answers<K>(api: &Api<DeserializeGuard<K>>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let one = ListParams::default().limit(1);
    loop {
        tokio::time::sleep(ASK_AGAIN).await;
        if api.list_metadata(&one).await.is_ok() {
            return;
        }
    }
}

fn take<K>(
    event: watcher::Event<DeserializeGuard<K>>,
    cache: &Cache<K>,
    trim: fn(&mut K),
    listed: &mut HashSet<String>,
    changed: &impl Fn(&str),
) where
    K: Resource<DynamicType = ()>,
{
    match event {
        watcher::Event::Init => listed.clear(),
        watcher::Event::InitApply(object) => {
            listed.insert(object.name_any());
            put(object, cache, trim, changed);
        }
        watcher::Event::InitDone => {
            cache.retain(&std::mem::take(listed));
            cache.was_read();
        }
        watcher::Event::Apply(object) => put(object, cache, trim, changed),
        watcher::Event::Delete(object) => cache.forget(&object.name_any(), version_of(&object)),
    }
}

fn put<K: Resource<DynamicType = ()>>(
    object: DeserializeGuard<K>,
    cache: &Cache<K>,
    trim: fn(&mut K),
    changed: &impl Fn(&str),
) {
    let name = object.name_any();
    match object.0 {
        Ok(mut object) => {
            trim(&mut object);
            cache.put(object);
            changed(&name);
        }
        Err(error) => {
            tracing::error!(kind = %K::kind(&()), name, %error, "a stored object cannot be read and is left out; delete it or correct it");
        }
    }
}
