//! Who is answered when many ask, and in place of what.

use AnswerReason::{Closed, HeadMovedBefore, Permission, UnknownCommand};
use crds::{
    AnswerSpec, AnswerStatus, Evidence, Facts, Person, RepositoryRef, Trigger, names::command_event,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

/// An answer to somebody without rights, on a comment of its own.
fn answer(event_id: i64, second: i64, reason: AnswerReason) -> Answer {
    let spec = AnswerSpec {
        repository: RepositoryRef {
            name: "n".into(),
            id: 1,
            full_name: "o/n".into(),
        },
        number: 7,
        trigger: Trigger {
            kind: TriggerKind::Comment,
            event_id,
            time: Time(Timestamp::from_second(second).unwrap()),
            label: None,
            command: Some("/prbuild run".to_owned()),
            user: Person {
                id: 1,
                login: "eve".to_owned(),
            },
            permission: "read".to_owned(),
            evidence: Evidence::Label,
        },
        reason,
        manner: Manner::Comment,
        facts: Facts::default(),
    };
    let mut answer = Answer::new("a", spec);
    answer.metadata.uid = Some(format!("{event_id} {second} {reason:?}"));
    answer
}

fn reaction(event_id: i64, second: i64) -> Answer {
    let mut answer = answer(event_id, second, Permission);
    answer.spec.manner = Manner::Reaction;
    answer
}

fn with_comment(mut answer: Answer, id: i64) -> Answer {
    answer.status = Some(AnswerStatus {
        comment_id: Some(id),
        ..AnswerStatus::default()
    });
    answer
}

/// By somebody with the right to write.
fn trusted(mut answer: Answer, user: i64) -> Answer {
    answer.spec.trigger.permission = "write".to_owned();
    answer.spec.trigger.user.id = user;
    answer
}

/// Gives answers one after another, as the operator does, and tells how.
fn give_all(answers: Vec<Answer>) -> Vec<Voice> {
    let mut before: Vec<Answer> = Vec::new();
    let mut voices = Vec::new();
    for mut answer in answers {
        let voice = voice(&answer, &before);
        let given = match voice {
            Voice::Comment(_) => given::COMMENT,
            Voice::Reaction => given::REACTION,
            Voice::Silent | Voice::Withheld => given::SILENT,
        };
        answer.status.get_or_insert_default().given = Some(given.to_owned());
        before.push(answer);
        voices.push(voice);
    }
    voices
}

fn said(voices: &[Voice]) -> usize {
    let said = voices
        .iter()
        .filter(|voice| matches!(voice, Voice::Comment(_) | Voice::Reaction));
    said.count()
}

#[test]
fn an_answer_replaces_the_newest_of_its_kind_on_its_pull_request() {
    let this = answer(9, 100, Closed);
    let mut elsewhere = with_comment(answer(4, 40, Closed), 4);
    elsewhere.spec.number = 8;
    let others = [
        with_comment(answer(2, 20, Closed), 2),
        with_comment(answer(1, 10, Closed), 1),
        with_comment(answer(3, 30, Permission), 3),
        elsewhere,
        with_comment(this.clone(), 5),
        answer(6, 50, Closed),
    ];
    assert_eq!(voice(&this, &others), Voice::Comment(Some(2)));
    assert_eq!(voice(&others[3], &others[..3]), Voice::Comment(None));
}

#[test]
fn an_older_answer_never_overwrites_a_newer_one() {
    let swept = answer(1, 100, Closed);
    let newer = with_comment(answer(2, 101, Closed), 2);
    assert_eq!(voice(&swept, [&newer]), Voice::Silent);
    let older = with_comment(answer(3, 99, Closed), 3);
    assert_eq!(voice(&newer, [&swept, &older]), Voice::Comment(Some(3)));
}

#[test]
fn what_one_person_can_do_next_is_not_replaced_by_what_another_can() {
    let theirs = with_comment(trusted(answer(1, 10, HeadMovedBefore), 5), 1);
    let this = answer(2, 20, HeadMovedBefore);
    assert_eq!(voice(&this, [&theirs]), Voice::Comment(None));
    let again = trusted(answer(3, 30, HeadMovedBefore), 5);
    assert_eq!(voice(&again, [&theirs]), Voice::Comment(Some(1)));
}

#[test]
fn a_comment_gets_one_reaction_however_many_commands_it_has() {
    let commands = (0..6).map(|ordinal| reaction(command_event(4711, ordinal), 10));
    let mut all: Vec<Answer> = commands.collect();
    all.push(reaction(4712, 11));
    use Voice::{Reaction, Silent};
    let once = [Reaction, Silent, Silent, Silent, Silent, Silent, Reaction];
    assert_eq!(give_all(all.clone()), once);
    all.reverse();
    assert_eq!(said(&give_all(all)), 2);
}

#[test]
fn a_reaction_needs_a_comment() {
    let mut this = reaction(1, 10);
    this.spec.trigger.kind = TriggerKind::Label;
    assert_eq!(voice(&this, []), Voice::Silent);
}

#[test]
fn a_stranger_is_answered_a_few_times_an_hour_and_then_no_more() {
    let comments = (0..480).map(|number| match number % 2 {
        0 => reaction(number, number * 7),
        _ => answer(number, number * 7, UnknownCommand),
    });
    assert_eq!(said(&give_all(comments.collect())), STRANGERS_THERE);
    // The next hour is another.
    let hours = (0..3).map(|hour| reaction(hour, hour * 3600));
    assert_eq!(said(&give_all(hours.collect())), 3);
}

#[test]
fn a_stranger_is_answered_no_more_often_when_the_newest_event_is_found_first() {
    let mut comments: Vec<Answer> = (0..480)
        .map(|number| reaction(number, number * 7))
        .collect();
    comments.reverse();
    assert_eq!(said(&give_all(comments)), STRANGERS_THERE);
    let hours = (0..3).rev().map(|hour| reaction(hour, hour * 3600));
    assert_eq!(said(&give_all(hours.collect())), 3);
}

#[test]
fn many_strangers_on_many_pull_requests_keep_nobody_with_rights_from_an_answer() {
    let mut comments: Vec<Answer> = (0..480)
        .map(|number| {
            let mut one = reaction(number, number);
            one.spec.trigger.user.id = number;
            one.spec.number = number + 1;
            one
        })
        .collect();
    comments.push(trusted(answer(500, 500, UnknownCommand), 1000));
    let voices = give_all(comments);
    assert_eq!(said(&voices), STRANGERS + 1);
    assert_eq!(voices.last(), Some(&Voice::Comment(None)));
    assert_eq!(voices[STRANGERS], Voice::Withheld);
}

#[test]
fn one_person_with_rights_has_an_allowance_and_labels_have_none() {
    let comments = (0..40).map(|number| trusted(answer(number, number, UnknownCommand), 5));
    assert_eq!(said(&give_all(comments.collect())), PERSON);
    let labels = (0..40).map(|number| {
        let mut one = trusted(answer(number, number, Closed), 5);
        one.spec.trigger.kind = TriggerKind::Label;
        one
    });
    assert_eq!(said(&give_all(labels.collect())), 40);
}

#[test]
fn the_page_of_commands_says_how_much_is_answered_and_how_long_a_build_can_be_repeated() {
    let page = include_str!("../../../docs/commands.md");
    assert_eq!(WITHIN.as_hours(), 1);
    for sentence in [
        format!("Comments are answered {PERSON} times an hour for each person"),
        format!("people without rights {STRANGERS_THERE} times on a pull request"),
        format!("and {STRANGERS} times on a connection"),
        format!(
            "repeated for {} hours after it ended",
            crate::housekeeping::KEEP_BUILDS.as_hours()
        ),
    ] {
        assert!(page.contains(&sentence), "{sentence}");
    }
}
