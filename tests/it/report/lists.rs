//! Lists of GitHub that are longer than a page.

use std::time::Duration;

use tests::forge::State;

use super::{APP, Scene, signed};

#[tokio::test]
async fn comments_since_a_time_are_all_found_however_many_pages_they_fill() {
    let scene = Scene::new().await;
    let comment = |text| signed(scene.forge.comment(APP, scene.number, "mallory", text));
    let clock = scene.forge.clock();
    clock.stop();
    for _ in 0..20 {
        comment("before");
    }
    clock.advance(Duration::from_secs(10));
    let since = clock.now();
    let mut written = Vec::new();
    for n in 0..220 {
        written.push(comment("after"));
        if n % 7 == 0 {
            clock.advance(Duration::from_secs(1));
        }
    }
    let found = scene.repo().comments_since(scene.number(), since).await;
    let found: Vec<i64> = found.unwrap().iter().map(|one| one.id).collect();
    assert_eq!(found, written);
    scene.forge.finish().await;
}

#[tokio::test]
async fn reviews_beyond_those_that_are_read_are_not_taken_for_none() {
    let scene = Scene::new().await;
    let review = |state| {
        scene
            .forge
            .review(APP, scene.number, "ada", state, &scene.head);
    };
    for _ in 0..150 {
        review(State::Commented);
    }
    let found = scene.repo().reviews(scene.number()).await.unwrap().value;
    assert_eq!((found.reviews.len(), found.complete), (150, true));

    review(State::Approved);
    for _ in 151..3000 {
        review(State::Commented);
    }
    review(State::ChangesRequested);
    let found = scene.repo().reviews(scene.number()).await.unwrap().value;
    assert_eq!((found.reviews.len(), found.complete), (3000, false));
    let taken_back = found
        .reviews
        .iter()
        .any(|one| one.state == "CHANGES_REQUESTED");
    assert!(!taken_back, "it is not seen, and nobody may trust what is");
    scene.forge.finish().await;
}
