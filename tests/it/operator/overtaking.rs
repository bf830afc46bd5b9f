//! Two builds speak for one commit and builder, and the builder changed in between: the newer one's
//! word stands.

use std::sync::{Arc, Mutex};

use crds::{BuildResult, BuilderRun, RunPhase};
use kube::{ResourceExt, api::DeleteParams};
use tests::{
    cluster::{Ending, Fate},
    story::{REPO, Story},
};

use super::{begin_without_kubelet, build_of, crash, phase_is, pods_are, reason_of, revoke};

/// What comes to the next pod.
type NextFate = Arc<Mutex<Fate>>;

async fn with_script(name: &str) -> (Story, NextFate) {
    let mut story = begin_without_kubelet(name).await;
    let next: NextFate = Arc::new(Mutex::new(Fate::ends(Ending::Never)));
    let fate = next.clone();
    story.pods_go(move |_| fate.lock().unwrap().clone());
    story.builder("debian", |_| {}).await;
    (story, next)
}

/// The builder does something else from now on: a newer run is not the same work.
async fn change_builder(story: &Story) {
    story
        .builder("debian", |spec| spec.timeouts.run_seconds -= 1)
        .await;
}

/// An older build whose run is under way, and a newer one of the same commit that has passed.
/// Returns the pull request and both names.
async fn overtaken(name: &str) -> (Story, u64, [String; 2]) {
    let (story, next) = with_script(name).await;
    let (number, older) = build_of(&story, "change", &["debian"]).await;
    phase_is(&story, &format!("{older}-debian-1"), RunPhase::Running).await;
    change_builder(&story).await;
    *next.lock().unwrap() = Fate::passes();
    let newer = story.authorized(number, &["debian"]).await.name_any();
    let build = story.complete(&newer).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    (story, number, [older, newer])
}

fn assert_green(story: &Story, number: u64) {
    let last = story.last_statuses(number);
    assert_eq!(last.len(), 1, "{last:?}");
    assert_eq!(last[0].1, "success", "{last:?}");
    let head = story.forge.pull_request(REPO, number).head_sha;
    let told = story.forge.statuses(REPO, &head).into_iter();
    let mut told: Vec<String> = told.map(|status| status.state).collect();
    told.drain(..told.iter().position(|state| state == "success").unwrap());
    assert!(
        told.iter().all(|state| state == "success"),
        "what is green stays green: {told:?}"
    );
}

#[tokio::test]
async fn the_end_of_an_older_build_does_not_overwrite_a_newer_one() {
    let (story, number, [older, _]) = overtaken("overtaken").await;
    let build = story.complete(&older).await;
    assert_eq!(
        build.status.unwrap().result,
        Some(BuildResult::Cancelled),
        "it has its own result"
    );
    let run = story.runs(&older).await.remove(0);
    assert_eq!(reason_of(&run), "@ada started a newer build of this commit");
    pods_are(&story, 1).await;
    assert_green(&story, number);
    story.end().await;
}

#[tokio::test]
async fn an_older_run_that_is_stopped_after_a_restart_does_not_overwrite_a_newer_one_either() {
    let (mut story, next) = with_script("overcrash").await;
    let (number, older) = build_of(&story, "change", &["debian"]).await;
    phase_is(&story, &format!("{older}-debian-1"), RunPhase::Running).await;
    change_builder(&story).await;
    *next.lock().unwrap() = Fate::passes();
    // The older run cannot be stopped before the newer one has passed.
    let revoked = revoke(&story, "patch", "builderruns").await;
    let newer = story.authorized(number, &["debian"]).await.name_any();
    story.complete(&newer).await;
    crash(&mut story).await;
    revoked.restore(&story).await;
    story.start_operator().await.unwrap();
    story.cancel(&older).await;
    let build = story.complete(&older).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Cancelled));
    assert_green(&story, number);
    story.end().await;
}

#[tokio::test]
async fn an_older_run_that_is_deleted_after_a_restart_leaves_the_newer_result() {
    let (mut story, number, [older, _]) = overtaken("overdelete").await;
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    let run = story.runs(&older).await.remove(0);
    story
        .api::<BuilderRun>()
        .delete(&run.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    let build = story.complete(&older).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Cancelled));
    assert_green(&story, number);
    story.end().await;
}

#[tokio::test]
async fn a_newer_build_with_a_longer_number_is_still_the_newer_one() {
    let (story, next) = with_script("numbers").await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    // Both in one second, as far as the API server tells.
    let event = |id: i64| move |spec: &mut crds::PrBuildSpec| spec.request.trigger.event_id = id;
    let older = story
        .authorized_with(number, &["debian"], event(99_999))
        .await
        .name_any();
    pods_are(&story, 1).await;
    change_builder(&story).await;
    *next.lock().unwrap() = Fate::passes();
    let newer = story
        .authorized_with(number, &["debian"], event(100_000))
        .await
        .name_any();
    story.complete(&newer).await;
    assert_green(&story, number);
    story.complete(&older).await;
    assert_green(&story, number);
    story.end().await;
}
