//! Presses of buttons that did not arrive.

use crds::{ReportMode, TriggerKind};
use tests::cluster::{Ending, Fate};
use tests::forge::DeliveryFault;

use super::recovery::LOOK;
use super::*;

/// A look at the deliveries that GitHub made to the App.
const DELIVERIES: &str = "GET /app/hook/deliveries";

/// Webhook and operator of an App that reports by check runs, with a build whose run failed.
pub async fn pressable(name: &str) -> (Story, String, Id) {
    let mut story = checked(name).await;
    start_both(&mut story).await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let event = story.label(number);
    story.complete(&story.name_of(number, event)).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    let check = completed(&story, REPO, &head);
    (story, head, check)
}

/// A repository that reports by check runs, whose builds end by no doing of the code.
async fn checked(name: &str) -> Story {
    let setting = Setting {
        checks: true,
        ..Setting::default()
    };
    let access = shared_control_plane();
    let mut story = Story::begin(&access, name, setting).await.unwrap();
    story
        .repository(|spec| spec.reporting.mode = ReportMode::Checks)
        .await;
    story.builder("linux", |_| {}).await;
    story.pods_go(|_| Fate::ends(Ending::OutOfMemory));
    story
}

async fn start_both(story: &mut Story) {
    story.start_operator().await.unwrap();
    story.start_webhook_with(LOOK).await.unwrap();
}

/// The newest check run of a commit that has ended.
fn completed(story: &Story, repository: &str, head: &str) -> Id {
    let checks = story.forge.check_runs(repository, head);
    let ended = checks
        .iter()
        .rev()
        .find(|check| check.status == "completed");
    ended.expect("a check run that has ended").id
}

/// So many more looks were taken at the App's deliveries.
pub async fn looks_at_deliveries(story: &Story, more: usize) {
    let log = story.forge.log();
    let before = log.count(DELIVERIES);
    eventually("more looks at deliveries", PATIENCE, async || {
        match log.count(DELIVERIES) {
            now if now >= before + more => Ok(()),
            now => Err(format!("{} of {more}", now - before)),
        }
    })
    .await;
}

/// The builds that presses of buttons asked for.
pub async fn pressed(story: &Story) -> Vec<PrBuild> {
    let all = story.api::<PrBuild>().list(&ListParams::default()).await;
    let mut builds = all.unwrap().items;
    builds.retain(|build| build.spec.request.trigger.kind == TriggerKind::Button);
    builds
}

pub async fn one_is_pressed(story: &Story) -> PrBuild {
    eventually("the press builds", PATIENCE, async || {
        let mut builds = pressed(story).await;
        match builds.len() {
            1 => Ok(builds.remove(0)),
            others => Err(format!("{others} builds")),
        }
    })
    .await
}

#[tokio::test]
async fn a_press_that_did_not_arrive_is_read_back_from_github_and_done_once() {
    let (story, head, check) = pressable("wh-press").await;
    let faults = story.forge.faults();
    faults.deliveries(1, Some("check_run"), DeliveryFault::Lost);
    story.forge.press_rerun(REPO, check, ADA);
    story.forge.clock().advance(Duration::from_secs(60));
    let build = one_is_pressed(&story).await;
    assert_eq!(build.spec.request.head_sha, head);
    // Somebody has GitHub deliver it again, too.
    let deliveries = story.forge.deliveries();
    let lost = deliveries
        .iter()
        .find(|one| one.action.as_deref() == Some("rerequested"))
        .unwrap();
    story.forge.redeliver(lost.id);
    story.forge.deliveries_settled().await;
    assert_eq!(pressed(&story).await.len(), 1);
    story.end().await;
}

#[tokio::test]
async fn a_press_that_did_not_arrive_is_read_back_although_results_are_statuses_by_now() {
    let (story, _, check) = pressable("wh-press-mode").await;
    story.repository(|_| {}).await;
    looks_at_deliveries(&story, 2).await;
    let faults = story.forge.faults();
    faults.deliveries(1, Some("check_run"), DeliveryFault::Lost);
    story.forge.press_rerun(REPO, check, ADA);
    story.forge.clock().advance(Duration::from_secs(60));
    one_is_pressed(&story).await;
    story.end().await;
}
