//! What the API server told, trimmed, plus what it answered to our own writes.
//!
//! A reconcile that has just created an object must not wait for the watch to bring it back. So
//! answers to writes are applied here too, ordered by `resourceVersion`, which Kubernetes defines as
//! comparable among objects of one resource (KEP-5504).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use futures::{TryStreamExt, pin_mut};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use service::stored::Guarded;

pub use service::stored::{FromText, Lean, Parts, Unread, lean_metadata};

/// Objects of one kind by name, with one index.
pub struct Cache<T> {
    index_of: fn(&T) -> Vec<String>,
    inner: RwLock<Inner<T>>,
}

struct Inner<T> {
    objects: HashMap<String, Held<T>>,
    index: HashMap<String, HashSet<String>>,
    /// The newest version that the watch brought.
    watched: u64,
}

struct Held<T> {
    version: u64,
    value: Arc<T>,
}

impl<T> Inner<T> {
    /// The change that an object is which is held in this version already, or in a newer one.
    fn echo(&self, name: &str, version: u64) -> Option<Change<T>> {
        let held = self.objects.get(name)?;
        (held.version >= version).then(|| Change {
            old: Some(held.value.clone()),
            new: Some(held.value.clone()),
            echo: true,
        })
    }
}

/// A change of one object.
pub struct Change<T> {
    /// Before, where it was known.
    pub old: Option<Arc<T>>,
    /// After; absent when it is gone.
    pub new: Option<Arc<T>>,
    /// The watch brought what our own write had told before, or something older.
    pub echo: bool,
}

impl<T> Change<T> {
    fn gone(old: Option<Arc<T>>) -> Self {
        Self {
            old,
            new: None,
            echo: false,
        }
    }
}

/// What was known of an object that is gone.
pub(crate) enum Gone<T> {
    /// This, where it was known at all.
    Known(Option<Arc<T>>),
    /// Nothing any more: we have made another one of its name since, which stays.
    Replaced,
}

impl<T> Cache<T> {
    /// An empty cache. `index_of` names the groups that an object belongs to, for [`Cache::group`].
    pub fn new(index_of: fn(&T) -> Vec<String>) -> Self {
        Self {
            index_of,
            inner: RwLock::new(Inner {
                objects: HashMap::new(),
                index: HashMap::new(),
                watched: 0,
            }),
        }
    }

    /// The object of this name.
    pub fn get(&self, name: &str) -> Option<Arc<T>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.objects.get(name).map(|held| held.value.clone())
    }

    /// Every object of a group.
    pub fn group(&self, group: &str) -> Vec<Arc<T>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let names = inner.index.get(group).into_iter().flatten();
        names
            .filter_map(|name| inner.objects.get(name))
            .map(|held| held.value.clone())
            .collect()
    }

    /// Every object.
    pub fn all(&self) -> Vec<Arc<T>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner
            .objects
            .values()
            .map(|held| held.value.clone())
            .collect()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in the answer to a write of our own, unless the watch has already brought something
    /// newer, or its end.
    pub fn learn(&self, name: &str, version: u64, value: T) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let known = inner.objects.get(name).map(|held| held.version);
        let overtaken = match known {
            Some(known) => known >= version,
            None => version <= inner.watched,
        };
        if !overtaken {
            self.put(&mut inner, name, version, value);
        }
    }

    /// How many objects a group has.
    pub fn count(&self, group: &str) -> usize {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.index.get(group).map_or(0, HashSet::len)
    }

    /// An object of a list. Lists come by name, so that nothing is known yet of those that are
    /// absent from the part that was read.
    fn listed(&self, name: &str, version: u64, value: T) -> Change<T> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        Change {
            // After a watch that broke, all is looked at once more.
            echo: false,
            ..self.bring(&mut inner, name, version, value)
        }
    }

    fn watched(&self, name: &str, version: u64, value: T) -> Change<T> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.watched = inner.watched.max(version);
        self.bring(&mut inner, name, version, value)
    }

    /// What the watch brings of an object where our own write was faster: nobody has to read it.
    fn echoed(&self, name: &str, version: u64) -> Option<Change<T>> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.watched = inner.watched.max(version);
        inner.echo(name, version)
    }

    fn bring(&self, inner: &mut Inner<T>, name: &str, version: u64, value: T) -> Change<T> {
        let echo = inner.echo(name, version);
        echo.unwrap_or_else(|| self.put(inner, name, version, value))
    }

    /// Takes in that an object went in this version; in any, where none is given.
    pub(crate) fn gone(&self, name: &str, version: u64) -> Gone<T> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.watched = inner.watched.max(version);
        let held = inner.objects.get(name).map(|held| held.version);
        if version != 0 && held.is_some_and(|held| held > version) {
            return Gone::Replaced;
        }
        Gone::Known(self.remove(&mut inner, name))
    }

    /// Drops what a complete list no longer names. What we learned while it was under way stays.
    fn retain_listed(&self, listed: &HashSet<String>, newest_before: u64) -> Vec<Arc<T>> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<String> = inner
            .objects
            .iter()
            .filter(|(name, held)| !listed.contains(*name) && held.version <= newest_before)
            .map(|(name, _)| name.clone())
            .collect();
        gone.iter()
            .filter_map(|name| self.remove(&mut inner, name))
            .collect()
    }

    fn newest(&self) -> u64 {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let held = inner.objects.values().map(|held| held.version).max();
        held.unwrap_or(0).max(inner.watched)
    }

    fn put(&self, inner: &mut Inner<T>, name: &str, version: u64, value: T) -> Change<T> {
        let old = self.remove(inner, name);
        for group in (self.index_of)(&value) {
            inner
                .index
                .entry(group)
                .or_default()
                .insert(name.to_owned());
        }
        let value = Arc::new(value);
        let new = Some(value.clone());
        inner
            .objects
            .insert(name.to_owned(), Held { version, value });
        Change {
            old,
            new,
            echo: false,
        }
    }

    fn remove(&self, inner: &mut Inner<T>, name: &str) -> Option<Arc<T>> {
        let old = inner.objects.remove(name)?.value;
        for group in (self.index_of)(&old) {
            if let Some(names) = inner.index.get_mut(&group) {
                names.remove(name);
                if names.is_empty() {
                    inner.index.remove(&group);
                }
            }
        }
        Some(old)
    }
}

