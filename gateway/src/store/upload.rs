//! Objects that are too large to be held in memory.

use bytes::Bytes;
use object_store::{MultipartUpload, PutPayload};

use super::{Answer, Store, StoreError};

/// An object that is stored in parts.
pub struct Upload {
    store: Store,
    key: String,
    parts: Box<dyn MultipartUpload>,
}

impl Upload {
    /// An object with this key that has begun.
    pub(super) fn new(store: Store, key: &str, parts: Box<dyn MultipartUpload>) -> Self {
        Self {
            store,
            key: key.to_owned(),
            parts,
        }
    }

    /// Stores a part: at least 5 MiB, except for the last.
    pub async fn part(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let put = self.parts.put_part(PutPayload::from(bytes));
        self.store
            .timed("write", &self.key, Answer::None, put)
            .await
            .map(drop)
    }

    /// Makes the object of its parts.
    pub async fn complete(mut self) -> Result<(), StoreError> {
        let complete = self.parts.complete();
        self.store
            .timed("write", &self.key, Answer::None, complete)
            .await
            .map(drop)
    }

    /// Forgets the parts.
    pub async fn abort(mut self) {
        // What stays of it is the bucket's own rule for unfinished uploads.
        let _ = self.parts.abort().await;
    }
}
