//! The page about labels says what the code says of statuses and check runs.

use crds::{
    BuildRef, BuilderRun, BuilderRunSpec, BuilderRunStatus, Cancel, Guards, Outcome, RunPhase,
    Waiting,
};
use github::{CommitContext, StatusState};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use protocol::{StepReport, StepResult};

use super::desired;
use crate::{
    admission::{
        checks::{self, Checks, Said},
        guard::{self, Verdict},
        limits::{self, Contender, Limits, Stand},
        order,
    },
    build::stop,
    report::{Order, check::check_run},
    run::{
        outcome::tests::{end_of, ended, pod, task, waiting},
        pod::{ContainerView, PodView},
    },
};

const PAGE: &str = include_str!("../../../docs/labels.md");

fn at(minute: i64) -> Time {
    Time(jiff::Timestamp::from_second(minute * 60).unwrap())
}

fn run(attempt: i64, status: BuilderRunStatus) -> BuilderRun {
    let spec = BuilderRunSpec {
        pr_build: BuildRef::default(),
        attempt,
        task: task(),
        cancel: None,
    };
    let mut run = BuilderRun::new("run", spec);
    run.status = Some(status);
    run
}

/// A run that waits for this.
fn waits(reason: String) -> BuilderRun {
    let waiting = Waiting {
        reason,
        ahead: 0,
        since: at(0),
    };
    run(
        1,
        BuilderRunStatus {
            waiting: Some(waiting),
            ..BuilderRunStatus::default()
        },
    )
}

/// A run that ended so, after some minutes.
fn over(attempt: i64, phase: RunPhase, minutes: i64, outcome: Outcome) -> BuilderRun {
    let status = BuilderRunStatus {
        phase,
        started_at: Some(at(0)),
        finished_at: Some(at(minutes)),
        outcome: Some(outcome),
        ..BuilderRunStatus::default()
    };
    run(attempt, status)
}

fn because(reason: &str) -> Outcome {
    Outcome {
        reason: reason.to_owned(),
        ..Outcome::default()
    }
}

/// What admission says of a build that waits.
fn held(verdict: Verdict) -> String {
    match verdict {
        Verdict::Wait(hold) => hold.sentence,
        other => panic!("it does not wait: {other:?}"),
    }
}

fn paused_repository() -> String {
    let mut repository = guard::tests::repository();
    repository.spec.paused = true;
    let build = guard::tests::build();
    held(guard::judge(&build, Some(&repository), None, None))
}

fn check(name: &str, state: &str) -> Checks {
    let said = Said {
        contexts: vec![CommitContext {
            context: name.to_owned(),
            state: state.to_owned(),
        }],
        ..Said::default()
    };
    checks::judge(&[name.to_owned()], &said)
}

fn waits_for_check() -> String {
    let standing = check("CI / tests", "pending");
    held(guard::judge(
        &guard::tests::build(),
        None,
        Some(&standing),
        None,
    ))
}

fn limit_reached() -> String {
    let limits = Limits {
        per_pull_request: None,
        per_person: Some(3),
    };
    let contenders = (0..4).map(|number| Contender {
        uid: number.to_string(),
        order: Order {
            build_created: at(number).0,
            build: format!("app-7-l{number}"),
            attempt: 1,
        },
        number,
        person: 1,
        login: "ada".to_owned(),
        stand: if number < 3 {
            Stand::Runs
        } else {
            Stand::Ready
        },
    });
    let beyond = limits::beyond(limits, contenders.collect());
    let build = guard::tests::build();
    held(guard::judge(&build, None, None, beyond.get("3")))
}

fn out_of_memory() -> Outcome {
    let mut task = task();
    if let Some(machine) = &mut task.kubernetes {
        machine.resources.memory = "4Gi".to_owned();
    }
    end_of(&task, &pod(ended(137, "OOMKilled", ""))).outcome
}

fn evicted() -> Outcome {
    let pod = PodView {
        phase: "Failed".to_owned(),
        reason: "Evicted".to_owned(),
        message: "…".to_owned(),
        ..pod(ContainerView::Unknown)
    };
    end_of(&task(), &pod).outcome
}

fn no_image() -> Outcome {
    let mut task = task();
    if let Some(machine) = &mut task.kubernetes {
        machine.image = "x".to_owned();
    }
    end_of(&task, &waiting("ErrImagePull", "x: not found")).outcome
}

fn failed_step() -> Outcome {
    Outcome {
        steps: vec![StepReport {
            name: "test".to_owned(),
            result: StepResult::Failed,
            exit_code: Some(2),
            seconds: 1.0,
        }],
        ..Outcome::default()
    }
}

fn failed_tests() -> Outcome {
    let failures = ["test_ssl", "test_socket"].map(str::to_owned);
    Outcome {
        failures: failures.to_vec(),
        failures_total: 2,
        ..failed_step()
    }
}