/// `resourceVersion` as a number; 0 where an object has none.
pub fn version_of(object: &impl ResourceExt) -> u64 {
    let version = object.resource_version().unwrap_or_default();
    version.parse().unwrap_or(0)
}

/// Keeps a cache up to date until the process ends. `ready` is called after each complete list,
/// `changed` for every change, in order.
///
/// One stored object that cannot be read (written by another version, or by hand before a rule
/// existed) is logged and left out; it does not stop the others.
pub async fn follow<K, T>(
    api: Api<Unread<K>>,
    config: watcher::Config,
    cache: &Cache<T>,
    trim: impl Fn(K) -> T,
    ready: impl Fn(),
    changed: impl Fn(Change<T>),
) where
    K: Resource<DynamicType = ()> + Clone + FromText + std::fmt::Debug + Send + 'static,
{
    let stream = watcher(api, config).default_backoff();
    pin_mut!(stream);
    let mut listed = HashSet::new();
    let mut newest_before = 0;
    loop {
        let event = match stream.try_next().await {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "the watch broke; it is being set up again");
                continue;
            }
        };
        match event {
            watcher::Event::Init => {
                listed.clear();
                newest_before = cache.newest();
            }
            watcher::Event::InitApply(object) => {
                listed.insert(object.name_any());
                take(object, &trim, |name, version, object| {
                    changed(cache.listed(name, version, object))
                });
            }
            watcher::Event::InitDone => {
                for old in cache.retain_listed(&listed, newest_before) {
                    changed(Change::gone(Some(old)));
                }
                listed.clear();
                ready();
            }
            watcher::Event::Apply(object) => {
                let (name, version) = (object.name_any(), version_of(&object));
                match cache.echoed(&name, version) {
                    Some(echo) => changed(echo),
                    None => take(object, &trim, |name, version, object| {
                        changed(cache.watched(name, version, object))
                    }),
                }
            }
            watcher::Event::Delete(object) => {
                let gone = |old| changed(Change::gone(old));
                match cache.gone(&object.name_any(), version_of(&object)) {
                    Gone::Known(old) => gone(old),
                    Gone::Replaced => take(object, &trim, |_, _, old| gone(Some(Arc::new(old)))),
                }
            }
        }
    }
}

/// Reads and trims an object and hands it on, or logs that it cannot be read.
fn take<K, T>(object: Unread<K>, trim: &impl Fn(K) -> T, bring: impl Fn(&str, u64, T))
where
    K: Resource<DynamicType = ()> + FromText,
{
    let (name, version) = (object.name_any(), version_of(&object));
    match object.read() {
        Guarded::Readable(object) => bring(&name, version, trim(object)),
        Guarded::Unreadable { error, .. } => {
            tracing::error!(kind = %K::kind(&()), name, error, "a stored object cannot be read and is left out; delete it or correct it");
        }
    }
}

#[cfg(test)]
mod tests;
