//! Stopping builds, by command and by button.

use super::*;
use RunPhase::{Queued, Running, Succeeded};

fn live(name: &str, before: i64) -> PrBuild {
    let results = [("a", Running), ("b", Queued), ("c", Succeeded)];
    build(name, before, CORE, &results)
}

fn done() -> PrBuild {
    build("app-7-l1", 999, CORE, &[("a", Succeeded)])
}

fn asked(text: &str, builds: &[PrBuild]) -> Scene {
    Scene::command(text).builds(builds).with(|scene| {
        scene.builders = ["a", "b", "c", "linux"]
            .map(|name| builder(name, json!({ "displayName": format!("{name} machine") })))
            .to_vec();
    })
}

fn cancel(by: &str, second: i64, waiting_only: bool) -> Cancel {
    Cancel {
        by: by.to_owned(),
        reason: "wrote `/prbuild cancel`".to_owned(),
        at: Time(at(second)),
        waiting_only,
    }
}

fn names(targets: &[(String, Vec<String>)]) -> Vec<(&str, Vec<&str>)> {
    targets
        .iter()
        .map(|(build, builders)| {
            (
                build.as_str(),
                builders.iter().map(String::as_str).collect(),
            )
        })
        .collect()
}

#[test]
fn cancel_stops_everything_that_was_asked_for_before_it() {
    let builds = [
        live("app-7-l2", 60),
        done(),
        live("app-7-l3", 30),
        live("app-7-l4", -5),
    ];
    let (targets, cancel, answer) = asked("/prbuild cancel", &builds).stops();
    assert_eq!(
        names(&targets),
        [("app-7-l3", vec![]), ("app-7-l2", vec![])]
    );
    assert_eq!(cancel.by, "u10");
    assert_eq!(cancel.at.0, at(LABEL));
    let spec = answer.into_object().spec;
    assert_eq!(
        (spec.reason, spec.manner),
        (AnswerReason::Cancelled, Manner::Comment)
    );
    assert_eq!(spec.facts.subject, None);
    assert_eq!(spec.facts.detail.as_deref(), Some("2 builds are stopping."));
}

#[test]
fn cancel_of_a_builder_stops_its_runs_that_have_not_ended() {
    let builds = [live("app-7-l2", 60), done(), live("app-7-l3", 30)];
    let (targets, _, answer) = asked("/prbuild cancel a machine, c", &builds).stops();
    assert_eq!(
        names(&targets),
        [("app-7-l3", vec!["a"]), ("app-7-l2", vec!["a"])]
    );
    let facts = answer.into_object().spec.facts;
    assert_eq!(facts.subject.as_deref(), Some("a machine, c machine"));
    assert_eq!(facts.detail.as_deref(), Some("2 runs are stopping."));
}

#[test]
fn what_cannot_be_stopped_is_told() {
    let mut stopping = live("app-7-l2", 60);
    stopping.spec.cancel = Some(cancel("u30", LABEL - 5, false));
    for (what, scene, reason, word) in [
        (
            "nothing there",
            asked("/prbuild cancel", &[]),
            "NoBuild",
            "Nothing waits",
        ),
        (
            "all done",
            asked("/prbuild cancel", &[done()]),
            "NoBuild",
            "Nothing waits",
        ),
        (
            "stopping",
            asked("/prbuild cancel", &[stopping.clone()]),
            "NoBuild",
            "already",
        ),
        (
            "stopping",
            asked("/prbuild cancel a", &[stopping]),
            "NoBuild",
            "neither",
        ),
        (
            "ended",
            asked("/prbuild cancel c", &[live("x", 9)]),
            "NoBuild",
            "neither",
        ),
        (
            "not in it",
            asked("/prbuild cancel linux", &[live("x", 9)]),
            "NoBuild",
            "neither",
        ),
        (
            "unknown",
            asked("/prbuild cancel linus", &[live("x", 9)]),
            "NoMatch",
            "`linux`",
        ),
    ] {
        assert_eq!(scene.said(), reason, "{what}");
        let detail = scene.refused().into_object().spec.facts.detail;
        assert!(
            detail.as_ref().is_some_and(|d| d.contains(word)),
            "{what}: {detail:?}"
        );
    }
}

