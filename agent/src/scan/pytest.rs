//! `pytest`: the short summary (`FAILED path::test - message`), and the places where tests broke off.

use protocol::Level;

use super::{Reader, path_and_line};
use crate::{
    checkout_path::Place,
    findings::{Draft, Found},
};

/// Lines of an assertion that an annotation takes.
const LINES: usize = 6;

/// Reads the output of `pytest`.
#[derive(Debug, Default)]
pub struct Pytest {
    found: Found,
    in_summary: bool,
    /// The test whose traceback is being read, between `____ name ____` and the next one.
    title: Option<String>,
    /// The innermost place outside of the installed packages.
    place: Option<(String, i64)>,
    /// The lines after `E   `.
    message: Vec<String>,
}

impl Reader for Pytest {
    fn line(&mut self, line: &str) {
        match line.as_bytes().first() {
            Some(b'=') => {
                if let Some(heading) = heading(line, '=') {
                    self.close();
                    self.in_summary = heading == "short test summary info";
                }
            }
            Some(b'_') => {
                if let Some(heading) = heading(line, '_') {
                    self.close();
                    self.title = Some(heading.to_owned());
                }
            }
            Some(b'F') => {
                if let Some(rest) = line.strip_prefix("FAILED ")
                    && rest.contains("::")
                {
                    self.found.fail(name(rest));
                }
            }
            // Other programs write lines like this into logs.
            Some(b'E') if self.in_summary && line.starts_with("ERROR ") => {
                self.found.fail(name(&line["ERROR ".len()..]));
            }
            Some(b'E') if self.title.is_some() => {
                if let Some(text) = line.strip_prefix("E   ")
                    && self.message.len() < LINES
                {
                    self.message
                        .push(text.strip_prefix("    ").unwrap_or(text).to_owned());
                }
            }
            Some(b' ' | b'>') | None => {}
            Some(_) if self.title.is_some() => {
                if let Some((path, number, _)) = path_and_line(line)
                    && !path.contains(' ')
                    && !path.starts_with('/')
                    && !path.starts_with("..")
                {
                    self.place = Some((path.to_owned(), number));
                }
            }
            Some(_) => {}
        }
    }

    fn end(mut self: Box<Self>) -> Found {
        self.close();
        self.found
    }
}

impl Pytest {
    /// Ends a traceback.
    fn close(&mut self) {
        let (title, place) = (self.title.take(), self.place.take());
        let message = std::mem::take(&mut self.message).join("\n");
        if let (Some(title), Some((path, line))) = (title, place)
            && !message.is_empty()
        {
            self.found.annotate(Draft {
                place: Place::Seen(path),
                line,
                end_line: None,
                level: Level::Failure,
                title,
                message,
            });
        }
    }
}

/// The text of a heading: `==== FAILURES ====`, `____ test_x ____`. Not `_ _ _`, between frames.
fn heading(line: &str, of: char) -> Option<&str> {
    let start = line.trim_start_matches(of);
    let text = start.trim_end_matches(of);
    let is_framed = line.len() - start.len() >= 3 || start.len() - text.len() >= 3;
    let text = text.strip_prefix(' ')?.strip_suffix(' ')?;
    (is_framed && !text.trim_matches([of, ' ']).is_empty()).then_some(text)
}

/// The test of a line of the summary: up to ` - `, which its parameters may contain too.
fn name(rest: &str) -> &str {
    let end = rest.find(" - ").unwrap_or(rest.len());
    match rest.find('[') {
        Some(open) if open < end => match rest[open..].find("] - ") {
            Some(close) => &rest[..open + close + 1],
            None if rest.ends_with(']') => rest,
            None => &rest[..end],
        },
        _ => &rest[..end],
    }
}
