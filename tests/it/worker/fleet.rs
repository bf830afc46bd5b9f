//! Several machines for one builder.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::{Assignment, RunPhase};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use protocol::Verdict;
use protocol::worker::fault::FaultCode;
use protocol::worker::wire::{Action, RunningState};

use super::*;

#[tokio::test]
async fn t4_of_several_that_accept_at_the_same_time_one_gets_it() {
    let story = begin("worker-t4").await;
    let mut macs = Vec::new();
    for (name, key) in [("mac-1", 1), ("mac-2", 2), ("mac-3", 3)] {
        macs.push(online(&story, name, key).await);
    }
    story.builder("macos", on_any_mac).await;
    let (_, build) = labelled(&story).await;
    let offers = macs.iter().map(|mac| mac.offer());
    let offers = futures::future::try_join_all(offers).await.unwrap();
    assert!(offers.iter().all(|offer| *offer == offers[0]), "{offers:?}");
    let id = &offers[0].id;
    let accepts = macs.iter_mut().map(|mac| mac.accept(id));
    let answers = futures::future::join_all(accepts).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.is_ok());
    assert_eq!((won.len(), lost.len()), (1, 2), "{answers:?}");
    for refused in lost {
        assert_eq!(refused.as_ref().unwrap_err().code, FaultCode::Taken);
    }
    let winner = macs.iter_mut().find(|mac| !mac.held.is_empty()).unwrap();
    let ordered = winner.verified(&offers[0]).await.unwrap();
    let passed = winner.ran(id, &ordered, Verdict::Passed, 0);
    winner.complete(&passed).await.unwrap();
    eventually_phase(&story, &build, RunPhase::Succeeded).await;
    story.end().await;
}

/// Runs that eight agents of two gateways want at the same moment.
const ROUNDS: usize = 200;

#[tokio::test]
async fn t4_of_eight_agents_at_two_gateways_one_gets_each_of_two_hundred_runs() {
    let access = shared_control_plane();
    let mut story = Story::begin(&access, "worker-t4-many", Setting::default())
        .await
        .unwrap();
    // Four hundred statuses are more than github.com takes in a minute.
    story.forge.limits().turn_off();
    story.start_gateway().await.unwrap();
    story.start_operator().await.unwrap();
    story.start_webhook().await.unwrap();
    let other = story.start_another_gateway().await.unwrap();
    let gateways = [story.gateway().workers_url(), other.workers_url()];
    let mut macs = Vec::new();
    for (key, gateway) in (1..=8).zip(gateways.iter().cycle()) {
        let name = format!("mac-{key}");
        let mut mac = online(&story, &name, key).await;
        let wide = Patch::Merge(json!({ "spec": { "slots": 64 } }));
        let workers = story.api::<Worker>();
        workers
            .patch(&name, &PatchParams::default(), &wide)
            .await
            .unwrap();
        mac.speak_to(gateway);
        // The other gateway may not know its session yet.
        eventually("its gateway knows it", PATIENCE, async || {
            let heard = mac.heartbeat().await;
            heard.map_err(|fault| format!("{fault:?}"))
        })
        .await;
        macs.push(mac);
    }
    for round in 0..ROUNDS {
        story.builder(&format!("mac-{round}"), on_any_mac).await;
    }
    let (_, build) = labelled(&story).await;
    let mut fences = BTreeSet::new();
    while fences.len() < ROUNDS {
        let asks = fences.len() % macs.len();
        let offer = macs[asks].offer().await.unwrap();
        if !fences.insert(offer.id.clone()) {
            // This gateway has not heard yet that the other one gave it away.
            continue;
        }
        let accepts = macs.iter_mut().map(|mac| mac.accept(&offer.id));
        let answers = futures::future::join_all(accepts).await;
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
        let codes: Vec<FaultCode> = refused.map(|fault| fault.code).collect();
        assert_eq!(codes, [FaultCode::Taken; 7], "{}", offer.id);
        let winner = macs.iter_mut().find(|mac| !mac.held.is_empty()).unwrap();
        let ordered = winner.verified(&offer).await.unwrap();
        let passed = winner.ran(&offer.id, &ordered, Verdict::Passed, 0);
        winner.complete(&passed).await.unwrap();
        assert!(macs.iter().all(|mac| mac.held.is_empty()), "{}", offer.id);
    }
    let built = story
        .complete_within(&build, Duration::from_secs(120))
        .await;
    let result = built.status.unwrap().result;
    assert_eq!(result, Some(crds::BuildResult::Passed));
    assert_eq!(
        story.runs(&build).await.len(),
        ROUNDS,
        "none was tried twice"
    );
    story.end().await;
}

