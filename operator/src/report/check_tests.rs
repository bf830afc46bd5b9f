//! Check runs, whatever the run says of itself.

use github::StatusState::{Error, Failure, Pending, Success};

use super::*;
use crate::report::desired;

fn run(phase: RunPhase, outcome: Outcome) -> BuilderRun {
    let mut task = crate::run::outcome::tests::task();
    task.context = "prbuild/Debian".to_owned();
    let spec = crds::BuilderRunSpec {
        pr_build: crds::BuildRef {
            name: "app-1-l2".to_owned(),
            uid: "uid".to_owned(),
        },
        attempt: 1,
        task,
        cancel: None,
    };
    let mut run = BuilderRun::new("run", spec);
    run.status = Some(BuilderRunStatus {
        phase,
        outcome: Some(outcome),
        ..BuilderRunStatus::default()
    });
    run
}

fn shown(run: &BuilderRun, retried: bool) -> CheckRun {
    check_run(run, &desired(run, retried).unwrap(), retried, &[])
}

#[test]
fn each_result_has_the_conclusion_that_means_the_same_and_no_error_is_green() {
    use CheckState::{Completed, InProgress, Queued};
    let table = [
        (RunPhase::Queued, Pending, Queued),
        (RunPhase::Dispatched, Pending, InProgress),
        (RunPhase::Running, Pending, InProgress),
        (RunPhase::Succeeded, Success, Completed(Conclusion::Success)),
        (RunPhase::Failed, Failure, Completed(Conclusion::Failure)),
        (RunPhase::TimedOut, Failure, Completed(Conclusion::TimedOut)),
        (RunPhase::Cancelled, Error, Completed(Conclusion::Cancelled)),
        (RunPhase::Error, Error, Completed(Conclusion::Failure)),
    ];
    for (phase, status, state) in table {
        let run = run(phase, Outcome::default());
        assert_eq!(desired(&run, false).unwrap().state, status);
        assert_eq!(shown(&run, false).state, state, "{phase:?}");
    }
}

#[test]
fn an_error_says_that_it_is_no_verdict_on_the_code() {
    let reason = "the image `x` does not exist".to_owned();
    let outcome = Outcome {
        reason,
        ..Outcome::default()
    };
    let shown = shown(&run(RunPhase::Error, outcome), false);
    assert_eq!(shown.output.title, "Error: the image `x` does not exist");
    assert!(shown.output.summary.contains("says nothing about the code"));
}

#[test]
fn what_waits_can_be_cancelled_and_what_did_not_pass_can_be_run_again() {
    let button = |phase| {
        let actions = shown(&run(phase, Outcome::default()), false).actions;
        let one = actions.into_iter().next();
        one.map(|one| one.identifier)
    };
    assert_eq!(button(RunPhase::Queued).as_deref(), Some("cancel"));
    assert_eq!(button(RunPhase::Failed).as_deref(), Some("rerun-failed"));
    assert_eq!(button(RunPhase::Succeeded), None);
    for phase in [RunPhase::Queued, RunPhase::Failed] {
        for action in shown(&run(phase, Outcome::default()), false).actions {
            assert!(action.label.len() <= 20 && action.identifier.len() <= 20);
            assert!(action.description.len() <= 40);
        }
    }
}

#[test]
fn an_attempt_that_is_followed_by_another_speaks_for_that_one() {
    let lost = run(RunPhase::Error, Outcome::default());
    assert_eq!(shown(&lost, false).external_id, "app-1-l2-debian-1");
    let retried = shown(&lost, true);
    assert_eq!(retried.external_id, "app-1-l2-debian-2");
    assert_eq!(retried.state, CheckState::Queued);
    assert_eq!(family("app-1-l2-gcc-2"), family("app-1-l2-gcc-10"));
    assert_ne!(family("app-1-l2-gcc-2"), family("app-1-l3-gcc-2"));
}

#[test]
fn failing_tests_steps_and_remarks_are_told_and_inert() {
    let hostile = "@octo/core #1 <img src=x> ![x](http://e.vil) </details>";
    let step = StepReport {
        name: hostile.to_owned(),
        result: StepResult::Failed,
        exit_code: Some(2),
        seconds: 1.5,
    };
    let remark = Annotation {
        path: "src/x.c".to_owned(),
        line: 7,
        end_line: None,
        level: Level::Warning,
        title: None,
        message: "unused".to_owned(),
    };
    let outcome = Outcome {
        reason: hostile.to_owned(),
        steps: vec![step],
        failures: vec![hostile.to_owned()],
        failures_total: 3,
        annotations: vec![remark],
        ..Outcome::default()
    };
    let shown = shown(&run(RunPhase::Failed, outcome), false);
    let summary = &shown.output.summary;
    assert!(summary.contains("3 failing tests") && summary.contains("and 2 more"));
    for line in summary.lines() {
        // Every second part between backticks is code; the others are Markdown.
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
        for markdown in line.split('`').step_by(2) {
            for live in ["@o", "#1", "<img", "://", "</details>"] {
                assert!(!markdown.contains(live), "{live} in {line}");
            }
        }
    }
    let remark = &shown.output.annotations[0];
    assert_eq!((remark.start_line, remark.end_line), (7, 7));
    assert_eq!(remark.annotation_level, AnnotationLevel::Warning);
}

#[test]
fn no_more_is_told_than_github_takes() {
    let many = |n: usize| (0..n).map(|n| format!("test_{n}_{}", "x".repeat(240)));
    let remark = |n: usize| Annotation {
        path: "a".to_owned(),
        line: i64::try_from(n).unwrap() + 1,
        end_line: None,
        level: Level::Failure,
        title: None,
        message: String::new(),
    };
    let outcome = Outcome {
        failures: many(60).collect(),
        failures_total: 1000,
        annotations: (0..80).map(remark).collect(),
        reason: "y".repeat(100_000),
        ..Outcome::default()
    };
    let shown = shown(&run(RunPhase::Failed, outcome), false);
    assert!(shown.output.summary.chars().count() < 65_535);
    assert_eq!(shown.output.annotations.len(), 50);
    assert!(
        shown
            .output
            .annotations
            .iter()
            .all(|one| !one.message.is_empty())
    );
}

#[test]
fn a_check_run_leads_to_its_page_and_says_what_fails_for_others_too() {
    let failures = vec!["test_ssl".to_owned()];
    let outcome = Outcome {
        failures,
        ..Outcome::default()
    };
    let run = run(RunPhase::Failed, outcome);
    let mut said = desired(&run, false).unwrap();
    said.url = Some("https://ci.example.org/r/app/runs/0b5c".to_owned());
    let how_often = protocol::record::AlsoFailed { failed: 4, of: 5 };
    let also = [("test_ssl".to_owned(), how_often)];
    let check = check_run(&run, &said, false, &also);
    assert_eq!(check.details_url, said.url);
    let sentence = "`test_ssl` also failed in 4 of this builder's last 5 builds, on other PRs.";
    assert!(
        check.output.summary.contains(sentence),
        "{}",
        check.output.summary
    );
}
