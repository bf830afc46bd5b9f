//! Somebody deletes what PrBuild made: nothing stays pending, nothing is left running.

use std::time::Duration;

use crds::{BuildResult, BuilderRun, PrBuild, ReportMode, Repository, RunPhase, condition};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use tests::{
    cluster::{Ending, Fate, eventually, shared_control_plane},
    story::{PATIENCE, REPO, Setting, Story},
};

use super::{
    begin, build_of, crash, jobs_are, nothing_is_pending, phase_is, phase_of, pods_are, run_is,
};

/// A build with one run that waits and one that runs.
async fn queued_and_running(story: &Story) -> (u64, String) {
    story.builder("waits", |spec| spec.paused = true).await;
    story
        .builder("runs", |spec| spec.max_concurrent = Some(1))
        .await;
    let (number, name) = build_of(story, "change", &["waits", "runs"]).await;
    phase_is(story, &format!("{name}-runs-1"), RunPhase::Running).await;
    run_is(story, &format!("{name}-waits-1"), "waits", |run| {
        run.status
            .as_ref()
            .is_some_and(|status| status.waiting.is_some())
    })
    .await;
    (number, name)
}

async fn delete_runs(story: &Story, name: &str) {
    for builder in ["waits", "runs"] {
        story
            .api::<BuilderRun>()
            .delete(&format!("{name}-{builder}-1"), &DeleteParams::default())
            .await
            .unwrap();
    }
}

/// Both statuses say that the run was stopped, and why.
async fn both_say(story: &Story, number: u64, says: &str) {
    for (context, state, description) in nothing_is_pending(story, number, 2).await {
        assert_eq!(
            (state.as_str(), description.as_str()),
            ("error", says),
            "{context}"
        );
    }
}

#[tokio::test]
async fn runs_that_are_deleted_are_cancelled_runs() {
    let story = begin("delruns", Fate::ends(Ending::Never)).await;
    let (number, name) = queued_and_running(&story).await;
    delete_runs(&story, &name).await;
    both_say(&story, number, "Cancelled: its run was deleted").await;
    jobs_are(&story, 0).await;
    pods_are(&story, 0).await;
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Cancelled));
    story.end().await;
}

#[tokio::test]
async fn runs_that_are_deleted_while_no_operator_lives_are_cancelled_runs() {
    let mut story = begin("delrunsoff", Fate::ends(Ending::Never)).await;
    let (number, name) = queued_and_running(&story).await;
    crash(&mut story).await;
    delete_runs(&story, &name).await;
    story.start_operator().await.unwrap();
    both_say(&story, number, "Cancelled: its run was deleted").await;
    jobs_are(&story, 0).await;
    pods_are(&story, 0).await;
    story.complete(&name).await;
    story.end().await;
}

#[tokio::test]
async fn runs_that_are_deleted_while_their_repository_is_away_are_told_when_it_is_back() {
    let mut story = begin("delaway", Fate::ends(Ending::Never)).await;
    let (number, name) = queued_and_running(&story).await;
    is_known_how_it_is_told(&story, &name).await;
    crash(&mut story).await;
    let repositories = story.api::<Repository>();
    repositories
        .delete("app", &DeleteParams::default())
        .await
        .unwrap();
    delete_runs(&story, &name).await;
    story.start_operator_at_once().await.unwrap();
    let what = "it is over, and GitHub does not know";
    let untold = |build: &PrBuild| {
        let status = build.status.clone().unwrap_or_default();
        let reported = condition::find(&status.conditions, condition::kind::REPORTED);
        match reported.is_some_and(|reported| reported.status == "False") {
            true => Ok(()),
            false => Err(format!("{status:?}")),
        }
    };
    story.eventually_in(what, &name, untold).await;
    story.repository(|_| {}).await;
    both_say(&story, number, "Cancelled: its run was deleted").await;
    story.complete(&name).await;
    story.end().await;
}

/// A story whose builds are told by check runs, with a run that waits and one that runs.
async fn told_by_checks(name: &str) -> (Story, u64, String) {
    let setting = Setting {
        checks: true,
        ..Setting::default()
    };
    let access = shared_control_plane();
    let mut story = Story::begin(&access, name, setting).await.unwrap();
    story.pods_go(|_| Fate::ends(Ending::Never));
    story
        .repository(|spec| spec.reporting.mode = ReportMode::Checks)
        .await;
    story.start_operator().await.unwrap();
    let (number, build) = queued_and_running(&story).await;
    checks_are(&story, number, &[None, None]).await;
    (story, number, build)
}

