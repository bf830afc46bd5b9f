//! What those who watch a log are sent: bytes of the log and its marks become events. No I/O.
//!
//! | event | data |
//! |---|---|
//! | `lines` | lines, as HTML |
//! | `group`, `endgroup` | a group begins (its element), or ends |
//! | `step`, `changed` | a step that begins, or one that ended or has a summary, as its element without lines |
//! | `partial` | a line that has not ended; each one takes the place of the one before |
//! | `gap` | a link to lines that were left out |
//! | `end` | nothing more comes |
//!
//! The id of an event is the offset to go on from after it.

use std::{collections::VecDeque, fmt::Write as _, ops::Range};

use super::{
    line::{Frame, Piece, clock},
    marks::{Change, Marks},
    split::{RawLine, Splitter},
    steps,
    window::{self, Fold},
};

/// Bytes of HTML of one event, about.
const EVENT: usize = 32 * 1024;

/// Makes events of a log from some line on.
#[derive(Debug)]
pub struct Renderer {
    plain: String,
    splitter: Splitter,
    /// Number of the line that is open, from 0.
    line: u64,
    begin: u64,
    marks: Marks,
    pending: VecDeque<(u64, Change)>,
    clock: Option<String>,
    lines: String,
    out: String,
}

impl Renderer {
    /// Begins at an offset where the line of this number, from 0, begins.
    pub fn at(offset: u64, line: u64, plain: &str) -> Self {
        Self {
            plain: plain.to_owned(),
            splitter: Splitter::at(offset),
            line,
            begin: offset,
            marks: Marks::default(),
            pending: VecDeque::new(),
            clock: None,
            lines: String::new(),
            out: String::new(),
        }
    }

    /// Offset of the next byte of the log that it takes.
    pub fn offset(&self) -> u64 {
        self.splitter.offset()
    }

    /// Offset behind the last line that has ended: where another renderer can go on.
    pub fn done(&self) -> u64 {
        self.splitter.line_begins()
    }

    /// Number, from 0, of the line that begins there.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Takes the marks that follow, from the first one on. Those of a place come before its bytes.
    pub fn push_marks(&mut self, bytes: &[u8]) {
        let (begin, pending) = (self.begin, &mut self.pending);
        self.marks.push(bytes, |at, change| {
            if at >= begin {
                pending.push_back((at, change));
            }
        });
        if self.splitter.open().is_none() {
            self.changes(self.done());
        }
    }

    /// Takes bytes of the log.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut lines = Vec::new();
        self.splitter.push(bytes, |line| lines.push(line));
        lines.iter().for_each(|line| self.push_line(line));
        if self.splitter.open().is_none() {
            self.changes(self.done());
        }
    }

    /// Nothing more comes: a last line without line feed is a line, too.
    pub fn finish(&mut self) {
        if let Some(line) = self.splitter.open().cloned() {
            self.push_line(&line);
            self.splitter = Splitter::at(self.splitter.offset());
        }
        self.changes(u64::MAX);
    }

    /// Leaves out lines: goes on at another place.
    pub fn jump(&mut self, offset: u64, line: u64) {
        let left_out = self.line..line;
        self.changes(offset);
        self.event("gap", &steps::gap(left_out).into_string());
        self.splitter = Splitter::at(offset);
        self.line = line;
        self.clock = None;
    }

    /// The events so far.
    pub fn take(&mut self) -> String {
        self.flush(self.done());
        std::mem::take(&mut self.out)
    }

    /// The line that has not ended, as an event.
    pub fn partial(&self) -> Option<String> {
        let line = self.splitter.open()?;
        let frame = Frame { plain: &self.plain };
        match frame.piece(line, self.line + 1, None) {
            Piece::Line { html, .. } => {
                let mut out = String::new();
                push_event(&mut out, None, "partial", &html);
                Some(out)
            }
            _ => None,
        }
    }

    fn push_line(&mut self, line: &RawLine) {
        self.changes(line.at);
        let now = self.marks.time_at(line.at).map(clock);
        let changed = now.as_deref().filter(|_| now != self.clock);
        self.line += 1;
        let piece = Frame { plain: &self.plain }.piece(line, self.line, changed);
        let next = line.at + line.length + 1;
        match piece {
            Piece::Line { html, .. } => {
                self.lines.push_str(&html);
                if self.lines.len() > EVENT {
                    self.flush(next);
                }
            }
            Piece::Group { html, number } => {
                let mut group = String::new();
                window::push_group(&mut group, &html, number, Fold::Open);
                group.push_str("</details>");
                self.flush(line.at);
                push_event(&mut self.out, Some(next), "group", &group);
            }
            Piece::EndGroup => {
                self.flush(line.at);
                push_event(&mut self.out, Some(next), "endgroup", "");
            }
        }
        self.clock = now;
    }

    /// What changed up to an offset.
    fn changes(&mut self, upto: u64) {
        while let Some((at, change)) = self.pending.front().copied().filter(|(at, _)| *at <= upto) {
            self.pending.pop_front();
            self.flush(at.min(self.splitter.offset()));
            let (name, place) = match change {
                Change::Began(place) => ("step", place),
                Change::Changed(place) => ("changed", place),
            };
            if let Some(section) = self.marks.section(place) {
                push_event(
                    &mut self.out,
                    None,
                    name,
                    &steps::live_step(section).into_string(),
                );
            }
        }
    }

    fn event(&mut self, name: &str, data: &str) {
        self.flush(self.done());
        push_event(&mut self.out, None, name, data);
    }

    fn flush(&mut self, id: u64) {
        if !self.lines.is_empty() {
            let lines = std::mem::take(&mut self.lines);
            push_event(&mut self.out, Some(id), "lines", &lines);
        }
    }
}

