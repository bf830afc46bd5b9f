//! Single builders of a build are cancelled, or only what has not started.

use std::time::Duration;

use crds::{BuildResult, PrBuild, RunPhase};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tests::{
    cluster::{Ending, Fate},
    story::{Story, cancellation},
};

use super::{
    begin_without_kubelet, build_of, builder_of, nothing_is_pending, pause, phase_is, pods_are,
    reason_of, told,
};

/// A build of three builders, of which one waits, one starts and one runs.
pub(super) async fn three_phases(name: &str, runs: Fate) -> (Story, u64, String) {
    let mut story = begin_without_kubelet(name).await;
    story.pods_go(move |pod| match builder_of(pod).as_str() {
        "starts" => Fate::ends(Ending::Unschedulable {
            message: "0/1 nodes are available".into(),
        }),
        _ => runs.clone(),
    });
    story.builder("waits", |spec| spec.paused = true).await;
    story.builder("starts", |_| {}).await;
    story.builder("runs", |_| {}).await;
    let (number, name) = build_of(&story, "change", &["waits", "starts", "runs"]).await;
    phase_is(&story, &format!("{name}-starts-1"), RunPhase::Dispatched).await;
    phase_is(&story, &format!("{name}-runs-1"), RunPhase::Running).await;
    (story, number, name)
}

async fn patch(story: &Story, build: &str, spec: Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    let builds = story.api::<PrBuild>();
    let how = PatchParams::default();
    builds.patch(build, &how, &patch).await.unwrap();
}

#[tokio::test]
async fn the_runs_of_a_builder_are_cancelled_in_every_phase_and_the_others_go_on() {
    let (story, number, name) = three_phases("onebuilder", Fate::ends(Ending::Never)).await;
    for builder in ["waits", "starts", "runs"] {
        let one = json!({ "cancelBuilders": { builder: cancellation() } });
        patch(&story, &name, one).await;
        let run = phase_is(&story, &format!("{name}-{builder}-1"), RunPhase::Cancelled).await;
        assert_eq!(reason_of(&run), "by infra: not needed any more");
    }
    let status = story.complete(&name).await.status.unwrap();
    assert_eq!(status.result, Some(BuildResult::Cancelled));
    pods_are(&story, 0).await;
    for (context, state, says) in nothing_is_pending(&story, number, 3).await {
        let says_so = "Cancelled: by infra: not needed any more";
        assert_eq!(
            (state.as_str(), says.as_str()),
            ("error", says_so),
            "{context}"
        );
    }
    story.end().await;
}

#[tokio::test]
async fn a_cancelled_builder_is_not_tried_again() {
    let (story, number, name) = three_phases("noretry", Fate::ends(Ending::Never)).await;
    pause(&story, "runs", true).await;
    let pods = pods_are(&story, 2).await;
    let pod = pods.iter().find(|pod| builder_of(pod) == "runs").unwrap();
    let how = DeleteParams::default();
    story.pods().delete(&pod.name_any(), &how).await.unwrap();
    phase_is(&story, &format!("{name}-runs-2"), RunPhase::Queued).await;
    let all = json!({ "waits": cancellation(), "starts": cancellation(), "runs": cancellation() });
    patch(&story, &name, json!({ "cancelBuilders": all })).await;
    let status = story.complete(&name).await.status.unwrap();
    assert_eq!(status.summary, "3 cancelled");
    assert_eq!(story.runs(&name).await.len(), 4, "no third attempt");
    nothing_is_pending(&story, number, 3).await;
    story.end().await;
}

#[tokio::test]
async fn what_waits_is_dropped_and_what_runs_finishes_and_the_build_ends_by_what_ran() {
    let runs = Fate::passes().after(Duration::from_secs(6));
    let (story, number, name) = three_phases("waitingonly", runs).await;
    let mut cancel = cancellation();
    cancel.waiting_only = true;
    patch(&story, &name, json!({ "cancel": cancel })).await;
    for builder in ["waits", "starts"] {
        phase_is(&story, &format!("{name}-{builder}-1"), RunPhase::Cancelled).await;
    }
    let status = story.complete(&name).await.status.unwrap();
    assert_eq!(status.summary, "1 passed, 2 cancelled");
    assert_eq!(status.result, Some(BuildResult::Passed));
    let says = "cancelled what had not started, by infra: not needed any more";
    assert_eq!(status.reason.as_deref(), Some(says));
    assert_eq!(told(&story, &name, "Cancelled").await, says);
    nothing_is_pending(&story, number, 3).await;
    story.end().await;
}

#[tokio::test]
async fn a_build_of_which_nothing_had_started_is_cancelled_when_what_waits_is() {
    let mut story = begin_without_kubelet("nothingran").await;
    story.pods_go(|_| Fate::passes());
    story.builder("debian", |spec| spec.paused = true).await;
    let (_, name) = build_of(&story, "change", &["debian"]).await;
    let mut cancel = cancellation();
    cancel.waiting_only = true;
    patch(&story, &name, json!({ "cancel": cancel })).await;
    let status = story.complete(&name).await.status.unwrap();
    assert_eq!(status.result, Some(BuildResult::Cancelled));
    story.end().await;
}
