//! What is kept of runs, builds, pull requests and builders: one JSON file each, read whole.

use bytes::Bytes;
use protocol::record::{BuildRecord, BuilderHistory, PullHistory, RunRecord};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::names::{RunKey, is_number, is_object_name};
use crate::redact::redacted;
use crate::store::{Store, StoreError};

/// Bytes of a record.
pub const RECORD_LIMIT: usize = 1 << 20;

/// Fields that a build may have written into: names of its tests and steps, and sentences that have them.
const OF_BUILDS: [&str; 4] = ["failures", "reason", "steps", "summary"];

/// The records. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    store: Store,
}

/// A record that one can ask for, by names that were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordKey {
    key: String,
    kind: RecordKind,
}

/// What kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RecordKind {
    Run(String),
    Build(String),
    Pull,
    Builder,
}

/// Why a body is no such record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not JSON of this kind.
    #[error("the body is not the record that the address names: {0}")]
    Form(#[from] serde_json::Error),
    /// Of another object.
    #[error("the record is about {0}, and the address about another")]
    Other(String),
}

impl RecordKey {
    /// The record of a run.
    pub fn run(repository: &str, uid: &str) -> Option<Self> {
        let run = RunKey::new(repository, uid)?;
        Some(Self {
            key: run.record(),
            kind: RecordKind::Run(uid.to_owned()),
        })
    }

    /// The record of a build, by the PrBuild's name.
    pub fn build(repository: &str, name: &str) -> Option<Self> {
        (is_object_name(repository) && is_object_name(name)).then(|| Self {
            key: format!("repositories/{repository}/builds/{name}.json"),
            kind: RecordKind::Build(name.to_owned()),
        })
    }

    /// The history of a pull request.
    pub fn pull(repository: &str, number: &str) -> Option<Self> {
        (is_object_name(repository) && is_number(number)).then(|| Self {
            key: format!("repositories/{repository}/pulls/{number}.json"),
            kind: RecordKind::Pull,
        })
    }

    /// The history of a builder.
    pub fn builder(name: &str) -> Option<Self> {
        is_object_name(name).then(|| Self {
            key: format!("builders/{name}.json"),
            kind: RecordKind::Builder,
        })
    }

    /// Whether these bytes are such a record.
    pub fn check(&self, body: &[u8]) -> Result<(), RecordError> {
        let same = |expected: &str, found: String| match expected == found {
            true => Ok(()),
            false => Err(RecordError::Other(found)),
        };
        match &self.kind {
            RecordKind::Run(uid) => same(uid, serde_json::from_slice::<RunRecord>(body)?.uid)?,
            RecordKind::Build(name) => {
                same(name, serde_json::from_slice::<BuildRecord>(body)?.name)?;
            }
            RecordKind::Pull => drop(serde_json::from_slice::<PullHistory>(body)?),
            RecordKind::Builder => drop(serde_json::from_slice::<BuilderHistory>(body)?),
        }
        Ok(())
    }
}

/// A record in which the tokens are illegible that a build wrote into the name of a test and the like. Each
/// text stands for itself, so that a key which never ends takes nothing of the record along. Names of objects
/// are found by what they are and stay.
pub fn without_tokens(record: Bytes) -> Bytes {
    let Ok(mut value) = serde_json::from_slice::<Value>(&record) else {
        return record;
    };
    match redact_texts(&mut value, false) {
        true => value.to_string().into(),
        false => record,
    }
}

/// Makes tokens illegible; whether there were any.
fn redact_texts(value: &mut Value, of_build: bool) -> bool {
    match value {
        Value::String(text) if of_build => {
            let seen = redacted(text);
            let changed = seen != *text;
            *text = seen;
            changed
        }
        // Counted, not `any`: every text must be seen, also behind the first that changes.
        Value::Array(values) => {
            let changed = values
                .iter_mut()
                .filter_map(|value| redact_texts(value, of_build).then_some(()));
            changed.count() > 0
        }
        Value::Object(fields) => {
            let changed = fields.iter_mut().filter_map(|(name, value)| {
                let of_build = of_build || OF_BUILDS.contains(&name.as_str());
                redact_texts(value, of_build).then_some(())
            });
            changed.count() > 0
        }
        _ => false,
    }
}

impl Records {
    /// The records in this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// What is kept of a run.
    pub async fn run(&self, repository: &str, uid: &str) -> Result<Option<RunRecord>, StoreError> {
        self.parsed(RecordKey::run(repository, uid)).await
    }

    /// What is kept of a build.
    pub async fn build(
        &self,
        repository: &str,
        name: &str,
    ) -> Result<Option<BuildRecord>, StoreError> {
        self.parsed(RecordKey::build(repository, name)).await
    }

    /// The last builds of a pull request.
    pub async fn pull(
        &self,
        repository: &str,
        number: i64,
    ) -> Result<Option<PullHistory>, StoreError> {
        self.parsed(RecordKey::pull(repository, &number.to_string()))
            .await
    }

    /// The last runs of a builder.
    pub async fn builder(&self, name: &str) -> Result<Option<BuilderHistory>, StoreError> {
        self.parsed(RecordKey::builder(name)).await
    }

    /// A record as it was stored.
    pub async fn bytes(&self, key: &RecordKey) -> Result<Option<Bytes>, StoreError> {
        self.store.get(&key.key).await
    }

    /// Stores a record that [`RecordKey::check`] has looked at, in place of the one that was there.
    pub async fn put(&self, key: &RecordKey, body: Bytes) -> Result<(), StoreError> {
        self.store.put(&key.key, body).await
    }

    /// A name that cannot be one has no record.
    async fn parsed<T: DeserializeOwned>(
        &self,
        key: Option<RecordKey>,
    ) -> Result<Option<T>, StoreError> {
        let Some(key) = key else { return Ok(None) };
        let Some(bytes) = self.bytes(&key).await? else {
            return Ok(None);
        };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|error| StoreError::Damaged {
            key: key.key,
            cause: error.to_string(),
        })
    }
}
