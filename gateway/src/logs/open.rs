//! The logs that are open, and how they are opened: from memory, from their archive, from their segments.

mod ending;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::log::{LogEnd, LogLimits, LogTaken, MARKS_LIMIT, Stream};
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use super::archive::Archive;
use super::chain::{self, Chain};
use super::live::{OpenRun, Stored, stored_end, stored_writer};
use super::reader::LogReader;
use super::stream::{ON_THE_WAY, Shared, TakeError};
use crate::metrics::Metrics;
use crate::names::RunKey;
use crate::store::{Store, StoreError};

/// Seconds without a reader or a writer after which a run leaves memory.
const IDLE: i64 = 60;
/// How many times longer one stays whose sender signs what it sends: what came is known of it only in memory.
const SIGNED_LONGER: i64 = 60;
/// How often that is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Time to store what was received when the program stops.
const STOP_TIME: Duration = Duration::from_secs(15);
/// Archives whose index stays in memory.
const ARCHIVES: usize = 64;

/// How logs are kept.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// Bytes of a log that are kept.
    pub log_limit: u64,
}

/// All logs. Cheap to clone.
#[derive(Clone)]
pub struct Logs(Arc<Inner>);

type Slot = Arc<OnceCell<Arc<OpenRun>>>;

struct Inner {
    options: LogOptions,
    shared: Arc<Shared>,
    open: Mutex<HashMap<RunKey, Slot>>,
    archives: Mutex<VecDeque<(String, Arc<Archive>)>>,
    turn: Semaphore,
}

/// How a run's segments are found.
#[derive(Clone, Copy)]
enum Find {
    /// By a listing of that run.
    Listing,
    /// From one to the next.
    Walking,
}

