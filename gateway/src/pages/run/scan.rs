//! Looks for words in the bytes of a log as they come, in bounded memory: of a line that is too long to be
//! kept, piece by piece, so that its middle is looked through, too.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memrchr};
use regex::bytes::Regex;

use super::split::{ENDS, WHOLE};

/// Bytes before and behind the words that are handed on with them, and that are kept of a line that goes on:
/// more than the words have, in whichever case.
const AROUND: usize = ENDS;

/// A line with the words in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Number of the line, from 0.
    pub line: u64,
    /// Offset at which it begins.
    pub at: u64,
    /// What stands around the first words in it, as far as it is written over nowhere.
    pub text: Vec<u8>,
    /// The line has more before that.
    pub is_cut_before: bool,
    /// And behind it.
    pub is_cut_behind: bool,
}

/// Looks for words from the beginning of a log on.
#[derive(Debug)]
pub struct Scan<'a> {
    pattern: &'a Regex,
    /// A line that has not ended, or the end of one that is too long.
    rest: Vec<u8>,
    /// Offset of that.
    at: u64,
    /// The line that it is of.
    line: u64,
    /// Offset at which that line begins.
    begins: u64,
    /// That line was handed on already.
    is_found: bool,
}

impl<'a> Scan<'a> {
    /// Looks for a pattern that matches no line feed.
    pub fn new(pattern: &'a Regex) -> Self {
        Self {
            pattern,
            rest: Vec::new(),
            at: 0,
            line: 0,
            begins: 0,
            is_found: false,
        }
    }

    /// Offset of the next byte to be pushed.
    pub fn offset(&self) -> u64 {
        self.at + self.rest.len() as u64
    }

    /// Takes the bytes that follow. At most so many lines of those that have the words.
    pub fn push(&mut self, bytes: &[u8], most: usize) -> Vec<Spot> {
        self.rest.extend_from_slice(bytes);
        self.look(false, most)
    }

    /// Nothing follows: a last line without line feed is a line, too.
    pub fn finish(&mut self, most: usize) -> Vec<Spot> {
        self.look(true, most)
    }

    fn look(&mut self, is_end: bool, most: usize) -> Vec<Spot> {
        let bytes = std::mem::take(&mut self.rest);
        let open = memrchr(b'\n', &bytes).map_or(0, |feed| feed + 1);
        let is_whole = !is_end && bytes.len() - open <= WHOLE;
        // A line that may be kept is looked through when it has ended.
        let end = if is_whole { open } else { bytes.len() };
        let spots = self.spots(&bytes, end, is_end, most);
        let keep = match (is_whole, self.is_found || is_end) {
            (true, _) => open,
            (false, true) => bytes.len(),
            (false, false) => open.max(bytes.len().saturating_sub(AROUND)),
        };
        self.rest = bytes[keep..].to_vec();
        self.at += keep as u64;
        spots
    }

    /// The lines with the words among the bytes up to `end`.
    fn spots(&mut self, bytes: &[u8], end: usize, is_end: bool, most: usize) -> Vec<Spot> {
        let (mut spots, mut from) = (Vec::new(), 0);
        while spots.len() < most {
            if self.is_found {
                let Some(feed) = memchr(b'\n', &bytes[from..end]) else {
                    break;
                };
                self.pass(bytes, from..from + feed + 1);
                from += feed + 1;
            }
            let Some(found) = self.pattern.find_at(&bytes[..end], from) else {
                self.pass(bytes, from..end);
                break;
            };
            let before = from..found.start();
            self.pass(bytes, before);
            spots.push(self.spot(bytes, found.range(), is_end));
            self.is_found = true;
            from = found.end();
        }
        spots
    }

    /// Goes on behind these bytes.
    fn pass(&mut self, bytes: &[u8], range: Range<usize>) {
        let passed = &bytes[range.clone()];
        if let Some(last) = memrchr(b'\n', passed) {
            self.line += memchr_iter(b'\n', passed).count() as u64;
            self.begins = self.at + (range.start + last + 1) as u64;
            self.is_found = false;
        }
    }

