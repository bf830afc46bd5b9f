//! Findings of several sources, counted once and bounded.

use protocol::Verdict;

use super::*;
use crate::testing::Scratch;

fn found(names: &[&str]) -> Found {
    let mut found = Found::default();
    for name in names {
        found.fail(name);
    }
    found
}

fn report(take: impl FnOnce(&mut Findings, &Checkout)) -> ExecReport {
    let scratch = Scratch::new();
    let checkout = Checkout::new(scratch.root(), scratch.root());
    let mut findings = Findings::default();
    take(&mut findings, &checkout);
    let mut report = ExecReport::new(Verdict::Failed, 1);
    findings.into_report(&mut report);
    report
}

fn draft(line: i64, level: Level, message: &str) -> Draft {
    Draft {
        place: Place::Given("a.c".into()),
        line,
        end_line: None,
        level,
        title: String::new(),
        message: message.into(),
    }
}

const PYTEST: Origin = Origin::Pattern(Pattern::Pytest);
const UNITTEST: Origin = Origin::Pattern(Pattern::Unittest);

#[test]
fn a_test_that_two_sources_name_counts_once() {
    let report = report(|findings, checkout| {
        let names = [
            "tests/test_a.py::TestX::test_y[1/2]",
            "tests/test_a.py::test_z",
        ];
        findings.take(PYTEST, found(&names), checkout);
        findings.take(UNITTEST, found(&["test_a.test_z"]), checkout);
        let names = ["tests.test_a.TestX::test_y[1/2]", "tests.test_b::test_z"];
        findings.take(Origin::Junit, found(&names), checkout);
    });
    assert_eq!(
        report.failures,
        [
            "tests/test_a.py::TestX::test_y[1/2]",
            "tests/test_a.py::test_z",
            "tests.test_b::test_z"
        ]
    );
    assert_eq!(report.failures_total, 3);
}

#[test]
fn tests_of_one_source_are_told_apart_by_their_whole_names() {
    let report = report(|findings, checkout| {
        findings.take(
            UNITTEST,
            found(&["a.T.test", "b.a.T.test", "a.T.test"]),
            checkout,
        );
        findings.take(UNITTEST, found(&["a.T.test", "T.test"]), checkout);
    });
    assert_eq!(report.failures, ["a.T.test", "b.a.T.test", "T.test"]);
}

#[test]
fn a_test_that_passed_again_is_not_brought_back() {
    let report = report(|findings, checkout| {
        let mut first = found(&["test.test_a.T.test_x"]);
        first.passed_again("test.test_b.T.test_flaky");
        findings.take_passed(Origin::Pattern(Pattern::Regrtest), first, checkout);
        let names = ["test.test_b.T::test_flaky", "test.test_a.T::test_x"];
        findings.take(Origin::Junit, found(&names), checkout);
    });
    assert_eq!(report.failures, ["test.test_a.T::test_x"]);
}

#[test]
fn names_are_plain_bounded_and_counted_up_to_a_limit() {
    let report = report(|findings, checkout| {
        let mut many = found(&["a\u{1b}[2J\nb", "", "\u{202e}"]);
        many.fail(&"é".repeat(500));
        for number in 0..5000 {
            many.fail(&number.to_string());
        }
        findings.take(PYTEST, many, checkout);
    });
    assert_eq!(report.failures[0], "a[2J b");
    assert!(report.failures[1].len() <= NAME_LIMIT);
    assert_eq!(report.failures.len(), FAILURES_LIMIT);
    assert_eq!(report.failures_total as usize, FAILURES_COUNTED);
}

#[test]
fn a_line_that_two_sources_annotate_is_annotated_once() {
    let report = report(|findings, checkout| {
        let mut commands = Found::default();
        commands.annotate(draft(1, Level::Warning, "one"));
        commands.annotate(draft(1, Level::Warning, "two"));
        commands.annotate(draft(1, Level::Warning, "one"));
        findings.take(Origin::Command, commands, checkout);
        let mut junit = Found::default();
        junit.annotate(draft(1, Level::Failure, "three"));
        junit.annotate(draft(2, Level::Failure, "four"));
        findings.take(Origin::Junit, junit, checkout);
    });
    let messages: Vec<&str> = report
        .annotations
        .iter()
        .map(|a| a.message.as_str())
        .collect();
    assert_eq!(messages, ["one", "two", "four"]);
}

#[test]
fn a_flood_of_warnings_does_not_hide_a_failure() {
    let report = report(|findings, checkout| {
        for _ in 0..3 {
            let mut commands = Found::default();
            for line in 1..10_000 {
                commands.annotate(draft(line, Level::Notice, "flood"));
            }
            findings.take(Origin::Command, commands, checkout);
        }
        let mut commands = Found::default();
        commands.annotate(draft(7, Level::Failure, "wrong"));
        findings.take(Origin::Command, commands, checkout);
    });
    assert_eq!(report.annotations.len(), ANNOTATIONS_KEPT);
    assert!(report.annotations.iter().any(|one| one.message == "wrong"));
    let sent = report.to_message();
    assert!(sent.contains("wrong") && sent.len() <= protocol::MESSAGE_LIMIT);
}

#[test]
fn annotations_are_put_in_order() {
    let report = report(|findings, checkout| {
        let mut commands = Found::default();
        let odd = Draft {
            end_line: Some(3),
            title: " a\u{7}\ntitle ".into(),
            ..draft(-5, Level::Failure, "one\n\n  two\u{1b}")
        };
        commands.annotate(odd.clone());
        commands.annotate(Draft {
            place: Place::Given("../../etc/passwd".into()),
            ..odd
        });
        findings.take(Origin::Command, commands, checkout);
    });
    let [annotation] = report.annotations.as_slice() else {
        panic!("{report:?}")
    };
    assert_eq!((annotation.line, annotation.end_line), (1, Some(3)));
    assert_eq!(annotation.title.as_deref(), Some("a title"));
    assert_eq!(annotation.message, "one\n\n  two");
}
