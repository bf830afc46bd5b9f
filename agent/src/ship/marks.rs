//! Marks of a spool, read as an attacker's: line by line, bounded, and only what is a mark goes on.

use std::{fs::File, mem};

use protocol::log::{MARK_LINE_LIMIT, MARKS_LIMIT, Mark, MarkKind, SUMMARY_LIMIT};

use crate::os;

/// The last millisecond of the year 9999.
const LATEST: i64 = 253_402_300_799_999;

/// The marks of a run, as they are sent: offsets are the log's, and none goes back.
#[derive(Debug, Default)]
pub struct MarkStream {
    bytes: Vec<u8>,
    last: u64,
}

impl MarkStream {
    /// What there is so far; at most [`MARKS_LIMIT`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the marks that a spool has gained. Its log begins at `base`, and only its first `head`
    /// bytes are in the log at their own place.
    pub fn take(&mut self, from: &mut Lines, file: &File, base: u64, head: u64) {
        from.read(file, |line| {
            if let Some(mark) = parse(line) {
                self.add(mark, base, head);
            }
        });
    }

    fn add(&mut self, mut mark: Mark, base: u64, head: u64) {
        mark.at = base.saturating_add(mark.at.min(head)).max(self.last);
        let Ok(mut line) = serde_json::to_vec(&mark) else {
            return;
        };
        line.push(b'\n');
        let fits = (self.bytes.len() + line.len()) as u64 <= MARKS_LIMIT;
        if fits && line.len() <= MARK_LINE_LIMIT {
            self.last = mark.at;
            self.bytes.append(&mut line);
        }
    }
}

/// A mark, if the line is one.
fn parse(line: &[u8]) -> Option<Mark> {
    let mark: Mark = serde_json::from_slice(line).ok()?;
    let is_short = match &mark.what {
        MarkKind::Summary { text, .. } => text.len() <= SUMMARY_LIMIT,
        _ => true,
    };
    (is_short && (0..=LATEST).contains(&mark.ms)).then_some(mark)
}

/// The whole lines of a file that grows. Of each file [`MARKS_LIMIT`] bytes are looked at, as many as
/// an executor writes.
#[derive(Debug, Default)]
pub struct Lines {
    position: u64,
    line: Vec<u8>,
}

impl Lines {
    fn read(&mut self, file: &File, mut each: impl FnMut(&[u8])) {
        let mut buffer = [0; 16 << 10];
        while self.position < MARKS_LIMIT {
            // What cannot be read has no marks.
            let count = os::read_at(file, &mut buffer, self.position).unwrap_or(0);
            if count == 0 {
                return;
            }
            self.position += count as u64;
            for byte in &buffer[..count] {
                match byte {
                    b'\n' => {
                        let line = mem::take(&mut self.line);
                        if line.len() < MARK_LINE_LIMIT {
                            each(&line);
                        }
                    }
                    // One byte more than allowed shows that the line is too long.
                    byte if self.line.len() < MARK_LINE_LIMIT => self.line.push(*byte),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    /// What is sent of marks that lie in a file, with a base of 1000 and a head of 500.
    fn sent(content: &[u8]) -> String {
        let scratch = Scratch::new();
        std::fs::write(scratch.path("marks"), content).unwrap();
        let file = File::open(scratch.path("marks")).unwrap();
        let mut marks = MarkStream::default();
        marks.take(&mut Lines::default(), &file, 1000, 500);
        String::from_utf8(marks.bytes).unwrap()
    }

    #[test]
    fn marks_move_to_the_place_that_their_bytes_have_in_the_whole_log() {
        assert_eq!(
            sent(
                b"{\"at\":0,\"ms\":5,\"mark\":\"step\",\"n\":1,\"name\":\"a\"}\n{\"at\":499,\"ms\":6,\"mark\":\"time\"}\n{\"at\":9000,\"ms\":7,\"mark\":\"time\"}\n"
            ),
            "{\"at\":1000,\"ms\":5,\"mark\":\"step\",\"n\":1,\"name\":\"a\"}\n{\"at\":1499,\"ms\":6,\"mark\":\"time\"}\n{\"at\":1500,\"ms\":7,\"mark\":\"time\"}\n"
        );
    }

    #[test]
    fn what_is_no_mark_is_dropped_and_the_rest_goes_on() {
        let good = "{\"at\":1,\"ms\":5,\"mark\":\"time\"}\n";
        let long = format!(
            "{{\"at\":1,\"ms\":5,\"mark\":\"summary\",\"n\":1,\"text\":\"{}\"}}",
            "x".repeat(SUMMARY_LIMIT + 1)
        );
        for bad in [
            "",
            "junk",
            "{}",
            "[[[[[[[[",
            "{\"at\":-1,\"ms\":5,\"mark\":\"time\"}",
            "{\"at\":1,\"ms\":-5,\"mark\":\"time\"}",
            "{\"at\":1,\"ms\":9223372036854775807,\"mark\":\"time\"}",
            "{\"at\":1e99,\"ms\":5,\"mark\":\"time\"}",
            "{\"at\":1,\"ms\":5,\"mark\":\"new\"}",
            "{\"at\":1,\"ms\":5,\"mark\":\"step\",\"n\":-1,\"name\":\"\"}",
            "\u{0}\u{0}",
            &long,
            &"x".repeat(200 << 10),
            &"[".repeat(100 << 10),
        ] {
            let expected = "{\"at\":1001,\"ms\":5,\"mark\":\"time\"}\n".repeat(2);
            assert_eq!(sent(format!("{good}{bad}\n{good}").as_bytes()), expected);
        }
        assert_eq!(sent(b"\xff\xfe\n"), "");
    }

    #[test]
    fn offsets_never_go_back_and_never_overflow() {
        let at = |at: u64| format!("{{\"at\":{at},\"ms\":5,\"mark\":\"time\"}}\n");
        assert_eq!(
            sent((at(7) + &at(3) + &at(u64::MAX)).as_bytes()),
            at(1007) + &at(1007) + &at(1500)
        );
    }

    #[test]
    fn a_flood_of_marks_is_looked_at_up_to_the_limit() {
        let line = "{\"at\":1,\"ms\":5,\"mark\":\"time\"}\n";
        let flood = line.repeat(100_000_000 / line.len());
        let sent = sent(flood.as_bytes());
        assert!(sent.len() as u64 <= MARKS_LIMIT);
        assert!(sent.ends_with('\n'));
        let names = "\\u0000".repeat(13_000);
        let line =
            format!("{{\"at\":1,\"ms\":5,\"mark\":\"step\",\"n\":1,\"name\":\"{names}\"}}\n");
        assert!(self::sent(line.repeat(50).as_bytes()).len() as u64 <= MARKS_LIMIT);
    }

    #[test]
    fn a_line_that_is_not_whole_yet_waits() {
        let scratch = Scratch::new();
        let path = scratch.path("marks");
        let (mut marks, mut lines) = (MarkStream::default(), Lines::default());
        let line = "{\"at\":1,\"ms\":5,\"mark\":\"time\"}\n";
        for end in 1..=line.len() {
            std::fs::write(&path, &line[..end]).unwrap();
            marks.take(&mut lines, &File::open(&path).unwrap(), 0, 10);
            assert_eq!(marks.bytes.is_empty(), end < line.len());
        }
    }
}