impl Logs {
    /// The logs in this store.
    pub fn new(store: Store, options: LogOptions, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            options,
            shared: Arc::new(Shared {
                store,
                blocks: Arc::default(),
                metrics,
                unstored: 0.into(),
                storable: 0.into(),
                on_the_way: Semaphore::new(ON_THE_WAY),
            }),
            open: Mutex::default(),
            archives: Mutex::default(),
            turn: Semaphore::new(1),
        }))
    }

    /// Opens a log to read it; none where nothing of it was ever received, or it was removed.
    pub async fn open(
        &self,
        repository: &str,
        run: &str,
        stream: Stream,
    ) -> Result<Option<LogReader>, StoreError> {
        let Some(key) = RunKey::new(repository, run) else {
            return Ok(None);
        };
        let shared = self.0.shared.clone();
        if let Some(run) = self.in_memory(&key) {
            run.follow()
                .await
                .or_else(|error| if_in_memory(&run, error))?;
            return Ok(Some(LogReader::live(run, stream, shared)));
        }
        if let Some(archive) = self.archive(&key, stream).await? {
            return Ok(Some(LogReader::archived(archive)));
        }
        if stored_writer(&shared.store, &key).await?.is_none() {
            return Ok(None);
        }
        let run = self.opened(&key, Find::Walking).await?;
        Ok(Some(LogReader::live(run, stream, shared)))
    }

    /// The run that this sender writes.
    pub async fn writer(&self, key: &RunKey, sender: &str) -> Result<Arc<OpenRun>, TakeError> {
        let run = self.opened(key, Find::Listing).await?;
        run.touch();
        run.claim(sender).await?;
        Ok(run)
    }

    /// Most bytes of a stream.
    pub fn limit(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Log => LogLimits::of(self.0.options.log_limit).most(),
            Stream::Marks => MARKS_LIMIT,
        }
    }

    /// Bytes of a log that are sent while its run goes on. What follows is kept by the machine that runs it,
    /// which sends the end of it at the end.
    pub fn head(&self) -> u64 {
        LogLimits::of(self.0.options.log_limit).head
    }

    /// Whether a log that is in memory goes on, and has all that is sent before its end.
    pub fn is_at_head(&self, key: &RunKey) -> bool {
        let run = self.in_memory(key).filter(|run| run.end().is_none());
        run.is_some_and(|run| run.stream(Stream::Log).taken().received >= self.head())
    }

    /// Whether the store fails.
    pub fn store_is_down(&self) -> bool {
        self.0.shared.store.is_down()
    }

    /// Ends a run's log, and makes one file of each stream some time later.
    pub async fn end(&self, run: &Arc<OpenRun>, end: LogEnd) -> Result<LogTaken, TakeError> {
        let taken = run.finish(end).await?;
        self.compact_later(run);
        Ok(taken)
    }

    /// Whether a run is in memory and has not ended.
    pub fn is_live(&self, key: &RunKey) -> bool {
        self.in_memory(key).is_some_and(|run| run.end().is_none())
    }

    pub(crate) fn in_memory(&self, key: &RunKey) -> Option<Arc<OpenRun>> {
        let open = self.lock();
        open.get(key).and_then(|slot| slot.get().cloned())
    }

    async fn archive(
        &self,
        key: &RunKey,
        stream: Stream,
    ) -> Result<Option<Arc<Archive>>, StoreError> {
        let name = key.index(stream);
        if let Some(known) = self.known_archive(&name) {
            return Ok(Some(known));
        }
        let shared = &self.0.shared;
        let found = Archive::open(key, stream, &shared.store, &shared.blocks).await?;
        Ok(found.map(|archive| {
            let archive = Arc::new(archive);
            let mut known = self
                .0
                .archives
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            known.push_back((name, archive.clone()));
            if known.len() > ARCHIVES {
                known.pop_front();
            }
            archive
        }))
    }

    fn known_archive(&self, name: &str) -> Option<Arc<Archive>> {
        let mut known = self
            .0
            .archives
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|(other, _)| other == name)?;
        let found = known.remove(place)?;
        let archive = found.1.clone();
        known.push_back(found);
        Some(archive)
    }

    /// Opens a run once, however many ask for it.
    async fn opened(&self, key: &RunKey, find: Find) -> Result<Arc<OpenRun>, StoreError> {
        let slot = self.lock().entry(key.clone()).or_default().clone();
        let run = slot.get_or_try_init(|| self.recover(key, find)).await;
        let run = match run {
            Ok(run) => run.clone(),
            Err(error) => {
                self.forget_if(key, |slot| !slot.initialized());
                return Err(error);
            }
        };
        self.0.shared.metrics.open(self.lock().len());
        Ok(run)
    }

    async fn recover(&self, key: &RunKey, find: Find) -> Result<Arc<OpenRun>, StoreError> {
        let shared = &self.0.shared;
        let store = &shared.store;
        let writer = stored_writer(store, key).await?;
        let mut end = None;
        let mut chains = [Chain::default(), Chain::default()];
        if writer.is_some() {
            end = stored_end(store, key).await?;
            for (chain, stream) in chains.iter_mut().zip(Stream::ALL) {
                *chain = match find {
                    Find::Listing => chain::listed(store, key, stream).await?,
                    Find::Walking => chain::walked(store, key, stream).await?,
                };
            }
        }
        let stored = Stored {
            writer,
            end,
            chains,
        };
        let run = Arc::new(OpenRun::new(key.clone(), stored, shared.clone()));
        if end.is_some() {
            for stream in Stream::ALL {
                if let Some(archive) = self.archive(key, stream).await? {
                    run.stream(stream).archived(archive);
                }
            }
            // A page only reads: what a gateway that was stopped left undone, retention does.
            if matches!(find, Find::Listing) {
                self.compact_later(&run);
            }
        }
        Ok(run)
    }

    /// A run is removed from the store: it leaves memory, too.
    pub fn removed(&self, key: &RunKey) {
        self.lock().remove(key);
        let mut known = self
            .0
            .archives
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.retain(|(name, _)| Stream::ALL.iter().all(|stream| *name != key.index(*stream)));
    }

    /// Lets runs that nobody uses leave memory, until the token is cancelled.
    pub async fn forget_idle(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = tick.tick() => self.forget(IDLE),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Lets runs leave memory that were not used for so many seconds and lose nothing by it.
    pub fn forget(&self, seconds: i64) {
        let is_idle = |run: &OpenRun| match run.is_signed() {
            true => run.idle() >= seconds * SIGNED_LONGER,
            false => run.idle() >= seconds,
        };
        let idle = |slot: &Slot| {
            Arc::strong_count(slot) == 1
                && slot.get().is_some_and(|run| {
                    Arc::strong_count(run) == 1 && is_idle(run) && run.is_stored()
                })
        };
        let mut open = self.lock();
        open.retain(|_, slot| !idle(slot));
        self.0.shared.metrics.open(open.len());
    }

    fn forget_if(&self, key: &RunKey, condition: impl Fn(&Slot) -> bool) {
        let mut open = self.lock();
        if open.get(key).is_some_and(condition) {
            open.remove(key);
        }
    }

    /// Stores all that was received and is complete. Logs that are being made one file go on after the
    /// next start.
    pub async fn stop(&self) {
        let runs: Vec<_> = self
            .lock()
            .values()
            .filter_map(|slot| slot.get().cloned())
            .collect();
        let logs = runs
            .iter()
            .flat_map(|run| Stream::ALL.map(|stream| run.stream(stream)));
        let all = futures::future::join_all(logs.map(|log| log.store_all()));
        let Ok(results) = tokio::time::timeout(STOP_TIME, all).await else {
            tracing::warn!("the store is too slow; senders send again what is not stored");
            return;
        };
        for error in results.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "not stored before the end; its sender sends it again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunKey, Slot>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is in memory can be read without a store.
fn if_in_memory(run: &OpenRun, error: StoreError) -> Result<(), StoreError> {
    match run.store_is_down() {
        true => Ok(()),
        false => Err(error),
    }
}