#[test]
fn what_was_dropped_while_it_waited_can_still_be_stopped_while_it_runs() {
    let mut merged = live("app-7-l2", 60);
    merged.spec.cancel = Some(cancel("prbuild", LABEL - 5, true));
    merged.spec.cancel_builders = [("b".to_owned(), cancel("u30", LABEL - 9, false))].into();
    let (targets, ..) = asked("/prbuild cancel", &[merged]).stops();
    assert_eq!(names(&targets), [("app-7-l2", vec!["a"])]);
}

#[test]
fn a_cancel_that_was_cut_off_goes_on_and_is_answered() {
    let mut first = build("app-7-l2", 60, CORE, &[("a", RunPhase::Cancelled)]);
    first.spec.cancel = Some(cancel("u10", LABEL, false));
    let (targets, ..) = asked("/prbuild cancel", &[first, live("app-7-l3", 70)]).stops();
    assert_eq!(
        names(&targets),
        [("app-7-l2", vec![]), ("app-7-l3", vec![])]
    );
    let mut part = live("app-7-l2", 60);
    let mut mark = cancel("u10", LABEL, false);
    mark.reason = "wrote `/prbuild cancel a`".to_owned();
    part.spec.cancel_builders = [("a".to_owned(), mark)].into();
    let builds = [part];
    let (targets, ..) = asked("/prbuild cancel a", &builds).stops();
    assert_eq!(names(&targets), [("app-7-l2", vec!["a"])]);
    // Another command of the same second finds nothing to do.
    assert_eq!(asked("/prbuild cancel `a`", &builds).said(), "NoBuild");
}

#[test]
fn who_may_start_builds_may_stop_them_and_who_started_one_may_stop_that_one() {
    let policy = json!({ "labels": [{ "name": "test", "minimum": "Triage" }, { "name": "core" }] });
    let triager = |s: &mut Scene| drop(s.facts.rights.insert(CORE, right("read", "triage")));
    let mut others = live("app-7-l2", 60);
    others.spec.request.trigger.user.id = REVIEWER;
    let own = live("app-7-l3", 30);
    let mut core = live("app-7-l4", 20);
    core.spec.request.trigger.label = Some("core".to_owned());
    let builds = [others.clone(), own.clone(), core.clone()];

    let everything = asked("/prbuild cancel", &builds).policy(policy.clone());
    assert_eq!(everything.stops().0.len(), 3);
    let (targets, ..) = everything.clone().with(triager).stops();
    assert_eq!(names(&targets), [("app-7-l3", vec![])]);
    let foreign = asked("/prbuild cancel", &[others, core]).policy(policy.clone());
    assert_eq!(foreign.clone().with(triager).said(), "Permission");
    let run = asked("/prbuild run", &builds).policy(policy);
    assert_eq!(run.with(triager).said(), "Permission");

    let stranger = |s: &mut Scene| drop(s.facts.rights.insert(CORE, right("read", "read")));
    let refused = everything.clone().with(stranger).refused().into_object();
    assert_eq!(refused.spec.manner, Manner::Reaction);
    let denied = json!({ "authorization": { "deniedUserIds": [CORE] } });
    assert_eq!(everything.policy(denied).said(), "Denied");
}

#[test]
fn stopping_needs_no_pull_request_that_could_be_built() {
    let closed = asked("/prbuild cancel", &[live("app-7-l2", 60)]).pull(|pull| {
        pull.state = "closed".to_owned();
        pull.head.repo = None;
    });
    assert_eq!(closed.said(), "Cancelled [(\"app-7-l2\", [])]");
}

