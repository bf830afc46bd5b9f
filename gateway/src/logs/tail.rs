//! What is in memory of a log that grows: the text that is not stored yet, and a little before it for those
//! who watch. No I/O.
//!
//! ```text
//!  start ──── durable ──────── settled ──── shown ──── received
//!    pieces, as they are stored  │  open: a token may be under way
//! ```
//! A segment ends at `settled`, or before it between two tokens. There none is under way, so whoever goes on
//! there from the store alone sees the same tokens.

use std::collections::VecDeque;
use std::ops::Range;

use memchr::memchr_iter;

use protocol::log::Stream;

use super::frames::{self, Arrived, FrameError, Packed, SMALL};
use crate::redact::{KEY_LIMIT, Reach, redact, redact_lines};

/// Bytes of one allocation.
const PIECE: usize = 16 << 10;
/// Bytes before `durable` that stay in memory.
const KEPT: u64 = 16 << 10;
/// Bytes of text that make a segment due.
pub const SEGMENT: u64 = 256 << 10;
/// Bytes of text of a segment: more than [`SEGMENT`] where text came faster than it was stored.
pub const SEGMENT_LIMIT: usize = 1 << 20;
/// Bytes before the end of a full segment that are looked through for a token which goes on behind it: more
/// than the longest has with what it begins with.
const LOOK_BACK: u64 = 2 * KEY_LIMIT as u64;

/// Text that becomes a segment.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where it begins in the log.
    pub offset: u64,
    /// Line ends before it.
    pub line: u64,
    /// The text.
    pub text: Vec<u8>,
    /// Frames with parts of it that arrived so, and of which nothing was made illegible.
    pub packed: Vec<Packed>,
}

impl Cut {
    /// It as frames.
    pub fn frames(&self) -> Result<Vec<u8>, FrameError> {
        frames::encode_around(&self.text, self.offset, &self.packed)
    }
}

/// A position in a log, with the line ends before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The offset.
    pub offset: u64,
    /// Line ends before it.
    pub line: u64,
}

impl Place {
    /// The place behind this text.
    pub fn after(self, text: &[u8]) -> Self {
        Self {
            offset: self.offset + text.len() as u64,
            line: self.line + line_ends(text),
        }
    }
}

