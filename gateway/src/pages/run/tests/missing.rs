//! What is said of a log that is not there, not whole, or not the one that a worker signed.

use protocol::log::{LogDigest, Stream};

use super::*;
use crate::testing::sha256;

#[tokio::test]
async fn a_log_that_is_not_there_says_why() {
    let mut never = run_record("never");
    never.started_ms = None;
    let mut twin = run_record("twin");
    twin.same_as = Some("other".to_owned());
    let mut lately = run_record("lately");
    lately.finished_ms = jiff::Timestamp::now().as_millisecond() - 3000;
    for (record, why) in [
        (run_record("gone"), "kept for 90 days"),
        (lately, "its log is on its way"),
        (never, "ended before it printed anything"),
        (twin, "href=\"/r/app/runs/other\""),
    ] {
        let (site, _) = recorded(&record).await;
        let page = page(&site, &format!("/r/app/runs/{}", record.uid)).await;
        assert!(page.contains(why), "{why} in {page}");
    }
    let site = site(&[]);
    for path in [
        "/r/app/runs/unknown",
        "/r/app/runs/..%2Fx",
        "/r/app/runs/unknown.txt",
        "/r/app/runs/x/live",
        "/r/app/runs/x/state",
        "/r/app/runs/x/lines",
    ] {
        let (status, body) = get(&site, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(body.contains("90 days"), "{body}");
    }
}

#[tokio::test]
async fn a_log_whose_end_may_be_missing_says_so() {
    let (site, writer) = recorded(&run_record("r1")).await;
    writer.log("hal").await;
    let late = page(&site, "/r/app/runs/r1").await;
    assert!(
        late.contains("the end of its log has not arrived"),
        "{late}"
    );
    writer.end_unfinished().await;
    let cut = page(&site, "/r/app/runs/r1").await;
    assert!(cut.contains("The end of the log may be missing"), "{cut}");
    let told: Value = serde_json::from_str(&page(&site, "/r/app/runs/r1.json").await).unwrap();
    assert_eq!(told["log"]["unfinished"], true);
}

/// What is said of the log of a run on a worker that signed these digests of log and marks, once all is stored.
async fn said_of_signed(log: &str, marks: &str) -> (String, Value) {
    let digest = |stream: Stream, bytes: usize, text: &str| LogDigest {
        stream,
        bytes: bytes as u64,
        sha256: sha256(text.as_bytes()),
    };
    let mut on_a_worker = run_record("r1");
    on_a_worker.worker = Some("mac".to_owned());
    on_a_worker.signed_logs = vec![
        digest(Stream::Log, 8, log),
        digest(Stream::Marks, MARKS.len(), marks),
    ];
    let (site, writer) = recorded(&on_a_worker).await;
    writer.marks(MARKS).await;
    writer.log("cloning\n").await;
    writer.end().await;
    loop {
        let told = page(&site, "/r/app/runs/r1.json").await;
        let told: Value = serde_json::from_str(&told).unwrap();
        if !told["log"]["signed"].is_null() {
            return (page(&site, "/r/app/runs/r1").await, told);
        }
        // The log becomes one file.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_log_that_is_not_the_one_that_its_worker_signed_says_so() {
    let (html, told) = said_of_signed("cloning\n", MARKS).await;
    assert_eq!(told["log"]["signed"], "same");
    assert_eq!(told["worker"], "mac");
    assert!(html.contains("is the one that its worker signed"), "{html}");
    assert!(html.contains("On the worker <code>mac</code>"), "{html}");
    for (log, marks) in [("clowning", MARKS), ("cloning\n", "other marks")] {
        let (html, told) = said_of_signed(log, marks).await;
        assert_eq!(told["log"]["signed"], "unproven");
        assert!(html.contains("It cannot be told whether"), "{html}");
    }
}
