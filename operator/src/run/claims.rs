//! Pure: what a run claims beside its verdict, made fit to be stored and shown.
//!
//! The message comes from beside the code of a pull request, so every bound and every character is
//! looked at again here, whatever the agent did: a longer text would be refused by the API server,
//! and with it the end of the run.

use std::collections::HashSet;

use crds::Outcome;
use protocol::{
    ANNOTATIONS_LIMIT, Annotation, ExecReport, FAILURES_COUNTED, FAILURES_LIMIT, LINE_LIMIT,
    NAME_LIMIT, PATH_LIMIT, StepReport, TEXT_LIMIT, TITLE_LIMIT, truncate,
};

use crate::report::text;

/// Steps that an outcome has at most.
const STEPS: usize = 50;
/// Lines of an annotation's message that are kept.
const LINES: usize = 20;

/// Copies steps, failing tests and annotations of a report.
pub fn copy(report: ExecReport, outcome: &mut Outcome) {
    outcome.steps = report.steps.into_iter().take(STEPS).map(step).collect();
    let mut seen = HashSet::new();
    let names = report.failures.iter().map(|name| line(name, NAME_LIMIT));
    outcome.failures = names
        .filter(|name| !name.is_empty() && seen.insert(name.clone()))
        .take(FAILURES_LIMIT)
        .collect();
    let listed = i64::try_from(outcome.failures.len()).unwrap_or_default();
    let counted = i64::from(report.failures_total).min(FAILURES_COUNTED as i64);
    // A number without a single name would be a riddle.
    outcome.failures_total = if listed == 0 { 0 } else { counted.max(listed) };
    let annotations = report.annotations.into_iter().filter_map(annotation);
    outcome.annotations = annotations.take(ANNOTATIONS_LIMIT).collect();
}

fn step(step: StepReport) -> StepReport {
    StepReport {
        name: text::one_line(&step.name, 80),
        ..step
    }
}

fn annotation(claim: Annotation) -> Option<Annotation> {
    let lines = 1..=LINE_LIMIT;
    if !is_path(&claim.path) || !lines.contains(&claim.line) {
        return None;
    }
    let is_later = |end: &i64| *end > claim.line && lines.contains(end);
    let message: Vec<String> = claim
        .message
        .lines()
        .take(LINES)
        .map(|part| indented(part, TEXT_LIMIT))
        .collect();
    let mut message = message.join("\n").trim().to_owned();
    truncate(&mut message, TEXT_LIMIT);
    Some(Annotation {
        end_line: claim.end_line.filter(is_later),
        title: claim
            .title
            .map(|title| line(&title, TITLE_LIMIT))
            .filter(|title| !title.is_empty()),
        message,
        ..claim
    })
}

/// Whether this can be a file of the checkout, and shows as what it is.
fn is_path(path: &str) -> bool {
    let is_inside = |part: &str| !matches!(part, "" | "." | "..");
    path.len() <= PATH_LIMIT
        && path.split('/').all(is_inside)
        && text::one_line(path, PATH_LIMIT) == path
}

/// One plain line of at most that many bytes.
fn line(claim: &str, limit: usize) -> String {
    let mut line = text::one_line(claim, limit);
    truncate(&mut line, limit);
    line
}

/// As [`line`], with the spaces that it begins with: they make code readable.
fn indented(claim: &str, limit: usize) -> String {
    let indent = claim.len() - claim.trim_start_matches(' ').len();
    " ".repeat(indent.min(40)) + &line(claim, limit)
}

#[cfg(test)]
mod tests {
    use protocol::{Level, Verdict};

    use super::*;

    fn copied(report: ExecReport) -> Outcome {
        let mut outcome = Outcome::default();
        copy(report, &mut outcome);
        outcome
    }

    fn failing(names: &[&str], total: u32) -> Outcome {
        copied(ExecReport {
            failures: names.iter().map(|name| (*name).to_owned()).collect(),
            failures_total: total,
            ..ExecReport::new(Verdict::Failed, 1)
        })
    }

    fn annotated(annotation: Annotation) -> Vec<Annotation> {
        let report = ExecReport {
            annotations: vec![annotation],
            ..ExecReport::new(Verdict::Failed, 1)
        };
        copied(report).annotations
    }

    fn at(path: &str, line: i64) -> Annotation {
        Annotation {
            path: path.to_owned(),
            line,
            end_line: None,
            level: Level::Failure,
            title: None,
            message: "wrong".to_owned(),
        }
    }

    #[test]
    fn names_are_stored_once_on_one_line_and_within_their_bounds() {
        let long = "é".repeat(1000);
        let outcome = failing(&["a\nb", "a b", "", "\u{202e}x\u{7}", &long], 7);
        assert_eq!(outcome.failures[..2], ["a b", "x"]);
        assert!(outcome.failures[2].len() <= NAME_LIMIT);
        assert_eq!(outcome.failures_total, 7);
        let names: Vec<String> = (0..100).map(|at| at.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(failing(&names, 100).failures.len(), FAILURES_LIMIT);
    }

    #[test]
    fn a_count_that_makes_no_sense_is_mended() {
        assert_eq!(failing(&["a", "b"], 0).failures_total, 2);
        assert_eq!(failing(&["a"], u32::MAX).failures_total, 1000);
        assert_eq!(failing(&["\u{1b}"], 5).failures_total, 0);
    }

    #[test]
    fn a_path_that_leaves_the_checkout_or_hides_is_no_annotation() {
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "./a",
            "a\nb",
            "a\u{202e}b",
        ] {
            assert_eq!(annotated(at(path, 1)), [], "{path:?}");
        }
        assert_eq!(annotated(at(&"a/".repeat(200), 1)), []);
        assert_eq!(annotated(at("Lib/a b.py", 1)).len(), 1);
    }

    #[test]
    fn lines_that_no_file_has_are_no_annotation() {
        for line in [i64::MIN, -1, 0, LINE_LIMIT + 1, i64::MAX] {
            assert_eq!(annotated(at("a", line)), [], "{line}");
        }
        for (end, kept) in [(3, None), (5, None), (6, Some(6)), (i64::MAX, None)] {
            let claim = Annotation {
                end_line: Some(end),
                ..at("a", 5)
            };
            assert_eq!(annotated(claim)[0].end_line, kept, "{end}");
        }
    }

    #[test]
    fn texts_of_annotations_are_plain_and_bounded() {
        let claim = Annotation {
            title: Some("\u{1b}[31mred\n".to_owned()),
            message: format!("one\u{0}\n  two\u{202e}\n{}", "é\n".repeat(5000)),
            ..at("a", 1)
        };
        let kept = &annotated(claim)[0];
        assert_eq!(kept.title.as_deref(), Some("[31mred"));
        assert!(kept.message.starts_with("one\n  two\né\n"));
        assert_eq!(kept.message.lines().count(), LINES);
        let long = Annotation {
            message: "x".repeat(5000),
            ..at("a", 1)
        };
        assert!(annotated(long)[0].message.len() <= TEXT_LIMIT);
    }
}
