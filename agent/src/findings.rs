//! What was found in the output and the files of a run: which tests failed, what is wrong on which
//! line. Bounded in memory, and each test counts once, whoever names it.

use std::collections::HashSet;

use protocol::{
    Annotation, ExecReport, FAILURES_COUNTED, FAILURES_LIMIT, LINE_LIMIT, Level, NAME_LIMIT,
    Pattern, TEXT_LIMIT, TITLE_LIMIT, truncate,
};

use crate::{
    checkout_path::{Checkout, Place},
    text::{plain, plain_lines},
};

/// Annotations that are kept until the report is written, which takes the worst of them.
const ANNOTATIONS_KEPT: usize = 200;

/// Who named a test or a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A workflow command in the output.
    Command,
    /// Output of a test program.
    Pattern(Pattern),
    /// A JUnit file.
    Junit,
}

/// An annotation whose file is still to be found in the checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The file, as it was named.
    pub place: Place,
    /// The line, from 1.
    pub line: i64,
    /// The last line, where it is another one.
    pub end_line: Option<i64>,
    /// How bad it is.
    pub level: Level,
    /// A heading; empty for none.
    pub title: String,
    /// What is wrong.
    pub message: String,
}

/// What one source found in one step.
#[derive(Debug, Default)]
pub struct Found {
    names: Vec<String>,
    seen: HashSet<String>,
    passed_again: Vec<String>,
    drafts: Vec<Draft>,
}

impl Found {
    /// Notes a failing test; whether it is a new one.
    pub fn fail(&mut self, name: &str) -> bool {
        let mut name = plain(name);
        truncate(&mut name, NAME_LIMIT);
        let is_new = !name.is_empty()
            && self.names.len() < FAILURES_COUNTED
            && self.seen.insert(name.clone());
        if is_new {
            self.names.push(name);
        }
        is_new
    }

    /// Notes a test, or a file of tests, that failed and passed when run again: whoever else names it
    /// is not believed.
    pub fn passed_again(&mut self, name: &str) {
        if self.passed_again.len() < FAILURES_COUNTED {
            self.passed_again.push(key(name));
        }
    }

    /// Notes what is wrong on a line.
    pub fn annotate(&mut self, draft: Draft) {
        if self.drafts.len() < ANNOTATIONS_KEPT {
            self.drafts.push(draft);
        } else if let Some(at) = milder(&self.drafts, draft.level, |draft| draft.level) {
            self.drafts[at] = draft;
        }
    }

    /// The failing tests so far.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The drafts so far.
    pub fn drafts(&self) -> &[Draft] {
        &self.drafts
    }
}

/// The last of the entries that are milder than `level`: it gives way.
fn milder<T>(entries: &[T], level: Level, level_of: impl Fn(&T) -> Level) -> Option<usize> {
    let mildest = entries.iter().map(&level_of).max()?;
    if mildest <= level {
        return None;
    }
    entries.iter().rposition(|entry| level_of(entry) == mildest)
}

/// What a whole run found so far.
#[derive(Debug, Default)]
pub struct Findings {
    failures: Vec<Failure>,
    passed_again: Vec<String>,
    annotations: Vec<(Origin, Annotation)>,
}

#[derive(Debug)]
struct Failure {
    origin: Origin,
    key: String,
    name: String,
}

impl Findings {
    /// Takes all that was found.
    pub fn take(&mut self, origin: Origin, found: Found, checkout: &Checkout) {
        let room = FAILURES_COUNTED.saturating_sub(self.passed_again.len());
        self.passed_again
            .extend(found.passed_again.into_iter().take(room));
        for name in found.names {
            self.fail(origin, name);
        }
        for draft in found.drafts {
            self.annotate(origin, draft, checkout);
        }
    }

    /// Takes only which tests passed when run again: the step passed, so nothing failed in it.
    pub fn take_passed(&mut self, origin: Origin, mut found: Found, checkout: &Checkout) {
        found.names.clear();
        found.drafts.clear();
        self.take(origin, found, checkout);
    }

    fn fail(&mut self, origin: Origin, name: String) {
        if self.failures.len() >= FAILURES_COUNTED {
            return;
        }
        let key = key(&name);
        let is_known = self.failures.iter().any(|failure| match failure.origin {
            same if same == origin => failure.key == key,
            _ => is_same(&failure.key, &key),
        });
        let passed = self
            .passed_again
            .iter()
            .any(|passed| is_same(passed, &key) || is_in(passed, &key));
        if !is_known && !passed {
            self.failures.push(Failure { origin, key, name });
        }
    }

    fn annotate(&mut self, origin: Origin, draft: Draft, checkout: &Checkout) {
        let lines = 1..=LINE_LIMIT;
        let Some(path) = checkout.locate(&draft.place) else {
            return;
        };
        let mut title = plain(&draft.title);
        truncate(&mut title, TITLE_LIMIT);
        let mut message = plain_lines(&draft.message);
        truncate(&mut message, TEXT_LIMIT);
        let annotation = Annotation {
            path,
            line: draft.line.clamp(1, LINE_LIMIT),
            end_line: draft
                .end_line
                .filter(|end| *end > draft.line && lines.contains(end)),
            level: draft.level,
            title: Some(title).filter(|title| !title.is_empty()),
            message,
        };
        let is_known = self.annotations.iter().any(|(by, known)| {
            let same_line = known.path == annotation.path && known.line == annotation.line;
            same_line && (*by != origin || known.message == annotation.message)
        });
        if is_known {
        } else if self.annotations.len() < ANNOTATIONS_KEPT {
            self.annotations.push((origin, annotation));
        } else if let Some(at) = milder(&self.annotations, annotation.level, |(_, one)| one.level) {
            self.annotations[at] = (origin, annotation);
        }
    }

    /// Puts all that was found into a report.
    pub fn into_report(self, report: &mut ExecReport) {
        report.failures_total = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        let names = self.failures.into_iter().map(|failure| failure.name);
        report.failures = names.take(FAILURES_LIMIT).collect();
        let annotations = self.annotations.into_iter();
        report.annotations = annotations.map(|(_, annotation)| annotation).collect();
    }
}

/// A test's name in one spelling: `a/test_b.py::C::test_d[x/y]` and `a.test_b.C::test_d[x/y]` are the
/// same test, `a.test_b.C.test_d[x/y]`.
fn key(name: &str) -> String {
    let (path, parameters) = name.split_at(name.find('[').unwrap_or(name.len()));
    let parts = path
        .split(['.', '/', ':', '\\'])
        .filter(|part| !matches!(*part, "" | "py"));
    let mut key = parts.collect::<Vec<_>>().join(".");
    key.push_str(parameters);
    key
}

/// Whether two sources speak of one test: one may leave out the modules around it.
fn is_same(one: &str, other: &str) -> bool {
    let (short, long) = match one.len() <= other.len() {
        true => (one, other),
        false => (other, one),
    };
    match long.strip_suffix(short) {
        Some(before) => before.is_empty() || before.ends_with('.'),
        None => false,
    }
}

/// Whether a file of tests has a test in it.
fn is_in(file: &str, test: &str) -> bool {
    let ends = |end: Option<char>| end.is_none_or(|c| c == '.');
    let mut places = test.match_indices(file);
    places.any(|(at, _)| {
        ends(test[..at].chars().next_back()) && ends(test[at + file.len()..].chars().next())
    })
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
