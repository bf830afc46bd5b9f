//! GitHub is late, slow, or wrong for a while, or the API server takes nothing: nothing is half done,
//! and nothing is lost.

use tests::forge::{DeliveryFault, Fault, TestMergeSwitch};
use tests::story::TRISTAN;

use super::*;
use crate::rights::revoke;

/// The account of the webhook, and its role.
const ACCOUNT: &str = "prbuild-webhook";
/// Deliveries whose object the API server did not take.
const NOT_STORED: &str = r#"prbuild_webhook_deliveries_total{outcome="not_stored"}"#;

#[tokio::test]
async fn a_label_event_that_the_timeline_shows_late_is_waited_for() {
    let town = Town::new("wh-lag").await;
    let number = town.pull_request().await;
    town.story.forge.set_timeline_lag(REPO, number, 2);
    let (name, code) = town.label(number).await;
    assert_eq!(code, 202);
    town.build(&name).await;
    town.end().await;
}

#[tokio::test]
async fn a_test_merge_that_is_late_or_stale_is_waited_for() {
    let town = Town::new("wh-merge").await;
    for switch in [TestMergeSwitch::Late(2), TestMergeSwitch::Stale(2)] {
        let branch = format!("{switch:?}").replace(['(', ')'], "");
        let number = town
            .story
            .open_pull_request(&branch, &[("a.txt", "a\n")])
            .await;
        town.story.forge.set_test_merge(REPO, number, switch);
        let (name, code) = town.label(number).await;
        assert_eq!(code, 202, "{switch:?}");
        let request = town.build(&name).await.spec.request;
        assert_eq!(request.base_sha, town.story.forge.branch(REPO, "main"));
    }
    town.end().await;
}

#[tokio::test]
async fn a_test_merge_that_never_comes_is_left_to_the_sweep() {
    let town = Town::new("wh-nomerge").await;
    let number = town.pull_request().await;
    town.story
        .forge
        .set_test_merge(REPO, number, TestMergeSwitch::Late(1000));
    assert_eq!(town.label(number).await.1, 503);
    town.nothing_stored().await;
    assert_eq!(town.story.forge.labels(REPO, number), [LABEL]);
    town.end().await;
}

#[tokio::test]
async fn a_repository_that_is_not_ready_comes_back_later() {
    let access = shared_control_plane();
    let story = Story::begin(&access, "wh-notready", Setting::default())
        .await
        .unwrap();
    story.builder("linux", |_| {}).await;
    let town = Town::open(story, &["--no-sweep"]).await;
    let number = town.pull_request().await;
    let (name, code) = town.label(number).await;
    assert_eq!(code, 503);
    town.nothing_stored().await;
    found(&town.story).await;
    eventually(
        "the webhook sees the repository",
        PATIENCE,
        async || match town.again().await {
            202 => Ok(()),
            code => Err(code.to_string()),
        },
    )
    .await;
    town.build(&name).await;
    town.end().await;
}

#[tokio::test]
async fn a_failing_github_costs_a_delivery_and_nothing_is_half_done() {
    let town = Town::new("wh-faults").await;
    let number = town.pull_request().await;
    let faults = town.story.forge.faults();
    faults.deliveries(1, Some("pull_request"), DeliveryFault::Lost);
    let event = town.story.forge.add_label(REPO, number, LABEL, ADA);
    let calls = [
        "GET /repos/*/*/pulls/*",
        "GET /repos/*/*/issues/*/events",
        "POST /graphql",
    ];
    for call in calls {
        for fault in [
            Fault::Status(502),
            Fault::Cut,
            Fault::Malformed,
            Fault::Html(500),
        ] {
            let fault = faults.on(call, fault.clone());
            assert_eq!(town.again().await, 503, "{call} {fault:?}");
            faults.off(fault);
        }
    }
    town.nothing_stored().await;
    assert_eq!(town.story.forge.labels(REPO, number), [LABEL]);
    assert_eq!(town.again().await, 202);
    town.build(&town.story.name_of(number, event)).await;
    town.end().await;
}

