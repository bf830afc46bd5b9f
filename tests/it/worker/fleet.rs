//! Several machines for one builder.

use crds::{Assignment, RunPhase};
use kube::api::{Patch, PatchParams};
use protocol::Verdict;
use protocol::worker::fault::FaultCode;
use protocol::worker::wire::Action;

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
