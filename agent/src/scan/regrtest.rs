//! CPython's own test program, `python -m test`: what `unittest` prints, and a summary at the end,
//! after a second run of what failed.

use super::{
    Reader,
    unittest::{Case, Cases},
};
use crate::findings::Found;

/// Failing cases, and names of test files, that are kept.
const KEPT: usize = 1000;

/// Reads the output of `python -m test`.
#[derive(Debug, Default)]
pub struct Regrtest {
    cases: Cases,
    /// Failing cases, each with the round that it failed in.
    failed: Vec<(u32, Case)>,
    /// 0, and 1 when tests are run again.
    round: u32,
    /// Test files that failed by the lines printed while the tests run.
    progress: Vec<String>,
    summary: Option<Summary>,
    block: Option<Block>,
}

/// What stands after `== Tests result: … ==`.
#[derive(Debug, Default)]
struct Summary {
    failed: Vec<String>,
    altered: Vec<String>,
    again: Vec<String>,
}

/// The list that the lines belong to.
#[derive(Clone, Copy, Debug)]
enum Block {
    Failed,
    Altered,
    Again,
}

impl Reader for Regrtest {
    fn line(&mut self, line: &str) {
        let case = self.cases.line(line);
        self.take(case);
        match line.as_bytes().first() {
            Some(b' ') => self.listed(line),
            Some(b'0'..=b'9') => {
                self.block = block(line);
                self.progressed(line);
            }
            Some(b'=') if line.starts_with("== Tests result: ") => {
                self.block = None;
                self.summary = Some(Summary::default());
            }
            Some(b't') => {
                self.block = None;
                if let Some(name) = line.strip_prefix("test ").and_then(failed_file) {
                    self.note(name);
                }
            }
            Some(b'R') if line.starts_with("Re-running ") => self.round = 1,
            _ => self.block = None,
        }
    }

    fn end(mut self: Box<Self>) -> Found {
        let case = self.cases.end();
        self.take(case);
        let mut found = Found::default();
        let Some(summary) = self.summary.take() else {
            return self.without_summary(found);
        };
        let files = match summary.failed.is_empty() {
            true => summary.altered,
            false => summary.failed,
        };
        for file in summary.again.iter().filter(|file| !files.contains(file)) {
            found.passed_again(file);
        }
        for (_, case) in &self.failed {
            if !files.iter().any(|file| is_in(case, file)) {
                found.passed_again(&case.name);
            }
        }
        let columns: Vec<Vec<Case>> = files.iter().map(|file| self.cases_of(file)).collect();
        // The first case of every file before the second of any: a file where all fails hides none.
        let longest = columns.iter().map(Vec::len).max().unwrap_or_default();
        for (file, cases) in files.iter().zip(&columns) {
            if cases.is_empty() {
                found.fail(file);
            } else {
                note(&cases[0], &mut found);
            }
        }
        for row in 1..longest {
            for case in columns.iter().filter_map(|cases| cases.get(row)) {
                note(case, &mut found);
            }
        }
        found
    }
}

impl Regrtest {
    fn take(&mut self, case: Option<Case>) {
        if let Some(case) = case
            && self.failed.len() < KEPT
        {
            self.failed.push((self.round, case));
        }
    }

    /// A line inside of a list: names, four spaces in.
    fn listed(&mut self, line: &str) {
        let names = match (&mut self.summary, self.block) {
            (Some(summary), Some(Block::Failed)) => &mut summary.failed,
            (Some(summary), Some(Block::Altered)) => &mut summary.altered,
            (Some(summary), Some(Block::Again)) => &mut summary.again,
            _ => return,
        };
        if !line.starts_with("    ") {
            self.block = None;
            return;
        }
        let room = KEPT.saturating_sub(names.len());
        let words = line.split_whitespace().filter(|word| word.len() <= 200);
        names.extend(words.take(room).map(str::to_owned));
    }

    /// `0:00:07 load avg: 2.5 [ 4/10/1] test_ssl failed (2 failures)`
    fn progressed(&mut self, line: &str) {
        if line.contains(" Re-running ") {
            self.round = 1;
        } else if let Some((_, rest)) = line.split_once("] ")
            && let Some(name) = failed_file(rest)
        {
            self.note(name);
        }
    }

    fn note(&mut self, name: &str) {
        let name = name.to_owned();
        if self.progress.len() < KEPT && !self.progress.contains(&name) {
            self.progress.push(name);
        }
    }

    /// The program was stopped before it could sum up.
    fn without_summary(&self, mut found: Found) -> Found {
        for (_, case) in &self.failed {
            note(case, &mut found);
        }
        for file in &self.progress {
            if !self.failed.iter().any(|(_, case)| is_in(case, file)) {
                found.fail(file);
            }
        }
        found
    }

    /// The failing cases of a test file: those of the second run, if it got that far.
    fn cases_of(&mut self, file: &str) -> Vec<Case> {
        let of_file = |(_, case): &(u32, Case)| is_in(case, file);
        let last = self
            .failed
            .iter()
            .filter(|one| of_file(one))
            .map(|(round, _)| *round)
            .max();
        let is_last = |one: &(u32, Case)| of_file(one) && Some(one.0) == last;
        self.failed
            .extract_if(.., |one| is_last(one))
            .map(|(_, case)| case)
            .collect()
    }
}

fn note(case: &Case, found: &mut Found) {
    found.fail(&case.name);
    if let Some(draft) = &case.draft {
        found.annotate(draft.clone());
    }
}

/// The file's name in `test_ssl failed (2 failures)`, `test_ssl crashed (Exit code -11)`.
fn failed_file(text: &str) -> Option<&str> {
    let (name, rest) = text.split_once(' ')?;
    let words = [
        "failed",
        "crashed",
        "timed out",
        "worker non-zero exit",
        "worker bug",
    ];
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    (name.bytes().all(is_name) && name.len() <= 200 && words.iter().any(|w| rest.starts_with(w)))
        .then_some(name)
}

/// `2 tests failed:`; not `2 tests failed again:`, which the summary repeats.
fn block(line: &str) -> Option<Block> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    match &line[digits..] {
        " test failed:" | " tests failed:" => Some(Block::Failed),
        " re-run test:" | " re-run tests:" => Some(Block::Again),
        rest if rest.contains(" altered the execution environment") => Some(Block::Altered),
        _ => None,
    }
}

/// Whether a case is in a test file: `test.test_ssl.Basic.test_x` is in `test_ssl`.
fn is_in(case: &Case, file: &str) -> bool {
    let mut rest = case.name.as_str();
    loop {
        let after = rest.strip_prefix(file);
        if after.is_some_and(|after| after.is_empty() || after.starts_with('.')) {
            return true;
        }
        match rest.split_once('.') {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
}
