//! Presses of buttons that did not arrive.

use crds::{ReportMode, TriggerKind};
use tests::cluster::{Ending, Fate};
use tests::forge::{DeliveryFault, PullRequest, Push, Role};

use super::recovery::LOOK;
use super::*;
use tests::story::apply;

/// A look at the deliveries that GitHub made to the App.
const DELIVERIES: &str = "GET /app/hook/deliveries";
/// Another repository of the same owner.
const OTHER: &str = "octo/lib";

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

/// A second repository of the same App, with an object `lib`.
async fn with_another(story: &Story) {
    let forge = &story.forge;
    forge.add_repository(OTHER, &[("README", "A lib.\n")]).await;
    forge.set_permission(OTHER, ADA, Role::Write);
    let app = forge.app_on(REPO).unwrap();
    forge.widen_installation(forge.installation_on(REPO, app).unwrap(), OTHER);
    let spec = json!({ "spec": {
        "owner": "octo", "name": "lib", "connection": "github", "labels": [{ "name": LABEL }],
        "reporting": { "mode": "Checks" },
    }});
    apply::<Repository>(&story.api(), "lib", spec).await;
}

/// A build of the other repository that failed. Returns its commit.
async fn failed_there(story: &Story) -> String {
    let forge = &story.forge;
    let what = "the other one is known";
    story
        .eventually_in(what, "lib", |found: &Repository| {
            let status = found.status.clone().unwrap_or_default();
            status.id.map(drop).ok_or_else(|| format!("{status:?}"))
        })
        .await;
    let push = Push {
        repository: OTHER,
        branch: "topic",
        files: &[("b.txt", "b\n")],
        by: ADA,
        ..Push::default()
    };
    forge.push_with(push).await;
    let new = PullRequest {
        title: "A change",
        author: ADA,
        head: "octo:topic",
        ..PullRequest::default()
    };
    let number = forge.open_pull_request(OTHER, new).await;
    story.quiet();
    let event = forge.add_label(OTHER, number, LABEL, ADA);
    story.complete(&format!("lib-{number}-l{event}")).await;
    forge.pull_request(OTHER, number).head_sha
}

/// So many presses build in each of the two repositories, on its own commit.
async fn are_pressed(story: &Story, each: usize, heads: [&str; 2]) -> Vec<PrBuild> {
    eventually("presses of both build", PATIENCE, async || {
        let builds = pressed(story).await;
        let of = |name: &str, head: &str| {
            let requests = builds.iter().map(|build| &build.spec.request);
            let there = requests.filter(|one| one.repository.name == name);
            there.filter(|one| one.head_sha == head).count()
        };
        let found = [of("app", heads[0]), of("lib", heads[1])];
        match found == [each; 2] && builds.len() == 2 * each {
            true => Ok(builds),
            false => Err(format!("{found:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn presses_in_two_repositories_of_one_app_reach_the_right_one_also_when_they_are_read_back() {
    let mut story = checked("wh-press-two").await;
    with_another(&story).await;
    start_both(&mut story).await;
    let here = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let event = story.label(here);
    story.complete(&story.name_of(here, event)).await;
    let head = story.forge.pull_request(REPO, here).head_sha;
    let there = failed_there(&story).await;
    let heads = [head.as_str(), there.as_str()];
    let press_both = || {
        for (repository, head) in [(REPO, heads[0]), (OTHER, heads[1])] {
            let check = completed(&story, repository, head);
            story.forge.press_rerun(repository, check, ADA);
        }
    };
    press_both();
    for build in are_pressed(&story, 1, heads).await {
        story.complete(&build.name_any()).await;
    }

    story.forge.clock().advance(Duration::from_secs(60));
    let faults = story.forge.faults();
    faults.deliveries(2, Some("check_run"), DeliveryFault::Lost);
    press_both();
    story.forge.clock().advance(Duration::from_secs(60));
    are_pressed(&story, 2, heads).await;
    looks_at_deliveries(&story, 2).await;
    assert_eq!(pressed(&story).await.len(), 4, "each once");
    story.end().await;
}
