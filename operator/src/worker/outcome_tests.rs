//! Signed results: which are believed, and what they mean.

use protocol::worker::completion::Completion;
use protocol::worker::envelope::Envelope;
use protocol::worker::key::{AgentKey, Sign as _};
use serde_json::{Value, json};

use super::*;

const MADE: &str = "2026-01-14T12:00:00Z";

fn run() -> BuilderRun {
    serde_json::from_value(json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "BuilderRun", "metadata": { "name": "r", "uid": "u" },
        "spec": {
            "prBuild": { "name": "b", "uid": "b" }, "attempt": 1,
            "task": {
                "builder": "mac", "displayName": "mac", "context": "c", "repository": "app", "requester": "ada",
                "requesterId": 1, "recipe": { "steps": [{ "run": "true" }] }, "worker": { "name": "mac" },
                "source": {
                    "repositoryId": 5, "repository": "octo/app", "cloneUrl": "https://github.test/octo/app",
                    "pullRequest": 7, "commit": "c", "parents": ["b", "a"], "tree": "t", "headSha": "a",
                    "baseRef": "main",
                },
            },
        },
    }))
    .unwrap()
}

fn checkout() -> Value {
    json!({ "commit": "c", "parents": ["b", "a"], "tree": "t" })
}

fn report(verdict: &str, code: i32) -> Value {
    json!({ "verdict": verdict, "exitCode": code })
}

fn ran(checkout: Value, report: Value) -> Value {
    json!({ "kind": "ran", "checkout": checkout, "report": report })
}

fn completion(change: Value) -> Completion {
    let mut said =
        json!({ "assignment": "u.f", "run": "u", "attempt": 1, "worker": "mac", "ranMs": 60_000 });
    for (field, value) in change.as_object().unwrap() {
        said[field] = value.clone();
    }
    serde_json::from_value(said).unwrap()
}

/// The ending of a run whose worker signed this with key number `seed`.
fn ended(said: &Completion, seed: u8, cancel: Option<&str>) -> Ending {
    let result = Envelope::seal(said, &AgentKey::from_seed(&[seed; 32])).unwrap();
    let cancel = cancel.map(|reason| json!({ "by": "prbuild", "reason": reason, "at": MADE }));
    let assignment: Assignment = serde_json::from_value(json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Assignment", "metadata": { "name": "run-u", "uid": "f" },
        "spec": {
            "run": { "name": "r", "uid": "u" }, "builder": "mac", "to": ["mac"], "cancel": cancel,
            "signed": { "payload": "", "key": "", "signature": "" },
        },
        "status": { "worker": "mac", "acceptedAt": MADE, "endedAt": "2026-01-14T12:05:00Z", "result": result },
    }))
    .unwrap();
    let keys = [AgentKey::from_seed(&[1; 32]).public()];
    ending(&run(), &assignment, &keys).unwrap()
}

fn ended_with(result: Value) -> Ending {
    ended(&completion(json!({ "result": result })), 1, None)
}

#[test]
fn green_needs_a_pass_with_exit_code_0_on_the_right_commit_with_its_parents_and_tree() {
    let green = ended_with(ran(checkout(), report("Passed", 0)));
    assert_eq!(green.phase, RunPhase::Succeeded);
    assert_eq!(green.outcome.commit.as_deref(), Some("c"));
    let minute: Timestamp = "2026-01-14T12:04:00Z".parse().unwrap();
    assert_eq!(green.started, Some(minute));
    for (field, other) in [
        ("commit", json!("x")),
        ("parents", json!(["b"])),
        ("parents", json!(["a", "b"])),
        ("tree", json!("x")),
    ] {
        let mut wrong = checkout();
        wrong[field] = other;
        let ending = ended_with(ran(wrong, report("Passed", 0)));
        assert_eq!(ending.phase, RunPhase::Error, "{field}");
        assert!(ending.outcome.retryable && ending.outcome.commit.is_none());
    }
    let odd = ended_with(ran(checkout(), report("Passed", 1)));
    assert_eq!(odd.phase, RunPhase::Failed, "it contradicts itself");
}

