//! Pure: histories in memory, and what of them is to be read and written next.
//!
//! A file is read when it is first needed and stays for as long as there is room. What happens before
//! it is read waits beside it. Each file is written at most every [`WRITE_EVERY`], whatever happens
//! meanwhile, and until the store has taken it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use protocol::record::{
    BUILDER_HISTORY, BuilderHistory, HistoryRun, PULL_HISTORY, PullBuild, PullHistory,
};
use serde::{Serialize, de::DeserializeOwned};

/// A file is written at most this often.
const WRITE_EVERY: Duration = Duration::from_secs(2);
/// Bytes of files that are kept in memory although nothing is to be done with them.
const ROOM: usize = 16 << 20;
/// Bytes of a history that the gateway takes.
const BODY_LIMIT: usize = 1 << 20;
/// Files that are read or written at a time.
const AT_A_TIME: usize = 8;
/// Pause after the first failure; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// A short history: one file.
pub trait History: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name in metrics.
    const KIND: &'static str;

    /// Whether it says all of this already, or would not keep it: it is older than all that it keeps.
    fn says(&self, news: &Self) -> bool;

    /// Takes in entries; those that are there already are replaced.
    fn merge(&mut self, news: Self);

    /// Drops the oldest tenth of its entries, at least one. Whether there was one.
    fn shorten(&mut self) -> bool;
}

/// A history as it is sent: so short that it is taken, whatever its entries say.
pub fn body<H: History>(history: &H) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = serde_json::to_vec(history)?;
    let mut shorter = history.clone();
    while body.len() > BODY_LIMIT && shorter.shorten() {
        body = serde_json::to_vec(&shorter)?;
    }
    Ok(body)
}

fn shorten<T>(entries: &mut Vec<T>) -> bool {
    let drop = entries.len().div_ceil(10);
    entries.truncate(entries.len() - drop);
    drop > 0
}

impl History for BuilderHistory {
    const KIND: &'static str = "builder";

    fn says(&self, news: &Self) -> bool {
        let last = self
            .runs
            .last()
            .filter(|_| self.runs.len() >= BUILDER_HISTORY);
        let old = |run: &HistoryRun| last.is_some_and(|last| run.finished_ms < last.finished_ms);
        let mut runs = news.runs.iter();
        (&self.builder, &self.display_name) == (&news.builder, &news.display_name)
            && runs.all(|run| old(run) || self.runs.contains(run))
    }

    fn merge(&mut self, news: Self) {
        (self.builder, self.display_name) = (news.builder, news.display_name);
        for run in news.runs {
            self.add(run);
        }
    }

    fn shorten(&mut self) -> bool {
        shorten(&mut self.runs)
    }
}

impl History for PullHistory {
    const KIND: &'static str = "pull";

    fn says(&self, news: &Self) -> bool {
        let last = self
            .builds
            .last()
            .filter(|_| self.builds.len() >= PULL_HISTORY);
        let old = |build: &PullBuild| last.is_some_and(|last| build.created_ms < last.created_ms);
        let mut builds = news.builds.iter();
        self.pull == news.pull && builds.all(|build| old(build) || self.builds.contains(build))
    }

    fn merge(&mut self, news: Self) {
        self.pull = news.pull;
        for build in news.builds {
            self.add(build);
        }
    }

    fn shorten(&mut self) -> bool {
        shorten(&mut self.builds)
    }
}

/// What is to be done with a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Errand<H> {
    /// Read it.
    Load(String),
    /// Write it.
    Store(String, Arc<H>),
}

/// Files of one kind, by their path.
pub struct Shelf<H> {
    files: HashMap<String, File<H>>,
    /// Files with which something is to be done, and when.
    due: BTreeMap<String, Instant>,
    busy: usize,
    clock: u64,
    bytes: usize,
}

struct File<H> {
    /// What it says, once it was read.
    known: Option<Arc<H>>,
    /// What happened before it was read.
    news: Option<H>,
    /// It says more than what is stored.
    dirty: bool,
    /// It is being read or written.
    busy: bool,
    /// Nothing is done with it before.
    not_before: Option<Instant>,
    failures: u32,
    used: u64,
    bytes: usize,
}

impl<H> Default for File<H> {
    fn default() -> Self {
        Self {
            known: None,
            news: None,
            dirty: false,
            busy: false,
            not_before: None,
            failures: 0,
            used: 0,
            bytes: 0,
        }
    }
}

impl<H> Default for Shelf<H> {
    fn default() -> Self {
        Self {
            files: HashMap::new(),
            due: BTreeMap::new(),
            busy: 0,
            clock: 0,
            bytes: 0,
        }
    }
}

