//! A builder that two builds of one commit have in common runs once.

use std::time::Duration;

use crds::{BuildResult, Builder, BuilderRun, PrBuild, ReportMode, RunPhase, condition};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use tests::{
    cluster::{Ending, Fate, shared_control_plane},
    story::{GRACE, REPO, Setting, Story},
};

use super::{
    Seen, begin, begin_without_kubelet, build_of, builder_of, crash, failing, nothing_is_pending,
    pause, phase_is, phase_of, pods_are, reason_of, run_is,
};

/// A run that follows another one.
async fn follows(story: &Story, run: &str, first: &str) -> BuilderRun {
    run_is(story, run, &format!("follows {first}"), |run| {
        let status = run.status.as_ref();
        status.and_then(|status| status.same_as.as_deref()) == Some(first)
    })
    .await
}

/// A pull request with a build of @ada's that waits or runs, and one of @grace's of the same commit
/// and builder that follows it. Returns the pull request and both names.
async fn two_of_one_commit(story: &Story, phase: RunPhase) -> (u64, String, String) {
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let first = story.authorized(number, &["debian"]).await.name_any();
    phase_is(story, &format!("{first}-debian-1"), phase).await;
    let second = by_grace(story, number, &["debian"]).await;
    follows(
        story,
        &format!("{second}-debian-1"),
        &format!("{first}-debian-1"),
    )
    .await;
    (number, first, second)
}

/// A build that @grace asks for.
async fn by_grace(story: &Story, number: u64, builders: &[&str]) -> String {
    let id = i64::try_from(story.forge.user_id(GRACE)).unwrap();
    let build = story.authorized_with(number, builders, |spec| {
        let user = &mut spec.request.trigger.user;
        (user.id, user.login) = (id, GRACE.to_owned());
        // The label of the first build may still be on.
        spec.request.trigger.event_id += 1_000;
    });
    build.await.name_any()
}

/// Resumes the builder, and waits until both builds have passed.
async fn both_pass_now(story: Story, builds: [String; 2]) {
    pause(&story, "debian", false).await;
    for name in builds {
        let build = story.complete(&name).await;
        assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    }
    story.end().await;
}

#[tokio::test]
async fn a_builder_that_two_builds_of_one_commit_select_runs_once_for_both() {
    let mut story = begin_without_kubelet("same").await;
    let seen = Seen::default();
    let count = seen.clone();
    story.pods_go(move |pod| {
        count.note(&builder_of(pod));
        match builder_of(pod).as_str() {
            "debian" => failing().after(Duration::from_secs(4)),
            _ => Fate::passes(),
        }
    });
    story.builder("debian", |_| {}).await;
    story.builder("fedora", |_| {}).await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let first = story.authorized(number, &["debian"]).await.name_any();
    phase_is(&story, &format!("{first}-debian-1"), RunPhase::Running).await;
    let second = by_grace(&story, number, &["debian", "fedora"]).await;
    let waits = follows(
        &story,
        &format!("{second}-debian-1"),
        &format!("{first}-debian-1"),
    )
    .await;
    assert_eq!(
        waits.status.unwrap().waiting.unwrap().reason,
        format!("runs already for @ada's build `{first}`")
    );
    for name in [&first, &second] {
        let build = story.complete(name).await;
        assert_eq!(build.status.unwrap().result, Some(BuildResult::Failed));
    }
    let (one, other) = (
        story.runs(&first).await.remove(0).status.unwrap(),
        story.runs(&second).await.remove(0).status.unwrap(),
    );
    assert_eq!(one.outcome, other.outcome, "the outcome is taken over");
    assert_eq!(one.finished_at, other.finished_at);
    assert_eq!(other.job, None);
    assert_eq!(seen.note("debian"), 1, "it ran once");
    let last = nothing_is_pending(&story, number, 2).await;
    assert_eq!(last[0].1, "failure", "{last:?}");
    let head = story.forge.pull_request(REPO, number).head_sha;
    let of_debian = story.forge.statuses(REPO, &head);
    let said: Vec<String> = of_debian
        .into_iter()
        .filter(|status| status.context == "prbuild/debian")
        .map(|status| status.state)
        .collect();
    assert_eq!(said, ["pending", "failure"], "once each");
    story.end().await;
}

