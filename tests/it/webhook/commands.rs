//! `run`, `status`, `help`, `!buildbot`: what commands build, what they are told, and what is none.

use crds::{AnswerReason, Evidence, Manner, TriggerKind};
use tests::forge::DeliveryFault;

use super::acts::fleet;
use super::*;
use tests::story::{MALLORY, TRISTAN};

#[tokio::test]
async fn s20_the_full_sha_by_a_core_developer_builds_at_once() {
    let story = Town::before("wh-run", |_| {}).await;
    story
        .builder("careful", |spec| spec.evidence = Evidence::ExactSha)
        .await;
    let town = Town::open(story, &["--no-sweep"]).await;
    let number = town.pull_request().await;
    let sha = town.push("b\n").await;
    let text = format!("Read it.\n\n/prbuild run {sha}\n");
    let request = town.command_builds(number, &text).await.spec.request;
    assert_eq!(request.head_sha, sha);
    assert_eq!(request.builders, ["careful", "linux"]);
    assert_eq!(request.flavour, "default");
    assert_eq!(request.trigger.kind, TriggerKind::Comment);
    assert_eq!(request.trigger.evidence, Evidence::ExactSha);
    town.end().await;
}

#[tokio::test]
async fn run_without_a_sha_takes_todays_head_if_it_stood_still() {
    let town = fleet("wh-today", |_| {}).await;
    let number = town.pull_request().await;
    let request = town
        .command_builds(number, "/prbuild run")
        .await
        .spec
        .request;
    assert_eq!(request.head_sha, town.head(number));
    assert_eq!(request.builders, ["linux", "windows", "z13"]);
    assert_eq!(request.trigger.evidence, Evidence::Label);

    town.push("b\n").await;
    town.advance(28);
    let moved = AnswerReason::HeadMovedBefore;
    for text in ["/prbuild run", "!buildbot linux"] {
        let answer = town.command_is_answered(number, text, moved).await;
        let by = answer.spec.facts.movement.unwrap().by.unwrap();
        assert_eq!(by.login, MALLORY);
    }
    town.story.quiet();
    let request = town
        .command_builds(number, "/prbuild run z13")
        .await
        .spec
        .request;
    assert_eq!(request.head_sha, town.head(number));
    assert_eq!(request.builders, ["z13"]);
    town.end().await;
}

#[tokio::test]
async fn run_is_told_what_to_build_by_flavour_tag_and_name() {
    let refleak = |spec: &mut RepositorySpec| {
        let rule = json!({ "name": "leaks", "flavour": "refleak" });
        spec.labels.push(serde_json::from_value(rule).unwrap());
    };
    let town = fleet("wh-words", refleak).await;
    town.story
        .builder("tagged", |spec| spec.tags = vec!["big-endian".to_owned()])
        .await;
    let number = town.pull_request().await;
    for (text, flavour, builders) in [
        ("/prbuild run refleak", "refleak", &["leaks"][..]),
        ("/prbuild run tag:big-endian", "custom", &["tagged"]),
        ("/prbuild run s390x Debian", "custom", &["z13"]),
        (
            "/prbuild run \"iOS Simulator\", refleak",
            "custom",
            &["ios", "leaks"],
        ),
        ("!buildbot ios|WINDOWS", "custom", &["ios", "windows"]),
    ] {
        // The webhook learns of a new builder a moment later.
        let request = eventually(text, PATIENCE, async || {
            let (name, _) = town.said(number, ADA, text).await;
            let api = town.story.api::<PrBuild>();
            match api.get_opt(&name).await.unwrap() {
                Some(build) => Ok(build.spec.request),
                None => Err("not built".to_owned()),
            }
        })
        .await;
        assert_eq!(request.builders, builders, "{text}");
        assert_eq!(request.flavour, flavour, "{text}");
    }
    town.end().await;
}

