//! How text gets from memory into the store, and what another gateway put there comes into memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{AGE, OpenLog};
use crate::logs::archive::Archive;
use crate::logs::chain::{self, NOTED};
use crate::logs::tail::{Cut, Place, Tail};
use crate::store::StoreError;

/// Pause after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

impl OpenLog {
    /// Stores text when there is enough of it or it is old enough, until there is none.
    pub(super) async fn store_in_time(self: Arc<Self>) {
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
            // Nobody closes it.
            let _place = self.shared.on_the_way.acquire().await;
            let cut = self.lock().tail.cut();
            let Some(cut) = cut else { return Ok(()) };
            self.store(cut).await?;
        }
    }

    async fn store(&self, cut: Cut) -> Result<(), StoreError> {
        let key = self.run.segment(self.stream, cut.offset, cut.line);
        let frames = cut.frames().map_err(|error| StoreError::Damaged {
            key: key.clone(),
            cause: error.to_string(),
        })?;
        let bytes = frames.len();
        if self.shared.store.create(&key, frames.into()).await? {
            self.shared.metrics.segment(bytes);
            self.stored(&cut.text);
            return self.note().await;
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

    /// Notes now and then where the segments begin.
    async fn note(&self) -> Result<(), StoreError> {
        let places = {
            let text = self.lock();
            match text.segments.len().is_multiple_of(NOTED) {
                true => text.segments.clone(),
                false => return Ok(()),
            }
        };
        chain::note(&self.shared.store, &self.run, self.stream, &places).await
    }

    /// A segment is in the store.
    fn stored(&self, segment: &[u8]) {
        let mut text = self.lock();
        let before = text.tail.unstored();
        let place = text.tail.durable();
        text.segments.push(place);
        if text.tail.stored(segment) {
            // Another gateway stored it, and took it in as it came.
            text.digest = None;
        }
        let after = text.tail.unstored();
        self.account(before, after);
        self.publish(&mut text);
    }

    /// So many bytes were not stored yet, and now it is so many.
    pub(super) fn account(&self, before: u64, after: u64) {
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
        self.read_on().await
    }

    /// As [`Self::catch_up`], for pages: not while something is being stored, which can take its time.
    pub async fn look(&self) -> Result<(), StoreError> {
        match self.storing.try_lock() {
            Ok(_turn) => self.read_on().await,
            Err(_) => Ok(()),
        }
    }

    async fn read_on(&self) -> Result<(), StoreError> {
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
        text.tail = Tail::new(self.stream, end, None);
        text.segments = Vec::new();
        text.ended = true;
        self.account(before, 0);
        let _ = self.archive.set(archive);
        self.publish(&mut text);
    }
}