#[tokio::test]
async fn a_run_that_waits_for_a_cancelled_one_runs_itself() {
    let mut story = begin_without_kubelet("samecancel").await;
    let seen = Seen::default();
    let pods = seen.clone();
    story.pods_go(move |_| match pods.note("pods") {
        0 => Fate::ends(Ending::Never),
        _ => Fate::passes(),
    });
    story.builder("debian", |_| {}).await;
    let (number, first, second) = two_of_one_commit(&story, RunPhase::Running).await;
    story.cancel(&first).await;
    let build = story.complete(&second).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    let run = story.runs(&second).await.remove(0);
    assert_eq!(run.status.unwrap().same_as, None);
    let build = story.complete(&first).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Cancelled));
    assert_eq!(story.last_statuses(number)[0].1, "success");
    story.end().await;
}

/// Checks that GitHub shows the result of the first build, of which a follower was cancelled.
async fn a_cancelled_follower_hides_nothing(name: &str, mode: ReportMode) {
    let setting = Setting {
        checks: true,
        ..Setting::default()
    };
    let mut story = Story::begin(&shared_control_plane(), name, setting)
        .await
        .unwrap();
    story.pods_go(|_| Fate::passes().after(Duration::from_secs(6)));
    story.start_operator().await.unwrap();
    story.repository(|spec| spec.reporting.mode = mode).await;
    story.builder("debian", |_| {}).await;
    let (number, first, second) = two_of_one_commit(&story, RunPhase::Running).await;
    story.cancel(&second).await;
    let build = story.complete(&second).await.status.unwrap();
    assert_eq!(build.result, Some(BuildResult::Cancelled));
    let build = story.complete(&first).await.status.unwrap();
    assert_eq!(build.result, Some(BuildResult::Passed));
    if mode == ReportMode::Statuses {
        assert_eq!(story.last_statuses(number)[0].1, "success");
    } else {
        let head = story.forge.pull_request(REPO, number).head_sha;
        let all = story.forge.check_runs(REPO, &head);
        let told: Vec<_> = all
            .iter()
            .map(|one| (one.external_id.clone(), one.conclusion.as_deref()))
            .collect();
        assert_eq!(told, [(format!("{first}-debian-1"), Some("success"))]);
    }
    story.end().await;
}

#[tokio::test]
async fn a_follower_that_is_cancelled_does_not_hide_the_status_of_the_run_that_goes_on() {
    a_cancelled_follower_hides_nothing("samesilent", ReportMode::Statuses).await;
}

#[tokio::test]
async fn a_follower_that_is_cancelled_does_not_end_the_check_run_of_the_run_that_goes_on() {
    a_cancelled_follower_hides_nothing("samesilent-c", ReportMode::Checks).await;
}

#[tokio::test]
async fn a_run_that_waits_for_a_deleted_one_runs_itself() {
    let story = begin("samedelete", Fate::passes()).await;
    story.builder("debian", |spec| spec.paused = true).await;
    let (number, first, second) = two_of_one_commit(&story, RunPhase::Queued).await;
    story
        .api::<PrBuild>()
        .delete(&first, &DeleteParams::default())
        .await
        .unwrap();
    let free = |run: &BuilderRun| run.status.as_ref().is_some_and(|s| s.same_as.is_none());
    run_is(&story, &format!("{second}-debian-1"), "is free", free).await;
    pause(&story, "debian", false).await;
    let build = story.complete(&second).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    assert_eq!(story.last_statuses(number)[0].1, "success");
    story.end().await;
}

