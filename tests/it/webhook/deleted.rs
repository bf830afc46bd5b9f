//! Builds of commands and presses that somebody deletes stay away: what asked for them is still there.

use super::recovery::{COMMENTS, LOOK, TEN_MINUTES};
use super::*;

#[tokio::test]
async fn a_build_that_was_deleted_by_hand_stays_away() {
    let mut town = Town::with("wh-byhand", |_| {}, LOOK).await;
    let number = town.pull_request().await;
    let (built, _) = town.said(number, ADA, "/prbuild run").await;
    town.advance(TEN_MINUTES);
    town.looks(5).await;
    let builds = town.story.api::<PrBuild>();
    builds.delete(&built, &Default::default()).await.unwrap();
    town.looks(2).await;
    town.nothing_stored().await;

    town.story.repository(|spec| spec.paused = true).await;
    town.looks(3).await;
    town.story.repository(|_| {}).await;
    town.looks(3).await;
    town.nothing_stored().await;

    let webhook = town.webhook;
    town.story.install.program(webhook).unwrap().terminate();
    let listed = town.story.forge.log().count(COMMENTS);
    (town.webhook, town.address) = start(&mut town.story, LOOK).await;
    town.looks(3).await;
    assert!(town.story.forge.log().count(COMMENTS) > listed);
    town.nothing_stored().await;
    let later = town.whispers(number, ADA, "/prbuild run");
    town.advance(20);
    town.is_built(&later).await;
    town.end().await;
}

#[tokio::test]
async fn a_build_that_is_deleted_as_soon_as_it_is_there_stays_away() {
    let mut town = Town::with("wh-atonce", |_| {}, LOOK).await;
    let number = town.pull_request().await;
    let builds = town.story.api::<PrBuild>();
    let (built, code) = town.said(number, ADA, "/prbuild run").await;
    assert_eq!(code, 202);
    builds.delete(&built, &Default::default()).await.unwrap();
    // Its time to be looked at comes; nobody has looked before.
    town.advance(20);
    town.looks(3).await;
    assert_eq!(town.again().await, 200, "delivered once more");
    town.nothing_stored().await;

    // Whoever looks next knows what this one knew.
    let webhook = town.webhook;
    town.story.install.program(webhook).unwrap().terminate();
    let listed = town.story.forge.log().count(COMMENTS);
    (town.webhook, town.address) = start(&mut town.story, LOOK).await;
    town.looks(3).await;
    assert!(town.story.forge.log().count(COMMENTS) > listed);
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn a_press_whose_build_was_deleted_is_not_built_again_by_its_delivery() {
    let (story, _, check) = recovery::pressable("wh-pressgone").await;
    let forge = &story.forge;
    forge.clock().advance(Duration::from_secs(5));
    forge.press_rerun(REPO, check, ADA);
    let build = recovery::one_is_pressed(&story).await.name_any();
    let builds = story.api::<PrBuild>();
    builds.delete(&build, &Default::default()).await.unwrap();
    let deliveries = forge.deliveries();
    let pressed = deliveries
        .iter()
        .find(|one| one.action.as_deref() == Some("rerequested"));
    forge.redeliver(pressed.unwrap().id);
    forge.deliveries_settled().await;
    assert!(recovery::pressed(&story).await.is_empty());
    story.end().await;
}
