//! A label, from GitHub to the PrBuild.

use crds::{AnswerReason, Builder, Checkout, Evidence};
use kube::api::{DeleteParams, Patch, PatchParams};
use tests::forge::{DeliveryFault, Push, TestMergeSwitch};

use super::*;
use tests::story::{GRACE, MALLORY};

#[tokio::test]
async fn s02_a_label_by_a_core_developer_becomes_one_prbuild_of_exactly_the_labelled_code() {
    let town = Town::new("wh-label").await;
    let number = town.pull_request().await;
    let (name, code) = town.label(number).await;
    assert_eq!(code, 202);

    let request = town.build(&name).await.spec.request;
    let pull = town.story.forge.pull_request(REPO, number);
    assert_eq!(request.head_sha, pull.head_sha);
    assert_eq!(request.base_sha, town.story.forge.branch(REPO, "main"));
    assert!(request.merge_sha.is_some() && request.merge_tree.is_some());
    assert_eq!(request.builders, ["linux"]);
    assert_eq!(
        request.trigger.user.id,
        number_of(town.story.forge.user_id(ADA))
    );
    assert_eq!(request.trigger.permission, "write");
    assert_eq!(request.trigger.evidence, Evidence::Label);
    assert_eq!(request.trigger.label.as_deref(), Some(LABEL));
    assert_eq!(town.builds().await.len(), 1);
    assert!(town.answers().await.is_empty());
    town.end().await;
}

#[tokio::test]
async fn a_label_that_is_a_day_old_builds_nothing_and_is_not_talked_about() {
    let town = Town::new("wh-day").await;
    let number = town.pull_request().await;
    let event = town.label_meets(number, DeliveryFault::Held);
    town.story
        .forge
        .clock()
        .advance(Duration::from_secs(25 * 3600));
    town.story.forge.faults().release_deliveries();
    assert_eq!(town.last_code().await, 202);
    let answer = town.refused(&town.story.name_of(number, event)).await;
    assert_eq!(reason(&answer), AnswerReason::TooOld);
    assert_eq!(answer.spec.manner, crds::Manner::Silent);
    town.end().await;
}

#[tokio::test]
async fn every_spelling_of_the_label_is_the_label_and_others_are_not() {
    let rule =
        |spec: &mut RepositorySpec| spec.labels[0].name = ":hammer: test-with-buildbots".to_owned();
    let town = Town::ruled("wh-spelling", rule).await;
    let number = town.pull_request().await;
    for label in ["🔨 test-with-buildbots", ":hammer: Test-With-Buildbots"] {
        town.story.forge.add_label(REPO, number, label, ADA);
        assert_eq!(town.last_code().await, 202, "{label}");
        town.story.forge.remove_label(REPO, number, label, ADA);
    }
    for label in [
        "test-with-buildbots",
        ":wrench: test-with-buildbots",
        "docs",
    ] {
        town.story.forge.add_label(REPO, number, label, ADA);
        assert_eq!(town.last_code().await, 200, "{label}");
    }
    assert_eq!(town.builds().await.len(), 2);
    town.end().await;
}

#[tokio::test]
async fn a_conflict_is_refused_and_the_bare_head_has_none() {
    let town = Town::new("wh-conflict").await;
    let number = town.pull_request().await;
    town.story
        .forge
        .set_test_merge(REPO, number, TestMergeSwitch::Conflicting);
    let answer = town.label_is_refused(number, AnswerReason::Conflict).await;
    assert_eq!(answer.spec.facts.subject.as_deref(), Some("main"));
    town.end().await;

    let town = Town::ruled("wh-head", |spec| spec.checkout = Checkout::Head).await;
    let number = town.pull_request().await;
    town.story
        .forge
        .set_test_merge(REPO, number, TestMergeSwitch::Conflicting);
    let build = town.label_builds(number).await;
    assert_eq!(build.spec.request.merge_sha, None);
    town.end().await;
}

#[tokio::test]
async fn drafts_build_and_closed_pull_requests_do_not() {
    let town = Town::new("wh-state").await;
    let draft = town
        .story
        .open_pull_request("draft", &[("a.txt", "a\n")])
        .await;
    town.story.forge.set_draft(REPO, draft, true, MALLORY);
    town.label_builds(draft).await;

    let closed = town
        .story
        .open_pull_request("closed", &[("a.txt", "a\n")])
        .await;
    town.story.forge.close(REPO, closed, MALLORY);
    town.label_is_refused(closed, AnswerReason::Closed).await;
    town.end().await;
}

#[tokio::test]
async fn a_base_branch_that_is_not_built_is_named() {
    let rule = |spec: &mut RepositorySpec| spec.guards.base_branches = vec!["3.*".to_owned()];
    let town = Town::ruled("wh-base", rule).await;
    let number = town.pull_request().await;
    let answer = town
        .label_is_refused(number, AnswerReason::BaseBranch)
        .await;
    assert_eq!(answer.spec.facts.subject.as_deref(), Some("main"));
    town.end().await;
}