#[tokio::test]
async fn a_run_waits_for_the_next_attempt_of_the_one_that_it_follows() {
    let mut story = begin_without_kubelet("sameretry").await;
    let seen = Seen::default();
    let pods = seen.clone();
    story.pods_go(move |_| match pods.note("pods") {
        0 => Fate::ends(Ending::Never),
        _ => Fate::passes().after(Duration::from_secs(2)),
    });
    story.builder("debian", |_| {}).await;
    let (_, first, second) = two_of_one_commit(&story, RunPhase::Running).await;
    let pod = pods_are(&story, 1).await.remove(0);
    story
        .pods()
        .delete(&pod.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    follows(
        &story,
        &format!("{second}-debian-1"),
        &format!("{first}-debian-2"),
    )
    .await;
    for name in [&first, &second] {
        let build = story.complete(name).await;
        assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    }
    assert_eq!(seen.note("pods"), 2, "one pod for each attempt");
    story.end().await;
}

#[tokio::test]
async fn a_crash_makes_no_run_run_twice_that_waits_for_another_one() {
    let mut story = begin_without_kubelet("samecrash").await;
    let seen = Seen::default();
    let pods = seen.clone();
    story.pods_go(move |_| {
        pods.note("pods");
        Fate::passes().after(Duration::from_secs(3))
    });
    story.builder("debian", |_| {}).await;
    let (_, first, second) = two_of_one_commit(&story, RunPhase::Running).await;
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    for name in [&first, &second] {
        let build = story.complete(name).await;
        assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    }
    assert_eq!(seen.note("pods"), 1);
    story.end().await;
}

#[tokio::test]
async fn after_a_crash_a_run_waits_for_no_older_one_whose_build_is_held() {
    let mut story = begin("sameheld", Fate::ends(Ending::Never)).await;
    story
        .repository(|spec| spec.guards.builds_per_person = Some(1))
        .await;
    story
        .builder("debian", |spec| spec.max_concurrent = Some(1))
        .await;
    let (_, runs) = build_of(&story, "runs", &["debian"]).await;
    phase_is(&story, &format!("{runs}-debian-1"), RunPhase::Running).await;
    // @ada may have no more than that one, and @grace waits for its slot.
    let (number, held) = build_of(&story, "change", &["debian"]).await;
    story
        .eventually_in("it is held", &held, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            let admitted = condition::find(&status.conditions, condition::kind::ADMITTED);
            match admitted.is_some_and(|found| found.reason == "LimitReached") {
                true => Ok(()),
                false => Err(format!("{status:?}")),
            }
        })
        .await;
    let waits = by_grace(&story, number, &["debian"]).await;
    run_is(&story, &format!("{waits}-debian-1"), "waits", |run| {
        let status = run.status.as_ref();
        status.is_some_and(|status| status.waiting.is_some() && status.same_as.is_none())
    })
    .await;
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    story
        .builder("debian", |spec| spec.max_concurrent = Some(2))
        .await;
    phase_is(&story, &format!("{waits}-debian-1"), RunPhase::Running).await;
    story.end().await;
}

#[tokio::test]
async fn two_runs_that_follow_each_other_do_not_wait_for_ever() {
    let story = begin("samecircle", Fate::passes()).await;
    story.builder("debian", |spec| spec.paused = true).await;
    let (_, first, second) = two_of_one_commit(&story, RunPhase::Queued).await;
    // It was about to follow when the cluster refused the other one's Job, which follows it since.
    let circle = json!({ "status": { "sameAs": format!("{second}-debian-1") } });
    story
        .api::<BuilderRun>()
        .patch_status(
            &format!("{first}-debian-1"),
            &PatchParams::default(),
            &Patch::Merge(circle),
        )
        .await
        .unwrap();
    both_pass_now(story, [first, second]).await;
}

#[tokio::test]
async fn a_run_that_follows_another_one_keeps_no_slot_from_it() {
    let story = begin("sameslot", Fate::passes()).await;
    story
        .builder("debian", |spec| {
            spec.paused = true;
            spec.max_concurrent = Some(1);
        })
        .await;
    let (_, first, second) = two_of_one_commit(&story, RunPhase::Queued).await;
    // It got the slot before it followed: an operator wrote that down, and did not live to make its Job.
    let run = story.runs(&second).await.remove(0);
    let slot = json!({ "run": run.name_any(), "uid": run.uid(), "since": Timestamp::now() });
    let ledger = Patch::Merge(json!({ "status": { "running": [slot] } }));
    story
        .api::<Builder>()
        .patch_status("debian", &PatchParams::default(), &ledger)
        .await
        .unwrap();
    both_pass_now(story, [first, second]).await;
}

#[tokio::test]
async fn a_builder_that_changed_in_between_is_other_work_and_the_newer_build_stops_the_older_one() {
    let story = begin("othersame", Fate::ends(Ending::Never)).await;
    story.builder("debian", |_| {}).await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let older = story.authorized(number, &["debian"]).await.name_any();
    phase_is(&story, &format!("{older}-debian-1"), RunPhase::Running).await;
    story
        .builder("debian", |spec| spec.timeouts.run_seconds -= 1)
        .await;
    let newer = by_grace(&story, number, &["debian"]).await;
    let stopped = phase_is(&story, &format!("{older}-debian-1"), RunPhase::Cancelled).await;
    assert_eq!(
        reason_of(&stopped),
        "@grace started a newer build of this commit"
    );
    assert_eq!(stopped.spec.cancel.unwrap().by, "prbuild");
    let runs = phase_is(&story, &format!("{newer}-debian-1"), RunPhase::Running).await;
    assert_eq!(phase_of(&runs), RunPhase::Running);
    let build = story.complete(&older).await.status.unwrap();
    assert_eq!(
        build.reason.as_deref(),
        Some("cancelled: @grace started a newer build of this commit")
    );
    let last = story.last_statuses(number);
    assert_eq!(last[0].1, "pending", "the newer run speaks: {last:?}");
    story.end().await;
}
