//! The whole way: what people ask on the pull request, through webhook and operator, to what they see.

use std::collections::BTreeSet;

use crds::{BuilderRun, ReportMode, RunPhase};
use k8s_openapi::api::core::v1::Pod;
use protocol::{ExecReport, Verdict};
use tests::cluster::{Ending, Fate};
use tests::story::{GRACE, MALLORY, PATIENCE as LONG};

use super::*;

/// A story with everything: `good` passes, `bad` fails, `slow` never ends.
async fn conversation(name: &str, change: impl FnOnce(&mut RepositorySpec)) -> Story {
    let access = shared_control_plane();
    let setting = Setting {
        checks: true,
        ..Setting::default()
    };
    let mut story = Story::begin(&access, name, setting).await.unwrap();
    story.repository(change).await;
    story.pods_go(fate);
    for builder in ["good", "bad"] {
        story.builder(builder, |_| {}).await;
    }
    story
        .builder("slow", |spec| spec.flavours = vec!["slow".to_owned()])
        .await;
    story.start_operator().await.unwrap();
    story.start_webhook_with(&["--no-sweep"]).await.unwrap();
    story
}

fn fate(pod: &Pod) -> Fate {
    match pod.labels()["prbuild.dev/builder"].as_str() {
        "bad" => Fate::reports(&ExecReport::new(Verdict::Failed, 1)),
        "slow" => Fate::ends(Ending::Never),
        _ => Fate::passes(),
    }
}

/// The one build more than those of before, once it is complete and GitHub knows its results. Which one
/// it is, no time tells: GitHub's are whole seconds, and builds take less.
async fn one_more(story: &Story, before: &mut BTreeSet<String>) -> PrBuild {
    let name = eventually("one build more", LONG, async || {
        let found = story.api::<PrBuild>().list(&ListParams::default()).await;
        let builds = found.map_err(|error| error.to_string())?.items;
        let names = builds.iter().map(ResourceExt::name_any);
        let new: Vec<String> = names.filter(|name| !before.contains(name)).collect();
        match new.as_slice() {
            [name] => Ok(name.clone()),
            others => Err(format!("new are {others:?}")),
        }
    })
    .await;
    before.insert(name.clone());
    story.complete(&name).await
}

fn results(build: &PrBuild) -> Vec<(String, RunPhase)> {
    let status = build.status.clone().unwrap();
    let results = status.results.into_iter();
    let mut results: Vec<_> = results
        .map(|result| (result.builder, result.phase))
        .collect();
    results.sort_by(|a, b| a.0.cmp(&b.0));
    results
}

#[tokio::test]
async fn buttons_of_check_runs_repeat_builders_and_a_strangers_do_nothing() {
    let story = conversation("talk-buttons", |spec| {
        spec.reporting.mode = ReportMode::Checks;
    })
    .await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    let mut builds = BTreeSet::new();
    story.label(number);
    let first = one_more(&story, &mut builds).await.name_any();
    let check = |builder: &str| {
        let name = format!("prbuild/{builder}");
        story.forge.check_run(REPO, &head, &name).unwrap()
    };
    assert_eq!(check("bad").conclusion.as_deref(), Some("failure"));

    story
        .forge
        .press_button(REPO, check("bad").id, "rerun-failed", MALLORY);
    story.forge.deliveries_settled().await;
    later(&story);
    story
        .forge
        .press_button(REPO, check("bad").id, "rerun-failed", GRACE);
    let again = one_more(&story, &mut builds).await;
    assert_eq!(again.spec.request.rerun_of, Some(first.clone()));
    assert_eq!(again.spec.request.trigger.user.login, GRACE);
    assert_eq!(again.spec.request.builders, ["bad"]);
    assert_eq!(results(&again), [("bad".to_owned(), RunPhase::Failed)]);

    later(&story);
    story.forge.press_rerun(REPO, check("good").id, ADA);
    let again = one_more(&story, &mut builds).await;
    assert_eq!(again.spec.request.rerun_of, Some(first.clone()));
    assert_eq!(again.spec.request.head_sha, head);
    assert_eq!(again.spec.request.builders, ["good"]);

    // GitHub has this button only when all checks are over: `one_more` waited for that.
    later(&story);
    let app = story.forge.app_on(REPO).unwrap();
    story.forge.press_rerun_all(REPO, &head, app, ADA);
    let again = one_more(&story, &mut builds).await;
    assert_eq!(again.spec.request.rerun_of, Some(first));
    assert_eq!(again.spec.request.builders, ["bad", "good"]);
    story.end().await;
}

/// People take their time: nobody presses within the second in which a result came.
fn later(story: &Story) {
    story.forge.clock().advance(Duration::from_secs(5));
}

#[tokio::test]
async fn a_build_is_asked_for_stopped_and_asked_about_in_comments() {
    let story = conversation("talk-commands", |spec| {
        let rule = json!({ "name": "slow", "flavour": "slow" });
        spec.labels.push(serde_json::from_value(rule).unwrap());
    })
    .await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let say = |text: &str| {
        let comment = story.forge.comment(REPO, number, ADA, text);
        format!("app-{number}-c{comment}")
    };
    let slow = say("Looks good.\n\n/prbuild run slow");
    story
        .eventually_in("it runs", &format!("{slow}-slow-1"), |run: &BuilderRun| {
            let phase = run.status.clone().unwrap_or_default().phase;
            (phase == RunPhase::Running)
                .then_some(())
                .ok_or(format!("{phase:?}"))
        })
        .await;
    for text in [
        "/prbuild status",
        "/prbuild help",
        "/prbuild canel",
        "!buildbot nothing",
    ] {
        let answer = story.answered(&say(text)).await;
        let sentence = answer.status.unwrap().sentence.unwrap_or_default();
        assert!(!sentence.is_empty(), "{text}");
    }
    let answer = story.answered(&say("/prbuild cancel slow")).await;
    assert_eq!(reason(&answer), AnswerReason::Cancelled);
    let build = story.complete(&slow).await;
    assert_eq!(results(&build), [("slow".to_owned(), RunPhase::Cancelled)]);
    let again = say("/prbuild run bad\n/prbuild help");
    let build = story.complete(&again).await;
    assert_eq!(results(&build), [("bad".to_owned(), RunPhase::Failed)]);
    let repeated = say("/prbuild rerun bad");
    let build = story.complete(&repeated).await;
    assert_eq!(build.spec.request.rerun_of, Some(again));
    story.end().await;
}

#[tokio::test]
async fn a_stranger_gets_one_reaction_for_all_commands_of_a_comment() {
    let story = conversation("talk-stranger", |_| {}).await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let text = "/prbuild run\n/prbuild cancel";
    let comment = story.forge.comment(REPO, number, MALLORY, text);
    for (ordinal, given) in [(0, "Reaction"), (1, "Silent")] {
        let event = crds::names::command_event(number_of(comment), ordinal);
        let answer = story.answered(&format!("app-{number}-c{event}")).await;
        assert_eq!(answer.status.unwrap().given.as_deref(), Some(given));
    }
    story.end().await;
}
