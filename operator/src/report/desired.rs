//! Pure: the commit status that a run wants to stand, in words.
//!
//! Steps and reasons may be text of the pull request's own code: each becomes one plain line.

use crds::{BuilderRun, BuilderRunStatus, Outcome, RunPhase, Waiting};
use github::StatusState;
use protocol::{StepReport, StepResult};

use super::{
    failing::failing_tests,
    target::CommitStatus,
    text::{self, DESCRIPTION_LIMIT},
};

/// Characters of a step's name.
const NAME_LIMIT: usize = 60;

/// The status that a run wants to stand; none for a phase of a newer version, which knows better.
///
/// `retried` says that another attempt follows this one: the context is then still pending, and it
/// is told in the [order](super::Order::next_attempt) of the attempt that follows.
pub fn desired(run: &BuilderRun, retried: bool) -> Option<CommitStatus> {
    let status = run.status.clone().unwrap_or_default();
    let (state, description) = match status.phase {
        RunPhase::Queued => (StatusState::Pending, waiting(run, &status, "Waiting")),
        RunPhase::Dispatched => (StatusState::Pending, waiting(run, &status, "Starting")),
        RunPhase::Running => (StatusState::Pending, running(run, &status)),
        RunPhase::Lost => (StatusState::Pending, waiting(run, &status, "Waiting")),
        RunPhase::Succeeded => (StatusState::Success, passed(&status)),
        RunPhase::Failed => (StatusState::Failure, failed(&status)),
        RunPhase::TimedOut => (StatusState::Failure, timed_out(&status)),
        RunPhase::Cancelled => (StatusState::Error, cancelled(run, &status)),
        RunPhase::Error if retried => (StatusState::Pending, error(run, &status, true)),
        RunPhase::Error => (StatusState::Error, error(run, &status, false)),
        RunPhase::Unknown => return None,
    };
    Some(CommitStatus {
        state,
        description,
        url: None,
        check: None,
    })
}

fn waiting(run: &BuilderRun, status: &BuilderRunStatus, word: &str) -> String {
    if let Some(cancelling) = cancelling(run) {
        return cancelling;
    }
    match &status.waiting {
        Some(Waiting { reason, .. }) if !reason.trim().is_empty() => fit(word, reason, ""),
        _ => word.to_owned(),
    }
}

fn running(run: &BuilderRun, status: &BuilderRunStatus) -> String {
    if let Some(cancelling) = cancelling(run) {
        return cancelling;
    }
    match &status.started_at {
        Some(at) => format!("Running since {} UTC", at.0.strftime("%H:%M")),
        None => "Running".to_owned(),
    }
}

fn cancelling(run: &BuilderRun) -> Option<String> {
    let cancel = run.spec.cancel.as_ref()?;
    Some(fit("Cancelling", &cancel.reason, ""))
}

fn passed(status: &BuilderRunStatus) -> String {
    let warning = status
        .outcome
        .as_ref()
        .is_some_and(|outcome| outcome.warning);
    let words = if warning {
        "Passed with warnings"
    } else {
        "Passed"
    };
    format!("{words}{}", took(status, "in"))
}

fn failed(status: &BuilderRunStatus) -> String {
    let outcome = status.outcome.clone().unwrap_or_default();
    let Some(step) = decisive(&outcome, StepResult::Failed) else {
        let code = outcome.exit_code.map(|code| format!("exit code {code}"));
        return fit("Failed", &reason(&outcome, code), &took(status, "after"));
    };
    let what =
        failing_tests(&outcome).unwrap_or_else(|| match step.exit_code.or(outcome.exit_code) {
            Some(code) => format!("step {} (exit code {code})", name(step)),
            None => format!("step {}", name(step)),
        });
    fit("Failed", &what, &took(status, "in"))
}

fn timed_out(status: &BuilderRunStatus) -> String {
    let outcome = status.outcome.clone().unwrap_or_default();
    let step = decisive(&outcome, StepResult::TimedOut);
    let what = reason(&outcome, step.map(|step| format!("step {}", name(step))));
    fit("Timed out", &what, &took(status, "after"))
}

fn cancelled(run: &BuilderRun, status: &BuilderRunStatus) -> String {
    let outcome = status.outcome.clone().unwrap_or_default();
    let asked = run.spec.cancel.as_ref().map(|cancel| cancel.reason.clone());
    fit("Cancelled", &reason(&outcome, asked), "")
}

