//! Several commands, in one comment and in many: each is carried out once, and what they need is asked once.

use crds::Manner;

use super::acts::fleet;
use super::*;
use tests::story::MALLORY;

const OF_A_PERSON: &str = "GET /repos/*/*/collaborators/*/permission";
const COMMENT: &str = "GET /repos/*/*/issues/comments/*";
const PULL: &str = "GET /repos/*/*/pulls/*";

#[tokio::test]
async fn two_commands_within_a_second_are_two_builds_and_the_same_delivery_again_is_none() {
    let town = Town::new("wh-commands").await;
    let number = town.pull_request().await;
    let run = format!("/prbuild run {}", town.head(number));
    town.said(number, ADA, &run).await;
    assert_eq!(town.again().await, 202);
    assert_eq!(town.builds().await.len(), 1);
    town.said(number, ADA, &run).await;
    assert_eq!(town.again().await, 202);
    assert_eq!(town.builds().await.len(), 2);
    town.end().await;
}

#[tokio::test]
async fn every_command_of_a_comment_is_carried_out_once_and_in_order() {
    let town = fleet("wh-several", |_| {}).await;
    let number = town.pull_request().await;
    let before = town.command_builds(number, "/prbuild run").await;
    let text = "/prbuild cancel\n\nand now\n\n/prbuild run z13\n!buildbot windows\n/prbuild dance";
    let (name, code) = town.said(number, ADA, text).await;
    assert_eq!(code, 202);
    let comment: i64 = name.rsplit('c').next().unwrap().parse().unwrap();
    let name_of = |ordinal| {
        let event = crds::names::command_event(comment, ordinal);
        format!("app-{number}-c{event}")
    };
    for _ in 0..2 {
        assert_eq!(reason(&town.refused(&name).await), AnswerReason::Cancelled);
        assert!(town.build(&before.name_any()).await.spec.cancel.is_some());
        for (ordinal, builder) in [(1, "z13"), (2, "windows")] {
            let build = town.build(&name_of(ordinal)).await;
            assert_eq!(build.spec.request.builders, [builder]);
            assert_eq!(build.spec.cancel, None);
        }
        let unknown = town.refused(&name_of(3)).await;
        assert_eq!(reason(&unknown), AnswerReason::UnknownCommand);
        assert_eq!(town.builds().await.len(), 3);
        // Once more, as GitHub would deliver it.
        town.again().await;
    }

    let many = "/prbuild status\n".repeat(9);
    let (name, _) = town.said(number, ADA, &many).await;
    let comment: i64 = name.rsplit('c').next().unwrap().parse().unwrap();
    let sixth = crds::names::command_event(comment, 5);
    let answer = town.refused(&format!("app-{number}-c{sixth}")).await;
    assert_eq!(reason(&answer), AnswerReason::TooMany);
    assert_eq!(town.answers().await.len(), 2 + 6);
    town.end().await;
}

#[tokio::test]
async fn a_strangers_commands_cost_two_calls_and_get_one_reaction() {
    let town = Town::new("wh-stranger").await;
    let number = town.pull_request().await;
    let log = town.story.forge.log();
    log.clear();
    let text = "/prbuild run\n/prbuild rerun failed\n!buildbot x\n/prbuild cancel";
    for (comments, answers) in [(1, 4), (2, 8)] {
        let (_, code) = town.said(number, MALLORY, text).await;
        assert_eq!(code, 202);
        let all = town.answers().await;
        assert_eq!(all.len(), answers);
        assert!(
            all.iter()
                .all(|one| reason(one) == AnswerReason::Permission)
        );
        let reactions = all.iter().filter(|one| one.spec.manner == Manner::Reaction);
        assert_eq!(reactions.count(), comments, "one for each comment");
        assert_eq!(log.count(OF_A_PERSON), 1, "it is believed for a minute");
        assert_eq!(log.count(COMMENT), comments);
        for dear in [PULL, "GET /repos/*/*/pulls/*/reviews", "POST /graphql"] {
            assert_eq!(log.count(dear), 0, "{dear}");
        }
    }
    town.end().await;
}

#[tokio::test]
async fn what_several_commands_need_is_asked_once() {
    let town = fleet("wh-shared", |_| {}).await;
    let number = town.pull_request().await;
    let log = town.story.forge.log();
    log.clear();
    let text = "/prbuild run linux\n/prbuild run windows\n/prbuild run z13";
    let (_, code) = town.said(number, ADA, text).await;
    assert_eq!(code, 202);
    assert_eq!(town.builds().await.len(), 3);
    for once in [OF_A_PERSON, COMMENT, PULL, "GET /repositories/*/activity"] {
        assert_eq!(log.count(once), 1, "{once}");
    }
    town.end().await;
}
