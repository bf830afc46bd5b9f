//! Pure: the check run that a run wants to stand, with summary, buttons and annotations.
//!
//! How results map to GitHub's conclusions: passed is `success`, with or without warnings; failed is
//! `failure`, timed out `timed_out`, cancelled `cancelled`. An error, which is ours, is `failure`,
//! too, with a title that says so: `neutral` and `skipped` count as passed, `action_required` asks
//! the author for something, and `cancelled` would say that somebody wanted it. It is the only word
//! that is neither green nor asks anybody for anything.
//!
//! Names, reasons and remarks may be text of the pull request's own code.

use std::fmt::Write as _;

use crds::{BuilderRun, BuilderRunStatus, Outcome, RunPhase, names};
use github::{
    ANNOTATIONS, AnnotationLevel, CheckAction, CheckAnnotation, CheckOutput, CheckRun, CheckState,
    Conclusion,
};
use protocol::{Annotation, Level, StepReport, StepResult};

use super::{
    fault::{self, Also},
    target::CommitStatus,
    text::{cell, code, duration, inert},
};

/// Failing tests that a summary names.
const FAILURES: usize = 20;
/// Sentences about tests that fail elsewhere, too.
const FAULTS: usize = 5;
/// Steps that a summary lists.
const STEPS: usize = 50;

/// The check run of a run that says `said`. `retried`: the attempt that follows is meant. `also`: failing
/// tests that failed in earlier runs, too.
pub fn check_run(run: &BuilderRun, said: &CommitStatus, retried: bool, also: &[Also]) -> CheckRun {
    let status = run.status.clone().unwrap_or_default();
    let outcome = status.outcome.clone().unwrap_or_default();
    let state = state(&status, said);
    let ended = matches!(state, CheckState::Completed(_));
    let time = |time: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
        time.as_ref().map(|time| time.0)
    };
    let attempt = run.spec.attempt + i64::from(retried);
    let (build, builder) = (&run.spec.pr_build.name, &run.spec.task.builder);
    CheckRun {
        name: run.spec.task.context.clone(),
        external_id: names::run_name(build, builder, attempt),
        state,
        details_url: said.url.clone(),
        started_at: time(&status.started_at).filter(|_| !retried),
        completed_at: time(&status.finished_at).filter(|_| ended),
        output: CheckOutput {
            title: said.description.clone(),
            summary: summary(run, &status, &outcome, also),
            annotations: if ended {
                annotations(&outcome)
            } else {
                Vec::new()
            },
        },
        actions: actions(state),
    }
}

/// What all attempts of one builder in one build have in common.
pub fn family(external_id: &str) -> &str {
    match external_id.rsplit_once('-') {
        Some((family, attempt)) if attempt.bytes().all(|byte| byte.is_ascii_digit()) => family,
        _ => external_id,
    }
}

fn state(status: &BuilderRunStatus, said: &CommitStatus) -> CheckState {
    if !said.is_final() {
        return match status.phase {
            // Nobody says more of it before its end.
            RunPhase::Dispatched | RunPhase::Running | RunPhase::Lost => CheckState::InProgress,
            _ => CheckState::Queued,
        };
    }
    CheckState::Completed(match status.phase {
        RunPhase::Succeeded => Conclusion::Success,
        RunPhase::TimedOut => Conclusion::TimedOut,
        RunPhase::Cancelled => Conclusion::Cancelled,
        _ => Conclusion::Failure,
    })
}

fn actions(state: CheckState) -> Vec<CheckAction> {
    let action = |label: &str, description: &str, identifier: &str| {
        vec![CheckAction {
            label: label.to_owned(),
            description: description.to_owned(),
            identifier: identifier.to_owned(),
        }]
    };
    match state {
        CheckState::Queued | CheckState::InProgress => {
            action("Cancel", "Stop this builder", names::CANCEL)
        }
        CheckState::Completed(Conclusion::Success) => Vec::new(),
        CheckState::Completed(_) => {
            let identifier = names::RERUN_FAILED;
            action("Re-run failed", "Run again what did not pass", identifier)
        }
    }
}

