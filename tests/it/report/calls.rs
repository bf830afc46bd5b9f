//! What a build costs at GitHub, and that nothing is lost when GitHub or the operator is away. These
//! stories need a cluster.

use std::time::Duration;

use crds::{BuildResult, PrBuild, ReportMode, condition};
use kube::ResourceExt;
use kube::api::DeleteParams;
use tests::cluster::{Ending, Fate, eventually, shared_control_plane};
use tests::forge::{CheckRun, Fault};
use tests::story::{Calls, PATIENCE, REPO, Setting, Story};

const EVERYTHING: &str = "* /**";
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// A story with an operator whose results are check runs.
async fn begin(
    name: &str,
    mode: ReportMode,
    fate: impl Fn() -> Fate + Send + Sync + 'static,
) -> Story {
    let setting = Setting {
        checks: true,
        ..Setting::default()
    };
    let mut story = Story::begin(&shared_control_plane(), name, setting)
        .await
        .unwrap();
    story.builder("debian", |_| {}).await;
    story.repository(|spec| spec.reporting.mode = mode).await;
    story.pods_go(move |_| fate());
    story.start_operator().await.unwrap();
    story
}

/// A build of the builder `debian`.
async fn build(story: &Story) -> (u64, String) {
    let number = story
        .open_pull_request("change", &[("new.c", "int x;")])
        .await;
    let build = story.authorized(number, &["debian"]).await;
    (number, build.name_any())
}

fn checks(story: &Story, number: u64) -> Vec<CheckRun> {
    let head = story.forge.pull_request(REPO, number).head_sha;
    story.forge.check_runs(REPO, &head)
}

/// Waits until the comment of a build shows its result. Returns its text.
async fn result_shown(story: &Story, number: u64, build: &str) -> String {
    let what = "the comment shows the result";
    story
        .eventually_in(what, build, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            let said = condition::find(&status.conditions, condition::kind::ANNOUNCED);
            let shows = said.is_some_and(|said| said.reason == "ResultStands");
            shows
                .then_some(())
                .ok_or_else(|| format!("{:?}", status.conditions))
        })
        .await;
    let comments = story.forge.comments(REPO, number);
    assert_eq!(comments.len(), 1, "one comment a build");
    comments[0].body.clone()
}

#[tokio::test]
async fn ten_green_builders_with_statuses_take_at_most_21_calls() {
    let calls = Calls::count(&shared_control_plane(), "calls-s", 10, ReportMode::Statuses)
        .await
        .unwrap();
    let usage = &calls.usage;
    assert!(usage.rest_calls() <= 21, "{usage:?}");
    assert!(usage.graphql <= 2, "{usage:?}");
    assert!(
        usage.connections <= 8,
        "connections are used again: {usage:?}"
    );
}

#[tokio::test]
async fn ten_green_builders_with_checks_take_at_most_3_and_2_for_each() {
    let calls = Calls::count(&shared_control_plane(), "calls-c", 10, ReportMode::Checks)
        .await
        .unwrap();
    let usage = &calls.usage;
    assert!(usage.rest_calls() <= 23, "{usage:?}");
    assert!(usage.graphql <= 2, "{usage:?}");
    assert!(
        usage.connections <= 8,
        "connections are used again: {usage:?}"
    );
}

#[tokio::test]
async fn a_check_run_is_told_from_the_first_moment_and_its_id_is_stored() {
    let story = begin("checks", ReportMode::Checks, || {
        Fate::passes().after(Duration::from_secs(3))
    })
    .await;
    let (number, name) = build(&story).await;
    story
        .forge
        .eventually(PATIENCE, "the check run waits", |_| {
            let all = checks(&story, number);
            all.iter()
                .any(|one| one.status != "completed")
                .then_some(())
        })
        .await;
    story.complete(&name).await;
    let all = checks(&story, number);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].conclusion.as_deref(), Some("success"));
    assert_eq!(all[0].external_id, format!("{name}-debian-1"));
    let run = &story.runs(&name).await[0];
    let report = run.status.clone().unwrap().report.unwrap();
    assert_eq!(report.id, i64::try_from(all[0].id).ok());
    assert!(story.last_statuses(number).is_empty());
    let text = result_shown(&story, number, &name).await;
    assert!(text.contains("/runs/"), "the result links to it: {text}");
    story.end().await;
}