#[test]
fn what_the_code_did_is_red_and_what_the_machine_did_may_be_tried_again() {
    for (result, phase, retryable) in [
        (
            ran(checkout(), report("Failed", 2)),
            RunPhase::Failed,
            false,
        ),
        (
            ran(checkout(), report("TimedOut", 1)),
            RunPhase::TimedOut,
            false,
        ),
        (
            ran(checkout(), report("Cancelled", 1)),
            RunPhase::Failed,
            false,
        ),
        (ran(checkout(), report("Error", 1)), RunPhase::Error, false),
        (
            json!({ "kind": "notRun", "reason": "no disk" }),
            RunPhase::Error,
            true,
        ),
        (
            json!({ "kind": "notRun", "reason": "the commit is gone", "machine": false }),
            RunPhase::Error,
            false,
        ),
        (
            json!({ "kind": "broken", "reason": "a reboot" }),
            RunPhase::Error,
            true,
        ),
        (json!({ "kind": "cancelled" }), RunPhase::Error, true),
    ] {
        let ending = ended_with(result.clone());
        assert_eq!(
            (ending.phase, ending.outcome.retryable),
            (phase, retryable),
            "{result}"
        );
    }
    let failed = json!({ "error": "the network is down" });
    let ending = ended_with(ran(failed, report("Error", 1)));
    assert!(ending.outcome.retryable, "{ending:?}");
}

#[test]
fn who_was_asked_to_stop_is_cancelled_or_took_too_long() {
    let stopped = completion(json!({ "result": { "kind": "cancelled" } }));
    assert_eq!(
        ended(&stopped, 1, Some("not needed")).phase,
        RunPhase::Cancelled
    );
    assert_eq!(ended(&stopped, 1, Some(TOO_LONG)).phase, RunPhase::TimedOut);
}

#[test]
fn a_result_by_another_key_or_about_another_run_makes_nothing_green() {
    let green = ran(checkout(), report("Passed", 0));
    let right = completion(json!({ "result": green }));
    assert_eq!(ended(&right, 9, None).phase, RunPhase::Error);
    for change in [
        json!({ "run": "v" }),
        json!({ "attempt": 2 }),
        json!({ "worker": "pi" }),
        json!({ "assignment": "u.g" }),
    ] {
        let mut said = change.clone();
        said["result"] = green.clone();
        let ending = ended(&completion(said), 1, None);
        assert_eq!(ending.phase, RunPhase::Error, "{change}");
        assert!(
            ending.outcome.reason.contains("was not believed"),
            "{ending:?}"
        );
    }
}

#[test]
fn a_result_that_is_not_there_yet_ends_nothing() {
    let assignment: Assignment = serde_json::from_value(json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Assignment", "metadata": { "name": "run-u", "uid": "f" },
        "spec": {
            "run": { "name": "r", "uid": "u" }, "builder": "mac", "to": ["mac"],
            "signed": { "payload": "", "key": "", "signature": "" },
        },
        "status": { "worker": "mac" },
    }))
    .unwrap();
    assert_eq!(ending(&run(), &assignment, &[]), None);
}

#[test]
fn what_was_signed_of_the_log_is_kept_and_what_is_no_digest_is_left_out() {
    let digest = |stream: &str, bytes: u64, sha256: String| json!({ "stream": stream, "bytes": bytes, "sha256": sha256 });
    let hex = || "0f".repeat(32);
    let logs = |logs: Value| {
        let result = ran(checkout(), report("Passed", 0));
        let said = completion(json!({ "result": result, "logs": logs }));
        let ending = ended(&said, 1, None);
        assert_eq!(ending.phase, RunPhase::Succeeded, "a log fails no run");
        ending.outcome.logs
    };
    let both = logs(json!([digest("marks", 5, hex()), digest("log", 7, hex())]));
    let told: Vec<_> = both.iter().map(|one| (one.stream, one.bytes)).collect();
    assert_eq!(told, [(Stream::Log, 7), (Stream::Marks, 5)]);
    for nonsense in [
        json!([]),
        json!([digest("log", 7, String::new())]),
        json!([digest("log", 7, "0F".repeat(32))]),
        json!([digest("log", u64::MAX, hex())]),
    ] {
        assert!(logs(nonsense).is_empty());
    }
    let twice = json!([digest("log", 7, hex()), digest("log", 8, hex())]);
    assert_eq!(logs(twice).len(), 1);
}
