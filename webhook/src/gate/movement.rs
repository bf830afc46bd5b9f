//! Whether the head stood still around a label. GitHub's times are whole seconds, so equality
//! counts as movement.

use jiff::Timestamp;

use super::facts::{Entry, MovementList};

/// What is asked of the movements.
pub(crate) struct Window<'a> {
    /// Today's head.
    pub head: &'a str,
    /// Start of the quiet period.
    pub start: Timestamp,
    /// The label.
    pub label: Timestamp,
    /// A delivery told the labelled head, and it is today's.
    pub told: bool,
    /// The last push to any branch of the head's repository: an upper bound.
    pub pushed_at: Option<Timestamp>,
}

/// What the movements say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stillness {
    /// Nobody whom we do not trust moved the head since the quiet period began.
    Still,
    /// Somebody did.
    Moved(Entry),
    /// GitHub does not tell.
    Unknown,
    /// It turns on whether these people may push.
    Ask(Vec<github::User>),
}

/// Judges the movements. `trusted` says whether somebody may push; None where that is not known yet.
pub(crate) fn judge(
    window: &Window<'_>,
    list: &MovementList,
    trusted: impl Fn(&github::User) -> Option<bool>,
) -> Stillness {
    let Some(newest) = list
        .entries
        .first()
        .filter(|entry| entry.after == window.head)
    else {
        return bounded(window);
    };
    let inside: Vec<&Entry> = list
        .entries
        .iter()
        .filter(|entry| entry.at >= window.start)
        .collect();
    if list.full && inside.len() == list.entries.len() {
        // There may be more of them than we can see.
        return Stillness::Moved(newest.clone());
    }
    let mut unknown: Vec<github::User> = Vec::new();
    for entry in inside {
        match is_trusted(window, entry, &trusted) {
            Some(true) => {}
            // The newest movement that counts is the one to be told of, and to be confirmed. Whoever moved
            // the head after this one is looked at first.
            Some(false) if unknown.is_empty() => return Stillness::Moved(entry.clone()),
            Some(false) => break,
            None => {
                if let Some(user) = entry.by.as_ref().filter(|user| !unknown.contains(user)) {
                    unknown.push(user.clone());
                }
            }
        }
    }
    match unknown.is_empty() {
        true => Stillness::Still,
        false => Stillness::Ask(unknown),
    }
}

/// Whether a movement changes nothing about what was labelled. None where that turns on a person's right.
fn is_trusted(
    window: &Window<'_>,
    entry: &Entry,
    trusted: impl Fn(&github::User) -> Option<bool>,
) -> Option<bool> {
    // Without a delivery nobody said which commit was labelled: a movement since then, by whomever,
    // means that it may not have been this one.
    if !window.told && entry.at >= window.label {
        return Some(false);
    }
    match entry.by.as_ref().filter(|user| user.is_person()) {
        Some(user) => trusted(user),
        None => Some(false),
    }
}

/// Without usable movements: no push to any branch at all since before the window.
fn bounded(window: &Window<'_>) -> Stillness {
    match window.pushed_at {
        Some(pushed) if pushed < window.start => Stillness::Still,
        _ => Stillness::Unknown,
    }
}

