//! What is removed, and when: by age and by size, oldest first, never what is still written. Also does
//! what a gateway that was stopped left undone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::logs::live::now;
use crate::names::{RunKey, segment_place};
use crate::store::{Found, Store, StoreError};

/// How often the store is gone through.
const EVERY: Duration = Duration::from_secs(3600);
/// How often where a limit is near, or not everything could be done.
const OFTEN: Duration = Duration::from_secs(300);
/// How long after a pass the next one begins at the earliest.
const SOON: Duration = Duration::from_secs(60);
/// How long after the start for the first time: what is under way comes first.
const FIRST: Duration = Duration::from_secs(60);
/// Seconds after which a log that nobody ended is at its end. The longest run takes seven days, and a worker
/// that was away may send its log for seven days more.
pub const ABANDONED: i64 = 15 * DAY;
/// Seconds after which a log that has ended should be one file.
const UNDONE: i64 = 600;
const DAY: i64 = 24 * 3600;

/// What may be kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Days after the last byte.
    pub days: u32,
    /// Bytes of one Repository, as stored.
    pub repository: u64,
    /// Bytes of all, as stored.
    pub store: Option<u64>,
}

/// What the store has of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunUse {
    /// Which run.
    pub key: RunKey,
    /// Bytes, as stored.
    pub bytes: u64,
    /// When something was written last, in seconds since 1970.
    pub modified: i64,
    /// Its sender said that nothing more comes, or there never was one.
    pub ended: bool,
    /// There are segments.
    pub segments: bool,
}

/// Why something is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is older than what is kept.
    Age,
    /// Its Repository has more than it may.
    Repository,
    /// The store has more than it may.
    Store,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Repository => "repository_limit",
            Self::Store => "store_limit",
        }
    }
}

impl RunUse {
    fn new(key: RunKey) -> Self {
        Self {
            key,
            bytes: 0,
            modified: 0,
            ended: true,
            segments: false,
        }
    }

    /// Adds an object, by its name below the run. A log has ended unless there is a sender and no end.
    fn add(&mut self, below: &str, found: &Found, seen: &mut Seen) {
        self.bytes += found.size;
        self.modified = self.modified.max(found.modified);
        seen.writer |= below == "writer";
        seen.end |= below == "end.json";
        let file = below.split_once('/').map(|(_, file)| file);
        self.segments |= file.is_some_and(|file| segment_place(file).is_some());
        self.ended = seen.end || !seen.writer;
    }
}

#[derive(Default)]
struct Seen {
    writer: bool,
    end: bool,
}

/// Which of these are removed, oldest first: what is too old, then as many as make the rest fit. Live
/// ones are not asked about, but count.
pub fn to_remove(
    uses: &[RunUse],
    limit: u64,
    besides: u64,
    before: i64,
    over: Reason,
) -> Vec<(&RunUse, Reason)> {
    let mut bytes = besides + uses.iter().map(|one| one.bytes).sum::<u64>();
    let mut ended: Vec<&RunUse> = uses.iter().filter(|one| one.ended).collect();
    ended.sort_by_key(|one| one.modified);
    let mut removed = Vec::new();
    for one in ended {
        let reason = match (one.modified < before, bytes > limit) {
            (true, _) => Reason::Age,
            (false, true) => over,
            (false, false) => break,
        };
        bytes -= one.bytes;
        removed.push((one, reason));
    }
    removed
}

/// Goes through the store again and again, until the token is cancelled: once an hour, more often where a
/// limit is near, and soon where the store took nothing, because it may be full.
pub async fn run(app: Arc<App>, store: Store, stop: CancellationToken) {
    let mut pause = FIRST;
    loop {
        let refused = async {
            tokio::time::sleep(SOON.min(pause)).await;
            store.refused().await;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = refused => {}
            () = stop.cancelled() => return,
        }
        pause = match pass(&app, &store, app.keep, now()).await {
            Ok(Fill::Low) => EVERY,
            Ok(Fill::High) => OFTEN,
            Err(error) => {
                tracing::warn!(%error, "retention did not do everything; it goes on in some minutes");
                OFTEN
            }
        };
    }
}

/// How much of what may be kept there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Much less.
    Low,
    /// So much that the next build may bring too much.
    High,
}

impl Fill {
    fn of(bytes: u64, limit: u64) -> Self {
        match bytes > limit / 5 * 4 {
            true => Self::High,
            false => Self::Low,
        }
    }

    fn or(self, other: Self) -> Self {
        match self {
            Self::High => self,
            Self::Low => other,
        }
    }
}

/// What is kept of a Repository, or of all.
struct Kept {
    runs: Vec<RunUse>,
    /// Bytes of records besides.
    records: u64,
}

impl Kept {
    fn bytes(&self) -> u64 {
        self.records + self.runs.iter().map(|one| one.bytes).sum::<u64>()
    }
}

