//! An object as it is stored, of which only the metadata is read yet. Whoever knows this version already,
//! because it wrote it itself, has no reason to read the rest.

use std::marker::PhantomData;

use kube::{Resource, api::ObjectMeta};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FromText, Guarded, lean_metadata};

/// A stored object: its metadata, and the text of the rest.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = ""))]
pub struct Unread<K> {
    #[serde(deserialize_with = "lean_metadata")]
    metadata: ObjectMeta,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

impl<K: FromText> Unread<K> {
    /// Reads the rest, as far as that can be read.
    pub fn read(mut self) -> Guarded<K> {
        let (spec, status) = (self.spec.as_deref(), self.status.as_deref());
        match K::from_text(&mut self.metadata, spec, status) {
            Ok(object) => Guarded::Readable(object),
            Err(error) => Guarded::Unreadable {
                metadata: Box::new(self.metadata),
                error: error.to_string(),
            },
        }
    }
}

impl<K: Resource> Resource for Unread<K> {
    named_as!(K);

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use crds::Builder;
    use kube::{ResourceExt, core::WatchEvent};

    use super::*;
    use crate::stored::Lean;

    #[test]
    fn an_object_has_a_name_and_a_version_before_the_rest_is_read_or_can_be() {
        let event = r#"{"type":"MODIFIED","object":{"metadata":{"name":"b","resourceVersion":"7"},"spec":{"displayName":7}}}"#;
        let event: WatchEvent<Unread<Lean<Builder>>> = serde_json::from_str(event).unwrap();
        let WatchEvent::Modified(object) = event else {
            panic!("not modified")
        };
        assert_eq!(object.name_any(), "b");
        assert_eq!(object.resource_version().as_deref(), Some("7"));
        let Guarded::Unreadable { metadata, error } = object.read() else {
            panic!("it was read")
        };
        assert_eq!(metadata.name.as_deref(), Some("b"));
        assert!(error.contains("string"), "{error}");
    }
}
