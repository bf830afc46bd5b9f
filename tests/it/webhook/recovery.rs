//! What no delivery told of and no label shows: commands and presses of buttons, and what an outage
//! of ten minutes costs.

use crds::{AnswerReason, BuildPhase, ReportMode, TriggerKind};
use k8s_openapi::api::coordination::v1::Lease;
use tests::cluster::{Ending, Fate};
use tests::forge::{DeliveryFault, Fault};

use super::*;
use tests::story::MALLORY;

pub(super) const LOOK: &[&str] = &["--sweep-seconds", "1"];
const LIST: &str = "GET /repos/*/*/pulls";
pub(super) const COMMENTS: &str = "GET /repos/*/*/issues/comments";
/// An outage.
pub(super) const TEN_MINUTES: u64 = 600;

impl Town {
    /// Somebody comments while GitHub tells nobody. Returns the object's name.
    pub(super) fn whispers(&self, number: u64, by: &str, text: &str) -> String {
        let faults = self.story.forge.faults();
        faults.deliveries(1, Some("issue_comment"), DeliveryFault::NeverMade);
        let comment = self.story.forge.comment(REPO, number, by, text);
        format!("app-{number}-c{comment}")
    }

    pub(super) async fn is_built(&self, name: &str) -> PrBuild {
        let api = self.story.api::<PrBuild>();
        eventually(format!("{name} is built"), PATIENCE, async || {
            api.get(name).await.map_err(|error| error.to_string())
        })
        .await
    }

    async fn is_answered(&self, name: &str) -> Answer {
        let api = self.story.api::<Answer>();
        eventually(format!("{name} is answered"), PATIENCE, async || {
            api.get(name).await.map_err(|error| error.to_string())
        })
        .await
    }

    /// So many more looks were taken.
    pub(super) async fn looks(&self, more: usize) {
        let log = self.story.forge.log();
        let before = log.count(LIST);
        eventually("more looks", PATIENCE, async || match log.count(LIST) {
            now if now >= before + more => Ok(()),
            now => Err(format!("{} of {more}", now - before)),
        })
        .await;
    }
}

#[tokio::test]
async fn a_command_that_no_delivery_told_of_is_found_and_done_once() {
    let town = Town::with("wh-whisper", |_| {}, LOOK).await;
    let number = town.pull_request().await;
    let run = town.whispers(number, ADA, "Please.\n\n/prbuild run\n");
    let help = town.whispers(number, ADA, "/prbuild help");
    let idle = town.whispers(number, MALLORY, "I say nothing to `/prbuild run`.");
    town.advance(20);
    let build = town.is_built(&run).await;
    assert_eq!(build.spec.request.trigger.kind, TriggerKind::Comment);
    assert_eq!(reason(&town.is_answered(&help).await), AnswerReason::Help);
    town.looks(3).await;
    assert_eq!(town.names_of_builds().await, [run]);
    let answers = town.answers().await;
    assert!(answers.iter().all(|answer| answer.name_any() != idle));
    town.end().await;
}

#[tokio::test]
async fn a_command_that_was_answered_is_not_answered_again_by_another_replica() {
    let town = Town::with("wh-oncemore", |_| {}, LOOK).await;
    let number = town.pull_request().await;
    let (built, _) = town.said(number, ADA, "/prbuild run").await;
    let (told, _) = town.said(number, ADA, "/prbuild status").await;
    town.advance(TEN_MINUTES);
    let mut town = town;
    let webhook = town.webhook;
    town.story.install.program(webhook).unwrap().terminate();
    let gate = "GET /repos/*/*/collaborators/*/permission";
    let asked = town.story.forge.log().count(gate);
    (town.webhook, town.address) = start(&mut town.story, LOOK).await;
    town.looks(3).await;
    assert_eq!(town.names_of_builds().await, [built]);
    let answers = town.answers().await;
    let names: Vec<String> = answers.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, [told]);
    assert_eq!(town.story.forge.log().count(gate), asked, "nobody is asked");
    town.end().await;
}

