//! What is built and what is said, beyond the bare reason.

use super::*;

#[test]
fn a_label_by_a_core_developer_builds_exactly_the_labelled_head_and_its_test_merge() {
    let request = Scene::good().built();
    assert_eq!(request.head_sha, HEAD);
    assert_eq!(request.merge_sha.as_deref(), Some(MERGE));
    assert_eq!(request.merge_tree.as_deref(), Some(TREE));
    assert_eq!(request.base_sha.as_deref(), Some(BASE));
    assert_eq!(
        (request.base_ref.as_str(), request.flavour.as_str()),
        ("main", "default")
    );
    assert_eq!(request.builders, ["linux"]);
    assert_eq!(request.repository.full_name, "o/r");
    assert_eq!(request.trigger.event_id, EVENT);
    assert_eq!(request.trigger.user.id, CORE);
    assert_eq!(request.trigger.permission, "write");
    assert_eq!(request.trigger.evidence, Evidence::Label);
}

#[test]
fn the_bare_head_is_built_where_that_is_asked_for() {
    let request = Scene::good()
        .policy(json!({ "checkout": "Head" }))
        .with(|scene| scene.facts.merge = None)
        .built();
    assert_eq!(request.head_sha, HEAD);
    assert_eq!(
        (request.merge_sha, request.merge_tree, request.base_sha),
        (None, None, None)
    );
}

#[test]
fn what_is_not_known_is_asked_for_and_never_assumed() {
    let without = |change: fn(&mut Facts)| Scene::good().with(|s| change(&mut s.facts)).said();
    assert_eq!(without(|f| f.pull = None), "ask Pull");
    assert_eq!(without(|f| f.events = None), "ask Events");
    assert_eq!(
        without(|f| f.answered = None),
        "ask Answered(\"app-7-l777\")"
    );
    assert_eq!(without(|f| f.merge = None), "ask Merge");
    assert!(without(|f| drop(f.rights.remove(&CORE))).starts_with("ask Right([User { id: 10"));
    assert!(without(|f| f.movements = None).starts_with("ask Movements"));
    let lagging = Scene::good().with(|s| s.facts.events = Some(github::LabelEvents::default()));
    assert_eq!(lagging.said(), "ask EventsAgain");
    let team = Scene::good().policy(json!({ "authorization": { "team": "o/core" } }));
    let question = format!(
        "{:?}",
        Question::Team {
            organization: "o".to_owned(),
            slug: "core".to_owned(),
            login: "u10".to_owned(),
        }
    );
    assert_eq!(team.said(), format!("ask {question}"));
    let somebody_else = team.with(|s| s.facts.team = Some(("other".to_owned(), true)));
    assert_eq!(somebody_else.said(), format!("ask {question}"));
    let mover = Scene::good().moved(LABEL - 5, 40);
    assert!(mover.said().starts_with("ask Right([User { id: 40"));
    let unreviewed = Scene::good().moved(LABEL - 5, AUTHOR);
    assert_eq!(
        unreviewed.clone().with(|s| s.facts.reviews = None).said(),
        "ask Reviews"
    );
    assert_eq!(
        unreviewed.with(|s| s.facts.refusals = None).said(),
        "ask Refusals"
    );
    let hint = Scene::good().with(|s| {
        s.facts.movements.as_mut().expect("movements").of.1 = "another-branch".to_owned();
    });
    assert!(
        hint.said().starts_with("ask Movements"),
        "a wrong hint is no fact"
    );
}

#[test]
fn a_fork_is_told_by_its_number_and_never_by_a_name_that_may_change_hands() {
    let fork = |change: fn(&mut github::ForkRef)| {
        Scene::good().pull(|pull| change(pull.head.repo.as_mut().expect("a fork")))
    };
    let renamed = fork(|fork| fork.full_name = "author/renamed".to_owned());
    assert_eq!(renamed.built().head_sha, HEAD);
    let another = fork(|fork| fork.id = 3);
    let question = Question::Movements {
        repository: 3,
        branch: "topic".to_owned(),
    };
    assert_eq!(another.said(), format!("ask {question:?}"));
}

fn refusal(user: i64, given: i64, moved: i64) -> Refusal {
    Refusal {
        reason: AnswerReason::HeadMovedBefore,
        user,
        given_at: at(given),
        movement: Movement {
            by: None,
            at: Time(at(moved)),
        },
    }
}

