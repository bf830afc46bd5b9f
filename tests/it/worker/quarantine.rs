//! A machine that ends runs by itself is left alone for a while, and people hear of it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use crds::RunPhase;
use protocol::Verdict;
use protocol::worker::completion::RunEnd;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;
use crate::http_get;

/// A story whose operator tells this address.
async fn begin_telling(name: &str, url: &str) -> Story {
    let access = shared_control_plane();
    let mut story = Story::begin(&access, name, Setting::default())
        .await
        .unwrap();
    story.start_gateway().await.unwrap();
    let more = ["--notify-url", url];
    story.start_operator_with(&more).await.unwrap();
    story.start_webhook().await.unwrap();
    story
}

/// An address that takes what it is told, and what that was.
async fn somebody() -> (String, Arc<Mutex<Vec<Value>>>) {
    let said: Arc<Mutex<Vec<Value>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/told", listener.local_addr().unwrap());
    let heard = said.clone();
    let hear = move |body: Bytes| {
        let heard = heard.clone();
        async move {
            let body = serde_json::from_slice(&body).unwrap();
            heard.lock().unwrap().push(body);
        }
    };
    let router = Router::new().route("/told", post(hear));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, said)
}

/// Breaks off what is offered, so often.
async fn breaks_off(mac: &mut Driver, times: usize) {
    for _ in 0..times {
        let offer = mac.offer().await.unwrap();
        let ordered = mac.verified(&offer).await.unwrap();
        mac.accept(&offer.id).await.unwrap();
        let reason = "no space left on device".to_owned();
        let broken = mac.ended(&offer.id, &ordered, RunEnd::Broken { reason });
        mac.complete(&broken).await.unwrap();
    }
}

const WHY: &str = "ended 3 runs in a row (no space left on device)";

#[tokio::test]
async fn a_machine_that_breaks_three_runs_off_is_left_alone_and_says_so_everywhere_once() {
    let (url, said) = somebody().await;
    let story = begin_telling("worker-quarantine", &url).await;
    let mut mac = online(&story, "mac", 1).await;
    story.builder("macos", on("mac")).await;
    let (_, build) = labelled(&story).await;
    breaks_off(&mut mac, 3).await;
    let why = eventually_ready(&story, "mac", "False", "Quarantined").await;
    assert!(why.contains(WHY), "{why}");
    eventually_phase(&story, &build, RunPhase::Error).await;
    let page = format!("{}/builders", story.gateway().pages_url());
    eventually("the page says so", PATIENCE, async || {
        let (_, text) = http_get(&page).await?;
        let shown = format!("Worker <code>mac</code> is quarantined: {why}");
        text.contains(&shown).then_some(()).ok_or(text)
    })
    .await;
    let heard = || said.lock().unwrap().clone();
    eventually("somebody is told", PATIENCE, async || {
        (!heard().is_empty())
            .then_some(())
            .ok_or("nobody".to_owned())
    })
    .await;
    // The object changes more than once, and the operator sees it: that is no news.
    let (_, next) = labelled_on(&story, "another").await;
    eventually_waits(&story, &next, "its machine ended 3 runs in a row").await;
    mac.close("its owner looks after it").await.unwrap();
    eventually_waits(&story, &next, "offline since").await;
    mac.open().await.unwrap();
    eventually_waits(&story, &next, "its machine ended 3 runs in a row").await;
    let told = json!({
        "worker": "mac", "contact": "Ada <ada@example.org>", "event": "quarantined", "message": why,
    });
    assert_eq!(heard(), [told]);
    story.end().await;
}

#[tokio::test]
async fn who_is_to_be_told_and_never_answers_holds_nothing_up() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", deaf.local_addr().unwrap());
    let story = begin_telling("worker-deaf", &url).await;
    let mut mac = online(&story, "mac", 1).await;
    story.builder("macos", on("mac")).await;
    let (_, build) = labelled(&story).await;
    breaks_off(&mut mac, 3).await;
    // It is being told, and hears nothing.
    let line = tokio::time::timeout(PATIENCE, deaf.accept()).await;
    let (line, _) = line.unwrap().unwrap();
    eventually_phase(&story, &build, RunPhase::Error).await;
    let mut other = online(&story, "other", 2).await;
    story.builder("macos", on("other")).await;
    let (_, next) = labelled_on(&story, "another").await;
    let offer = other.offer().await.unwrap();
    let ordered = other.verified(&offer).await.unwrap();
    other.accept(&offer.id).await.unwrap();
    let passed = other.ran(&offer.id, &ordered, Verdict::Passed, 0);
    other.complete(&passed).await.unwrap();
    eventually_phase(&story, &next, RunPhase::Succeeded).await;
    drop(line);
    story.end().await;
}
