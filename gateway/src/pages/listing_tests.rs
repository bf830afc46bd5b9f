//! No page lists the store: what it shows is found by names that are known. A listing takes the longer the
//! more there is, and a bucket takes money for it.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use protocol::log::{LogEnd, Stream};
use serde_json::{Value, json};

use super::{Site, router, routes, run, run::testing::Writer, samples::*};
use crate::{names::RunKey, records::RecordKey, testing::faulty::Faulty};

/// A log that this gateway takes in, one that another does, one that is one file, one that has ended and is
/// none yet; and a run without a log.
const WITH_LOG: [&str; 4] = ["run-here-1", "run-elsewhere-1", "archived", "ended"];
const WITHOUT_LOG: &str = "run-waits-1";

const MARKS: &str = concat!(
    "{\"at\":0,\"ms\":1000,\"mark\":\"step\",\"n\":1,\"name\":\"Build\"}\n",
    "{\"at\":4,\"ms\":2000,\"mark\":\"step\",\"n\":2,\"name\":\"Test\"}\n",
);
const LOG: &str = "one\ntwo\nthree\n";

/// Addresses at a route: of everything that is there in several ways, and of something that is not.
fn addresses(route: &str) -> Vec<String> {
    let runs = |ends: &[&str]| -> Vec<String> {
        let address = |run: &'static str| {
            ends.iter()
                .map(move |end| format!("/r/app/runs/{run}{end}"))
        };
        WITH_LOG.into_iter().flat_map(address).collect()
    };
    let of_run = |run: &str, end: &str| format!("/r/app/runs/{run}{end}");
    let plain: &[&str] = match route {
        "/" => &["/", "/?theme=dark"],
        "/overview.json" => &["/overview.json"],
        "/r/{repository}/pull/{number}" => {
            &["/r/app/pull/7", "/r/app/pull/7.json", "/r/app/pull/404"]
        }
        "/r/{repository}/builds/{name}" => &[
            "/r/app/builds/app-7-l1",
            "/r/app/builds/app-7-l1.json",
            "/r/app/builds/app-7-l0",
            "/r/app/builds/app-404-l1",
        ],
        "/builders" => &["/builders"],
        "/builders.json" => &["/builders.json"],
        "/builders/{name}" => &[
            "/builders/s390x",
            "/builders/s390x.json",
            "/builders/gone",
            "/builders/404",
        ],
        "/assets/{hash}/{file}" => &["/assets/any/style.css", "/assets/any/404"],
        "/r/{repository}/runs/{run}" => {
            let mut all = runs(&["", ".json", ".txt", "?q=two", "?line=2", "?before=3"]);
            all.extend(runs(&["?from=1", "?step=1"]));
            all.extend([of_run(WITHOUT_LOG, ""), of_run("404", "")]);
            return all;
        }
        "/r/{repository}/runs/{run}/lines" => {
            let mut all = runs(&["/lines?step=1", "/lines?from=1", "/lines?before=3"]);
            all.push(of_run("404", "/lines"));
            return all;
        }
        "/r/{repository}/runs/{run}/live" => {
            let mut all = runs(&["/live?from=0"]);
            all.push(of_run("404", "/live"));
            return all;
        }
        "/r/{repository}/runs/{run}/state" => {
            let mut all = runs(&["/state"]);
            all.extend([of_run(WITHOUT_LOG, "/state"), of_run("404", "/state")]);
            return all;
        }
        other => panic!("{other} is a route that is not looked at: say here what is there"),
    };
    plain.iter().map(|path| (*path).to_owned()).collect()
}

fn objects() -> Vec<Value> {
    let running = || json!({ "phase": "Running", "startedAt": "2026-01-31T12:00:05Z" });
    let waits = json!({ "phase": "Queued", "waiting": { "reason": "3 ahead", "ahead": 3, "since": "2026-01-31T12:00:05Z" } });
    vec![
        builder("s390x", "s390x Debian", Some("tier-2")),
        build(
            "app-7-l1",
            &["here", "elsewhere", "waits"],
            json!({ "phase": "Running" }),
        ),
        run("app-7-l1", "here", 1, running()),
        run("app-7-l1", "elsewhere", 1, running()),
        run("app-7-l1", "waits", 1, waits),
    ]
}

