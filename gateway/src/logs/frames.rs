//! Text ↔ zstd. Text is compressed in frames that each stand alone, so that a part of a log costs the
//! frames that it lies in, and frames that were stored once are copied and never compressed again.

use std::cell::RefCell;

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{
    CParameter, MAGICNUMBER, find_frame_compressed_size, get_error_name, get_frame_content_size,
};

/// Bytes of text in a frame, at most.
pub const FRAME: usize = protocol::log::FRAME;
/// Frames with less text than this are joined with others.
pub const SMALL: usize = FRAME / 4;
/// Fast: a log shrinks to a sixth all the same.
const LEVEL: i32 = 1;

thread_local! {
    // A context costs half a megabyte and much of the time of a small frame, so each thread has one.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A frame that its sender made as we would have, so that it can be stored as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Where its text begins: in what arrived, or in a log.
    pub at: u64,
    /// Bytes of text in it.
    pub text: u64,
    /// The frame.
    pub frame: Bytes,
}

/// Text that arrived, and what of it was packed so that it need not be packed again.
#[derive(Debug, Default)]
pub struct Arrived<'a> {
    /// The text. Tokens in it are made illegible in place.
    pub text: &'a mut [u8],
    /// Frames that have a part of it.
    pub packed: Vec<Packed>,
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
    encode_around(text, 0, &[])
}

/// Frames of this text, which begins at this offset: those that have a part of it as they are, and new ones
/// of what is between them.
pub fn encode_around(text: &[u8], begin: u64, packed: &[Packed]) -> Result<Vec<u8>, FrameError> {
    let mut out = Vec::with_capacity(text.len() / 4 + 64);
    let mut rest = text;
    let mut at = begin;
    for ready in packed {
        let (between, others) = split_at(rest, ready.at - at);
        push_frames(&mut out, between)?;
        out.extend_from_slice(&ready.frame);
        rest = split_at(others, ready.text).1;
        at = ready.at + ready.text;
    }
    push_frames(&mut out, rest)?;
    Ok(out)
}

fn split_at(text: &[u8], length: u64) -> (&[u8], &[u8]) {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    text.split_at(length.min(text.len()))
}

fn push_frames(out: &mut Vec<u8>, text: &[u8]) -> Result<(), FrameError> {
    for part in text.chunks(FRAME) {
        out.extend_from_slice(&frame(part)?);
    }
    Ok(())
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

/// Which of these frames can be stored as they are. Their text was seen: it has so many bytes in all.
pub fn ready(frames: &[u8], length: usize) -> Vec<Packed> {
    let mut at = 0;
    let mut ready = Vec::new();
    for frame in split(frames) {
        let Some(text) = frame.ok().and_then(|frame| Some((frame, text_of(frame)?))) else {
            return Vec::new();
        };
        let (frame, text) = text;
        if is_as_ours(frame, text) {
            let frame = Bytes::copy_from_slice(frame);
            ready.push(Packed { at, text, frame });
        }
        at += text;
    }
    match at == length as u64 {
        true => ready,
        false => Vec::new(),
    }
}

/// Bytes of text that a frame says it has; decoding held it to that (RFC 8878, §3.1.1.1).
fn text_of(frame: &[u8]) -> Option<u64> {
    frame
        .starts_with(&MAGICNUMBER.to_le_bytes())
        .then_some(())?;
    get_frame_content_size(frame).ok()?
}

/// Whether a frame has as much text as one of ours, is worth its room, would tell of a damage, and asks
/// whoever unpacks it for no more memory than its text: with a window of gigabytes `zstd -d` refuses.
fn is_as_ours(frame: &[u8], text: u64) -> bool {
    const HAS_CHECKSUM: u8 = 4;
    const IS_ITS_OWN_WINDOW: u8 = 32;
    const BOTH: u8 = HAS_CHECKSUM | IS_ITS_OWN_WINDOW;
    let descriptor = frame.get(4).copied().unwrap_or(0);
    (SMALL as u64..=FRAME as u64).contains(&text)
        && frame.len() as u64 <= text / 2
        && descriptor & BOTH == BOTH
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Vec<u8> {
        b"a line of a log\n"
            .iter()
            .copied()
            .cycle()
            .take(length)
            .collect()
    }

    #[test]
    fn what_was_packed_as_we_do_need_not_be_packed_again() {
        let frames = encode(&text(FRAME + SMALL + 5)).unwrap();
        let found = ready(&frames, FRAME + SMALL + 5);
        let places: Vec<_> = found
            .iter()
            .map(|packed| (packed.at, packed.text))
            .collect();
        assert_eq!(
            places,
            [(0, FRAME as u64), (FRAME as u64, SMALL as u64 + 5)]
        );
        for packed in found {
            let text = text(FRAME + SMALL + 5);
            let part = &text[packed.at as usize..(packed.at + packed.text) as usize];
            assert_eq!(decode(&packed.frame, FRAME).unwrap(), part);
        }
    }

    #[test]
    fn what_was_packed_otherwise_is_packed_again() {
        let length = FRAME;
        let whole = encode(&text(length)).unwrap();
        let plain = zstd::bulk::compress(&text(length), 1).unwrap();
        assert_eq!(ready(&plain, length), [], "a damage would not be seen");
        let small = encode(&text(SMALL - 1)).unwrap();
        assert_eq!(ready(&small, SMALL - 1), [], "small ones are joined");
        assert_eq!(ready(&whole, length - 1), [], "it is not what was unpacked");
        let mut wide = whole.clone();
        wide[4] &= !32;
        wide.insert(5, 0xa8);
        assert_eq!(decode(&wide, FRAME).unwrap(), text(length));
        assert_eq!(ready(&wide, length), [], "a window of 2 GiB");
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], whole.as_slice()].concat();
        assert_eq!(ready(&skipped, length), [], "not only text");
        assert_eq!(ready(&whole[..whole.len() - 1], length), [], "cut");
        assert_eq!(ready(b"", 0), []);
    }
    #[test]
    fn text_around_what_is_packed_is_packed_in_its_place() {
        let text = text(2 * FRAME);
        let packed = |at: usize, length: usize| Packed {
            at: 7 + at as u64,
            text: length as u64,
            frame: encode(&text[at..at + length]).unwrap().into(),
        };
        let between = [
            packed(3, SMALL),
            packed(3 + SMALL, SMALL),
            packed(FRAME, SMALL),
        ];
        for packed in [&between[..], &between[1..], &[]] {
            let frames = encode_around(&text, 7, packed).unwrap();
            assert!(decode(&frames, 2 * FRAME).unwrap() == text);
            let all: Vec<_> = split(&frames).map(Result::unwrap).collect();
            let as_they_came = packed.iter().filter(|one| all.contains(&&one.frame[..]));
            assert_eq!(as_they_came.count(), packed.len());
        }
    }
}
