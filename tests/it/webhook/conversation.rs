//! The whole way: what people ask on the pull request, through webhook and operator, to what they see.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

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

/// Waits until a run has begun.
async fn runs(story: &Story, run: &str) {
    story
        .eventually_in("it runs", run, |run: &BuilderRun| {
            match run.status.clone().unwrap_or_default().phase {
                RunPhase::Running => Ok(()),
                phase => Err(format!("{phase:?}")),
            }
        })
        .await;
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

#[tokio::test]
async fn the_cancel_button_of_a_check_run_stops_its_builder_and_the_check_run_says_so() {
    let story = conversation("talk-cancel", |spec| {
        spec.reporting.mode = ReportMode::Checks;
        let rule = json!({ "name": "slow", "flavour": "slow" });
        spec.labels.push(serde_json::from_value(rule).unwrap());
    })
    .await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let head = story.forge.pull_request(REPO, number).head_sha;
    let command = "/prbuild run slow";
    let comment = story.forge.comment(REPO, number, ADA, command);
    let name = format!("app-{number}-c{comment}");
    runs(&story, &format!("{name}-slow-1")).await;
    let check = || story.forge.check_run(REPO, &head, "prbuild/slow");
    let waits = eventually("its check run has the button", LONG, async || {
        let check = check().ok_or("there is none")?;
        match check.actions.as_slice() {
            [button] if button.identifier == crds::names::CANCEL => Ok(check.id),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    later(&story);
    story
        .forge
        .press_button(REPO, waits, crds::names::CANCEL, GRACE);
    let build = story.complete(&name).await;
    assert_eq!(results(&build), [("slow".to_owned(), RunPhase::Cancelled)]);
    let check = check().unwrap();
    assert_eq!(check.id, waits);
    assert_eq!(check.conclusion.as_deref(), Some("cancelled"));
    let title = check.output.title.unwrap_or_default();
    assert!(title.starts_with("Cancelled: by grace"), "{title}");
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
    runs(&story, &format!("{slow}-slow-1")).await;
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

#[tokio::test]
async fn two_labels_at_once_are_two_builds_and_a_builder_that_both_select_runs_once() {
    let mut story = conversation("talk-labels", |spec| {
        let rule = json!({ "name": "quick", "builders": ["good"] });
        spec.labels.push(serde_json::from_value(rule).unwrap());
    })
    .await;
    let pods: Arc<Mutex<Vec<String>>> = Arc::default();
    let count = pods.clone();
    story.pods_go(move |pod| {
        let builder = pod.labels()["prbuild.dev/builder"].clone();
        count.lock().unwrap().push(builder);
        // Long enough that the other build comes while it runs.
        fate(pod).after(Duration::from_secs(4))
    });
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let both = [
        story.label(number),
        story.forge.add_label(REPO, number, "quick", ADA),
    ];
    let both = both.map(|event| story.name_of(number, event));
    let mut first_of = Vec::new();
    for (name, expected) in both.iter().zip([&["bad", "good"][..], &["good"]]) {
        let build = story.complete(name).await;
        assert_eq!(build.spec.request.builders, expected);
        let good = (String::from("good"), RunPhase::Succeeded);
        assert!(results(&build).contains(&good), "{name}");
        let runs = story.runs(name).await;
        let run = runs.iter().find(|run| run.spec.task.builder == "good");
        first_of.push(run.unwrap().status.clone().unwrap().same_as);
    }
    let other = |of: usize| Some(format!("{}-good-1", both[1 - of]));
    assert!(
        first_of == [None, other(1)] || first_of == [other(0), None],
        "one follows the other: {first_of:?}"
    );
    let mut pods = pods.lock().unwrap().clone();
    pods.sort();
    assert_eq!(pods, ["bad", "good"]);
    let told = story.last_statuses(number);
    let states: Vec<&str> = told.iter().map(|(_, state, _)| state.as_str()).collect();
    assert_eq!(states, ["failure", "success"]);
    story.end().await;
}

#[tokio::test]
async fn a_pull_request_merges_while_its_results_are_red_and_pending() {
    let story = conversation("talk-merge", |spec| {
        let rule = json!({ "name": "slow", "flavour": "slow" });
        spec.labels.push(serde_json::from_value(rule).unwrap());
    })
    .await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let text = "/prbuild run slow bad";
    let comment = story.forge.comment(REPO, number, ADA, text);
    let build = format!("app-{number}-c{comment}");
    eventually("one is red and one pending", LONG, async || {
        let told = story.last_statuses(number);
        let states: Vec<&str> = told.iter().map(|(_, state, _)| state.as_str()).collect();
        match states == ["failure", "pending"] {
            true => Ok(()),
            false => Err(format!("{told:?}")),
        }
    })
    .await;
    runs(&story, &format!("{build}-slow-1")).await;
    let before = story.forge.branch(REPO, "main");
    let merged = story.forge.merge(REPO, number, ADA).await;
    assert_ne!(before.as_deref(), Some(merged.as_str()));
    assert_eq!(story.forge.branch(REPO, "main"), Some(merged));
    // What runs goes on, for whoever wants to know.
    story
        .eventually_in("only what waits is dropped", &build, |build: &PrBuild| {
            let cancel = build.spec.cancel.as_ref();
            match cancel.is_some_and(|cancel| cancel.waiting_only) {
                true => Ok(()),
                false => Err(format!("{cancel:?}")),
            }
        })
        .await;
    let slow = story.runs(&build).await.into_iter();
    let mut slow = slow.filter(|run| run.spec.task.builder == "slow");
    let status = slow.next().unwrap().status.unwrap();
    assert!(!status.phase.is_terminal(), "{status:?}");
    story.end().await;
}

/// Comments of a stranger, much faster than anybody reads.
const FLOOD: u64 = 60;

#[tokio::test]
async fn a_strangers_flood_of_comments_costs_little_and_holds_up_no_core_developer() {
    let story = conversation("talk-flood", |_| {}).await;
    let number = story.open_pull_request("topic", &[("a.txt", "a\n")]).await;
    let log = story.forge.log();
    log.clear();
    let flood = |count| {
        for _ in 0..count {
            story.forge.comment(REPO, number, MALLORY, "/prbuild run");
        }
    };
    flood(FLOOD / 2);
    let asked = story.forge.comment(REPO, number, ADA, "/prbuild run good");
    flood(FLOOD / 2);
    let build = story.complete(&format!("app-{number}-c{asked}")).await;
    assert_eq!(results(&build), [("good".to_owned(), RunPhase::Succeeded)]);
    story.forge.deliveries_settled().await;
    let answers = eventually("what was taken is answered", LONG, async || {
        let all = story.api::<Answer>().list(&ListParams::default()).await;
        let all = all.map_err(|error| error.to_string())?.items;
        let left = all.iter().filter(|one| {
            let status = one.status.clone().unwrap_or_default();
            status.given.is_none()
        });
        match left.count() {
            0 => Ok(all),
            left => Err(format!("{left} answers are not given")),
        }
    })
    .await;
    // What came too fast is sent away, and left to the sweep.
    assert!((1..=FLOOD).contains(&(answers.len() as u64)));
    let permission = |one: &Answer| reason(one) == AnswerReason::Permission;
    assert!(answers.iter().all(permission), "{answers:?}");
    let calls = |pattern: &str| log.count(pattern) as u64;
    let reactions = calls("POST /repos/*/*/issues/comments/*/reactions");
    // Ten in an hour, and those that were under way when the tenth was given.
    assert!((1..=17).contains(&reactions), "{reactions} reactions");
    let rights = calls("GET /repos/*/*/collaborators/*/permission");
    // As many of one person's comments as are decided at a time ask before the first answer is known.
    assert!(rights <= 8, "{rights} permissions");
    let comments = calls("GET /repos/*/*/issues/comments/*");
    assert!(comments <= FLOOD + 4, "{comments} comments");
    let all = log.all().len() as u64;
    assert!(
        all <= comments + reactions + rights + 50,
        "{all} calls in all"
    );
    story.end().await;
}