fn stopped_by_ada() -> Outcome {
    because(&stop::sentence(&Cancel {
        by: "ada".to_owned(),
        reason: "wrong branch".to_owned(),
        at: at(0),
        waiting_only: false,
    }))
}

fn failed_check() -> Outcome {
    let standing = check("docs", "failure");
    match guard::judge(&guard::tests::build(), None, Some(&standing), None) {
        Verdict::Drop(why) => because(&stop::sentence(&stop::ours(why, at(0)))),
        other => panic!("it is not dropped: {other:?}"),
    }
}

fn newer_build() -> Outcome {
    let newer = stop::by_newer_build(&guard::tests::build(), at(0));
    because(&stop::sentence(&newer))
}

/// The state and the text of every row, as the code says them.
fn said() -> Vec<(&'static str, String)> {
    use RunPhase::{Cancelled, Dispatched, Error, Failed, Succeeded, TimedOut};
    let starting = BuilderRunStatus {
        phase: Dispatched,
        ..BuilderRunStatus::default()
    };
    let warned = Outcome {
        warning: true,
        ..Outcome::default()
    };
    // The agent says which step it was and which limit.
    let slow = because("the step `test` took longer than its limit of 20 min");
    let z13 = "s390x Debian";
    let last = [
        (run(1, starting), false),
        (waits(order::place(z13, 3)), false),
        (waits(order::place(z13, 0)), false),
        (waits(order::paused(z13)), false),
        (waits(paused_repository()), false),
        (waits(waits_for_check()), false),
        (waits(limit_reached()), false),
        (over(1, Error, 5, evicted()), true),
        (over(1, Succeeded, 38, Outcome::default()), false),
        (over(1, Succeeded, 38, warned), false),
        (over(1, Failed, 12, failed_step()), false),
        (over(1, Failed, 12, failed_tests()), false),
        (over(1, Failed, 3, out_of_memory()), false),
        (over(1, TimedOut, 25, slow), false),
        (over(1, Error, 1, no_image()), false),
        (over(3, Error, 1, because("…")), false),
        (over(1, Cancelled, 1, stopped_by_ada()), false),
        (over(1, Cancelled, 1, failed_check()), false),
        (over(1, Cancelled, 1, newer_build()), false),
    ];
    let told = last.map(|(run, retried)| {
        let status = desired(&run, retried).unwrap();
        (state(status.state), status.description)
    });
    told.to_vec()
}

fn state(state: StatusState) -> &'static str {
    match state {
        StatusState::Pending => "pending",
        StatusState::Success => "success",
        StatusState::Failure => "failure",
        StatusState::Error => "error",
    }
}

/// The state and the text of every row of the page, without the fences of code spans.
fn documented() -> Vec<(&'static str, String)> {
    let table = PAGE.split("| shown | text | means |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .map_while(|row| row.strip_prefix("| "));
    let rows = rows.map(|row| {
        let mut cells = row.split(" | ");
        let (shown, text) = (cells.next().unwrap(), cells.next().unwrap());
        let text = match text.strip_prefix("``") {
            Some(text) => text.trim_end_matches("``").trim(),
            None => text.trim_matches('`'),
        };
        (shown, text.to_owned())
    });
    rows.collect()
}

#[test]
fn the_page_about_labels_shows_every_status_as_it_is_written() {
    assert_eq!(documented(), said());
}

#[test]
fn the_page_about_labels_has_the_words_and_buttons_of_check_runs() {
    let shown = |phase| {
        let run = over(1, phase, 1, Outcome::default());
        let check = check_run(&run, &desired(&run, false).unwrap(), false, &[]);
        let conclusion = serde_json::to_value(check.state).unwrap();
        let button = check.actions.first().map(|button| button.label.clone());
        (conclusion["conclusion"].clone(), button.unwrap_or_default())
    };
    for (phase, words) in [
        (RunPhase::Succeeded, "passed is "),
        (RunPhase::Failed, "failed "),
        (RunPhase::TimedOut, "timed out "),
        (RunPhase::Cancelled, "cancelled "),
        (RunPhase::Error, "An error is "),
    ] {
        let (conclusion, button) = shown(phase);
        let words = format!("{words}`{}`", conclusion.as_str().unwrap());
        assert!(PAGE.contains(&words), "{words}");
        if phase != RunPhase::Succeeded {
            assert!(
                PAGE.contains(&format!("did not pass *{button}*")),
                "{button}"
            );
        }
    }
    let (_, button) = shown(RunPhase::Queued);
    let words = format!("A check run that waits has the button *{button}*");
    assert!(PAGE.contains(&words), "{words}");
}

#[test]
fn the_page_about_labels_knows_how_long_a_branch_has_to_be_quiet() {
    let seconds = Guards::default().quiet_period_seconds;
    let words = format!("({seconds} seconds, unless the repository says otherwise)");
    assert!(PAGE.contains(&words), "{words}");
}
