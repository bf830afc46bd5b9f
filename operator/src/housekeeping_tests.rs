//! When runs, builds and answers go: that nothing is built twice rests on it.

use crds::condition;
use serde_json::{Value, json};

use super::*;

const DONE: &str = "2026-01-01T12:00:00Z";
const HOUR: i64 = 3600;

/// So many seconds after everything was done.
fn after(seconds: i64) -> Timestamp {
    let done: Timestamp = DONE.parse().unwrap();
    done + SignedDuration::from_secs(seconds)
}

/// A build in a phase, and what it says of its label.
fn build(phase: &str, label: Option<(&str, &str)>) -> PrBuild {
    let label = label.map(|(status, reason)| {
        json!({
            "type": kind::LABEL_REMOVED, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": DONE,
        })
    });
    let completed = (phase == "Complete").then_some(DONE);
    let object = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "PrBuild", "metadata": { "name": "app-7-l1" },
        "spec": { "request": {
            "repository": { "name": "app", "id": 1, "fullName": "o/r" }, "number": 7,
            "headSha": "a", "baseRef": "main", "flavour": "default", "builders": ["debian"],
            "trigger": { "kind": "Label", "eventId": 1, "label": "test", "time": DONE,
                "user": { "id": 2, "login": "ada" }, "permission": "write" },
        }},
        "status": {
            "phase": phase, "completedAt": completed, "conditions": Vec::from_iter(label),
        },
    });
    serde_json::from_value(object).unwrap()
}

/// The same, and whether GitHub knows every result.
fn reported(phase: &str, holds: bool) -> PrBuild {
    let mut build = build(phase, None);
    let all = &mut build.status.get_or_insert_default().conditions;
    condition::set(all, kind::REPORTED, holds, "", "", now());
    build
}

/// A run that stands like this.
fn run(status: Value) -> BuilderRun {
    let spec = crds::BuilderRunSpec {
        pr_build: crds::BuildRef::default(),
        attempt: 1,
        task: crate::run::outcome::tests::task(),
        cancel: None,
    };
    let mut run = BuilderRun::new("app-7-l1-debian-1", spec);
    run.status = Some(serde_json::from_value(status).unwrap());
    run
}

/// It goes after so many hours, and not a second earlier.
fn goes_after(hours: i64, what: &str, is_over: impl Fn(Timestamp) -> bool) {
    for (second, expected) in [(-1, false), (0, false), (1, true)] {
        let now = after(hours * HOUR + second);
        assert_eq!(is_over(now), expected, "{what}: {hours} h and {second} s");
    }
}

#[test]
fn a_build_goes_after_two_days_or_after_seven_where_its_label_may_still_be_on() {
    for (label, hours) in [
        (Some(("True", "Removed")), 48),
        (Some(("False", "NotNeeded")), 48),
        (Some(("False", "AddedAgain")), 48),
        (Some(("False", "Refused")), 7 * 24),
        (None, 7 * 24),
    ] {
        let build = build("Complete", label);
        goes_after(hours, &format!("{label:?}"), |now| {
            build_is_over(&build, now)
        });
    }
}

#[test]
fn a_build_that_is_not_complete_does_not_go() {
    let years = after(10 * 365 * 24 * HOUR);
    for phase in ["Accepted", "Running", "Cancelling"] {
        let build = build(phase, Some(("True", "Removed")));
        assert!(!build_is_over(&build, years), "{phase}");
        assert!(!runs_are_over(&reported(phase, true), years), "{phase}");
    }
}

#[test]
fn no_build_goes_while_its_event_can_still_be_accepted() {
    // The webhook gives up on events that are more than a day old.
    assert!(KEEP_BUILDS >= SignedDuration::from_hours(2 * 24));
    assert!(KEEP_ANSWERS >= KEEP_BUILDS);
}

#[test]
fn an_answer_goes_after_seven_days() {
    let object = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Answer",
        "metadata": { "name": "app-7-l1", "creationTimestamp": DONE },
        "spec": {
            "repository": { "name": "app", "id": 1, "fullName": "o/r" }, "number": 7,
            "trigger": { "kind": "Label", "eventId": 1, "label": "test", "time": DONE,
                "user": { "id": 2, "login": "ada" }, "permission": "read" },
            "reason": "Permission",
        },
    });
    let mut answer: Answer = serde_json::from_value(object).unwrap();
    goes_after(7 * 24, "an answer", |now| answer_is_over(&answer, now));
    answer.metadata.creation_timestamp = None;
    assert!(!answer_is_over(&answer, after(8 * 24 * HOUR)));
}

#[test]
fn runs_go_an_hour_after_their_build_is_complete() {
    let build = reported("Complete", true);
    goes_after(1, "runs", |now| runs_are_over(&build, now));
}

#[test]
fn no_run_goes_while_github_has_not_taken_every_result_of_its_build() {
    let years = after(10 * 365 * 24 * HOUR);
    for build in [reported("Complete", false), build("Complete", None)] {
        assert!(!runs_are_over(&build, years), "{build:?}");
    }
}

#[test]
fn a_run_stays_until_it_has_ended_and_github_knows() {
    for (status, expected) in [
        (
            json!({ "phase": "Queued", "report": { "sent": "pending" } }),
            false,
        ),
        (
            json!({ "phase": "Running", "report": { "sent": "pending" } }),
            false,
        ),
        (json!({ "phase": "Succeeded" }), false),
        (
            json!({ "phase": "Failed", "report": { "error": "502" } }),
            false,
        ),
        (
            json!({ "phase": "Succeeded", "report": { "sent": "success" } }),
            true,
        ),
        (
            json!({ "phase": "Cancelled", "report": { "sent": "settled" } }),
            true,
        ),
    ] {
        assert_eq!(is_told(&run(status.clone())), expected, "{status}");
    }
}

#[test]
fn a_run_of_which_nobody_can_be_told_is_given_up_after_seven_days() {
    let untold = run(json!({
        "phase": "Failed", "finishedAt": DONE, "report": { "error": "there is no Repository" },
    }));
    goes_after(7 * 24, "a run", |now| is_given_up(&untold, now));
    let years = after(10 * 365 * 24 * HOUR);
    for goes_on in [
        json!({ "phase": "Running" }),
        json!({ "phase": "Queued", "report": { "sent": "pending" } }),
    ] {
        assert!(!is_given_up(&run(goes_on.clone()), years), "{goes_on}");
    }
}
