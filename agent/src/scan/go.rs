//! `go test`: `--- FAIL: TestX (0.00s)`, and the lines `x_test.go:4: message`.

use std::collections::HashSet;

use protocol::Level;

use super::{Reader, path_and_line};
use crate::{
    checkout_path::Place,
    findings::{Draft, Found},
};

/// Tests and lines of one package that are kept.
const KEPT: usize = 1000;

/// Reads the output of `go test`.
#[derive(Debug, Default)]
pub struct Go {
    found: Found,
    /// Tests that failed in the package that is being read.
    failed: Vec<String>,
    /// The test that lines belong to.
    current: String,
    /// For each test, the last place that it named: what it said before it gave up.
    places: Vec<(String, String, i64, String)>,
    /// Tests with their packages, to tell two tests of one name apart.
    seen: HashSet<(String, String)>,
}

impl Reader for Go {
    fn line(&mut self, line: &str) {
        let text = line.trim_start();
        match text.as_bytes().first() {
            Some(b'-') => {
                if let Some(name) = text.strip_prefix("--- FAIL: ") {
                    let name = first_word(name);
                    self.current = name.to_owned();
                    if self.failed.len() < KEPT {
                        self.failed.push(name.to_owned());
                    }
                } else if text.starts_with("--- ") {
                    self.current.clear();
                }
            }
            Some(b'=') => {
                let words = ["=== RUN ", "=== NAME ", "=== CONT "];
                if let Some(name) = words.iter().find_map(|word| line.strip_prefix(word)) {
                    self.current = first_word(name.trim_start()).to_owned();
                }
            }
            Some(b'F' | b'o') if !line.starts_with(' ') => {
                let rest = line
                    .strip_prefix("FAIL\t")
                    .or_else(|| line.strip_prefix("ok  \t"));
                if let Some(rest) = rest {
                    self.package(rest);
                }
            }
            Some(_) if line.starts_with("    ") => self.said(text),
            _ => {}
        }
    }

    fn end(mut self: Box<Self>) -> Found {
        self.close("");
        self.found
    }
}

impl Go {
    /// `example.org/demo/sub<TAB>0.009s`, `example.org/demo/bad [build failed]`
    fn package(&mut self, rest: &str) {
        let rest = rest.trim_end();
        let package = rest
            .split(['\t', ' '])
            .next()
            .unwrap_or_default()
            .to_owned();
        self.close(&package);
        if rest.ends_with("[build failed]") || rest.ends_with("[setup failed]") {
            self.found.fail(rest);
        }
    }

    /// Ends a package. A test that failed because a part of it did is not named beside the part.
    fn close(&mut self, package: &str) {
        let failed = std::mem::take(&mut self.failed);
        let mut above = HashSet::new();
        for name in &failed {
            above.extend(name.match_indices('/').map(|(at, _)| &name[..at]));
        }
        for name in failed.iter().filter(|name| !above.contains(name.as_str())) {
            let is_new =
                self.seen.len() < KEPT && self.seen.insert((package.to_owned(), name.clone()));
            if is_new && !self.found.fail(name) {
                self.found.fail(&format!("{package}.{name}"));
            }
        }
        for (name, file, line, message) in std::mem::take(&mut self.places) {
            if !failed.contains(&name) {
                continue;
            }
            self.found.annotate(Draft {
                place: Place::Go {
                    package: package.to_owned(),
                    file,
                },
                line,
                end_line: None,
                level: Level::Failure,
                title: name,
                message,
            });
        }
        self.current.clear();
    }

    fn said(&mut self, text: &str) {
        let Some((file, line, message)) = path_and_line(text) else {
            return;
        };
        if self.current.is_empty() || !file.ends_with(".go") || file.contains([' ', '/']) {
            return;
        }
        let said = (
            self.current.clone(),
            file.to_owned(),
            line,
            message.trim().to_owned(),
        );
        if self.places.last().is_some_and(|last| last.0 == said.0) {
            self.places.pop();
        }
        if self.places.len() < KEPT {
            self.places.push(said);
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}
