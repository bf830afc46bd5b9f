//! The log of a run on a worker, held against what the worker signed.

use crds::RunPhase;
use protocol::Verdict;
use protocol::log::Stream;
use serde_json::Value;
use tests::worker::digest_of;

use super::*;
use crate::http_get;

/// A token is made illegible in the store, and is in what the worker signs.
const PRINTED: &[u8] = b"token ghp_0123456789012345678901234567890123456789 it was\n";

/// What the page of a run says of its log, once it says something.
async fn said_of_log(story: &Story, uid: &str) -> (Value, String) {
    let page = format!("{}/r/app/runs/{uid}", story.gateway().pages_url());
    let json = format!("{page}.json");
    let told = eventually(
        "its log is held against what was signed",
        PATIENCE,
        async || {
            let (_, text) = http_get(&json).await?;
            let told: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            match told["log"]["signed"].is_null() {
                true => Err(text),
                false => Ok(told),
            }
        },
    )
    .await;
    (told, http_get(&page).await.unwrap().1)
}

#[tokio::test]
async fn a_log_that_is_not_the_one_that_the_worker_signed_says_so_and_fails_no_run() {
    let story = begin("worker-signed-log").await;
    let mut mac = online(&story, "mac", 1).await;
    story.builder("macos", on("mac")).await;
    let same: &[u8] = PRINTED;
    let other: &[u8] = b"all is well, says the gateway\n";
    for (branch, signed, expected) in [("same", same, "same"), ("other", other, "differs")] {
        let (_, build) = labelled_on(&story, branch).await;
        let offer = mac.offer().await.unwrap();
        let ordered = mac.verified(&offer).await.unwrap();
        let accepted = mac.accept(&offer.id).await.unwrap();
        mac.print(&accepted, &ordered, PRINTED).await.unwrap();
        let mut passed = mac.ran(&offer.id, &ordered, Verdict::Passed, 0);
        passed.logs = vec![
            digest_of(Stream::Log, signed),
            digest_of(Stream::Marks, b""),
        ];
        mac.complete(&passed).await.unwrap();
        let run = eventually_phase(&story, &build, RunPhase::Succeeded).await;
        let outcome = run.status.clone().unwrap().outcome.unwrap();
        assert_eq!(outcome.logs, passed.logs);
        let (told, page) = said_of_log(&story, &run.uid().unwrap()).await;
        assert_eq!(told["log"]["signed"], expected, "{told}");
        assert_eq!(told["worker"], "mac");
        let warns = page.contains("The log is not the one that the worker signed");
        assert_eq!(warns, expected == "differs", "{page}");
    }
    story.end().await;
}
