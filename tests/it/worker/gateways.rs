//! Several gateways, and one that starts anew: what is true stands in the cluster.

use crds::{RunPhase, Worker, condition};
use protocol::Verdict;
use protocol::worker::fault::FaultCode;
use protocol::worker::wire::Action;

use super::*;

#[tokio::test]
async fn a_session_of_one_gateway_goes_on_at_another_and_nothing_is_done_twice() {
    let mut story = begin("worker-two-gateways").await;
    let other = story.start_another_gateway().await.unwrap();
    let (first, second) = (story.gateway().workers_url(), other.workers_url());
    let mut mac = online(&story, "mac", 1).await;
    story.builder("macos", on("mac")).await;
    let (_, build) = labelled(&story).await;
    mac.speak_to(&second);
    let offer = eventually(
        "the other gateway knows the session",
        PATIENCE,
        async || mac.offer().await.map_err(|fault| format!("{fault:?}")),
    )
    .await;
    let ordered = mac.verified(&offer).await.unwrap();
    mac.speak_to(&first);
    let accepted = mac.accept(&offer.id).await.unwrap();
    mac.speak_to(&second);
    let again = eventually("the other gateway says the same", PATIENCE, async || {
        let again = mac.accept(&offer.id).await;
        again.map_err(|fault| format!("{fault:?}"))
    })
    .await;
    assert_eq!(
        (accepted.signed, accepted.log_token),
        (again.signed, again.log_token)
    );
    for gateway in [&first, &second] {
        mac.speak_to(gateway);
        let answer = mac.heartbeat().await.unwrap();
        assert_eq!(answer.verdicts[0].action, Action::Continue, "{gateway}");
    }
    let passed = mac.ran(&offer.id, &ordered, Verdict::Passed, 0);
    let failed = mac.ran(&offer.id, &ordered, Verdict::Failed, 1);
    mac.complete(&passed).await.unwrap();
    // The answer was lost, and the first gateway is asked again; then somebody says something else.
    for gateway in [&first, &second] {
        mac.speak_to(gateway);
        mac.complete(&passed).await.unwrap();
        let refused = mac.complete(&failed).await.unwrap_err();
        assert_eq!(refused.code, FaultCode::Completed, "{gateway}");
    }
    eventually_phase(&story, &build, RunPhase::Succeeded).await;
    assert_eq!(story.runs(&build).await.len(), 1);
    // A session that the second one opened ends that of the first, everywhere.
    let old = mac.session.clone();
    mac.open().await.unwrap();
    let new = std::mem::replace(&mut mac.session, old);
    mac.speak_to(&first);
    eventually(
        "the first gateway knows that it is over",
        PATIENCE,
        async || match mac.heartbeat().await {
            Err(fault) if fault.code == FaultCode::Session => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
    mac.session = new;
    mac.heartbeat().await.unwrap();
    story.end().await;
}

/// Waits until a machine is refused because another one is that worker.
async fn eventually_refused(clone: &mut Driver) {
    eventually("the second machine is refused", PATIENCE, async || {
        match clone.open().await {
            Err(fault) if fault.code == FaultCode::Duplicate => Ok(()),
            // It has not read the cluster yet.
            Err(fault) if fault.code == FaultCode::Unavailable => Err(format!("{fault:?}")),
            other => panic!("{other:?}"),
        }
    })
    .await;
}

#[tokio::test]
async fn a_cloned_key_gets_in_neither_after_a_restart_nor_at_another_gateway() {
    let (mut story, mut mac, build) = build_for_mac("worker-clone").await;
    let offer = mac.offer().await.unwrap();
    let ordered = mac.verified(&offer).await.unwrap();
    mac.accept(&offer.id).await.unwrap();
    eventually_phase(&story, &build, RunPhase::Running).await;
    let other = story.start_another_gateway().await.unwrap();
    let mut clone = Driver::new(&other.workers_url(), "mac", 1);
    clone.instance = "another".to_owned();
    eventually_refused(&mut clone).await;
    story.kill_gateway();
    story.restart_gateway().await.unwrap();
    // Nobody else has spoken with it yet.
    clone.speak_to(&story.gateway().workers_url());
    eventually_refused(&mut clone).await;
    mac.speak_to(&story.gateway().workers_url());
    let answer = mac.heartbeat().await.unwrap();
    assert_eq!(answer.verdicts[0].action, Action::Continue);
    eventually_refused(&mut clone).await;
    story
        .eventually_in("the object says so", "mac", |worker: &Worker| {
            let status = worker.status.clone().unwrap_or_default();
            let kind = condition::kind::DUPLICATE_IDENTITY;
            let said = condition::is_true(&status.conditions, kind);
            said.then_some(()).ok_or(format!("{status:?}"))
        })
        .await;
    let passed = mac.ran(&offer.id, &ordered, Verdict::Passed, 0);
    mac.complete(&passed).await.unwrap();
    eventually_phase(&story, &build, RunPhase::Succeeded).await;
    assert_eq!(story.runs(&build).await.len(), 1);
    story.end().await;
}
