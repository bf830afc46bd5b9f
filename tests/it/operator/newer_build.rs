//! A newer build of another commit of a pull request stops the older ones, where a Repository wants
//! that.

use crds::{BuildResult, RunPhase};
use kube::ResourceExt;
use tests::{
    cluster::{Ending, Fate},
    story::{MALLORY, PATIENCE, REPO, Story},
};

use super::{begin, build_of, crash, nothing_is_pending, phase_is, phase_of, reason_of, told};

const SAYS: &str = "@ada started a newer build of another commit";

/// Mallory pushes another commit to the pull request's branch.
async fn push(story: &Story, text: &str) {
    let fork = format!("{MALLORY}/app");
    story.forge.push(&fork, "change", &[("README", text)]).await;
    story.quiet();
}

/// A build with one run that runs and one that waits.
async fn under_way(story: &Story) -> (u64, String) {
    story.builder("runs", |_| {}).await;
    story.builder("waits", |spec| spec.paused = true).await;
    let (number, name) = build_of(story, "change", &["runs", "waits"]).await;
    phase_is(story, &format!("{name}-runs-1"), RunPhase::Running).await;
    (number, name)
}

async fn stopped(story: &Story, older: &str) {
    for builder in ["runs", "waits"] {
        let run = phase_is(story, &format!("{older}-{builder}-1"), RunPhase::Cancelled).await;
        assert_eq!(reason_of(&run), SAYS);
        assert_eq!(run.spec.cancel.unwrap().by, "prbuild");
    }
    let status = story.complete(older).await.status.unwrap();
    assert_eq!(status.result, Some(BuildResult::Cancelled));
    let says = format!("cancelled: {SAYS}");
    assert_eq!(status.reason.as_ref(), Some(&says));
    assert_eq!(told(story, older, "Cancelled").await, says);
}

#[tokio::test]
async fn a_newer_build_of_another_commit_stops_the_older_one() {
    let story = begin("newer", Fate::ends(Ending::Never)).await;
    let (number, older) = under_way(&story).await;
    let commit = story.forge.pull_request(REPO, number).head_sha;
    story
        .forge
        .eventually(PATIENCE, "both runs to be shown as pending", |_| {
            let last = story.last_statuses_of(&commit);
            let pending = last.iter().filter(|(_, state, _)| state == "pending");
            (pending.count() == 2).then_some(())
        })
        .await;
    push(&story, "y").await;
    let newer = story.authorized(number, &["runs"]).await.name_any();
    stopped(&story, &older).await;
    story
        .forge
        .eventually(PATIENCE, "the older commit to have no check left", |_| {
            let last = story.last_statuses_of(&commit);
            let pending = last.iter().any(|(_, state, _)| state == "pending");
            (last.len() == 2 && !pending).then_some(())
        })
        .await;
    phase_is(&story, &format!("{newer}-runs-1"), RunPhase::Running).await;
    story.end().await;
}

#[tokio::test]
async fn an_older_build_that_begins_after_the_newer_one_is_stopped_too() {
    let mut story = begin("newerdown", Fate::passes()).await;
    story.builder("debian", |_| {}).await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    crash(&mut story).await;
    let older = story.authorized(number, &["debian"]).await.name_any();
    push(&story, "y").await;
    let newer = story
        .authorized_with(number, &["debian"], |spec| {
            // The label of the older build is still on.
            spec.request.trigger.event_id += 1_000;
        })
        .await
        .name_any();
    story.start_operator().await.unwrap();
    let build = story.complete(&newer).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    let status = story.complete(&older).await.status.unwrap();
    // Both began at once: it may have passed before anybody looked.
    let ended = [Some(BuildResult::Cancelled), Some(BuildResult::Passed)];
    assert!(ended.contains(&status.result), "{status:?}");
    nothing_is_pending(&story, number, 1).await;
    story.end().await;
}

#[tokio::test]
async fn where_a_repository_wants_it_older_builds_go_on() {
    let story = begin("neweroff", Fate::ends(Ending::Never)).await;
    story
        .repository(|spec| spec.cancel_on.newer_build = false)
        .await;
    let (number, older) = under_way(&story).await;
    push(&story, "y").await;
    let newer = story.authorized(number, &["runs"]).await.name_any();
    phase_is(&story, &format!("{newer}-runs-1"), RunPhase::Running).await;
    let runs = story.runs(&older).await;
    assert_eq!(phase_of(&runs[0]), RunPhase::Running);
    assert!(runs.iter().all(|run| run.spec.cancel.is_none()));
    story.end().await;
}
