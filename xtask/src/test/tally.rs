//! Counting what cargo's test programs print at their end. Pure.

use std::fmt;

/// How many tests passed, failed and were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    /// Names of those that failed.
    pub(super) failures: Vec<String>,
    /// Names of those that failed, and passed when they had the machine to themselves.
    pub(super) unsteady: Vec<String>,
    /// What kept tests from running: a program that died among its tests, say.
    pub(super) broken: Vec<String>,
}

impl Tally {
    /// Takes a line into account: `test result: ok. 12 passed; 0 failed; 1 ignored; …` or
    /// `test a::b ... FAILED`.
    pub(super) fn read(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += before(result, "passed;");
            self.failed += before(result, "failed;");
            self.skipped += before(result, "ignored;");
        } else if let Some(test) = line.strip_prefix("test ")
            && let Some(name) = test.strip_suffix(" ... FAILED")
        {
            let name = name.strip_suffix(" - should panic").unwrap_or(name);
            self.failures.push(name.to_owned());
        }
    }

    /// Nothing failed, and all ran.
    pub(super) fn is_good(&self) -> bool {
        self.failed == 0 && self.broken.is_empty()
    }

    /// Tests that were looked at.
    pub(super) fn total(&self) -> u64 {
        self.passed + self.failed + self.skipped
    }

    /// Takes what other tests printed into account.
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
        self.unsteady.extend(other.unsteady);
        self.broken.extend(other.broken);
    }

    /// Takes a second try of all that failed into account.
    pub(super) fn tried_again(&mut self, again: Self) {
        let failed = |name: &String| again.failures.contains(name);
        let first = std::mem::take(&mut self.failures);
        self.unsteady = first.into_iter().filter(|name| !failed(name)).collect();
        self.passed += again.passed;
        self.failed = self.failed.saturating_sub(again.passed);
        self.failures = again.failures;
        self.broken.extend(again.broken);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        for name in &self.failures {
            write!(f, "\nfailed: {name}")?;
        }
        for what in &self.broken {
            write!(f, "\nbroken: {what}")?;
        }
        for name in &self.unsteady {
            write!(f, "\nunsteady, failed once and passed alone: {name}")?;
        }
        Ok(())
    }
}

/// The number before a word.
fn before(text: &str, word: &str) -> u64 {
    let words: Vec<&str> = text.split_whitespace().collect();
    let pairs = words.windows(2).filter(|pair| pair[1] == word);
    pairs.filter_map(|pair| pair[0].parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn the_results_of_all_test_programs_are_added_up() {
        let tally = read(&[
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out",
            "test a_test_that_passed ... ok",
        ]);
        assert_eq!(tally.total(), 18);
        assert_eq!(tally.to_string(), "15 passed, 2 failed, 1 skipped");
        let mut all = read(&[
            "test a::b ... FAILED",
            "test result: FAILED. 4 passed; 1 failed; 0 ignored",
        ]);
        all.add(tally);
        assert_eq!(
            all.to_string(),
            "19 passed, 3 failed, 1 skipped\nfailed: a::b"
        );
    }

    #[test]
    fn what_kept_tests_from_running_is_told_beside_all_that_ran() {
        let mut tally = read(&["test result: ok. 2 passed; 0 failed; 0 ignored"]);
        assert!(tally.is_good());
        tally.add(Tally {
            broken: vec!["a program died".to_owned()],
            ..Tally::default()
        });
        assert!(!tally.is_good());
        assert_eq!(
            tally.to_string(),
            "2 passed, 0 failed\nbroken: a program died"
        );
        tally.tried_again(read(&[]));
        assert!(!tally.is_good(), "a second try heals no program");
    }

    #[test]
    fn what_passes_only_alone_counts_as_passed_and_is_named() {
        let mut tally = read(&[
            "test a::b ... FAILED",
            "test a::c - should panic ... FAILED",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored",
        ]);
        assert_eq!(tally.failures, ["a::b", "a::c"]);
        tally.tried_again(read(&[
            "test a::b ... ok",
            "test a::c - should panic ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored",
        ]));
        assert_eq!(
            tally.to_string(),
            "4 passed, 1 failed\nfailed: a::c\nunsteady, failed once and passed alone: a::b"
        );
    }
}