/// Waits until the check runs of both builders have these conclusions.
async fn checks_are(story: &Story, number: u64, expected: &[Option<&str>]) {
    let head = story.forge.pull_request(REPO, number).head_sha;
    eventually(format!("checks are {expected:?}"), PATIENCE, async || {
        let checks = story.forge.check_runs(REPO, &head);
        let ended: Vec<Option<&str>> = checks.iter().map(|one| one.conclusion.as_deref()).collect();
        match ended == expected {
            true => Ok(()),
            false => Err(format!("{checks:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_check_run_ends_whose_run_is_deleted_when_its_repository_has_changed_to_statuses() {
    let (story, number, name) = told_by_checks("delmode").await;
    story.repository(|_| {}).await;
    delete_runs(&story, &name).await;
    checks_are(&story, number, &[Some("cancelled"); 2]).await;
    assert_eq!(story.last_statuses(number), []);
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Cancelled));
    story.end().await;
}

#[tokio::test]
async fn a_check_run_ends_whose_run_is_deleted_while_no_operator_lives_and_its_repository_changes()
{
    let (mut story, number, name) = told_by_checks("delmodeoff").await;
    is_known_how_it_is_told(&story, &name).await;
    crash(&mut story).await;
    story.repository(|_| {}).await;
    delete_runs(&story, &name).await;
    story.start_operator().await.unwrap();
    checks_are(&story, number, &[Some("cancelled"); 2]).await;
    assert_eq!(story.last_statuses(number), []);
    story.complete(&name).await;
    story.end().await;
}

#[tokio::test]
async fn a_status_ends_whose_run_is_deleted_while_no_operator_lives_and_its_context_changes() {
    let mut story = begin("delcontextoff", Fate::ends(Ending::Never)).await;
    let (number, name) = queued_and_running(&story).await;
    is_known_how_it_is_told(&story, &name).await;
    let contexts = |story: &Story| -> Vec<String> {
        let last = story.last_statuses(number);
        last.into_iter().map(|(context, ..)| context).collect()
    };
    let before = contexts(&story);
    crash(&mut story).await;
    story
        .repository(|spec| spec.reporting.context = "renamed/{builder}".to_owned())
        .await;
    story
        .builder("waits", |spec| {
            spec.display_name = "waits no more".to_owned()
        })
        .await;
    let run = format!("{name}-waits-1");
    let runs = story.api::<BuilderRun>();
    runs.delete(&run, &DeleteParams::default()).await.unwrap();
    story.start_operator().await.unwrap();
    let says = "Cancelled: its run was deleted";
    eventually("its status says so", PATIENCE, async || {
        let last = story.last_statuses(number);
        match last.iter().any(|one| one.1 == "error" && one.2 == says) {
            true => Ok(()),
            false => Err(format!("{last:?}")),
        }
    })
    .await;
    assert_eq!(contexts(&story), before);
    story.end().await;
}

/// Waits until the build says how each of its builders is told.
async fn is_known_how_it_is_told(story: &Story, name: &str) {
    let builds = story.api::<PrBuild>();
    eventually("the build says how it is told", PATIENCE, async || {
        let build = builds.get(name).await.map_err(|error| error.to_string())?;
        let results = build.status.unwrap_or_default().results;
        let known = results.iter().filter(|one| one.context.is_some()).count();
        match known == 2 {
            true => Ok(()),
            false => Err(format!("{results:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn the_slot_of_a_deleted_run_is_free_again() {
    let story = begin("delslot", Fate::ends(Ending::Never)).await;
    let (_, name) = queued_and_running(&story).await;
    let (_, after) = build_of(&story, "second", &["runs"]).await;
    run_is(&story, &format!("{after}-runs-1"), "waits", |run| {
        run.status
            .as_ref()
            .is_some_and(|status| status.waiting.is_some())
    })
    .await;
    delete_runs(&story, &name).await;
    phase_is(&story, &format!("{after}-runs-1"), RunPhase::Running).await;
    story.end().await;
}

#[tokio::test]
async fn a_build_that_is_deleted_leaves_nothing_pending_and_nothing_running() {
    let story = begin("delbuild", Fate::ends(Ending::Never)).await;
    let (number, name) = queued_and_running(&story).await;
    story
        .api::<PrBuild>()
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    its_runs_are_cancelled(&story, number, &name).await;
    story.end().await;
}

#[tokio::test]
async fn a_build_that_is_deleted_while_no_operator_lives_leaves_nothing_pending() {
    let mut story = begin("delbuildoff", Fate::ends(Ending::Never)).await;
    let (number, name) = queued_and_running(&story).await;
    crash(&mut story).await;
    story
        .api::<PrBuild>()
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    story.start_operator().await.unwrap();
    its_runs_are_cancelled(&story, number, &name).await;
    story.end().await;
}

async fn its_runs_are_cancelled(story: &Story, number: u64, name: &str) {
    both_say(story, number, "Cancelled: its build was deleted").await;
    jobs_are(story, 0).await;
    pods_are(story, 0).await;
    eventually("its runs are cancelled and told", PATIENCE, async || {
        let runs = story.runs(name).await;
        let told = |run: &BuilderRun| {
            let report = run
                .status
                .as_ref()
                .and_then(|status| status.report.as_ref());
            report.is_some_and(|report| report.sent.as_deref() == Some("error"))
        };
        let all = runs
            .iter()
            .all(|run| phase_of(run) == RunPhase::Cancelled && told(run));
        if all {
            Ok(())
        } else {
            Err(format!("{runs:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_deleted_build_says_last_is_older_than_what_one_says_that_was_made_anew() {
    let mut story = begin("delanew", Fate::ends(Ending::Never)).await;
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    let run = format!("{name}-debian-1");
    phase_is(&story, &run, RunPhase::Running).await;
    crash(&mut story).await;
    let builds = story.api::<PrBuild>();
    let anew = PrBuild::new(&name, builds.get(&name).await.unwrap().spec);
    builds
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    let gate = story.gate().await;
    gate.create(&PostParams::default(), &anew).await.unwrap();
    story.start_operator().await.unwrap();
    let last = nothing_is_pending(&story, number, 1).await;
    assert_eq!(last[0].2, "Cancelled: its build was deleted");
    phase_is(&story, &run, RunPhase::Cancelled).await;
    // It is in the way of the new run, and goes by itself when housekeeping comes by.
    let runs = story.api::<BuilderRun>();
    runs.delete(&run, &DeleteParams::default()).await.unwrap();
    phase_is(&story, &run, RunPhase::Running).await;
    eventually("GitHub knows that it runs", PATIENCE, async || {
        let last = story.last_statuses(number);
        match last.iter().all(|(_, state, _)| state == "pending") {
            true => Ok(()),
            false => Err(format!("{last:?}")),
        }
    })
    .await;
    story.end().await;
}

#[tokio::test]
async fn a_job_that_is_deleted_without_attempts_left_ends_in_error() {
    let story = begin("deljob", Fate::ends(Ending::Never)).await;
    story.builder("debian", |spec| spec.infra_retries = 0).await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    // Before the run has been seen running.
    jobs_are(&story, 1).await;
    let jobs: Api<k8s_openapi::api::batch::v1::Job> = story.in_builds();
    jobs.delete_collection(&DeleteParams::background(), &ListParams::default())
        .await
        .unwrap();
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Error));
    let last = nothing_is_pending(&story, number, 1).await;
    assert!(last[0].2.starts_with("Error: its "), "{last:?}");
    jobs_are(&story, 0).await;
    pods_are(&story, 0).await;
    story.end().await;
}

#[tokio::test]
async fn namespaces_with_live_runs_can_be_deleted_while_the_operator_lives() {
    let story = begin("delspaces", Fate::ends(Ending::Never)).await;
    queued_and_running(&story).await;
    both_namespaces_go(&story).await;
    story.end().await;
}

#[tokio::test]
async fn namespaces_with_live_runs_can_be_deleted_while_no_operator_lives() {
    let mut story = begin("delspacesoff", Fate::ends(Ending::Never)).await;
    queued_and_running(&story).await;
    crash(&mut story).await;
    both_namespaces_go(&story).await;
    story.end().await;
}

async fn both_namespaces_go(story: &Story) {
    let namespaces: Api<Namespace> = Api::all(story.install.client());
    let names = [story.install.namespace(), story.install.builds()];
    for name in names {
        namespaces
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }
    eventually(
        "both namespaces are gone",
        Duration::from_secs(60),
        async || {
            for name in names {
                if let Some(found) = namespaces
                    .get_opt(name)
                    .await
                    .map_err(|error| error.to_string())?
                {
                    return Err(format!("{name}: {:?}", found.status));
                }
            }
            Ok(())
        },
    )
    .await;
}
