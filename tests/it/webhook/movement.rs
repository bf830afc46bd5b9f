//! The head moves before, in, and after: nobody's code is built that nobody labelled.

use crds::{AnswerReason, Evidence, Manner};
use tests::forge::{DeliveryFault, Fault, ForkActivity, Push, State};

use super::acts::FORK;
use super::*;
use tests::story::{GRACE, MALLORY};

#[tokio::test]
async fn a_push_shortly_before_the_label_builds_nothing_and_is_named() {
    let town = Town::new("wh-before").await;
    let number = town.pull_request().await;
    let sha = town.push("b\n").await;
    town.advance(28);
    let answer = town
        .label_is_refused(number, AnswerReason::HeadMovedBefore)
        .await;
    assert_eq!(answer.spec.manner, Manner::Comment);
    let movement = answer.spec.facts.movement.clone().unwrap();
    assert_eq!(movement.by.unwrap().login, MALLORY);
    let text = serde_json::to_string(&answer.spec).unwrap();
    assert!(!text.contains(&sha), "an answer teaches no SHA: {text}");
    town.end().await;
}

#[tokio::test]
async fn s15_a_push_between_label_and_delivery_builds_nothing() {
    let town = Town::new("wh-between").await;
    let number = town.pull_request().await;
    let event = town.label_meets(number, DeliveryFault::Held);
    town.advance(5);
    town.push("b\n").await;
    town.story.forge.faults().release_deliveries();
    town.story.forge.deliveries_settled().await;
    let answer = town.refused(&town.story.name_of(number, event)).await;
    assert_eq!(reason(&answer), AnswerReason::HeadMovedAfter);
    assert_eq!(
        answer.spec.facts.movement.unwrap().by.unwrap().login,
        MALLORY
    );
    assert!(town.builds().await.is_empty());
    town.end().await;
}

#[tokio::test]
async fn s17_a_commit_that_was_pushed_long_ago_and_brought_back_is_a_movement() {
    let town = Town::new("wh-back").await;
    let number = town.pull_request().await;
    let evil = town.push("evil\n").await;
    town.advance(3600);
    town.story
        .forge
        .move_branch(
            FORK,
            "topic",
            &town.story.forge.branch(REPO, "main").unwrap(),
            MALLORY,
        )
        .await;
    town.push("good\n").await;
    town.advance(3600);
    town.story
        .forge
        .move_branch(FORK, "topic", &evil, MALLORY)
        .await;
    town.advance(5);
    town.label_is_refused(number, AnswerReason::HeadMovedBefore)
        .await;
    town.end().await;
}

#[tokio::test]
async fn s18_a_push_after_the_build_was_granted_builds_nothing_more() {
    let town = Town::new("wh-sync").await;
    let number = town.pull_request().await;
    let (name, _) = town.label(number).await;
    let before = town.build(&name).await.spec.request.head_sha;
    town.advance(60);
    let after = town.push("b\n").await;
    town.story.forge.deliveries_settled().await;
    assert_eq!(town.builds().await.len(), 1);
    assert_ne!(before, after);
    let spec = town.build(&name).await.spec;
    assert_eq!(spec.request.head_sha, before);
    // Nor is the build of what was labelled dispatched, where it was not yet.
    let cancel = spec.cancel.unwrap();
    assert_eq!(cancel.by, MALLORY);
    assert!(cancel.reason.contains("newer commits"), "{cancel:?}");
    assert!(!cancel.waiting_only, "{cancel:?}");
    town.end().await;
}

#[tokio::test]
async fn a_push_by_a_core_developer_does_not_need_to_be_quiet() {
    let town = Town::new("wh-trusted").await;
    let push = Push {
        repository: REPO,
        branch: "topic",
        files: &[("a.txt", "a\n")],
        by: GRACE,
        ..Push::default()
    };
    town.story.forge.push_with(push).await;
    let new = tests::forge::PullRequest {
        title: "A change",
        author: GRACE,
        head: "topic",
        ..Default::default()
    };
    let number = town.story.forge.open_pull_request(REPO, new).await;
    town.advance(2);
    town.label_builds(number).await;
    town.end().await;
}

