//! A build is cancelled at every point of its life.

use crds::{BuildPhase, BuildResult, BuilderRun, PrBuild, Repository, RunPhase};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
};
use tests::{
    cluster::{Ending, Fate, eventually},
    story::{PATIENCE, Story, cancellation},
};

use super::{
    begin, begin_without_kubelet, build_of, builder_of, cancel_builders::three_phases,
    nothing_is_pending, pause, phase_is, phase_of, pods_are, revoke, run_is,
};

const SAYS: &str = "Cancelled: by infra: not needed any more";

/// The build is cancelled, every status says so, and neither Jobs nor pods are left.
async fn assert_cancelled(story: &Story, number: u64, name: &str) {
    let build = story.complete(name).await;
    let status = build.status.unwrap();
    assert_eq!(status.result, Some(BuildResult::Cancelled), "{status:?}");
    assert_eq!(
        status.reason.as_deref(),
        Some("cancelled by infra: not needed any more")
    );
    let builders = build.spec.request.builders.len();
    for (context, state, description) in nothing_is_pending(story, number, builders).await {
        assert_eq!(
            (state.as_str(), description.as_str()),
            ("error", SAYS),
            "{context}"
        );
    }
    pods_are(story, 0).await;
    eventually("no Job is live", PATIENCE, async || {
        let mut jobs = story.jobs().await;
        // One that has ended stays a while, for people to look at.
        jobs.retain(|job| {
            job.status
                .as_ref()
                .is_none_or(|status| status.failed != Some(1))
        });
        if jobs.is_empty() {
            Ok(())
        } else {
            Err(format!("{jobs:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_build_that_is_cancelled_before_anything_happened_starts_nothing() {
    let story = begin("early", Fate::passes()).await;
    story.builder("free", |_| {}).await;
    story
        .builder("limited", |spec| spec.max_concurrent = Some(1))
        .await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let build = story
        .authorized_with(number, &["free", "limited"], |spec| {
            spec.cancel = Some(cancellation())
        })
        .await;
    assert_cancelled(&story, number, &build.name_any()).await;
    story.end().await;
}

#[tokio::test]
async fn runs_that_wait_that_start_and_that_run_are_cancelled_together() {
    let (story, number, name) = three_phases("phases", Fate::ends(Ending::Never)).await;
    story.cancel(&name).await;
    assert_cancelled(&story, number, &name).await;
    story.end().await;
}

#[tokio::test]
async fn a_run_whose_pod_nobody_has_looked_at_yet_is_cancelled() {
    let story = begin_without_kubelet("fresh").await;
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    pods_are(&story, 1).await;
    story.cancel(&name).await;
    assert_cancelled(&story, number, &name).await;
    story.end().await;
}

#[tokio::test]
async fn a_build_is_cancelled_while_its_next_attempt_waits() {
    let story = begin("between", Fate::ends(Ending::Never)).await;
    let (number, name) = first_attempt_runs(&story).await;
    pause(&story, "debian", true).await;
    break_pods(&story).await;
    run_is(&story, &format!("{name}-debian-2"), "waits", |_| true).await;
    story.cancel(&name).await;
    assert_cancelled(&story, number, &name).await;
    story.end().await;
}

#[tokio::test]
async fn a_build_is_cancelled_before_its_next_attempt_is_there() {
    let story = begin("gap", Fate::ends(Ending::Never)).await;
    let (number, name) = first_attempt_runs(&story).await;
    let revoked = revoke(&story, "create", "builderruns").await;
    break_pods(&story).await;
    phase_is(&story, &format!("{name}-debian-1"), RunPhase::Error).await;
    story.cancel(&name).await;
    story
        .eventually_in("it sees that it is cancelled", &name, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            match status.phase {
                BuildPhase::Complete => Ok(()),
                _ => Err(format!("{status:?}")),
            }
        })
        .await;
    revoked.restore(&story).await;
    story.complete(&name).await;
    let last = nothing_is_pending(&story, number, 1).await;
    assert_eq!(last[0].1, "error");
    assert_eq!(
        story.runs(&name).await.len(),
        1,
        "a cancelled build is not tried again"
    );
    story.end().await;
}

#[tokio::test]
async fn an_attempt_that_was_announced_and_does_not_come_is_told_when_its_repository_is_back() {
    let story = begin("gapaway", Fate::ends(Ending::Never)).await;
    let (number, name) = first_attempt_runs(&story).await;
    let revoked = revoke(&story, "create", "builderruns").await;
    break_pods(&story).await;
    let first = format!("{name}-debian-1");
    phase_is(&story, &first, RunPhase::Error).await;
    story
        .api::<Repository>()
        .delete("app", &DeleteParams::default())
        .await
        .unwrap();
    story.cancel(&name).await;
    run_is(&story, &first, "has nobody to tell", |run| {
        let status = run.status.as_ref();
        let report = status.and_then(|status| status.report.as_ref());
        report.is_some_and(|report| report.sent.is_none() && report.error.is_some())
    })
    .await;
    story.repository(|_| {}).await;
    let last = nothing_is_pending(&story, number, 1).await;
    assert_eq!(last[0].1, "error", "{last:?}");
    revoked.restore(&story).await;
    story.end().await;
}

#[tokio::test]
async fn a_build_is_cancelled_before_it_is_written_down_that_another_attempt_follows() {
    let story = begin("unwritten", Fate::ends(Ending::Never)).await;
    let (number, name) = first_attempt_runs(&story).await;
    let revoked = revoke(&story, "patch", "builderruns/status").await;
    break_pods(&story).await;
    eventually("another attempt is announced", PATIENCE, async || {
        let last = story.last_statuses(number);
        match last.iter().any(|one| one.2.contains("attempt 2 is queued")) {
            true => Ok(()),
            false => Err(format!("{last:?}")),
        }
    })
    .await;
    story.cancel(&name).await;
    story
        .eventually_in("it sees that it is cancelled", &name, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            match status.phase {
                BuildPhase::Cancelling => Ok(()),
                _ => Err(format!("{status:?}")),
            }
        })
        .await;
    revoked.restore(&story).await;
    assert_cancelled(&story, number, &name).await;
    story.end().await;
}

async fn first_attempt_runs(story: &Story) -> (u64, String) {
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(story, "change", &["debian"]).await;
    phase_is(story, &format!("{name}-debian-1"), RunPhase::Running).await;
    (number, name)
}

/// The infrastructure fails: every pod goes.
async fn break_pods(story: &Story) {
    let pods: Vec<Pod> = pods_are(story, 1).await;
    story
        .pods()
        .delete(&pods[0].name_any(), &DeleteParams::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn one_run_is_cancelled_and_the_others_go_on() {
    let mut story = begin_without_kubelet("onerun").await;
    story.pods_go(|pod| match builder_of(pod).as_str() {
        "stops" => Fate::ends(Ending::Never),
        _ => Fate::passes(),
    });
    story.builder("stops", |_| {}).await;
    story.builder("passes", |_| {}).await;
    let (number, name) = build_of(&story, "change", &["stops", "passes"]).await;
    phase_is(&story, &format!("{name}-stops-1"), RunPhase::Running).await;
    let cancel = serde_json::json!({ "spec": { "cancel": cancellation() } });
    let runs = story.api::<BuilderRun>();
    let patch = kube::api::Patch::Merge(cancel);
    runs.patch(&format!("{name}-stops-1"), &Default::default(), &patch)
        .await
        .unwrap();
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().summary, "1 passed, 1 cancelled");
    let last = nothing_is_pending(&story, number, 2).await;
    let said: Vec<(&str, &str)> = last
        .iter()
        .map(|(_, state, says)| (state.as_str(), says.as_str()))
        .collect();
    assert_eq!(said[0].0, "success");
    assert_eq!(said[1], ("error", SAYS));
    story.end().await;
}

#[tokio::test]
async fn a_cancellation_after_the_end_changes_no_result() {
    let story = begin("late", Fate::passes()).await;
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    let before = story.complete(&name).await.status.unwrap();
    story.cancel(&name).await;
    // Whatever a later build is answered comes after what the cancellation would do.
    let (_, after) = build_of(&story, "second", &["debian"]).await;
    story.complete(&after).await;
    let status = story
        .api::<PrBuild>()
        .get(&name)
        .await
        .unwrap()
        .status
        .unwrap();
    assert_eq!(
        (status.result, status.summary),
        (before.result, before.summary)
    );
    assert_eq!(story.last_statuses(number)[0].1, "success");
    let all = story
        .api::<BuilderRun>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert!(
        all.items
            .iter()
            .all(|run| phase_of(run) == RunPhase::Succeeded)
    );
    story.end().await;
}
