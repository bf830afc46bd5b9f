//! Where bytes stay: a directory, or a bucket of S3, GCS or Azure. The only user of `object_store`.

mod place;
mod staged;
mod upload;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::upload::Upload;
use crate::metrics::Metrics;

/// Time for one operation. Whoever waits for more asks again.
const OPERATION_TIME: Duration = Duration::from_secs(20);
/// Bytes of an object that is read whole.
const WHOLE_LIMIT: u64 = 32 << 20;

/// When a gateway began.
const BEGUN: &str = "begun";

/// Why the store did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such store.
    #[error(
        "cannot use the store {place}: {cause}; name a directory, or s3://, gs:// or az:// with a bucket"
    )]
    Place {
        /// As it was given.
        place: String,
        /// What is wrong.
        cause: String,
    },
    /// What says how a bucket is reached is not there.
    #[error("the store {place} cannot be opened: {cause}")]
    Access {
        /// As it was given.
        place: String,
        /// What is missing.
        cause: String,
    },
    /// An operation failed.
    #[error("the store did not {operation} {key}: {cause}")]
    Operation {
        /// What was asked of it.
        operation: &'static str,
        /// Of which object.
        key: String,
        /// What is wrong.
        cause: String,
    },
    /// An object is not what we stored.
    #[error("{key} in the store is damaged: {cause}")]
    Damaged {
        /// Which object.
        key: String,
        /// What is wrong.
        cause: String,
    },
    /// Somebody else writes an object just now.
    #[error("{key} is being written by another gateway; ask again in a moment")]
    Busy {
        /// Which object.
        key: String,
    },
}

/// An object that a listing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its key.
    pub key: String,
    /// Its bytes, as stored.
    pub size: u64,
    /// When it was written, in seconds since 1970, by the store's clock.
    pub modified: i64,
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    failing: Arc<Failing>,
    refused: Arc<Notify>,
    directory: Option<PathBuf>,
    metrics: Arc<Metrics>,
}

impl Store {
    /// Opens the store at a directory, or at `s3://bucket/prefix`, `gs://…`, `az://…`. A bucket is reached as
    /// the environment says (`AWS_…`, `GOOGLE_…`, `AZURE_…`), and as files of these names in `access` do.
    pub fn open(
        place: &str,
        access: Option<&std::path::Path>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let objects = place::objects(place, access)?;
        Ok(Self {
            directory: (!place.contains("://")).then(|| place.into()),
            ..Self::around(objects, metrics)
        })
    }

    /// A store of these objects.
    pub fn around(objects: Arc<dyn ObjectStore>, metrics: Arc<Metrics>) -> Self {
        Self {
            objects,
            failing: Arc::default(),
            refused: Arc::default(),
            directory: None,
            metrics,
        }
    }

    /// Notes that a gateway has begun. So a store that takes nothing is told of at once, and not with the first
    /// log; nobody has to wait for it. It is tried again after each pause, until this or something else is taken:
    /// a store that was away for a moment is not called down until the next log.
    pub async fn begin(&self, moment: &str, pause: Duration) {
        // What is wrong was logged.
        while self.note(moment).await.is_err() {
            tokio::time::sleep(pause).await;
            if !self.failing.writes.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Notes when a gateway began in place of what was noted before; where that is not to be replaced, beside it: a
    /// bucket may keep objects for a time, and takes new ones meanwhile. That an old note can be read would not show
    /// that it does.
    async fn note(&self, moment: &str) -> Result<(), StoreError> {
        let note = Bytes::from(format!("{moment}\n"));
        let path = Path::from(BEGUN);
        let put = self.objects.put(&path, PutPayload::from(note.clone()));
        let replaced = self.timed("write", BEGUN, Answer::Kept, put).await?;
        if replaced.is_none() {
            self.create(&format!("{BEGUN}-{moment}"), note).await?;
        }
        Ok(())
    }

    /// Whether it took nothing when something was stored last, or gave nothing when it was asked last.
    pub fn is_down(&self) -> bool {
        let Failing { writes, reads } = &*self.failing;
        writes.load(Ordering::Relaxed) || reads.load(Ordering::Relaxed)
    }

    /// Waits until the store has not taken something since this was asked last.
    pub async fn refused(&self) {
        self.refused.notified().await;
    }

    /// Removes what writes that were cut short left in a directory. Buckets have a rule of their own for
    /// unfinished uploads. What cannot be removed now is removed later.
    pub async fn remove_staged(&self, before: i64) {
        if let Some(directory) = self.directory.clone() {
            let remove = move || staged::remove(&directory, before);
            let _ = tokio::task::spawn_blocking(remove).await;
        }
    }

    /// A whole object; none where there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.read(key, None).await
    }

    /// A part of an object; none where there is no such object.
    pub async fn range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        self.read(key, Some(range)).await
    }

    async fn read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Bytes>, StoreError> {
        let path = Path::from(key);
        let read = async {
            let options = GetOptions::new().with_range(range);
            let found = self.objects.get_opts(&path, options).await?;
            let length = found.range.end - found.range.start;
            if length > WHOLE_LIMIT {
                return Err(Error::Generic {
                    store: "PrBuild",
                    source: format!("it has {length} bytes, more than we store").into(),
                });
            }
            found.bytes().await
        };
        self.timed("read", key, Answer::Absent, read).await
    }

