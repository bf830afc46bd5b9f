//! A build that waits until other systems' checks of its commit are green.

use crds::{BuildResult, PrBuild, RunPhase};
use kube::ResourceExt;
use tests::{
    cluster::{Fate, shared_control_plane},
    forge::{Elsewhere, Fault},
    story::{REPO, Setting, Story},
};

use super::{crash, jobs_are, nothing_is_pending, phase_is, reason_of, run_is, told};

/// A story whose App may read checks, and whose pods pass.
async fn begin(name: &str) -> Story {
    let setting = Setting {
        checks: true,
        ..Setting::default()
    };
    let access = shared_control_plane();
    let mut story = Story::begin(&access, name, setting).await.unwrap();
    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    story
}

/// Checks and a status that builds wait for.
const WANTED: [&str; 2] = ["CI / tests", "docs"];

/// A build that waits for both. Returns the pull request, its head and the build's name.
async fn waiting(story: &Story, builders: &[&str]) -> (u64, String, String) {
    for builder in builders {
        story.builder(builder, |_| {}).await;
    }
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let name = authorized(story, number, builders).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    (number, head, name)
}

async fn authorized(story: &Story, number: u64, builders: &[&str]) -> String {
    let build = story.authorized_with(number, builders, |spec| {
        spec.request.after_checks = WANTED.map(str::to_owned).to_vec();
    });
    build.await.name_any()
}

/// Waits until a run waits for this.
async fn waits_for(story: &Story, run: &str, reason: &str) {
    run_is(story, run, &format!("waits: {reason}"), |run| {
        let waiting = run
            .status
            .as_ref()
            .and_then(|status| status.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason == reason)
    })
    .await;
}

/// The operator looks again at once, as it does after half a minute.
async fn look_again(story: &mut Story) {
    crash(story).await;
    story.start_operator().await.unwrap();
}

#[tokio::test]
async fn a_build_waits_until_the_checks_are_green_and_says_for_which() {
    let mut story = begin("checks").await;
    let (number, head, name) = waiting(&story, &["debian"]).await;
    let run = format!("{name}-debian-1");
    let says = "the check `CI / tests` has not begun yet, and one more";
    waits_for(&story, &run, says).await;
    assert_eq!(
        nothing_but_pending(&story, number),
        format!("Waiting: {says}")
    );
    story
        .eventually_in("the build says it, too", &name, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            match status.reason.as_deref() {
                Some(reason) if reason == says => Ok(()),
                _ => Err(format!("{status:?}")),
            }
        })
        .await;
    let forge = &story.forge;
    forge.other_check(REPO, &head, "ci", "CI / tests", Elsewhere::Pending);
    forge.other_status(REPO, &head, "docsbot", "docs", Elsewhere::Passes);
    look_again(&mut story).await;
    waits_for(&story, &run, "the check `CI / tests` has not passed yet").await;
    jobs_are(&story, 0).await;
    let forge = &story.forge;
    forge.other_check(REPO, &head, "ci", "CI / tests", Elsewhere::Passes);
    look_again(&mut story).await;
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    told(&story, &name, "WaitsForChecks").await;
    assert_eq!(told(&story, &name, "Open").await, "its runs may start");
    story.end().await;
}

/// The one status of a pull request, which is pending.
fn nothing_but_pending(story: &Story, number: u64) -> String {
    let last = story.last_statuses(number);
    assert_eq!(last.len(), 1, "{last:?}");
    assert_eq!(last[0].1, "pending");
    last[0].2.clone()
}

#[tokio::test]
async fn a_build_whose_check_fails_is_dropped_with_a_sentence() {
    let story = begin("checkfails").await;
    story.builder("debian", |_| {}).await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    story
        .forge
        .other_status(REPO, &head, "docsbot", "docs", Elsewhere::Fails);
    let name = authorized(&story, number, &["debian"]).await;
    let status = story.complete(&name).await.status.unwrap();
    let says = "the check `docs` failed on this commit; ask again when it is green";
    assert_eq!(status.result, Some(BuildResult::Cancelled));
    assert_eq!(status.reason, Some(format!("cancelled: {says}")));
    let last = nothing_is_pending(&story, number, 2).await;
    let ours = last.iter().find(|one| one.0 == "prbuild/debian").unwrap();
    assert_eq!(
        (ours.1.as_str(), ours.2.clone()),
        ("error", format!("Cancelled: {says}"))
    );
    jobs_are(&story, 0).await;
    assert_eq!(told(&story, &name, "Dropped").await, says);
    story.end().await;
}

#[tokio::test]
async fn a_check_that_never_appears_ends_the_wait_with_the_queue_timeout() {
    let story = begin("nocheck").await;
    story
        .builder("debian", |spec| spec.timeouts.queue_seconds = 2)
        .await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let name = authorized(&story, number, &["debian"]).await;
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Error));
    let run = story.runs(&name).await.remove(0);
    assert_eq!(
        reason_of(&run),
        "did not start within 2 s: the check `CI / tests` has not begun yet, and one more"
    );
    assert_eq!(story.last_statuses(number)[0].1, "error");
    story.end().await;
}

#[tokio::test]
async fn builds_of_one_commit_share_one_look_at_its_checks() {
    let story = begin("onelook").await;
    let (number, head, first) = waiting(&story, &["debian", "fedora", "alpine"]).await;
    waits_for(
        &story,
        &format!("{first}-alpine-1"),
        "the check `CI / tests` has not begun yet, and one more",
    )
    .await;
    let second = authorized(&story, number, &["debian"]).await;
    run_is(&story, &format!("{second}-debian-1"), "waits", |run| {
        run.status.as_ref().is_some_and(|s| s.waiting.is_some())
    })
    .await;
    for what in ["status", "check-runs"] {
        let asked = format!("GET /repos/{REPO}/commits/{head}/{what}");
        assert_eq!(story.forge.log().count(&asked), 1, "{what}");
    }
    story.end().await;
}

#[tokio::test]
async fn a_build_keeps_waiting_while_github_does_not_tell_how_checks_stand() {
    let mut story = begin("checksaway").await;
    story
        .forge
        .faults()
        .on("GET /repos/*/*/commits/*/status", Fault::Status(502));
    let (_, head, name) = waiting(&story, &["debian"]).await;
    waits_for(
        &story,
        &format!("{name}-debian-1"),
        "GitHub does not tell how its commit's checks stand",
    )
    .await;
    story.forge.faults().clear();
    let forge = &story.forge;
    forge.other_check(REPO, &head, "ci", "CI / tests", Elsewhere::Passes);
    forge.other_status(REPO, &head, "docsbot", "docs", Elsewhere::Passes);
    look_again(&mut story).await;
    phase_is(&story, &format!("{name}-debian-1"), RunPhase::Succeeded).await;
    story.end().await;
}
