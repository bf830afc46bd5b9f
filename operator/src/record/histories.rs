//! Reads and writes histories of one kind. What is done when is decided in [`shelf`](super::shelf); here
//! are the clock, the requests, and those who wait.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    client::{RecordError, Records},
    shelf::{Errand, History, Shelf, body},
};
use crate::queue::sleep_until;

/// Histories of one kind.
pub struct Histories<H> {
    shelf: Mutex<Shelf<H>>,
    news: Notify,
    read: Notify,
    records: Arc<Records>,
}

impl<H: History> Histories<H> {
    /// Starts the task that reads and writes; it ends with `stop`.
    pub fn spawn(records: Arc<Records>, stop: CancellationToken) -> Arc<Self> {
        let histories = Arc::new(Self {
            shelf: Mutex::default(),
            news: Notify::new(),
            read: Notify::new(),
            records,
        });
        tokio::spawn(histories.clone().work(stop));
        histories
    }

    /// Takes in what happened. It is written soon.
    pub fn put(&self, path: &str, news: H) {
        if self.shelf().put(path, news, Instant::now()) {
            self.news.notify_one();
        }
    }

    /// What a history says, if it was read.
    pub fn peek(&self, path: &str) -> Option<Arc<H>> {
        self.shelf().peek(path)
    }

    /// Waits until a history is read, no longer than `patience`, and not while the gateway is away.
    pub async fn look_up(&self, path: &str, patience: Duration) {
        if self.peek(path).is_some() || self.records.is_away() {
            return;
        }
        self.shelf().want(path, Instant::now());
        self.news.notify_one();
        let read = async {
            loop {
                let mut read = std::pin::pin!(self.read.notified());
                // Registered before the look, so that nothing is missed between.
                read.as_mut().enable();
                if self.peek(path).is_some() || self.records.is_away() {
                    return;
                }
                read.await;
            }
        };
        let _ = tokio::time::timeout(patience, read).await;
    }

    async fn work(self: Arc<Self>, stop: CancellationToken) {
        let mut busy = JoinSet::new();
        loop {
            let next = self.shelf().next(Instant::now());
            let wake = match next {
                Ok(errand) => {
                    busy.spawn(self.clone().carry_out(errand));
                    continue;
                }
                Err(wake) => wake,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.news.notified() => {}
                Some(_) = busy.join_next() => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    async fn carry_out(self: Arc<Self>, errand: Errand<H>) {
        match errand {
            Errand::Load(path) => {
                let read = match self.records.get::<H>(H::KIND, &path).await {
                    Ok(found) => Some(found.unwrap_or_default()),
                    Err(RecordError::Refused(why)) => {
                        tracing::warn!(path, why, "a history cannot be read; it begins anew");
                        Some((H::default(), 0))
                    }
                    Err(_) => None,
                };
                self.shelf().loaded(&path, read, Instant::now());
                self.read.notify_waiters();
            }
            Errand::Store(path, history) => {
                let written = match self
                    .records
                    .put(H::KIND, &path, body(history.as_ref()))
                    .await
                {
                    Ok(bytes) => Some(bytes),
                    Err(RecordError::Refused(why)) => {
                        tracing::warn!(path, why, "a history is not taken");
                        None
                    }
                    Err(_) => None,
                };
                self.shelf().stored(&path, written, Instant::now());
            }
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<H>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
