//! Text ↔ zstd. Text is compressed in frames that each stand alone, so that a part of a log costs the
//! frames that it lies in, and frames that were stored once are copied and never compressed again.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, find_frame_compressed_size, get_error_name};

/// Bytes of text in a frame, at most.
pub const FRAME: usize = 256 << 10;
/// Fast: a log shrinks to a sixth all the same.
const LEVEL: i32 = 1;

thread_local! {
    // A context costs half a megabyte and much of the time of a small frame, so each thread has one.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Why bytes are no text of ours.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FrameError(String);

impl From<std::io::Error> for FrameError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Frames of this text, one after the other.
pub fn encode(text: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut out = Vec::with_capacity(text.len() / 4 + 64);
    for part in text.chunks(FRAME) {
        out.extend_from_slice(&frame(part)?);
    }
    Ok(out)
}

fn frame(text: &[u8]) -> Result<Vec<u8>, FrameError> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => {
                let mut new = Compressor::new(LEVEL)?;
                new.set_parameter(CParameter::ChecksumFlag(true))?;
                slot.insert(new)
            }
        };
        Ok(compressor.compress(text)?)
    })
}

/// The text of some frames into a buffer, which is not exceeded. How many bytes there are.
pub fn decode_into(frames: &[u8], buffer: &mut [u8]) -> Result<usize, FrameError> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new()?),
        };
        Ok(decompressor.decompress_to_buffer(frames, buffer)?)
    })
}

/// The text of some frames, of at most so many bytes.
pub fn decode(frames: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut text = vec![0; limit];
    let length = decode_into(frames, &mut text)?;
    text.truncate(length);
    text.shrink_to_fit();
    Ok(text)
}

/// The frames one by one.
pub fn split(mut frames: &[u8]) -> impl Iterator<Item = Result<&[u8], FrameError>> {
    std::iter::from_fn(move || {
        if frames.is_empty() {
            return None;
        }
        let length = find_frame_compressed_size(frames);
        let length = length.map_err(|code| FrameError(get_error_name(code).to_owned()));
        Some(
            length
                .map(|length| {
                    let (frame, rest) = frames.split_at(length.min(frames.len()));
                    frames = rest;
                    frame
                })
                .inspect_err(|_| frames = &[]),
        )
    })
}
