//! Bytes of a log become lines, in bounded memory: of a line that is too long its beginning and its
//! end are kept.

/// Bytes of a line that are kept whole. More than a line may show, so that a progress bar that was
/// drawn a thousand times still shows how it ended.
pub const WHOLE: usize = 64 * 1024;
/// Bytes of the beginning, and of the end, that are kept of a longer line.
pub const ENDS: usize = 8 * 1024;

/// A line without its line feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawLine {
    /// Offset in the log of its first byte.
    pub at: u64,
    /// Its bytes in all.
    pub length: u64,
    /// All of it up to [`WHOLE`] bytes; of a longer line the first ones, at least [`ENDS`].
    pub head: Vec<u8>,
    /// Of a longer line the last bytes, at least [`ENDS`]; else empty.
    pub tail: Vec<u8>,
}

impl RawLine {
    /// Whether `head` is all of it.
    pub fn is_whole(&self) -> bool {
        self.length == self.head.len() as u64
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = (WHOLE - self.head.len().min(WHOLE)).min(bytes.len());
        let fits = self.is_whole() && room == bytes.len();
        self.length += bytes.len() as u64;
        if fits {
            self.head.extend_from_slice(bytes);
            return;
        }
        if self.tail.is_empty() {
            self.tail = self.head.split_off(self.head.len().min(ENDS));
        }
        let (first, rest) = bytes.split_at((ENDS - self.head.len()).min(bytes.len()));
        self.head.extend_from_slice(first);
        if rest.len() >= ENDS {
            self.tail.clear();
        }
        self.tail
            .extend_from_slice(&rest[rest.len().saturating_sub(ENDS)..]);
        if self.tail.len() > 4 * ENDS {
            self.tail.drain(..self.tail.len() - ENDS);
        }
    }
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub struct Splitter {
    open: RawLine,
}

impl Splitter {
    /// Begins at an offset where a line begins.
    pub fn at(offset: u64) -> Self {
        Self {
            open: RawLine {
                at: offset,
                ..RawLine::default()
            },
        }
    }

    /// Takes the bytes that follow; hands on each line that ended in them.
    pub fn push(&mut self, bytes: &[u8], mut line: impl FnMut(RawLine)) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        // The last piece has no line feed yet.
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.open.push(piece);
            let next = self.open.at + self.open.length + 1;
            line(std::mem::replace(&mut self.open, Self::at(next).open));
        }
        self.open.push(last);
    }

    /// Leaves out bytes of the line that is open. Only where it is too long to be shown anyway.
    pub fn skip(&mut self, bytes: u64) {
        self.open.length += bytes;
        self.open.tail.clear();
    }

    /// The line that has not ended; `None` where nothing of it is there.
    pub fn open(&self) -> Option<&RawLine> {
        (self.open.length > 0).then_some(&self.open)
    }

    /// Offset at which the line that is open begins.
    pub fn line_begins(&self) -> u64 {
        self.open.at
    }

    /// Offset of the next byte to be pushed.
    pub fn offset(&self) -> u64 {
        self.open.at + self.open.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<RawLine>, Splitter) {
        let (mut lines, mut splitter) = (Vec::new(), Splitter::at(100));
        for piece in pieces {
            splitter.push(piece, |line| lines.push(line));
        }
        (lines, splitter)
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        let log = b"one\n\ntwo\r\n\nthree";
        let (whole, rest) = lines(&[log]);
        let heads: Vec<&[u8]> = whole.iter().map(|line| &line.head[..]).collect();
        assert_eq!(heads, [&b"one"[..], b"", b"two\r", b""]);
        let offsets: Vec<u64> = whole.iter().map(|line| line.at).collect();
        assert_eq!(offsets, [100, 104, 105, 110]);
        assert_eq!(rest.open().unwrap().head, b"three");
        assert_eq!((rest.line_begins(), rest.offset()), (111, 116));
        let singles: Vec<&[u8]> = log.chunks(1).collect();
        assert_eq!(lines(&singles).0, whole);
    }

    #[test]
    fn a_line_of_fifty_megabytes_is_two_small_pieces() {
        let piece = vec![b'x'; 1 << 20];
        let mut splitter = Splitter::at(0);
        for _ in 0..50 {
            splitter.push(&piece, |_| panic!("no line has ended"));
            assert!(splitter.open.head.len() <= WHOLE && splitter.open.tail.len() <= WHOLE);
        }
        let mut last = None;
        splitter.push(b"the end\nnext", |line| last = Some(line));
        let line = last.unwrap();
        assert_eq!(line.length, (50 << 20) + 7);
        assert!(line.head.len() >= ENDS && line.tail.ends_with(b"xthe end"));
        assert!(!line.is_whole());
        assert_eq!(splitter.line_begins(), (50 << 20) + 8);
    }

    #[test]
    fn a_line_that_grows_byte_by_byte_keeps_both_ends() {
        let mut splitter = Splitter::at(0);
        let bytes: Vec<u8> = (0..200_000u32).map(|n| b'a' + (n % 26) as u8).collect();
        for byte in &bytes {
            splitter.push(&[*byte], |_| ());
        }
        let line = splitter.open().unwrap();
        assert_eq!(line.head, bytes[..ENDS]);
        assert!(line.tail.len() >= ENDS && bytes.ends_with(&line.tail));
    }

    #[test]
    fn what_is_skipped_still_counts() {
        let mut splitter = Splitter::at(0);
        splitter.push(&vec![b'x'; WHOLE + 1], |_| ());
        splitter.skip(1_000_000);
        let mut last = None;
        splitter.push(b"end\n", |line| last = Some(line));
        let line = last.unwrap();
        assert_eq!(line.length, (WHOLE + 1 + 1_000_000 + 3) as u64);
        assert_eq!(line.tail, b"end");
    }
}
