//! Building the same commits once more, by command and by button.

use super::*;
use RunPhase::{Cancelled, Error, Failed, Running, Succeeded, TimedOut};

/// A build of four builders on an older head than today's, and one that came after it.
fn mixed() -> PrBuild {
    let results = [
        ("a", Succeeded),
        ("b", Failed),
        ("c", TimedOut),
        ("linux", Error),
    ];
    build("app-7-l400", 600, CORE, &results)
}

fn repeats(name: &str, before: i64, of: &str, results: &[(&str, RunPhase)]) -> PrBuild {
    let mut build = build(name, before, CORE, results);
    build.spec.request.rerun_of = Some(of.to_owned());
    build
}

fn asked(text: &str, builds: &[PrBuild]) -> Scene {
    Scene::command(text).builds(builds).with(|scene| {
        scene.builders = ["a", "b", "c", "linux"]
            .map(|name| builder(name, json!({ "displayName": format!("{name} machine") })))
            .to_vec();
    })
}

fn pressed(button: Button, build: &str, builds: &[PrBuild]) -> Scene {
    let command = asked("/prbuild help", builds);
    Scene::pressed(button, build)
        .builds(builds)
        .with(|scene| scene.builders = command.builders)
}

#[test]
fn what_did_not_pass_is_built_once_more_on_the_same_commits() {
    let mut old = mixed();
    old.spec.request.head_sha = OTHER.to_owned();
    let moved = asked("/prbuild rerun failed", &[old]).moved(LABEL - 1, AUTHOR);
    let request = moved.built();
    assert_eq!(request.builders, ["b", "c", "linux"]);
    assert_eq!(request.head_sha, OTHER, "not today's head");
    assert_eq!(request.merge_sha.as_deref(), Some(MERGE));
    assert_eq!(request.merge_tree.as_deref(), Some(TREE));
    assert_eq!(request.base_sha.as_deref(), Some(BASE));
    assert_eq!(request.rerun_of.as_deref(), Some("app-7-l400"));
    assert_eq!(request.flavour, "default");
    assert_eq!(request.left_out[0].builder, "lan");
    assert_eq!(request.trigger.event_id, 55);
    assert_eq!(request.trigger.evidence, Evidence::Label);
}

#[test]
fn a_repetition_counts_for_the_builders_that_it_had() {
    let builds = [
        mixed(),
        repeats("app-7-c1", 300, "app-7-l400", &[("b", Succeeded)]),
        repeats(
            "app-7-c2",
            200,
            "app-7-l400",
            &[("c", Failed), ("a", Cancelled)],
        ),
    ];
    let request = asked("/prbuild rerun failed", &builds).built();
    assert_eq!(request.builders, ["a", "c", "linux"]);
    assert_eq!(request.rerun_of.as_deref(), Some("app-7-l400"));
    // The first one is gone; its name still holds the others together.
    let request = asked("/prbuild rerun failed", &builds[1..]).built();
    assert_eq!(request.builders, ["a", "c"]);
    assert_eq!(request.rerun_of.as_deref(), Some("app-7-l400"));
}

#[test]
fn within_a_second_a_repetition_is_newer_than_what_it_repeats() {
    let mut again = repeats("app-7-c1", 600, "app-7-l400", &[("b", Succeeded)]);
    again.spec.request.trigger.event_id = 1;
    for builds in [[mixed(), again.clone()], [again, mixed()]] {
        let request = asked("/prbuild rerun failed", &builds).built();
        assert_eq!(request.builders, ["c", "linux"]);
    }
}

#[test]
fn the_newest_build_that_has_the_builder_is_repeated() {
    let mut newer = build("app-7-l900", 100, CORE, &[("a", Running), ("b", Succeeded)]);
    newer.spec.request.head_sha = OTHER.to_owned();
    let builds = [newer, mixed()];
    for (text, head, of, builders) in [
        ("/prbuild rerun a", OTHER, "app-7-l900", &["a"][..]),
        ("/prbuild rerun B Machine", OTHER, "app-7-l900", &["b"]),
        (
            "/prbuild rerun `linux machine`",
            HEAD,
            "app-7-l400",
            &["linux"],
        ),
        ("/prbuild rerun a c", HEAD, "app-7-l400", &["a", "c"]),
    ] {
        let request = asked(text, &builds).built();
        assert_eq!(request.builders, builders, "{text}");
        assert_eq!(request.head_sha, head, "{text}");
        assert_eq!(request.rerun_of.as_deref(), Some(of), "{text}");
    }
}