fn summary(
    run: &BuilderRun,
    status: &BuilderRunStatus,
    outcome: &Outcome,
    also: &[Also],
) -> String {
    let mut out = String::new();
    let task = &run.spec.task;
    let source = &task.source;
    let head = names::short_sha(&source.head_sha);
    let what = match source.commit == source.head_sha {
        true => format!("`{head}` as it is"),
        false => format!("`{head}` merged into {}", code(&source.base_ref, 255)),
    };
    let (builder, by) = (code(&task.display_name, 80), code(&task.requester, 64));
    let _ = writeln!(out, "{builder} on {what}, asked for by {by}.");
    if status.phase == RunPhase::Error {
        out.push_str("An error is the infrastructure's doing and says nothing about the code.\n");
    }
    let reason = inert(&outcome.reason, 1000);
    if !reason.is_empty() {
        let _ = writeln!(out, "\nWhy: {reason}");
    }
    failing(&mut out, outcome);
    for sentence in fault::sentences(also, FAULTS) {
        let _ = writeln!(out, "\n{sentence}.");
    }
    steps(&mut out, &outcome.steps);
    out
}

fn failing(out: &mut String, outcome: &Outcome) {
    if outcome.failures.is_empty() {
        return;
    }
    let named = outcome.failures.len().min(FAILURES);
    let total = usize::try_from(outcome.failures_total).unwrap_or(0);
    let total = total.max(outcome.failures.len());
    let tests = if total == 1 { "test" } else { "tests" };
    let _ = writeln!(out, "\n{total} failing {tests}:\n");
    for name in outcome.failures.iter().take(named) {
        let _ = writeln!(out, "- {}", code(name, 256));
    }
    if total > named {
        let _ = writeln!(out, "- and {} more", total - named);
    }
}

fn steps(out: &mut String, steps: &[StepReport]) {
    if steps.is_empty() {
        return;
    }
    out.push_str("\n| step | result | time |\n|---|---|---|\n");
    for step in steps.iter().take(STEPS) {
        let name = cell(&code(&step.name, 80));
        let result = match (step.result, step.exit_code) {
            (StepResult::Failed | StepResult::Tolerated, Some(code)) => {
                format!("{} (exit code {code})", word(step.result))
            }
            _ => word(step.result).to_owned(),
        };
        let took = std::time::Duration::try_from_secs_f64(step.seconds).map(duration);
        let _ = writeln!(out, "| {name} | {result} | {} |", took.unwrap_or_default());
    }
}

fn word(result: StepResult) -> &'static str {
    match result {
        StepResult::Passed => "passed",
        StepResult::Warning => "passed with a warning",
        StepResult::Failed => "failed",
        StepResult::Tolerated => "failed, and may",
        StepResult::TimedOut => "timed out",
        StepResult::Skipped => "not run",
        StepResult::Cancelled => "cancelled",
    }
}

fn annotations(outcome: &Outcome) -> Vec<CheckAnnotation> {
    let told = outcome.annotations.iter().take(ANNOTATIONS);
    told.map(annotation).collect()
}

fn annotation(one: &Annotation) -> CheckAnnotation {
    let message = match one.message.trim() {
        "" => one
            .title
            .clone()
            .unwrap_or_else(|| "see the log".to_owned()),
        message => message.to_owned(),
    };
    CheckAnnotation {
        path: one.path.clone(),
        start_line: one.line,
        end_line: one.end_line.unwrap_or(one.line),
        annotation_level: match one.level {
            Level::Failure => AnnotationLevel::Failure,
            Level::Warning => AnnotationLevel::Warning,
            Level::Notice => AnnotationLevel::Notice,
        },
        message,
        title: one.title.clone(),
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
