//! A repository that gets another name, an Enterprise Server, several repositories and connections.

use crds::BuildPhase;
use tests::cluster::Fate;
use tests::forge::{
    ConnectionKind, DeliveryFault, PullRequest, Push, Role, TokenOptions, UserType,
};

use super::*;
use tests::story::{MALLORY, apply};

const LOOK: &[&str] = &["--sweep-seconds", "1"];
const RENAMED: &str = "octo/engine";
const MOVED: &str = "foundation/app";
/// Longer than an installation token lives.
const TWO_HOURS: Duration = Duration::from_secs(7200);

/// A story with an operator whose builds pass.
async fn running(name: &str, setting: Setting) -> Story {
    let access = shared_control_plane();
    let story = Story::begin(&access, name, setting).await.unwrap();
    started(story).await
}

async fn started(mut story: Story) -> Story {
    story.builder("linux", |_| {}).await;
    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    story.start_webhook_with(LOOK).await.unwrap();
    story
}

async fn passes(story: &Story, name: &str) {
    let what = format!("{name} is built");
    story.eventually_in(&what, name, |_: &PrBuild| Ok(())).await;
    let status = story.complete(name).await.status.unwrap();
    assert_eq!(status.phase, BuildPhase::Complete);
    assert_eq!(status.summary, "1 passed");
}

#[tokio::test]
async fn a_renamed_repository_builds_on_whatever_its_spec_calls_it() {
    let story = running("wh-renamed", Setting::default()).await;
    let forge = &story.forge;
    let told = story.open_pull_request("told", &[("a.txt", "a\n")]).await;
    let lost = story.open_pull_request("lost", &[("b.txt", "b\n")]).await;
    forge.rename_repository(REPO, "engine", ADA);
    forge.clock().advance(TWO_HOURS);
    let event = forge.add_label(RENAMED, told, LABEL, ADA);
    passes(&story, &story.name_of(told, event)).await;
    let faults = forge.faults();
    faults.deliveries(9, None, DeliveryFault::NeverMade);
    let event = forge.add_label(RENAMED, lost, LABEL, ADA);
    forge.clock().advance(Duration::from_secs(60));
    passes(&story, &story.name_of(lost, event)).await;
    story.end().await;
}

#[tokio::test]
async fn a_repository_that_goes_to_another_owner_builds_on_when_the_app_is_installed_there() {
    let story = running("wh-transfer", Setting::default()).await;
    let forge = &story.forge;
    let app = forge.app_on(REPO).unwrap();
    let here = story.open_pull_request("here", &[("a.txt", "a\n")]).await;
    let there = story.open_pull_request("there", &[("b.txt", "b\n")]).await;
    let event = story.label(here);
    passes(&story, &story.name_of(here, event)).await;
    forge.add_user("foundation", UserType::Organization);
    forge.transfer_repository(REPO, "foundation", ADA);
    forge.clock().advance(TWO_HOURS);
    // Until the new owner has installed the App, GitHub tells it nothing and shows it nothing.
    let told = forge.deliveries().len();
    let event = forge.add_label(MOVED, there, LABEL, ADA);
    forge.deliveries_settled().await;
    assert_eq!(forge.deliveries().len(), told);
    let installation = forge.install(app, &[MOVED]);
    let named = story.connections().unwrap().join("github/installation-id");
    std::fs::write(named, installation.to_string()).unwrap();
    forge.clock().advance(Duration::from_secs(60));
    passes(&story, &story.name_of(there, event)).await;
    let comment = forge.comment(MOVED, here, ADA, "/prbuild run");
    passes(&story, &format!("app-{here}-c{comment}")).await;
    let repository: Repository = story.api().get("app").await.unwrap();
    let id = repository.status.unwrap().id.unwrap();
    assert_eq!(id, number_of(forge.repository_id(MOVED)));
    story.end().await;
}