#[tokio::test]
async fn one_failed_answer_of_github_is_asked_for_again() {
    let town = Town::new("wh-once").await;
    let number = town.pull_request().await;
    let faults = town.story.forge.faults();
    faults.next(1, "GET /repos/*/*/pulls/*", Fault::Status(502));
    faults.next(1, "POST /graphql", Fault::Cut);
    assert_eq!(town.label(number).await.1, 202);
    town.end().await;
}

#[tokio::test]
async fn facts_are_fetched_at_once_and_a_delivery_costs_one_round_of_answers() {
    let town = Town::new("wh-fast").await;
    let number = town.pull_request().await;
    let log = town.story.forge.log();
    let before = log.all().len();
    let delay = Duration::from_secs(2);
    town.story.forge.faults().on("* /**", Fault::Latency(delay));
    let (name, code) = town.label(number).await;
    assert_eq!(code, 202);
    town.build(&name).await;
    let mut asked = log.since(before);
    asked.retain(|one| !one.path.ends_with("/access_tokens"));
    assert!(asked.len() > 3, "{asked:?}");
    let first_answer = asked.iter().map(|one| one.at + one.took).min().unwrap();
    let late: Vec<_> = asked.iter().filter(|one| one.at > first_answer).collect();
    assert!(late.is_empty(), "asked only after an answer: {late:?}");
    town.end().await;
}

#[tokio::test]
async fn a_slow_github_is_answered_in_time_and_stores_nothing() {
    let town = Town::new("wh-slow").await;
    let number = town.pull_request().await;
    let late = Fault::Latency(Duration::from_secs(30));
    town.story.forge.faults().on("GET /repos/*/*/pulls/*", late);
    let (_, code) = town.label(number).await;
    assert_eq!(code, 503);
    let took = town.story.forge.deliveries().last().unwrap().took;
    assert!(took < Duration::from_secs(9), "{took:?}");
    town.nothing_stored().await;
    town.end().await;
}

#[tokio::test]
async fn a_build_that_the_api_server_does_not_take_comes_again_and_is_built_once() {
    for (n, command) in [(1, None), (2, Some("/prbuild run"))] {
        let mut town = Town::new(&format!("wh-untaken{n}")).await;
        let number = town.pull_request().await;
        let revoked = revoke(&town.story, ACCOUNT, "create", "prbuilds").await;
        let (name, code) = match command {
            Some(text) => town.said(number, ADA, text).await,
            None => town.label(number).await,
        };
        assert_eq!(code, 503, "{command:?}");
        assert!(town.metric(NOT_STORED).await >= 1.0, "{command:?}");
        town.nothing_stored().await;
        if command.is_none() {
            assert_eq!(town.story.forge.labels(REPO, number), [LABEL]);
        }
        revoked.restore(&town.story).await;
        assert_eq!(town.again().await, 202, "{command:?}");
        assert_eq!(town.again().await, 202, "{command:?}");
        assert_eq!(town.names_of_builds().await, [name]);
        assert!(town.answers().await.is_empty(), "{command:?}");
        town.end().await;
    }
}

#[tokio::test]
async fn a_refusal_that_the_api_server_does_not_take_comes_again_and_is_told_once() {
    for (n, command) in [(1, None), (2, Some("/prbuild help"))] {
        let mut town = Town::new(&format!("wh-untold{n}")).await;
        let number = town.pull_request().await;
        let revoked = revoke(&town.story, ACCOUNT, "create", "answers").await;
        let (name, code) = match command {
            Some(text) => town.said(number, ADA, text).await,
            None => town.labelled_by(number, TRISTAN).await,
        };
        assert_eq!(code, 503, "{command:?}");
        assert!(town.metric(NOT_STORED).await >= 1.0, "{command:?}");
        town.nothing_stored().await;
        if command.is_none() {
            assert_eq!(town.story.forge.labels(REPO, number), [LABEL]);
        }
        revoked.restore(&town.story).await;
        assert_eq!(town.again().await, 202, "{command:?}");
        assert_eq!(town.answers().await.len(), 1, "{command:?}");
        town.refused(&name).await;
        assert!(town.builds().await.is_empty(), "{command:?}");
        town.end().await;
    }
}
