//! How a log ends of which nothing more comes, and becomes one file of each stream.

use std::sync::Arc;

use protocol::log::{LogEnd, Stream};

use super::{Find, Logs};
use crate::logs::archive::Archive;
use crate::logs::compact;
use crate::logs::live::OpenRun;
use crate::logs::stream::TakeError;
use crate::names::RunKey;
use crate::store::StoreError;

impl Logs {
    /// Makes one file of each stream that is none yet; one run at a time.
    pub(super) fn compact_later(&self, run: &Arc<OpenRun>) {
        let done = Stream::ALL
            .iter()
            .all(|stream| run.stream(*stream).archive().is_some());
        if done || !run.begin_compacting() {
            return;
        }
        let (logs, run) = (self.clone(), run.clone());
        tokio::spawn(async move {
            let Ok(_turn) = logs.0.turn.acquire().await else {
                return;
            };
            for stream in Stream::ALL {
                if let Err(error) = logs.compact(&run, stream).await {
                    logs.0.shared.metrics.archived("error");
                    tracing::warn!(%error, run = run.key.run(), "cannot make one file of a log yet");
                }
            }
            run.end_compacting();
        });
    }

    async fn compact(&self, run: &OpenRun, stream: Stream) -> Result<(), StoreError> {
        let log = run.stream(stream);
        let Some(end) = run.end().filter(|_| log.archive().is_none()) else {
            return Ok(());
        };
        let shared = &self.0.shared;
        let received = log.received_digest();
        let index = compact::compact(&shared.store, &run.key, stream, end, received).await?;
        let Some(index) = index else {
            return log.gone().await;
        };
        let (store, blocks) = (shared.store.clone(), shared.blocks.clone());
        let archive = Archive::new(index, &run.key, stream, store, blocks);
        log.archived(Arc::new(archive));
        compact::remove_segments(&shared.store, &run.key, stream).await?;
        shared.metrics.archived("done");
        Ok(())
    }

    /// Whether streams of a run are being made one file, or wait for it.
    #[cfg(test)]
    pub(crate) fn is_compacting(&self, run: &OpenRun) -> bool {
        run.is_compacting()
    }

    /// Ends a log of which nothing came for so long that nothing will.
    pub async fn close(&self, key: &RunKey) -> Result<(), TakeError> {
        let run = self.opened(key, Find::Listing).await?;
        let end = LogEnd {
            log: run.stream(Stream::Log).taken().durable,
            marks: run.stream(Stream::Marks).taken().durable,
            left_out: 0,
            unfinished: true,
        };
        self.end(&run, end).await.map(drop)
    }

    /// Does what a gateway that was stopped left undone of a log that has ended: makes one file of each
    /// stream, or removes the segments beside it.
    pub async fn repair(&self, key: &RunKey) -> Result<(), StoreError> {
        let mut whole = true;
        for stream in Stream::ALL {
            match self.archive(key, stream).await? {
                Some(archive) if compact::is_whole(&archive).await? => {
                    compact::remove_segments(&self.0.shared.store, key, stream).await?;
                }
                Some(_) => tracing::error!(%key, "the file of a log is not what its index says"),
                None => whole = false,
            }
        }
        if !whole {
            let run = self.opened(key, Find::Listing).await?;
            self.compact_later(&run);
        }
        Ok(())
    }
}