#[tokio::test]
async fn a_check_run_of_a_run_that_is_deleted_is_cancelled() {
    let story = begin("checks-del", ReportMode::Checks, || {
        Fate::ends(Ending::Never)
    })
    .await;
    let (number, name) = build(&story).await;
    story
        .forge
        .eventually(PATIENCE, "a check run", |_| {
            (!checks(&story, number).is_empty()).then_some(())
        })
        .await;
    let runs = story.api::<crds::BuilderRun>();
    runs.delete(&format!("{name}-debian-1"), &DeleteParams::default())
        .await
        .unwrap();
    story.complete(&name).await;
    let all = checks(&story, number);
    let conclusions: Vec<_> = all.iter().map(|one| one.conclusion.as_deref()).collect();
    assert_eq!(conclusions, [Some("cancelled")]);
    story.end().await;
}

#[tokio::test]
async fn a_personal_token_tells_by_statuses_what_should_have_been_check_runs() {
    let setting = Setting {
        app: false,
        ..Setting::default()
    };
    let mut story = Story::begin(&shared_control_plane(), "checks-pat", setting)
        .await
        .unwrap();
    story.builder("debian", |_| {}).await;
    story
        .repository(|spec| spec.reporting.mode = ReportMode::Checks)
        .await;
    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    let (number, name) = build(&story).await;
    story.complete(&name).await;
    let last = story.last_statuses(number);
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].1, "success");
    story.end().await;
}

#[tokio::test]
async fn a_github_that_is_away_for_ten_minutes_hears_every_result_afterwards() {
    for (name, mode) in [
        ("away-s", ReportMode::Statuses),
        ("away-c", ReportMode::Checks),
    ] {
        let story = begin(name, mode, || Fate::passes().after(Duration::from_secs(1))).await;
        let away = story.forge.faults().on(EVERYTHING, Fault::Status(502));
        let (number, name) = build(&story).await;
        let ended = "the build is over and GitHub does not know";
        story
            .eventually_in(ended, &name, |build: &PrBuild| {
                let status = build.status.clone().unwrap_or_default();
                let ended = status.result == Some(BuildResult::Passed);
                ended.then_some(()).ok_or_else(|| format!("{status:?}"))
            })
            .await;
        story.forge.clock().advance(TEN_MINUTES);
        assert!(checks(&story, number).is_empty() && story.last_statuses(number).is_empty());
        story.forge.faults().off(away);
        story.complete_within(&name, PATIENCE * 2).await;
        match mode {
            ReportMode::Checks => {
                let all = checks(&story, number);
                assert_eq!(all.len(), 1);
                assert_eq!(all[0].conclusion.as_deref(), Some("success"));
            }
            _ => assert_eq!(story.last_statuses(number)[0].1, "success"),
        }
        let text = eventually("the comment", PATIENCE * 2, async || {
            let all = story.forge.comments(REPO, number);
            all.first()
                .map(|one| one.body.clone())
                .ok_or_else(String::new)
        })
        .await;
        assert!(text.contains("passed"), "{text}");
        assert!(story.forge.labels(REPO, number).is_empty());
        story.end().await;
    }
}