#[test]
fn the_same_persons_next_label_confirms_a_movement_that_they_were_told_of() {
    let moved = Scene::good().moved(LABEL - 30, AUTHOR);
    let told = refusal(CORE, LABEL - 20, LABEL - 30);
    for (what, refusal, expected) in [
        ("told, and set again", told.clone(), "build"),
        (
            "told somebody else",
            Refusal {
                user: 99,
                ..told.clone()
            },
            "HeadMovedBefore",
        ),
        (
            "told after the label",
            refusal(CORE, LABEL, LABEL - 30),
            "HeadMovedBefore",
        ),
        (
            "told of an older movement",
            refusal(CORE, LABEL - 20, LABEL - 31),
            "HeadMovedBefore",
        ),
        (
            "told in the same second",
            refusal(CORE, LABEL - 30, LABEL - 30),
            "HeadMovedBefore",
        ),
        (
            "told of something else",
            Refusal {
                reason: AnswerReason::Conflict,
                ..told
            },
            "HeadMovedBefore",
        ),
    ] {
        let scene = moved
            .clone()
            .with(|s| s.facts.refusals = Some(vec![refusal]));
        assert_eq!(scene.said(), expected, "{what}");
    }
}

#[test]
fn a_push_after_the_movement_that_was_told_is_not_confirmed_whoever_made_that_one() {
    // An App pushes, the labeller is told of it, the author pushes once more, the label is set again.
    let by_app = Entry {
        by: Some(github::User {
            kind: "Bot".to_owned(),
            ..user(50)
        }),
        ..movement(LABEL - 30, 50)
    };
    let scene = Scene::good().with(|s| {
        s.facts.movements = seen(vec![movement(LABEL - 10, 40), by_app]);
        s.facts.refusals = Some(vec![refusal(CORE, LABEL - 20, LABEL - 30)]);
    });
    assert!(scene.said().starts_with("ask Right([User { id: 40"));
    let stranger = scene.clone().with(|s| {
        s.facts.rights.insert(40, right("read", "read"));
    });
    assert_eq!(stranger.said(), "HeadMovedBefore");
    let told = stranger.refused().into_object().spec.facts.movement;
    assert_eq!(told.map(|movement| movement.at.0), Some(at(LABEL - 10)));
    let core = scene.with(|s| {
        s.facts.rights.insert(40, right("write", "write"));
    });
    assert_eq!(core.said(), "build");
}

#[test]
fn a_refusal_names_the_movement_and_never_a_sha() {
    let refused = Scene::good()
        .moved(LABEL - 28, AUTHOR)
        .refused()
        .into_object();
    let movement = refused.spec.facts.movement.clone().expect("a movement");
    assert_eq!(movement.at.0, at(LABEL - 28));
    assert_eq!(movement.by.map(|by| by.id), Some(AUTHOR));
    let text = serde_json::to_string(&refused).expect("JSON");
    for sha in [HEAD, OTHER, BASE, MERGE] {
        assert!(!text.contains(sha), "{text}");
    }
}

#[test]
fn a_typed_sha_makes_movements_irrelevant() {
    let scene = Scene::command(&format!("/prbuild run {HEAD}")).moved(LABEL, AUTHOR);
    let request = scene.built();
    assert_eq!(request.trigger.evidence, Evidence::ExactSha);
    assert_eq!(request.flavour, "default");
    assert_eq!(
        request.trigger.command,
        Some(format!("/prbuild run {HEAD}"))
    );
}

#[test]
fn s20_a_command_is_only_good_for_exactly_the_head() {
    let run = format!("/prbuild run {HEAD}");
    let cases: Vec<(&str, Scene, &str)> = vec![
        ("the head", Scene::command(&run), "build"),
        (
            "another commit",
            Scene::command(&format!("/prbuild run {OTHER}")),
            "WrongSha",
        ),
        (
            "a prefix",
            Scene::command(&format!("/prbuild run {}", &HEAD[..12])),
            "WrongSha",
        ),
        (
            "other words",
            Scene::command("/prbuild dance"),
            "UnknownCommand",
        ),
        (
            "edited since",
            Scene::command(&run).with(|s| {
                s.facts
                    .comment
                    .as_mut()
                    .expect("a comment")
                    .comment
                    .updated_at = at(LABEL + 1);
            }),
            "nothing: comment_changed",
        ),
        (
            "deleted since",
            Scene::command(&run).with(|s| {
                (s.facts.comment, s.facts.comment_gone) = (None, true);
            }),
            "nothing: comment_gone",
        ),
        (
            "another text than delivered",
            Scene::command(&run).with(|s| {
                s.facts.comment.as_mut().expect("a comment").said = Vec::new();
            }),
            "nothing: comment_changed",
        ),
        (
            "on another pull request",
            Scene::command(&run).with(|s| {
                s.facts.comment.as_mut().expect("a comment").comment.number = Some(8);
            }),
            "nothing: comment_changed",
        ),
        (
            "forged: written by another",
            Scene::command(&run).with(|s| {
                s.facts.comment.as_mut().expect("a comment").comment.user = Some(user(AUTHOR));
            }),
            "ActorMismatch",
        ),
        (
            "closed",
            Scene::command(&run).pull(|p| p.state = "closed".to_owned()),
            "Closed",
        ),
    ];
    for (what, scene, expected) in cases {
        assert_eq!(scene.said(), expected, "{what}");
    }
}

