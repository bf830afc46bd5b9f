//! Two builds speak for one commit and builder: the newer one's word stands.

use std::sync::{Arc, Mutex};

use crds::{BuildResult, RunPhase};
use kube::{ResourceExt, api::DeleteParams};
use tests::{
    cluster::{Ending, Fate},
    story::{PATIENCE, REPO, Story},
};

use super::{begin_without_kubelet, build_of, crash, failing, phase_is, pods_are};

/// What comes to the next pod.
type NextFate = Arc<Mutex<Fate>>;

/// An older build whose run is under way, and a newer one of the same commit and builder that has
/// passed. Returns the pull request, both names, and what the next pods do.
async fn overtaken(name: &str) -> (Story, u64, [String; 2], NextFate) {
    let mut story = begin_without_kubelet(name).await;
    let next: NextFate = Arc::new(Mutex::new(Fate::ends(Ending::Never)));
    let fate = next.clone();
    story.pods_go(move |_| fate.lock().unwrap().clone());
    story.builder("debian", |_| {}).await;
    let (number, older) = build_of(&story, "change", &["debian"]).await;
    phase_is(&story, &format!("{older}-debian-1"), RunPhase::Running).await;
    story
        .forge
        .eventually(PATIENCE, "the label to go", |forge| {
            forge.labels(REPO, number).is_empty().then_some(())
        })
        .await;
    *next.lock().unwrap() = Fate::passes();
    let newer = story.authorized(number, &["debian"]).await.name_any();
    let build = story.complete(&newer).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    assert_green(&story, number);
    (story, number, [older, newer], next)
}

fn assert_green(story: &Story, number: u64) {
    let last = story.last_statuses(number);
    assert_eq!(last.len(), 1, "{last:?}");
    assert_eq!(last[0].1, "success", "{last:?}");
}

/// The older build's pod is deleted, which is an error of the infrastructure.
async fn break_older(story: &Story, older: &str) {
    let run = story.runs(older).await.remove(0);
    let pods = pods_are(story, 2).await;
    let uid = run.uid().unwrap();
    let pod = pods
        .iter()
        .find(|pod| pod.labels()["prbuild.dev/run"] == uid)
        .unwrap();
    story
        .pods()
        .delete(&pod.name_any(), &DeleteParams::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_late_result_of_an_older_build_does_not_overwrite_a_newer_one() {
    let (story, number, [older, _], next) = overtaken("overtaken").await;
    *next.lock().unwrap() = failing();
    break_older(&story, &older).await;
    let build = story.complete(&older).await;
    assert_eq!(
        build.status.unwrap().result,
        Some(BuildResult::Failed),
        "it has its own result"
    );
    assert_green(&story, number);
    story.end().await;
}

#[tokio::test]
async fn a_late_result_does_not_overwrite_a_newer_one_after_a_restart_either() {
    let (mut story, number, [older, _], next) = overtaken("overcrash").await;
    *next.lock().unwrap() = failing();
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    break_older(&story, &older).await;
    let build = story.complete(&older).await;
    assert_eq!(
        build.status.unwrap().result,
        Some(BuildResult::Failed),
        "it has its own result"
    );
    assert_green(&story, number);
    let head = story.forge.pull_request(REPO, number).head_sha;
    let mut told: Vec<String> = story
        .forge
        .statuses(REPO, &head)
        .into_iter()
        .map(|status| status.state)
        .collect();
    told.drain(..told.iter().position(|state| state == "success").unwrap());
    assert!(
        told.iter().all(|state| state == "success"),
        "what is green stays green: {told:?}"
    );
    story.end().await;
}

#[tokio::test]
async fn an_older_run_that_is_deleted_after_a_restart_leaves_the_newer_result() {
    let (mut story, number, [older, _], _) = overtaken("overdelete").await;
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    let run = story.runs(&older).await.remove(0);
    story
        .api::<crds::BuilderRun>()
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
    let mut story = begin_without_kubelet("numbers").await;
    let next: NextFate = Arc::new(Mutex::new(Fate::ends(Ending::Never)));
    let fate = next.clone();
    story.pods_go(move |_| fate.lock().unwrap().clone());
    story.builder("debian", |_| {}).await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    // Both in one second, as far as the API server tells.
    let event = |id: i64| move |spec: &mut crds::PrBuildSpec| spec.request.trigger.event_id = id;
    let older = story
        .authorized_with(number, &["debian"], event(99_999))
        .await
        .name_any();
    pods_are(&story, 1).await;
    *next.lock().unwrap() = Fate::passes();
    let newer = story
        .authorized_with(number, &["debian"], event(100_000))
        .await
        .name_any();
    story.complete(&newer).await;
    assert_green(&story, number);
    story.cancel(&older).await;
    story.complete(&older).await;
    assert_green(&story, number);
    story.end().await;
}