    fn spot(&self, bytes: &[u8], found: Range<usize>, is_end: bool) -> Spot {
        // Where the line begins among these bytes; it may have begun before them.
        let begin = usize::try_from(self.begins.saturating_sub(self.at)).unwrap_or(0);
        let first = begin.max(found.start.saturating_sub(AROUND));
        let written_over = memrchr(b'\r', &bytes[first..found.start]);
        let feed = memchr(b'\n', &bytes[found.end..]).map(|feed| found.end + feed);
        let last = feed.unwrap_or(bytes.len()).min(found.end + AROUND);
        let returns = memchr(b'\r', &bytes[found.end..last]);
        let text = written_over.map_or(first, |place| first + place + 1)
            ..returns.map_or(last, |place| found.end + place);
        Spot {
            line: self.line,
            at: self.begins,
            text: bytes[text].to_vec(),
            is_cut_before: written_over.is_none() && self.begins < self.at + first as u64,
            is_cut_behind: returns.is_none()
                && match feed {
                    Some(feed) => last < feed,
                    None => last < bytes.len() || !is_end,
                },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(pieces: &[&[u8]], words: &str) -> Vec<Spot> {
        let pattern = Regex::new(&format!("(?i){words}")).unwrap();
        let mut scan = Scan::new(&pattern);
        let mut spots = Vec::new();
        for piece in pieces {
            spots.extend(scan.push(piece, usize::MAX));
            assert!(scan.rest.len() <= WHOLE, "{}", scan.rest.len());
        }
        spots.extend(scan.finish(usize::MAX));
        spots
    }

    fn places(pieces: &[&[u8]], words: &str) -> Vec<(u64, u64)> {
        let spots = spots(pieces, words);
        spots.iter().map(|spot| (spot.line, spot.at)).collect()
    }

    #[test]
    fn lines_are_found_once_however_the_bytes_arrive() {
        let log = b"no\nneedle NEEDLE\n\nnone\nneedle\nno\nlast needle";
        let expected = [(1, 3), (4, 23), (6, 33)];
        assert_eq!(places(&[log], "needle"), expected);
        for size in 1..log.len() {
            let pieces: Vec<&[u8]> = log.chunks(size).collect();
            assert_eq!(places(&pieces, "needle"), expected, "{size}");
        }
        assert_eq!(places(&[b""], "needle"), []);
        assert_eq!(places(&[b"\n\n"], "needle"), []);
    }

    #[test]
    fn the_middle_of_a_line_that_is_too_long_is_looked_through_wherever_it_is_cut() {
        for before in [WHOLE - 3, WHOLE + 1, (1 << 20) - 3, (2 << 20) + 5] {
            let mut log = b"first\n".to_vec();
            log.resize(before, b'x');
            log.extend_from_slice(b"needle");
            log.resize(3 << 20, b'y');
            log.extend_from_slice(b"needle too\nneedle\nlast");
            for size in [1 << 20, 100_000, WHOLE] {
                let pieces: Vec<&[u8]> = log.chunks(size).collect();
                let found = spots(&pieces, "needle");
                let second = (3 << 20) + b"needle too\n".len() as u64;
                let found_at: Vec<_> = found.iter().map(|spot| (spot.line, spot.at)).collect();
                assert_eq!(found_at, [(1, 6), (2, second)], "{before} {size}");
                let long = &found[0];
                assert!(long.is_cut_before && long.is_cut_behind, "{before} {size}");
                assert!(long.text.starts_with(b"xxx") && long.text.len() < 3 * AROUND);
                assert!(!found[1].is_cut_before && !found[1].is_cut_behind);
            }
        }
    }

    #[test]
    fn what_was_written_over_is_shown_as_it_was_when_it_had_the_words() {
        let found = spots(&[b"10 %\rneedle 20 %\r30 %\r\nx\n"], "needle");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, b"needle 20 %");
        assert!(!found[0].is_cut_before && !found[0].is_cut_behind);
    }

    #[test]
    fn no_more_are_found_than_are_wanted() {
        let pattern = Regex::new("a").unwrap();
        let mut scan = Scan::new(&pattern);
        assert_eq!(scan.push(&b"a\n".repeat(100), 7).len(), 7);
        assert_eq!(scan.push(b"a\n", 0), []);
    }
}
