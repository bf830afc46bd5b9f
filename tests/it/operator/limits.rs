//! Builds of one pull request, or of one person, that may run at a time.

use crds::{BuildPhase, BuilderRun, PrBuild, RunPhase};
use kube::ResourceExt;
use tests::{
    cluster::{Ending, Fate},
    story::{GRACE, Story},
};

use super::{begin, build_of, jobs_are, phase_is, run_is, told};

/// Waits until a run waits for this.
async fn waits_for(story: &Story, run: &str, reason: &str, ahead: i32) {
    run_is(story, run, &format!("waits: {reason}"), |run| {
        let waiting = run
            .status
            .as_ref()
            .and_then(|status| status.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason == reason && waiting.ahead == ahead)
    })
    .await;
}

async fn cancel_and_complete(story: &Story, build: &str) {
    story.cancel(build).await;
    story.complete(build).await;
}

#[tokio::test]
async fn builds_of_a_person_beyond_the_limit_wait_and_say_when_they_go_on() {
    let story = begin("personlimit", Fate::ends(Ending::Never)).await;
    story
        .repository(|spec| spec.guards.builds_per_person = Some(1))
        .await;
    story.builder("debian", |_| {}).await;
    let (_, first) = build_of(&story, "one", &["debian"]).await;
    phase_is(&story, &format!("{first}-debian-1"), RunPhase::Running).await;
    let (number, second) = build_of(&story, "two", &["debian"]).await;
    let says = "@ada has 1 build running here, the limit; goes on when it ends";
    waits_for(&story, &format!("{second}-debian-1"), says, 0).await;
    let (_, third) = build_of(&story, "three", &["debian"]).await;
    waits_for(&story, &format!("{third}-debian-1"), says, 1).await;
    // The pull request and kubectl say the same.
    let last = story.last_statuses(number);
    assert_eq!(
        (last[0].1.as_str(), last[0].2.clone()),
        ("pending", format!("Waiting: {says}"))
    );
    story
        .eventually_in("the build says it", &second, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            let held = crds::condition::find(&status.conditions, "Admitted");
            match held {
                Some(held) if held.reason == "LimitReached" && held.message == says => {
                    assert_eq!(status.reason.as_deref(), Some(says));
                    Ok(())
                }
                _ => Err(format!("{status:?}")),
            }
        })
        .await;
    // Somebody else is not concerned.
    let id = i64::try_from(story.forge.user_id(GRACE)).unwrap();
    let other = story.open_pull_request("four", &[("README", "4")]).await;
    let other = story
        .authorized_with(other, &["debian"], |spec| {
            spec.request.trigger.user.id = id;
            spec.request.trigger.user.login = GRACE.to_owned();
        })
        .await
        .name_any();
    phase_is(&story, &format!("{other}-debian-1"), RunPhase::Running).await;
    jobs_are(&story, 2).await;
    // First come, first served.
    cancel_and_complete(&story, &first).await;
    phase_is(&story, &format!("{second}-debian-1"), RunPhase::Running).await;
    waits_for(&story, &format!("{third}-debian-1"), says, 0).await;
    assert_eq!(told(&story, &second, "LimitReached").await, says);
    story.end().await;
}

#[tokio::test]
async fn builds_of_a_pull_request_beyond_the_limit_wait_until_one_ends() {
    let story = begin("pulllimit", Fate::ends(Ending::Never)).await;
    story
        .repository(|spec| spec.guards.builds_per_pull_request = Some(1))
        .await;
    story.builder("debian", |_| {}).await;
    story.builder("fedora", |_| {}).await;
    let (number, first) = build_of(&story, "one", &["debian"]).await;
    phase_is(&story, &format!("{first}-debian-1"), RunPhase::Running).await;
    let second = story.authorized(number, &["fedora"]).await.name_any();
    let says = "this pull request has 1 build running, the limit; goes on when it ends";
    waits_for(&story, &format!("{second}-fedora-1"), says, 0).await;
    cancel_and_complete(&story, &first).await;
    phase_is(&story, &format!("{second}-fedora-1"), RunPhase::Running).await;
    story
        .eventually_in("it is admitted", &second, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            let admitted = crds::condition::is_true(&status.conditions, "Admitted");
            match status.phase {
                BuildPhase::Running if admitted => Ok(()),
                _ => Err(format!("{status:?}")),
            }
        })
        .await;
    story.end().await;
}

#[tokio::test]
async fn a_limit_that_is_raised_lets_what_waits_go_on() {
    let story = begin("raised", Fate::ends(Ending::Never)).await;
    story
        .repository(|spec| spec.guards.builds_per_person = Some(1))
        .await;
    story.builder("debian", |_| {}).await;
    let (_, first) = build_of(&story, "one", &["debian"]).await;
    phase_is(&story, &format!("{first}-debian-1"), RunPhase::Running).await;
    let (_, second) = build_of(&story, "two", &["debian"]).await;
    let waiting = |run: &BuilderRun| run.status.as_ref().is_some_and(|s| s.waiting.is_some());
    run_is(&story, &format!("{second}-debian-1"), "waits", waiting).await;
    story.repository(|_| {}).await;
    phase_is(&story, &format!("{second}-debian-1"), RunPhase::Running).await;
    story.end().await;
}
