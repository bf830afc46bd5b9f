//! Segments of a log that has ended → one file of frames with an index.
//!
//! Every step can be the last of this process, and another gateway may do the same at the same time: what
//! is there is found again and done again. Segments are removed only when the file has been read back as
//! it was written, and a file is written only of as many bytes as the sender said.

use std::pin::pin;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use protocol::log::{LogEnd, Stream};

use super::archive::{Archive, Frame, Index};
use super::chain;
use super::frames::{self, FRAME, FrameError, SMALL};
use super::tail::{Place, line_ends};
use crate::names::RunKey;
use crate::store::{Store, StoreError, Upload};

/// Bytes that are uploaded at once; what is shorter is stored at once.
const PART: usize = 8 << 20;
/// Segments that are read, or removed, at once. A log that was printed for an hour has hundreds, and a bucket takes
/// its time for each: one after the other, logs would end faster than they become files.
const AT_ONCE: usize = 8;

/// Makes one file of all segments of a stream, and its index; none where they are gone, because another
/// gateway has done it.
pub async fn compact(
    store: &Store,
    run: &RunKey,
    stream: Stream,
    end: LogEnd,
    received_sha256: Option<String>,
) -> Result<Option<Index>, StoreError> {
    let size = match stream {
        Stream::Log => end.log,
        Stream::Marks => end.marks,
    };
    let key = run.archive(stream);
    let mut file = File::new(store, &key);
    let written = write(store, run, stream, &mut file).await;
    if written.is_err() || file.text.offset != size {
        file.abort().await;
        return written.map(|()| None);
    }
    let mut index = file.finish(end).await?;
    index.0.received_sha256 = received_sha256;
    verify(store, &key, &index).await?;
    let bytes = serde_json::to_vec(&index.0).map_err(|error| StoreError::Damaged {
        key: run.index(stream),
        cause: error.to_string(),
    })?;
    store.put(&run.index(stream), bytes.into()).await?;
    Ok(Some(index.0))
}

/// Whether a file has the text that its index says.
pub async fn is_whole(archive: &Archive) -> Result<bool, StoreError> {
    let mut digest = Context::new(&SHA256);
    let mut at = 0;
    while at < archive.index.size {
        let (start, text) = archive.block(at).await?;
        digest.update(&text);
        at = start + text.len() as u64;
    }
    Ok(hex::encode(digest.finish()) == archive.index.sha256)
}

/// Removes the segments of a stream that is one file.
pub async fn remove_segments(
    store: &Store,
    run: &RunKey,
    stream: Stream,
) -> Result<(), StoreError> {
    let places = chain::places(store, run, stream).await?;
    let removed = places.into_iter().map(|at| async move {
        let key = run.segment(stream, at.offset, at.line);
        store.delete(&key).await
    });
    let removed = futures::stream::iter(removed).buffer_unordered(AT_ONCE);
    removed.try_collect::<()>().await?;
    store.delete(&run.places(stream)).await
}

async fn write(
    store: &Store,
    run: &RunKey,
    stream: Stream,
    file: &mut File<'_>,
) -> Result<(), StoreError> {
    let places = chain::places(store, run, stream).await?;
    let read = places.into_iter().map(|at| async move {
        let key = run.segment(stream, at.offset, at.line);
        let segment = store.get(&key).await?;
        Ok::<_, StoreError>((at, key, segment))
    });
    let mut read = pin!(futures::stream::iter(read).buffered(AT_ONCE));
    while let Some((at, key, segment)) = read.try_next().await? {
        if let Some(segment) = segment.filter(|_| at == file.text) {
            write_segment(&key, &segment, file).await?;
        }
    }
    // What a listing did not find yet is found by its key.
    loop {
        let key = run.segment(stream, file.text.offset, file.text.line);
        let Some(segment) = store.get(&key).await? else {
            return Ok(());
        };
        write_segment(&key, &segment, file).await?;
    }
}

/// Adds the frames of the segment with this key.
async fn write_segment(key: &str, segment: &[u8], file: &mut File<'_>) -> Result<(), StoreError> {
    let damaged = |error: FrameError| StoreError::Damaged {
        key: key.to_owned(),
        cause: error.to_string(),
    };
    for frame in frames::split(segment) {
        let frame = frame.map_err(damaged)?;
        let text = frames::decode(frame, FRAME).map_err(damaged)?;
        file.add(frame, &text).map_err(damaged)?;
        file.upload_if_large().await?;
    }
    Ok(())
}