/// Goes through the store once. What fails in one Repository keeps no other from being cleaned; the last
/// such failure is the answer.
pub async fn pass(app: &App, store: &Store, keep: Keep, now: i64) -> Result<Fill, StoreError> {
    let before = now - i64::from(keep.days) * DAY;
    let (mut fill, mut failure) = (Fill::Low, None);
    let mut all = Kept {
        runs: Vec::new(),
        records: old_records(app, store, "builders", before).await?,
    };
    for repository in store.below("repositories").await? {
        match pass_of_repository(app, store, keep, &repository, now).await {
            Ok(mut kept) => {
                fill = fill.or(Fill::of(kept.bytes(), keep.repository));
                all.records += kept.records;
                all.runs.append(&mut kept.runs);
            }
            Err(error) => {
                tracing::warn!(%error, repository, "cannot remove what is too old or too much");
                failure = Some(error);
            }
        }
    }
    if let Some(limit) = keep.store {
        let over = to_remove(&all.runs, limit, all.records, before, Reason::Store);
        let removed = remove_all(app, store, &over).await?;
        all.runs.retain(|one| !removed.contains(&one.key));
        fill = fill.or(Fill::of(all.bytes(), limit));
    }
    store.remove_staged(now - DAY).await;
    app.metrics.swept(all.bytes());
    failure.map_or(Ok(fill), Err)
}

async fn pass_of_repository(
    app: &App,
    store: &Store,
    keep: Keep,
    repository: &str,
    now: i64,
) -> Result<Kept, StoreError> {
    let before = now - i64::from(keep.days) * DAY;
    let mut runs = runs(store, repository).await?;
    for one in &mut runs {
        repair(app, one, now).await;
    }
    let mut records = 0;
    for kind in ["builds", "pulls"] {
        let prefix = format!("repositories/{repository}/{kind}");
        records += old_records(app, store, &prefix, before).await?;
    }
    let over = to_remove(&runs, keep.repository, records, before, Reason::Repository);
    let removed = remove_all(app, store, &over).await?;
    runs.retain(|one| !removed.contains(&one.key));
    Ok(Kept { runs, records })
}

/// What the store has of each run of a Repository.
async fn runs(store: &Store, repository: &str) -> Result<Vec<RunUse>, StoreError> {
    let prefix = format!("repositories/{repository}/runs");
    let mut uses: BTreeMap<String, (RunUse, Seen)> = BTreeMap::new();
    let mut found = store.list(&prefix);
    while let Some(object) = found.try_next().await? {
        let below = object
            .key
            .strip_prefix(&prefix)
            .and_then(|key| key.strip_prefix('/'));
        let Some((run, below)) = below.and_then(|below| below.split_once('/')) else {
            continue;
        };
        let Some(key) = RunKey::new(repository, run) else {
            continue;
        };
        let entry = uses.entry(run.to_owned());
        let (one, seen) = entry.or_insert_with(|| (RunUse::new(key), Seen::default()));
        one.add(below, &object, seen);
    }
    Ok(uses.into_values().map(|(one, _)| one).collect())
}

/// Ends what was abandoned, and makes one file of what has ended. What cannot be done now is done later.
async fn repair(app: &App, one: &mut RunUse, now: i64) {
    let quiet = now - one.modified;
    if !one.ended && quiet > ABANDONED && !app.logs.is_live(&one.key) {
        match app.logs.close(&one.key).await {
            Ok(()) => one.ended = true,
            Err(error) => tracing::warn!(%error, run = %one.key, "cannot end an abandoned log"),
        }
    } else if one.ended
        && one.segments
        && quiet > UNDONE
        && let Err(error) = app.logs.repair(&one.key).await
    {
        tracing::warn!(%error, run = %one.key, "cannot make one file of a log");
    }
}

/// Removes records that were not written for too long. The bytes of those that stay.
async fn old_records(
    app: &App,
    store: &Store,
    prefix: &str,
    before: i64,
) -> Result<u64, StoreError> {
    let mut found = store.list(prefix);
    let (mut kept, mut old) = (0, Vec::new());
    while let Some(object) = found.try_next().await? {
        match object.modified < before {
            true => old.push(object.key),
            false => kept += object.size,
        }
    }
    for key in old {
        store.delete(&key).await?;
        app.metrics.removed("record", Reason::Age.word());
    }
    Ok(kept)
}

/// Removes runs. Those that are in memory and grow stay.
async fn remove_all(
    app: &App,
    store: &Store,
    over: &[(&RunUse, Reason)],
) -> Result<Vec<RunKey>, StoreError> {
    let mut removed = Vec::new();
    for (one, reason) in over {
        if app.logs.is_live(&one.key) {
            continue;
        }
        remove(store, &one.key).await?;
        app.logs.removed(&one.key);
        app.metrics.removed("run", reason.word());
        removed.push(one.key.clone());
    }
    Ok(removed)
}

/// Removes all of a run: first what pages look for, so that they never find a half, and what says that it
/// has ended last, so that the rest is found again.
async fn remove(store: &Store, run: &RunKey) -> Result<(), StoreError> {
    let found: Vec<Found> = store.list(&run.prefix()).try_collect().await?;
    let (record, writer, end) = (run.record(), run.writer(), run.end());
    let rank = |key: &str| match key {
        _ if key == record => 0,
        _ if key == writer => 1,
        _ if key == end => 4,
        _ if key.ends_with(".json") => 2,
        _ => 3,
    };
    let mut keys: Vec<String> = found.into_iter().map(|object| object.key).collect();
    keys.sort_by_key(|key| rank(key));
    for key in keys {
        store.delete(&key).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
