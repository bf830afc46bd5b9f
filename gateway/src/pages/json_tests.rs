//! The JSON of every page against what `docs/json.md` says of it.

use std::collections::BTreeSet;

use http::StatusCode;
use protocol::{
    StepReport, StepResult,
    log::Stream,
    record::{RunRecord, RunResult},
};
use serde_json::{Value, json};

use super::samples::*;
use crate::{pages::run::testing::Writer, records::RecordKey};

const DOCUMENT: &str = include_str!("../../../docs/json.md");
/// Fields that this page leaves to the page about Builders.
const OF_A_BUILDER: [&str; 7] = [
    "cpu",
    "memory",
    "disk",
    "queueSeconds",
    "checkoutSeconds",
    "runSeconds",
    "noOutputSeconds",
];

/// The names of all fields.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

fn record() -> RunRecord {
    RunRecord {
        name: "app-7-l1-s390x-1".to_owned(),
        uid: "ended".to_owned(),
        build: "app-7-l1".to_owned(),
        builder: "s390x".to_owned(),
        display_name: "s390x Debian".to_owned(),
        attempt: 1,
        pull: pull_ref(),
        requester: "ada".to_owned(),
        commit: MERGE.to_owned(),
        parents: Vec::new(),
        tree: None,
        head_sha: HEAD.to_owned(),
        base_ref: "main".to_owned(),
        image: None,
        image_digest: None,
        worker: None,
        signed_logs: Vec::new(),
        result: RunResult::Failed,
        warning: false,
        exit_code: Some(2),
        reason: "1 test failed".to_owned(),
        followed: false,
        same_as: None,
        queued_ms: 1,
        started_ms: Some(2),
        finished_ms: 3,
        steps: vec![StepReport {
            name: "Test".to_owned(),
            result: StepResult::Failed,
            exit_code: Some(2),
            seconds: 1.5,
        }],
        failures: vec!["test_ssl".to_owned()],
        failures_total: 1,
    }
}

#[tokio::test]
async fn every_field_of_the_json_is_documented() {
    let queued = json!({ "phase": "Queued", "waiting": { "reason": "3 ahead", "ahead": 3, "since": "2026-01-31T12:00:05Z" } });
    let running = json!({ "phase": "Running", "startedAt": "2026-01-31T12:00:05Z" });
    let site = site(&[
        builder("s390x", "s390x Debian", Some("tier-2")),
        builder_on_macs("macos"),
        mac("mac", &[("Ready", "False", "offline")]),
        build("app-7-l2", &["s390x", "x86"], json!({ "phase": "Running" })),
        run("app-7-l2", "s390x", 1, queued),
        run("app-7-l2", "x86", 1, running),
    ]);
    let key = RecordKey::build("app", "app-7-l1");
    keep(&site, key, &build_record("app-7-l1")).await;
    keep(
        &site,
        RecordKey::pull("app", "7"),
        &pull_history(&["app-7-l1"]),
    )
    .await;
    keep(
        &site,
        RecordKey::builder("s390x"),
        &builder_history("s390x", 9),
    )
    .await;
    keep(&site, RecordKey::run("app", "ended"), &record()).await;
    let writer = Writer::new(site.app.clone(), "ended");
    let mark = "{\"at\":0,\"ms\":1,\"mark\":\"step\",\"n\":1,\"name\":\"Test\"}\n";
    writer.push(Stream::Marks, mark.as_bytes()).await;
    writer.log("failed\n").await;
    writer.end().await;
    let mut found = BTreeSet::new();
    for path in [
        "/overview.json",
        "/r/app/pull/7.json",
        "/r/app/builds/app-7-l1.json",
        "/r/app/builds/app-7-l2.json",
        "/r/app/runs/ended.json",
        "/r/app/runs/run-x86-1.json",
        "/builders.json",
        "/builders/s390x.json",
    ] {
        let (status, body) = get(&site, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        fields(&serde_json::from_str(&body).unwrap(), &mut found);
    }
    let (_, body) = get(&site, "/builders/none.json").await;
    fields(&serde_json::from_str(&body).unwrap(), &mut found);
    assert!(found.len() > 80, "few pages were read: {found:?}");
    found.retain(|name| !OF_A_BUILDER.contains(&name.as_str()));
    found.retain(|name| !DOCUMENT.contains(&format!("`{name}`")));
    assert_eq!(found, BTreeSet::new(), "not in docs/json.md");
}