/// The file was written as it was meant.
async fn verify(store: &Store, key: &str, index: &(Index, Vec<u8>)) -> Result<(), StoreError> {
    let mut digest = Context::new(&SHA256);
    let mut at = 0;
    while at < index.0.stored {
        let end = index.0.stored.min(at + PART as u64);
        match store.range(key, at..end).await? {
            Some(bytes) if bytes.len() as u64 == end - at => digest.update(&bytes),
            _ => break,
        }
        at = end;
    }
    match digest.finish().as_ref() == index.1.as_slice() {
        true => Ok(()),
        false => Err(StoreError::Damaged {
            key: key.to_owned(),
            cause: "it is not what was written".to_owned(),
        }),
    }
}

/// The file that is being written.
struct File<'a> {
    store: &'a Store,
    key: &'a str,
    upload: Option<Upload>,
    buffer: Vec<u8>,
    flushed: u64,
    small: Vec<u8>,
    /// Behind all text that was read.
    text: Place,
    last: Option<u8>,
    frames: Vec<Frame>,
    of_text: Context,
    of_file: Context,
}

impl<'a> File<'a> {
    fn new(store: &'a Store, key: &'a str) -> Self {
        Self {
            store,
            key,
            upload: None,
            buffer: Vec::new(),
            flushed: 0,
            small: Vec::new(),
            text: Place::default(),
            last: None,
            frames: Vec::new(),
            of_text: Context::new(&SHA256),
            of_file: Context::new(&SHA256),
        }
    }

    /// Adds a frame with this text. Large ones are copied, small ones wait for others.
    fn add(&mut self, frame: &[u8], text: &[u8]) -> Result<(), FrameError> {
        let place = self.text;
        self.text = place.after(text);
        self.last = text.last().copied().or(self.last);
        self.of_text.update(text);
        if text.len() >= SMALL {
            self.flush_small(place)?;
            self.push(frame, place);
            return Ok(());
        }
        if self.small.len() + text.len() > FRAME {
            self.flush_small(place)?;
        }
        self.small.extend_from_slice(text);
        Ok(())
    }

    /// Writes the small ones, which end at this place.
    fn flush_small(&mut self, end: Place) -> Result<(), FrameError> {
        let text = std::mem::take(&mut self.small);
        if text.is_empty() {
            return Ok(());
        }
        let begin = Place {
            offset: end.offset - text.len() as u64,
            line: end.line - line_ends(&text),
        };
        let frame = frames::encode(&text)?;
        self.push(&frame, begin);
        Ok(())
    }

    fn push(&mut self, frame: &[u8], place: Place) {
        self.frames.push(Frame {
            offset: place.offset,
            position: self.flushed + self.buffer.len() as u64,
            line: place.line,
        });
        self.of_file.update(frame);
        self.buffer.extend_from_slice(frame);
    }

    async fn upload_if_large(&mut self) -> Result<(), StoreError> {
        if self.buffer.len() < PART {
            return Ok(());
        }
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => self.upload.insert(self.store.upload(self.key).await?),
        };
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        self.flushed += bytes.len() as u64;
        upload.part(bytes).await
    }

    /// Stores the rest. The index, and the digest of the file.
    async fn finish(mut self, said: LogEnd) -> Result<(Index, Vec<u8>), StoreError> {
        let end = self.text;
        self.flush_small(end).map_err(|error| StoreError::Damaged {
            key: self.key.to_owned(),
            cause: error.to_string(),
        })?;
        let stored = self.flushed + self.buffer.len() as u64;
        let bytes = Bytes::from(self.buffer);
        match self.upload {
            None => self.store.put(self.key, bytes).await?,
            Some(mut upload) => {
                if !bytes.is_empty() {
                    upload.part(bytes).await?;
                }
                upload.complete().await?;
            }
        }
        let begun = u64::from(self.last.is_some_and(|byte| byte != b'\n'));
        let index = Index {
            size: end.offset,
            lines: end.line + begun,
            sha256: hex::encode(self.of_text.finish()),
            received_sha256: None,
            left_out: said.left_out,
            unfinished: said.unfinished,
            stored,
            frames: self.frames,
        };
        Ok((index, self.of_file.finish().as_ref().to_vec()))
    }

    async fn abort(self) {
        if let Some(upload) = self.upload {
            upload.abort().await;
        }
    }
}
