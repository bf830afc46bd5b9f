//! `/prbuild run <full SHA>`.

use crds::{AnswerReason, Evidence, Manner, TriggerKind};
use tests::forge::Push;

use super::*;
use tests::story::{MALLORY, TRISTAN};

impl Town {
    /// Somebody comments. Returns the object's name and the status that GitHub got.
    async fn said(&self, number: u64, by: &str, text: &str) -> (String, u16) {
        let comment = self.story.forge.comment(REPO, number, by, text);
        (format!("app-{number}-c{comment}"), self.last_code().await)
    }

    fn head(&self, number: u64) -> String {
        self.story.forge.pull_request(REPO, number).head_sha
    }
}

#[tokio::test]
async fn s20_the_full_sha_by_a_core_developer_builds_at_once() {
    let story = Town::before("wh-run", |_| {}).await;
    story
        .builder("careful", |spec| spec.evidence = Evidence::ExactSha)
        .await;
    let town = Town::open(story, &["--no-sweep"]).await;
    let number = town.pull_request().await;
    let push = Push {
        repository: "mallory/app",
        branch: "topic",
        files: &[("a.txt", "b\n")],
        by: MALLORY,
        ..Push::default()
    };
    let sha = town.story.forge.push_with(push).await;
    let (name, code) = town
        .said(number, ADA, &format!("Read it.\n\n/prbuild run {sha}\n"))
        .await;
    assert_eq!(code, 202);
    let request = town.build(&name).await.spec.request;
    assert_eq!(request.head_sha, sha);
    assert_eq!(request.builders, ["careful", "linux"]);
    assert_eq!(request.flavour, "custom");
    assert_eq!(request.trigger.kind, TriggerKind::Comment);
    assert_eq!(request.trigger.evidence, Evidence::ExactSha);
    town.end().await;
}

#[tokio::test]
async fn s20_anything_but_the_head_is_answered_without_a_sha() {
    let town = Town::new("wh-wrongsha").await;
    let number = town.pull_request().await;
    let head = town.head(number);
    for (text, expected) in [
        (
            format!("/prbuild run {}", &head[..7]),
            AnswerReason::WrongSha,
        ),
        (
            format!("/prbuild run {}", "0".repeat(40)),
            AnswerReason::WrongSha,
        ),
        ("/prbuild run".to_owned(), AnswerReason::WrongSha),
        ("/prbuild please".to_owned(), AnswerReason::UnknownCommand),
    ] {
        let (name, code) = town.said(number, ADA, &text).await;
        assert_eq!(code, 202, "{text}");
        let answer = town.refused(&name).await;
        assert_eq!(reason(&answer), expected, "{text}");
        assert_eq!(answer.spec.manner, Manner::Comment);
        let told = serde_json::to_string(&answer.spec.facts).unwrap();
        assert!(!told.contains(&head), "{told}");
    }
    town.end().await;
}

#[tokio::test]
async fn s20_a_stranger_gets_a_reaction_and_no_words() {
    let town = Town::new("wh-reaction").await;
    let number = town.pull_request().await;
    let run = format!("/prbuild run {}", town.head(number));
    for by in [MALLORY, TRISTAN] {
        let (name, _) = town.said(number, by, &run).await;
        let answer = town.refused(&name).await;
        assert_eq!(reason(&answer), AnswerReason::Permission);
        assert_eq!(answer.spec.manner, Manner::Reaction);
    }
    assert!(town.builds().await.is_empty());
    town.end().await;
}

#[tokio::test]
async fn s20_quoted_edited_and_coded_commands_are_none() {
    let town = Town::new("wh-quoted").await;
    let number = town.pull_request().await;
    let run = format!("/prbuild run {}", town.head(number));
    for text in [
        format!("> {run}"),
        format!("```\n{run}\n```"),
        format!("    {run}"),
        format!("do {run}"),
    ] {
        assert_eq!(town.said(number, ADA, &text).await.1, 200, "{text}");
    }
    let comment = town.story.forge.comment(REPO, number, ADA, "fine");
    town.story.forge.edit_comment(REPO, comment, ADA, &run);
    town.story.forge.deliveries_settled().await;
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn a_command_that_was_edited_before_it_was_looked_at_is_none() {
    let town = Town::new("wh-edited").await;
    let number = town.pull_request().await;
    let run = format!("/prbuild run {}", town.head(number));
    let faults = town.story.forge.faults();
    faults.deliveries(1, Some("issue_comment"), tests::forge::DeliveryFault::Held);
    let comment = town.story.forge.comment(REPO, number, ADA, &run);
    town.story.forge.clock().advance(Duration::from_secs(5));
    town.story
        .forge
        .edit_comment(REPO, comment, ADA, &format!("{run} no"));
    faults.release_deliveries();
    town.story.forge.deliveries_settled().await;
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn the_same_command_twice_is_one_build_each() {
    let town = Town::new("wh-commands").await;
    let number = town.pull_request().await;
    let run = format!("/prbuild run {}", town.head(number));
    town.said(number, ADA, &run).await;
    assert_eq!(town.again().await, 202);
    assert_eq!(town.builds().await.len(), 1);
    town.said(number, ADA, &run).await;
    assert_eq!(town.builds().await.len(), 2);
    town.end().await;
}

#[tokio::test]
async fn the_prefix_is_the_repositorys_own() {
    let rule = |spec: &mut RepositorySpec| spec.commands.prefix = "!buildbot".to_owned();
    let town = Town::ruled("wh-prefix", rule).await;
    let number = town.pull_request().await;
    let head = town.head(number);
    assert_eq!(
        town.said(number, ADA, &format!("/prbuild run {head}"))
            .await
            .1,
        200
    );
    assert_eq!(
        town.said(number, ADA, &format!("!buildbot run {head}"))
            .await
            .1,
        202
    );
    assert_eq!(town.builds().await.len(), 1);
    town.end().await;
}