fn error(run: &BuilderRun, status: &BuilderRunStatus, retried: bool) -> String {
    let outcome = status.outcome.clone().unwrap_or_default();
    let what = reason(&outcome, run.spec.task.invalid.clone());
    let after = match run.spec.attempt {
        attempt if retried => format!("; attempt {} is queued", attempt + 1),
        attempt if attempt > 1 => format!("; this was attempt {attempt}, the last"),
        _ => String::new(),
    };
    fit("Error", &what, &after)
}

/// The first step that ended the run so.
fn decisive(outcome: &Outcome, result: StepResult) -> Option<&StepReport> {
    outcome.steps.iter().find(|step| step.result == result)
}

/// A step's name in backticks. In a status they are only characters.
fn name(step: &StepReport) -> String {
    text::code(&step.name, NAME_LIMIT)
}

/// The reason that was found, else the other words.
fn reason(outcome: &Outcome, otherwise: Option<String>) -> String {
    match outcome.reason.trim() {
        "" => otherwise.unwrap_or_default(),
        reason => reason.to_owned(),
    }
}

/// ` in 4 min 12 s`, from the start of the steps to the end of the run.
fn took(status: &BuilderRunStatus, preposition: &str) -> String {
    let both = status.started_at.as_ref().zip(status.finished_at.as_ref());
    let took = both.and_then(|(start, end)| text::between(start.0, end.0));
    took.map_or_else(String::new, |took| format!(" {preposition} {took}"))
}