#[test]
fn strangers_commands_get_a_reaction_and_people_a_sentence() {
    let run = format!("/prbuild run {HEAD}");
    let manner = |scene: Scene| scene.refused().into_object().spec.manner;
    let stranger = |s: &mut Scene| drop(s.facts.rights.insert(CORE, right("read", "read")));
    assert_eq!(
        manner(Scene::command(&run).with(stranger)),
        Manner::Reaction
    );
    assert_eq!(manner(Scene::good().with(stranger)), Manner::Comment);
    assert_eq!(manner(Scene::command("/prbuild dance")), Manner::Comment);
    let old = |s: &mut Scene| s.facts.now = Some(at(LABEL + 90_000));
    assert_eq!(manner(Scene::good().with(old)), Manner::Silent);
    let forged = |s: &mut Scene| s.request.told.as_mut().expect("told").sender = user(99);
    assert_eq!(manner(Scene::good().with(forged)), Manner::Silent);
}

#[test]
fn a_label_for_triagers_takes_triagers_and_a_command_does_not() {
    let rules = json!({ "labels": [{ "name": "test", "minimum": "Triage" }] });
    let triager = |s: &mut Scene| drop(s.facts.rights.insert(CORE, right("read", "triage")));
    let label = Scene::good().policy(rules.clone()).with(triager);
    assert_eq!(label.built().trigger.permission, "triage");
    let command = Scene::command(&format!("/prbuild run {HEAD}"))
        .policy(rules)
        .with(triager);
    let refused = command.refused().into_object();
    assert_eq!(refused.spec.reason, AnswerReason::Permission);
    assert_eq!(
        refused.spec.facts.needed.as_deref(),
        Some(Permission::Write.word())
    );
    assert_eq!(refused.spec.trigger.permission, "triage");
}

#[test]
fn an_approval_counts_for_nothing_where_later_reviews_were_not_read() {
    let unseen = Scene::good()
        .with(|s| s.facts.movements = seen(Vec::new()))
        .pull(|p| p.head.repo.as_mut().expect("a fork").pushed_at = Some(at(LABEL - 60)))
        .approved(REVIEWER, HEAD);
    assert_eq!(unseen.said(), "build");
    let unseen = unseen.much_reviewed();
    let refused = unseen.refused().into_object();
    assert_eq!(refused.spec.reason, AnswerReason::MovementUnknown);
    let why = refused.spec.facts.detail.unwrap_or_default();
    assert!(why.contains("more reviews than are read"), "{why}");
    let moved = Scene::good()
        .moved(LABEL - 5, AUTHOR)
        .approved(REVIEWER, HEAD);
    assert_eq!(moved.said(), "build");
    assert_eq!(moved.much_reviewed().said(), "HeadMovedBefore");

    // The full SHA is the way out, but for those who ask for a review.
    let builders = [
        builder("lan", json!({ "evidence": "Review" })),
        builder("sha", json!({ "evidence": "ExactSha" })),
    ];
    let of_both = |scene: Scene| {
        let scene = scene.with(|s| s.builders.extend(builders.clone()));
        scene.approved(REVIEWER, HEAD).much_reviewed().built()
    };
    let label = of_both(Scene::good());
    assert_eq!(label.builders, ["linux"]);
    let reasons: Vec<&str> = label
        .left_out
        .iter()
        .map(|one| one.reason.as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "It needs an approval, and this pull request has more reviews than are read. \
             Open a new pull request, and have that approved.",
            "It needs the full SHA: write `/prbuild run <full SHA>`.",
        ]
    );
    let command = of_both(Scene::command(&format!("/prbuild run {HEAD}")));
    assert_eq!(command.builders, ["linux", "sha"]);
    assert_eq!(command.trigger.evidence, Evidence::ExactSha);
}

#[test]
fn the_strongest_evidence_decides_who_runs() {
    let builders = vec![
        builder("anybody", json!({})),
        builder("lan", json!({ "evidence": "Review" })),
        builder("sha", json!({ "evidence": "ExactSha" })),
    ];
    let with = |scene: Scene| scene.with(|s| s.builders = builders.clone()).built();
    let label = with(Scene::good());
    assert_eq!(label.builders, ["anybody"]);
    assert_eq!(label.left_out.len(), 2);
    let command = with(Scene::command(&format!("/prbuild run {HEAD}")));
    assert_eq!(command.builders, ["anybody", "sha"]);
    let approved = with(Scene::good().approved(REVIEWER, HEAD));
    assert_eq!(approved.builders, ["anybody", "lan", "sha"]);
    assert_eq!(approved.trigger.evidence, Evidence::Review);
}
