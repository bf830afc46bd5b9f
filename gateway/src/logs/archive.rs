//! A log that has ended: one file of frames, and an index of them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr_iter;
use protocol::log::Stream;
use serde::{Deserialize, Serialize};

use super::blocks::Blocks;
use super::frames::{self, FRAME};
use super::tail::{Place, line_ends};
use crate::names::RunKey;
use crate::store::{Store, StoreError};

/// What is known of a log that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Bytes of text.
    pub size: u64,
    /// Lines, the last one complete or not.
    pub lines: u64,
    /// Digest of the text, in hexadecimal digits.
    pub sha256: String,
    /// Digest of what came, before tokens became illegible; absent where it was not signed, or is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_sha256: Option<String>,
    /// Bytes that were printed and not sent.
    #[serde(default)]
    pub left_out: u64,
    /// Nobody said that this is all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// Bytes of the file.
    pub stored: u64,
    /// Its frames in order.
    pub frames: Vec<Frame>,
}

/// A frame of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Offset of its first byte in the text.
    pub offset: u64,
    /// Where it begins in the file.
    pub position: u64,
    /// Line ends before it.
    pub line: u64,
}

impl Index {
    /// Frame number n: the text that it holds, and where it is in the file.
    fn spans(&self, n: usize) -> Option<(Range<u64>, Range<u64>)> {
        let frame = self.frames.get(n)?;
        let next = self.frames.get(n + 1);
        let end = next.map_or((self.size, self.stored), |next| {
            (next.offset, next.position)
        });
        Some((frame.offset..end.0, frame.position..end.1))
    }

    /// The number of the frame with this offset.
    fn at(&self, offset: u64) -> usize {
        let after = self.frames.partition_point(|frame| frame.offset <= offset);
        after.saturating_sub(1)
    }
}

/// A log that has ended, opened.
pub struct Archive {
    /// What is known of it.
    pub index: Index,
    store: Store,
    blocks: Arc<Blocks>,
    key: String,
}

impl Archive {
    /// An archive with this index.
    pub fn new(
        index: Index,
        run: &RunKey,
        stream: Stream,
        store: Store,
        blocks: Arc<Blocks>,
    ) -> Self {
        Self {
            index,
            store,
            blocks,
            key: run.archive(stream),
        }
    }

    /// Opens a log that has ended; none where it has not, or is not there.
    pub async fn open(
        run: &RunKey,
        stream: Stream,
        store: &Store,
        blocks: &Arc<Blocks>,
    ) -> Result<Option<Self>, StoreError> {
        let key = run.index(stream);
        let Some(bytes) = store.get(&key).await? else {
            return Ok(None);
        };
        let index = serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged {
            key,
            cause: error.to_string(),
        })?;
        Ok(Some(Self::new(
            index,
            run,
            stream,
            store.clone(),
            blocks.clone(),
        )))
    }

    /// Text from this offset on: as much as its frame has.
    pub async fn block(&self, offset: u64) -> Result<(u64, Bytes), StoreError> {
        self.frame(self.index.at(offset)).await
    }

    async fn frame(&self, n: usize) -> Result<(u64, Bytes), StoreError> {
        let Some((text, file)) = self.index.spans(n) else {
            return Ok((self.index.size, Bytes::new()));
        };
        if let Some(block) = self.blocks.get(&self.key, file.start) {
            return Ok((text.start, block));
        }
        let damaged = |cause: String| StoreError::Damaged {
            key: self.key.clone(),
            cause,
        };
        let position = file.start;
        let bytes = self.store.range(&self.key, file).await?;
        let bytes = bytes.ok_or_else(|| damaged("it is gone".to_owned()))?;
        let block = frames::decode(&bytes, FRAME).map_err(|error| damaged(error.to_string()))?;
        if block.len() as u64 != text.end - text.start {
            return Err(damaged(
                "a frame has another length than the index says".to_owned(),
            ));
        }
        let block = Bytes::from(block);
        self.blocks.add(&self.key, position, block.clone());
        Ok((text.start, block))
    }

    /// The last place at or before this line's beginning where a frame begins.
    pub async fn offset_of_line(&self, line: u64) -> Result<Option<u64>, StoreError> {
        if line >= self.index.lines {
            return Ok(None);
        }
        // The line begins behind its predecessor's line end, in the last frame with fewer before it.
        let after = self.index.frames.partition_point(|frame| frame.line < line);
        let n = after.saturating_sub(1);
        let Some(frame) = self.index.frames.get(n).copied() else {
            return Ok(Some(0));
        };
        let (start, text) = self.frame(n).await?;
        Ok(Some(start + behind_line_end(&text, line - frame.line)))
    }

    /// Line ends before this offset.
    pub async fn place(&self, offset: u64) -> Result<Place, StoreError> {
        let offset = offset.min(self.index.size);
        let n = self.index.at(offset);
        let Some(frame) = self.index.frames.get(n).copied() else {
            return Ok(Place::default());
        };
        let (start, text) = self.frame(n).await?;
        let before = usize::try_from(offset - start)
            .unwrap_or(usize::MAX)
            .min(text.len());
        Ok(Place {
            offset,
            line: frame.line + line_ends(&text[..before]),
        })
    }
}

/// The place behind the n-th line end, counted from 1; 0 for none.
pub fn behind_line_end(text: &[u8], n: u64) -> u64 {
    let Some(before) = n.checked_sub(1) else {
        return 0;
    };
    let before = usize::try_from(before).unwrap_or(usize::MAX);
    let found = memchr_iter(b'\n', text).nth(before);
    found.map_or(text.len(), |at| at + 1) as u64
}