#[tokio::test]
async fn an_operator_that_is_away_for_ten_minutes_tells_every_result_afterwards() {
    let mut story = begin("dead", ReportMode::Checks, || {
        Fate::passes().after(Duration::from_secs(2))
    })
    .await;
    let (number, name) = build(&story).await;
    story
        .forge
        .eventually(PATIENCE, "a check run that waits", |_| {
            (!checks(&story, number).is_empty()).then_some(())
        })
        .await;
    story.kill_operator().await;
    story.forge.clock().advance(TEN_MINUTES);
    story.lease_runs_out().await;
    story.start_operator().await.unwrap();
    story.complete(&name).await;
    let all = checks(&story, number);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].conclusion.as_deref(), Some("success"));
    let text = result_shown(&story, number, &name).await;
    assert!(text.contains("passed"), "{text}");
    story.end().await;
}

#[tokio::test]
async fn a_limit_of_statuses_is_said_on_the_object_and_in_the_comment() {
    let story = begin("thousand", ReportMode::Statuses, Fate::passes).await;
    let number = story
        .open_pull_request("change", &[("new.c", "int x;")])
        .await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    for _ in 0..1000 {
        let says = tests::forge::Elsewhere::Pending;
        story
            .forge
            .other_status(REPO, &head, "ada", "prbuild/debian", says);
    }
    let name = story.authorized(number, &["debian"]).await.name_any();
    let complete = story.complete(&name).await;
    let conditions = complete.status.unwrap().conditions;
    let reported = condition::find(&conditions, condition::kind::REPORTED).unwrap();
    assert_eq!(reported.reason, "NotAllTaken");
    assert!(reported.message.contains("maximum number of statuses"));
    let run = &story.runs(&name).await[0];
    let report = run.status.clone().unwrap().report.unwrap();
    assert_eq!(report.sent.as_deref(), Some("settled"));
    assert!(report.error.unwrap().contains("maximum number of statuses"));
    let text = result_shown(&story, number, &name).await;
    assert!(text.contains("maximum number of statuses"), "{text}");
    story.end().await;
}

#[tokio::test]
async fn the_first_failure_is_shown_before_the_end_and_the_end_once() {
    let story = begin("failing", ReportMode::Statuses, || {
        Fate::ends(Ending::Never)
    })
    .await;
    let mut story = story;
    story.builder("bad", |_| {}).await;
    story.pods_go(|pod| match pod.labels()["prbuild.dev/builder"].as_str() {
        "bad" => Fate::ends(Ending::OutOfMemory),
        _ => Fate::passes().after(Duration::from_secs(6)),
    });
    let number = story
        .open_pull_request("change", &[("new.c", "int x;")])
        .await;
    let name = story
        .authorized(number, &["bad", "debian"])
        .await
        .name_any();
    story
        .forge
        .eventually(PATIENCE, "the failure in the comment", |forge| {
            let all = forge.comments(REPO, number);
            let text = all.first().map(|one| one.body.clone())?;
            (text.contains("1 failed") && !text.contains("1 passed")).then_some(())
        })
        .await;
    let text = result_shown(&story, number, &name).await;
    assert!(
        text.contains("1 failed") && text.contains("1 passed"),
        "{text}"
    );
    let edits = "PATCH /repos/*/*/issues/comments/*";
    assert_eq!(story.forge.log().count(edits), 2);
    story.end().await;
}

#[tokio::test]
async fn a_comment_that_may_not_be_edited_is_tried_again_slowly_and_holds_up_nothing() {
    let story = begin("noedit", ReportMode::Statuses, || {
        Fate::passes().after(Duration::from_secs(2))
    })
    .await;
    let edits = "PATCH /repos/*/*/issues/comments/*";
    story.forge.faults().on(edits, Fault::Status(403));
    let (number, name) = build(&story).await;
    story.complete(&name).await;
    story
        .forge
        .eventually(PATIENCE, "an edit that is refused", |forge| {
            (forge.log().count(edits) > 0).then_some(())
        })
        .await;
    // Another build goes its way meanwhile, and the first is not tried again and again.
    let other = story.authorized(number, &["debian"]).await.name_any();
    story.complete(&other).await;
    let tries = story.forge.log().count(edits);
    assert!(tries <= 2, "{tries} edits");
    story.end().await;
}