async fn write(site: &Site, uid: &str) -> Writer {
    let writer = Writer::new(site.app.clone(), uid);
    writer.marks(MARKS).await;
    writer.log(LOG).await;
    writer
}

/// Ends a log on a gateway that is stopped before it makes one file of it.
async fn end_and_no_more(site: &Site, uid: &str) {
    let key = RunKey::new("app", uid).unwrap();
    let run = site.app.logs.writer(&key, &"0".repeat(32)).await.unwrap();
    let end = LogEnd {
        log: run.stream(Stream::Log).taken().received,
        marks: run.stream(Stream::Marks).taken().received,
        left_out: 0,
        unfinished: false,
    };
    run.finish(end).await.unwrap();
}

/// Keeps logs and records of all kinds, and returns the writer of the log that another gateway takes in.
async fn fill(other: &Site) -> Writer {
    for uid in ["archived", "ended"] {
        keep(other, RecordKey::run("app", uid), &run_record(uid)).await;
    }
    let build = build_record("app-7-l0");
    keep(other, RecordKey::build("app", "app-7-l0"), &build).await;
    let pull = pull_history(&["app-7-l0"]);
    keep(other, RecordKey::pull("app", "7"), &pull).await;
    for name in ["s390x", "gone"] {
        let history = builder_history(name, 200);
        keep(other, RecordKey::builder(name), &history).await;
    }
    write(other, "archived").await.end().await;
    let key = RunKey::new("app", "archived").unwrap();
    let archived = other.app.logs.in_memory(&key).unwrap();
    while other.app.logs.is_compacting(&archived) {
        tokio::task::yield_now().await;
    }
    write(other, "ended").await;
    end_and_no_more(other, "ended").await;
    let grows = write(other, "run-elsewhere-1").await;
    other.app.logs.stop().await;
    grows
}

async fn answer(site: &Arc<Site>, path: &str) -> (StatusCode, Body) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let mut router = router(site.clone());
    let answer = tower_service::Service::call(&mut router, request)
        .await
        .unwrap();
    (answer.status(), answer.into_body())
}

/// Reads until something is there; all of it where it never is.
async fn read_until(body: &mut Body, what: &str) -> String {
    let mut text = String::new();
    while !text.contains(what)
        && let Some(frame) = body.frame().await
    {
        text += &String::from_utf8_lossy(&frame.unwrap().into_data().unwrap_or_default());
    }
    text
}

#[tokio::test]
async fn no_page_lists_the_store() {
    let store = Faulty::default();
    let other = site_on(Arc::new(store.clone()), &[]);
    let grows = fill(&other).await;
    let site = site_on(Arc::new(store.clone()), &objects());
    write(&site, "run-here-1").await;
    let lists = store.lists();
    let pages = routes().into_iter().map(|(route, _)| route);
    let of_runs = run::routes().into_iter().map(|(route, _)| route);
    for route in pages.chain(of_runs) {
        for path in addresses(route) {
            let (status, mut body) = answer(&site, &path).await;
            let is_there = !path.contains("404");
            assert_eq!(status.is_success(), is_there, "{path}: {status}");
            // A log that goes on is followed without end.
            let text = read_until(&mut body, "event: lines").await;
            assert!(!path.contains("/live?") || text.contains(">one<"), "{text}");
            assert_eq!(store.lists(), lists, "{path}");
        }
    }
    let (_, mut body) = answer(&site, "/r/app/runs/run-elsewhere-1/live?from=0").await;
    read_until(&mut body, ">three<").await;
    grows.log("four\n").await;
    other.app.logs.stop().await;
    read_until(&mut body, ">four<").await;
    assert_eq!(store.lists(), lists, "an open page follows without a list");
}
