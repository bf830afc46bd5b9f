//! A run whose log grows: one sender, two streams, one end.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use protocol::log::{LogEnd, LogTaken, Stream};
use tokio::sync::{Notify, watch};

use super::archive::Archive;
use super::blocks::Blocks;
use super::chain::{self, Chain};
use super::frames;
use super::tail::{Cut, Place, SEGMENT, Tail};
use crate::metrics::Metrics;
use crate::names::RunKey;
use crate::store::{Store, StoreError};

/// The longest that text waits to be stored.
const AGE: Duration = Duration::from_secs(5);
/// Pause after the store failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of one stream that may wait for the store before more is taken.
const WAITING_LIMIT: u64 = 1 << 20;
/// Bytes of all streams that may wait before text is stored earlier than it had to.
const EARLY: u64 = 16 << 20;
/// Bytes of all streams that may wait before more is taken.
const WAITING_TOGETHER: u64 = 48 << 20;
/// Bytes of text that are worth a segment when memory is short.
const EARLY_SEGMENT: u64 = 32 << 10;

/// What all open runs share.
pub struct Shared {
    /// The store.
    pub store: Store,
    /// Pieces that were read last.
    pub blocks: Arc<Blocks>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Bytes of all logs that are not stored yet.
    pub unstored: AtomicU64,
}

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Another sender writes this log.
    #[error("another sender writes this log")]
    Writer,
    /// Bytes are missing.
    #[error("bytes before the offset are missing in {}", .0.name())]
    Gap(Stream, u64),
    /// More bytes were received than the end says.
    #[error("the end says fewer bytes than were received of {}", .0.name())]
    Short(Stream, u64),
    /// The log is longer than may be kept.
    #[error("the log is longer than the {limit} bytes that may be kept")]
    Limit {
        /// Bytes that may be kept.
        limit: u64,
        /// Bytes that were received.
        received: u64,
    },
    /// The log has ended.
    #[error("the log has ended with other bytes")]
    Ended(u64),
    /// The store does not take what was received before.
    #[error("what was received before is not stored yet")]
    Full(u64),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far a log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that may be shown.
    pub shown: u64,
    /// Bytes that are stored.
    pub durable: u64,
    /// Nothing more comes.
    pub ended: bool,
}

/// A stream that grows.
pub struct OpenLog {
    run: RunKey,
    stream: Stream,
    shared: Arc<Shared>,
    text: Mutex<Text>,
    progress: watch::Sender<Progress>,
    storing: tokio::sync::Mutex<()>,
    wake: Notify,
    archive: OnceLock<Arc<Archive>>,
}

struct Text {
    tail: Tail,
    segments: Vec<Place>,
    storer: bool,
    ended: bool,
}

impl OpenLog {
    fn new(run: &RunKey, stream: Stream, chain: Chain, shared: &Arc<Shared>) -> Self {
        let progress = Progress {
            shown: chain.end.offset,
            durable: chain.end.offset,
            ended: false,
        };
        Self {
            run: run.clone(),
            stream,
            shared: shared.clone(),
            text: Mutex::new(Text {
                tail: Tail::new(chain.end, chain.last),
                segments: chain.segments,
                storer: false,
                ended: false,
            }),
            progress: watch::Sender::new(progress),
            storing: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            archive: OnceLock::new(),
        }
    }

    /// Where its text is once it is one file.
    pub fn archive(&self) -> Option<&Arc<Archive>> {
        self.archive.get()
    }

    /// How far it is, now and later.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Lines that may be shown.
    pub fn lines(&self) -> u64 {
        self.lock().tail.lines()
    }

    /// The first place in memory.
    pub fn memory(&self) -> Place {
        self.lock().tail.start()
    }

    /// Text in memory, in this range.
    pub fn read(&self, range: std::ops::Range<u64>) -> Option<Vec<u8>> {
        let text = self.lock();
        let in_memory = range.start >= text.tail.start().offset;
        in_memory.then(|| text.tail.read(range))
    }

    /// The segment that holds this offset: where it begins.
    pub fn segment(&self, offset: u64) -> Option<Place> {
        let text = self.lock();
        let after = text
            .segments
            .partition_point(|place| place.offset <= offset);
        text.segments.get(after.checked_sub(1)?).copied()
    }

