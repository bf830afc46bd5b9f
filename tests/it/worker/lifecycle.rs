//! From a label to a status over a worker.

use std::time::Duration;

use crds::{BuildResult, RunPhase, Worker};
use protocol::Verdict;
use protocol::worker::assignment::{Audience, EventKind, Evidence};
use protocol::worker::wire::{Action, Poll};
use tests::story::ADA;

use super::*;
use crate::http_get;

#[tokio::test]
async fn a_label_becomes_a_signed_assignment_and_a_signed_result_the_status() {
    let (story, mut mac, build) = build_for_mac("worker-green").await;
    let offer = mac.offer().await.unwrap();
    let ordered = mac.verified(&offer).await.unwrap();
    assert_eq!(ordered.to, Audience::Worker("mac".to_owned()));
    assert_eq!(ordered.event, EventKind::PullRequest);
    assert_eq!(ordered.evidence, Evidence::Label);
    assert_eq!(ordered.requester.login, ADA);
    assert_eq!(ordered.fits("mac", ordered.issued), Ok(()));
    mac.accept(&offer.id).await.unwrap();
    let run = eventually_phase(&story, &build, RunPhase::Running).await;
    assert_eq!(run.status.unwrap().worker.as_deref(), Some("mac"));
    story
        .eventually_in("the worker is busy", "mac", |worker: &Worker| {
            let status = worker.status.clone().unwrap_or_default();
            let busy = status.busy == 1 && status.version.as_deref() == Some("0.0.1-driver");
            busy.then_some(()).ok_or(format!("{status:?}"))
        })
        .await;
    let passed = mac.ran(&offer.id, &ordered, Verdict::Passed, 0);
    mac.complete(&passed).await.unwrap();
    let run = eventually_phase(&story, &build, RunPhase::Succeeded).await;
    let status = run.status.clone().unwrap();
    assert_eq!(
        status.outcome.unwrap().commit,
        Some(ordered.work.source.commit)
    );
    let built = story.complete(&build).await;
    assert_eq!(built.status.unwrap().result, Some(BuildResult::Passed));
    let page = format!(
        "{}/r/app/runs/{}",
        story.gateway().pages_url(),
        run.uid().unwrap()
    );
    eventually("its page is there", PATIENCE, async || {
        let (status, text) = http_get(&page).await?;
        (status == 200 && text.contains("macos"))
            .then_some(())
            .ok_or(text)
    })
    .await;
    story.end().await;
}

#[tokio::test]
async fn failing_tests_on_a_worker_are_red_and_are_not_tried_again() {
    let (story, mut mac, build) = build_for_mac("worker-red").await;
    let offer = mac.offer().await.unwrap();
    let ordered = mac.verified(&offer).await.unwrap();
    mac.accept(&offer.id).await.unwrap();
    let failed = mac.ran(&offer.id, &ordered, Verdict::Failed, 2);
    mac.complete(&failed).await.unwrap();
    eventually_phase(&story, &build, RunPhase::Failed).await;
    let built = story.complete(&build).await;
    assert_eq!(built.status.unwrap().result, Some(BuildResult::Failed));
    assert_eq!(story.runs(&build).await.len(), 1);
    story.end().await;
}

#[tokio::test]
async fn a_waiting_run_says_what_its_worker_is_doing_instead() {
    let story = begin("worker-waits").await;
    let mut mac = lend(&story, "mac", 1).await;
    story.builder("macos", on("mac")).await;
    let (_, build) = labelled(&story).await;
    eventually_waits(
        &story,
        &build,
        "waiting for `mac`: its agent has never been here",
    )
    .await;
    comes_in(&mut mac).await;
    let closed = Poll {
        free_slots: 1,
        closed: Some("its owner paused it until 18:00".to_owned()),
        ..Poll::default()
    };
    // The poll is held: what it says shows meanwhile.
    tokio::select! {
        answer = mac.poll(&closed) => panic!("{answer:?}"),
        () = eventually_waits(&story, &build, "its owner paused it until 18:00") => {}
    }
    let offer = mac.offer().await.unwrap();
    mac.decline(&offer.id, "its owner takes no pull requests")
        .await
        .unwrap();
    eventually_waits(&story, &build, "its owner takes no pull requests").await;
    story.end().await;
}

#[tokio::test]
async fn t11_a_cancel_reaches_a_worker_that_runs_and_one_that_was_away() {
    let (story, mut mac, build) = build_for_mac("worker-cancel").await;
    let offer = mac.offer().await.unwrap();
    mac.accept(&offer.id).await.unwrap();
    eventually_phase(&story, &build, RunPhase::Running).await;
    mac.close("the line is down").await.unwrap();
    eventually_phase(&story, &build, RunPhase::Lost).await;
    story.cancel(&build).await;
    eventually_phase(&story, &build, RunPhase::Cancelled).await;
    let opened = mac.open().await.unwrap();
    assert_eq!(opened.verdicts[0].action, Action::Cancel);
    let verdict = &mac.heartbeat().await.unwrap().verdicts[0];
    assert_eq!(verdict.action, Action::Cancel);
    assert!(verdict.reason.is_some());
    let ordered = mac.verified(&offer).await.unwrap();
    let stopped = mac.ended(
        &offer.id,
        &ordered,
        protocol::worker::completion::RunEnd::Cancelled,
    );
    mac.complete(&stopped).await.unwrap();
    let run = eventually_phase(&story, &build, RunPhase::Cancelled).await;
    assert!(
        assignment_of(&story, &run)
            .await
            .status
            .unwrap()
            .result
            .is_some()
    );
    story.end().await;
}

#[tokio::test]
async fn a_run_that_nobody_has_accepted_is_cancelled_at_once_and_nobody_gets_it() {
    let (story, mut mac, build) = build_for_mac("worker-cancel-offer").await;
    let offer = mac.offer().await.unwrap();
    story.cancel(&build).await;
    eventually_phase(&story, &build, RunPhase::Cancelled).await;
    let refused = mac.accept(&offer.id).await.unwrap_err();
    assert_eq!(refused.code, protocol::worker::fault::FaultCode::Gone);
    story.end().await;
}

#[tokio::test]
async fn heartbeats_and_idle_polls_change_no_object() {
    let story = begin("worker-quiet").await;
    let mut mac = online(&story, "mac", 1).await;
    story.builder("macos", on_any_mac).await;
    let (_, build) = labelled(&story).await;
    let offer = mac.offer().await.unwrap();
    mac.accept(&offer.id).await.unwrap();
    let run = eventually_phase(&story, &build, RunPhase::Running).await;
    story
        .eventually_in("the worker is busy", "mac", |worker: &Worker| {
            let status = worker.status.clone().unwrap_or_default();
            (status.busy == 1)
                .then_some(())
                .ok_or(format!("{status:?}"))
        })
        .await;
    let versions = async || {
        let worker = story.api::<Worker>().get("mac").await.unwrap();
        let assignment = assignment_of(&story, &run).await;
        (worker.resource_version(), assignment.resource_version())
    };
    let before = versions().await;
    let idle = Poll::default();
    for _ in 0..3 {
        for _ in 0..50 {
            mac.heartbeat().await.unwrap();
        }
        // It is held while the gateway looks at its workers, which it does every second.
        let held = tokio::time::timeout(Duration::from_secs(2), mac.poll(&idle)).await;
        assert!(held.is_err(), "{held:?}");
    }
    assert_eq!(versions().await, before);
    story.end().await;
}
