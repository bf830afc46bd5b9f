//! Two operators: one acts, the other waits for its turn.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{
    cluster::{Fate, eventually},
    story::{PATIENCE, REPO, Story},
};

use super::{Seen, begin, begin_without_kubelet, build_of};

/// Which of these operators have led so far.
fn leaders(story: &mut Story, operators: &[usize]) -> Vec<usize> {
    let mut led = operators.to_vec();
    led.retain(|index| {
        story
            .install
            .program(*index)
            .is_some_and(|program| program.log().contains("everything is read"))
    });
    led
}

#[tokio::test]
async fn one_operator_leads_and_the_other_takes_over_when_it_is_stopped() {
    let mut story = begin_without_kubelet("leaders").await;
    let seen = Seen::default();
    let counts = seen.clone();
    story.pods_go(move |pod| counts.pass(pod));
    let first = story.operator().unwrap();
    let second = story.start_another_operator().await.unwrap();
    let both = [first, second];
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(&story, "one", &["debian"]).await;
    story.complete(&name).await;
    assert_eq!(leaders(&mut story, &both), [first]);
    let ended = story.install.program(first).unwrap().stop().await.unwrap();
    assert!(
        ended.success(),
        "whoever is asked to stop stops cleanly: {ended}"
    );
    let (again, after) = build_of(&story, "two", &["debian"]).await;
    story.complete(&after).await;
    assert_eq!(leaders(&mut story, &both), both);
    for number in [number, again] {
        assert_eq!(story.forge.comments(REPO, number).len(), 1);
        let head = story.forge.pull_request(REPO, number).head_sha;
        let green = story
            .forge
            .statuses(REPO, &head)
            .into_iter()
            .filter(|status| status.state == "success");
        assert_eq!(green.count(), 1, "a result is told once");
    }
    assert_eq!(story.jobs().await.len(), 2);
    seen.assert_once_each(2);
    story.end().await;
}

#[tokio::test]
async fn an_operator_that_loses_its_lease_ends_with_an_error() {
    let mut story = begin("loses", Fate::passes()).await;
    let lease = json!({ "spec": {
        "holderIdentity": "somebody-else",
        "leaseDurationSeconds": 3600,
        "renewTime": "2999-01-01T00:00:00.000000Z",
    }});
    let leases = story.api::<Lease>();
    leases
        .patch(
            "prbuild-operator",
            &PatchParams::default(),
            &Patch::Merge(lease),
        )
        .await
        .unwrap();
    let index = story.operator().unwrap();
    let program = story.install.program(index).unwrap();
    let ended = eventually("the process ends", PATIENCE, async || {
        program.ended().ok_or_else(|| "it lives".to_owned())
    })
    .await;
    assert!(!ended.success(), "{ended}");
    let log = program.log();
    assert!(log.contains("the lease prbuild-operator was lost"), "{log}");
    let held = leases.get("prbuild-operator").await.unwrap().spec.unwrap();
    assert_eq!(
        held.holder_identity.as_deref(),
        Some("somebody-else"),
        "who lost it leaves it alone"
    );
    story.end().await;
}
