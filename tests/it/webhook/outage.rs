//! What an outage of ten minutes costs: of the webhook, of the operator, of GitHub.

use crds::condition::{self, kind};
use crds::{BuildPhase, Builder, BuilderSpec};
use k8s_openapi::api::coordination::v1::Lease;
use tests::cluster::Fate;
use tests::forge::Fault;
use tests::story::MALLORY;

use super::presses::{looks_at_deliveries, one_is_pressed, pressable, pressed};
use super::recovery::{LOOK, TEN_MINUTES};
use super::*;

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
    let mut story = sweeping("wh-out").await;
    let webhook = story.pids()[0];
    story.kill_webhook();
    let asked = asked(&story).await;
    comes_back_after_ten_minutes(&mut story).await;
    assert_ne!(story.pids()[0], webhook);
    all_done(&story, &asked).await;
    story.end().await;
}

/// A story with a webhook that holds the sweep's Lease.
async fn sweeping(name: &str) -> Story {
    let mut story = running(name).await;
    story.start_webhook_with(LOOK).await.unwrap();
    is_sweeping(&story).await;
    story
}

async fn is_sweeping(story: &Story) {
    story
        .eventually_in("the webhook sweeps", "prbuild-sweep", |_: &Lease| Ok(()))
        .await;
}

/// The webhook that was killed is started again, ten minutes later.
async fn comes_back_after_ten_minutes(story: &mut Story) {
    story
        .forge
        .clock()
        .advance(Duration::from_secs(TEN_MINUTES));
    story.forge.deliveries_settled().await;
    story.sweep_lease_runs_out().await;
    story.start_webhook_with(LOOK).await.unwrap();
}

#[tokio::test]
async fn a_webhook_that_is_killed_while_it_decides_loses_no_request_and_does_none_twice() {
    let mut story = sweeping("wh-midway").await;
    let faults = story.forge.faults();
    let late = Fault::Latency(Duration::from_secs(5));
    let late = faults.on("GET /repos/*/*/pulls/*", late);
    let asked = asked(&story).await;
    let log = story.forge.log();
    eventually("both are being decided", PATIENCE, async || {
        let events = log.count("GET /repos/*/*/issues/*/events");
        let comments = log.count("GET /repos/*/*/issues/comments/*");
        match events > 0 && comments > 0 {
            true => Ok(()),
            false => Err(format!("{events} looks at events, {comments} at comments")),
        }
    })
    .await;
    story.kill_webhook();
    faults.off(late);
    comes_back_after_ten_minutes(&mut story).await;
    all_done(&story, &asked).await;
    story.end().await;
}

#[tokio::test]
async fn a_webhook_that_is_killed_between_two_commands_of_a_comment_does_each_once() {
    let mut story = sweeping("wh-between").await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let faults = story.forge.faults();
    // Whoever stops something need not know how the branch moved; whoever builds must.
    let late = Fault::Latency(Duration::from_secs(5));
    let late = faults.on("GET /repositories/*/activity", late);
    let text = "/prbuild cancel\n\n/prbuild run\n";
    let comment = story.forge.comment(REPO, number, ADA, text);
    let first = format!("app-{number}-c{comment}");
    let what = "the first command is answered";
    story.eventually_in(what, &first, |_: &Answer| Ok(())).await;
    story.kill_webhook();
    faults.off(late);
    comes_back_after_ten_minutes(&mut story).await;
    let second = format!("app-{number}-c{}", 1_000_000_000_000_000 + comment);
    all_done(&story, &[(number, second.clone())]).await;
    let build: PrBuild = story.api().get(&second).await.unwrap();
    assert_eq!(build.spec.cancel, None, "nothing was stopped once more");
    let answers = story.api::<Answer>().list(&ListParams::default()).await;
    let answers: Vec<String> = answers.unwrap().iter().map(ResourceExt::name_any).collect();
    assert_eq!(answers, [first]);
    story.end().await;
}

#[tokio::test]
async fn a_press_in_an_outage_of_the_webhook_is_done_once() {
    let (mut story, head, check) = pressable("wh-press-out").await;
    is_sweeping(&story).await;
    story.kill_webhook();
    story.forge.press_rerun(REPO, check, ADA);
    comes_back_after_ten_minutes(&mut story).await;
    let build = one_is_pressed(&story).await;
    assert_eq!(build.spec.request.head_sha, head);
    looks_at_deliveries(&story, 2).await;
    assert_eq!(pressed(&story).await.len(), 1);
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

#[tokio::test]
async fn a_refusal_waits_for_a_repository_that_is_made_anew() {
    let mut town = Town::new("wh-anew").await;
    let number = town.pull_request().await;
    let (name, _) = town.labelled_by(number, MALLORY).await;
    let story = &mut town.story;
    let repositories = story.api::<Repository>();
    let gone = repositories.delete("app", &Default::default()).await;
    gone.unwrap();
    let index = story.start_another_operator().await.unwrap();
    eventually("the operator has read everything", PATIENCE, async || {
        let log = story.install.program(index).map(|program| program.log());
        let log = log.unwrap_or_default();
        log.contains("everything is read").then_some(()).ok_or(log)
    })
    .await;
    // What it looks at next it looks at after the answer.
    let nowhere = |spec: &mut BuilderSpec| {
        let machine = spec.kubernetes.as_mut().unwrap();
        machine.image = "GCC Latest!".to_owned();
    };
    story.builder("linux", nowhere).await;
    story
        .eventually_in("it looks around", "linux", |builder: &Builder| {
            let status = builder.status.clone().unwrap_or_default();
            let ready = condition::find(&status.conditions, kind::READY);
            let sees = ready.is_some_and(|ready| ready.status == "False");
            sees.then_some(()).ok_or(format!("{status:?}"))
        })
        .await;
    let answer = story.api::<Answer>().get(&name).await.unwrap();
    assert_eq!(answer.status.and_then(|status| status.given), None);
    story.repository(|_| {}).await;
    let given = story.answered(&name).await.status.unwrap().given;
    assert_eq!(given.as_deref(), Some("Comment"));
    town.end().await;
}