    /// The last segment with fewer line ends before it than this.
    pub fn segment_before_line(&self, line: u64) -> Option<Place> {
        let text = self.lock();
        let after = text.segments.partition_point(|place| place.line < line);
        text.segments.get(after.saturating_sub(1)).copied()
    }

    /// Bytes that were received and stored.
    pub fn taken(&self) -> LogTaken {
        let text = self.lock();
        LogTaken {
            received: text.tail.received(),
            durable: text.tail.durable().offset,
        }
    }

    /// Whether all of it is stored that can be. What is held back, its sender has.
    fn is_stored(&self) -> bool {
        self.lock().tail.storable() == 0
    }

    /// Waits until more may be taken, and not for long.
    async fn room(&self) -> Result<(), TakeError> {
        let full = || {
            let together = self.shared.unstored.load(Ordering::Relaxed) > WAITING_TOGETHER;
            let storable = self.lock().tail.storable();
            storable > WAITING_LIMIT || (together && storable > 0)
        };
        let mut progress = self.progress();
        let wait = async {
            while full() {
                self.wake.notify_one();
                if progress.changed().await.is_err() {
                    break;
                }
            }
        };
        let patience = match self.shared.store.is_down() {
            true => Duration::ZERO,
            false => AGE,
        };
        let waited = tokio::time::timeout(patience, wait).await;
        waited.map_err(|_| TakeError::Full(self.taken().received))
    }

