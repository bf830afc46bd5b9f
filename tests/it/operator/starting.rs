//! Runs that never start: no machine, no room in a quota, not allowed.

use crds::{BuildResult, RunPhase::Error};
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use kube::api::PostParams;
use serde_json::{Value, json};
use tests::{
    cluster::{Ending, Fate, eventually},
    story::{PATIENCE, Story},
};

use super::{
    begin_without_kubelet, build_of,
    endings::{end, reach_ends},
    phase_is, reason_of, run_is,
};

#[tokio::test]
async fn a_run_that_cannot_start_says_why_when_its_queue_time_is_over() {
    let mut story = begin_without_kubelet("starts").await;
    story.pods_go(|_| {
        Fate::ends(Ending::Unschedulable {
            message: "0/3 nodes are available: 3 Insufficient cpu.".into(),
        })
    });
    // The Job controller meets both at once: a policy, and a class that nobody made.
    let limits: LimitRange = of(json!({
        "metadata": { "name": "small" },
        "spec": { "limits": [{ "type": "Container", "max": { "cpu": "150m" } }] },
    }));
    story
        .in_builds()
        .create(&PostParams::default(), &limits)
        .await
        .unwrap();
    for (builder, seconds) in [("nowhere", 2), ("too-big", 7), ("classless", 7)] {
        story
            .builder(builder, |spec| {
                spec.timeouts.queue_seconds = seconds;
                let machine = spec.kubernetes.as_mut().unwrap();
                match builder {
                    "too-big" => machine.resources.cpu = "200m".into(),
                    "classless" => machine.runtime_class = Some("nobody-made-it".into()),
                    _ => {}
                }
            })
            .await;
    }
    let ends = [
        end(
            "nowhere",
            1,
            Error,
            "did not start within 2 s: no machine is free for it: 0/3 nodes are available: 3 Insufficient cpu.",
            "error",
            "Error: did not start within 2 s: no machine is free for it: 0/3 nodes",
        ),
        end(
            "too-big",
            1,
            Error,
            "the cluster refuses its pod: ",
            "error",
            "Error: ",
        ),
        end(
            "classless",
            1,
            Error,
            "the cluster refuses its pod: ",
            "error",
            "Error: ",
        ),
    ];
    let runs = reach_ends(&story, &ends).await;
    assert!(
        runs[1].contains("maximum cpu usage per Container is 150m"),
        "{runs:?}"
    );
    assert!(runs[2].contains("nobody-made-it"), "{runs:?}");
    story.end().await;
}

#[tokio::test]
async fn a_quota_on_pods_is_waited_for_and_named() {
    a_quota_is_waited_for_and_named("podquota", "pods").await;
}

#[tokio::test]
async fn a_quota_on_jobs_is_waited_for_and_named() {
    a_quota_is_waited_for_and_named("jobquota", "count/jobs.batch").await;
}

async fn a_quota_is_waited_for_and_named(name: &str, what: &str) {
    let story = begin_without_kubelet(name).await;
    nothing_is_left_of(&story, what).await;
    story
        .builder("debian", |spec| spec.timeouts.queue_seconds = 10)
        .await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    let run = format!("{name}-debian-1");
    waits_for_the_quota(&story, &run).await;
    story.complete(&name).await;
    let run = phase_is(&story, &run, Error).await;
    let reason = reason_of(&run);
    assert!(
        reason.starts_with("did not start within 10 s: ")
            && reason.contains("exceeded quota: none"),
        "{reason}"
    );
    assert_eq!(story.last_statuses(number)[0].1, "error");
    story.end().await;
}

#[tokio::test]
async fn a_run_whose_job_was_refused_begins_once_a_quota_has_room_of_which_no_event_tells() {
    let mut story = begin_without_kubelet("quotaroom").await;
    story.pods_go(|_| Fate::passes());
    // With a limit, however far away, runs are let go by admission and by nobody else.
    story
        .repository(|spec| spec.guards.builds_per_person = Some(9))
        .await;
    nothing_is_left_of(&story, "count/jobs.batch").await;
    story.builder("debian", |_| {}).await;
    let (_, name) = build_of(&story, "change", &["debian"]).await;
    waits_for_the_quota(&story, &format!("{name}-debian-1")).await;
    let quotas = story.in_builds::<ResourceQuota>();
    quotas.delete("none", &Default::default()).await.unwrap();
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    story.end().await;
}

/// Makes a quota that leaves nothing of this, and waits until it holds.
async fn nothing_is_left_of(story: &Story, what: &str) {
    let quota: ResourceQuota =
        of(json!({ "metadata": { "name": "none" }, "spec": { "hard": { what: "0" } } }));
    let quotas = story.in_builds::<ResourceQuota>();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    eventually("the quota counts", PATIENCE, async || {
        let quota = quotas
            .get("none")
            .await
            .map_err(|error| error.to_string())?;
        let used = quota
            .status
            .as_ref()
            .and_then(|status| status.used.as_ref());
        used.map(drop).ok_or_else(|| format!("{:?}", quota.status))
    })
    .await;
}

async fn waits_for_the_quota(story: &Story, run: &str) {
    run_is(story, run, "says that it waits for the quota", |run| {
        let waiting = run
            .status
            .as_ref()
            .and_then(|status| status.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.contains("exceeded quota: none"))
    })
    .await;
}

fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
