//! Every refusal, each by one change of what passes.

use super::*;

/// Every reason why something builds nothing, each by one change of what passes.
#[test]
fn every_refusal_has_its_reason() {
    let good = Scene::good;
    let cases: Vec<(&str, Scene, &str)> = vec![
        ("as it is", good(), "build"),
        ("found by the sweep", Scene::swept(), "build"),
        ("drafts and all", good().pull(|p| p.user = None), "build"),
        // The event.
        (
            "the label is gone",
            good().pull(|p| p.labels.clear()),
            "nothing: label_gone",
        ),
        (
            "the label is not there yet",
            good().pull(|p| {
                p.labels.clear();
                p.updated_at = at(LABEL - 1);
            }),
            "retry: GitHub shows the pull request as it was before the label",
        ),
        (
            "answered before",
            good().with(|s| s.facts.answered = Some(("app-7-l777".to_owned(), true))),
            "nothing: answered",
        ),
        (
            "s22: never in the timeline",
            good().with(|s| {
                s.facts.events = Some(github::LabelEvents::default());
                s.facts.events_asked = 8;
            }),
            "retry: the label event is not in the timeline",
        ),
        (
            "the newest event is not there yet",
            good().with(|s| {
                let events = s.facts.events.as_mut().expect("events");
                events
                    .events
                    .push(event("unlabeled", "test", 778, LABEL + 5));
                s.facts.events_asked = 8;
            }),
            "retry: the label event is not in the timeline",
        ),
        (
            "older than a day",
            good().with(|s| s.facts.now = Some(at(LABEL + 86_401))),
            "TooOld",
        ),
        (
            "a day old to the second",
            good().with(|s| s.facts.now = Some(at(LABEL + 86_400))),
            "build",
        ),
        (
            "swept too early",
            Scene::swept().with(|s| s.facts.now = Some(at(LABEL + 14))),
            "retry: a delivery may still tell of it",
        ),
        (
            "another repository has this name now",
            good().pull(|p| p.base.repo.id = 2),
            "retry: GitHub shows another repository under this name",
        ),
        // The person.
        (
            "s22: told by another",
            good().with(|s| s.request.told.as_mut().expect("told").sender = user(99)),
            "ActorMismatch",
        ),
        (
            "told of an earlier event",
            good().with(|s| {
                let told = s.request.told.as_mut().expect("told");
                told.sender = user(99);
                told.updated_at = Some(at(LABEL - 1));
            }),
            "nothing: superseded",
        ),
        (
            "s13: through an App",
            good().event(|e| {
                e.performed_via_github_app = Some(github::AppRef {
                    name: "Helper".to_owned(),
                    slug: None,
                });
            }),
            "ThroughApp",
        ),
        (
            "s13: by a bot",
            good().event(|e| e.actor.as_mut().expect("an actor").kind = "Bot".to_owned()),
            "Bot",
        ),
        (
            "s13: by an organization",
            good().event(|e| e.actor.as_mut().expect("an actor").kind = "Organization".to_owned()),
            "Bot",
        ),
        (
            "by a deleted account",
            Scene::swept().event(|e| e.actor = None),
            "Permission",
        ),
        (
            "denied",
            good().policy(json!({ "authorization": { "deniedUserIds": [CORE] } })),
            "Denied",
        ),
        (
            "s11: may only triage",
            good().with(|s| drop(s.facts.rights.insert(CORE, right("read", "triage")))),
            "Permission",
        ),
        (
            "s12: the login belongs to somebody else now",
            good().with(|s| drop(s.facts.rights.insert(CORE, Right::default()))),
            "Permission",
        ),
        (
            "may write where admins are asked for",
            good().policy(json!({ "authorization": { "minimum": "Admin" } })),
            "Permission",
        ),
        (
            "s14: not in the team",
            good()
                .policy(json!({ "authorization": { "team": "o/core" } }))
                .with(|s| s.facts.team = Some(("u10".to_owned(), false))),
            "Team",
        ),
        (
            "s14: in the team",
            good()
                .policy(json!({ "authorization": { "team": "o/core" } }))
                .with(|s| s.facts.team = Some(("u10".to_owned(), true))),
            "build",
        ),
        // The pull request.
        (
            "closed",
            good().pull(|p| p.state = "closed".to_owned()),
            "Closed",
        ),
        (
            "s21: the fork is gone",
            good().pull(|p| p.head.repo = None),
            "ForkDeleted",
        ),
        (
            "closed, as the API shows it from before it was reopened and labelled",
            good().pull(|p| (p.state, p.updated_at) = ("closed".to_owned(), at(LABEL - 5))),
            "retry: GitHub shows the pull request as it was before the label",
        ),
        (
            "another base branch, as the API shows it from before the label",
            good()
                .policy(json!({ "guards": { "baseBranches": ["3.*"] } }))
                .pull(|p| p.updated_at = at(LABEL - 5)),
            "retry: GitHub shows the pull request as it was before the label",
        ),
        (
            "another base branch",
            good().policy(json!({ "guards": { "baseBranches": ["3.*"] } })),
            "BaseBranch",
        ),
        (
            "one of the base branches",
            good().policy(json!({ "guards": { "baseBranches": ["3.*", "main"] } })),
            "build",
        ),
        // The head.
        (
            "s15: another head than labelled",
            good().with(|s| {
                s.request.told.as_mut().expect("told").head_sha = Some(OTHER.to_owned());
            }),
            "HeadMovedAfter",
        ),
        (
            "s15: the delivery is about an earlier label",
            good().with(|s| {
                let told = s.request.told.as_mut().expect("told");
                told.head_sha = Some(OTHER.to_owned());
                told.updated_at = Some(at(LABEL - 1));
            }),
            "nothing: superseded",
        ),
        (
            "the API is behind the delivery",
            good().pull(|p| p.updated_at = at(LABEL - 5)).with(|s| {
                s.request.told.as_mut().expect("told").head_sha = Some(OTHER.to_owned());
            }),
            "retry: GitHub shows the pull request as it was before the label",
        ),
        (
            "s16: moved in the first second of the window",
            good().moved(LABEL - 60, AUTHOR),
            "HeadMovedBefore",
        ),
        (
            "s16: moved a second before it",
            good().moved(LABEL - 61, AUTHOR),
            "build",
        ),
        (
            "moved in the second of the label",
            good().moved(LABEL, AUTHOR),
            "HeadMovedBefore",
        ),
        (
            "moved after the label, and back",
            good().moved(LABEL + 1, AUTHOR),
            "HeadMovedAfter",
        ),
        (
            "moved by a core developer",
            good().moved(LABEL - 5, CORE),
            "build",
        ),
        (
            "moved by a denied one",
            good()
                .moved(LABEL - 5, REVIEWER)
                .policy(json!({ "authorization": { "deniedUserIds": [REVIEWER] } })),
            "HeadMovedBefore",
        ),
        (
            "swept, moved since by a core developer",
            Scene::swept().moved(LABEL, CORE),
            "HeadMovedBefore",
        ),
        (
            "swept, moved after",
            Scene::swept().moved(LABEL + 9, CORE),
            "HeadMovedAfter",
        ),
        (
            "a longer quiet period",
            good()
                .moved(LABEL - 61, AUTHOR)
                .policy(json!({ "guards": { "quietPeriodSeconds": 600 } })),
            "HeadMovedBefore",
        ),
        (
            "s21: GitHub does not tell, and branches moved",
            good()
                .with(|s| s.facts.movements = seen(Vec::new()))
                .pull(|p| p.head.repo.as_mut().expect("a fork").pushed_at = Some(at(LABEL - 60))),
            "MovementUnknown",
        ),
        (
            "s21: GitHub does not tell, and no branch moved",
            good().with(|s| s.facts.movements = seen(Vec::new())),
            "build",
        ),
        (
            "only strangers are told",
            good().with(|s| {
                s.facts.movements = seen(Vec::new());
                s.facts.anonymous = seen(vec![movement(LABEL - 5, AUTHOR)]);
            }),
            "HeadMovedBefore",
        ),
        (
            "moved, but approved by another",
            good().moved(LABEL - 5, AUTHOR).approved(REVIEWER, HEAD),
            "build",
        ),
        (
            "moved, and another commit approved",
            good().moved(LABEL - 5, AUTHOR).approved(REVIEWER, OTHER),
            "HeadMovedBefore",
        ),
        (
            "moved, and approved by its author",
            good().moved(LABEL - 5, AUTHOR).approved(AUTHOR, HEAD),
            "HeadMovedBefore",
        ),
        (
            "unknown, but approved",
            good()
                .with(|s| s.facts.movements = seen(Vec::new()))
                .pull(|p| p.head.repo.as_mut().expect("a fork").pushed_at = None)
                .approved(REVIEWER, HEAD),
            "build",
        ),
        // The builders.
        (
            "no builder",
            good().with(|s| s.builders.clear()),
            "NoBuilder",
        ),
        (
            "the only builder asks for a review",
            good().with(|s| s.builders = vec![builder("lan", json!({ "evidence": "Review" }))]),
            "NoBuilder",
        ),
        // The test merge.
        (
            "conflicts",
            good().with(|s| {
                s.facts.merge.as_mut().expect("a merge").mergeable = github::Mergeable::Conflicting;
            }),
            "Conflict",
        ),
        (
            "conflicted with an older head",
            good().with(|s| {
                let merge = s.facts.merge.as_mut().expect("a merge");
                merge.mergeable = github::Mergeable::Conflicting;
                merge.head_sha = OTHER.to_owned();
            }),
            "ask MergeAgain",
        ),
        (
            "a merge of an older head",
            good().with(|s| {
                let merge = s.facts.merge.as_mut().expect("a merge");
                merge.commit.as_mut().expect("a commit").parents[1] = OTHER.to_owned();
            }),
            "ask MergeAgain",
        ),
        (
            "a merge that is never computed",
            good().with(|s| {
                s.facts.merge.as_mut().expect("a merge").mergeable = github::Mergeable::Unknown;
                s.facts.merge_asked = 8;
            }),
            "retry: GitHub has no test merge of this head yet",
        ),
    ];
    for (what, scene, expected) in cases {
        assert_eq!(scene.said(), expected, "{what}");
    }
}

