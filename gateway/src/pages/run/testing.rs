//! For tests: a run that writes its log into a site that keeps everything in memory.

use std::sync::Arc;

use protocol::log::{LogEnd, Stream};

use crate::logs::{LogReader, frames::Arrived};
use crate::{app::App, names::RunKey, pages::samples};

/// The Repository of every run here.
pub const REPOSITORY: &str = "app";
/// Bytes of one `take`.
const PIECE: usize = 1 << 20;

/// A gateway's app with nothing in it.
pub fn app() -> Arc<App> {
    samples::site(&[]).app.clone()
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
        let writer = "0".repeat(32);
        let run = self.app.logs.writer(&self.key, &writer).await.unwrap();
        for piece in bytes.chunks(PIECE) {
            run.room(stream).await.unwrap();
            let offset = run.stream(stream).taken().received;
            let arrived = Arrived {
                text: &mut piece.to_vec(),
                packed: Vec::new(),
            };
            run.take(stream, offset, arrived, 1 << 30).unwrap();
        }
    }

    /// Writes to the log.
    pub async fn log(&self, text: &str) {
        self.push(Stream::Log, text.as_bytes()).await;
    }

    /// Writes marks.
    pub async fn marks(&self, text: &str) {
        self.push(Stream::Marks, text.as_bytes()).await;
    }

    /// Ends both streams.
    pub async fn end(&self) {
        self.end_as(false).await;
    }

    /// Ends both streams for somebody who was stopped.
    pub async fn end_unfinished(&self) {
        self.end_as(true).await;
    }

    async fn end_as(&self, unfinished: bool) {
        let writer = "0".repeat(32);
        let run = self.app.logs.writer(&self.key, &writer).await.unwrap();
        let received = |stream| run.stream(stream).taken().received;
        let end = LogEnd {
            log: received(Stream::Log),
            marks: received(Stream::Marks),
            left_out: 0,
            unfinished,
        };
        self.app.logs.end(&run, end).await.unwrap();
    }

    /// Reads a stream.
    pub async fn reader(&self, stream: Stream) -> LogReader {
        let (repository, run) = (self.key.repository(), self.key.run());
        let opened = self.app.logs.open(repository, run, stream).await.unwrap();
        opened.unwrap()
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
