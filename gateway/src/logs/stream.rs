//! One stream of a run whose log grows: taken in at once, stored in time.

mod storing;

use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use protocol::log::{LogTaken, Stream};
use tokio::sync::{Notify, Semaphore, watch};

use super::archive::Archive;
use super::blocks::Blocks;
use super::chain::Chain;
use super::frames::Arrived;
use super::tail::{Place, SEGMENT, Tail};
use crate::metrics::Metrics;
use crate::names::RunKey;
use crate::store::{Store, StoreError};

/// The longest that text waits to be stored.
const AGE: Duration = Duration::from_secs(5);
/// Bytes of one stream that may wait for the store before more is taken.
const WAITING_LIMIT: u64 = 1 << 20;
/// Bytes of all streams that may wait before text is stored earlier than it had to.
const EARLY: u64 = 6 << 20;
/// Bytes of all streams that may wait before more is taken of one of which some waits.
const WAITING_TOGETHER: u64 = 48 << 20;
/// Bytes of all streams that may wait before nothing more is taken.
const WAITING_MOST: u64 = 2 * WAITING_TOGETHER;
/// How often it is looked whether others have made room.
const LOOK_EVERY: Duration = Duration::from_millis(100);
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
    /// Those of them that wait for nothing but the store.
    pub storable: AtomicU64,
    /// Places for text on its way to the store: a copy of it is in memory for so long.
    pub on_the_way: Semaphore,
}

/// Texts of logs that are on their way to the store at once.
pub const ON_THE_WAY: usize = 16;

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
    /// Its share of [`Shared::storable`].
    counted: u64,
    /// Of all bytes as they came, before tokens became illegible: where somebody signed them, and all came here.
    digest: Option<Context>,
    /// The end is being stored: nothing more is taken, unless that fails.
    closed: bool,
    ended: bool,
}

impl OpenLog {
    pub(super) fn new(run: &RunKey, stream: Stream, chain: Chain, shared: &Arc<Shared>) -> Self {
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
                tail: Tail::new(stream, chain.end, chain.last),
                segments: chain.segments,
                storer: false,
                counted: 0,
                digest: None,
                closed: false,
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

    /// Somebody signs what is sent: from its first byte on it is known what came.
    pub(super) fn keep_digest(&self) {
        let mut text = self.lock();
        if text.digest.is_none() && text.tail.received() == 0 {
            text.digest = Some(Context::new(&SHA256));
        }
    }

    /// Whether the digest of all bytes as they came is known here.
    pub(super) fn has_digest(&self) -> bool {
        self.lock().digest.is_some()
    }

    /// The digest of all bytes as they came, in hexadecimal digits; none where they are not signed, or did not all
    /// come to this process.
    pub(super) fn received_digest(&self) -> Option<String> {
        let digest = self.lock().digest.clone();
        digest.map(|digest| hex::encode(digest.finish()))
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
    pub(super) fn is_stored(&self) -> bool {
        self.lock().tail.storable() == 0
    }

    /// Waits until more may be taken, and not for long.
    pub(super) async fn room(&self) -> Result<(), TakeError> {
        let full = || {
            let text = self.lock();
            self.is_full(&text)
        };
        let mut progress = self.progress();
        let wait = async {
            while full() {
                self.wake.notify_one();
                // What is stored of others makes room, too, and is not told here.
                let _ = tokio::time::timeout(LOOK_EVERY, progress.changed()).await;
            }
        };
        let patience = match self.shared.store.is_down() {
            true => Duration::ZERO,
            false => AGE,
        };
        let waited = tokio::time::timeout(patience, wait).await;
        waited.map_err(|_| TakeError::Full(self.taken().received))
    }

    /// Whether too much waits for the store, of this stream or of all. What is held back does not count: it waits
    /// for its sender, and would keep all others waiting.
    fn is_full(&self, text: &Text) -> bool {
        let storable = text.tail.storable();
        let most = match storable {
            0 => WAITING_MOST,
            _ => WAITING_TOGETHER,
        };
        storable > WAITING_LIMIT || self.shared.storable.load(Ordering::Relaxed) > most
    }

    /// Takes bytes at this offset.
    pub(super) fn take(
        self: &Arc<Self>,
        offset: u64,
        arrived: Arrived<'_>,
        limit: u64,
    ) -> Result<(), TakeError> {
        let mut text = self.lock();
        let before = text.tail.received();
        let end = offset.saturating_add(arrived.text.len() as u64);
        if text.ended {
            return match end <= before {
                true => Ok(()),
                false => Err(TakeError::Ended(before)),
            };
        }
        // Others may have taken the room that there was.
        if end > before && (text.closed || self.is_full(&text)) {
            return Err(TakeError::Full(before));
        }
        if end > limit {
            return Err(TakeError::Limit {
                limit,
                received: before,
            });
        }
        // Tokens become illegible in place.
        if let (Some(digest), Some(known)) = (&mut text.digest, before.checked_sub(offset)) {
            let known = usize::try_from(known).unwrap_or(usize::MAX);
            digest.update(&arrived.text[known.min(arrived.text.len())..]);
        }
        if !text.tail.append(offset, arrived) {
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
        self.publish(&mut text);
        self.begin_storing(text);
        if due {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// What could have become a token is none. It is stored in time, also where the end cannot be: its sender may
    /// not come back.
    pub(super) fn finish(self: &Arc<Self>) {
        let mut text = self.lock();
        text.tail.finish();
        self.count(&mut text);
        self.begin_storing(text);
    }

    /// Lets somebody store what can be stored, unless somebody does.
    fn begin_storing(self: &Arc<Self>, mut text: MutexGuard<'_, Text>) {
        let begin = !text.storer && text.tail.storable() > 0;
        text.storer |= begin;
        drop(text);
        if begin {
            tokio::spawn(self.clone().store_in_time());
        }
    }

    /// Takes nothing more until [`Self::reopen`], if so many bytes were received.
    pub(super) fn close(&self, bytes: u64) -> Result<(), TakeError> {
        let mut text = self.lock();
        let received = text.tail.received();
        match received.cmp(&bytes) {
            Less => Err(TakeError::Gap(self.stream, received)),
            Greater => Err(TakeError::Short(self.stream, received)),
            Equal => {
                text.closed = true;
                Ok(())
            }
        }
    }

    /// Takes more again, unless it has ended.
    pub(super) fn reopen(&self) {
        self.lock().closed = false;
        // What could not be stored is tried again soon; where all is, nobody has to wait for it.
        self.wake.notify_one();
    }

    /// Nothing more comes.
    pub(super) fn ended(&self) {
        let mut text = self.lock();
        text.ended = true;
        self.publish(&mut text);
    }

    /// Counts what waits for the store among what all have.
    fn count(&self, text: &mut Text) {
        let all = &self.shared.storable;
        let now = text.tail.storable();
        let before = std::mem::replace(&mut text.counted, now);
        match now >= before {
            true => all.fetch_add(now - before, Ordering::Relaxed),
            false => all.fetch_sub(before - now, Ordering::Relaxed),
        };
    }

    fn publish(&self, text: &mut Text) {
        self.count(text);
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
        let (unstored, counted) = {
            let text = self.lock();
            (text.tail.unstored(), text.counted)
        };
        self.account(unstored, 0);
        self.shared.storable.fetch_sub(counted, Ordering::Relaxed);
    }
}
