//! Pure: whether an answer is said, and how, after what was said before.
//!
//! Anybody can write comments, so what they are answered is bounded: nobody can use up what GitHub
//! lets PrBuild say. It is counted by events, not by what was said, so that a restart forgets nothing.

use crds::{Answer, AnswerReason, Manner, TriggerKind};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::answer::given;

/// What is counted.
const WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// Answers to one person's comments.
const PERSON: usize = 20;
/// Answers on one pull request to comments of people without rights.
const STRANGERS_THERE: usize = 10;
/// Answers to comments of people without rights.
const STRANGERS: usize = 60;

/// How an answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// A comment, in place of this one where there is one.
    Comment(Option<i64>),
    /// A reaction on the comment that asked.
    Reaction,
    /// Not at all.
    Silent,
    /// Not at all: it would be too many.
    Withheld,
}

/// How an answer is given; `others` are all answers of its connection.
pub fn voice<'a>(answer: &Answer, others: impl IntoIterator<Item = &'a Answer>) -> Voice {
    let others: Vec<&Answer> = others
        .into_iter()
        .filter(|other| other.uid() != answer.uid())
        .collect();
    let kind = answer.spec.trigger.kind;
    match answer.spec.manner {
        Manner::Silent | Manner::Unknown => return Voice::Silent,
        // There is nothing to react to but a comment, and one reaction says it of all its commands.
        Manner::Reaction if kind != TriggerKind::Comment || has_reaction(answer, &others) => {
            return Voice::Silent;
        }
        Manner::Reaction | Manner::Comment => {}
    }
    let is_comment = answer.spec.manner == Manner::Comment;
    let (older, newer) = standing(answer, &others);
    // Who asked later was told already, in the place where this would stand.
    if is_comment && newer {
        return Voice::Silent;
    }
    if is_too_many(answer, &others) {
        return Voice::Withheld;
    }
    match is_comment {
        true => Voice::Comment(older),
        false => Voice::Reaction,
    }
}

/// Whether the comment has, or gets, the reaction by another of its commands.
fn has_reaction(answer: &Answer, others: &[&Answer]) -> bool {
    let comment = |answer: &Answer| {
        let (spec, trigger) = (&answer.spec, &answer.spec.trigger);
        let is_reaction = spec.manner == Manner::Reaction && trigger.kind == TriggerKind::Comment;
        is_reaction.then(|| {
            (
                spec.repository.id,
                crds::names::comment_of(trigger.event_id),
            )
        })
    };
    let ours = comment(answer);
    others.iter().any(|other| {
        let has_it = given_as(other) == Some(given::REACTION);
        comment(other) == ours && (has_it || moment(other) < moment(answer))
    })
}

/// The comment of the newest older answer of the same kind on the same pull request, and whether a
/// comment of a newer one stands.
fn standing(answer: &Answer, others: &[&Answer]) -> (Option<i64>, bool) {
    let spec = &answer.spec;
    let is_same = |other: &&&Answer| {
        other.spec.repository.id == spec.repository.id
            && other.spec.number == spec.number
            && other.spec.reason == spec.reason
            && (!is_personal(spec.reason) || other.spec.trigger.user.id == spec.trigger.user.id)
    };
    let mut all: Vec<((Timestamp, i64), i64)> = others
        .iter()
        .filter(is_same)
        .filter_map(|other| Some((moment(other), other.status.as_ref()?.comment_id?)))
        .collect();
    all.sort_unstable();
    let (older, newer) = all.split_at(all.partition_point(|(at, _)| *at < moment(answer)));
    (older.last().map(|(_, id)| *id), !newer.is_empty())
}

/// Whether the sentence tells one person what they can do, which it does not tell another.
fn is_personal(reason: AnswerReason) -> bool {
    use AnswerReason as R;
    matches!(
        reason,
        R::HeadMovedBefore | R::HeadMovedAfter | R::MovementUnknown
    )
}

/// Whether as many were said within the hour before this event as are said in an hour. Events come out
/// of order, too, as the sweep finds them: of later ones those count that were given already. Labels
/// and buttons are in the hands of people with rights.
fn is_too_many(answer: &Answer, others: &[&Answer]) -> bool {
    let trigger = &answer.spec.trigger;
    if trigger.kind != TriggerKind::Comment {
        return false;
    }
    let (at, person) = (moment(answer), trigger.user.id);
    let lately = others.iter().filter(|other| {
        let is_said = other.spec.manner == Manner::Comment || other.spec.manner == Manner::Reaction;
        let is_near = at.0.duration_since(moment(other).0).abs() < WITHIN;
        let is_before = moment(other) < at || given_as(other).is_some();
        is_said
            && is_near
            && is_before
            && other.spec.trigger.kind == TriggerKind::Comment
            && given_as(other) != Some(given::SILENT)
    });
    let (mut theirs, mut strangers, mut strangers_there) = (0, 0, 0);
    for other in lately {
        theirs += usize::from(other.spec.trigger.user.id == person);
        if is_stranger(other) {
            let there = (&other.spec.repository.id, other.spec.number)
                == (&answer.spec.repository.id, answer.spec.number);
            strangers += 1;
            strangers_there += usize::from(there);
        }
    }
    let too_many_strangers = strangers >= STRANGERS || strangers_there >= STRANGERS_THERE;
    theirs >= PERSON || (is_stranger(answer) && too_many_strangers)
}

/// Whether the person has no right that not everybody has, as far as was found out.
fn is_stranger(answer: &Answer) -> bool {
    let known = answer.spec.trigger.permission.as_str();
    matches!(known, "none" | "read" | "unknown" | "")
}

/// When an event was; those of one second by their numbers, which in a comment is the order of its
/// commands.
fn moment(answer: &Answer) -> (Timestamp, i64) {
    (answer.spec.trigger.time.0, answer.spec.trigger.event_id)
}

fn given_as(answer: &Answer) -> Option<&str> {
    answer.status.as_ref()?.given.as_deref()
}

#[cfg(test)]
#[path = "restraint_tests.rs"]
mod tests;
