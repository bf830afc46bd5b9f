//! Where in the log of a container one is, so that a stream which was cut is taken up where it ended. Pure.
//!
//! The API server knows no offsets. It gives each line its time, and the log from a whole second on: what was
//! printed of the last two seconds is counted, and left out when it comes again.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Bytes of a time, at most; what is longer is none.
const STAMP: usize = 64;

/// What was printed of a container's log.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Finished lines by the second of their time, of the newest two seconds.
    lines: BTreeMap<i64, u64>,
    /// Bytes of the last line, while it is not finished.
    part: usize,
    /// Lines, then bytes, that come again in the stream that is read now.
    again: (u64, usize),
    /// What was read of a line's time.
    stamp: Vec<u8>,
    line: Line,
}

/// In which part of a line one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// Before the first line of a stream.
    #[default]
    First,
    /// In its time.
    Stamp,
    /// In its text; its time is in this second.
    Text(i64),
    /// In the end of a line whose time was left out: it began before what was asked for, and is known.
    Known,
}

impl Place {
    /// From when on the log has to be read again; nothing where all of it has.
    pub(super) fn since(&self) -> Option<Timestamp> {
        let newest = self.newest()?;
        Timestamp::from_second(newest - 1).ok()
    }

    /// A stream begins that reads from [`Place::since`] on.
    pub(super) fn begin(&mut self) {
        self.stamp.clear();
        self.line = Line::First;
        self.again = (self.lines.values().sum(), self.part);
    }

    /// What is new in these bytes of the stream, without the times.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut new = Vec::with_capacity(bytes.len());
        while !bytes.is_empty() {
            let stamp = matches!(self.line, Line::First | Line::Stamp);
            let ends = |byte: &u8| *byte == b'\n' || (stamp && *byte == b' ');
            let end = bytes.iter().position(ends);
            let (taken, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            bytes = rest;
            if !stamp {
                self.text(taken, &mut new);
                continue;
            }
            self.stamp.extend_from_slice(taken);
            if end.is_some() || self.stamp.len() > STAMP {
                self.stamped(&mut new);
            }
        }
        new
    }

    fn newest(&self) -> Option<i64> {
        self.lines.keys().next_back().copied()
    }

    /// The time of a line was read, or there is none.
    fn stamped(&mut self, new: &mut Vec<u8>) {
        let stamp = std::mem::take(&mut self.stamp);
        let Some(second) = second_of(&stamp) else {
            self.line = match self.line == Line::First && self.newest().is_some() {
                true => Line::Known,
                false => Line::Text(self.newest().unwrap_or_default()),
            };
            return self.text(&stamp, new);
        };
        // What was printed is not there any more: the log has been put away, and a new one begun.
        let newer = self.newest().is_some_and(|newest| second > newest);
        if newer && self.again != (0, 0) {
            self.again = (0, 0);
            if std::mem::take(&mut self.part) > 0 {
                new.push(b'\n');
            }
        }
        self.line = Line::Text(second);
        self.count(second, 0);
    }

    /// Some of a line, up to its end at most.
    fn text(&mut self, piece: &[u8], new: &mut Vec<u8>) {
        let ends = piece.last() == Some(&b'\n');
        match self.line {
            Line::Text(_) if self.again.0 > 0 => self.again.0 -= u64::from(ends),
            Line::Text(second) => {
                let known = self.again.1.min(piece.len());
                self.again.1 -= known;
                self.part += piece.len() - known;
                new.extend_from_slice(&piece[known..]);
                if ends {
                    (self.part, self.again.1) = (0, 0);
                    self.count(second, 1);
                }
            }
            Line::First | Line::Stamp | Line::Known => {}
        }
        if ends {
            self.line = Line::Stamp;
        }
    }

    fn count(&mut self, second: i64, lines: u64) {
        *self.lines.entry(second).or_default() += lines;
        if let Some(newest) = self.newest() {
            self.lines.retain(|second, _| *second >= newest - 1);
        }
    }
}

/// The second of a time with the space behind it.
fn second_of(stamp: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(stamp.strip_suffix(b" ")?).ok()?;
    let time: Timestamp = text.parse().ok()?;
    Some(time.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log as a kubelet keeps it: times and lines.
    const LOG: [(i64, &str); 7] = [
        (100, "one\n"),
        (100, "two\n"),
        (101, "\n"),
        (102, "three and more\n"),
        (102, "three and more\n"),
        (103, "four\n"),
        (109, "no end"),
    ];

    fn served(since: Option<Timestamp>) -> Vec<u8> {
        let since = since.map_or(0, |since| since.as_second());
        let lines = LOG.iter().filter(|(second, _)| *second >= since);
        let lines = lines.map(|(second, line)| {
            let time = Timestamp::new(*second, 5_000_000).unwrap();
            format!("{time:.9} {line}")
        });
        lines.collect::<String>().into_bytes()
    }

    fn whole() -> String {
        LOG.map(|(_, line)| line).concat()
    }

    #[test]
    fn times_are_taken_off_however_the_bytes_arrive() {
        for size in [1, 3, 7, 1000] {
            let mut place = Place::default();
            place.begin();
            let pieces = served(None);
            let text = pieces.chunks(size).flat_map(|piece| place.take(piece));
            assert_eq!(String::from_utf8(text.collect()).unwrap(), whole());
        }
    }

    #[test]
    fn a_stream_that_is_cut_anywhere_and_twice_goes_on_where_it_ended() {
        let all = served(None);
        for cut in 0..=all.len() {
            let mut place = Place::default();
            place.begin();
            let mut text = place.take(&all[..cut]);
            for share in [2, 1] {
                let rest = served(place.since());
                place.begin();
                text.extend(place.take(&rest[..rest.len() / share]));
            }
            let text = String::from_utf8(text).unwrap();
            assert_eq!(text, whole(), "cut at {cut}");
        }
    }

    #[test]
    fn the_end_of_a_long_line_that_was_printed_does_not_come_twice() {
        let mut place = Place::default();
        place.begin();
        let first =
            place.take(b"1970-01-01T00:01:40.5Z long long line\n1970-01-01T00:01:42.0Z x\n");
        assert_eq!(first, b"long long line\nx\n");
        place.begin();
        let second = place.take(b"long line\n1970-01-01T00:01:42.0Z x\n1970-01-01T00:01:43.0Z y\n");
        assert_eq!(second, b"y\n");
    }

    #[test]
    fn when_the_log_was_begun_anew_meanwhile_what_is_new_is_printed_on_lines_of_its_own() {
        let mut place = Place::default();
        place.begin();
        place.take(b"1970-01-01T00:01:40.5Z one\n1970-01-01T00:01:40.6Z tw");
        place.begin();
        let new = place.take(b"1970-01-01T00:02:40.5Z other\n");
        assert_eq!(new, b"\nother\n");
        assert_eq!(place.since(), Timestamp::from_second(159).ok());
    }

    #[test]
    fn a_line_without_a_time_is_printed_as_it_is() {
        let mut place = Place::default();
        place.begin();
        let long = "x".repeat(200);
        let text = place.take(format!("failed to open\n{long}\n").as_bytes());
        assert_eq!(text, format!("failed to open\n{long}\n").into_bytes());
    }
}
