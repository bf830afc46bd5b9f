//! Every sentence, and what it never contains.

use crds::{Evidence, Facts, Manner, Movement, Person, RepositoryRef, Trigger, TriggerKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

pub const ALL: [AnswerReason; 26] = [
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
    AnswerReason::Pattern,
    AnswerReason::NoMatch,
    AnswerReason::TooMany,
    AnswerReason::NoBuild,
    AnswerReason::Help,
    AnswerReason::Status,
    AnswerReason::Cancelled,
    AnswerReason::Paused,
    AnswerReason::TooOld,
    AnswerReason::Unknown,
];

/// Why no approval helps.
pub const MUCH_REVIEWED: &str =
    "This pull request has more reviews than are read, so no approval counts here.";

fn at(second: i64) -> Time {
    Time(jiff::Timestamp::from_second(second).unwrap())
}

pub fn answer(reason: AnswerReason, kind: TriggerKind, facts: Facts) -> AnswerSpec {
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

pub fn moved(login: &str) -> Facts {
    let by = Some(Person {
        id: 2,
        login: login.to_owned(),
    });
    Facts {
        movement: Some(Movement { by, at: at(72) }),
        ..Facts::default()
    }
}

pub fn told(subject: Option<&str>, detail: &str) -> Facts {
    Facts {
        subject: subject.map(str::to_owned),
        detail: (!detail.is_empty()).then(|| detail.to_owned()),
        ..Facts::default()
    }
}

pub fn about(subject: &str) -> Facts {
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
            MovementUnknown,
            Label,
            told(None, MUCH_REVIEWED),
            "I cannot see when this branch last moved. This pull request has more reviews than are read, so no \
             approval counts here. Write `/prbuild run <full SHA>`.",
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
        assert_eq!(
            sentence(&answer(reason, kind, facts), &House::default()),
            words
        );
    }
}

#[test]
fn a_mistake_in_a_command_gets_one_friendly_sentence_that_says_what_to_do() {
    use AnswerReason::{Cancelled, NoBuild, NoMatch, Pattern, Paused, TooMany, UnknownCommand};
    let table = [
        (
            UnknownCommand,
            told(Some("/prbuild stop"), "Did you mean `cancel`?"),
            "`/prbuild stop` is not a command. Did you mean `cancel`? `/prbuild help` lists what there is.",
        ),
        (
            UnknownCommand,
            told(Some("/prbuild xyzzy"), ""),
            "`/prbuild xyzzy` is not a command. `/prbuild help` lists what there is.",
        ),
        (
            Pattern,
            told(Some("(a"), "It cannot be read: unclosed group."),
            "The regular expression `(a` cannot be used; nothing was built. \
             It cannot be read: unclosed group. Correct it and write it again.",
        ),
        (
            NoMatch,
            told(Some("s930x"), "Did you mean `s390x Debian`?"),
            "`s930x` is no builder here; nothing was built. Did you mean `s390x Debian`? `/prbuild help` lists what there is.",
        ),
        (
            TooMany,
            told(
                Some(".*"),
                "It finds 300 builders, and one build has at most 256.",
            ),
            "`.*` asks for too much at once; nothing was built. \
             It finds 300 builders, and one build has at most 256. Ask for less.",
        ),
        (
            NoBuild,
            told(
                Some("iOS"),
                "It neither waits nor runs for this pull request.",
            ),
            "Nothing to do for `iOS`. It neither waits nor runs for this pull request.",
        ),
        (
            NoBuild,
            told(None, "Every builder of the newest build passed."),
            "Nothing to do. Every builder of the newest build passed.",
        ),
        (
            Cancelled,
            told(None, "2 builds are stopping."),
            "2 builds are stopping.",
        ),
        (
            Cancelled,
            told(Some("iOS"), "1 run is stopping."),
            "`iOS`: 1 run is stopping.",
        ),
        (
            Paused,
            Facts::default(),
            "Builds are paused here by the infrastructure team; nothing was built. When they go on, write the command again.",
        ),
    ];
    for (reason, facts, words) in table {
        let answer = answer(reason, TriggerKind::Comment, facts);
        assert_eq!(sentence(&answer, &House::default()), words);
    }
    let label = answer(
        Pattern,
        TriggerKind::Label,
        told(Some("("), "It cannot be read."),
    );
    assert_eq!(
        sentence(&label, &House::default()),
        "The regular expression of this label, `(`, cannot be used; nothing was built. \
         It cannot be read. The infrastructure team can correct it."
    );
}

#[test]
fn cpythons_own_words_answer_its_own_command() {
    let mut nothing = answer(
        AnswerReason::NoMatch,
        TriggerKind::Comment,
        told(Some("beos"), "Did you mean `iOS`?"),
    );
    nothing.trigger.command = Some("!BuildBot beos".to_owned());
    let house = House {
        preset: Preset::Cpython,
        ..House::default()
    };
    assert_eq!(
        sentence(&nothing, &house),
        "The regex `beos` did not match any buildbot builder. \
         Is the requested builder in the list of stable builders? Did you mean `iOS`?"
    );
    assert_eq!(
        sentence(&nothing, &House::default()),
        "`beos` matches no builder here; nothing was built. Did you mean `iOS`? `/prbuild help` lists what there is."
    );
    nothing.reason = AnswerReason::Permission;
    assert_eq!(
        sentence(&nothing, &house),
        "You don't have write permissions to trigger a build"
    );
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
        sentence(&gone, &House::default()),
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
            &House::default()
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
                let words = sentence(&answer, &House::default());
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