    /// Takes bytes at this offset.
    fn take(self: &Arc<Self>, offset: u64, bytes: &mut [u8], limit: u64) -> Result<(), TakeError> {
        let mut text = self.lock();
        let before = text.tail.received();
        let end = offset.saturating_add(bytes.len() as u64);
        if text.ended {
            return match end <= before {
                true => Ok(()),
                false => Err(TakeError::Ended(before)),
            };
        }
        if end > limit {
            return Err(TakeError::Limit {
                limit,
                received: before,
            });
        }
        if !text.tail.append(offset, bytes) {
            return Err(TakeError::Gap(self.stream, before));
        }
        let new = text.tail.received() - before;
        let together = self.shared.unstored.fetch_add(new, Ordering::Relaxed) + new;
        self.shared
            .metrics
            .received(usize::try_from(new).unwrap_or(0));
        self.shared.metrics.unstored(together);
        let storable = text.tail.storable();
        let due = storable >= SEGMENT || (together > EARLY && storable >= EARLY_SEGMENT);
        let begin = !text.storer && storable > 0;
        text.storer |= begin;
        self.publish(&text);
        drop(text);
        if begin {
            tokio::spawn(self.clone().store_in_time());
        }
        if due {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Stores text when there is enough of it or it is old enough, until there is none.
    async fn store_in_time(self: Arc<Self>) {
        loop {
            let due = self.wake.notified();
            let _ = tokio::time::timeout(AGE, due).await;
            if self.store_all().await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
            let mut text = self.lock();
            if text.tail.storable() == 0 {
                text.storer = false;
                return;
            }
        }
    }

    /// Stores all text behind which no token is under way.
    pub async fn store_all(&self) -> Result<(), StoreError> {
        let _turn = self.storing.lock().await;
        loop {
            let cut = self.lock().tail.cut();
            let Some(cut) = cut else { return Ok(()) };
            self.store(cut).await?;
        }
    }

    async fn store(&self, cut: Cut) -> Result<(), StoreError> {
        let key = self.run.segment(self.stream, cut.offset, cut.line);
        let frames = frames::encode(&cut.text).map_err(|error| StoreError::Damaged {
            key: key.clone(),
            cause: error.to_string(),
        })?;
        let bytes = frames.len();
        if self.shared.store.create(&key, frames.into()).await? {
            self.shared.metrics.segment(bytes);
            self.stored(&cut.text);
            return Ok(());
        }
        // Another gateway was first, or our own answer was lost. The sender is the same, so are the
        // bytes; how many there are is the other's choice.
        let at = self.lock().tail.durable();
        match chain::read(&self.shared.store, &self.run, self.stream, at).await? {
            Some(text) => self.stored(&text),
            None => self.gone().await?,
        }
        Ok(())
    }

    /// A segment is in the store.
    fn stored(&self, segment: &[u8]) {
        let mut text = self.lock();
        let before = text.tail.unstored();
        let place = text.tail.durable();
        text.segments.push(place);
        text.tail.stored(segment);
        let after = text.tail.unstored();
        self.account(before, after);
        self.publish(&text);
    }

    fn account(&self, before: u64, after: u64) {
        let all = &self.shared.unstored;
        let together = match after >= before {
            true => all.fetch_add(after - before, Ordering::Relaxed) + (after - before),
            false => all.fetch_sub(before - after, Ordering::Relaxed) - (before - after),
        };
        self.shared.metrics.unstored(together);
    }

    /// Reads what another gateway stored behind what is known here.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let _turn = self.storing.lock().await;
        loop {
            let at = self.lock().tail.durable();
            match chain::read(&self.shared.store, &self.run, self.stream, at).await? {
                Some(text) => self.stored(&text),
                None => return Ok(()),
            }
        }
    }

    /// A segment that was there is not: the log has become one file, by another gateway.
    pub async fn gone(&self) -> Result<(), StoreError> {
        let (store, blocks) = (&self.shared.store, &self.shared.blocks);
        match Archive::open(&self.run, self.stream, store, blocks).await? {
            Some(archive) => {
                self.archived(Arc::new(archive));
                Ok(())
            }
            None => Err(StoreError::Damaged {
                key: self.run.segments(self.stream),
                cause: "a segment is gone".to_owned(),
            }),
        }
    }

    /// The log is one file now.
    pub fn archived(&self, archive: Arc<Archive>) {
        let mut text = self.lock();
        let before = text.tail.unstored();
        let end = Place {
            offset: archive.index.size,
            line: 0,
        };
        text.tail = Tail::new(end, None);
        text.segments = Vec::new();
        text.ended = true;
        self.account(before, 0);
        let _ = self.archive.set(archive);
        self.publish(&text);
    }

    /// What could have become a token is none.
    fn finish(&self) {
        self.lock().tail.finish();
    }

    /// Nothing more comes.
    fn ended(&self) {
        let mut text = self.lock();
        text.ended = true;
        self.publish(&text);
    }

    fn publish(&self, text: &Text) {
        let progress = Progress {
            shown: text.tail.shown(),
            durable: text.tail.durable().offset,
            ended: text.ended,
        };
        self.progress.send_if_modified(|old| {
            let changed = *old != progress;
            *old = progress;
            changed
        });
    }

    fn lock(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenLog {
    fn drop(&mut self) {
        let unstored = self.lock().tail.unstored();
        self.account(unstored, 0);
    }
}

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
        }
        match writer.as_deref() == Some(sender) {
            true => Ok(()),
            false => Err(TakeError::Writer),
        }
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
        bytes: &mut [u8],
        limit: u64,
    ) -> Result<LogTaken, TakeError> {
        self.touch();
        let log = self.stream(stream);
        log.take(offset, bytes, limit)?;
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
        let expected = [(Stream::Log, end.log), (Stream::Marks, end.marks)];
        for (stream, bytes) in expected {
            let received = self.stream(stream).taken().received;
            if received < bytes {
                return Err(TakeError::Gap(stream, received));
            }
            if received > bytes {
                return Err(TakeError::Short(stream, received));
            }
        }
        for log in &self.streams {
            log.finish();
            log.store_all().await?;
        }
        let key = self.key.end();
        let bytes = serde_json::to_vec(&end).unwrap_or_default();
        let known = match self.shared.store.create(&key, bytes.into()).await? {
            true => end,
            false => stored_end(&self.shared.store, &self.key)
                .await?
                .unwrap_or(end),
        };
        self.set_end(known);
        same_end(known, end, log.taken())
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
        if self.looked.swap(now, Ordering::AcqRel) == now || self.end().is_some() {
            return Ok(());
        }
        for log in &self.streams {
            log.catch_up().await?;
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
