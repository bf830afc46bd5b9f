//! Objects and records as tests need them, and a site that shows them.

use std::sync::Arc;

use axum::Router;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use object_store::{ObjectStore, memory::InMemory};
use protocol::{
    StepReport, StepResult,
    record::{
        BuildRecord, BuildRun, BuilderHistory, Cell, HistoryRun, PullBuild, PullHistory, PullRef,
        RunRecord, RunResult,
    },
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Site, router};
use crate::{
    app::App,
    cluster::Cluster,
    logs::{LogOptions, Logs},
    metrics::Metrics,
    records::{RecordKey, Records},
    store::Store,
    testing::KEEP,
};

/// What a stranger might write.
pub const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\u{202E}\u{0}\"'&";
/// A commit.
pub const HEAD: &str = "c0ffee0123456789c0ffee0123456789c0ffee01";
/// Another one.
pub const MERGE: &str = "feed5eed00112233feed5eed00112233feed5eed";

/// A tree.
pub const TREE: &str = "7ee7ee7ee7ee00112233feed5eed00112233feed";

/// Bytes of a log that a site keeps.
pub const LOG_LIMIT: u64 = 1 << 20;

/// A site of these objects with an empty store.
pub fn site(objects: &[Value]) -> Arc<Site> {
    site_on(Arc::new(InMemory::new()), objects)
}

/// A site of these objects with this store.
pub fn site_on(kept: Arc<dyn ObjectStore>, objects: &[Value]) -> Arc<Site> {
    let metrics = Arc::new(Metrics::default());
    let store = Store::around(kept, metrics.clone());
    let options = LogOptions {
        log_limit: LOG_LIMIT,
    };
    let app = App {
        logs: Logs::new(store.clone(), options, metrics.clone()),
        records: Records::new(store),
        metrics,
        keep: KEEP,
    };
    Arc::new(Site::new(
        Arc::new(app),
        Arc::new(Cluster::holding(objects)),
        "https://github.example",
    ))
}

/// Keeps a record.
pub async fn keep(site: &Site, key: Option<RecordKey>, record: &impl Serialize) {
    let body = serde_json::to_vec(record).unwrap();
    site.app
        .records
        .put(&key.unwrap(), body.into())
        .await
        .unwrap();
}

/// What a page answers.
pub async fn get(site: &Arc<Site>, path: &str) -> (StatusCode, String) {
    let router: Router = router(site.clone());
    let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
    let mut router = router;
    let answer = tower_service::Service::call(&mut router, request)
        .await
        .unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A Builder.
pub fn builder(name: &str, display_name: &str, tier: Option<&str>) -> Value {
    json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Builder",
        "metadata": { "name": name, "uid": format!("uid-{name}") },
        "spec": {
            "displayName": display_name, "tier": tier, "tags": ["linux"], "maxConcurrent": 2,
            "steps": [{ "name": "Build", "run": "make -j2" }, { "name": "Test", "run": "make test" }],
            "kubernetes": { "image": "registry.example/build:1" },
        },
    })
}

/// A Builder that runs on any worker with the label `os: mac`.
pub fn builder_on_macs(name: &str) -> Value {
    let mut builder = builder(name, name, None);
    let spec = builder["spec"].as_object_mut().unwrap();
    spec.remove("kubernetes");
    spec.insert("worker".to_owned(), json!({ "selector": { "os": "mac" } }));
    builder
}

/// A worker with the label `os: mac` with these conditions: kind, status and message.
pub fn mac(name: &str, conditions: &[(&str, &str, &str)]) -> Value {
    let condition = |(kind, status, message): &(&str, &str, &str)| {
        json!({
            "type": kind, "status": status, "reason": "Because", "message": message,
            "lastTransitionTime": "2026-01-31T12:00:00Z",
        })
    };
    let conditions: Vec<Value> = conditions.iter().map(condition).collect();
    json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Worker", "metadata": { "name": name },
        "spec": { "contact": "Ada <ada@example.org>", "labels": { "os": "mac" } },
        "status": { "conditions": conditions, "busy": 1 },
    })
}

/// A build of pull request 7 of `app` with these builders.
pub fn build(name: &str, builders: &[&str], status: Value) -> Value {
    json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "PrBuild",
        "metadata": { "name": name, "uid": format!("uid-{name}"), "creationTimestamp": "2026-01-31T12:00:00Z" },
        "spec": { "request": {
            "repository": { "name": "app", "id": 1, "fullName": "octo/app" },
            "number": 7, "headSha": HEAD, "mergeSha": MERGE, "mergeTree": MERGE, "baseSha": MERGE,
            "baseRef": "main", "flavour": "refleaks", "builders": builders,
            "trigger": { "kind": "Label", "eventId": 1, "time": "2026-01-31T12:00:00Z", "label": "test-with-refleaks",
                "user": { "id": 1, "login": "ada" }, "permission": "write" },
        } },
        "status": status,
    })
}

