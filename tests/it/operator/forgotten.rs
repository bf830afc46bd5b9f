//! The API server has forgotten what changed, as after a compaction of etcd: no watch can go on from where
//! it was.

use tests::cluster::{ControlPlane, ControlPlaneOptions, Fate, Process};
use tests::story::{Setting, Story};

use super::build_of;

fn operator(story: &mut Story) -> &mut Process {
    let index = story.operator().unwrap();
    story.install.program(index).unwrap()
}

/// A control plane of its own, because its API server ends.
#[tokio::test]
async fn what_changed_while_no_watch_could_tell_is_listed_and_built() {
    let options = ControlPlaneOptions::default();
    let mut plane = ControlPlane::start(options).await.unwrap();
    let mut story = Story::begin(plane.access(), "forgotten", Setting::default())
        .await
        .unwrap();
    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    story.builder("debian", |_| {}).await;
    let (_, before) = build_of(&story, "before", &["debian"]).await;
    story.complete(&before).await;

    operator(&mut story).pause();
    // Newer than all that the operator knows of, whatever it wrote last.
    story.builder("later", |_| {}).await;
    plane.restart_api_server().await.unwrap();
    let (_, meanwhile) = build_of(&story, "meanwhile", &["debian", "later"]).await;
    operator(&mut story).go_on();

    let built = story.complete(&meanwhile).await;
    assert_eq!(built.status.unwrap().summary, "2 passed");
    let log = operator(&mut story).log();
    let refused =
        |line: &str| line.contains("PrBuild") && line.contains("too old resource version");
    assert!(log.lines().any(refused), "no watch was refused: {log}");
    assert!(operator(&mut story).ended().is_none(), "it goes on");
    story.end().await;
    plane.stop().await.unwrap();
}
