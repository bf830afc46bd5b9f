//! `rerun` and `cancel`.

use crds::{AnswerReason, Evidence, Permission, RunPhase};

use super::acts::fleet;
use super::*;
use RunPhase::{Error, Failed, Queued, Running, Succeeded};
use tests::story::{GRACE, TRISTAN};

#[tokio::test]
async fn rerun_builds_what_did_not_pass_of_the_same_commits_whatever_was_pushed_since() {
    let town = fleet("wh-rerun", |_| {}).await;
    let number = town.pull_request().await;
    let first = town.label_builds(number).await;
    let name = first.name_any();
    let results = [("linux", Failed), ("windows", Error), ("z13", Succeeded)];
    town.stands(&name, &results).await;
    town.push("b\n").await;

    let again = town.command_builds(number, "/prbuild rerun failed").await;
    let (old, new) = (first.spec.request, again.spec.request.clone());
    assert_ne!(old.head_sha, town.head(number));
    assert_eq!(
        (new.head_sha, new.merge_sha, new.merge_tree, new.base_sha),
        (old.head_sha, old.merge_sha, old.merge_tree, old.base_sha)
    );
    assert_eq!(new.builders, ["linux", "windows"]);
    assert_eq!(new.rerun_of.as_deref(), Some(name.as_str()));
    assert_eq!(new.trigger.evidence, Evidence::Label);
    // Delivered once more it is the same.
    town.again().await;
    assert_eq!(town.builds().await.len(), 2);

    town.stands(
        &again.name_any(),
        &[("linux", Succeeded), ("windows", Running)],
    )
    .await;
    let third = town
        .command_builds(number, "/prbuild rerun s390x Debian")
        .await;
    assert_eq!(third.spec.request.builders, ["z13"]);
    assert_eq!(third.spec.request.rerun_of, Some(name));
    town.stands(&third.name_any(), &[("z13", Succeeded)]).await;
    let answer = town
        .command_is_answered(number, "/prbuild rerun failed", AnswerReason::NoBuild)
        .await;
    let detail = answer.spec.facts.detail.unwrap();
    assert!(detail.contains("so far"), "{detail}");
    town.end().await;
}

#[tokio::test]
async fn who_asks_again_needs_the_right_that_a_label_needs() {
    let town = Town::new("wh-rerun-right").await;
    let number = town.pull_request().await;
    let name = town.label_builds(number).await.name_any();
    town.stands(&name, &[("linux", Failed)]).await;
    for text in [
        "/prbuild rerun failed",
        "/prbuild rerun linux",
        "/prbuild cancel",
    ] {
        let (name, _) = town.said(number, TRISTAN, text).await;
        assert_eq!(reason(&town.refused(&name).await), AnswerReason::Permission);
    }
    town.story
        .forge
        .set_permission(REPO, ADA, tests::forge::Role::Read);
    // A right that was found is believed for a minute; another person's is asked for.
    let (name, _) = town.said(number, GRACE, "/prbuild rerun failed").await;
    assert_eq!(
        town.build(&name).await.spec.request.trigger.user.login,
        GRACE
    );
    town.end().await;
}

#[tokio::test]
async fn cancel_stops_what_goes_on_and_is_done_once() {
    let town = fleet("wh-cancel", |_| {}).await;
    let number = town.pull_request().await;
    let done = town.label_builds(number).await.name_any();
    let all = ["linux", "windows", "z13"];
    town.stands(&done, &all.map(|name| (name, Succeeded))).await;
    let live = town.label_builds(number).await.name_any();
    let results = [("linux", Running), ("windows", Queued), ("z13", Succeeded)];
    town.stands(&live, &results).await;

    let part = AnswerReason::Cancelled;
    let answer = town
        .command_is_answered(number, "/prbuild cancel `Windows 11`", part)
        .await;
    assert_eq!(answer.spec.facts.subject.as_deref(), Some("Windows 11"));
    let spec = town.build(&live).await.spec;
    assert_eq!(spec.cancel, None);
    let cancelled: Vec<&String> = spec.cancel_builders.keys().collect();
    assert_eq!(cancelled, ["windows"]);
    assert_eq!(spec.cancel_builders["windows"].by, ADA);
    for over in [
        "/prbuild cancel windows",
        "/prbuild cancel z13",
        "/prbuild cancel ios",
    ] {
        town.command_is_answered(number, over, AnswerReason::NoBuild)
            .await;
    }

    town.command_is_answered(number, "/prbuild cancel", part)
        .await;
    let cancel = town.build(&live).await.spec.cancel.unwrap();
    assert_eq!((cancel.by.as_str(), cancel.waiting_only), (ADA, false));
    assert_eq!(town.build(&done).await.spec.cancel, None);
    // A build that is asked for afterwards goes on, also when the command is delivered once more.
    let next = town.label_builds(number).await.name_any();
    let deliveries = town.story.forge.deliveries();
    let mut commands = deliveries.iter().rev();
    let command = commands.find(|one| one.action.as_deref() == Some("created"));
    town.story.forge.redeliver(command.unwrap().id);
    town.story.forge.deliveries_settled().await;
    assert_eq!(town.build(&next).await.spec.cancel, None);
    town.end().await;
}

#[tokio::test]
async fn a_triager_may_stop_what_a_triager_may_start_and_nothing_else() {
    let rule = |spec: &mut RepositorySpec| spec.labels[0].minimum = Some(Permission::Triage);
    let town = Town::ruled("wh-own", rule).await;
    let number = town.pull_request().await;
    let (own, code) = town.labelled_by(number, TRISTAN).await;
    assert_eq!(code, 202);
    town.story.forge.remove_label(REPO, number, LABEL, TRISTAN);
    let adas = town.label_builds(number).await.name_any();
    let (name, _) = town.said(number, TRISTAN, "/prbuild cancel").await;
    assert_eq!(reason(&town.refused(&name).await), AnswerReason::Cancelled);
    assert_eq!(town.build(&own).await.spec.cancel.unwrap().by, TRISTAN);
    assert_eq!(town.build(&adas).await.spec.cancel, None);
    // With the right to label, the right to stop is gone, too.
    town.story
        .forge
        .set_permission(REPO, TRISTAN, tests::forge::Role::Read);
    let (name, _) = town.said(number, TRISTAN, "/prbuild cancel").await;
    assert_eq!(reason(&town.refused(&name).await), AnswerReason::Permission);
    town.end().await;
}