#[tokio::test]
async fn who_takes_the_old_name_of_a_repository_gets_none_of_its_builds() {
    let story = Town::before("wh-taken", |_| {}).await;
    let town = Town::open(story, &["--no-sweep"]).await;
    let forge = &town.story.forge;
    forge.rename_repository(REPO, "engine", ADA);
    forge
        .add_repository(REPO, &[("README", "Another.\n")])
        .await;
    forge.set_permission(REPO, MALLORY, Role::Admin);
    forge.add_hook(REPO, &format!("http://{}/webhook", town.address), SECRET);
    forge.push(REPO, "topic", &[("a.txt", "a\n")]).await;
    let new = PullRequest {
        title: "Mine",
        author: MALLORY,
        head: "octo:topic",
        ..PullRequest::default()
    };
    let number = forge.open_pull_request(REPO, new).await;
    town.advance(300);
    forge.add_label(REPO, number, LABEL, MALLORY);
    assert_eq!(town.last_code().await, 200, "it is not configured");
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn who_takes_the_old_name_builds_nothing_before_anybody_looked_whose_it_is() {
    let access = shared_control_plane();
    let setting = Setting {
        app: false,
        ..Setting::default()
    };
    let story = Story::begin(&access, "wh-squat", setting).await.unwrap();
    story.repository(|_| {}).await;
    story.builder("linux", |_| {}).await;
    found(&story).await;
    let forge = story.forge.clone();
    forge.rename_repository(REPO, "engine", ADA);
    forge
        .add_repository(REPO, &[("README", "Another.\n")])
        .await;
    forge.set_permission(REPO, MALLORY, Role::Admin);
    // Without it nobody would tell the token what mallory may there.
    forge.set_permission(REPO, "prbuild-bot", Role::Write);
    forge.push(REPO, "topic", &[("a.txt", "a\n")]).await;
    let mine = PullRequest {
        title: "Mine",
        author: MALLORY,
        head: "octo:topic",
        ..PullRequest::default()
    };
    let number = forge.open_pull_request(REPO, mine).await;
    forge.clock().advance(Duration::from_secs(300));
    forge.add_label(REPO, number, LABEL, MALLORY);
    forge.comment(REPO, number, MALLORY, "/prbuild run");
    forge.comment(REPO, number, MALLORY, "/prbuild cancel");
    forge.clock().advance(Duration::from_secs(60));
    let town = Town::open(story, LOOK).await;
    let log = forge.log();
    let looks = "GET /repos/*/*/pulls";
    eventually("a look is over", PATIENCE, async || {
        match log.count(looks) {
            2.. => Ok(()),
            few => Err(few.to_string()),
        }
    })
    .await;
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn an_enterprise_server_is_spoken_to_below_its_own_paths() {
    let setting = Setting {
        enterprise: Some("3.17.0".to_owned()),
        ..Setting::default()
    };
    let story = running("wh-ghes", setting).await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let event = story.label(number);
    passes(&story, &story.name_of(number, event)).await;
    let comment = story.forge.comment(REPO, number, ADA, "/prbuild run");
    passes(&story, &format!("app-{number}-c{comment}")).await;
    story.end().await;
}

#[tokio::test]
async fn repositories_of_two_connections_build_side_by_side() {
    let access = shared_control_plane();
    let setting = Setting::default();
    let here = setting.host;
    let story = Story::begin(&access, "wh-two", setting).await.unwrap();
    let forge = story.forge.clone();
    forge.add_user("bot", UserType::User);
    forge
        .add_repository("other/lib", &[("README", "A lib.\n")])
        .await;
    forge.set_permission("other/lib", ADA, Role::Write);
    forge.set_permission("other/lib", "bot", Role::Write);
    let token = forge.add_token("bot", TokenOptions::default());
    let secret = "another secret, which only the second connection knows";
    let dir = story.connections().unwrap();
    forge
        .write_connection(
            &dir,
            "second",
            &ConnectionKind::Token(token),
            &[secret],
            here,
        )
        .unwrap();
    let story = started(story).await;
    let spec = json!({ "spec": {
        "owner": "other", "name": "lib", "connection": "second", "labels": [{ "name": LABEL }],
    }});
    apply::<Repository>(&story.api(), "lib", spec).await;
    story
        .eventually_in("the second one is known", "lib", |found: &Repository| {
            let status = found.status.clone().unwrap_or_default();
            status.id.map(drop).ok_or_else(|| format!("{status:?}"))
        })
        .await;
    let push = Push {
        repository: "other/lib",
        branch: "topic",
        files: &[("a.txt", "a\n")],
        by: ADA,
        ..Push::default()
    };
    forge.push_with(push).await;
    let new = PullRequest {
        title: "A change",
        author: ADA,
        head: "other:topic",
        ..PullRequest::default()
    };
    let theirs = forge.open_pull_request("other/lib", new).await;
    let ours = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let label = story.label(ours);
    let event = forge.add_label("other/lib", theirs, LABEL, ADA);
    forge.clock().advance(Duration::from_secs(60));
    passes(&story, &story.name_of(ours, label)).await;
    passes(&story, &format!("lib-{theirs}-l{event}")).await;
    story.end().await;
}