/// `word: what` with something after it, all in one line that GitHub takes. What is in the middle
/// gives way.
fn fit(word: &str, what: &str, after: &str) -> String {
    let room = DESCRIPTION_LIMIT.saturating_sub(word.len() + 2 + after.chars().count());
    let what = text::one_line(what, room);
    let what = what.strip_suffix('.').unwrap_or(&what);
    match what {
        "" => format!("{word}{after}"),
        what => format!("{word}: {what}{after}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{BuildRef, BuilderRunSpec, Cancel, Task};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use protocol::Source;

    fn at(second: i64) -> Time {
        Time(jiff::Timestamp::from_second(50_700 + second).unwrap())
    }

    fn run(attempt: i64, status: BuilderRunStatus) -> BuilderRun {
        let source = Source {
            repository_id: 1,
            repository: "o/n".to_owned(),
            clone_url: "https://github.com/o/n.git".to_owned(),
            pull_request: 1,
            commit: "a".repeat(40),
            parents: Vec::new(),
            tree: None,
            head_sha: "a".repeat(40),
            base_ref: "main".to_owned(),
        };
        let task = Task {
            builder: "debian".to_owned(),
            display_name: "Debian".to_owned(),
            report_mode: crds::ReportMode::Statuses,
            context: "prbuild/Debian".to_owned(),
            repository: "n".to_owned(),
            requester: "a".to_owned(),
            requester_id: 1,
            source,
            recipe: None,
            infra_retries: 2,
            kubernetes: None,
            worker: None,
            evidence: crds::Evidence::Label,
            invalid: None,
        };
        let spec = BuilderRunSpec {
            pr_build: BuildRef::default(),
            attempt,
            task,
            cancel: None,
        };
        let mut run = BuilderRun::new("run", spec);
        run.status = Some(status);
        run
    }

    fn ended(phase: RunPhase, seconds: i64, outcome: Outcome) -> BuilderRunStatus {
        BuilderRunStatus {
            phase,
            started_at: Some(at(0)),
            finished_at: Some(at(seconds)),
            outcome: Some(outcome),
            ..BuilderRunStatus::default()
        }
    }

    fn because(reason: &str) -> Outcome {
        Outcome {
            reason: reason.to_owned(),
            ..Outcome::default()
        }
    }

    fn step(name: &str, result: StepResult, exit_code: Option<i32>) -> StepReport {
        StepReport {
            name: name.to_owned(),
            result,
            exit_code,
            seconds: 1.0,
        }
    }

    fn says(run: &BuilderRun, retried: bool) -> (StatusState, String) {
        let status = desired(run, retried).unwrap();
        (status.state, status.description)
    }

    #[test]
    fn a_run_that_has_not_ended_is_pending_and_says_what_it_waits_for() {
        let reason = "3 ahead on `s390x Debian`".to_owned();
        let waiting = Some(Waiting {
            reason,
            ahead: 3,
            since: at(0),
        });
        let queued = BuilderRunStatus {
            waiting,
            ..BuilderRunStatus::default()
        };
        let starting = BuilderRunStatus {
            phase: RunPhase::Dispatched,
            ..BuilderRunStatus::default()
        };
        let running = BuilderRunStatus {
            phase: RunPhase::Running,
            started_at: Some(at(0)),
            ..BuilderRunStatus::default()
        };
        let table = [
            (queued, "Waiting: 3 ahead on `s390x Debian`"),
            (BuilderRunStatus::default(), "Waiting"),
            (starting, "Starting"),
            (running.clone(), "Running since 14:05 UTC"),
        ];
        for (status, words) in table {
            assert_eq!(
                says(&run(1, status), false),
                (StatusState::Pending, words.to_owned())
            );
        }
        let mut stopping = run(1, running);
        let reason = "a new commit was labelled".to_owned();
        stopping.spec.cancel = Some(Cancel {
            by: "a".to_owned(),
            reason,
            at: at(1),
            waiting_only: false,
        });
        assert_eq!(
            says(&stopping, false).1,
            "Cancelling: a new commit was labelled"
        );
    }

    #[test]
    fn a_run_that_has_ended_says_how_and_how_long_it_took() {
        let warned = Outcome {
            warning: true,
            exit_code: Some(5),
            ..Outcome::default()
        };
        let steps = vec![
            step("build", StepResult::Passed, Some(0)),
            step("lint", StepResult::Tolerated, Some(1)),
            step("test", StepResult::Failed, Some(2)),
        ];
        let tests = Outcome {
            exit_code: Some(2),
            steps,
            ..because("step `test` failed")
        };
        let slow = because("step `test` wrote nothing for 20 min");
        use RunPhase::{Cancelled, Error, Failed, Succeeded, TimedOut};
        let table = [
            (
                ended(Succeeded, 2280, Outcome::default()),
                StatusState::Success,
                "Passed in 38 min",
            ),
            (
                ended(Succeeded, 252, warned),
                StatusState::Success,
                "Passed with warnings in 4 min 12 s",
            ),
            (
                ended(Failed, 12, tests),
                StatusState::Failure,
                "Failed: step `test` (exit code 2) in 12 s",
            ),
            (
                ended(Failed, 12, because("it ran out of memory.")),
                StatusState::Failure,
                "Failed: it ran out of memory after 12 s",
            ),
            (
                ended(TimedOut, 7500, slow),
                StatusState::Failure,
                "Timed out: step `test` wrote nothing for 20 min after 2 h 05 min",
            ),
            (
                ended(Cancelled, 5, because("asked by `a`")),
                StatusState::Error,
                "Cancelled: asked by `a`",
            ),
            (
                ended(Error, 5, because("the image `x` does not exist")),
                StatusState::Error,
                "Error: the image `x` does not exist",
            ),
        ];
        for (status, state, words) in table {
            assert_eq!(says(&run(1, status), false), (state, words.to_owned()));
        }
    }

    #[test]
    fn an_attempt_that_is_followed_by_another_is_pending() {
        let lost = ended(RunPhase::Error, 5, because("the machine was lost"));
        let (state, words) = says(&run(1, lost.clone()), true);
        assert_eq!(state, StatusState::Pending);
        assert_eq!(words, "Error: the machine was lost; attempt 2 is queued");
        let (state, words) = says(&run(3, lost), false);
        assert_eq!(state, StatusState::Error);
        assert_eq!(
            words,
            "Error: the machine was lost; this was attempt 3, the last"
        );
    }

    #[test]
    fn hostile_text_stays_one_plain_line_and_the_end_of_the_sentence_is_kept() {
        let hostile = "```\n@python/core-devs #1 <img>\u{202E}\u{1b}]8;;\0".repeat(1000);
        let steps = vec![step(&hostile, StepResult::Failed, Some(2))];
        for outcome in [
            because(&hostile),
            Outcome {
                steps,
                ..Outcome::default()
            },
        ] {
            let (_, words) = says(&run(1, ended(RunPhase::Failed, 12, outcome)), false);
            assert!(words.chars().count() <= DESCRIPTION_LIMIT, "{words}");
            assert!(words.ends_with(" 12 s"), "{words}");
            assert!(
                !words.contains(['\n', '\0', '\u{1b}', '\u{202E}']),
                "{words:?}"
            );
        }
    }

    #[test]
    fn a_phase_of_a_newer_version_is_left_to_that_version() {
        let status = BuilderRunStatus {
            phase: RunPhase::Unknown,
            ..BuilderRunStatus::default()
        };
        assert_eq!(desired(&run(1, status), false), None);
    }
}

#[cfg(test)]
#[path = "labels_page_tests.rs"]
mod labels_page_tests;
