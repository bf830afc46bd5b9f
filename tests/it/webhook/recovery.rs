//! Commands that no delivery told of and no label shows.

use crds::{AnswerReason, TriggerKind};
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
async fn a_command_that_is_listed_and_not_to_be_read_yet_is_looked_at_again() {
    let town = Town::with("wh-behind", |_| {}, LOOK).await;
    let number = town.pull_request().await;
    let (one, faults) = (format!("{COMMENTS}/*"), town.story.forge.faults());
    // A replica of GitHub does not know it.
    faults.next(1, &one, Fault::Status(404));
    let run = town.whispers(number, ADA, "/prbuild run");
    town.advance(20);
    town.is_built(&run).await;
    let asked = town.story.forge.log().count(&one);
    assert!(asked >= 2, "it was not to be read at first: {asked}");
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