#[tokio::test]
async fn a_push_by_nobody_known_is_not_trusted() {
    let town = Town::new("wh-nobody").await;
    let number = town.pull_request().await;
    let push = Push {
        repository: FORK,
        branch: "topic",
        files: &[("a.txt", "b\n")],
        by: MALLORY,
        anonymous: true,
        ..Push::default()
    };
    town.story.forge.push_with(push).await;
    town.advance(5);
    let answer = town
        .label_is_refused(number, AnswerReason::HeadMovedBefore)
        .await;
    assert_eq!(answer.spec.facts.movement.unwrap().by, None);
    town.end().await;
}

#[tokio::test]
async fn a_fork_that_takes_the_name_of_the_heads_lends_it_no_history() {
    let town = Town::new("wh-swapped").await;
    let forge = &town.story.forge;
    let number = town.pull_request().await;
    let head = town.head(number);
    // Two forks of one owner, and the other one has had the commit for an hour.
    forge.rename_repository(FORK, "mine", MALLORY);
    forge.fork(REPO, MALLORY).await;
    forge.rename_repository(FORK, "decoy", MALLORY);
    forge.rename_repository("mallory/mine", "app", MALLORY);
    let decoy = "mallory/decoy";
    forge.move_branch(decoy, "topic", &head, MALLORY).await;
    town.advance(3600);
    town.push("evil\n").await;
    forge.move_branch(FORK, "topic", &head, MALLORY).await;
    town.advance(5);
    let log = forge.log();
    log.clear();
    // However it is asked for.
    for activity in ["GET /repos/*/*/activity", "GET /repositories/*/activity"] {
        let late = Fault::Latency(Duration::from_secs(2));
        forge.faults().on(activity, late);
    }
    let event = forge.add_label(REPO, number, LABEL, ADA);
    let pull = format!("GET /repos/*/*/pulls/{number}");
    eventually("the pull request is read", PATIENCE, async || {
        match log.count(&pull) {
            0 => Err("it is not".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    forge.rename_repository(FORK, "gone", MALLORY);
    forge.rename_repository(decoy, "app", MALLORY);
    forge.deliveries_settled().await;
    let answer = town.refused(&town.story.name_of(number, event)).await;
    assert_eq!(reason(&answer), AnswerReason::HeadMovedBefore);
    assert!(town.builds().await.is_empty());
    town.end().await;
}

#[tokio::test]
async fn an_approval_of_exactly_this_commit_makes_movements_irrelevant() {
    let town = Town::new("wh-approved").await;
    let number = town.pull_request().await;
    let sha = town.push("b\n").await;
    town.story
        .forge
        .review(REPO, number, GRACE, State::Approved, &sha);
    town.advance(5);
    let build = town.label_builds(number).await;
    assert_eq!(build.spec.request.trigger.evidence, Evidence::Review);

    // The approval is of one commit, not of the pull request; and it can be taken back.
    let sha = town.push("c\n").await;
    let review = town
        .story
        .forge
        .review(REPO, number, GRACE, State::Approved, &sha);
    town.story.forge.dismiss_review(REPO, number, review);
    town.advance(5);
    town.label_is_refused(number, AnswerReason::HeadMovedBefore)
        .await;
    town.end().await;
}

#[tokio::test]
async fn an_approval_by_a_stranger_or_the_author_counts_for_nothing() {
    let town = Town::new("wh-stranger").await;
    let number = town.pull_request().await;
    let sha = town.push("b\n").await;
    for by in [MALLORY, tests::story::TRISTAN] {
        town.story
            .forge
            .review(REPO, number, by, State::Approved, &sha);
    }
    town.advance(5);
    town.label_is_refused(number, AnswerReason::HeadMovedBefore)
        .await;
    town.end().await;
}

#[tokio::test]
async fn the_same_persons_next_label_after_the_answer_confirms_what_it_named() {
    let town = Town::new("wh-confirm").await;
    let number = town.pull_request().await;
    let sha = town.push("b\n").await;
    town.advance(5);
    let moved = AnswerReason::HeadMovedBefore;
    let refused = town.label_is_refused(number, moved).await.name_any();
    // Not before the answer was given, and not by another person.
    town.advance(5);
    town.label_is_refused(number, moved).await;
    given(&town.story, &refused).await;
    town.advance(5);
    town.label_by_is_refused(number, GRACE, moved).await;
    let confirmed = town.label_builds(number).await;
    assert_eq!(confirmed.spec.request.head_sha, sha);

    // A newer movement is not what the answer named.
    town.push("c\n").await;
    town.advance(5);
    town.label_is_refused(number, moved).await;
    town.end().await;
}

#[tokio::test]
async fn s21_a_fork_that_was_deleted_builds_nothing() {
    let town = Town::new("wh-gone").await;
    let number = town.pull_request().await;
    town.story.forge.delete_fork(FORK);
    town.label_is_refused(number, AnswerReason::ForkDeleted)
        .await;
    town.end().await;
}

#[tokio::test]
async fn s21_movements_that_only_everybody_may_see_are_asked_for_without_credentials() {
    for hidden in [ForkActivity::NotFound, ForkActivity::Empty] {
        let town = Town::new("wh-anonymous").await;
        town.story.forge.show_fork_activity(hidden, true);
        let number = town.pull_request().await;
        let sha = town.push("b\n").await;
        town.advance(5);
        town.label_is_refused(number, AnswerReason::HeadMovedBefore)
            .await;
        // An unrelated branch moved, which only the list of movements can tell from this one.
        town.story.quiet();
        town.story
            .forge
            .push(FORK, "elsewhere", &[("x.txt", "x\n")])
            .await;
        let build = town.label_builds(number).await;
        assert_eq!(build.spec.request.head_sha, sha, "{hidden:?}");
        town.end().await;
    }
}

#[tokio::test]
async fn s21_without_movements_only_a_quiet_repository_or_a_reviewer_proves_the_head() {
    let town = Town::new("wh-unknown").await;
    town.story
        .forge
        .show_fork_activity(ForkActivity::NotFound, false);
    let number = town.pull_request().await;
    town.label_builds(number).await;

    town.story
        .forge
        .push(FORK, "elsewhere", &[("x.txt", "x\n")])
        .await;
    town.label_is_refused(number, AnswerReason::MovementUnknown)
        .await;

    let head = town.story.forge.pull_request(REPO, number).head_sha;
    town.story
        .forge
        .review(REPO, number, GRACE, State::Approved, &head);
    town.label_builds(number).await;
    town.end().await;
}

#[tokio::test]
async fn s21_a_list_of_movements_that_is_malformed_or_about_another_commit_proves_nothing() {
    let town = Town::new("wh-malformed").await;
    let mallory = town.story.forge.user_id(MALLORY);
    let elsewhere = json!([{
        "id": 1, "node_id": "x", "before": "1".repeat(40), "after": "2".repeat(40),
        "ref": "refs/heads/topic", "timestamp": "2020-01-01T00:00:00Z", "activity_type": "push",
        "actor": { "id": mallory, "login": MALLORY, "type": "User" },
    }]);
    for (n, fault) in [
        Fault::Answer(200, json!({ "message": "no list" })),
        Fault::Answer(200, json!([{ "after": 7, "timestamp": "yesterday" }])),
        Fault::Answer(200, json!([null])),
        Fault::Html(200),
        Fault::Answer(200, elsewhere),
    ]
    .into_iter()
    .enumerate()
    {
        let what = format!("{fault:?}");
        let number = town
            .story
            .open_pull_request(&format!("topic-{n}"), &[("a.txt", "a\n")])
            .await;
        // Some branch of the fork moved just now; which one, only the list could tell.
        town.story
            .forge
            .push(FORK, "elsewhere", &[("x.txt", &what)])
            .await;
        let faults = town.story.forge.faults();
        let fault = faults.on("GET /repositories/*/activity", fault);
        town.label_is_refused(number, AnswerReason::MovementUnknown)
            .await;
        faults.off(fault);
    }
    assert!(town.builds().await.is_empty());
    town.end().await;
}
