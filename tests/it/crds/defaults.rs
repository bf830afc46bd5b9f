//! What the API server fills in.

use serde_json::{Value, json};

use super::samples::{self, sha};
use super::{Desk, with};

async fn completed(kind: &str, change: Value) -> Value {
    let desk = Desk::open(&format!("defaults-{}", kind.to_lowercase())).await;
    let spec = desk
        .offer(
            kind,
            samples::name(kind),
            &with(samples::spec(kind), change),
        )
        .await
        .unwrap();
    desk.close().await;
    spec
}

#[tokio::test]
async fn a_repository_of_four_fields_is_complete() {
    let spec = completed("Repository", json!({})).await;
    let expected = json!({
        "owner": "octo", "name": "app", "connection": "github",
        "labels": [{ "name": "test", "flavour": "default" }],
        "authorization": { "minimum": "Write" },
        "guards": { "quietPeriodSeconds": 60 },
        "checkout": "Merge",
        "commands": { "prefix": "/prbuild", "patternPrefix": "!buildbot" },
        "cancelOn": { "push": true, "close": true, "draft": false, "newerBuild": true },
        "reporting": { "context": "prbuild/{builder}", "mode": "Statuses", "preset": "Default" },
    });
    assert_eq!(spec, expected);
}

/// A Builder as it is completed: a day in the queue, four hours of run, twenty minutes of silence.
fn builder() -> Value {
    json!({
        "displayName": "Debian", "stability": "Stable", "flavours": ["default"],
        "steps": [{ "run": "make test" }], "evidence": "Label", "infraRetries": 2, "paused": false,
        "timeouts": {
            "queueSeconds": 86400, "checkoutSeconds": 300, "runSeconds": 14400, "noOutputSeconds": 1200,
        },
        "kubernetes": {
            "image": "debian:13", "imagePullPolicy": "IfNotPresent",
            "resources": { "cpu": "1", "memory": "2Gi", "disk": "10Gi" },
        },
    })
}

#[tokio::test]
async fn a_builder_of_a_name_a_step_and_an_image_is_complete() {
    assert_eq!(completed("Builder", json!({})).await, builder());
}

#[tokio::test]
async fn a_part_that_is_given_is_filled_up_and_an_empty_field_is_as_if_absent() {
    let desk = Desk::open("defaults-parts").await;
    let change = json!({
        "timeouts": { "runSeconds": 7200 },
        "kubernetes": { "resources": { "cpu": "500m" }, "imagePullPolicy": null },
        "steps": [{ "run": "make test", "if": null, "shell": null, "env": null }],
        "evidence": null, "maxConcurrent": null,
    });
    let spec = desk
        .offer("Builder", "app", &with(samples::spec("Builder"), change))
        .await
        .unwrap();
    let expected = with(
        builder(),
        json!({
            "timeouts": { "runSeconds": 7200 }, "kubernetes": { "resources": { "cpu": "500m" } },
        }),
    );
    assert_eq!(spec, expected);
    desk.close().await;
}

#[tokio::test]
async fn a_request_is_stored_as_it_was_sent_but_for_the_least_evidence() {
    let spec = completed("PrBuild", json!({})).await;
    let expected = with(
        samples::spec("PrBuild"),
        json!({ "request": { "trigger": { "evidence": "Label" } } }),
    );
    assert_eq!(spec, expected);
}

#[tokio::test]
async fn a_commit_of_a_sha_256_repository_is_taken_as_well() {
    let long = format!("{}{}", sha(), &sha()[..24]);
    let spec = completed("PrBuild", json!({ "request": { "headSha": long } })).await;
    assert_eq!(spec["request"]["headSha"], long);
}

#[tokio::test]
async fn a_run_is_tried_no_more_often_than_its_task_says() {
    let spec = completed("BuilderRun", json!({})).await;
    assert_eq!(spec["task"]["infraRetries"], 0);
    assert_eq!(spec["task"]["recipe"]["timeouts"], builder()["timeouts"]);
    assert_eq!(spec["task"]["kubernetes"], builder()["kubernetes"]);
}

#[tokio::test]
async fn an_answer_is_a_comment_unless_it_says_otherwise() {
    let spec = completed("Answer", json!({})).await;
    let expected = json!({ "manner": "Comment", "facts": {}, "trigger": { "evidence": "Label" } });
    assert_eq!(spec, with(samples::spec("Answer"), expected));
}

#[tokio::test]
async fn a_status_begins_at_the_beginning_and_takes_a_phase_of_a_newer_version_as_unknown() {
    let desk = Desk::open("defaults-status").await;
    for kind in ["PrBuild", "BuilderRun"] {
        desk.make(kind, samples::name(kind), &samples::spec(kind))
            .await;
    }
    let build = desk
        .patch_status("PrBuild", "app-7-l1", json!({ "shortSha": "0123456789" }))
        .await
        .unwrap();
    assert_eq!(build["phase"], "Accepted");
    assert_eq!(build["counts"]["total"], 0);
    let run = desk
        .patch_status("BuilderRun", "app-7-l1-debian-1", json!({ "job": "run-u" }))
        .await
        .unwrap();
    assert_eq!(run["phase"], "Queued");
    // An operator that does not know a run's phase copies what it read into the build's results.
    let results = json!({ "results": [{ "builder": "debian", "attempt": 1, "phase": "Unknown" }] });
    desk.patch_status("PrBuild", "app-7-l1", results)
        .await
        .unwrap();
    let said = desk
        .patch_status("PrBuild", "app-7-l1", json!({ "phase": "Perhaps" }))
        .await
        .unwrap_err();
    assert!(said.contains("status.phase: Unsupported value"), "{said}");
    desk.close().await;
}
