//! What commands build, and what is said to those that cannot be carried out.

use super::*;

fn fleet() -> Vec<Arc<Builder>> {
    vec![
        builder(
            "arm",
            json!({ "displayName": "ARM64 Debian", "tags": ["linux"] }),
        ),
        builder(
            "ios",
            json!({ "displayName": "iOS Simulator", "stability": "Unstable" }),
        ),
        builder(
            "leaks",
            json!({ "displayName": "AMD64 Refleaks", "flavours": ["refleak"] }),
        ),
        builder(
            "z13",
            json!({ "displayName": "s390x Debian", "tags": ["linux", "big-endian"] }),
        ),
        builder(
            "elsewhere",
            json!({ "displayName": "Another project", "flavours": ["other"] }),
        ),
    ]
}

pub(super) fn asked(text: &str) -> Scene {
    Scene::command(text)
        .policy(
            json!({ "labels": [{ "name": "test" }, { "name": "leaks", "flavour": "refleak" }] }),
        )
        .with(|scene| scene.builders = fleet())
}

#[test]
fn run_builds_todays_head_on_what_is_named() {
    let sha = format!("/prbuild run {HEAD} ios");
    for (text, flavour, evidence, builders) in [
        (
            "/prbuild run",
            "default",
            Evidence::Label,
            &["arm", "z13"][..],
        ),
        (
            "/prbuild run refleak",
            "refleak",
            Evidence::Label,
            &["leaks"],
        ),
        (
            "/prbuild run tag:big-endian",
            "custom",
            Evidence::Label,
            &["z13"],
        ),
        (
            "/prbuild run s390x Debian",
            "custom",
            Evidence::Label,
            &["z13"],
        ),
        (
            "/prbuild run ios refleak",
            "custom",
            Evidence::Label,
            &["ios", "leaks"],
        ),
        (sha.as_str(), "custom", Evidence::ExactSha, &["ios"]),
        (
            "!buildbot debian",
            "custom",
            Evidence::Label,
            &["arm", "z13"],
        ),
        (
            "!buildbot IOS|refleaks",
            "custom",
            Evidence::Label,
            &["ios", "leaks"],
        ),
        (
            "!buildbot .",
            "custom",
            Evidence::Label,
            &["arm", "ios", "leaks", "z13"],
        ),
    ] {
        let request = asked(text).built();
        assert_eq!(request.builders, builders, "{text}");
        assert_eq!(request.flavour, flavour, "{text}");
        assert_eq!(request.trigger.evidence, evidence, "{text}");
        assert_eq!(request.head_sha, HEAD);
        assert_eq!(request.trigger.command.as_deref(), Some(text));
    }
}

#[test]
fn a_command_without_a_sha_needs_a_head_that_stood_still_as_a_label_does() {
    for text in ["/prbuild run", "/prbuild run arm", "!buildbot arm"] {
        for (at_second, by, expected) in [
            (LABEL - 5, AUTHOR, "HeadMovedBefore"),
            (LABEL - 61, AUTHOR, "build"),
            (LABEL - 5, CORE, "build"),
            (LABEL + 1, AUTHOR, "HeadMovedAfter"),
            // Nobody said which commit was meant.
            (LABEL + 1, CORE, "HeadMovedAfter"),
        ] {
            assert_eq!(
                asked(text).moved(at_second, by).said(),
                expected,
                "{text} {at_second}"
            );
        }
        let approved = asked(text)
            .moved(LABEL - 5, AUTHOR)
            .approved(REVIEWER, HEAD);
        assert_eq!(approved.said(), "build", "{text}");
    }
    let typed = asked(&format!("/prbuild run {HEAD}")).moved(LABEL - 5, AUTHOR);
    assert_eq!(typed.said(), "build");
}

/// The reason, the subject and the detail of a refusal.
fn told(scene: &Scene) -> (AnswerReason, String, String) {
    let spec = scene.refused().into_object().spec;
    assert_eq!(spec.manner, Manner::Comment);
    let facts = spec.facts;
    (
        spec.reason,
        facts.subject.unwrap_or_default(),
        facts.detail.unwrap_or_default(),
    )
}

#[test]
fn every_mistake_in_a_command_has_its_reason_and_says_what_would_help() {
    use AnswerReason as R;
    for (text, reason, subject, detail) in [
        ("/prbuild dance", R::UnknownCommand, "/prbuild dance", ""),
        (
            "/prbuild cancle",
            R::UnknownCommand,
            "/prbuild cancle",
            "Did you mean `/prbuild cancel`?",
        ),
        (
            "/prbuild rerun",
            R::UnknownCommand,
            "/prbuild rerun",
            "Did you mean `/prbuild rerun failed`?",
        ),
        (
            "/prbuild run refleek",
            R::NoMatch,
            "refleek",
            "Did you mean `refleak`?",
        ),
        (
            "/prbuild run s390x debain",
            R::NoMatch,
            "s390x debain",
            "Did you mean `s390x Debian`?",
        ),
        (
            "/prbuild run tag:linus",
            R::NoMatch,
            "tag:linus",
            "Did you mean `tag:linux`?",
        ),
        ("/prbuild run elsewhere", R::NoMatch, "elsewhere", ""),
        (
            "/prbuild run refleak tag:linux",
            R::NoMatch,
            "refleak linux",
            "",
        ),
        ("/prbuild run 1111111", R::WrongSha, "", ""),
        ("/prbuild help", R::Help, "", ""),
        ("/prbuild status", R::Status, "", ""),
        ("!buildbot solaris", R::NoMatch, "solaris", ""),
        ("!buildbot another", R::NoMatch, "another", ""),
        (
            "!buildbot debain",
            R::NoMatch,
            "debain",
            "Did you mean `Debian`?",
        ),
    ] {
        let said = told(&asked(text));
        assert_eq!(
            said,
            (reason, subject.to_owned(), detail.to_owned()),
            "{text}"
        );
    }
    for (text, word) in [
        ("!buildbot", "Write a regular expression"),
        ("!buildbot (", "unclosed group"),
        ("!buildbot ^(?!.*leaks)", "look-around"),
    ] {
        let (reason, _, detail) = told(&asked(text));
        assert_eq!(reason, R::Pattern, "{text}");
        assert!(detail.contains(word), "{detail}");
    }
}