/// Writes a server-sent event.
pub fn push_event(out: &mut String, id: Option<u64>, name: &str, data: &str) {
    // Writing to a String cannot fail.
    if let Some(id) = id {
        let _ = writeln!(out, "id: {id}");
    }
    let _ = writeln!(out, "event: {name}");
    for line in data.split(['\n', '\r']) {
        let _ = writeln!(out, "data: {line}");
    }
    out.push('\n');
}

/// Lines that are left out when a log grows faster than anybody reads: a reader at `done` goes on near
/// the end of it.
pub fn too_far(done: u64, size: u64) -> Option<Range<u64>> {
    /// Bytes that a reader may be behind.
    const BEHIND: u64 = 256 << 10;
    /// Bytes before the end at which it goes on.
    const AGAIN: u64 = 64 << 10;
    (size.saturating_sub(done) > BEHIND).then(|| done..size - AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: &[u8] = b"{\"at\":0,\"ms\":0,\"mark\":\"step\",\"n\":1,\"name\":\"Build\"}\n{\"at\":8,\"ms\":1000,\"mark\":\"end\",\"n\":1,\"result\":\"Passed\"}\n{\"at\":8,\"ms\":1000,\"mark\":\"step\",\"n\":2,\"name\":\"Test\"}\n";

    fn names(events: &str) -> Vec<(String, Option<u64>)> {
        let blocks = events.split_terminator("\n\n");
        let read = |block: &str| {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            let id = field("id: ").map(|id| id.parse().unwrap());
            (field("event: ").unwrap().to_owned(), id)
        };
        blocks.map(read).collect()
    }

    #[test]
    fn events_tell_steps_and_lines_in_their_order() {
        let mut renderer = Renderer::at(0, 0, "x.txt");
        renderer.push_marks(MARKS);
        renderer.push(b"one\ntwo\nthr");
        let events = renderer.take();
        let found = names(&events);
        let found: Vec<_> = found
            .iter()
            .map(|(name, id)| (name.as_str(), *id))
            .collect();
        assert_eq!(found, [("step", None), ("lines", Some(8))]);
        assert_eq!(
            (renderer.done(), renderer.offset(), renderer.line()),
            (8, 11, 2)
        );
        let partial = renderer.partial().unwrap();
        assert!(
            partial.starts_with("event: partial\ndata: <div class=\"line\" id=\"L3\">"),
            "{partial}"
        );
        renderer.push(b"ee\n");
        let found = names(&renderer.take());
        let found: Vec<_> = found
            .iter()
            .map(|(name, id)| (name.as_str(), *id))
            .collect();
        assert_eq!(
            found,
            [("changed", None), ("step", None), ("lines", Some(14))]
        );
    }

    #[test]
    fn a_step_that_prints_nothing_is_told_at_once() {
        let mut renderer = Renderer::at(8, 2, "x.txt");
        renderer.push_marks(MARKS);
        let found = names(&renderer.take());
        let found: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, ["changed", "step"]);
    }

    #[test]
    fn events_are_the_same_lines_that_a_page_shows_however_they_arrive() {
        let log = b"a\n::group::g\nb\n::endgroup::\n::error::two%0Alines\nlast";
        let mut whole = Renderer::at(0, 0, "x.txt");
        whole.push(log);
        whole.finish();
        let whole = whole.take();
        let names: Vec<String> = names(&whole).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["lines", "group", "lines", "endgroup", "lines"]);
        assert!(whole.contains("two\ndata: lines"), "{whole}");
        assert!(whole.contains("id=\"L6\""), "{whole}");
        let mut bytewise = Renderer::at(0, 0, "x.txt");
        log.iter().for_each(|byte| bytewise.push(&[*byte]));
        bytewise.finish();
        assert_eq!(bytewise.take(), whole);
    }

    #[test]
    fn no_log_can_write_an_event_of_its_own() {
        let mut renderer = Renderer::at(0, 0, "x.txt");
        renderer.push(b"data: x\r\revent: end\rid: 9\n::error::%0A%0Aevent: end%0A%0D\n");
        let events = renderer.take();
        let ours = |line: &str| {
            ["id: ", "event: ", "data: "]
                .iter()
                .any(|field| line.starts_with(field))
        };
        assert!(
            events.lines().all(|line| line.is_empty() || ours(line)),
            "{events}"
        );
        assert_eq!(names(&events).len(), 1);
        assert_eq!(events.matches("\nevent: ").count(), 1);
    }

    #[test]
    fn who_is_far_behind_goes_on_near_the_end() {
        assert_eq!(too_far(0, 256 << 10), None);
        assert_eq!(too_far(5, 100 << 20), Some(5..(100 << 20) - (64 << 10)));
        let mut renderer = Renderer::at(0, 0, "x.txt");
        renderer.push(b"one\n");
        renderer.jump(1000, 50);
        renderer.push(b"x\n");
        let events = renderer.take();
        assert!(
            events.contains("href=\"?from=2\"") && events.contains("49 lines"),
            "{events}"
        );
        assert!(events.contains("id=\"L51\""), "{events}");
    }
}
