//! A run whose log grows: one sender, two streams, one end.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use protocol::log::{LogEnd, LogTaken, Stream};

use super::chain::Chain;
use super::frames::Arrived;
use super::stream::{OpenLog, Shared, TakeError};
use crate::names::RunKey;
use crate::store::{Store, StoreError};

/// Seconds after which bytes that came in here say nothing of where the next ones go.
const HERE: i64 = 3;

/// A run whose log grows, or has just ended.
pub struct OpenRun {
    /// Which run.
    pub key: RunKey,
    shared: Arc<Shared>,
    streams: [Arc<OpenLog>; 2],
    writer: tokio::sync::Mutex<Option<String>>,
    end: OnceLock<LogEnd>,
    ending: tokio::sync::Mutex<()>,
    used: AtomicI64,
    took: AtomicI64,
    looked: AtomicI64,
    compacting: AtomicBool,
}

/// What is stored of a run.
pub struct Stored {
    /// The sender's id.
    pub writer: Option<String>,
    /// What the sender said at the end.
    pub end: Option<LogEnd>,
    /// The streams, as in [`Stream::ALL`].
    pub chains: [Chain; 2],
}

impl OpenRun {
    /// A run of which this is stored.
    pub fn new(key: RunKey, stored: Stored, shared: Arc<Shared>) -> Self {
        let [log, marks] = stored.chains;
        let open = |stream, chain| Arc::new(OpenLog::new(&key, stream, chain, &shared));
        let run = Self {
            streams: [open(Stream::Log, log), open(Stream::Marks, marks)],
            writer: tokio::sync::Mutex::new(stored.writer),
            end: OnceLock::new(),
            ending: tokio::sync::Mutex::default(),
            used: AtomicI64::new(now()),
            took: AtomicI64::new(0),
            looked: AtomicI64::new(now()),
            compacting: AtomicBool::new(false),
            key,
            shared,
        };
        if let Some(end) = stored.end {
            run.set_end(end);
        }
        run
    }

    /// One of its streams.
    pub fn stream(&self, stream: Stream) -> &Arc<OpenLog> {
        match stream {
            Stream::Log => &self.streams[0],
            Stream::Marks => &self.streams[1],
        }
    }

    /// What the sender said at the end.
    pub fn end(&self) -> Option<LogEnd> {
        self.end.get().copied()
    }

    /// Whether the store fails.
    pub fn store_is_down(&self) -> bool {
        self.shared.store.is_down()
    }

    /// Seconds since somebody wrote or read.
    pub fn idle(&self) -> i64 {
        now() - self.used.load(Ordering::Relaxed)
    }

    /// Somebody writes or reads.
    pub fn touch(&self) {
        self.used.store(now(), Ordering::Relaxed);
    }

    /// Whether nothing would be lost without it.
    pub fn is_stored(&self) -> bool {
        self.streams.iter().all(|log| log.is_stored())
    }

    /// Takes the right to make one file of each stream. One has it.
    pub fn begin_compacting(&self) -> bool {
        !self.compacting.swap(true, Ordering::AcqRel)
    }

    /// Whether somebody has it.
    #[cfg(test)]
    pub(crate) fn is_compacting(&self) -> bool {
        self.compacting.load(Ordering::Acquire)
    }

    /// Gives it back.
    pub fn end_compacting(&self) {
        self.compacting.store(false, Ordering::Release);
    }

    /// This sender writes here: the first one does, and no other.
    pub async fn claim(&self, sender: &str) -> Result<(), TakeError> {
        let mut writer = self.writer.lock().await;
        if writer.is_none() {
            let key = self.key.writer();
            let bytes = sender.to_owned().into_bytes().into();
            *writer = match self.shared.store.create(&key, bytes).await? {
                true => Some(sender.to_owned()),
                false => stored_writer(&self.shared.store, &self.key).await?,
            };
            if writer.is_none() {
                // S3 answers a conflict also while another request writes: it cannot be read yet.
                return Err(StoreError::Busy { key }.into());
            }
        }
        match writer.as_deref() == Some(sender) {
            true => Ok(()),
            false => Err(TakeError::Writer),
        }
    }

    /// Its sender signs what it sends.
    pub fn keep_digests(&self) {
        self.streams.iter().for_each(|log| log.keep_digest());
    }