#[tokio::test]
async fn a_command_older_than_a_day_and_an_edited_one_are_never_done() {
    let story = Town::before("wh-stale", |_| {}).await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let forge = &story.forge;
    forge.comment(REPO, number, ADA, "/prbuild run");
    forge.clock().advance(Duration::from_secs(24 * 3600 + 60));
    let comment = forge.comment(REPO, number, ADA, "hello");
    forge.clock().advance(Duration::from_secs(60));
    forge.edit_comment(REPO, comment, ADA, "/prbuild run");
    forge.clock().advance(Duration::from_secs(60));
    let town = Town::open(story, LOOK).await;
    town.looks(4).await;
    assert!(town.story.forge.log().count(COMMENTS) > 0);
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn comments_are_listed_only_after_something_changed() {
    let town = Town::with("wh-listen", |_| {}, LOOK).await;
    let number = town.pull_request().await;
    town.looks(5).await;
    let log = town.story.forge.log();
    let before = log.count(COMMENTS);
    town.looks(5).await;
    assert_eq!(log.count(COMMENTS), before, "nothing changed");
    town.story.forge.comment(REPO, number, MALLORY, "Ping?");
    town.looks(5).await;
    let listed = log.count(COMMENTS) - before;
    assert!((1..=3).contains(&listed), "{listed}");
    town.end().await;
}

#[tokio::test]
async fn two_commands_of_two_comments_are_done_in_their_order() {
    let town = Town::before("wh-order", |_| {}).await;
    let number = town.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let first = town.forge.comment(REPO, number, ADA, "/prbuild cancel");
    let second = town.forge.comment(REPO, number, ADA, "/prbuild run");
    town.forge.clock().advance(Duration::from_secs(60));
    let town = Town::open(town, LOOK).await;
    let build = town.is_built(&format!("app-{number}-c{second}")).await;
    assert_eq!(
        build.spec.cancel, None,
        "the older command was about nothing"
    );
    town.is_answered(&format!("app-{number}-c{first}")).await;
    town.end().await;
}

#[tokio::test]
async fn while_paused_nothing_is_looked_for_and_afterwards_everything_is_found() {
    let town = Town::with("wh-pause", |spec| spec.paused = true, LOOK).await;
    let number = town.pull_request().await;
    let faults = town.story.forge.faults();
    faults.deliveries(1, Some("pull_request"), DeliveryFault::NeverMade);
    let event = town.story.label(number);
    let label = town.story.name_of(number, event);
    let command = town.whispers(number, ADA, "/prbuild run");
    town.advance(60);
    town.looks(3).await;
    town.nothing_stored().await;
    town.story.repository(|_| {}).await;
    town.is_built(&label).await;
    town.is_built(&command).await;
    town.end().await;
}

#[tokio::test]
async fn a_command_in_a_plain_issue_is_never_asked_about() {
    let town = Town::with("wh-issue", |_| {}, LOOK).await;
    let number = town.pull_request().await;
    let issue = town.story.forge.open_issue(REPO, "Not code", MALLORY);
    let idle = town.whispers(issue, MALLORY, "/prbuild run");
    let run = town.whispers(number, ADA, "/prbuild run");
    town.advance(20);
    town.is_built(&run).await;
    town.looks(3).await;
    let asked = town.story.forge.log();
    let asked = asked.matching(&format!("GET /repos/*/*/pulls/{issue}"));
    assert!(asked.is_empty(), "{idle}: {asked:?}");
    assert_eq!(town.names_of_builds().await, [run]);
    town.end().await;
}

/// Webhook and operator of an App that reports by check runs, with a build whose run failed.
pub async fn pressable(name: &str) -> (Story, String, Id) {
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
    story.start_operator().await.unwrap();
    story.start_webhook_with(LOOK).await.unwrap();
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let event = story.label(number);
    story.complete(&story.name_of(number, event)).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    let checks = story.forge.check_runs(REPO, &head);
    let check = checks.first().expect("a check run").id;
    (story, head, check)
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
async fn presses_and_labels_of_an_outage_of_github_are_done_when_it_is_over() {
    let (story, _, check) = pressable("wh-ghout").await;
    let other = story.open_pull_request("other", &[("b.txt", "b\n")]).await;
    story.forge.faults().outage();
    story.forge.press_rerun(REPO, check, ADA);
    let event = story.label(other);
    story
        .forge
        .clock()
        .advance(Duration::from_secs(TEN_MINUTES));
    story.forge.deliveries_settled().await;
    assert!(pressed(&story).await.is_empty());
    story.forge.faults().clear();
    one_is_pressed(&story).await;
    let name = story.name_of(other, event);
    story
        .eventually_in("the label builds", &name, |_: &PrBuild| Ok(()))
        .await;
    story.complete(&name).await;
    assert_eq!(story.last_statuses(other).len(), 0, "checks, not statuses");
    story.end().await;
}

/// What is asked for in an outage by label and by command, each on a pull request of its own. Returns
/// the names of the builds.
async fn asked(story: &Story) -> Vec<(u64, String)> {
    let labelled = story.open_pull_request("one", &[("a.txt", "a\n")]).await;
    let commanded = story.open_pull_request("two", &[("b.txt", "b\n")]).await;
    let event = story.label(labelled);
    let comment = story.forge.comment(REPO, commanded, ADA, "/prbuild run");
    vec![
        (labelled, story.name_of(labelled, event)),
        (commanded, format!("app-{commanded}-c{comment}")),
    ]
}

/// Each is built once, and GitHub knows how it ended.
async fn all_done(story: &Story, asked: &[(u64, String)]) {
    for (number, name) in asked {
        story
            .eventually_in(&format!("{name} is built"), name, |_: &PrBuild| Ok(()))
            .await;
        let build = story.complete(name).await;
        let phase = build.status.map(|status| status.phase);
        assert_eq!(phase, Some(BuildPhase::Complete));
        let states: Vec<String> = story
            .last_statuses(*number)
            .into_iter()
            .map(|(_, state, _)| state)
            .collect();
        assert_eq!(states, ["success"], "{name}");
    }
    let builds = story.api::<PrBuild>().list(&ListParams::default()).await;
    assert_eq!(builds.unwrap().items.len(), asked.len());
}

async fn running(name: &str) -> Story {
    let access = shared_control_plane();
    let mut story = Story::begin(&access, name, Setting::default())
        .await
        .unwrap();
    story.builder("linux", |_| {}).await;
    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    story
}

#[tokio::test]
async fn an_outage_of_the_webhook_loses_no_request() {
    let mut story = running("wh-out").await;
    story.start_webhook_with(LOOK).await.unwrap();
    let webhook = story.pids()[0];
    story
        .eventually_in("the webhook sweeps", "prbuild-sweep", |_: &Lease| Ok(()))
        .await;
    story.kill_webhook();
    let asked = asked(&story).await;
    story
        .forge
        .clock()
        .advance(Duration::from_secs(TEN_MINUTES));
    story.forge.deliveries_settled().await;
    story.sweep_lease_runs_out().await;
    story.start_webhook_with(LOOK).await.unwrap();
    assert_ne!(story.pids()[0], webhook);
    all_done(&story, &asked).await;
    story.end().await;
}

#[tokio::test]
async fn an_outage_of_the_operator_loses_no_request_and_no_result() {
    let mut story = running("wh-opout").await;
    story.start_webhook_with(LOOK).await.unwrap();
    story.kill_operator().await;
    let asked = asked(&story).await;
    story
        .forge
        .clock()
        .advance(Duration::from_secs(TEN_MINUTES));
    story.forge.deliveries_settled().await;
    story.lease_runs_out().await;
    story.start_operator().await.unwrap();
    all_done(&story, &asked).await;
    story.end().await;
}

#[tokio::test]
async fn an_outage_of_github_at_any_moment_loses_no_request_and_no_result() {
    let mut story = running("wh-hubout").await;
    story.start_webhook_with(LOOK).await.unwrap();
    // It goes down once somebody has asked: whatever is under way then fails.
    let faults = story.forge.faults();
    for moment in [
        "GET /repos/*/*/pulls/*",
        "POST /graphql",
        "POST /repos/*/*/statuses/*",
    ] {
        faults.on(moment, Fault::Status(502));
    }
    let asked = asked(&story).await;
    story.forge.deliveries_settled().await;
    faults.outage();
    story
        .forge
        .clock()
        .advance(Duration::from_secs(TEN_MINUTES));
    faults.clear();
    all_done(&story, &asked).await;
    story.end().await;
}