/// Whether GitHub's list can be used: it is about today's head.
pub(crate) fn is_usable(list: &MovementList, head: &str) -> bool {
    list.entries
        .first()
        .is_some_and(|entry| entry.after == head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 940;
    const LABEL: i64 = 1000;
    const CORE: i64 = 1;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn user(id: i64, kind: &str) -> github::User {
        github::User {
            id,
            login: format!("u{id}"),
            kind: kind.to_owned(),
        }
    }

    fn moved(second: i64, by: Option<github::User>, after: &str) -> Entry {
        Entry {
            after: after.to_owned(),
            at: at(second),
            by,
        }
    }

    fn by(second: i64, id: i64) -> Entry {
        moved(second, Some(user(id, "User")), "head")
    }

    fn judged(entries: &[Entry], full: bool, told: bool, pushed: Option<i64>) -> Stillness {
        let window = Window {
            head: "head",
            start: at(START),
            label: at(LABEL),
            told,
            pushed_at: pushed.map(at),
        };
        let list = MovementList {
            entries: entries.to_vec(),
            full,
        };
        judge(&window, &list, |user| match user.id {
            CORE => Some(true),
            99 => None,
            _ => Some(false),
        })
    }

    #[test]
    fn s16_the_second_in_which_the_quiet_period_begins_is_inside() {
        assert_eq!(
            judged(&[by(START - 1, 5)], false, true, None),
            Stillness::Still
        );
        for second in [START, START + 1, LABEL, LABEL + 30] {
            let entry = by(second, 5);
            assert_eq!(
                judged(std::slice::from_ref(&entry), false, true, None),
                Stillness::Moved(entry),
                "{second}"
            );
        }
    }

    #[test]
    fn s17_a_commit_that_was_pushed_before_and_brought_back_is_a_movement() {
        let entries = [
            moved(LABEL - 5, Some(user(5, "User")), "head"),
            moved(LABEL - 3600, Some(user(5, "User")), "other"),
            moved(LABEL - 7200, Some(user(5, "User")), "head"),
        ];
        assert_eq!(
            judged(&entries, false, true, None),
            Stillness::Moved(entries[0].clone())
        );
    }

    #[test]
    fn every_mover_in_the_window_needs_the_right_to_push() {
        assert_eq!(
            judged(&[by(LABEL - 1, CORE)], false, true, None),
            Stillness::Still
        );
        let hidden = [by(LABEL - 1, CORE), by(LABEL - 2, 5)];
        assert_eq!(
            judged(&hidden, false, true, None),
            Stillness::Moved(hidden[1].clone())
        );
        for mover in [None, Some(user(CORE, "Bot")), Some(user(CORE, ""))] {
            let entry = moved(LABEL - 1, mover, "head");
            assert_eq!(
                judged(std::slice::from_ref(&entry), false, true, None),
                Stillness::Moved(entry)
            );
        }
        assert_eq!(
            judged(&[by(LABEL - 1, 99), by(LABEL - 2, 99)], false, true, None),
            Stillness::Ask(vec![user(99, "User")])
        );
    }

    #[test]
    fn who_moved_the_head_last_is_asked_before_an_older_movement_is_told() {
        let bot = moved(LABEL - 9, Some(user(7, "Bot")), "head");
        for (newer, expected) in [
            (by(LABEL - 5, 99), Stillness::Ask(vec![user(99, "User")])),
            (by(LABEL - 5, 5), Stillness::Moved(by(LABEL - 5, 5))),
            (by(LABEL - 5, CORE), Stillness::Moved(bot.clone())),
        ] {
            let entries = [newer, bot.clone(), by(LABEL - 20, 98)];
            assert_eq!(judged(&entries, false, true, None), expected);
        }
    }

    #[test]
    fn a_full_page_that_does_not_reach_back_to_the_window_is_a_movement() {
        let inside = [by(LABEL - 1, CORE), by(LABEL - 2, CORE)];
        assert_eq!(
            judged(&inside, true, true, None),
            Stillness::Moved(inside[0].clone())
        );
        let beyond = [by(LABEL - 1, CORE), by(START - 1, CORE)];
        assert_eq!(judged(&beyond, true, true, None), Stillness::Still);
    }

    #[test]
    fn without_a_delivery_every_movement_since_the_label_counts() {
        for second in [LABEL, LABEL + 1] {
            let entry = by(second, CORE);
            assert_eq!(
                judged(std::slice::from_ref(&entry), false, false, None),
                Stillness::Moved(entry)
            );
        }
        assert_eq!(
            judged(&[by(LABEL - 1, CORE)], false, false, None),
            Stillness::Still
        );
    }

    #[test]
    fn s21_movements_that_are_not_to_be_had_prove_nothing_unless_no_branch_moved() {
        let other = [moved(START - 100, Some(user(CORE, "User")), "other")];
        for entries in [&[][..], &other[..]] {
            assert_eq!(judged(entries, false, true, None), Stillness::Unknown);
            assert_eq!(
                judged(entries, false, true, Some(START)),
                Stillness::Unknown
            );
            assert_eq!(
                judged(entries, false, true, Some(START - 1)),
                Stillness::Still
            );
        }
    }
}
