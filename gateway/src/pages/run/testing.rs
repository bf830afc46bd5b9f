//! For tests: a log as the gateway keeps it, in memory.

use std::sync::Arc;

use object_store::memory::InMemory;
use protocol::log::{LogEnd, Stream};

use crate::{
    app::App,
    logs::{LogOptions, LogReader, Logs},
    metrics::Metrics,
    names::RunKey,
    records::Records,
    store::Store,
};

/// The Repository of every run here.
pub const REPOSITORY: &str = "cpython";
/// Bytes of one `take`.
const PIECE: usize = 1 << 20;

/// A gateway's app with nothing in it.
pub fn app() -> Arc<App> {
    let metrics = Arc::new(Metrics::default());
    let store = Store::around(Arc::new(InMemory::new()), metrics.clone());
    let options = LogOptions { log_limit: 1 << 30 };
    Arc::new(App {
        logs: Logs::new(store.clone(), options, metrics.clone()),
        records: Records::new(store),
        metrics,
        retention_days: 90,
    })
}

/// A run that writes its log.
pub struct Writer {
    app: Arc<App>,
    key: RunKey,
}

impl Writer {
    /// The writer of a run.
    pub fn new(app: Arc<App>, uid: &str) -> Self {
        let key = RunKey::new(REPOSITORY, uid).unwrap();
        Self { app, key }
    }

    /// Writes to a stream.
    pub async fn push(&self, stream: Stream, bytes: &[u8]) {
        let run = self
            .app
            .logs
            .writer(&self.key, &"0".repeat(32))
            .await
            .unwrap();
        for piece in bytes.chunks(PIECE) {
            run.room(stream).await.unwrap();
            let offset = run.stream(stream).taken().received;
            run.take(stream, offset, &mut piece.to_vec(), 1 << 30)
                .unwrap();
        }
    }

    /// Writes to the log.
    pub async fn log(&self, text: &str) {
        self.push(Stream::Log, text.as_bytes()).await;
    }

    /// Ends both streams.
    pub async fn end(&self) {
        let run = self
            .app
            .logs
            .writer(&self.key, &"0".repeat(32))
            .await
            .unwrap();
        let received = |stream| run.stream(stream).taken().received;
        let end = LogEnd {
            log: received(Stream::Log),
            marks: received(Stream::Marks),
            left_out: 0,
        };
        self.app.logs.end(&run, end).await.unwrap();
    }

    /// Reads a stream.
    pub async fn reader(&self, stream: Stream) -> LogReader {
        let (repository, run) = (self.key.repository(), self.key.run());
        self.app
            .logs
            .open(repository, run, stream)
            .await
            .unwrap()
            .unwrap()
    }
}

/// A log of these bytes.
pub async fn log(bytes: &[u8], is_ended: bool) -> LogReader {
    let writer = Writer::new(app(), "run");
    writer.push(Stream::Log, bytes).await;
    if is_ended {
        writer.end().await;
    }
    writer.reader(Stream::Log).await
}