#[tokio::test]
async fn s20_a_mistake_in_a_command_is_answered_with_what_would_help_and_without_a_sha() {
    let mut town = fleet("wh-mistakes", |_| {}).await;
    let number = town.pull_request().await;
    let head = town.head(number);
    let short = format!("/prbuild run {}", &head[..7]);
    let other = format!("/prbuild run {}", "0".repeat(40));
    let words = format!("/prbuild run linux {head}");
    use AnswerReason as R;
    for (text, expected, detail) in [
        (short.as_str(), R::WrongSha, ""),
        (&other, R::WrongSha, ""),
        (&words, R::WrongSha, ""),
        ("/prbuild please", R::UnknownCommand, ""),
        ("/prbuild cancle", R::UnknownCommand, "`/prbuild cancel`"),
        (
            "/prbuild rerun",
            R::UnknownCommand,
            "`/prbuild rerun failed`",
        ),
        ("/prbuild run s390x debain", R::NoMatch, "`s390x Debian`"),
        ("/prbuild run nothing-like-it", R::NoMatch, ""),
        ("!buildbot solaris", R::NoMatch, ""),
        ("!buildbot (", R::Pattern, "unclosed group"),
        (
            "!buildbot ((((a{99}){99}){99}){99})",
            R::Pattern,
            "too large",
        ),
        ("!buildbot", R::Pattern, "regular expression"),
        ("/prbuild help", R::Help, ""),
        ("/prbuild", R::Help, ""),
        ("/prbuild status", R::Status, ""),
        ("/prbuild cancel", R::NoBuild, "Nothing waits"),
        ("/prbuild rerun failed", R::NoBuild, "add the label"),
    ] {
        let answer = town.command_is_answered(number, text, expected).await;
        assert_eq!(answer.spec.manner, Manner::Comment, "{text}");
        let told = answer.spec.facts.detail.clone().unwrap_or_default();
        assert!(told.contains(detail), "{text}: {told}");
        let facts = serde_json::to_string(&answer.spec.facts).unwrap();
        assert!(!facts.contains(&head), "{facts}");
        let reason = format!("{expected:?}");
        let metric = format!("prbuild_webhook_refusals_total{{reason=\"{reason}\"}}");
        assert!(town.metric(&metric).await >= 1.0, "{metric}");
    }
    assert!(town.builds().await.is_empty());
    town.end().await;
}

#[tokio::test]
async fn s20_a_stranger_gets_a_reaction_and_no_words() {
    let town = Town::new("wh-reaction").await;
    let number = town.pull_request().await;
    let run = format!("/prbuild run {}", town.head(number));
    let commands = [
        run.as_str(),
        "/prbuild run",
        "!buildbot .",
        "/prbuild help",
        "/prbuild cancel",
    ];
    for by in [MALLORY, TRISTAN] {
        for text in commands {
            let (name, _) = town.said(number, by, text).await;
            let answer = town.refused(&name).await;
            assert_eq!(reason(&answer), AnswerReason::Permission, "{text}");
            assert_eq!(answer.spec.manner, Manner::Reaction, "{text}");
        }
    }
    assert!(town.builds().await.is_empty());
    town.end().await;
}

