//! An object as it is stored, readable or not: one that cannot be read must not stop the watch of all
//! the others.
//!
//! kube's `DeserializeGuard` does the same by way of a tree of values, which costs several times the
//! reading itself. This one reads the metadata, which is most of the text and never broken, and takes
//! the rest as text that is read afterwards.

use kube::{Resource, api::ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Unread;

/// A stored object, whoever wrote it.
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

/// An object that is made of its metadata and the text of the rest.
pub trait FromText: Sized {
    /// Reads what it needs of the text, and takes the metadata if that can be read.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn from_text(
        metadata: &mut ObjectMeta,
        spec: Option<&RawValue>,
        status: Option<&RawValue>,
    ) -> serde_json::Result<Self>;
}

impl<'de, K: FromText> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Unread::deserialize(deserializer).map(Unread::read)
    }
}

impl<K: Resource> Resource for Guarded<K> {
    named_as!(K);

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
    use crate::stored::Lean;

    const BROKEN: &str = r#"{"metadata":{"name":"b"},"spec":{"displayName":7}}"#;

    #[test]
    fn a_broken_object_in_a_list_or_a_watch_is_named_and_stops_nothing() {
        let good =
            r#"{"metadata":{"name":"a"},"spec":{"displayName":"A","steps":[{"run":"true"}]}}"#;
        let list = format!(
            r#"{{"apiVersion":"v1","kind":"List","metadata":{{}},"items":[{BROKEN},{good}]}}"#
        );
        let list: ObjectList<Guarded<Lean<Builder>>> = serde_json::from_str(&list).unwrap();
        assert!(
            matches!(&list.items[0], Guarded::Unreadable { error, .. } if error.contains("string"))
        );
        assert!(
            matches!(&list.items[1], Guarded::Readable(Lean(builder)) if builder.spec.display_name == "A")
        );
        let event = format!(r#"{{"type":"ADDED","object":{BROKEN}}}"#);
        let event: WatchEvent<Guarded<Lean<Builder>>> = serde_json::from_str(&event).unwrap();
        let WatchEvent::Added(object) = event else {
            panic!("not added")
        };
        assert_eq!(object.name_any(), "b");
    }

    #[test]
    fn an_object_without_a_spec_is_broken_and_one_without_a_status_is_not() {
        let read =
            |object: &str| -> Guarded<Lean<Builder>> { serde_json::from_str(object).unwrap() };
        for without in [
            r#"{"metadata":{"name":"c"}}"#,
            r#"{"spec":null,"metadata":{"name":"c"}}"#,
        ] {
            let object = read(without);
            assert_eq!(object.name_any(), "c");
            assert!(
                matches!(&object, Guarded::Unreadable { error, .. } if error.contains("spec")),
                "{object:?}"
            );
        }
        for status in ["", r#","status":null"#, r#","status":{}"#] {
            let object = read(&format!(
                r#"{{"metadata":{{"name":"a"}},"spec":{{"displayName":"A","steps":[{{"run":"true"}}]}}{status}}}"#
            ));
            assert!(matches!(&object, Guarded::Readable(_)), "{object:?}");
        }
        let wrong = r#"{"metadata":{"name":"d"},"spec":{"displayName":"D","steps":[{"run":"true"}]},"status":7}"#;
        assert!(matches!(read(wrong), Guarded::Unreadable { .. }));
    }
}