#[tokio::test]
async fn a_slot_is_free_when_nothing_of_a_run_is_left_although_its_end_waits_for_its_log() {
    let story = begin("worker-gone").await;
    let mut mac = online(&story, "mac", 1).await;
    for builder in ["first", "second"] {
        story.builder(builder, on("mac")).await;
    }
    let (_, build) = labelled(&story).await;
    let mut offers = Vec::new();
    for _ in 0..2 {
        let offer = mac.offer().await.unwrap();
        mac.accept(&offer.id).await.unwrap();
        for held in &mut mac.held {
            held.state = RunningState::Done;
        }
        mac.heartbeat().await.unwrap();
        offers.push(offer);
    }
    story
        .eventually_in("it has nothing in hand", "mac", |worker: &Worker| {
            let status = worker.status.clone().unwrap_or_default();
            let idle = status.busy == 0 && status.running.is_empty();
            idle.then_some(()).ok_or(format!("{status:?}"))
        })
        .await;
    for offer in offers {
        let ordered = mac.verified(&offer).await.unwrap();
        let passed = mac.ran(&offer.id, &ordered, Verdict::Passed, 0);
        mac.complete(&passed).await.unwrap();
    }
    let built = story.complete(&build).await;
    let result = built.status.unwrap().result;
    assert_eq!(result, Some(crds::BuildResult::Passed));
    story.end().await;
}

#[tokio::test]
async fn t5_a_pools_run_is_tried_elsewhere_after_its_lease_and_its_first_worker_is_told_to_stop() {
    let story = begin("worker-t5").await;
    let mut first = online(&story, "mac-1", 1).await;
    story.builder("macos", on_any_mac).await;
    let (_, build) = labelled(&story).await;
    let offer = first.offer().await.unwrap();
    let ordered = first.verified(&offer).await.unwrap();
    let accepted = first.accept(&offer.id).await.unwrap();
    assert!(accepted.lease_seconds > 800, "{accepted:?}");
    let run = eventually_phase(&story, &build, RunPhase::Running).await;
    first.close("the line is down").await.unwrap();
    let mut second = online(&story, "mac-2", 2).await;
    // Time passes.
    let past = json!({ "status": { "leaseExpiresAt": "2026-01-01T00:00:00Z" } });
    let name = assignment_of(&story, &run).await.name_any();
    let (how, past) = (PatchParams::default(), Patch::Merge(past));
    let assignments = story.api::<Assignment>();
    assignments.patch_status(&name, &how, &past).await.unwrap();
    let next = second.offer().await.unwrap();
    let again = second.verified(&next).await.unwrap();
    assert_eq!(again.run.attempt, 2);
    second.accept(&next.id).await.unwrap();
    let opened = first.open().await.unwrap();
    assert_eq!(opened.verdicts[0].action, Action::Kill);
    let late = first.ran(&offer.id, &ordered, Verdict::Failed, 1);
    let refused = first.complete(&late).await.unwrap_err();
    assert_eq!(refused.code, FaultCode::Gone);
    let passed = second.ran(&next.id, &again, Verdict::Passed, 0);
    second.complete(&passed).await.unwrap();
    let built = story.complete(&build).await;
    assert_eq!(
        built.status.unwrap().result,
        Some(crds::BuildResult::Passed)
    );
    story.end().await;
}

#[tokio::test]
async fn what_was_offered_in_vain_for_longer_than_it_may_queue_is_offered_to_nobody_else() {
    const QUEUE_SECONDS: i64 = 10;
    let story = begin("worker-in-vain").await;
    let first = online(&story, "mac-1", 1).await;
    let limited = |spec: &mut BuilderSpec| {
        on_any_mac(spec);
        spec.max_concurrent = Some(1);
        spec.timeouts.queue_seconds = QUEUE_SECONDS;
    };
    story.builder("macos", limited).await;
    let (_, build) = labelled(&story).await;
    let offer = first.offer().await.unwrap();
    // It has a slot, and here is somebody who could take it.
    let _second = online(&story, "mac-2", 2).await;
    eventually_run(&story, &build, "its time to queue is over", |run| {
        let made = run.creation_timestamp().unwrap().0;
        let waited = Timestamp::now().duration_since(made).as_secs();
        (waited > QUEUE_SECONDS)
            .then_some(())
            .ok_or(format!("{waited} s"))
    })
    .await;
    first
        .decline(&offer.id, "its owner needs it")
        .await
        .unwrap();
    let run = eventually_phase(&story, &build, RunPhase::Error).await;
    let reason = run.status.unwrap().outcome.unwrap().reason;
    let expected = "did not start within 10 s: `mac-1` declined: its owner needs it";
    assert_eq!(reason, expected);
    story.complete(&build).await;
    assert_eq!(story.runs(&build).await.len(), 1, "nobody tries it again");
    story.end().await;
}