#[tokio::test]
async fn builders_are_frozen_and_those_left_out_have_a_reason() {
    let story = Town::before("wh-builders", |_| {}).await;
    story
        .builder("lan", |spec| spec.evidence = Evidence::Review)
        .await;
    story
        .builder("other", |spec| spec.flavours = vec!["refleak".to_owned()])
        .await;
    let town = Town::open(story, &["--no-sweep"]).await;
    let number = town.pull_request().await;
    let request = town.label_builds(number).await.spec.request;
    assert_eq!(request.builders, ["linux"]);
    assert_eq!(request.left_out.len(), 1);
    assert_eq!(request.left_out[0].builder, "lan");

    // With an approval of exactly this commit it is included.
    let head = town.story.forge.pull_request(REPO, number).head_sha;
    town.story
        .forge
        .review(REPO, number, GRACE, tests::forge::State::Approved, &head);
    let request = town.label_builds(number).await.spec.request;
    assert_eq!(request.builders, ["lan", "linux"]);
    assert_eq!(request.trigger.evidence, Evidence::Review);
    town.end().await;
}

#[tokio::test]
async fn without_a_builder_the_answer_says_why() {
    let story = Town::before("wh-nobuilder", |_| {}).await;
    story
        .builder("linux", |spec| spec.base_branches = vec!["3.*".to_owned()])
        .await;
    let town = Town::open(story, &["--no-sweep"]).await;
    let number = town.pull_request().await;
    let answer = town.label_is_refused(number, AnswerReason::NoBuilder).await;
    assert!(answer.spec.facts.detail.unwrap().contains("linux"));
    town.end().await;
}

#[tokio::test]
async fn a_name_that_is_taken_by_something_else_is_an_error_and_an_alert() {
    let mut town = Town::new("wh-taken").await;
    let number = town.pull_request().await;
    let (name, _) = town.label(number).await;
    let mut other = town.build(&name).await;
    let api = town.story.api::<PrBuild>();
    api.delete(&name, &DeleteParams::default()).await.unwrap();
    other.metadata = kube::api::ObjectMeta {
        name: Some(name.clone()),
        ..Default::default()
    };
    other.spec.request.trigger.user.id += 1;
    let somebody = other.spec.request.trigger.user.clone();
    let gate = town.story.gate().await;
    gate.create(&kube::api::PostParams::default(), &other)
        .await
        .unwrap();

    assert_eq!(town.again().await, 409);
    assert_eq!(town.build(&name).await.spec.request.trigger.user, somebody);
    assert!(
        town.metric(r#"prbuild_webhook_alerts_total{kind="name_taken"}"#)
            .await
            >= 1.0
    );
    town.end().await;
}

#[tokio::test]
async fn an_answered_event_stays_answered() {
    let town = Town::new("wh-answered").await;
    let number = town.pull_request().await;
    let (name, _) = town.labelled_by(number, tests::story::TRISTAN).await;
    assert_eq!(reason(&town.refused(&name).await), AnswerReason::Permission);
    town.story
        .forge
        .set_permission(REPO, tests::story::TRISTAN, tests::forge::Role::Write);
    eventually(
        "the webhook knows its answer",
        PATIENCE,
        async || match town.again().await {
            200 => Ok(()),
            code => Err(code.to_string()),
        },
    )
    .await;
    assert!(town.builds().await.is_empty());
    town.end().await;
}

#[tokio::test]
async fn s19_dates_in_commits_change_nothing() {
    let town = Town::new("wh-dates").await;
    let push = Push {
        repository: "mallory/app",
        branch: "topic",
        files: &[("a.txt", "a\n")],
        by: MALLORY,
        commit_time: Some("2001-01-01T00:00:00Z".parse().unwrap()),
        ..Push::default()
    };
    town.story.forge.push_with(push).await;
    let head = format!("{MALLORY}:topic");
    let new = tests::forge::PullRequest {
        title: "A change",
        author: MALLORY,
        head: &head,
        ..Default::default()
    };
    let number = town.story.forge.open_pull_request(REPO, new).await;
    town.label_is_refused(number, AnswerReason::HeadMovedBefore)
        .await;
    town.end().await;
}

#[tokio::test]
async fn a_builder_that_changes_after_the_label_does_not_change_the_build() {
    let town = Town::new("wh-frozen").await;
    let number = town.pull_request().await;
    let (name, _) = town.label(number).await;
    town.story.builder("windows", |_| {}).await;
    let patch = serde_json::json!({ "spec": { "flavours": ["other"] } });
    let api = town.story.api::<Builder>();
    api.patch("linux", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    assert_eq!(town.again().await, 202);
    assert_eq!(town.build(&name).await.spec.request.builders, ["linux"]);
    town.end().await;
}
