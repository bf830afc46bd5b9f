//! The output of a step, looked through while it passes to the log. In constant memory and linear
//! time, whatever a build prints: a line is looked at up to a limit, every reader keeps a bounded
//! number of names, and none of them looks back.

mod cargo;
mod command;
mod ctest;
mod go;
mod lines;
mod pytest;
mod regrtest;
mod unittest;

use protocol::Pattern;

use crate::{
    findings::{Found, Origin},
    log::{Log, Sink},
    os::Room,
};

use lines::Lines;

/// Reads the output of one kind of program, line by line.
trait Reader {
    /// A line, without colours and without its end.
    fn line(&mut self, line: &str);
    /// What was found, after the last line.
    fn end(self: Box<Self>) -> Found;
}

/// Reads the output of one step.
pub struct Scanner {
    lines: Lines,
    readers: Vec<(Origin, Box<dyn Reader>)>,
}

impl Scanner {
    /// Reads workflow commands, and what the programs named print.
    pub fn new(patterns: &[Pattern]) -> Self {
        let mut readers: Vec<(Origin, Box<dyn Reader>)> =
            vec![(Origin::Command, Box::new(command::Commands::default()))];
        // CPython's test program prints what `unittest` prints, and knows better what it means.
        let is_regrtest = patterns.contains(&Pattern::Regrtest);
        for pattern in patterns {
            let reader: Box<dyn Reader> = match pattern {
                Pattern::Unittest if is_regrtest => continue,
                Pattern::Unittest => Box::new(unittest::Unittest::default()),
                Pattern::Regrtest => Box::new(regrtest::Regrtest::default()),
                Pattern::Pytest => Box::new(pytest::Pytest::default()),
                Pattern::Cargo => Box::new(cargo::Cargo::default()),
                Pattern::Go => Box::new(go::Go::default()),
                Pattern::Ctest => Box::new(ctest::Ctest::default()),
                Pattern::Unknown => continue,
            };
            let origin = Origin::Pattern(*pattern);
            if readers.iter().all(|(other, _)| *other != origin) {
                readers.push((origin, reader));
            }
        }
        Self {
            lines: Lines::default(),
            readers,
        }
    }

    /// Takes a piece of output.
    pub fn feed(&mut self, bytes: &[u8]) {
        let readers = &mut self.readers;
        self.lines.feed(bytes, &mut |line| {
            for (_, reader) in readers.iter_mut() {
                reader.line(line);
            }
        });
    }

    /// All that was found, by who found it.
    pub fn end(mut self) -> Vec<(Origin, Found)> {
        let readers = &mut self.readers;
        self.lines.end(&mut |line| {
            for (_, reader) in readers.iter_mut() {
                reader.line(line);
            }
        });
        let readers = self.readers.into_iter();
        readers
            .map(|(origin, reader)| (origin, reader.end()))
            .collect()
    }
}

/// The log, with a scanner that sees what passes.
pub struct Watched<'a> {
    /// Where it passes to.
    pub log: &'a mut Log,
    /// What sees it.
    pub scanner: &'a mut Scanner,
}

impl Sink for Watched<'_> {
    fn push(&mut self, bytes: &[u8]) {
        self.log.push(bytes);
        self.scanner.feed(bytes);
    }

    fn is_clear(&self) -> bool {
        self.log.is_clear()
    }

    fn pass_on(&mut self) -> bool {
        self.log.pass_on()
    }

    fn waits_for(&self) -> Option<Room<'_>> {
        self.log.waits_for()
    }
}

/// `path:line` at the start of a text: the path, the line, and what follows its colon.
pub(crate) fn path_and_line(text: &str) -> Option<(&str, i64, &str)> {
    let (path, rest) = text.split_once(':')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let line = rest[..digits].parse().ok()?;
    let after = rest[digits..].strip_prefix(':').unwrap_or(&rest[digits..]);
    (!path.is_empty()).then_some((path, line, after))
}

/// Whether a line is a rule: one character, at least 40 times.
fn is_rule(line: &str, of: u8) -> bool {
    let bytes = line.as_bytes();
    bytes.len() >= 40 && bytes.iter().all(|byte| *byte == of)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
