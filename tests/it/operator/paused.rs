//! A Repository is paused: nothing starts, what runs goes on.

use crds::{BuildResult, BuilderRun, RunPhase};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{
    cluster::{Ending, Fate},
    story::Story,
};

use super::{
    begin, begin_without_kubelet, build_of, builder_of, crash, jobs_are, phase_is, phase_of,
    run_is, told,
};

const SAYS: &str = "builds of this repository are paused";

async fn pause(story: &Story, paused: bool) {
    let patch = Patch::Merge(json!({ "spec": { "paused": paused } }));
    let repositories = story.api::<crds::Repository>();
    let how = PatchParams::default();
    repositories.patch("app", &how, &patch).await.unwrap();
}

async fn says_so(story: &Story, run: &str) {
    run_is(story, run, "says that it is paused", |run: &BuilderRun| {
        let waiting = run
            .status
            .as_ref()
            .and_then(|status| status.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason == SAYS)
    })
    .await;
}

#[tokio::test]
async fn while_a_repository_is_paused_nothing_starts_and_then_everything_does() {
    let story = begin("repopaused", Fate::passes()).await;
    pause(&story, true).await;
    story.builder("free", |_| {}).await;
    story
        .builder("limited", |spec| spec.max_concurrent = Some(1))
        .await;
    let (number, name) = build_of(&story, "change", &["free", "limited"]).await;
    for builder in ["free", "limited"] {
        says_so(&story, &format!("{name}-{builder}-1")).await;
    }
    let last = story.last_statuses(number);
    assert_eq!(last[0].2, format!("Waiting: {SAYS}"));
    assert_eq!(told(&story, &name, "Paused").await, SAYS);
    jobs_are(&story, 0).await;
    pause(&story, false).await;
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    story.end().await;
}

#[tokio::test]
async fn a_pause_stops_dispatch_at_once_and_what_runs_goes_on() {
    let mut story = begin_without_kubelet("repostops").await;
    story.pods_go(|pod| match builder_of(pod).as_str() {
        "debian" => Fate::ends(Ending::Never),
        _ => Fate::passes(),
    });
    story.builder("debian", |_| {}).await;
    story.builder("fedora", |spec| spec.paused = true).await;
    let (_, name) = build_of(&story, "change", &["debian", "fedora"]).await;
    phase_is(&story, &format!("{name}-debian-1"), RunPhase::Running).await;
    pause(&story, true).await;
    super::pause(&story, "fedora", false).await;
    says_so(&story, &format!("{name}-fedora-1")).await;
    let debian = story.runs(&name).await.remove(0);
    assert_eq!(phase_of(&debian), RunPhase::Running);
    pause(&story, false).await;
    phase_is(&story, &format!("{name}-fedora-1"), RunPhase::Succeeded).await;
    story.end().await;
}

#[tokio::test]
async fn a_restart_does_not_end_a_pause() {
    let mut story = begin("repocrash", Fate::passes()).await;
    pause(&story, true).await;
    story.builder("debian", |_| {}).await;
    let (_, name) = build_of(&story, "change", &["debian"]).await;
    says_so(&story, &format!("{name}-debian-1")).await;
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    let (_, second) = build_of(&story, "second", &["debian"]).await;
    says_so(&story, &format!("{second}-debian-1")).await;
    jobs_are(&story, 0).await;
    pause(&story, false).await;
    story.complete(&name).await;
    story.complete(&second).await;
    story.end().await;
}

#[tokio::test]
async fn time_that_a_build_is_held_is_no_queue_time_also_over_a_restart() {
    const QUEUE_SECONDS: i64 = 5;
    let mut story = begin("repoheld", Fate::passes()).await;
    pause(&story, true).await;
    story
        .builder("debian", |spec| spec.timeouts.queue_seconds = QUEUE_SECONDS)
        .await;
    let (_, name) = build_of(&story, "change", &["debian"]).await;
    let run = format!("{name}-debian-1");
    says_so(&story, &run).await;
    assert_eq!(told(&story, &name, "Paused").await, SAYS);
    let made = run_is(&story, &run, "is there", |_| true).await;
    let made = made.metadata.creation_timestamp.unwrap().0;
    let what = "it is older than its queue timeout";
    let old = |_: &BuilderRun| {
        let age = jiff::Timestamp::now().duration_since(made);
        match age.as_secs() > QUEUE_SECONDS {
            true => Ok(()),
            false => Err(format!("{age:?}")),
        }
    };
    story.eventually_in(what, &run, old).await;
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    pause(&story, false).await;
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    let run = story.runs(&name).await.remove(0).status.unwrap();
    assert!(run.queued_since.is_some_and(|since| since.0 > made));
    story.end().await;
}
