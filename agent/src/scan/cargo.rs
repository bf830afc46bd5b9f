//! `cargo test`: `test name ... FAILED`, and the place of the panic.

use protocol::Level;

use super::{Reader, path_and_line};
use crate::{
    checkout_path::Place,
    findings::{Draft, Found},
};

/// Panics that are kept until it is known whose they are.
const PANICS: usize = 200;
/// Lines of a panic's message that an annotation takes.
const LINES: usize = 4;

/// Reads the output of Rust's test harness.
#[derive(Debug, Default)]
pub struct Cargo {
    found: Found,
    panics: Vec<Draft>,
    /// Lines that still belong to the last panic.
    lines: usize,
}

impl Reader for Cargo {
    fn line(&mut self, line: &str) {
        if self.lines > 0 {
            self.lines -= 1;
            if self.message(line) {
                return;
            }
        }
        if let Some(rest) = line.strip_prefix("test ") {
            if let Some((name, _)) = rest.split_once(" ... FAILED") {
                let name = name.strip_suffix(" - should panic").unwrap_or(name);
                self.found.fail(name);
            }
        } else if let Some(rest) = line.strip_prefix("thread '")
            && let Some(panic) = panic(rest)
            && self.panics.len() < PANICS
        {
            self.lines = if panic.message.is_empty() { LINES } else { 0 };
            self.panics.push(panic);
        }
    }

    /// The name of the thread is the test's. A panic that was expected is nobody's.
    fn end(mut self: Box<Self>) -> Found {
        for mut panic in self.panics {
            if self.found.names().contains(&panic.title) {
                if panic.message.is_empty() {
                    panic.message = "panicked".to_owned();
                }
                self.found.annotate(panic);
            }
        }
        self.found
    }
}

impl Cargo {
    /// Adds a line to the last panic; whether it was one of its lines.
    fn message(&mut self, line: &str) -> bool {
        let is_over = ["note: ", "stack backtrace:", "test ", "thread '", "---- "];
        let over = line.is_empty() || is_over.iter().any(|start| line.starts_with(start));
        match self.panics.last_mut() {
            Some(panic) if !over => {
                if !panic.message.is_empty() {
                    panic.message.push('\n');
                }
                panic.message.push_str(line);
                true
            }
            _ => {
                self.lines = 0;
                false
            }
        }
    }
}

/// `name' panicked at src/lib.rs:14:9:`, since Rust 1.73 with the message on the next line;
/// `name' (123) panicked at …` since 1.90; before them `name' panicked at 'message', src/lib.rs:14:9`.
fn panic(rest: &str) -> Option<Draft> {
    let (name, rest) = rest.split_once('\'')?;
    let (_, at) = rest.split_once("panicked at ")?;
    let (message, place) = match at.strip_prefix('\'').and_then(|at| at.rsplit_once("', ")) {
        Some((message, place)) => (message, place),
        None => ("", at),
    };
    let (path, line, _) = path_and_line(place)?;
    Some(Draft {
        place: Place::Seen(path.to_owned()),
        line,
        end_line: None,
        level: Level::Failure,
        title: name.to_owned(),
        message: message.to_owned(),
    })
}