impl<H: History> Shelf<H> {
    /// Takes in what happened. Says whether there is something to do for it.
    pub fn put(&mut self, path: &str, news: H, now: Instant) -> bool {
        let file = self.touch(path);
        match (&mut file.known, &mut file.news) {
            (Some(known), _) if known.says(&news) => return false,
            (Some(known), _) => {
                Arc::make_mut(known).merge(news);
                file.dirty = true;
            }
            (None, Some(waiting)) => waiting.merge(news),
            (None, nothing) => *nothing = Some(news),
        }
        self.arrange(path, now);
        true
    }

    /// What a file says, if it was read.
    pub fn peek(&mut self, path: &str) -> Option<Arc<H>> {
        self.files.get(path)?.known.as_ref()?;
        self.touch(path).known.clone()
    }

    /// Asks for a file that somebody wants to read.
    pub fn want(&mut self, path: &str, now: Instant) {
        self.touch(path);
        self.arrange(path, now);
    }

    /// What is to be done now; else when to come again, if nothing happens before.
    pub fn next(&mut self, now: Instant) -> Result<Errand<H>, Option<Instant>> {
        let due = self.due.iter().min_by_key(|(_, at)| **at);
        let due = due.filter(|_| self.busy < AT_A_TIME);
        let (path, at) = due.map(|(path, at)| (path.clone(), *at)).ok_or(None)?;
        if at > now {
            return Err(Some(at));
        }
        self.due.remove(&path);
        self.busy += 1;
        let file = self.touch(&path);
        file.busy = true;
        Ok(match file.known.clone() {
            None => Errand::Load(path),
            Some(known) => {
                file.dirty = false;
                Errand::Store(path, known)
            }
        })
    }

    /// A file was read: what it says, and how many bytes that takes; or nobody answered.
    pub fn loaded(&mut self, path: &str, read: Option<(H, usize)>, now: Instant) {
        let file = self.landed(path);
        match read {
            None => file.fail(now),
            Some((mut known, bytes)) => {
                if let Some(news) = file.news.take().filter(|news| !known.says(news)) {
                    known.merge(news);
                    file.dirty = true;
                }
                file.known = Some(Arc::new(known));
                file.rest(None);
                self.measure(path, bytes);
            }
        }
        self.arrange(path, now);
        self.make_room();
    }

    /// A file was written, with so many bytes; or nobody took it.
    pub fn stored(&mut self, path: &str, written: Option<usize>, now: Instant) {
        let file = self.landed(path);
        match written {
            None => {
                file.dirty = true;
                file.fail(now);
            }
            Some(bytes) => {
                file.rest(Some(now + WRITE_EVERY));
                self.measure(path, bytes);
            }
        }
        self.arrange(path, now);
        self.make_room();
    }

    fn landed(&mut self, path: &str) -> &mut File<H> {
        self.busy = self.busy.saturating_sub(1);
        let file = self.touch(path);
        file.busy = false;
        file
    }

    fn touch(&mut self, path: &str) -> &mut File<H> {
        self.clock += 1;
        let file = self.files.entry(path.to_owned()).or_default();
        file.used = self.clock;
        file
    }

    /// Sees to it that what a file needs is done, at its time.
    fn arrange(&mut self, path: &str, now: Instant) {
        let Some(file) = self.files.get(path) else {
            return;
        };
        if !file.busy && (file.known.is_none() || file.dirty) {
            let at = file.not_before.map_or(now, |at| at.max(now));
            self.due.entry(path.to_owned()).or_insert(at);
        }
    }

    fn measure(&mut self, path: &str, bytes: usize) {
        if let Some(file) = self.files.get_mut(path) {
            self.bytes = self.bytes + bytes - file.bytes;
            file.bytes = bytes;
        }
    }

    /// Forgets files that nobody used for longest, as long as there are too many.
    fn make_room(&mut self) {
        while self.bytes > ROOM {
            let idle = self
                .files
                .iter()
                .filter(|(path, file)| !file.busy && !file.dirty && !self.due.contains_key(*path));
            let oldest = idle.min_by_key(|(_, file)| file.used);
            let Some(path) = oldest.map(|(path, _)| path.clone()) else {
                return;
            };
            if let Some(file) = self.files.remove(&path) {
                self.bytes -= file.bytes;
            }
        }
    }
}

impl<H> File<H> {
    fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let factor = 2_u32.saturating_pow(self.failures.saturating_sub(1).min(16));
        self.not_before = Some(now + FIRST.saturating_mul(factor).min(LONGEST));
    }

    fn rest(&mut self, until: Option<Instant>) {
        self.failures = 0;
        self.not_before = until;
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