    /// Whether its sender signs what it sends, and more may come.
    pub fn is_signed(&self) -> bool {
        self.end().is_none() && self.streams.iter().any(|log| log.has_digest())
    }

    /// Waits until a stream can take more.
    pub async fn room(&self, stream: Stream) -> Result<(), TakeError> {
        self.stream(stream).room().await
    }

    /// Takes bytes of a stream at this offset, and no more than the limit in all.
    pub fn take(
        &self,
        stream: Stream,
        offset: u64,
        arrived: Arrived<'_>,
        limit: u64,
    ) -> Result<LogTaken, TakeError> {
        self.touch();
        self.took.store(now(), Ordering::Relaxed);
        let log = self.stream(stream);
        log.take(offset, arrived, limit)?;
        Ok(log.taken())
    }

    /// Nothing more comes. It is stored when this returns.
    pub async fn finish(&self, end: LogEnd) -> Result<LogTaken, TakeError> {
        self.touch();
        let _turn = self.ending.lock().await;
        let log = self.stream(Stream::Log);
        if let Some(known) = self.end() {
            return same_end(known, end, log.taken());
        }
        // What comes late from here on would be behind the end.
        let _closed = Closed(&self.streams);
        let sizes = [end.log, end.marks];
        for (log, size) in self.streams.iter().zip(sizes) {
            log.close(size)?;
        }
        for (log, size) in self.streams.iter().zip(sizes) {
            log.finish();
            log.store_all().await?;
            // Another gateway may have taken more than was received here.
            if log.archive().is_none() {
                log.close(size)?;
            }
        }
        let known = self.store_end(end).await?;
        self.set_end(known);
        same_end(known, end, log.taken())
    }

    /// Stores the end, or finds the one that is stored: also where only the answer was lost.
    async fn store_end(&self, end: LogEnd) -> Result<LogEnd, StoreError> {
        let store = &self.shared.store;
        let bytes = serde_json::to_vec(&end).unwrap_or_default();
        let created = store.create(&self.key.end(), bytes.into()).await;
        if matches!(created, Ok(true)) {
            return Ok(end);
        }
        match (created, stored_end(store, &self.key).await) {
            (_, Ok(Some(known))) => Ok(known),
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok(_), Ok(None)) => Ok(end),
        }
    }

    fn set_end(&self, end: LogEnd) {
        let _ = self.end.set(end);
        for log in &self.streams {
            log.ended();
        }
    }

    /// Looks for what another gateway stored: at most once a second, and not while bytes come in here.
    pub async fn follow(&self) -> Result<(), StoreError> {
        let now = now();
        let is_taking = now - self.took.load(Ordering::Relaxed) < HERE;
        if is_taking || self.looked.swap(now, Ordering::AcqRel) == now || self.end().is_some() {
            return Ok(());
        }
        for log in &self.streams {
            log.look().await?;
        }
        if let Some(end) = stored_end(&self.shared.store, &self.key).await? {
            for (log, size) in self.streams.iter().zip([end.log, end.marks]) {
                log.catch_up().await?;
                // Its segments may be gone already.
                if log.taken().durable < size {
                    log.gone().await?;
                }
            }
            self.set_end(end);
        }
        Ok(())
    }
}

/// Streams that take nothing more as long as this lives. Then they have ended, or the end was not stored.
struct Closed<'a>(&'a [Arc<OpenLog>; 2]);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|log| log.reopen());
    }
}

fn same_end(known: LogEnd, end: LogEnd, taken: LogTaken) -> Result<LogTaken, TakeError> {
    match known == end {
        true => Ok(taken),
        false => Err(TakeError::Ended(taken.received)),
    }
}

/// The id of the sender that came first.
pub async fn stored_writer(store: &Store, run: &RunKey) -> Result<Option<String>, StoreError> {
    let bytes = store.get(&run.writer()).await?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// What the sender said at the end.
pub async fn stored_end(store: &Store, run: &RunKey) -> Result<Option<LogEnd>, StoreError> {
    let key = run.end();
    let Some(bytes) = store.get(&key).await? else {
        return Ok(None);
    };
    let end = serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged {
        key,
        cause: error.to_string(),
    })?;
    Ok(Some(end))
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
    i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}
