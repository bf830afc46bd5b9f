//! A log as pages see it, whether it grows, has just ended, or ended long ago.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::log::Stream;

use super::archive::{Archive, behind_line_end};
use super::chain;
use super::live::OpenRun;
use super::stream::Shared;
use super::tail::line_ends;
use crate::store::StoreError;

/// Bytes that are read at once, at most.
pub const READ_LIMIT: u64 = 1 << 20;
/// How often a log that another gateway takes in is looked for in the store.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A look at a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Bytes that can be read.
    pub size: u64,
    /// Lines, the last one complete or not.
    pub lines: u64,
    /// Nothing more comes.
    pub ended: bool,
    /// Bytes that were printed and not sent, because the log was too long.
    pub left_out: u64,
    /// Nobody said that this is all: what followed is lost.
    pub unfinished: bool,
    /// The store does not work: the log may be behind what was printed.
    pub store_is_down: bool,
}

/// What a log that has become one file is, to be held against what somebody signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Bytes of it.
    pub size: u64,
    /// Digest of the text as it is stored and shown, in hexadecimal digits.
    pub sha256: String,
    /// Digest of what came, before tokens became illegible, where that is known.
    pub received_sha256: Option<String>,
}

/// A log that can be read. Cheap to clone.
#[derive(Clone)]
pub struct LogReader(Source);

#[derive(Clone)]
enum Source {
    Live(Arc<OpenRun>, Stream, Arc<Shared>),
    Archived(Arc<Archive>),
}

impl LogReader {
    /// Reads a log that grows.
    pub fn live(run: Arc<OpenRun>, stream: Stream, shared: Arc<Shared>) -> Self {
        Self(Source::Live(run, stream, shared))
    }

    /// Reads a log that has ended.
    pub fn archived(archive: Arc<Archive>) -> Self {
        Self(Source::Archived(archive))
    }

    /// A look at it, now.
    pub fn view(&self) -> View {
        let (run, stream) = match &self.0 {
            Source::Archived(archive) => return archive_view(archive),
            Source::Live(run, stream, _) => (run, *stream),
        };
        run.touch();
        let log = run.stream(stream);
        if let Some(archive) = log.archive() {
            return archive_view(archive);
        }
        let progress = *log.progress().borrow();
        let end = run.end().unwrap_or_default();
        View {
            size: progress.shown,
            lines: log.lines(),
            ended: progress.ended,
            left_out: end.left_out,
            unfinished: end.unfinished,
            store_is_down: run.store_is_down(),
        }
    }

    /// What it is, once it is one file.
    pub fn kept(&self) -> Option<Kept> {
        let archive = match &self.0 {
            Source::Archived(archive) => archive,
            Source::Live(run, stream, _) => run.stream(*stream).archive()?,
        };
        let index = &archive.index;
        Some(Kept {
            size: index.size,
            sha256: index.sha256.clone(),
            received_sha256: index.received_sha256.clone(),
        })
    }