/// A run of a build, by the builder's name, which is its display name, too.
pub fn run(build: &str, builder: &str, attempt: i64, status: Value) -> Value {
    json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "BuilderRun",
        "metadata": {
            "name": format!("{build}-{builder}-{attempt}"), "uid": format!("run-{builder}-{attempt}"),
            "creationTimestamp": "2026-01-31T12:00:01Z",
        },
        "spec": {
            "prBuild": { "name": build, "uid": format!("uid-{build}") }, "attempt": attempt,
            "task": {
                "builder": builder, "displayName": builder, "context": builder, "repository": "app",
                "requester": "ada", "requesterId": 1,
                "source": { "repositoryId": 1, "repository": "octo/app", "cloneUrl": "https://github.example/octo/app.git",
                    "pullRequest": 7, "commit": MERGE, "headSha": HEAD, "baseRef": "main" },
                "recipe": { "steps": [{ "run": "make" }] }, "kubernetes": { "image": "i" },
            },
        },
        "status": status,
    })
}

/// The record of a build of one builder that failed.
pub fn build_record(name: &str) -> BuildRecord {
    BuildRecord {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        pull: pull_ref(),
        requester: "ada".to_owned(),
        trigger: "the label test".to_owned(),
        flavour: "default".to_owned(),
        commit: MERGE.to_owned(),
        head_sha: HEAD.to_owned(),
        base_ref: "main".to_owned(),
        summary: "1 failed".to_owned(),
        result: RunResult::Failed,
        created_ms: 1_769_860_800_000,
        finished_ms: Some(1_769_861_700_000),
        runs: vec![BuildRun {
            builder: "s390x".to_owned(),
            display_name: "s390x Debian".to_owned(),
            run: "run-of-s390x".to_owned(),
            attempt: 2,
            result: RunResult::Failed,
            warning: false,
            seconds: Some(720.0),
            reason: "2 tests failed".to_owned(),
            failures: vec!["test_ssl".to_owned(), "test_socket".to_owned()],
        }],
        left_out: vec![("ios".to_owned(), "needs a review of this commit".to_owned())],
        rerun_of: Some("app-7-l1".to_owned()),
    }
}

/// The pull request of all samples.
pub fn pull_ref() -> PullRef {
    PullRef {
        repository: "app".to_owned(),
        full_name: "octo/app".to_owned(),
        url: "https://github.example/octo/app".to_owned(),
        number: 7,
    }
}

/// A history of pull request 7 with builds of these names, the newest first.
pub fn pull_history(names: &[&str]) -> PullHistory {
    let build = |(place, name): (usize, &&str)| PullBuild {
        name: (*name).to_owned(),
        requester: "ada".to_owned(),
        head_sha: HEAD.to_owned(),
        flavour: "default".to_owned(),
        summary: "1 passed".to_owned(),
        result: RunResult::Passed,
        created_ms: 1_769_000_000_000 - place as i64,
        finished_ms: 1_769_000_100_000,
        cells: vec![Cell {
            name: "s390x Debian".to_owned(),
            run: format!("run-of-{name}"),
            result: RunResult::Passed,
        }],
    };
    PullHistory {
        pull: pull_ref(),
        builds: names.iter().enumerate().map(build).collect(),
    }
}

/// A history of so many runs, each third one failed.
pub fn builder_history(name: &str, runs: i64) -> BuilderHistory {
    let run = |n: i64| HistoryRun {
        run: format!("run-{n}"),
        repository: "app".to_owned(),
        number: n % 5 + 1,
        head_sha: HEAD.to_owned(),
        base_ref: "main".to_owned(),
        result: if n % 3 == 0 {
            RunResult::Failed
        } else {
            RunResult::Passed
        },
        warning: false,
        finished_ms: 1_769_000_000_000 - n * 60_000,
        seconds: Some(600.0 + n as f64),
        failures: if n % 3 == 0 {
            vec!["test_ssl".to_owned()]
        } else {
            Vec::new()
        },
    };
    BuilderHistory {
        builder: name.to_owned(),
        display_name: "s390x Debian".to_owned(),
        runs: (0..runs).map(run).collect(),
    }
}

/// The record of the second attempt of a run that failed, of pull request 7.
pub fn run_record(uid: &str) -> RunRecord {
    RunRecord {
        name: "app-7-l1-s390x-2".to_owned(),
        uid: uid.to_owned(),
        build: "app-7-l1".to_owned(),
        builder: "s390x".to_owned(),
        display_name: "s390x Debian".to_owned(),
        attempt: 2,
        pull: pull_ref(),
        requester: "ada".to_owned(),
        commit: MERGE.to_owned(),
        parents: vec![MERGE.to_owned(), HEAD.to_owned()],
        tree: Some(TREE.to_owned()),
        head_sha: HEAD.to_owned(),
        base_ref: "main".to_owned(),
        image: Some("registry.example/build:1".to_owned()),
        image_digest: Some(format!("registry.example/build@sha256:{}", "5e".repeat(32))),
        worker: None,
        signed_logs: Vec::new(),
        result: RunResult::Failed,
        warning: false,
        exit_code: Some(2),
        reason: "2 tests failed".to_owned(),
        followed: false,
        same_as: None,
        queued_ms: 1_769_860_900_000,
        started_ms: Some(1_769_861_000_000),
        finished_ms: 1_769_861_720_000,
        steps: vec![
            report("Test", StepResult::Failed),
            report("Upload", StepResult::Skipped),
        ],
        failures: vec!["test_ssl".to_owned(), HOSTILE.to_owned()],
        failures_total: 12,
    }
}

fn report(name: &str, result: StepResult) -> StepReport {
    StepReport {
        name: name.to_owned(),
        result,
        exit_code: None,
        seconds: 1.5,
    }
}
