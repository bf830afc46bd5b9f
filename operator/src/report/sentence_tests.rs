//! Every sentence, and what it never contains.

use crds::{Evidence, Facts, Manner, Movement, Person, RepositoryRef, Trigger};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

pub const ALL: [AnswerReason; 18] = [
    AnswerReason::Permission,
    AnswerReason::Denied,
    AnswerReason::Team,
    AnswerReason::Bot,
    AnswerReason::ThroughApp,
    AnswerReason::ActorMismatch,
    AnswerReason::HeadMovedBefore,
    AnswerReason::HeadMovedAfter,
    AnswerReason::MovementUnknown,
    AnswerReason::Closed,
    AnswerReason::ForkDeleted,
    AnswerReason::BaseBranch,
    AnswerReason::Conflict,
    AnswerReason::NoBuilder,
    AnswerReason::WrongSha,
    AnswerReason::UnknownCommand,
    AnswerReason::TooOld,
    AnswerReason::Unknown,
];

fn at(second: i64) -> Time {
    Time(jiff::Timestamp::from_second(second).unwrap())
}

fn answer(reason: AnswerReason, kind: TriggerKind, facts: Facts) -> AnswerSpec {
    AnswerSpec {
        repository: RepositoryRef {
            name: "n".into(),
            id: 1,
            full_name: "o/n".into(),
        },
        number: 7,
        trigger: Trigger {
            kind,
            event_id: 1,
            time: at(100),
            label: Some("test".to_owned()),
            command: Some("/prbuild frob".to_owned()),
            user: Person {
                id: 1,
                login: "b".to_owned(),
            },
            permission: "triage".to_owned(),
            evidence: Evidence::Label,
        },
        reason,
        manner: Manner::Comment,
        facts,
    }
}

fn moved(login: &str) -> Facts {
    let by = Some(Person {
        id: 2,
        login: login.to_owned(),
    });
    Facts {
        movement: Some(Movement { by, at: at(72) }),
        ..Facts::default()
    }
}

fn about(subject: &str) -> Facts {
    Facts {
        subject: Some(subject.to_owned()),
        ..Facts::default()
    }
}

#[test]
fn a_refusal_says_what_happened_and_what_to_do() {
    use AnswerReason::{
        Conflict, HeadMovedAfter, HeadMovedBefore, MovementUnknown, Permission, Team, ThroughApp,
    };
    use TriggerKind::{Comment, Label};
    let needed = Facts {
        needed: Some("write".to_owned()),
        ..Facts::default()
    };
    let table = [
        (
            HeadMovedBefore,
            Label,
            moved("a"),
            "`@a` pushed 28 s before your label. Look at the changes, then add the label again to build them.",
        ),
        (
            HeadMovedBefore,
            Label,
            Facts::default(),
            "Somebody pushed shortly before your label. Look at the changes, then add the label again to build them.",
        ),
        (
            HeadMovedAfter,
            Label,
            moved("a"),
            "`@a` pushed after your label; nothing was built. Review and add it again.",
        ),
        (
            HeadMovedAfter,
            Comment,
            moved("a"),
            "`@a` pushed after your command; nothing was built. Review and write it again.",
        ),
        (
            Permission,
            Label,
            needed,
            "This label needs write access (you have triage). A core developer can add it.",
        ),
        (
            MovementUnknown,
            Label,
            Facts::default(),
            "I cannot see when this branch last moved. Approve this commit, or write `/prbuild run <full SHA>`.",
        ),
        (
            ThroughApp,
            Label,
            about("X"),
            "Labels set through the app `X` do not start builds; add it on github.com.",
        ),
        (
            Team,
            Label,
            about("python/core"),
            "This label needs an active member of the team `python/core`. One of them can help.",
        ),
        (
            Conflict,
            Label,
            about("main"),
            "This does not merge with `main`; nothing was built. Update the branch, then add the label again.",
        ),
    ];
    for (reason, kind, facts, words) in table {
        assert_eq!(sentence(&answer(reason, kind, facts), "/prbuild"), words);
    }
}

#[test]
fn what_is_not_known_is_not_said_and_several_reasons_stand_in_one_line() {
    let mut gone = answer(
        AnswerReason::Permission,
        TriggerKind::Label,
        Facts::default(),
    );
    gone.trigger.permission = "unknown".to_owned();
    assert_eq!(
        sentence(&gone, "/prbuild"),
        "This label needs write access. A core developer can add it."
    );
    let detail = Some("`lan`: needs an approval\n`arm`: is paused".to_owned());
    let facts = Facts {
        detail,
        ..Facts::default()
    };
    assert_eq!(
        sentence(
            &answer(AnswerReason::NoBuilder, TriggerKind::Label, facts),
            "/prbuild"
        ),
        "No builder is left for this label; nothing was built. `lan`: needs an approval; `arm`: is paused"
    );
}

#[test]
fn no_answer_contains_a_sha_or_mentions_anybody_whatever_the_facts_are() {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let hostile = format!(
        "{sha} `{sha}` @python/core-devs #1 <img src=x> [x](http://e.vil) {}",
        &sha[..7]
    );
    let facts = Facts {
        movement: Some(Movement {
            by: Some(Person {
                id: 2,
                login: sha[..39].to_owned(),
            }),
            at: at(1),
        }),
        needed: Some(hostile.clone()),
        subject: Some(hostile.clone()),
        detail: Some(hostile.clone()),
    };
    let hexes = |text: &str| {
        let runs = text.split(|character: char| !character.is_ascii_hexdigit());
        runs.map(str::len).max().unwrap_or(0)
    };
    for reason in ALL {
        for kind in [
            TriggerKind::Label,
            TriggerKind::Comment,
            TriggerKind::Button,
        ] {
            for facts in [facts.clone(), Facts::default()] {
                let mut answer = answer(reason, kind, facts);
                answer.trigger.permission = hostile.clone();
                answer.trigger.command = Some(hostile.clone());
                let words = sentence(&answer, "/prbuild");
                assert!(hexes(&words) < 7, "{words}");
                assert!(
                    words.chars().count() > 20 && !words.contains('\n'),
                    "{words}"
                );
                for markdown in words.split('`').step_by(2) {
                    assert!(
                        !markdown.contains("@p") && !markdown.contains("<img"),
                        "{words}"
                    );
                    assert!(
                        !markdown.contains("](") && !markdown.contains("#1"),
                        "{words}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_kind_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> = ALL.into_iter().map(kind).collect();
    assert_eq!(words.len(), ALL.len());
}