    /// Text in this range: as much of it as there is, at most [`READ_LIMIT`] bytes.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let end = range
            .end
            .min(self.view().size)
            .min(range.start.saturating_add(READ_LIMIT));
        if range.start >= end {
            return Ok(Bytes::new());
        }
        let mut out = Vec::new();
        let mut at = range.start;
        while at < end {
            let (start, block) = self.block(at, end).await?;
            let from = usize::try_from(at - start).unwrap_or(usize::MAX);
            let to = usize::try_from(end - start)
                .unwrap_or(usize::MAX)
                .min(block.len());
            if from >= to {
                break;
            }
            if at == range.start && to as u64 + start == end {
                return Ok(block.slice(from..to));
            }
            out.extend_from_slice(&block[from..to]);
            at = start + to as u64;
        }
        Ok(out.into())
    }

    /// Text that has the byte at this offset, and where it begins.
    async fn block(&self, offset: u64, end: u64) -> Result<(u64, Bytes), StoreError> {
        let (run, stream, shared) = match &self.0 {
            Source::Archived(archive) => return archive.block(offset).await,
            Source::Live(run, stream, shared) => (run, *stream, shared),
        };
        let log = run.stream(stream);
        if let Some(text) = log.read(offset..end)
            && log.archive().is_none()
        {
            return Ok((offset, text.into()));
        }
        if log.archive().is_none()
            && let Some(place) = log.segment(offset)
        {
            let key = run.key.segment(stream, place.offset, place.line);
            if let Some(block) = shared.blocks.get(&key, 0) {
                return Ok((place.offset, block));
            }
            if let Some(text) = chain::read(&shared.store, &run.key, stream, place).await? {
                let block = Bytes::from(text);
                shared.blocks.add(&key, 0, block.clone());
                return Ok((place.offset, block));
            }
            if log.archive().is_none() {
                log.gone().await?;
            }
        }
        match log.archive() {
            Some(archive) => archive.block(offset).await,
            None => Ok((offset, Bytes::new())),
        }
    }

    /// Where this line begins, counted from 0; none where there is no such line.
    pub async fn offset_of_line(&self, line: u64) -> Result<Option<u64>, StoreError> {
        let view = self.view();
        let (run, stream) = match &self.0 {
            Source::Archived(archive) => return archive.offset_of_line(line).await,
            Source::Live(run, stream, _) => (run, *stream),
        };
        let log = run.stream(stream);
        if let Some(archive) = log.archive() {
            return archive.offset_of_line(line).await;
        }
        if line >= view.lines {
            return Ok(None);
        }
        let memory = log.memory();
        let start = match log.segment_before_line(line) {
            Some(place) if memory.line >= line || line == 0 => place,
            _ => memory,
        };
        let mut at = start;
        while at.offset < view.size && at.line < line {
            let text = self.read(at.offset..view.size).await?;
            if text.is_empty() {
                break;
            }
            let next = at.after(&text);
            if next.line >= line {
                return Ok(Some(at.offset + behind_line_end(&text, line - at.line)));
            }
            at = next;
        }
        Ok((at.line == line).then_some(at.offset))
    }

    /// The number of the line that this offset is in, counted from 0.
    pub async fn line_at(&self, offset: u64) -> Result<u64, StoreError> {
        let size = self.view().size;
        let (run, stream) = match &self.0 {
            Source::Archived(archive) => return Ok(archive.place(offset).await?.line),
            Source::Live(run, stream, _) => (run, *stream),
        };
        let log = run.stream(stream);
        if let Some(archive) = log.archive() {
            return Ok(archive.place(offset).await?.line);
        }
        let offset = offset.min(size);
        let memory = log.memory();
        let mut at = match log.segment(offset) {
            Some(place) if memory.offset > offset => place,
            _ => memory,
        };
        while at.offset < offset {
            let text = self.read(at.offset..offset).await?;
            if text.is_empty() {
                break;
            }
            at.line += line_ends(&text);
            at.offset += text.len() as u64;
        }
        Ok(at.line)
    }

    /// Waits until more than this many bytes can be read, or nothing more comes.
    pub async fn grown(&self, beyond: u64) {
        let Source::Live(run, stream, _) = &self.0 else {
            return;
        };
        let mut progress = run.stream(*stream).progress();
        loop {
            run.touch();
            let grown = progress.wait_for(|now| now.shown > beyond || now.ended);
            if tokio::time::timeout(LOOK_EVERY, grown).await.is_ok() {
                return;
            }
            // Another gateway may take it in. A store that fails is no reason to stop waiting.
            let _ = run.follow().await;
        }
    }
}

fn archive_view(archive: &Archive) -> View {
    View {
        size: archive.index.size,
        lines: archive.index.lines,
        ended: true,
        left_out: archive.index.left_out,
        unfinished: archive.index.unfinished,
        store_is_down: false,
    }
}
