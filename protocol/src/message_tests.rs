//! Reports that are too long for a termination message, and what is left of them.

use super::*;
use crate::report::{MESSAGE_LIMIT, Parse, Verdict};

fn steps(count: usize, name: &str) -> Vec<StepReport> {
    let step = |at: usize| StepReport {
        name: format!("{at} {name}"),
        result: StepResult::Passed,
        exit_code: Some(0),
        seconds: 1.5,
    };
    (0..count).map(step).collect()
}

fn annotation(at: usize, level: Level, message: &str) -> Annotation {
    Annotation {
        path: format!("Lib/test/test_{at}.py"),
        line: 12,
        end_line: None,
        level,
        title: Some(format!("test {at}")),
        message: message.to_owned(),
    }
}

fn report(steps: Vec<StepReport>, failures: usize, annotations: Vec<Annotation>) -> ExecReport {
    ExecReport {
        reason: Some("the step `test` ended with exit code 2".to_owned()),
        steps,
        failures: (0..failures)
            .map(|at| format!("test.test_module.Some.test_{at}"))
            .collect(),
        failures_total: failures as u32,
        annotations,
        ..ExecReport::new(Verdict::Failed, 2)
    }
}

fn sent(report: &ExecReport) -> ExecReport {
    let message = report.to_message();
    assert!(message.len() <= MESSAGE_LIMIT, "{} bytes", message.len());
    ExecReport::parse(&message).unwrap()
}

#[test]
fn what_fits_is_sent_as_it_is() {
    let full = report(
        steps(5, "make"),
        20,
        vec![annotation(0, Level::Failure, "1 != 2\nat all")],
    );
    assert_eq!(sent(&full), full);
    let empty = report(Vec::new(), 0, Vec::new());
    assert_eq!(sent(&empty), empty);
}

#[test]
fn a_message_fits_whatever_is_in_it() {
    for nasty in ["\"\\\n", "\u{1}", "é", "🐍", "x"] {
        for count in [0, 1, 7, 50, 500] {
            let long = nasty.repeat(2000);
            let full = ExecReport {
                reason: Some(long.clone()),
                failures: vec![long.clone(); count],
                ..report(
                    steps(count, &long),
                    0,
                    vec![annotation(1, Level::Failure, &long); count],
                )
            };
            let sent = sent(&full);
            assert_eq!((sent.verdict, sent.exit_code), (Verdict::Failed, 2));
            assert!(sent.reason.is_some_and(|reason| reason.len() > 50));
        }
    }
}

#[test]
fn no_part_squeezes_out_another() {
    let annotations = (0..50)
        .map(|at| annotation(at, Level::Failure, &"long ".repeat(200)))
        .collect();
    let full = report(steps(50, "a step with quite a long name"), 20, annotations);
    let sent = sent(&full);
    assert!(sent.steps.len() >= 10, "{} steps", sent.steps.len());
    assert!(sent.failures.len() >= 15, "{} names", sent.failures.len());
    assert!(
        sent.annotations.len() >= 5,
        "{} annotations",
        sent.annotations.len()
    );
    assert_eq!(sent.failures_total, 20);
}

#[test]
fn what_one_part_does_not_need_the_others_get() {
    let sent = sent(&report(
        steps(1, "test"),
        0,
        vec![annotation(0, Level::Failure, &"é".repeat(2000)); 3],
    ));
    assert_eq!(sent.annotations.len(), 3);
    for annotation in sent.annotations {
        assert!(annotation.message.len() >= 990, "{annotation:?}");
    }
}

#[test]
fn messages_are_shortened_before_annotations_are_left_out() {
    let annotations = (0..15)
        .map(|at| annotation(at, Level::Failure, &"long ".repeat(100)))
        .collect();
    let sent = sent(&report(steps(1, "test"), 1, annotations));
    assert_eq!(sent.annotations.len(), 15);
    assert!(sent.annotations.iter().all(|one| one.message.len() >= 60));
}

#[test]
fn the_mildest_annotations_are_left_out_first() {
    let mut annotations: Vec<Annotation> = (0..60)
        .map(|at| annotation(at, Level::Warning, "unused"))
        .collect();
    annotations.push(annotation(99, Level::Failure, "wrong"));
    let sent = sent(&report(steps(1, "test"), 1, annotations));
    let last = sent.annotations.last().unwrap();
    assert_eq!(
        (last.level, last.message.as_str()),
        (Level::Failure, "wrong")
    );
    assert_eq!(sent.annotations[0].path, "Lib/test/test_0.py");
    assert!(sent.annotations.len() > 10);
}

#[test]
fn steps_that_passed_are_left_out_before_those_that_did_not() {
    let mut steps = steps(100, "a step");
    for step in &mut steps[40..45] {
        step.result = StepResult::Failed;
    }
    let sent = sent(&report(steps, 0, Vec::new()));
    let failed = |step: &&StepReport| step.result == StepResult::Failed;
    assert_eq!(sent.steps.iter().filter(failed).count(), 5);
    assert!(sent.steps.first().unwrap().name.starts_with("0 "));
    assert!(sent.steps.last().unwrap().name.starts_with("99 "));
}

#[test]
fn a_path_is_never_cut() {
    let long = Annotation {
        path: "d/".repeat(200),
        ..annotation(0, Level::Failure, "x")
    };
    let sent = sent(&report(Vec::new(), 0, vec![long]));
    assert_eq!(sent.annotations, []);
}

#[test]
fn a_text_is_cut_between_characters() {
    for limit in 0..20 {
        let mut text = "aé🐍".repeat(5);
        truncate(&mut text, limit);
        assert!(text.len() <= limit, "{limit}: {text}");
    }
}