/// How many line ends there are.
pub fn line_ends(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

/// The end of a log that grows.
#[derive(Debug)]
pub struct Tail {
    start: Place,
    durable: Place,
    settled: Place,
    pieces: VecDeque<Vec<u8>>,
    packed: VecDeque<Packed>,
    open: Vec<u8>,
    shown: usize,
    last: Option<u8>,
    stream: Stream,
}

impl Tail {
    /// The end of a log of which this much is stored; its last byte says whether a line is complete.
    pub fn new(stream: Stream, durable: Place, last: Option<u8>) -> Self {
        Self {
            start: durable,
            durable,
            settled: durable,
            pieces: VecDeque::new(),
            packed: VecDeque::new(),
            open: Vec::new(),
            shown: 0,
            last,
            stream,
        }
    }

    /// The offset up to which bytes were received.
    pub fn received(&self) -> u64 {
        self.settled.offset + self.open.len() as u64
    }

    /// The offset up to which text may be shown.
    pub fn shown(&self) -> u64 {
        self.settled.offset + self.shown as u64
    }

    /// How much is stored.
    pub fn durable(&self) -> Place {
        self.durable
    }

    /// The first place that is in memory.
    pub fn start(&self) -> Place {
        self.start
    }

    /// Bytes that would be lost now.
    pub fn unstored(&self) -> u64 {
        self.received() - self.durable.offset
    }

    /// Bytes that can be stored now.
    pub fn storable(&self) -> u64 {
        self.settled.offset - self.durable.offset
    }

    /// Lines that may be shown, the last one complete or not.
    pub fn lines(&self) -> u64 {
        let open = &self.open[..self.shown];
        let begun = match open.last().copied().or(self.last) {
            None | Some(b'\n') => 0,
            Some(_) => 1,
        };
        self.settled.line + line_ends(open) + begun
    }

    /// Takes bytes at this offset; those that are there already are skipped. False where bytes before
    /// it are missing. Tokens among them are made illegible in place.
    pub fn append(&mut self, offset: u64, arrived: Arrived<'_>) -> bool {
        let received = self.received();
        let Some(skip) = received.checked_sub(offset) else {
            return false;
        };
        let Arrived { text, packed } = arrived;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(text.len());
        let new = &mut text[skip..];
        if new.is_empty() {
            return true;
        }
        let moved = packed.into_iter().map(|mut packed| {
            packed.at += offset;
            packed
        });
        self.packed
            .extend(moved.filter(|packed| packed.at >= received));
        match self.open.is_empty() {
            true => {
                let reach = self.redact(new, false);
                self.unpack(reach);
                self.settle(&new[..reach.settled]);
                self.open = new[reach.settled..].to_vec();
                self.shown = reach.shown - reach.settled;
            }
            false => {
                self.open.extend_from_slice(new);
                self.advance(false);
            }
        }
        true
    }

    /// Nothing more comes: what could have become a token is none, or is one that was cut.
    pub fn finish(&mut self) {
        self.advance(true);
    }

    fn advance(&mut self, ended: bool) {
        let mut text = std::mem::take(&mut self.open);
        let reach = self.redact(&mut text, ended);
        self.unpack(reach);
        self.settle(&text[..reach.settled]);
        self.open = text[reach.settled..].to_vec();
        self.shown = reach.shown - reach.settled;
    }

    /// Forgets frames that show what is illegible now. What was looked at begins behind what is settled.
    fn unpack(&mut self, reach: Reach) {
        let (first, last) = reach.masked;
        if first == last {
            return;
        }
        let begin = self.settled.offset + first as u64;
        let end = self.settled.offset + last as u64;
        self.packed
            .retain(|packed| packed.at + packed.text <= begin || packed.at >= end);
    }

    fn redact(&self, text: &mut [u8], ended: bool) -> Reach {
        match self.stream {
            Stream::Log => redact(text, ended),
            Stream::Marks => redact_lines(text, ended),
        }
    }

    fn settle(&mut self, mut text: &[u8]) {
        self.settled = self.settled.after(text);
        self.last = text.last().copied().or(self.last);
        while !text.is_empty() {
            let room = self.pieces.back().map_or(0, |piece| PIECE - piece.len());
            if room == 0 {
                let size = text.len().min(PIECE);
                self.pieces.push_back(Vec::with_capacity(size));
                self.fill(&mut text, size);
            } else {
                self.fill(&mut text, room);
            }
        }
    }

    fn fill(&mut self, text: &mut &[u8], room: usize) {
        let (now, later) = text.split_at(room.min(text.len()));
        if let Some(piece) = self.pieces.back_mut() {
            piece.extend_from_slice(now);
        }
        *text = later;
    }

    /// The next text to be stored, as much as fits into a segment; none where all of it is.
    pub fn cut(&self) -> Option<Cut> {
        let begin = self.durable.offset;
        let end = self.end_of_segment(begin, self.most_of_segment(begin));
        let is_within = |packed: &&Packed| packed.at >= begin && packed.at + packed.text <= end;
        (end > begin).then(|| Cut {
            offset: begin,
            line: self.durable.line,
            text: self.read(begin..end),
            packed: self.packed.iter().filter(is_within).cloned().collect(),
        })
    }

    /// Where a segment that begins there may end at most. Where there is more text than fits, that is no place
    /// within a token: what is in memory of it is illegible, but the sender has it as it is, and whoever goes on
    /// there would take the rest of it for text.
    fn most_of_segment(&self, begin: u64) -> u64 {
        let full = begin + SEGMENT_LIMIT as u64;
        if self.settled.offset <= full {
            return self.settled.offset;
        }
        let from = full - LOOK_BACK;
        // What is illegible still looks like the token that it was.
        let mut text = self.read(from..full);
        match self.redact(&mut text, false).settled as u64 {
            0 => full,
            settled => from + settled,
        }
    }

    /// Where the next segment ends, at most there. A frame that reaches beyond that is left for the next
    /// one, which may store it as it is, but only behind text that is worth a segment: a sender cannot
    /// make the store keep many small ones.
    fn end_of_segment(&self, begin: u64, most: u64) -> u64 {
        let reaches_beyond = |packed: &&Packed| packed.at < most && packed.at + packed.text > most;
        match self.packed.iter().find(reaches_beyond) {
            Some(packed) if packed.at >= begin + SMALL as u64 => packed.at,
            _ => most,
        }
    }

    /// A segment with this text, right behind what was stored before, is in the store, whoever stored
    /// it. True where it has bytes that were not received here: they are, now.
    pub fn stored(&mut self, text: &[u8]) -> bool {
        let durable = self.durable.after(text);
        let new = durable.offset > self.received();
        if durable.offset > self.settled.offset {
            // Another gateway knew more, and no token is under way where its segment ends.
            let known = usize::try_from(durable.offset - self.settled.offset).unwrap_or(usize::MAX);
            let mut rest = match known < self.open.len() {
                true => self.open.split_off(known),
                false => Vec::new(),
            };
            *self = Self::new(self.stream, durable, text.last().copied().or(self.last));
            let arrived = Arrived {
                text: &mut rest,
                packed: Vec::new(),
            };
            self.append(durable.offset, arrived);
        } else {
            self.durable = durable;
            self.packed.retain(|packed| packed.at >= durable.offset);
            self.trim();
        }
        new
    }

    /// Forgets all text that is stored.
    pub fn forget(&mut self) {
        while let Some(piece) = self.pieces.front() {
            let next = self.start.after(piece);
            if next.offset > self.durable.offset {
                break;
            }
            self.start = next;
            self.pieces.pop_front();
        }
    }

    fn trim(&mut self) {
        while let Some(piece) = self.pieces.front() {
            let next = self.start.after(piece);
            if next.offset + KEPT > self.durable.offset {
                break;
            }
            self.start = next;
            self.pieces.pop_front();
        }
    }

    /// The text that is in memory and in this range.
    pub fn read(&self, range: Range<u64>) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
        let mut at = self.start.offset;
        let open = &self.open[..self.shown];
        for piece in self.pieces.iter().map(Vec::as_slice).chain([open]) {
            let end = at + piece.len() as u64;
            let (from, to) = (range.start.max(at), range.end.min(end));
            if from < to {
                out.extend_from_slice(&piece[(from - at) as usize..(to - at) as usize]);
            }
            at = end;
        }
        out
    }
}

#[cfg(test)]
mod tests;
