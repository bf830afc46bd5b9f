//! The permission of the person who asked, once a build has waited.

use std::time::Duration;

use crds::{BuildResult, BuilderRun, PrBuild, Repository, RunPhase};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tests::{
    cluster::{Ending, Fate, shared_control_plane},
    forge::{Fault, Role},
    story::{ADA, GRACE, REPO, Setting, Story},
};

use super::{
    begin, begin_without_kubelet, build_of, builder_of, crash, jobs_are, nothing_is_pending, pause,
    phase_is, reason_of, run_is, told,
};

/// How often the forge was asked what @ada may do.
fn asked(story: &Story) -> usize {
    let about = format!("GET /repos/{REPO}/collaborators/{ADA}/permission");
    story.forge.log().count(&about)
}

/// A build that was asked for 11 minutes ago.
async fn late(story: &Story, branch: &str, builders: &[&str]) -> (u64, String) {
    let number = story.open_pull_request(branch, &[("README", branch)]).await;
    let build = story.authorized_with(number, builders, |spec| {
        let ago = Duration::from_secs(660);
        spec.request.trigger.time = Time(jiff::Timestamp::now() - ago);
    });
    (number, build.await.name_any())
}

async fn waits(story: &Story, run: &str) {
    run_is(story, run, "waits", |run| {
        run.status.as_ref().is_some_and(|s| s.waiting.is_some())
    })
    .await;
}

#[tokio::test]
async fn a_build_that_did_not_wait_takes_nobody_to_look_up() {
    let story = begin("freshright", Fate::passes()).await;
    story.builder("debian", |_| {}).await;
    let (_, name) = build_of(&story, "change", &["debian"]).await;
    story.complete(&name).await;
    assert_eq!(asked(&story), 0);
    story.end().await;
}

#[tokio::test]
async fn after_a_long_wait_permission_is_looked_up_again_once_for_all_builders() {
    let story = begin("lateright", Fate::passes()).await;
    for builder in ["debian", "fedora", "alpine"] {
        story.builder(builder, |spec| spec.paused = true).await;
    }
    let (_, name) = late(&story, "change", &["debian", "fedora", "alpine"]).await;
    for builder in ["debian", "fedora", "alpine"] {
        waits(&story, &format!("{name}-{builder}-1")).await;
    }
    assert_eq!(asked(&story), 0, "nobody is asked before a slot is free");
    for builder in ["debian", "fedora", "alpine"] {
        pause(&story, builder, false).await;
    }
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    assert_eq!(asked(&story), 1);
    story.end().await;
}

#[tokio::test]
async fn what_waits_is_cancelled_when_the_permission_is_gone_and_what_runs_goes_on() {
    let mut story = begin_without_kubelet("lostright").await;
    story.pods_go(|pod| match builder_of(pod).as_str() {
        "debian" => Fate::passes().after(Duration::from_secs(5)),
        _ => Fate::passes(),
    });
    story.builder("debian", |_| {}).await;
    story.builder("fedora", |spec| spec.paused = true).await;
    let (number, name) = late(&story, "change", &["debian", "fedora"]).await;
    phase_is(&story, &format!("{name}-debian-1"), RunPhase::Running).await;
    waits(&story, &format!("{name}-fedora-1")).await;
    story.forge.set_permission(REPO, ADA, Role::Read);
    // Only what is known for ten minutes is asked again: a new process knows nothing.
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    pause(&story, "fedora", false).await;
    let status = story.complete(&name).await.status.unwrap();
    let says = "@ada does not have write permission here any more";
    assert_eq!(status.summary, "1 passed, 1 cancelled");
    assert_eq!(status.reason, Some(format!("cancelled: {says}")));
    let last = nothing_is_pending(&story, number, 2).await;
    assert_eq!(last[1].2, format!("Cancelled: {says}"));
    assert_eq!(told(&story, &name, "Dropped").await, says);
    story.end().await;
}

