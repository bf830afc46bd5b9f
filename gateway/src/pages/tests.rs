//! What the pages answer, from the address to the text.

mod hostile;

use std::sync::Arc;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Site, samples::*};
use crate::records::RecordKey;

async fn as_json(site: &Arc<Site>, path: &str) -> Value {
    let (status, body) = get(site, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn waiting(reason: &str, ahead: i32) -> Value {
    json!({ "phase": "Queued", "waiting": { "reason": reason, "ahead": ahead, "since": "2026-01-31T12:00:05Z" } })
}

fn running() -> Value {
    json!({ "phase": "Running", "startedAt": "2026-01-31T12:00:05Z" })
}

fn live_build() -> Vec<Value> {
    let status = json!({
        "phase": "Running", "summary": "1 running, 1 waiting", "counts": { "total": 2, "running": 1, "queued": 1 },
    });
    vec![
        builder("s390x", "s390x", Some("tier-2")),
        build("app-7-l1", &["s390x", "x86"], status),
        run("app-7-l1", "x86", 1, running()),
        run("app-7-l1", "s390x", 1, waiting("3 ahead on s390x", 3)),
    ]
}

#[tokio::test]
async fn the_overview_says_what_runs_and_what_waits_with_its_exact_place() {
    let site = site(&live_build());
    let (status, page) = get(&site, "/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        page.contains("<title>◐ 1 build under way – PrBuild</title>"),
        "{page}"
    );
    assert!(page.contains("3 ahead on s390x"));
    assert!(page.contains("href=\"/r/app/builds/app-7-l1\""));
    let json = as_json(&site, "/overview.json").await;
    assert_eq!(json["waiting"][0]["reason"], "3 ahead on s390x");
    assert_eq!(json["waiting"][0]["since"], "2026-01-31T12:00:05Z");
    assert_eq!(json["builds"][0]["state"], "running");
}

#[tokio::test]
async fn an_overview_of_nothing_is_calm() {
    let (_, page) = get(&site(&[]), "/").await;
    assert!(
        page.contains("Nothing runs") && !page.contains("class=\"note\""),
        "{page}"
    );
}

#[tokio::test]
async fn a_hundred_builders_that_wait_for_the_same_are_one_entry() {
    let names: Vec<String> = (0..100).map(|n| format!("b{n}")).collect();
    let builders: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut objects = vec![build("app-7-l1", &builders, json!({ "phase": "Running" }))];
    objects.extend(builders.iter().map(|name| {
        run(
            "app-7-l1",
            name,
            1,
            waiting("the checks of its commit are not green yet", 0),
        )
    }));
    let site = site(&objects);
    let json = as_json(&site, "/overview.json").await;
    assert_eq!(json["waiting"].as_array().unwrap().len(), 1);
    assert_eq!(json["waiting"][0]["builders"], 100);
    assert!(get(&site, "/").await.1.contains("100 builders"));
}

#[tokio::test]
async fn a_cluster_that_was_never_read_is_no_calm_one() {
    let mut site = site(&[]);
    Arc::get_mut(&mut site).unwrap().cluster = Arc::default();
    let (status, page) = get(&site, "/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("No cluster is followed here"), "{page}");
}

#[tokio::test]
async fn a_live_build_shows_who_asked_for_what_and_where_each_builder_stands() {
    let site = site(&live_build());
    let (status, page) = get(&site, "/r/app/builds/app-7-l1").await;
    assert_eq!(status, StatusCode::OK);
    for said in [
        "refleaks build of #7",
        "ada asked for it with the label <code>test-with-refleaks</code>",
        "title=\"c0ffee0123456789c0ffee0123456789c0ffee01\">c0ffee0123</code>, merged into main",
        "href=\"https://github.example/octo/app/pull/7\"",
        "href=\"/r/app/runs/run-x86-1\"",
        "3 ahead on s390x",
        "data-again=\"5\"",
        "<noscript><meta http-equiv=\"refresh\"",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
}

#[tokio::test]
async fn a_live_build_says_since_when_the_cluster_does_not_answer() {
    let path = "/r/app/builds/app-7-l1";
    let site = site(&live_build());
    assert!(!get(&site, path).await.1.contains("does not answer"));
    let long_ago = Timestamp::now() - SignedDuration::from_mins(5);
    site.cluster.is_away(long_ago);
    let (_, page) = get(&site, path).await;
    assert!(page.contains("The cluster does not answer since"), "{page}");
    let json = as_json(&site, "/r/app/builds/app-7-l1.json").await;
    assert!(json["note"].as_str().unwrap().contains("may have changed"));
}

#[tokio::test]
async fn a_builder_that_is_tried_again_waits_and_names_the_attempt_before() {
    let status = json!({
        "phase": "Running", "counts": { "total": 1, "queued": 1 },
        "results": [{ "builder": "x86", "attempt": 2, "phase": "Queued" }],
    });
    let failed = json!({ "phase": "Error", "outcome": { "reason": "the node went away", "retryable": true } });
    let mut objects = vec![
        build("app-7-l1", &["x86"], status),
        run("app-7-l1", "x86", 1, failed),
    ];
    let between = as_json(&site(&objects), "/r/app/builds/app-7-l1.json").await;
    assert_eq!(between["builders"][0]["state"], "waiting");
    assert_eq!(
        between["builders"][0]["reason"],
        "another attempt is queued"
    );
    objects.push(run("app-7-l1", "x86", 2, running()));
    let then = as_json(&site(&objects), "/r/app/builds/app-7-l1.json").await;
    assert_eq!(then["builders"][0]["state"], "running");
    assert_eq!(
        then["builders"][0]["earlier"],
        json!([{ "attempt": 1, "run": "run-x86-1", "state": "error" }])
    );
}

#[tokio::test]
async fn a_build_whose_objects_are_gone_is_told_from_its_record() {
    let site = site(&[]);
    keep(
        &site,
        RecordKey::build("app", "app-7-l2"),
        &build_record("app-7-l2"),
    )
    .await;
    let (status, page) = get(&site, "/r/app/builds/app-7-l2").await;
    assert_eq!(status, StatusCode::OK);
    for said in [
        "<title>✕ Build of #7 – PrBuild</title>",
        "href=\"/r/app/runs/run-of-s390x\"",
        "12 min",
        "test_ssl",
        "attempt 2",
        "needs a review of this commit",
        "href=\"/r/app/builds/app-7-l1\"",
        "It took 15 min",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(
        !page.contains("data-again"),
        "what is over is not looked at again"
    );
}

#[tokio::test]
async fn a_pull_request_has_each_build_once_whether_live_or_kept() {
    let mut objects = live_build();
    let ended = json!({ "phase": "Complete", "result": "Passed", "summary": "1 passed" });
    objects.push(build("app-7-l0", &[], ended));
    let site = site(&objects);
    keep(
        &site,
        RecordKey::pull("app", "7"),
        &pull_history(&["app-7-l0", "app-7-k9"]),
    )
    .await;
    let json = as_json(&site, "/r/app/pull/7.json").await;
    let builds = json["builds"].as_array().unwrap();
    let names: Vec<&str> = builds
        .iter()
        .map(|build| build["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["app-7-l1", "app-7-l0", "app-7-k9"]);
    assert_eq!(
        builds[1]["matrix"][0]["cells"][0]["run"], "run-of-app-7-l0",
        "the history keeps builders longer"
    );
    let (_, page) = get(&site, "/r/app/pull/7").await;
    assert!(
        page.contains("<title>◐ #7 octo/app – PrBuild</title>"),
        "{page}"
    );
}

#[tokio::test]
async fn builders_say_their_load_and_their_last_results() {
    let mut objects = live_build();
    objects.push(builder("quiet", "Quiet one", None));
    let site = site(&objects);
    keep(
        &site,
        RecordKey::builder("quiet"),
        &builder_history("quiet", 60),
    )
    .await;
    let json = as_json(&site, "/builders.json").await;
    let row = |name: &str| {
        json["builders"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (
            &row("s390x")["running"],
            &row("s390x")["queued"],
            &row("s390x")["limit"]
        ),
        (&json!(0), &json!(1), &json!(2))
    );
    assert_eq!(row("quiet")["last"].as_array().unwrap().len(), 40);
    let (_, page) = get(&site, "/builders").await;
    assert!(page.contains("0 of 2 running</span>, 1 waiting"), "{page}");
    assert!(
        page.contains("The last 40 runs: 26 passed, 14 failed"),
        "{page}"
    );
}

#[tokio::test]
async fn a_builder_says_which_of_its_workers_are_quarantined_why_and_until_when() {
    let why = "its machine ended 3 runs in a row (no disk </p>); it is tried again at 12:10 UTC";
    let site = site(&[
        builder_on_macs("macos"),
        builder("linux", "Linux", None),
        mac("good", &[("Ready", "True", "it takes runs")]),
        mac("away", &[("Ready", "False", "offline since 11:58 UTC")]),
        mac(
            "bad",
            &[("Ready", "False", "offline"), ("Quarantined", "True", why)],
        ),
    ]);
    let escaped = why.replace("</p>", "&lt;/p&gt;");
    for path in ["/builders", "/builders/macos"] {
        let (_, page) = get(&site, path).await;
        let bad = format!("▲ Worker <code>bad</code> is quarantined: {escaped}");
        assert!(page.contains(&bad), "{path}: {page}");
        let away = "Worker <code>away</code> takes no runs: offline since 11:58 UTC";
        assert!(page.contains(away), "{path}: {page}");
        assert!(!page.contains("<code>good</code>"), "{path}: {page}");
        assert!(!page.contains("ada@example.org"), "{path}: {page}");
    }
    let json = as_json(&site, "/builders/macos.json").await;
    let names = json["now"]["workers"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|worker| worker["name"].clone()).collect();
    assert_eq!(names, ["away", "bad", "good"]);
    let linux = as_json(&site, "/builders/linux.json").await;
    assert_eq!(linux["now"]["workers"], json!(null));
}

#[tokio::test]
async fn a_builder_shows_its_history_also_when_it_is_gone() {
    let site = site(&[builder("s390x", "s390x Debian", None)]);
    for name in ["s390x", "gone"] {
        keep(&site, RecordKey::builder(name), &builder_history(name, 200)).await;
    }
    let (_, page) = get(&site, "/builders/s390x").await;
    assert!(
        page.contains("Of the last 200 runs 133 passed, 67 failed (66 % of these passed)"),
        "{page}"
    );
    assert!(page.contains("in 67 runs, 5 pull requests") && page.contains("make test"));
    let (status, page) = get(&site, "/builders/gone").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("This builder is gone"), "{page}");
    assert_eq!(
        as_json(&site, "/builders/gone.json").await["numbers"]["passPercent"],
        66
    );
}

#[tokio::test]
async fn what_is_not_known_is_a_plain_404_that_says_what_is_kept() {
    let site = site(&live_build());
    for path in [
        "/r/app/builds/app-7-l9",
        "/r/other/builds/app-7-l1",
        "/r/app/pull/8",
        "/r/app/pull/07",
        "/r/app/pull/x",
        "/r/app/pull/99999999999999999999999",
        "/builders/none",
        "/builders/..%2f..%2fetc",
        "/r/%2e%2e/builds/%00",
    ] {
        let (status, page) = get(&site, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(page.contains("kept for 90 days"), "{path}: {page}");
    }
    let (status, page) = get(&site, "/wp-admin.php").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("There is no such page"));
    let (_, json) = get(&site, "/builders/none.json").await;
    assert!(json.starts_with("{\"because\":"), "{json}");
}