    /// Whether there is such an object.
    pub async fn has(&self, key: &str) -> Result<bool, StoreError> {
        let path = Path::from(key);
        let head = self.objects.head(&path);
        Ok(self
            .timed("read", key, Answer::Absent, head)
            .await?
            .is_some())
    }

    /// Stores an object that is not there yet. False where it is there: it stays as it is.
    pub async fn create(&self, key: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let path = Path::from(key);
        let options = PutOptions::from(PutMode::Create);
        let put = self
            .objects
            .put_opts(&path, PutPayload::from(bytes), options);
        Ok(self
            .timed("create", key, Answer::There, put)
            .await?
            .is_some())
    }

    /// Stores an object in place of one that may be there.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let path = Path::from(key);
        let put = self.objects.put(&path, PutPayload::from(bytes));
        self.timed("write", key, Answer::None, put).await.map(drop)
    }

    /// Begins an object that is too large to be held in memory.
    pub async fn upload(&self, key: &str) -> Result<Upload, StoreError> {
        let path = Path::from(key);
        let begun = self.objects.put_multipart(&path);
        let begun = self.timed("write", key, Answer::None, begun).await?;
        let parts = begun.ok_or_else(|| self.failed("write", key, &"it is not there"))?;
        Ok(Upload::new(self.clone(), key, parts))
    }

    /// Removes an object. One that is not there is removed.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = Path::from(key);
        let delete = self.objects.delete(&path);
        self.timed("delete", key, Answer::Absent, delete)
            .await
            .map(drop)
    }

    /// All objects whose keys begin with this and a slash, in no order. Never for a page.
    pub fn list(&self, prefix: &str) -> BoxStream<'_, Result<Found, StoreError>> {
        self.metrics.listing();
        let key = prefix.to_owned();
        let objects = self.objects.list(Some(&Path::from(prefix)));
        objects
            .map_ok(|meta| Found {
                key: meta.location.to_string(),
                size: meta.size,
                modified: meta.last_modified.timestamp(),
            })
            .map_err(move |error| self.failed("list", &key, &error))
            .boxed()
    }

    /// Names of what is right below this prefix and has something below itself.
    pub async fn below(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.metrics.listing();
        let path = Path::from(prefix);
        let list = self.objects.list_with_delimiter(Some(&path));
        let Some(found) = self.timed("list", prefix, Answer::Absent, list).await? else {
            return Ok(Vec::new());
        };
        let names = found.common_prefixes.iter().filter_map(Path::filename);
        Ok(names.map(str::to_owned).collect())
    }

    /// Runs an operation: measured, not for ever, and remembered where it failed. None where the
    /// object's being there or not is an answer and no failure, or that it may not be replaced.
    async fn timed<T>(
        &self,
        operation: &'static str,
        key: &str,
        answer: Answer,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<Option<T>, StoreError> {
        let began = Instant::now();
        let result = tokio::time::timeout(OPERATION_TIME, work).await;
        let result = match (result, answer) {
            (Ok(Ok(value)), _) => Ok(Some(value)),
            (Ok(Err(Error::NotFound { .. })), Answer::Absent)
            | (Ok(Err(Error::AlreadyExists { .. })), Answer::There) => Ok(None),
            // Whether anything is taken at all is not known by that.
            (
                Ok(Err(Error::AlreadyExists { .. } | Error::PermissionDenied { .. })),
                Answer::Kept,
            ) => return Ok(None),
            (Ok(Err(error)), _) => Err(self.failed(operation, key, &error)),
            (Err(_), _) => Err(self.failed(operation, key, &"it took too long")),
        };
        self.metrics
            .operation(operation, began.elapsed(), result.is_err());
        if result.is_ok() && self.failing.of(operation).swap(false, Ordering::Relaxed) {
            match is_write(operation) {
                true => tracing::info!("the store takes what it is given again"),
                false => tracing::info!("the store answers again"),
            }
        }
        result
    }

    fn failed(
        &self,
        operation: &'static str,
        key: &str,
        cause: &dyn std::fmt::Display,
    ) -> StoreError {
        let error = StoreError::Operation {
            operation,
            key: key.to_owned(),
            cause: cause.to_string(),
        };
        if is_write(operation) {
            self.refused.notify_one();
        }
        if !self.failing.of(operation).swap(true, Ordering::Relaxed) {
            match is_write(operation) {
                true => tracing::warn!(%error, "the store takes nothing"),
                false => tracing::warn!(%error, "the store does not answer"),
            }
        }
        error
    }
}

/// What of a store fails. One that is full can be read as before, and that says nothing of writing.
#[derive(Default)]
struct Failing {
    /// Nothing is taken, until something is.
    writes: AtomicBool,
    /// Nothing is read, listed or removed, until something is.
    reads: AtomicBool,
}

impl Failing {
    fn of(&self, operation: &str) -> &AtomicBool {
        match is_write(operation) {
            true => &self.writes,
            false => &self.reads,
        }
    }
}

/// Whether an operation stores something.
fn is_write(operation: &str) -> bool {
    matches!(operation, "create" | "write")
}

/// What is an answer of the store, and no failure.
#[derive(Clone, Copy)]
enum Answer {
    /// There is no such object.
    Absent,
    /// There is one.
    There,
    /// One that is there is not to be replaced.
    Kept,
    /// Neither.
    None,
}

#[cfg(test)]
mod tests;
