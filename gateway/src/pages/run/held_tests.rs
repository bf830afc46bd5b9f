//! What the page of a run says where some of its log is kept away.

use std::sync::Arc;

use http::StatusCode;
use protocol::log::LogLimits;
use serde_json::{Value, json};

use super::testing::Writer;
use crate::{
    pages::{Site, samples::*},
    records::RecordKey,
    testing::faulty::Faulty,
};

async fn page(site: &Arc<Site>, path: &str) -> String {
    let (status, body) = get(site, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

/// A run that goes on.
fn running() -> Value {
    let status = json!({ "phase": "Running", "startedAt": "2026-01-31T12:00:05Z" });
    run("app-7-l1", "x86", 1, status)
}

const RUNNING: &str = "/r/app/runs/run-x86-1";
const STORE_NOTE: &str = "The store of logs is away or full.";

/// The page of the run that goes on, what an open page is told of it, and what its JSON says of the log.
async fn told(site: &Arc<Site>) -> (String, String, Value) {
    let html = page(site, RUNNING).await;
    let state = page(site, &format!("{RUNNING}/state")).await;
    let json: Value = serde_json::from_str(&page(site, &format!("{RUNNING}.json")).await).unwrap();
    assert!(html.contains(&format!("data-told=\"{state}\"")), "{html}");
    (html, state, json["log"].clone())
}

#[tokio::test]
async fn a_page_says_that_the_store_is_down_or_full_until_it_works_again() {
    let ways: [fn(&Faulty); 2] = [
        |objects| objects.fail_after(0, false),
        Faulty::refuse_writes,
    ];
    for breaks in ways {
        let objects = Faulty::default();
        let site = site_on(Arc::new(objects.clone()), &[running()]);
        let writer = Writer::new(site.app.clone(), "run-x86-1");
        writer.log("cloning\n").await;
        site.app.logs.stop().await;
        let (html, state, log) = told(&site).await;
        assert!(!html.contains(STORE_NOTE), "{html}");
        assert!(!state.contains("store"), "{state}");
        assert_eq!(log["storeIsDown"], false);
        breaks(&objects);
        writer.log("testing\n").await;
        site.app.logs.stop().await;
        let (html, state, log) = told(&site).await;
        assert!(
            html.contains(STORE_NOTE) && html.contains(">testing<"),
            "{html}"
        );
        assert!(
            state.ends_with("; the store of logs is away or full"),
            "{state}"
        );
        assert_eq!(log["storeIsDown"], true);
        objects.heal();
        writer.log("done\n").await;
        site.app.logs.stop().await;
        site.app.records.builder("x86").await.unwrap();
        let (html, state, log) = told(&site).await;
        assert!(!html.contains(STORE_NOTE), "{html}");
        assert!(!state.contains("store"), "{state}");
        assert_eq!(log["storeIsDown"], false);
    }
}

#[tokio::test]
async fn a_run_of_which_a_full_store_took_nothing_says_so() {
    let objects = Faulty::default();
    let site = site_on(Arc::new(objects.clone()), &[running()]);
    let (html, _, log) = told(&site).await;
    assert!(html.contains("has printed nothing yet"), "{html}");
    assert_eq!(log["state"], "notYet");
    objects.refuse_writes();
    let key = RecordKey::builder("x86").unwrap();
    let refused = site.app.records.put(&key, "{}".into()).await;
    assert!(refused.is_err());
    let (html, _, log) = told(&site).await;
    assert!(
        html.contains(STORE_NOTE) && !html.contains("has printed nothing yet"),
        "{html}"
    );
    assert_eq!(log["state"], "storeIsDown");
    assert_eq!(log["storeIsDown"], true);
}

#[tokio::test]
async fn a_log_that_grew_longer_than_may_be_kept_says_when_its_end_appears() {
    const NOTE: &str = "This log is longer than may be kept; its end appears when the run ends.";
    let site = site(&[running()]);
    let writer = Writer::new(site.app.clone(), "run-x86-1");
    let head = LogLimits::of(LOG_LIMIT).head;
    let line = "0123456789abcde\n";
    let lines = head as usize / line.len();
    writer.log(&line.repeat(lines - 1)).await;
    let (html, _, log) = told(&site).await;
    assert!(!html.contains(NOTE), "{html}");
    assert_eq!(log["endLater"], false);
    writer.log(line).await;
    let (html, state, log) = told(&site).await;
    assert!(html.contains(NOTE), "{html}");
    assert!(
        state.ends_with("; the end of the log comes later"),
        "{state}"
    );
    assert_eq!(log["endLater"], true);
    writer.end().await;
    let (html, _, log) = told(&site).await;
    assert!(!html.contains(NOTE), "{html}");
    assert_eq!(log["endLater"], false);
}