#[tokio::test]
async fn somebody_who_left_the_team_starts_nothing_more() {
    let story = begin("leftteam", Fate::passes()).await;
    story.forge.add_to_team("octo", "core", ADA, true);
    story
        .repository(|spec| spec.authorization.team = Some("octo/core".to_owned()))
        .await;
    story.builder("debian", |_| {}).await;
    let (_, name) = late(&story, "one", &["debian"]).await;
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    story.forge.add_to_team("octo", "core", ADA, false);
    // Another rule asks anew.
    story
        .repository(|spec| {
            spec.authorization.team = Some("octo/core".to_owned());
            spec.guards.quiet_period_seconds += 1;
        })
        .await;
    let (_, name) = late(&story, "two", &["debian"]).await;
    let run = format!("{name}-debian-1");
    let run = phase_is(&story, &run, RunPhase::Cancelled).await;
    assert_eq!(
        reason_of(&run),
        "@ada is not a member of the team `octo/core` any more"
    );
    story.end().await;
}

#[tokio::test]
async fn a_build_waits_while_github_does_not_say_what_somebody_may_do() {
    let mut story = begin("rightaway", Fate::passes()).await;
    let away = Fault::Status(502);
    story
        .forge
        .faults()
        .on("GET /repos/*/*/collaborators/*/permission", away);
    story.builder("debian", |_| {}).await;
    let (_, name) = late(&story, "change", &["debian"]).await;
    let run = format!("{name}-debian-1");
    let says = "GitHub does not say whether @ada may still start builds";
    run_is(&story, &run, "says it", |run| {
        let waiting = run.status.as_ref().and_then(|s| s.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason == says)
    })
    .await;
    jobs_are(&story, 0).await;
    story.forge.faults().clear();
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    story.complete(&name).await;
    story.end().await;
}

#[tokio::test]
async fn time_that_a_limit_held_a_build_is_no_queue_time_while_permission_is_looked_up() {
    let story = begin("rightqueue", Fate::ends(Ending::Never)).await;
    story
        .repository(|spec| spec.guards.builds_per_person = Some(1))
        .await;
    story.builder("debian", |_| {}).await;
    let (_, first) = build_of(&story, "one", &["debian"]).await;
    phase_is(&story, &format!("{first}-debian-1"), RunPhase::Running).await;
    let (_, second) = late(&story, "two", &["debian"]).await;
    let (_, third) = late(&story, "three", &["debian"]).await;
    for build in [&second, &third] {
        waits(&story, &format!("{build}-debian-1")).await;
    }
    let permission = "GET /repos/*/*/collaborators/*/permission";
    story.forge.faults().on(permission, Fault::Status(502));
    story.cancel(&first).await;
    // Both wait for what GitHub says of @ada, also the one that nothing has let go.
    for build in [&second, &third] {
        let run = format!("{build}-debian-1");
        run_is(&story, &run, "queues from now on", |run| {
            let status = run.status.as_ref();
            status.is_some_and(|status| status.queued_since.is_some())
        })
        .await;
    }
    story.forge.faults().clear();
    story.end().await;
}

