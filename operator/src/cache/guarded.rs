//! An object as it is stored, readable or not: one that cannot be read must not stop the watch of all
//! the others.
//!
//! kube's `DeserializeGuard` does the same by way of a tree of values, which costs several times the
//! reading itself. This one reads the text, and again only what is broken.

use std::borrow::Cow;

use kube::{Resource, api::ObjectMeta};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::value::RawValue;

/// A stored object.
#[derive(Clone, Debug)]
pub enum Guarded<K> {
    /// It is what its kind says.
    Readable(K),
    /// It is not: written by another version, or by hand before a rule existed.
    Unreadable {
        /// What is known of it.
        metadata: Box<ObjectMeta>,
        /// What is wrong.
        error: String,
    },
}

#[derive(Deserialize)]
struct OnlyMetadata {
    metadata: ObjectMeta,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        match serde_json::from_str(text.get()) {
            Ok(object) => Ok(Self::Readable(object)),
            Err(error) => {
                let known: OnlyMetadata =
                    serde_json::from_str(text.get()).map_err(D::Error::custom)?;
                Ok(Self::Unreadable {
                    metadata: Box::new(known.metadata),
                    error: error.to_string(),
                })
            }
        }
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Readable(object) => object.meta(),
            Self::Unreadable { metadata, .. } => metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Readable(object) => object.meta_mut(),
            Self::Unreadable { metadata, .. } => metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use crds::Builder;
    use kube::{ResourceExt, core::ObjectList, core::WatchEvent};

    use super::*;

    const BROKEN: &str = r#"{"metadata":{"name":"b"},"spec":{"displayName":7}}"#;

    #[test]
    fn a_broken_object_in_a_list_or_a_watch_is_named_and_stops_nothing() {
        let good =
            r#"{"metadata":{"name":"a"},"spec":{"displayName":"A","steps":[{"run":"true"}]}}"#;
        let list = format!(
            r#"{{"apiVersion":"v1","kind":"List","metadata":{{}},"items":[{BROKEN},{good}]}}"#
        );
        let list: ObjectList<Guarded<Builder>> = serde_json::from_str(&list).unwrap();
        assert!(
            matches!(&list.items[0], Guarded::Unreadable { error, .. } if error.contains("string"))
        );
        assert!(
            matches!(&list.items[1], Guarded::Readable(builder) if builder.spec.display_name == "A")
        );
        let event = format!(r#"{{"type":"ADDED","object":{BROKEN}}}"#);
        let event: WatchEvent<Guarded<Builder>> = serde_json::from_str(&event).unwrap();
        let WatchEvent::Added(object) = event else {
            panic!("not added")
        };
        assert_eq!(object.name_any(), "b");
    }
}
