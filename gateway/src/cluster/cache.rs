//! Objects of one kind by name, and by group with the newest first.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use jiff::Timestamp;
use kube::{Resource, ResourceExt};

/// What objects have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Runs of the build with this uid.
    Build(String),
    /// Builds of this pull request of a Repository.
    Pull(String, i64),
    /// The one with this uid.
    Uid(String),
    /// Those that are not over.
    Live,
    /// Runs of this builder that are not over.
    LiveOf(String),
    /// Those that are over.
    Ended,
    /// Assignments that nobody has taken and this worker may.
    OfferedTo(String),
    /// Assignments that this worker has taken and not ended.
    HeldBy(String),
}

/// How well a kind is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sign {
    /// A complete list was read.
    pub is_read: bool,
    /// Since when the API server does not answer.
    pub away_since: Option<Timestamp>,
}

/// Objects of one kind.
pub struct Cache<K> {
    groups_of: fn(&K) -> Vec<Group>,
    inner: RwLock<Inner<K>>,
}

struct Inner<K> {
    objects: HashMap<String, Arc<K>>,
    groups: HashMap<Group, BTreeSet<Place>>,
    /// The newest version that the watch brought, also of what is gone.
    watched: u64,
    sign: Sign,
}

/// Place in a group: newest first, then by name.
type Place = (Reverse<i64>, String);

impl<K: Resource> Cache<K> {
    /// An empty cache, never read.
    pub fn new(groups_of: fn(&K) -> Vec<Group>) -> Self {
        let inner = Inner {
            objects: HashMap::new(),
            groups: HashMap::new(),
            watched: 0,
            sign: Sign::default(),
        };
        Self {
            groups_of,
            inner: RwLock::new(inner),
        }
    }

    /// The object of this name.
    pub fn get(&self, name: &str) -> Option<Arc<K>> {
        self.read().objects.get(name).cloned()
    }