#[test]
fn more_than_a_build_or_a_comment_can_have_is_told() {
    let many: Vec<_> = (0..300)
        .map(|n| builder(&format!("b{n:03}"), json!({})))
        .collect();
    let scene = asked("!buildbot b").with(|s| s.builders = many.clone());
    let (reason, subject, detail) = told(&scene);
    assert_eq!((reason, subject.as_str()), (AnswerReason::TooMany, "b"));
    assert!(detail.contains("300") && detail.contains("256"), "{detail}");
    let fewer = asked("!buildbot b0").with(|s| s.builders = many);
    assert_eq!(fewer.built().builders.len(), 100);

    let text = "/prbuild status\n".repeat(6);
    let scene = asked(&text).with(|s| {
        let found = command::find(&text, (&s.request.repository.spec.commands).into());
        s.request.ask = Ask::Command {
            comment: 55,
            command: found[5].clone(),
        };
        s.facts.answered = Some(("app-7-c5000000000000055".to_owned(), false));
    });
    let (reason, _, detail) = told(&scene);
    assert_eq!(reason, AnswerReason::TooMany);
    assert!(detail.contains("at most 5 commands"), "{detail}");
}

#[test]
fn builders_that_need_more_evidence_are_left_out_of_a_command_too() {
    for (text, builders) in [
        ("!buildbot .".to_owned(), &["arm"][..]),
        ("/prbuild run lan sha arm".to_owned(), &["arm"]),
        (format!("/prbuild run {HEAD} lan sha arm"), &["arm", "sha"]),
    ] {
        let scene = asked(&text).with(|s| {
            s.builders = vec![
                builder("arm", json!({})),
                builder("lan", json!({ "evidence": "Review" })),
                builder("sha", json!({ "evidence": "ExactSha" })),
            ];
        });
        let request = scene.built();
        assert_eq!(request.builders, builders, "{text}");
        assert_eq!(request.builders.len() + request.left_out.len(), 3, "{text}");
        let approved = scene.approved(REVIEWER, HEAD).built();
        assert_eq!(approved.builders, ["arm", "lan", "sha"], "{text}");
    }
    let only = asked("!buildbot lan")
        .with(|s| s.builders = vec![builder("lan", json!({ "evidence": "Review" }))]);
    assert_eq!(only.said(), "NoBuilder");
}

#[test]
fn a_paused_repository_takes_in_nothing_and_answers_questions() {
    let build = build("app-7-l1", 60, CORE, &[("arm", RunPhase::Running)]);
    for (text, expected) in [
        ("/prbuild run", "Paused"),
        ("!buildbot arm", "Paused"),
        ("/prbuild rerun failed", "Paused"),
        ("/prbuild rerun arm", "Paused"),
        ("/prbuild help", "Help"),
        ("/prbuild status", "Status"),
        ("/prbuild dance", "UnknownCommand"),
        ("/prbuild cancel", "Cancelled [(\"app-7-l1\", [])]"),
    ] {
        let scene = asked(text)
            .policy(json!({ "paused": true }))
            .builds(std::slice::from_ref(&build));
        assert_eq!(scene.said(), expected, "{text}");
    }
    let label = Scene::good().policy(json!({ "paused": true }));
    assert_eq!(label.said(), "Paused");
    let stranger = label.with(|s| drop(s.facts.rights.insert(CORE, right("read", "read"))));
    assert_eq!(stranger.said(), "Permission");
}

#[test]
fn the_checks_that_come_first_are_frozen_into_the_build() {
    let policy = json!({ "guards": { "afterChecks": ["CI / tests"] } });
    assert_eq!(
        Scene::good().policy(policy.clone()).built().after_checks,
        ["CI / tests"]
    );
    let command = Scene::command("/prbuild run").policy(policy);
    assert_eq!(command.built().after_checks, ["CI / tests"]);
}

#[test]
fn a_label_whose_pattern_is_broken_builds_nothing_and_says_so() {
    let rule = json!({ "labels": [{ "name": "test", "pattern": "(" }] });
    let (reason, subject, detail) = told(&Scene::good().policy(rule));
    assert_eq!((reason, subject.as_str()), (AnswerReason::Pattern, "("));
    assert!(detail.contains("unclosed group"), "{detail}");
}

#[test]
fn the_page_of_commands_says_how_long_something_may_be_asked_for() {
    let page = include_str!("../../../../docs/commands.md");
    use crate::gate::{again, people, verdict};
    let (day, kept) = (verdict::OLDEST.as_hours(), again::KEPT.as_hours());
    for sentence in [
        format!("Never one that is more than {day} hours old"),
        format!("A build can be repeated for {kept} hours after it ended"),
        format!("A button whose build ended more than {kept} hours ago is too old"),
    ] {
        assert!(page.contains(&sentence), "{sentence}");
    }
    assert!(page.contains("That somebody has no right at all is believed for a minute"));
    assert_eq!(people::KEPT.as_secs(), 60);
}
