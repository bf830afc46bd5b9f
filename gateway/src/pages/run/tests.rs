//! What the pages of runs answer, from the address to the text.

mod missing;

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use protocol::record::{BuilderHistory, HistoryRun, RunRecord, RunResult};
use serde_json::{Value, json};

use super::testing::Writer;
use crate::{
    pages::{Site, router, samples::*, words},
    records::RecordKey,
};

const MARKS: &str = concat!(
    "{\"at\":0,\"ms\":1769861000000,\"mark\":\"step\",\"n\":0,\"name\":\"Check out\"}\n",
    "{\"at\":8,\"ms\":1769861002000,\"mark\":\"end\",\"n\":0,\"result\":\"Passed\",\"exit\":0}\n",
    "{\"at\":8,\"ms\":1769861002000,\"mark\":\"step\",\"n\":1,\"name\":\"Test <b>\"}\n",
);

/// A site with the record of a run, and its writer.
async fn recorded(record: &RunRecord) -> (Arc<Site>, Writer) {
    let site = site(&[]);
    keep(&site, RecordKey::run("app", &record.uid), record).await;
    let writer = Writer::new(site.app.clone(), &record.uid);
    (site, writer)
}

async fn page(site: &Arc<Site>, path: &str) -> String {
    let (status, body) = get(site, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

async fn asked(
    site: &Arc<Site>,
    path: &str,
    name: &str,
    value: &str,
) -> (StatusCode, HeaderMap, Body) {
    let request = Request::get(path).header(name, value).body(Body::empty());
    let mut router = router(site.clone());
    let answer = tower_service::Service::call(&mut router, request.unwrap());
    let (parts, body) = answer.await.unwrap().into_parts();
    (parts.status, parts.headers, body)
}

async fn text(body: Body) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_recorded_run_says_what_happened_whose_fault_it_is_and_opens_the_failed_step() {
    let (site, writer) = recorded(&run_record("r1")).await;
    let elsewhere = |number: i64| HistoryRun {
        run: format!("run-{number}"),
        repository: "app".to_owned(),
        number,
        head_sha: HEAD.to_owned(),
        base_ref: "main".to_owned(),
        result: RunResult::Failed,
        warning: false,
        finished_ms: 1_769_861_000_000 + number,
        seconds: Some(60.0),
        failures: vec!["test_ssl".to_owned()],
    };
    let history = BuilderHistory {
        runs: (10..14).map(elsewhere).collect(),
        ..builder_history("s390x", 0)
    };
    keep(&site, RecordKey::builder("s390x"), &history).await;
    writer.marks(MARKS).await;
    writer.log("cloning\nFAIL: test_ssl\n").await;
    writer.end().await;
    let page = page(&site, "/r/app/runs/r1").await;
    for part in [
        "<title>✕ #7 s390x Debian – PrBuild</title>",
        "<strong class=\"failed\">Failed</strong>: 2 tests failed.",
        "Took <span>12 min</span>",
        "after waiting 1 min 40 s",
        "attempt 2",
        "href=\"https://github.example/octo/app/commit/feed5eed",
        "with the tree <code title=\"7ee7ee7ee7ee00112233feed5eed00112233feed\">7ee7ee7ee7</code>",
        "Image <code>registry.example/build:1</code>, that is <code>registry.example/build@sha256:5e5e",
        "12 failing tests",
        "also failed in 4 of this builder’s last 4 builds, on other pull requests",
        "and 10 more",
        "data-step=\"0\" data-lazy",
        "data-step=\"1\" open",
        "Test &lt;b&gt;",
        "skipped</span>",
        "<div class=\"line\" id=\"L2\"><a href=\"#L2\">2</a><time>12:03:22</time><span>FAIL: test_ssl</span></div>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(
        !page.contains("id=\"L1\"") && !page.contains("data-live"),
        "{page}"
    );
    assert!(
        !page.contains("<img") && !page.contains("\u{202e}"),
        "{page}"
    );
}

#[tokio::test]
async fn the_first_screen_of_a_long_log_is_small_and_the_rest_is_one_link_away() {
    let (site, writer) = recorded(&run_record("r1")).await;
    writer.marks(MARKS).await;
    let lines: String = (1..=60_000).map(|n| format!("line {n:05} <&>\n")).collect();
    writer.log("cloning\n").await;
    writer.log(&lines).await;
    writer.end().await;
    let first = page(&site, "/r/app/runs/r1").await;
    assert!(first.len() < 100_000, "{}", first.len());
    assert!(first.contains("59,700 earlier lines") && first.contains("id=\"L60001\""));
    let before = page(&site, "/r/app/runs/r1/lines?before=59702").await;
    assert!(
        before.starts_with("<a class=\"more earlier\" href=\"?before=59402#step-1\""),
        "{before}"
    );
    assert!(
        before.ends_with("line 59700 &lt;&amp;&gt;</span></div>"),
        "{before}"
    );
    let from = page(&site, "/r/app/runs/r1?from=2").await;
    assert!(from.contains("line 00001") && from.contains("59,700 later lines"));
    let line = page(&site, "/r/app/runs/r1?line=3").await;
    assert!(
        line.contains("id=\"L3\"") && !line.contains("id=\"L1\""),
        "its step is open"
    );
    let step = page(&site, "/r/app/runs/r1/lines?step=0").await;
    assert!(
        step.starts_with("<div class=\"line\" id=\"L1\">")
            && step.ends_with("cloning</span></div>"),
        "{step}"
    );
    let nonsense = page(&site, "/r/app/runs/r1?from=-1&before=x&step=zz&q=").await;
    assert!(nonsense.contains("id=\"L60001\""));
    let twice = page(&site, "/r/app/runs/r1?from=1&from=2").await;
    assert!(twice.contains("id=\"L60001\""));
}

#[tokio::test]
async fn s30_nothing_that_a_log_says_becomes_part_of_the_page() {
    let (site, writer) = recorded(&run_record("r1")).await;
    let summary = json!({ "at": 8, "ms": 1, "mark": "summary", "n": 1, "text": "<script>alert(1)</script>![x](https://x/y)" });
    writer.marks(&format!("{MARKS}{summary}\n")).await;
    let attacks = concat!(
        "cloning\n<script>alert(1)</script>\n\"><img src=x onerror=1>\n\u{1b}]8;;javascript:alert(1)\u{1b}\\x\u{1b}]8;;\u{1b}\\\n",
        "\u{1b}]52;c;aGk=\u{7}\n\u{9b}31m \u{202e} \0 \n::group::<script>\n::error file=\"><script>::<script>\n",
        "</div></details></section><form action=//evil.example>\n<meta http-equiv=refresh content=0>\n",
    );
    writer.log(attacks).await;
    writer.end().await;
    for path in [
        "/r/app/runs/r1",
        "/r/app/runs/r1/lines?step=1",
        "/r/app/runs/r1?q=script",
    ] {
        let page = page(&site, path).await;
        for tag in [
            "<script>",
            "<img",
            "href=\"javascript",
            "<form action",
            "<meta http-equiv=refresh",
            "\u{1b}",
            "\u{9b}",
            "\u{202e}",
            "\0",
        ] {
            assert!(!page.contains(tag), "{tag:?} in {path}: {page}");
        }
    }
    let (_, headers, body) = asked(&site, "/r/app/runs/r1.txt", "accept", "*/*").await;
    assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(
        headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    assert_eq!(text(body).await, attacks);
}

#[tokio::test]
async fn a_search_works_without_a_script_and_leads_to_the_line() {
    let (site, writer) = recorded(&run_record("r1")).await;
    writer.log("one\ntwo <needle>\nthree\n").await;
    writer.end().await;
    let found = page(&site, "/r/app/runs/r1?q=%3CNEEDLE%3E").await;
    let hit = "<a href=\"?line=2#L2\">2</a><span>two <mark>&lt;needle&gt;</mark></span>";
    assert!(found.contains(hit), "{found}");
    assert!(found.contains("value=\"&lt;NEEDLE&gt;\""), "{found}");
    let none = page(&site, "/r/app/runs/r1?q=nowhere").await;
    assert!(none.contains("No line has"), "{none}");
}

#[tokio::test]
async fn the_text_is_sent_whole_or_in_part() {
    let (site, writer) = recorded(&run_record("r1")).await;
    writer.log("0123456789").await;
    let path = "/r/app/runs/r1.txt";
    let (status, headers, body) = asked(&site, path, "range", "bytes=2-4").await;
    assert_eq!(status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(headers[header::CONTENT_RANGE], "bytes 2-4/10");
    assert_eq!(text(body).await, "234");
    let (status, headers, _) = asked(&site, path, "range", "bytes=10-").await;
    assert_eq!(
        (status, &headers[header::CONTENT_RANGE]),
        (
            StatusCode::RANGE_NOT_SATISFIABLE,
            &"bytes */10".parse().unwrap()
        )
    );
    let (status, headers, body) = asked(&site, path, "accept", "*/*").await;
    assert_eq!(
        (status, &headers[header::CONTENT_LENGTH]),
        (StatusCode::OK, &"10".parse().unwrap())
    );
    assert_eq!(text(body).await, "0123456789");
}

#[tokio::test]
async fn a_run_that_waits_says_its_place_and_one_that_starts_that_its_log_will_come() {
    let waiting = json!({ "phase": "Queued", "waiting": { "reason": "3 ahead on s390x", "ahead": 3, "since": "2026-01-31T12:00:05Z" } });
    let site = site(&[
        run("app-7-l1", "s390x", 1, waiting),
        run("app-7-l1", "x86", 1, json!({ "phase": "Dispatched" })),
    ]);
    let waits = page(&site, "/r/app/runs/run-s390x-1").await;
    assert!(
        waits.contains("Waiting</strong>: 3 ahead on s390x."),
        "{waits}"
    );
    assert!(waits.contains("once the run has a machine"), "{waits}");
    let told = page(&site, "/r/app/runs/run-s390x-1/state").await;
    assert_eq!(told, "waiting: 3 ahead on s390x");
    assert!(waits.contains(&format!("data-told=\"{told}\"")), "{waits}");
    assert!(
        waits.contains("<noscript><meta http-equiv=\"refresh\" content=\"15\">"),
        "{waits}"
    );
    let starts = page(&site, "/r/app/runs/run-x86-1").await;
    assert!(starts.contains("appears here as it is written"), "{starts}");
    let (status, _) = get(&site, "/r/other/runs/run-x86-1").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_run_that_goes_on_says_how_long_it_usually_takes() {
    let site = site(&[
        run("app-7-l1", "s390x", 1, json!({ "phase": "Queued" })),
        run(
            "app-7-l1",
            "x86",
            1,
            json!({ "phase": "Running", "startedAt": "2026-01-31T12:00:05Z" }),
        ),
    ]);
    for builder in ["s390x", "x86"] {
        let history = builder_history(builder, 40);
        keep(&site, RecordKey::builder(builder), &history).await;
    }
    let usual = builder_history("x86", 40).expected_seconds().unwrap();
    let usual = words::duration(usual);
    let waits = page(&site, "/r/app/runs/run-s390x-1").await;
    let said = format!("It usually takes {usual}.");
    assert!(waits.contains(&said), "{said} {waits}");
    let runs = page(&site, "/r/app/runs/run-x86-1").await;
    let said = format!("(usually {usual})");
    assert!(runs.contains(&said), "{said} {runs}");
}

#[tokio::test]
async fn a_running_log_is_followed_from_where_the_page_ends() {
    let running = json!({ "phase": "Running", "startedAt": "2026-01-31T12:00:05Z" });
    let site = site(&[run("app-7-l1", "x86", 1, running)]);
    let writer = Writer::new(site.app.clone(), "run-x86-1");
    writer.marks(MARKS).await;
    writer.log("cloning\nrunning\nhal").await;
    let first = page(&site, "/r/app/runs/run-x86-1").await;
    assert!(
        first.contains("data-live=\"16\"") && !first.contains(">hal<"),
        "{first}"
    );
    assert!(first.contains("data-step=\"1\" open"), "{first}");
    let (status, headers, body) = asked(
        &site,
        "/r/app/runs/run-x86-1/live?from=0",
        "last-event-id",
        "16",
    )
    .await;
    assert_eq!(
        (status, &headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"text/event-stream".parse().unwrap())
    );
    writer.log("f\n").await;
    writer.end().await;
    let events = text(body).await;
    assert!(
        events.contains("id: 21\nevent: lines\ndata: <div class=\"line\" id=\"L3\">"),
        "{events}"
    );
    assert!(
        events.ends_with("event: end\ndata: \n\n") && !events.contains("running<"),
        "{events}"
    );
}

#[tokio::test]
async fn the_same_is_told_as_json() {
    let (site, writer) = recorded(&run_record("r1")).await;
    writer.marks(MARKS).await;
    writer.log("cloning\nx\n").await;
    writer.end().await;
    let told: Value = serde_json::from_str(&page(&site, "/r/app/runs/r1.json").await).unwrap();
    assert_eq!(told["state"], "failed");
    assert_eq!(told["failures"][1]["name"], HOSTILE);
    assert_eq!(told["steps"][1]["result"], "Failed");
    assert_eq!(told["steps"][2]["name"], "Upload");
    let log = json!({
        "state": "ended", "size": 10, "lines": 2, "leftOut": 0, "unfinished": false,
        "endLater": false, "storeIsDown": false, "text": "/r/app/runs/r1.txt",
    });
    assert_eq!(told["log"], log);
}