    /// Every object.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.read().objects.values().cloned().collect()
    }

    /// At most `limit` objects of a group, newest first.
    pub fn newest(&self, group: &Group, limit: usize) -> Vec<Arc<K>> {
        let inner = self.read();
        let places = inner.groups.get(group).into_iter().flatten();
        let names = places.map(|(_, name)| name);
        let found = names.filter_map(|name| inner.objects.get(name));
        found.take(limit).cloned().collect()
    }

    /// How many objects a group has.
    pub fn count(&self, group: &Group) -> usize {
        self.read().groups.get(group).map_or(0, BTreeSet::len)
    }

    /// How well this kind is known.
    pub fn sign(&self) -> Sign {
        self.read().sign
    }

    /// Takes an object in that the watch brought, in place of the one of its name.
    pub fn put(&self, object: K) {
        let mut inner = self.write();
        inner.watched = inner.watched.max(version_of(&object));
        self.insert(&mut inner, object);
    }

    /// Takes in the answer to a write of our own, unless the watch has brought something newer meanwhile, or the end
    /// of the object: nothing would ever take away what comes in after that.
    pub fn learn(&self, object: K) {
        let mut inner = self.write();
        let version = version_of(&object);
        let known = inner.objects.get(&object.name_any());
        let is_overtaken = match known {
            Some(known) => version_of(known.as_ref()) > version,
            None => version <= inner.watched,
        };
        if !is_overtaken {
            self.insert(&mut inner, object);
        }
    }

    /// Forgets an object, which the watch says is gone since this version.
    pub fn forget(&self, name: &str, version: u64) {
        let mut inner = self.write();
        inner.watched = inner.watched.max(version);
        self.remove(&mut inner, name);
    }

    /// Forgets what a complete list does not name.
    pub fn retain(&self, listed: &HashSet<String>) {
        let mut inner = self.write();
        let names = inner.objects.keys().filter(|name| !listed.contains(*name));
        let gone: Vec<String> = names.cloned().collect();
        gone.iter().for_each(|name| self.remove(&mut inner, name));
    }

    /// A complete list was read.
    pub fn was_read(&self) {
        self.write().sign.is_read = true;
    }

    /// The API server answers.
    pub fn is_back(&self) {
        // Said with every event; written only where it changes something.
        if self.sign().away_since.is_some() {
            self.write().sign.away_since = None;
        }
    }

    /// The API server does not answer.
    pub fn is_away(&self, now: Timestamp) {
        self.write().sign.away_since.get_or_insert(now);
    }

    fn insert(&self, inner: &mut Inner<K>, object: K) {
        let (name, place) = (object.name_any(), place_of(&object));
        let groups = (self.groups_of)(&object);
        self.remove(inner, &name);
        for group in groups {
            inner.groups.entry(group).or_default().insert(place.clone());
        }
        inner.objects.insert(name, Arc::new(object));
    }

    fn remove(&self, inner: &mut Inner<K>, name: &str) {
        let Some(old) = inner.objects.remove(name) else {
            return;
        };
        let place = place_of(old.as_ref());
        for group in (self.groups_of)(&old) {
            if let Some(places) = inner.groups.get_mut(&group) {
                places.remove(&place);
                if places.is_empty() {
                    inner.groups.remove(&group);
                }
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner<K>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<K>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `resourceVersion` as a number, by which Kubernetes orders the versions of a kind; 0 where an object has none.
pub fn version_of<K: Resource>(object: &K) -> u64 {
    let version = object.resource_version().unwrap_or_default();
    version.parse().unwrap_or(0)
}

fn place_of<K: Resource>(object: &K) -> Place {
    let created = object.meta().creation_timestamp.as_ref();
    let created = created.map_or(0, |time| time.0.as_millisecond());
    (Reverse(created), object.name_any())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn object(name: &str, second: u32, is_live: bool) -> ConfigMap {
        let metadata =
            json!({ "name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z") });
        let live = json!({ "live": is_live.to_string() });
        serde_json::from_value(json!({ "metadata": metadata, "data": live })).unwrap()
    }

    fn cache() -> Cache<ConfigMap> {
        Cache::new(|object| {
            let data = object.data.as_ref().unwrap();
            let is_live = data["live"] == "true";
            vec![if is_live { Group::Live } else { Group::Ended }]
        })
    }

    fn names(cache: &Cache<ConfigMap>, group: &Group, limit: usize) -> Vec<String> {
        let found = cache.newest(group, limit);
        found.iter().map(|object| object.name_any()).collect()
    }

    #[test]
    fn a_group_is_read_newest_first_and_an_object_that_changes_leaves_its_old_one() {
        let cache = cache();
        for (name, second) in [("a", 1), ("c", 3), ("b", 2), ("d", 3)] {
            cache.put(object(name, second, true));
        }
        assert_eq!(names(&cache, &Group::Live, 3), ["c", "d", "b"]);
        cache.put(object("c", 3, false));
        assert_eq!(names(&cache, &Group::Live, 9), ["d", "b", "a"]);
        assert_eq!(names(&cache, &Group::Ended, 9), ["c"]);
    }

    #[test]
    fn what_a_complete_list_does_not_name_is_gone() {
        let cache = cache();
        cache.put(object("a", 1, true));
        cache.put(object("b", 2, true));
        cache.retain(&HashSet::from(["b".to_owned()]));
        assert_eq!(names(&cache, &Group::Live, 9), ["b"]);
        cache.forget("b", 0);
        assert_eq!((cache.all().len(), cache.count(&Group::Live)), (0, 0));
    }

    #[test]
    fn the_answer_to_a_write_brings_nothing_back_that_the_watch_saw_go_or_change() {
        let cache = cache();
        let written = |version: &str, is_live: bool| {
            let mut object = object("a", 1, is_live);
            object.metadata.resource_version = Some(version.to_owned());
            object
        };
        cache.put(written("7", true));
        cache.learn(written("9", false));
        assert_eq!(cache.count(&Group::Ended), 1, "it is newer");
        cache.put(written("12", true));
        cache.learn(written("10", false));
        assert_eq!(cache.count(&Group::Live), 1, "the watch was faster");
        cache.forget("a", 15);
        cache.learn(written("14", true));
        assert!(cache.get("a").is_none(), "a deleted object came back");
        cache.learn(written("16", true));
        assert!(cache.get("a").is_some(), "another one of its name");
    }
}
