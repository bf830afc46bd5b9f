//! Objects that a watch keeps up to date. One that cannot be read, because another version wrote it, is as
//! good as not there and keeps nobody from seeing the others.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};

use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use service::stored::{Guarded, Lean, Parts, Stored};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The objects of one kind, by name. A clone is the same.
pub struct Kept<K> {
    objects: Arc<RwLock<BTreeMap<String, Arc<K>>>>,
    ready: watch::Receiver<bool>,
}

impl<K> Clone for Kept<K> {
    fn clone(&self) -> Self {
        Self {
            objects: self.objects.clone(),
            ready: self.ready.clone(),
        }
    }
}

impl<K> Kept<K>
where
    K: Parts + Debug + Send + Sync + 'static,
{
    /// Keeps what a watch sees, trimmed, until the token is cancelled.
    pub fn follow(
        watch: impl Stream<Item = watcher::Result<Event<Stored<K>>>> + Send + 'static,
        trim: impl Fn(&mut K) + Send + Sync + 'static,
        stop: &CancellationToken,
    ) -> Self {
        let (told, ready) = watch::channel(false);
        let kept = Self {
            objects: Arc::default(),
            ready,
        };
        let (keeper, stop) = (kept.clone(), stop.clone());
        tokio::spawn(async move {
            let watch = watch.default_backoff().take_until(stop.cancelled_owned());
            futures::pin_mut!(watch);
            let mut listed = BTreeMap::new();
            while let Some(event) = watch.next().await {
                match event {
                    Ok(Event::InitDone) => {
                        keeper.swap(std::mem::take(&mut listed));
                        told.send_replace(true);
                    }
                    Ok(event) => keeper.take(event, &mut listed, &trim),
                    Err(error) => {
                        tracing::warn!(%error, "a watch broke off and starts again");
                    }
                }
            }
        });
        kept
    }

    /// Waits for the first list.
    pub async fn wait_until_ready(&self) {
        // An error means that the watch ended, and with it the program.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }

    /// All of them, in the order of their names.
    pub fn all(&self) -> Vec<Arc<K>> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.values().cloned().collect()
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<Arc<K>> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.get(name).cloned()
    }

    fn take(
        &self,
        event: Event<Stored<K>>,
        listed: &mut BTreeMap<String, Arc<K>>,
        trim: &impl Fn(&mut K),
    ) {
        let trimmed = |object: Stored<K>| {
            let mut object = readable(object)?;
            trim(&mut object);
            Some(Arc::new(object))
        };
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => {
                let name = object.name_any();
                if let Some(object) = trimmed(object) {
                    listed.insert(name, object);
                }
            }
            Event::Apply(object) => {
                let name = object.name_any();
                let object = trimmed(object);
                self.change(|objects| match object {
                    Some(object) => objects.insert(name, object),
                    None => objects.remove(&name),
                });
            }
            Event::Delete(object) => self.change(|objects| objects.remove(&object.name_any())),
            Event::InitDone => {}
        }
    }

    fn swap(&self, listed: BTreeMap<String, Arc<K>>) {
        self.change(|objects| {
            *objects = listed;
            None
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Arc<K>>) -> Option<Arc<K>>) {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        drop(change(&mut objects));
    }
}

/// An object, or none where it cannot be read.
pub fn readable<K: Parts>(object: Stored<K>) -> Option<K> {
    match object {
        Guarded::Readable(Lean(object)) => Some(object),
        Guarded::Unreadable { metadata, error } => {
            let name = metadata.name.unwrap_or_default();
            tracing::error!(
                kind = %K::kind(&()),
                name,
                error,
                "an object cannot be read and is left out: write it again with this version's fields"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crds::Builder;
    use futures::stream;
    use serde_json::json;

    use super::*;

    fn object(name: &str, display_name: serde_json::Value) -> Stored<Builder> {
        let object = json!({
            "metadata": { "name": name },
            "spec": { "displayName": display_name, "steps": [{ "run": "true" }] },
        });
        serde_json::from_str(&object.to_string()).unwrap()
    }

    #[tokio::test]
    async fn an_object_that_cannot_be_read_hides_no_other_and_is_not_kept_as_it_was() {
        let events = [
            Event::Init,
            Event::InitApply(object("good", json!("Good"))),
            Event::InitApply(object("broken", json!(7))),
            Event::InitApply(object("gone", json!("Gone"))),
            Event::InitApply(object("spoilt", json!("As it was"))),
            Event::InitDone,
            Event::Apply(object("spoilt", json!(7))),
            Event::Delete(object("gone", json!("Gone"))),
            Event::Apply(object("new", json!("New"))),
            // The watch begins anew, and says that it is done.
        ];
        let (told, mut heard) = watch::channel(false);
        let end = stream::once(async move {
            told.send_replace(true);
            std::future::pending().await
        });
        let events = stream::iter(events.map(Ok)).chain(end);
        let stop = CancellationToken::new();
        let kept = Kept::follow(events, |builder| builder.spec.steps.clear(), &stop);
        kept.wait_until_ready().await;
        heard.wait_for(|done| *done).await.unwrap();
        let names: Vec<String> = kept.all().iter().map(|object| object.name_any()).collect();
        assert_eq!(names, ["good", "new"]);
        assert!(
            kept.all()
                .iter()
                .all(|builder| builder.spec.steps.is_empty())
        );
        stop.cancel();
    }
}
