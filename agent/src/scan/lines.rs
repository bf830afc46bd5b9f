//! Bytes cut into lines: bounded, without colours, without what a progress bar overwrote.

use std::borrow::Cow;

/// Bytes of a line that are looked at. The rest of it passes by.
const LIMIT: usize = 8192;

const ESCAPE: u8 = 0x1b;

/// Lines out of pieces.
#[derive(Debug, Default)]
pub struct Lines {
    /// The beginning of a line that has not ended yet.
    held: Vec<u8>,
}

impl Lines {
    /// Takes a piece; tells each line that ends in it.
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(&str)) {
        let mut rest = bytes;
        if !self.held.is_empty()
            && let Some(at) = memchr::memchr(b'\n', rest)
        {
            self.hold(&rest[..at]);
            tell(&self.held, each);
            self.held.clear();
            rest = &rest[at + 1..];
        }
        let whole = memchr::memrchr(b'\n', rest).map_or(0, |at| at + 1);
        tell_all(&rest[..whole], each);
        self.hold(&rest[whole..]);
    }

    /// Tells the last line, if it did not end.
    pub fn end(&mut self, each: &mut impl FnMut(&str)) {
        if !self.held.is_empty() {
            tell(&self.held, each);
            self.held.clear();
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = LIMIT - self.held.len();
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Tells lines that are whole. Most output is plain: that is seen once for all of them.
fn tell_all(lines: &[u8], each: &mut impl FnMut(&str)) {
    let text = std::str::from_utf8(lines).ok();
    let next_special = |from: usize| {
        let at = memchr::memchr2(ESCAPE, b'\r', &lines[from..]);
        at.map_or(lines.len(), |at| from + at)
    };
    let (mut start, mut special) = (0, next_special(0));
    for end in memchr::memchr_iter(b'\n', lines) {
        if special < start {
            special = next_special(start);
        }
        match text {
            Some(text) if special > end && end - start <= LIMIT => each(&text[start..end]),
            _ => tell(&lines[start..end.min(start + LIMIT)], each),
        }
        start = end + 1;
    }
}

fn tell(line: &[u8], each: &mut impl FnMut(&str)) {
    let plain = match memchr::memchr2(ESCAPE, b'\r', line) {
        None => Cow::Borrowed(line),
        Some(_) => Cow::Owned(without_escapes(line)),
    };
    let line = plain.strip_suffix(b"\r").unwrap_or(&plain);
    // What follows a lone carriage return overwrites what was there.
    let start = memchr::memrchr(b'\r', line).map_or(0, |at| at + 1);
    each(&String::from_utf8_lossy(&line[start..]));
}

/// A line without the escape sequences of terminals (ECMA-48, section 5).
fn without_escapes(line: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memchr::memchr(ESCAPE, rest) {
        plain.extend_from_slice(&rest[..at]);
        rest = after_escape(&rest[at + 1..]);
    }
    plain.extend_from_slice(rest);
    plain
}

/// What follows an escape sequence, given what follows its `ESC`.
fn after_escape(bytes: &[u8]) -> &[u8] {
    let from = |at: Option<usize>| at.map_or(&bytes[bytes.len()..], |at| &bytes[at + 1..]);
    match bytes.first() {
        // A control sequence, such as a colour: parameters, then one final byte.
        Some(b'[') => {
            let is_final = |byte: &u8| matches!(byte, 0x40..=0x7e);
            from(bytes[1..].iter().position(is_final).map(|at| at + 1))
        }
        // A command string, such as a link: up to BEL or `ESC \`.
        Some(b']' | b'P' | b'X' | b'^' | b'_') => match memchr::memchr2(0x07, ESCAPE, bytes) {
            Some(at) if bytes[at] == ESCAPE => {
                let rest = &bytes[at + 1..];
                rest.strip_prefix(b"\\").unwrap_or(rest)
            }
            at => from(at),
        },
        // A character set: one more byte.
        Some(b'(' | b')' | b'*' | b'+' | b'#' | b'%') => from(Some(1).filter(|_| bytes.len() > 1)),
        Some(_) => &bytes[1..],
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.feed(piece, &mut |line| told.push(line.to_owned()));
        }
        lines.end(&mut |line| told.push(line.to_owned()));
        told
    }

    #[test]
    fn lines_are_the_same_however_the_output_is_cut() {
        let output = b"one\n\ntwo\x1b[1;31m red\x1b[0m\r\nthree";
        let expected = ["one", "", "two red", "three"];
        for size in 1..output.len() {
            let pieces: Vec<&[u8]> = output.chunks(size).collect();
            assert_eq!(lines(&pieces), expected, "{size}");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 65_536];
        for _ in 0..1000 {
            lines.feed(&piece, &mut |_| panic!("no line has ended"));
        }
        assert!(lines.held.capacity() <= 2 * LIMIT);
        let mut told = Vec::new();
        lines.feed(b"\nnext\n", &mut |line| told.push(line.to_owned()));
        assert_eq!((told[0].len(), told[1].as_str()), (LIMIT, "next"));
    }

    #[test]
    fn colours_links_and_progress_bars_are_taken_out() {
        for (output, line) in [
            (&b"\x1b[31mFAILED\x1b[0m a"[..], "FAILED a"),
            (b"\x1b]8;;http://x\x07link\x1b]8;;\x1b\\ b", "link b"),
            (b"\x1b(Bc\x1b=d\x1b", "cd"),
            (b"\x1b[", ""),
            (b"\x1b]never ends", ""),
            (b"10%\r20%\r30%\r", "30%"),
            (b"a\xffb", "a\u{fffd}b"),
        ] {
            assert_eq!(lines(&[output]), [line], "{output:?}");
        }
    }
}