#[tokio::test]
async fn s20_quoted_edited_and_coded_commands_are_none() {
    let town = Town::new("wh-quoted").await;
    let number = town.pull_request().await;
    for text in [
        "> /prbuild run",
        "> text\n/prbuild run",
        "```\n/prbuild run\n```",
        "    /prbuild run",
        "<!-- /prbuild run -->",
        "<!--\n/prbuild run\n-->",
        "<details>\n\n/prbuild run\n\n</details>",
        "do /prbuild run",
        "- !buildbot linux",
    ] {
        assert_eq!(town.said(number, ADA, text).await.1, 200, "{text}");
    }
    let comment = town.story.forge.comment(REPO, number, ADA, "fine");
    town.story
        .forge
        .edit_comment(REPO, comment, ADA, "/prbuild run");
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
    faults.deliveries(1, Some("issue_comment"), DeliveryFault::Held);
    let comment = town.story.forge.comment(REPO, number, ADA, &run);
    town.advance(5);
    town.story
        .forge
        .edit_comment(REPO, comment, ADA, &format!("{run} no"));
    faults.release_deliveries();
    town.story.forge.deliveries_settled().await;
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn a_command_that_was_deleted_before_it_was_looked_at_is_none() {
    let town = Town::new("wh-deleted").await;
    let number = town.pull_request().await;
    let faults = town.story.forge.faults();
    faults.deliveries(1, Some("issue_comment"), DeliveryFault::Held);
    let comment = town.story.forge.comment(REPO, number, ADA, "/prbuild run");
    town.story.forge.delete_comment(REPO, comment, ADA);
    faults.release_deliveries();
    town.story.forge.deliveries_settled().await;
    let deliveries = town.story.forge.deliveries();
    let mut told = deliveries.iter();
    let told = told.find(|one| one.action.as_deref() == Some("created"));
    assert_eq!(told.unwrap().outcome.code(), 200);
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn a_command_that_is_a_day_old_is_not_carried_out() {
    let town = Town::new("wh-old-command").await;
    let number = town.pull_request().await;
    let faults = town.story.forge.faults();
    faults.deliveries(1, Some("issue_comment"), DeliveryFault::Held);
    let comment = town.story.forge.comment(REPO, number, ADA, "/prbuild run");
    town.advance(25 * 3600);
    faults.release_deliveries();
    assert_eq!(town.last_code().await, 202);
    let answer = town.refused(&format!("app-{number}-c{comment}")).await;
    assert_eq!(reason(&answer), AnswerReason::TooOld);
    assert_eq!(answer.spec.manner, Manner::Silent);
    town.end().await;
}

#[tokio::test]
async fn the_prefixes_are_the_repositorys_own() {
    let rule = |spec: &mut RepositorySpec| {
        spec.commands.prefix = "@bot".to_owned();
        spec.commands.pattern_prefix = String::new();
    };
    let town = Town::ruled("wh-prefix", rule).await;
    let number = town.pull_request().await;
    for text in ["/prbuild run", "!buildbot linux"] {
        assert_eq!(town.said(number, ADA, text).await.1, 200, "{text}");
    }
    town.command_builds(number, "@bot run").await;
    assert_eq!(town.builds().await.len(), 1);
    town.end().await;
}

#[tokio::test]
async fn a_paused_repository_says_so_and_still_stops_builds() {
    let town = Town::new("wh-paused").await;
    let number = town.pull_request().await;
    let build = town.command_builds(number, "/prbuild run").await.name_any();
    town.story.repository(|spec| spec.paused = true).await;
    found(&town.story).await;
    eventually("the webhook knows the pause", PATIENCE, async || {
        let (name, _) = town.said(number, ADA, "/prbuild run").await;
        match town.story.api::<Answer>().get_opt(&name).await.unwrap() {
            Some(answer) if reason(&answer) == AnswerReason::Paused => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    town.label_is_refused(number, AnswerReason::Paused).await;
    town.command_is_answered(number, "/prbuild rerun failed", AnswerReason::Paused)
        .await;
    town.command_is_answered(number, "/prbuild cancel", AnswerReason::Cancelled)
        .await;
    assert!(town.build(&build).await.spec.cancel.is_some());
    town.end().await;
}

#[tokio::test]
async fn our_own_comments_command_nothing_whoever_they_are_written_as() {
    let town = Town::new("wh-own-comment").await;
    let number = town.pull_request().await;
    for text in [
        "<!-- prbuild:1 -->\n\n/prbuild run\n",
        "<!-- prbuild-answer:help 1 -->\n\n!buildbot .*\n",
    ] {
        assert_eq!(town.said(number, ADA, text).await.1, 200, "{text}");
    }
    town.nothing_stored().await;
    town.end().await;
}
