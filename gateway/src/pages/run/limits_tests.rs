//! Pages of logs that are as large and as odd as a build can make them.

use std::sync::Arc;

use http::StatusCode;
use protocol::log::Stream;
use serde_json::{Value, json};

use super::testing::Writer;
use crate::{
    logs::READ_LIMIT,
    names::RunKey,
    pages::{Site, samples::*},
    records::RecordKey,
};

/// Bytes of the first screen, and of what is loaded afterwards.
const SCREEN: usize = 100_000;
/// Bytes of one stream that are not stored yet, at most: what waits, what is taken at once, and what is held back.
const WAITING: u64 = (1 << 20) + READ_LIMIT + (64 << 10);

/// Its only step, which fails.
const STEP: &str = "{\"at\":0,\"ms\":1000,\"mark\":\"step\",\"n\":1,\"name\":\"Test\"}\n";

async fn begun() -> (Arc<Site>, Writer) {
    let site = site(&[]);
    keep(&site, RecordKey::run("app", "r1"), &run_record("r1")).await;
    let writer = Writer::new(site.app.clone(), "r1");
    (site, writer)
}

/// A page, which is no larger than a first screen may be.
async fn screen(site: &Arc<Site>, end: &str) -> String {
    let (status, body) = get(site, &format!("/r/app/runs/r1{end}")).await;
    assert_eq!(status, StatusCode::OK, "{end}: {body}");
    assert!(body.len() < SCREEN, "{end}: {}", body.len());
    body
}

/// Writes the same bytes again and again. What is not stored yet stays little.
async fn flood(site: &Site, writer: &Writer, piece: &[u8], times: usize) {
    let key = RunKey::new("app", "r1").unwrap();
    for _ in 0..times {
        writer.push(Stream::Log, piece).await;
        let run = site.app.logs.in_memory(&key).unwrap();
        let taken = run.stream(Stream::Log).taken();
        let waits = taken.received - taken.durable;
        assert!(waits <= WAITING, "{waits} bytes wait");
    }
}

/// Ends the log, and waits until it is one file.
async fn end(site: &Site, writer: &Writer) {
    writer.end().await;
    let run = site.app.logs.in_memory(&RunKey::new("app", "r1").unwrap());
    let run = run.unwrap();
    while site.app.logs.is_compacting(&run) {
        tokio::task::yield_now().await;
    }
    let archive = run.stream(Stream::Log).archive();
    let frames = archive.unwrap().index.frames.len();
    assert!(frames < 1000, "{frames} frames");
}

/// All that who follows the log from its beginning is sent.
async fn followed(site: &Arc<Site>) -> String {
    let events = screen(site, "/live?from=0").await;
    assert!(events.ends_with("event: end\ndata: \n\n"), "{events}");
    events
}

#[tokio::test]
async fn ten_million_empty_lines_are_pages_like_any_other() {
    const LINES: usize = 10_000_000;
    let (site, writer) = begun().await;
    writer.marks(STEP).await;
    writer.log("first\n").await;
    flood(&site, &writer, &vec![b'\n'; LINES / 10], 10).await;
    writer.log("needle\n").await;
    let last = LINES + 2;
    for has_ended in [false, true] {
        if has_ended {
            end(&site, &writer).await;
        }
        let first = screen(&site, "").await;
        assert!(first.contains(&format!("id=\"L{last}\"")), "{first}");
        assert!(first.contains(" earlier lines"), "{first}");
        for (asked, line) in [
            ("?line=5000000", 5_000_000),
            ("?from=9000000", 9_000_000),
            ("/lines?before=5000001", 5_000_000),
            ("/lines?from=10000000", 10_000_000),
        ] {
            let page = screen(&site, asked).await;
            assert!(page.contains(&format!("id=\"L{line}\"")), "{asked}: {page}");
        }
        let told: Value = serde_json::from_str(&screen(&site, ".json").await).unwrap();
        assert_eq!(told["log"]["lines"], last);
    }
    let found = screen(&site, "?q=needle").await;
    assert!(found.contains("1 line has"), "{found}");
    assert!(
        found.contains(&format!("href=\"?line={last}#L{last}\"")),
        "{found}"
    );
    let events = followed(&site).await;
    assert!(events.contains("event: gap") && events.contains(&format!("id=\"L{last}\"")));
}

#[tokio::test]
async fn one_line_of_fifty_megabytes_is_a_line_of_a_page() {
    const PIECE: usize = 1 << 20;
    let (site, writer) = begun().await;
    let piece = vec![b'.'; PIECE];
    writer.marks(STEP).await;
    writer.log("first\n").await;
    flood(&site, &writer, &piece, 2).await;
    writer.log("a needle in the middle").await;
    flood(&site, &writer, &piece, 48).await;
    let grows = screen(&site, "").await;
    assert!(
        grows.contains("id=\"L1\"") && !grows.contains("id=\"L2\""),
        "{grows}"
    );
    writer.log("\nlast\n").await;
    end(&site, &writer).await;
    let page = screen(&site, "").await;
    assert!(
        page.contains("id=\"L3\"") && page.contains("2 earlier lines"),
        "{page}"
    );
    for asked in ["?line=2", "/lines?before=3"] {
        let page = screen(&site, asked).await;
        let cut = "… the line is cut here: all 52.4 MB are in the plain text";
        assert!(
            page.contains("id=\"L2\"") && page.contains(cut),
            "{asked}: {page}"
        );
    }
    let found = screen(&site, "?q=needle").await;
    let hit = ".a <mark>needle</mark> in the middle.";
    assert!(
        found.contains(hit) && found.contains("href=\"?line=2#L2\""),
        "{found}"
    );
    let events = followed(&site).await;
    assert!(
        events.contains("event: gap") && events.contains(">last<"),
        "{events}"
    );
}

#[tokio::test]
async fn the_first_screen_is_small_however_many_steps_have_long_summaries() {
    const STEPS: usize = 64;
    let (site, writer) = begun().await;
    let block = ("<".repeat(2000) + "\n").repeat(8);
    let summary = |n: usize| format!("## Step {n}\n\n{}END {n}", "* <b> & more\n\n".repeat(500));
    for n in 1..=STEPS {
        let at = (n - 1) * block.len();
        let result = if n == 40 { "Failed" } else { "Passed" };
        for mark in [
            json!({ "at": at, "ms": n, "mark": "step", "n": n, "name": "x".repeat(200) }),
            json!({ "at": at + block.len(), "ms": n, "mark": "summary", "n": n, "text": summary(n) }),
            json!({ "at": at + block.len(), "ms": n, "mark": "end", "n": n, "result": result }),
        ] {
            writer.marks(&format!("{mark}\n")).await;
        }
        writer.log(&block).await;
    }
    end(&site, &writer).await;
    let first = screen(&site, "").await;
    assert!(first.contains("data-step=\"40\" open"), "{first}");
    assert!(first.contains(&format!("id=\"L{}\"", 40 * 8)), "{first}");
    let links = first.matches("Show the summary").count();
    assert_eq!(links, STEPS, "none of them fits");
    assert!(first.contains("href=\"?summary=40#step-40\" data-lines=\"summary=40\""));
    let (_, whole) = get(&site, "/r/app/runs/r1?summary=40").await;
    assert!(whole.contains("<h2>Step 40</h2>") && whole.contains("END 40"));
    assert!(whole.contains("data-step=\"40\" open") && !whole.contains("END 39"));
    let (_, alone) = get(&site, "/r/app/runs/r1/lines?summary=39").await;
    assert!(
        alone.starts_with("<h2>Step 39</h2>") && alone.contains("END 39"),
        "{alone}"
    );
}