/// Reasons, each with the test that shows it and the text of its file. A reason without a row does not
/// compile.
macro_rules! shown {
    ($($file:literal, $test:ident: $($reason:ident)*;)*) => {{
        let _ = |reason: AnswerReason| match reason {
            $($(AnswerReason::$reason => (),)*)*
            // Nobody is told of it: a newer version wrote it.
            AnswerReason::Unknown => (),
        };
        [$($((stringify!($reason), stringify!($test), include_str!($file)),)*)*]
    }};
}

#[test]
fn every_refusal_is_shown_by_a_test() {
    let rows = shown! {
        "table.rs", every_refusal_has_its_reason:
            Permission Denied Team Bot ThroughApp ActorMismatch HeadMovedBefore HeadMovedAfter
            MovementUnknown Closed ForkDeleted BaseBranch Conflict NoBuilder TooOld;
        "commands.rs", every_mistake_in_a_command_has_its_reason_and_says_what_would_help:
            UnknownCommand NoMatch WrongSha Help Pattern;
        "commands.rs", more_than_a_build_or_a_comment_can_have_is_told: TooMany;
        "commands.rs", a_paused_repository_takes_in_nothing_and_answers_questions: Paused Status;
        "repeating.rs", what_cannot_be_repeated_is_told: NoBuild;
        "stopping.rs", cancel_stops_everything_that_was_asked_for_before_it: Cancelled;
    };
    for (reason, test, source) in rows {
        let at = source.find(&format!("#[test]\nfn {test}()"));
        let rest = &source[at.expect(test)..];
        let body = rest.split("\n}\n").next().unwrap_or(rest);
        let says = [format!("\"{reason}\""), format!("::{reason}")];
        assert!(
            says.iter().any(|says| body.contains(says)),
            "{test} does not show {reason}"
        );
    }
}

#[test]
fn the_page_about_labels_knows_when_a_label_is_given_up() {
    assert_eq!(OLDEST.as_hours(), 24);
    let page = include_str!("../../../../docs/labels.md");
    assert!(page.contains("It gives up on labels that are more than a day old."));
}