#[test]
fn the_cancel_button_stops_its_own_run_and_says_nothing() {
    let with = |name: &str, before, other| build(name, before, CORE, &[(other, Running)]);
    let mut builds = [with("app-7-l2", 60, "linux"), with("app-7-l3", 30, "a")];
    let scene = Scene::pressed(Button::Cancel, "app-7-l2");
    let (targets, _, answer) = scene.clone().builds(&builds).stops();
    assert_eq!(names(&targets), [("app-7-l2", vec!["linux"])]);
    assert_eq!(answer.into_object().spec.manner, Manner::Silent);
    // The same builder of another commit, one that has ended, and one that is stopping.
    let mut elsewhere = with("app-7-l4", 20, "linux");
    elsewhere.spec.request.head_sha = "f".repeat(40);
    let mut stopping = with("app-7-l6", 10, "linux");
    stopping.spec.cancel = Some(cancel("u30", LABEL - 5, false));
    let ended = build("app-7-l5", 15, CORE, &[("linux", Succeeded)]);
    for other in [elsewhere, ended, stopping] {
        builds[1] = other;
        let (.., answer) = scene.clone().builds(&builds).stops();
        assert_eq!(answer.into_object().spec.manner, Manner::Silent);
    }
    let ended = build("app-7-l2", 60, CORE, &[("linux", Succeeded)]);
    let scene = Scene::pressed(Button::Cancel, "app-7-l2").builds(&[ended]);
    assert_eq!(scene.said(), "NoBuild");
    let gone = Scene::pressed(Button::Cancel, "app-7-l9").builds(&builds);
    assert_eq!(gone.said(), "NoBuild");
}

#[test]
fn who_stops_what_another_build_asked_for_too_is_told_that_it_runs_there() {
    let with_linux =
        |name: &str, before| build(name, before, CORE, &[("linux", Running), ("a", Running)]);
    let mut builds = vec![with_linux("app-7-l2", 60), with_linux("app-7-l3", 30)];
    let scene = Scene::pressed(Button::Cancel, "app-7-l2");
    let told = |builds: &[PrBuild]| {
        let (targets, _, answer) = scene.clone().builds(builds).stops();
        assert_eq!(names(&targets), [("app-7-l2", vec!["linux"])]);
        let spec = answer.into_object().spec;
        assert_eq!(spec.manner, Manner::Comment);
        spec.facts.detail.unwrap_or_default()
    };
    assert_eq!(
        told(&builds),
        "1 run is stopping. Build `app-7-l3` asked for the same and runs it by itself now."
    );
    builds.push(with_linux("app-7-l4", 20));
    assert_eq!(
        told(&builds),
        "1 run is stopping. Build `app-7-l4` and 1 more asked for the same and run it by themselves now."
    );
    // Who stops all of them is told of none.
    let (.., answer) = asked("/prbuild cancel linux", &builds).stops();
    let detail = answer.into_object().spec.facts.detail;
    assert_eq!(detail.as_deref(), Some("3 runs are stopping."));
}

#[test]
fn a_press_of_cancel_that_is_looked_at_again_is_the_same_later_too() {
    let mut part = build("app-7-l2", 60, CORE, &[("linux", RunPhase::Cancelled)]);
    let mut mark = cancel("u10", LABEL - 7, false);
    mark.reason = "pressed Cancel".to_owned();
    part.spec.cancel_builders = [("linux".to_owned(), mark.clone())].into();
    let again = |part: &PrBuild| {
        let scene = Scene::pressed(Button::Cancel, "app-7-l2");
        scene.builds(std::slice::from_ref(part))
    };
    let (targets, _, answer) = again(&part).stops();
    assert_eq!(names(&targets), [("app-7-l2", vec!["linux"])]);
    assert_eq!(answer.into_object().spec.manner, Manner::Silent);
    mark.by = "u30".to_owned();
    part.spec.cancel_builders = [("linux".to_owned(), mark)].into();
    assert_eq!(again(&part).said(), "NoBuild", "somebody else did");
}
