//! Which step runs, and what all ends mean.

use super::*;

fn step(run_if: Option<RunIf>, continue_on_error: bool) -> Step {
    Step {
        name: Some("Test".into()),
        run: "make test".into(),
        timeout_minutes: Some(10.0),
        continue_on_error,
        run_if,
        ..Step::default()
    }
}

fn tally() -> Tally {
    let five = ExitCode {
        code: 5,
        means: ExitMeaning::Warning,
    };
    Tally::new(vec![five], Timeouts::default())
}

const SECOND: Duration = Duration::from_secs(1);
const EXIT_0: End = End::Ended(Ended::Exit(0));
const EXIT_2: End = End::Ended(Ended::Exit(2));
const EXIT_5: End = End::Ended(Ended::Exit(5));
const KILLED: End = End::Ended(Ended::Signal(9));

/// What the tally says after steps that ended so.
fn after(ends: &[(&End, bool)]) -> Tally {
    let mut tally = tally();
    for (end, continue_on_error) in ends {
        tally.end(&step(Some(RunIf::Always), *continue_on_error), end, SECOND);
    }
    tally
}

#[test]
fn a_step_runs_when_its_condition_holds() {
    use RunIf::{Always, Failure, Success};
    let total = End::Stopped(Stop::TotalTime);
    let cancelled = End::Stopped(Stop::Cancelled);
    let own = End::Stopped(Stop::OwnTime);
    for (ends, runs) in [
        (vec![], [Some(Success), Some(Always), None].as_slice()),
        (vec![(&EXIT_0, false)], &[Some(Success), Some(Always), None]),
        (vec![(&EXIT_5, false)], &[Some(Success), Some(Always), None]),
        (vec![(&EXIT_2, true)], &[Some(Success), Some(Always), None]),
        (vec![(&own, true)], &[Some(Success), Some(Always), None]),
        (vec![(&EXIT_2, false)], &[Some(Failure), Some(Always)]),
        (
            vec![(&KILLED, false), (&EXIT_0, false)],
            &[Some(Failure), Some(Always)],
        ),
        (vec![(&own, false)], &[Some(Failure), Some(Always)]),
        (vec![(&total, true)], &[]),
        (vec![(&cancelled, true)], &[]),
    ] {
        let tally = after(&ends);
        for run_if in [None, Some(Success), Some(Failure), Some(Always)] {
            let expected = runs.contains(&run_if);
            assert_eq!(
                tally.runs(&step(run_if, false)),
                expected,
                "{ends:?} {run_if:?}"
            );
        }
    }
}

#[test]
fn the_end_of_a_step_has_its_meaning() {
    let refused = End::Refused("the directory `x` does not exist".into());
    for (end, tolerated, result, verdict, code, exit) in [
        (&EXIT_0, false, StepResult::Passed, Verdict::Passed, 0, 0),
        (&EXIT_5, false, StepResult::Warning, Verdict::Passed, 0, 0),
        (&EXIT_2, false, StepResult::Failed, Verdict::Failed, 2, 2),
        (&EXIT_2, true, StepResult::Tolerated, Verdict::Passed, 0, 0),
        (
            &KILLED,
            false,
            StepResult::Failed,
            Verdict::Failed,
            137,
            137,
        ),
        (&refused, false, StepResult::Failed, Verdict::Failed, 1, 1),
        (&refused, true, StepResult::Tolerated, Verdict::Passed, 0, 0),
        (
            &End::Stopped(Stop::OwnTime),
            false,
            StepResult::TimedOut,
            Verdict::TimedOut,
            124,
            124,
        ),
        (
            &End::Stopped(Stop::Silence),
            true,
            StepResult::Tolerated,
            Verdict::Passed,
            0,
            0,
        ),
        (
            &End::Stopped(Stop::TotalTime),
            true,
            StepResult::TimedOut,
            Verdict::TimedOut,
            124,
            124,
        ),
        (
            &End::Stopped(Stop::Cancelled),
            true,
            StepResult::Cancelled,
            Verdict::Cancelled,
            143,
            143,
        ),
    ] {
        let mut tally = tally();
        assert_eq!(
            tally.end(&step(None, tolerated), end, SECOND),
            result,
            "{end:?}"
        );
        let report = tally.into_report();
        assert_eq!(
            (report.verdict, report.exit_code),
            (verdict, code),
            "{end:?}"
        );
        assert_eq!(exit_code(&report), exit, "{end:?}");
        assert_eq!(
            report.reason.is_some(),
            verdict != Verdict::Passed,
            "{end:?}"
        );
        assert_eq!(report.warning, result == StepResult::Warning, "{end:?}");
        assert_eq!(report.steps[0].result, result);
    }
}

