//! Lines that drop, programs that die, machines that vanish.

use crds::RunPhase;
use protocol::Verdict;
use protocol::worker::fault::FaultCode;
use protocol::worker::wire::Action;

use super::*;

#[tokio::test]
async fn t2_a_gateway_that_is_killed_in_the_middle_is_not_noticed() {
    let (mut story, mut mac, build) = build_for_mac("worker-t2").await;
    let offer = mac.offer().await.unwrap();
    let ordered = mac.verified(&offer).await.unwrap();
    story.kill_gateway();
    story.restart_gateway().await.unwrap();
    eventually("the same session goes on", PATIENCE, async || {
        mac.accept(&offer.id)
            .await
            .map(drop)
            .map_err(|fault| format!("{fault:?}"))
    })
    .await;
    story.kill_gateway();
    story.restart_gateway().await.unwrap();
    eventually("the run is still its own", PATIENCE, async || {
        let answer = mac
            .heartbeat()
            .await
            .map_err(|fault| format!("{fault:?}"))?;
        let action = answer.verdicts[0].action;
        (action == Action::Continue)
            .then_some(())
            .ok_or(format!("{action:?}"))
    })
    .await;
    let passed = mac.ran(&offer.id, &ordered, Verdict::Passed, 0);
    mac.complete(&passed).await.unwrap();
    eventually_phase(&story, &build, RunPhase::Succeeded).await;
    assert_eq!(story.runs(&build).await.len(), 1);
    story.end().await;
}

#[tokio::test]
async fn t3_an_answer_that_was_lost_is_given_again() {
    let (story, mut mac, build) = build_for_mac("worker-t3").await;
    let offer = mac.offer().await.unwrap();
    assert_eq!(mac.offer().await.unwrap(), offer, "until it is answered");
    let first = mac.accept(&offer.id).await.unwrap();
    let again = mac.accept(&offer.id).await.unwrap();
    assert_eq!(
        (first.signed, first.log_token),
        (again.signed, again.log_token)
    );
    let ordered = mac.verified(&offer).await.unwrap();
    let passed = mac.ran(&offer.id, &ordered, Verdict::Passed, 0);
    let signed = mac.seal(&passed).unwrap();
    for _ in 0..2 {
        mac.deliver(&offer.id, &signed).await.unwrap();
    }
    let other = mac.ran(&offer.id, &ordered, Verdict::Failed, 1);
    let refused = mac.complete(&other).await.unwrap_err();
    assert_eq!(refused.code, FaultCode::Completed);
    eventually_phase(&story, &build, RunPhase::Succeeded).await;
    story.end().await;
}

#[tokio::test]
async fn t6_a_pinned_run_waits_for_its_worker_and_a_late_result_heals_it() {
    let (story, mut mac, build) = build_for_mac("worker-t6").await;
    let offer = mac.offer().await.unwrap();
    let ordered = mac.verified(&offer).await.unwrap();
    mac.accept(&offer.id).await.unwrap();
    mac.close("the machine sleeps").await.unwrap();
    eventually_phase(&story, &build, RunPhase::Lost).await;
    eventually_waits(&story, &build, "waiting for `mac`: offline since").await;
    assert_eq!(story.runs(&build).await.len(), 1, "nobody else gets it");
    mac.open().await.unwrap();
    eventually_phase(&story, &build, RunPhase::Running).await;
    let passed = mac.ran(&offer.id, &ordered, Verdict::Passed, 0);
    mac.complete(&passed).await.unwrap();
    eventually_phase(&story, &build, RunPhase::Succeeded).await;
    story.end().await;
}

#[tokio::test]
async fn t8_a_machine_that_comes_back_without_its_run_lets_another_attempt_begin_at_once() {
    let (story, mut mac, build) = build_for_mac("worker-t8").await;
    let offer = mac.offer().await.unwrap();
    mac.accept(&offer.id).await.unwrap();
    eventually_phase(&story, &build, RunPhase::Running).await;
    mac.held.clear();
    mac.open().await.unwrap();
    eventually_phase(&story, &build, RunPhase::Error).await;
    let second = mac.offer().await.unwrap();
    let ordered = mac.verified(&second).await.unwrap();
    assert_eq!(ordered.run.attempt, 2);
    mac.accept(&second.id).await.unwrap();
    let passed = mac.ran(&second.id, &ordered, Verdict::Passed, 0);
    mac.complete(&passed).await.unwrap();
    story.complete(&build).await;
    story.end().await;
}
