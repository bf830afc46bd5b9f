//! One JUnit XML file, as pytest, Maven, Gradle, CTest, gotestsum and many others write it: test cases
//! that contain a `failure` or an `error`. No schema, no entities but XML's own, no document type.

use std::time::Instant;

use protocol::Level;
use quick_xml::{
    Reader,
    escape::unescape,
    events::{BytesStart, Event},
};

use crate::{
    checkout_path::Place,
    findings::{Draft, Found},
};

/// Elements one inside the other.
const DEPTH: usize = 100;
/// Bytes of an attribute that are looked at.
const ATTRIBUTE: usize = 4096;
/// Bytes of the text of a failure that are looked at.
const TEXT: usize = 16 << 10;
/// Events between two looks at the clock.
const EVENTS: usize = 4096;

/// Why a file is not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It is no XML from here on.
    #[error("it is not valid XML at byte {0}: {1}")]
    Malformed(u64, quick_xml::Error),
    /// It would take our time or our memory.
    #[error("{0}")]
    TooMuch(&'static str),
}

/// Reads a file, until `end` at most. What comes before an error is taken.
pub fn read(text: &str, end: Instant, found: &mut Found) -> Result<(), ParseError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut state = State::default();
    for count in 0usize.. {
        if count.is_multiple_of(EVENTS) && Instant::now() >= end {
            return Err(ParseError::TooMuch("it takes too long"));
        }
        let event = reader.read_event();
        let event = event.map_err(|why| ParseError::Malformed(reader.error_position(), why))?;
        match event {
            Event::Start(start) => {
                state.start(&start);
                state.depth += 1;
                if state.depth > DEPTH {
                    return Err(ParseError::TooMuch("its elements are nested too deeply"));
                }
            }
            Event::Empty(start) => {
                state.start(&start);
                state.end(start.local_name().into_inner(), found);
            }
            Event::End(tag) => {
                state.depth = state.depth.saturating_sub(1);
                state.end(tag.local_name().into_inner(), found);
            }
            Event::Text(part) => state.text(&part.into_inner()),
            Event::CData(part) => state.text(&part.into_inner()),
            Event::GeneralRef(name) => state.text(&resolved(&name.into_inner())),
            Event::Eof => {
                state.end("testcase", found);
                return Ok(());
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    Ok(())
}

/// `&amp;` and `&#65;`; what a document type would define is nothing.
fn resolved(name: &str) -> String {
    let whole = format!("&{name};");
    unescape(&whole)
        .map(|text| text.into_owned())
        .unwrap_or_default()
}

#[derive(Default)]
struct State {
    depth: usize,
    case: Option<Case>,
    /// Whether text belongs to the failure.
    in_failure: bool,
}

#[derive(Default)]
struct Case {
    class: String,
    name: String,
    file: String,
    line: Option<i64>,
    failed: bool,
    message: String,
    text: String,
}

impl State {
    fn start(&mut self, start: &BytesStart) {
        match start.local_name().into_inner() {
            "testcase" => {
                let mut case = Case::default();
                attributes(start, |name, value| match name {
                    "classname" => case.class = value,
                    "name" => case.name = value,
                    "file" => case.file = value,
                    "line" => case.line = value.trim().parse().ok(),
                    _ => {}
                });
                self.case = Some(case);
                self.in_failure = false;
            }
            // A test that failed first and passed then has other elements, such as `flakyFailure`.
            "failure" | "error" => {
                if let Some(case) = self.case.as_mut().filter(|case| !case.failed) {
                    case.failed = true;
                    self.in_failure = true;
                    attributes(start, |name, value| {
                        if name == "message" {
                            case.message = value;
                        }
                    });
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, part: &str) {
        if let Some(case) = self.case.as_mut().filter(|_| self.in_failure) {
            let room = TEXT.saturating_sub(case.text.len());
            case.text.push_str(start_of(part, room));
        }
    }

    fn end(&mut self, name: &str, found: &mut Found) {
        match name {
            "failure" | "error" => self.in_failure = false,
            "testcase" => {
                self.in_failure = false;
                if let Some(case) = self.case.take().filter(|case| case.failed) {
                    case.tell(found);
                }
            }
            _ => {}
        }
    }
}

impl Case {
    fn tell(self, found: &mut Found) {
        let name = match self.class.as_str() {
            "" => self.name.clone(),
            class if class == self.name => self.name.clone(),
            class => format!("{class}::{}", self.name),
        };
        found.fail(&name);
        let place = match (self.file.as_str(), self.line) {
            ("", _) | (_, None) => place_in(&self.text),
            (file, Some(line)) => Some((file.to_owned(), line)),
        };
        let Some((path, line)) = place else {
            return;
        };
        let message = match self.message.trim() {
            "" => self.text.trim(),
            message => message,
        };
        found.annotate(Draft {
            place: Place::Seen(path),
            line,
            end_line: None,
            level: Level::Failure,
            title: name,
            message: match message {
                "" => "failed".to_owned(),
                message => message.to_owned(),
            },
        });
    }
}

/// The last place that the text of a failure names: `tests/test_a.py:12: AssertionError`, as pytest
/// and compilers write it, or a line of a Python traceback.
fn place_in(text: &str) -> Option<(String, i64)> {
    text.lines().rev().take(200).find_map(|line| {
        if let Some(rest) = line.trim_start().strip_prefix("File \"") {
            let (path, rest) = rest.split_once("\", line ")?;
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            return Some((path.to_owned(), digits.parse().ok()?));
        }
        let (path, line, _) = crate::scan::path_and_line(line)?;
        (path.contains('.') && !path.contains(' ')).then(|| (path.to_owned(), line))
    })
}

/// Tells each attribute, the first ones of them.
fn attributes(start: &BytesStart, mut each: impl FnMut(&str, String)) {
    let mut attributes = start.attributes();
    // The check for names that stand twice takes the square of their number.
    let attributes = attributes.with_checks(false);
    for attribute in attributes.take(32).flatten() {
        let raw = start_of(&attribute.value, ATTRIBUTE);
        let value = unescape(raw).map_or_else(|_| raw.to_owned(), |value| value.into_owned());
        each(attribute.key.local_name().into_inner(), value);
    }
}

/// The first bytes of a text, at a character boundary.
fn start_of(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
