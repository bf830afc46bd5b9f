//! The page about refusals says what the code says.

use crds::{AnswerReason, Facts, TriggerKind};

use super::{
    House, sentence,
    tests::{ALL, MUCH_REVIEWED, about, answer, moved, told},
};

/// Every sentence that people can be told, as `docs/refusals.md` shows it.
fn documented() -> Vec<(AnswerReason, String)> {
    use AnswerReason as R;
    use TriggerKind::{Comment, Label};
    let mut needed = about("");
    (needed.subject, needed.needed) = (None, Some("write".to_owned()));
    let nothing = Facts::default;
    let facts = [
        (R::Permission, Label, needed),
        (R::Denied, Label, nothing()),
        (R::Team, Label, about("python/core")),
        (R::Bot, Label, nothing()),
        (R::ThroughApp, Label, about("X")),
        (R::HeadMovedBefore, Label, moved("a")),
        (R::HeadMovedAfter, Label, moved("a")),
        (R::MovementUnknown, Label, nothing()),
        (R::MovementUnknown, Label, told(None, MUCH_REVIEWED)),
        (R::WrongSha, Label, nothing()),
        (R::Closed, Label, nothing()),
        (R::ForkDeleted, Label, nothing()),
        (R::BaseBranch, Label, about("old")),
        (R::Conflict, Label, about("main")),
        (
            R::NoBuilder,
            Label,
            told(None, "`a`: It does not build pull requests for `3.9`."),
        ),
        (R::Paused, Label, nothing()),
        (
            R::UnknownCommand,
            Comment,
            told(Some("/prbuild stop"), "Did you mean `/prbuild cancel`?"),
        ),
        (
            R::Pattern,
            Comment,
            told(Some("(a"), "It cannot be read: unclosed group."),
        ),
        (
            R::NoMatch,
            Comment,
            told(Some("s930x"), "Did you mean `s390x Debian`?"),
        ),
        (
            R::TooMany,
            Comment,
            told(
                Some(".*"),
                "It selects 300 builders, and one build has at most 256.",
            ),
        ),
        (
            R::NoBuild,
            Comment,
            told(
                Some("iOS"),
                "It neither waits nor runs for this pull request.",
            ),
        ),
        (R::Cancelled, Comment, told(None, "2 builds are stopping.")),
        (R::Unknown, Label, nothing()),
    ];
    let sentences = facts.map(|(reason, kind, facts)| {
        let words = sentence(&answer(reason, kind, facts), &House::default());
        (reason, words)
    });
    sentences.to_vec()
}

#[test]
fn the_page_about_refusals_has_every_reason_and_every_sentence() {
    let page = include_str!("../../../docs/refusals.md");
    // A code span that holds a backtick needs a longer fence; the page shows what is seen.
    let shown = |text: &str| text.replace("`` ", "").replace(" ``", "").replace('`', "");
    for (reason, words) in documented() {
        assert!(shown(page).contains(&shown(&words)), "{reason:?}: {words}");
    }
    for reason in ALL {
        assert!(
            page.contains(&format!("`{reason:?}`")),
            "{reason:?} is missing"
        );
    }
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let named = rows.filter_map(|row| row.split('`').next());
    let manners = ["spec.manner", "Comment", "Reaction", "Silent", "reason"];
    for name in named.filter(|name| !manners.contains(name)) {
        let is_known = ALL.iter().any(|reason| format!("{reason:?}") == name);
        assert!(is_known, "there is no reason {name}");
    }
}