#[tokio::test]
async fn denied_people_start_nothing_from_the_moment_that_they_are_denied() {
    let story = begin("denied", Fate::ends(Ending::Never)).await;
    story.builder("debian", |_| {}).await;
    story.builder("fedora", |spec| spec.paused = true).await;
    let (number, name) = build_of(&story, "change", &["debian", "fedora"]).await;
    phase_is(&story, &format!("{name}-debian-1"), RunPhase::Running).await;
    waits(&story, &format!("{name}-fedora-1")).await;
    let id = i64::try_from(story.forge.user_id(ADA)).unwrap();
    story
        .repository(|spec| spec.authorization.denied_user_ids = vec![id])
        .await;
    let says = "@ada may not start builds here any more";
    let run = phase_is(&story, &format!("{name}-fedora-1"), RunPhase::Cancelled).await;
    assert_eq!(reason_of(&run), says);
    let running = story.runs(&name).await.remove(0);
    assert_eq!(running.spec.cancel, None, "what runs goes on");
    let last = story.last_statuses(number);
    assert_eq!(last[1].2, format!("Cancelled: {says}"));
    // A build that the gate let through a moment before is stopped at dispatch.
    let (_, after) = build_of(&story, "second", &["debian"]).await;
    let status = story.complete(&after).await.status.unwrap();
    assert_eq!(status.result, Some(BuildResult::Cancelled));
    jobs_are(&story, 1).await;
    story
        .eventually_in("the build says why", &after, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            let reason = format!("cancelled: {says}");
            match status.reason {
                Some(found) if found == reason => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    let all = story.api::<BuilderRun>().list(&Default::default()).await;
    assert_eq!(all.unwrap().items.len(), 3);
    story.end().await;
}

#[tokio::test]
async fn a_person_who_has_a_new_login_keeps_what_they_asked_for() {
    let story = begin("newlogin", Fate::passes()).await;
    story.builder("debian", |spec| spec.paused = true).await;
    let (_, name) = late(&story, "change", &["debian"]).await;
    waits(&story, &format!("{name}-debian-1")).await;
    story.forge.rename_user(ADA, "ada-lovelace");
    pause(&story, "debian", false).await;
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    story.end().await;
}

#[tokio::test]
async fn a_right_in_the_repository_that_took_the_name_of_a_renamed_one_counts_for_nothing() {
    let setting = Setting {
        app: false,
        ..Setting::default()
    };
    let access = shared_control_plane();
    let mut story = Story::begin(&access, "takenright", setting).await.unwrap();
    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    story
        .eventually_in("it is known", "app", |found: &Repository| {
            let status = found.status.clone().unwrap_or_default();
            status.id.map(drop).ok_or_else(|| format!("{status:?}"))
        })
        .await;
    story.builder("debian", |spec| spec.paused = true).await;
    let (_, name) = late(&story, "change", &["debian"]).await;
    let run = format!("{name}-debian-1");
    waits(&story, &run).await;
    let forge = story.forge.clone();
    forge.set_permission(REPO, ADA, Role::Read);
    forge.rename_repository(REPO, "engine", GRACE);
    forge
        .add_repository(REPO, &[("README", "Another.\n")])
        .await;
    // Without it nobody would tell the token what @ada may there.
    for writer in [ADA, "prbuild-bot"] {
        forge.set_permission(REPO, writer, Role::Write);
    }
    pause(&story, "debian", false).await;
    let says = format!("GitHub does not say whether @{ADA} may still start builds");
    run_is(&story, &run, &says, |run| {
        let status = run.status.clone().unwrap_or_default();
        status.waiting.is_some_and(|waiting| waiting.reason == says)
    })
    .await;
    jobs_are(&story, 0).await;
    // It asks again in half a minute, a new process at once.
    forge.rename_repository(REPO, "taken", ADA);
    forge.rename_repository("octo/engine", "app", GRACE);
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    let run = phase_is(&story, &run, RunPhase::Cancelled).await;
    let says = "@ada does not have write permission here any more";
    assert_eq!(reason_of(&run), says);
    jobs_are(&story, 0).await;
    story.end().await;
}

#[tokio::test]
async fn nobody_loses_a_build_while_github_hides_the_repository() {
    let mut story = begin("hiddenright", Fate::passes()).await;
    story.builder("debian", |spec| spec.paused = true).await;
    let (_, name) = late(&story, "change", &["debian"]).await;
    let run = format!("{name}-debian-1");
    waits(&story, &run).await;
    let faults = story.forge.faults();
    faults.on(
        "GET /repos/*/*/collaborators/*/permission",
        Fault::Status(404),
    );
    faults.on("GET /repos/*/*", Fault::Status(404));
    pause(&story, "debian", false).await;
    let says = format!("GitHub does not say whether @{ADA} may still start builds");
    run_is(&story, &run, &says, |run| {
        let status = run.status.clone().unwrap_or_default();
        status.waiting.is_some_and(|waiting| waiting.reason == says)
    })
    .await;
    story.forge.faults().clear();
    // It asks again in half a minute, a new process at once.
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    story.end().await;
}
