//! What GitHub refuses to take in the midst of a build, and what becomes of it.

use crds::{BuildResult, BuilderRun, ReportMode, Repository, RunPhase, condition};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{
    cluster::{Fate, eventually, shared_control_plane},
    forge::{CheckRun, Elsewhere, Fault},
    story::{GRACE, PATIENCE, REPO, Setting, Story},
};

use super::{begin_without_kubelet, build_of, crash, phase_is};

const STATUSES: &str = "POST /repos/*/*/statuses/*";
/// A page of all statuses of a commit.
const COUNTED: &str = "GET /repos/*/*/commits/*/statuses";

/// Waits until `Ready` of the Repository says this. Returns the sentence.
async fn ready(story: &Story, status: &str, reason: &str) -> String {
    let what = format!("Ready is {status}: {reason}");
    story
        .eventually_in(&what, "app", |repository: &Repository| {
            let conditions = repository.status.clone().unwrap_or_default().conditions;
            match condition::find(&conditions, condition::kind::READY) {
                Some(found) if (&*found.status, &*found.reason) == (status, reason) => {
                    Ok(found.message.clone())
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await
}

/// Waits until the check run of a builder looks as it should.
async fn check_is(story: &Story, head: &str, what: &str, look: impl Fn(&CheckRun) -> bool) {
    eventually(format!("the check {what}"), PATIENCE, async || {
        let check = story.forge.check_run(REPO, head, "prbuild/debian");
        match check {
            Some(check) if look(&check) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn an_app_that_loses_a_permission_in_the_midst_of_a_build_says_so_and_goes_on_when_it_has_it_again()
 {
    let setting = Setting {
        checks: true,
        ..Setting::default()
    };
    let access = shared_control_plane();
    let mut story = Story::begin(&access, "lostchecks", setting).await.unwrap();
    story
        .repository(|spec| spec.reporting.mode = ReportMode::Checks)
        .await;
    story.builder("debian", |_| {}).await;
    story.start_operator().await.unwrap();
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    check_is(&story, &head, "waits", |check| check.status != "completed").await;
    ready(&story, "True", "Valid").await;

    let app = story.forge.app_on(REPO).unwrap();
    let installation = story.forge.installation_on(REPO, app).unwrap();
    story.forge.take_permission(installation, "checks");
    story.pods_go(|_| Fate::passes());
    let sentence = ready(&story, "False", "PermissionMissing").await;
    assert!(sentence.contains("checks: write"), "{sentence}");

    story.forge.give_permission(installation, "checks", "write");
    check_is(&story, &head, "passed", |check| {
        check.conclusion.as_deref() == Some("success")
    })
    .await;
    ready(&story, "True", "Valid").await;
    let build = story.complete(&name).await.status.unwrap();
    assert_eq!(build.result, Some(BuildResult::Passed));
    assert_eq!(story.forge.check_runs(REPO, &head).len(), 1);
    assert_eq!(story.last_statuses(number), [], "it never changes over");
    story.end().await;
}

#[tokio::test]
async fn a_personal_token_that_may_not_write_statuses_is_said_while_it_lasts_and_results_arrive_afterwards()
 {
    let setting = Setting {
        app: false,
        ..Setting::default()
    };
    let access = shared_control_plane();
    let mut story = Story::begin(&access, "weaktoken", setting).await.unwrap();
    story.builder("debian", |_| {}).await;
    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    ready(&story, "True", "Valid").await;
    let refused = story.forge.faults().on(STATUSES, Fault::Status(403));
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    let sentence = ready(&story, "False", "PermissionMissing").await;
    for word in ["`statuses: write`", "`repo:status`", "`octo/app`"] {
        assert!(sentence.contains(word), "{sentence}");
    }
    story.forge.faults().off(refused);
    ready(&story, "True", "Valid").await;
    let build = story.complete(&name).await.status.unwrap();
    assert_eq!(build.result, Some(BuildResult::Passed));
    assert_eq!(story.last_statuses(number)[0].1, "success");
    story.end().await;
}

#[tokio::test]
async fn a_context_whose_thousand_statuses_are_used_up_keeps_no_build_from_its_end_after_a_restart()
{
    let mut story = begin_without_kubelet("thousand").await;
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    let context = "prbuild/debian";
    eventually("it is pending", PATIENCE, async || {
        match story.last_statuses(number).as_slice() {
            [(_, state, _)] if state == "pending" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    crash(&mut story).await;
    // Nobody who lives has counted these.
    for _ in story.forge.statuses(REPO, &head).len()..1000 {
        let forge = &story.forge;
        forge.other_status(REPO, &head, GRACE, context, Elsewhere::Pending);
    }
    story.pods_go(|_| Fate::passes());
    let before = story.forge.log().count(STATUSES);
    story.start_operator().await.unwrap();
    let build = story.complete(&name).await.status.unwrap();
    assert_eq!(build.result, Some(BuildResult::Passed));
    let run = phase_is(&story, &format!("{name}-debian-1"), RunPhase::Succeeded).await;
    let report = run.status.unwrap().report.unwrap();
    assert_eq!(report.sent.as_deref(), Some("settled"));
    let why = report.error.unwrap();
    assert!(why.contains("maximum number of statuses"), "{why}");
    let asked = story.forge.log().count(STATUSES) - before;
    assert!(asked <= 2, "GitHub was asked {asked} times");
    story.end().await;
}

#[tokio::test]
async fn a_context_whose_thousand_statuses_are_nearly_used_up_keeps_the_last_for_results_after_a_restart()
 {
    let mut story = begin_without_kubelet("nearthousand").await;
    story.builder("debian", |spec| spec.paused = true).await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    eventually("it is pending", PATIENCE, async || {
        match story.last_statuses(number).as_slice() {
            [(_, state, _)] if state == "pending" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    crash(&mut story).await;
    // It ended before it had written down that GitHub was told.
    let untold = Patch::Merge(json!({ "status": { "waiting": null, "report": null } }));
    let runs = story.api::<BuilderRun>();
    let run = format!("{name}-debian-1");
    runs.patch_status(&run, &PatchParams::default(), &untold)
        .await
        .unwrap();
    // Nobody who lives has counted these.
    for _ in story.forge.statuses(REPO, &head).len()..985 {
        let (forge, context) = (&story.forge, "prbuild/debian");
        forge.other_status(REPO, &head, GRACE, context, Elsewhere::Pending);
    }
    story.start_operator().await.unwrap();
    eventually("GitHub has counted them", PATIENCE, async || {
        match story.forge.log().count(COUNTED) {
            10 => Ok(()),
            pages => Err(format!("{pages} pages were asked for")),
        }
    })
    .await;
    story.pods_go(|_| Fate::passes());
    story.builder("debian", |_| {}).await;
    let build = story.complete(&name).await.status.unwrap();
    assert_eq!(build.result, Some(BuildResult::Passed));
    assert_eq!(story.last_statuses(number)[0].1, "success");
    assert_eq!(story.forge.statuses(REPO, &head).len(), 986);
    story.end().await;
}