#[test]
fn the_first_failure_decides_and_a_cancel_rules_over_it() {
    let own = End::Stopped(Stop::OwnTime);
    let report = after(&[(&EXIT_2, false), (&own, false)]).into_report();
    assert_eq!((report.verdict, report.exit_code), (Verdict::Failed, 2));
    let cancelled = End::Stopped(Stop::Cancelled);
    let report = after(&[(&EXIT_2, false), (&cancelled, false)]).into_report();
    assert_eq!(report.verdict, Verdict::Cancelled);
}

#[test]
fn after_a_steps_own_limit_steps_for_failures_run_and_after_that_of_all_nothing_does() {
    for (stop, go_on) in [
        (Stop::OwnTime, true),
        (Stop::Silence, true),
        (Stop::TotalTime, false),
        (Stop::Cancelled, false),
    ] {
        let tally = after(&[(&End::Stopped(stop), false)]);
        assert_eq!(tally.is_over(), !go_on, "{stop:?}");
        assert!(!tally.runs(&step(None, false)), "{stop:?}");
        for when in [RunIf::Failure, RunIf::Always] {
            assert_eq!(tally.runs(&step(Some(when), false)), go_on, "{stop:?}");
        }
    }
}

#[test]
fn a_reason_is_a_sentence_with_the_limit_in_it() {
    for (end, sentence) in [
        (EXIT_2, "the step `Test` ended with exit code 2"),
        (
            KILLED,
            "the step `Test` was killed by signal 9 (killed; often because the memory limit was reached)",
        ),
        (
            End::Ended(Ended::Exit(139)),
            "the step `Test` ended with exit code 139 (segmentation fault)",
        ),
        (
            End::Stopped(Stop::OwnTime),
            "the step `Test` took longer than its limit of 10 min",
        ),
        (
            End::Stopped(Stop::Silence),
            "the step `Test` printed nothing for 20 min",
        ),
        (
            End::Stopped(Stop::TotalTime),
            "all steps together took longer than 4 h 00 min; stopped in the step `Test`",
        ),
        (
            End::Stopped(Stop::Cancelled),
            "cancelled in the step `Test`",
        ),
    ] {
        let report = after(&[(&end, false)]).into_report();
        assert_eq!(report.reason.as_deref(), Some(sentence));
    }
}

#[test]
fn a_failure_with_an_odd_code_still_fails() {
    for (code, exit) in [(0, 1), (-1, 1), (256, 1), (255, 255)] {
        let report = ExecReport {
            verdict: Verdict::Failed,
            ..error_with(code)
        };
        assert_eq!(exit_code(&report), exit);
    }
}

fn error_with(exit_code: i32) -> ExecReport {
    ExecReport {
        exit_code,
        ..error("x", Vec::new())
    }
}

#[test]
fn every_exit_code_that_a_system_knows_has_its_sentence() {
    // Windows says so of a breakpoint.
    for code in [i32::MIN, i32::MIN + 3, -1, i32::MAX] {
        let report = after(&[(&End::Ended(Ended::Exit(code)), false)]).into_report();
        let reason = report.reason.as_deref().unwrap();
        assert!(reason.ends_with(&format!("exit code {code}")), "{reason}");
        assert_eq!(exit_code(&report), 1);
    }
}
