//! Builds of commands and presses that somebody deletes stay away: what asked for them is still there.

use crds::AnswerReason;
use k8s_openapi::api::coordination::v1::Lease;
use tests::forge::DeliveryFault;

use super::recovery::{COMMENTS, LOOK, TEN_MINUTES};
use super::*;

/// One look at the start, and no other one in the time of a test.
const ONE_LOOK: &[&str] = &["--sweep-seconds", "86400"];
/// What was in a delivery, read back.
const READ_BACK: &str = "GET /app/hook/deliveries/*";

/// The webhook ends, and another one looks at all comments.
async fn another_looks(town: &mut Town) {
    let webhook = town.webhook;
    town.story.install.program(webhook).unwrap().terminate();
    let listed = town.story.forge.log().count(COMMENTS);
    (town.webhook, town.address) = start(&mut town.story, LOOK).await;
    town.looks(3).await;
    assert!(town.story.forge.log().count(COMMENTS) > listed);
}

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

    another_looks(&mut town).await;
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
    another_looks(&mut town).await;
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn a_press_whose_build_was_deleted_is_not_built_again_by_its_delivery() {
    let (story, _, check) = presses::pressable("wh-pressgone").await;
    let forge = &story.forge;
    forge.clock().advance(Duration::from_secs(5));
    forge.press_rerun(REPO, check, ADA);
    let build = presses::one_is_pressed(&story).await.name_any();
    let builds = story.api::<PrBuild>();
    builds.delete(&build, &Default::default()).await.unwrap();
    let deliveries = forge.deliveries();
    let pressed = deliveries
        .iter()
        .find(|one| one.action.as_deref() == Some("rerequested"));
    forge.redeliver(pressed.unwrap().id);
    forge.deliveries_settled().await;
    assert!(presses::pressed(&story).await.is_empty());
    story.end().await;
}

#[tokio::test]
async fn what_is_deleted_before_anybody_looked_stays_away_although_its_replica_ends() {
    let mut town = Town::with("wh-unseen", |_| {}, ONE_LOOK).await;
    let number = town.pull_request().await;
    let (built, code) = town.said(number, ADA, "/prbuild run").await;
    assert_eq!(code, 202);
    let (told, code) = town.said(number, ADA, "/prbuild help").await;
    assert_eq!(code, 202);
    let builds = town.story.api::<PrBuild>();
    builds.delete(&built, &Default::default()).await.unwrap();
    let answers = town.story.api::<Answer>();
    answers.delete(&told, &Default::default()).await.unwrap();
    town.advance(20);
    another_looks(&mut town).await;
    town.nothing_stored().await;
    town.end().await;
}

/// What the sweep's Lease says was done, and when its holder last renewed it.
async fn noted(town: &Town) -> (String, Option<jiff::Timestamp>) {
    let lease = town.story.api::<Lease>().get("prbuild-sweep").await;
    let Ok(lease) = lease else {
        return (String::new(), None);
    };
    let done = lease.annotations().get("prbuild.dev/done").cloned();
    let renewed = lease.spec.and_then(|spec| spec.renew_time);
    (done.unwrap_or_default(), renewed.map(|time| time.0))
}

#[tokio::test]
async fn a_build_that_is_deleted_stays_away_when_another_replica_gets_its_delivery() {
    let mut town = Town::with("wh-elsewhere", |_| {}, ONE_LOOK).await;
    eventually("the first replica holds the Lease", PATIENCE, async || {
        noted(&town).await.1.ok_or("nobody does".to_owned())
    })
    .await;
    let number = town.pull_request().await;
    let faults = town.story.forge.faults();
    faults.deliveries(1, Some("issue_comment"), DeliveryFault::Lost);
    let (built, _) = town.said(number, ADA, "/prbuild run").await;
    let body = town
        .story
        .forge
        .deliveries()
        .last()
        .unwrap()
        .payload
        .clone();
    let signature = signed(&body);
    let headers = headers("issue_comment", &signature);

    // The second one, which does not look, builds.
    let first = town.address;
    let (_, second) = start(&mut town.story, ONE_LOOK).await;
    town.address = second;
    assert_eq!(town.post(&headers, &body).await.status, 202);
    let builds = town.story.api::<PrBuild>();
    builds.delete(&built, &Default::default()).await.unwrap();
    let renewed = eventually("the second one notes it", PATIENCE, async || {
        match noted(&town).await {
            (done, renewed) if done.contains(&built) => Ok(renewed),
            (done, _) => Err(done),
        }
    })
    .await;
    eventually(
        "the first one has read it",
        PATIENCE,
        async || match noted(&town).await.1 {
            now if now > renewed => Ok(()),
            now => Err(format!("{now:?}")),
        },
    )
    .await;
    town.address = first;
    assert_eq!(town.post(&headers, &body).await.status, 200);
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn a_press_that_was_read_back_is_not_read_again_by_the_next_replica() {
    let (mut story, _, check) = presses::pressable("wh-pressback").await;
    let faults = story.forge.faults();
    faults.deliveries(1, Some("check_run"), DeliveryFault::Lost);
    story.forge.press_rerun(REPO, check, ADA);
    story.forge.clock().advance(Duration::from_secs(60));
    let build = presses::one_is_pressed(&story).await.name_any();
    let builds = story.api::<PrBuild>();
    builds.delete(&build, &Default::default()).await.unwrap();
    presses::looks_at_deliveries(&story, 1).await;
    let log = story.forge.log();
    let read = log.count(READ_BACK);
    story.stop_webhook().await;
    story.start_webhook_with(LOOK).await.unwrap();
    presses::looks_at_deliveries(&story, 2).await;
    assert!(presses::pressed(&story).await.is_empty());
    assert_eq!(log.count(READ_BACK), read, "nobody asks what it was");
    story.end().await;
}

#[tokio::test]
async fn a_press_that_was_read_back_and_refused_is_not_decided_again_by_the_next_replica() {
    let (mut story, _, check) = presses::pressable("wh-pressno").await;
    let checks = |paused: bool| {
        move |spec: &mut RepositorySpec| {
            spec.reporting.mode = crds::ReportMode::Checks;
            spec.paused = paused;
        }
    };
    story.repository(checks(true)).await;
    presses::looks_at_deliveries(&story, 1).await;
    let faults = story.forge.faults();
    faults.deliveries(1, Some("check_run"), DeliveryFault::Lost);
    story.forge.press_rerun(REPO, check, ADA);
    story.forge.clock().advance(Duration::from_secs(60));
    eventually("it is refused", PATIENCE, async || {
        let answers = story.api::<Answer>().list(&ListParams::default()).await;
        let answers = answers.map_err(|error| error.to_string())?.items;
        let paused = answers
            .iter()
            .any(|one| reason(one) == AnswerReason::Paused);
        paused.then_some(()).ok_or_else(|| format!("{answers:?}"))
    })
    .await;
    presses::looks_at_deliveries(&story, 1).await;
    story.stop_webhook().await;
    story.repository(checks(false)).await;
    story.start_webhook_with(LOOK).await.unwrap();
    presses::looks_at_deliveries(&story, 2).await;
    assert!(presses::pressed(&story).await.is_empty());
    story.end().await;
}