#[test]
fn what_cannot_be_repeated_is_told() {
    let green = build("app-7-l900", 100, CORE, &[("a", Succeeded)]);
    let running = build("app-7-l900", 100, CORE, &[("a", Running)]);
    let old = |button| pressed(button, "app-7-l1", &[mixed()]);
    for (what, scene, reason, word) in [
        (
            "no build",
            asked("/prbuild rerun failed", &[]),
            "NoBuild",
            "add the label",
        ),
        (
            "all green",
            asked("/prbuild rerun failed", std::slice::from_ref(&green)),
            "NoBuild",
            "passed",
        ),
        (
            "not complete",
            asked("/prbuild rerun failed", &[running]),
            "NoBuild",
            "so far",
        ),
        (
            "another builder",
            asked("/prbuild rerun c", std::slice::from_ref(&green)),
            "NoBuild",
            "/prbuild run",
        ),
        (
            "no builds at all",
            asked("/prbuild rerun a", &[]),
            "NoBuild",
            "add the label",
        ),
        (
            "no such builder",
            asked("/prbuild rerun linus", &[green]),
            "NoMatch",
            "`linux`",
        ),
        (
            "a button of long ago",
            old(Button::Rerun),
            "NoBuild",
            "too old",
        ),
        (
            "all of long ago",
            old(Button::RerunAll),
            "NoBuild",
            "too old",
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
fn every_button_repeats_what_it_says() {
    for (button, builders, command) in [
        (Button::Rerun, &["linux"][..], "rerun linux"),
        (Button::RerunFailed, &["b", "c", "linux"], "rerun failed"),
        (Button::RerunAll, &["a", "b", "c", "linux"], "rerun all"),
    ] {
        let request = pressed(button, "app-7-l400", &[mixed()]).built();
        assert_eq!(request.builders, builders, "{button:?}");
        assert_eq!(request.rerun_of.as_deref(), Some("app-7-l400"));
        assert_eq!(request.trigger.kind, crds::TriggerKind::Button);
        assert_eq!(request.trigger.event_id, 99);
        assert_eq!(request.trigger.command.as_deref(), Some(command));
    }
    let forged = pressed(Button::Rerun, "app-7-l400", &[mixed()]).with(|scene| {
        if let Ask::Button(press) = &mut scene.request.ask {
            press.head_sha = OTHER.to_owned();
        }
    });
    assert_eq!(forged.said(), "nothing: not_a_button_of_ours");
}

#[test]
fn who_asks_again_goes_through_the_same_gate() {
    let asking: [fn() -> Scene; 3] = [
        || asked("/prbuild rerun failed", &[mixed()]),
        || asked("/prbuild rerun b", &[mixed()]),
        || pressed(Button::Rerun, "app-7-l400", &[mixed()]),
    ];
    for asking in asking {
        let triager = |s: &mut Scene| drop(s.facts.rights.insert(CORE, right("read", "triage")));
        assert_eq!(asking().with(triager).said(), "Permission");
        let denied = json!({ "authorization": { "deniedUserIds": [CORE] } });
        assert_eq!(asking().policy(denied).said(), "Denied");
        let team = json!({ "authorization": { "team": "o/core" } });
        let outside = |s: &mut Scene| s.facts.team = Some(("u10".to_owned(), false));
        assert_eq!(asking().policy(team).with(outside).said(), "Team");
        let branch = json!({ "guards": { "baseBranches": ["3.*"] } });
        assert_eq!(asking().policy(branch).said(), "BaseBranch");
        assert_eq!(
            asking().pull(|p| p.state = "closed".to_owned()).said(),
            "Closed"
        );
        assert!(
            asking()
                .with(|s| s.facts.builds = None)
                .said()
                .contains("ask Builds")
        );
    }
    let silent = asking[2]().with(|s| drop(s.facts.rights.insert(CORE, right("read", "read"))));
    assert_eq!(silent.refused().into_object().spec.manner, Manner::Silent);
}

#[test]
fn nobody_gets_by_a_repetition_what_they_could_not_ask_for() {
    let builders = vec![
        builder("b", json!({ "evidence": "Review" })),
        builder("c", json!({ "baseBranches": ["3.*"] })),
        builder("linux", json!({})),
    ];
    let scene = asked("/prbuild rerun failed", &[mixed()]).with(|s| s.builders = builders);
    let request = scene.built();
    assert_eq!(request.builders, ["linux"]);
    let left: Vec<&str> = request
        .left_out
        .iter()
        .map(|l| l.builder.as_str())
        .collect();
    assert_eq!(left, ["b", "c", "lan"]);
    // What a label of others starts is theirs to repeat.
    let reserved = json!({ "labels": [{ "name": "test", "minimum": "Admin" }] });
    assert_eq!(scene.policy(reserved).said(), "NoBuilder");

    let mut reviewed = mixed();
    reviewed.spec.request.trigger.evidence = Evidence::Review;
    let scene = asked("/prbuild rerun b", &[reviewed])
        .with(|s| s.builders = vec![builder("b", json!({ "evidence": "Review" }))])
        .approved(REVIEWER, HEAD);
    let request = scene.built();
    assert_eq!(request.builders, ["b"]);
    assert_eq!(
        request.trigger.evidence,
        Evidence::Review,
        "of exactly these commits"
    );
}

#[test]
fn what_was_asked_for_later_is_not_what_was_meant() {
    let mut own = repeats("app-7-c55", 0, "app-7-l400", &[("b", Running)]);
    own.spec.request.trigger.kind = crds::TriggerKind::Comment;
    own.spec.request.trigger.event_id = 55;
    let later = build("app-7-l1100", -100, CORE, &[("a", Failed)]);
    let request = asked("/prbuild rerun failed", &[later, own, mixed()]).built();
    assert_eq!(request.builders, ["b", "c", "linux"]);
}

/// A build that had an approval, of a builder that needs one and one that does not.
fn approved_build() -> [PrBuild; 1] {
    let mut build = build("app-7-l400", 600, CORE, &[("a", Failed), ("linux", Failed)]);
    build.spec.request.head_sha = OTHER.to_owned();
    build.spec.request.trigger.evidence = Evidence::Review;
    [build]
}

fn guarded(scene: Scene) -> Scene {
    scene.with(|s| s.builders[0] = builder("a", json!({ "evidence": "Review" })))
}

#[test]
fn an_approval_that_was_withdrawn_lends_no_machine_any_more() {
    let builds = approved_build();
    let scenes = [
        asked("/prbuild rerun failed", &builds),
        Scene::pressed(Button::RerunFailed, "app-7-l400")
            .builds(&builds)
            .with(|s| {
                s.builders = asked("/prbuild help", &[]).builders;
                if let Ask::Button(press) = &mut s.request.ask {
                    press.head_sha = OTHER.to_owned();
                }
            }),
    ];
    for scene in scenes.map(guarded) {
        let unknown = scene.clone().with(|s| s.facts.reviews = None);
        assert_eq!(unknown.said(), "ask Reviews");
        let request = scene.clone().approved(REVIEWER, OTHER).built();
        assert_eq!(request.builders, ["a", "linux"]);
        assert_eq!(request.trigger.evidence, Evidence::Review);
        for withdrawn in [
            scene.clone(),
            scene.clone().approved(REVIEWER, HEAD),
            scene.clone().approved(AUTHOR, OTHER),
            scene
                .clone()
                .policy(json!({ "authorization": { "deniedUserIds": [REVIEWER] } }))
                .approved(REVIEWER, OTHER),
        ] {
            let request = withdrawn.built();
            assert_eq!(request.builders, ["linux"]);
            assert_eq!(request.trigger.evidence, Evidence::Label);
            let left = request.left_out.iter().find(|left| left.builder == "a");
            let reason = left.map(|left| left.reason.as_str()).unwrap_or_default();
            assert!(reason.contains("needs an approval"), "{reason}");
        }
    }
    let open = asked("/prbuild rerun linux", &builds).with(|s| s.facts.reviews = None);
    assert_eq!(guarded(open).built().builders, ["linux"], "nobody is asked");
}

#[test]
fn a_build_for_a_former_base_branch_is_not_repeated() {
    for scene in [
        asked("/prbuild rerun failed", &[mixed()]),
        pressed(Button::Rerun, "app-7-l400", &[mixed()]),
    ] {
        let moved = scene.pull(|pull| pull.base.branch = "3.14".to_owned());
        assert_eq!(moved.said(), "NoBuild");
        let detail = moved.refused().into_object().spec.facts.detail;
        let detail = detail.unwrap_or_default();
        assert_eq!(
            detail,
            "That build was for `main`, and the pull request goes to `3.14` now; ask for a new build."
        );
    }
}

#[test]
fn a_press_is_good_for_as_long_as_what_it_made_is_kept() {
    let days = |hours: i64| {
        pressed(Button::Rerun, "app-7-l400", &[mixed()]).with(|s| {
            if let Ask::Button(press) = &mut s.request.ask {
                press.changed_at = at(LABEL - hours * 3600);
            }
        })
    };
    assert_eq!(days(47).said(), "build");
    assert_eq!(days(49).said(), "NoBuild");
}

#[test]
fn a_press_that_is_read_back_happened_when_it_was_delivered() {
    let told = |before: i64| {
        pressed(Button::Rerun, "app-7-l400", &[mixed()]).with(|s| {
            let told = s.request.told.as_mut().expect("told");
            told.at = Some(at(LABEL - before));
        })
    };
    let expected = Time(at(LABEL - 60));
    assert_eq!(told(60).built().trigger.time, expected);
    assert_eq!(told(86_500).said(), "TooOld");
}

#[test]
fn what_a_person_made_by_hand_is_repeated_only_beside_what_the_gate_decided() {
    let mut by_hand = repeats("app-7-m1", 900, "app-7-l400", &[("b", Failed)]);
    by_hand.spec.request.trigger.kind = crds::TriggerKind::Manual;
    by_hand.spec.request.head_sha = OTHER.to_owned();
    let alone = asked("/prbuild rerun failed", std::slice::from_ref(&by_hand));
    assert_eq!(alone.said(), "NoBuild");
    // The first one is gone, and the oldest that is left is not the gate's.
    let decided = repeats("app-7-c1", 300, "app-7-l400", &[("c", Failed)]);
    let request = asked("/prbuild rerun failed", &[by_hand, decided]).built();
    assert_eq!(request.head_sha, HEAD);
}
