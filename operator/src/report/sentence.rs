//! Pure: what the person is told whose event makes no build. One sentence of what happened, one of
//! what to do.
//!
//! Never a SHA: an answer must not teach which commit to approve. Logins, labels, branches and typed
//! words are foreign text: they stand in backticks, so that nobody is mentioned, and what looks like
//! a SHA in them is hidden. Only the person who asked is mentioned, in [`answer`](super::answer).

use crds::{AnswerReason, AnswerSpec, Commands, Preset, Repository};

use super::sentence_words::Words;

/// How answers are worded in a Repository.
#[derive(Clone, Debug, Default)]
pub struct House {
    /// The words that commands begin with.
    pub commands: Commands,
    /// The wording of comments.
    pub preset: Preset,
    /// The lines that were asked for, as Markdown: of [`Help`](AnswerReason::Help) and
    /// [`Status`](AnswerReason::Status).
    pub reply: Option<String>,
}

impl House {
    /// The wording of a Repository.
    pub fn of(repository: &Repository) -> Self {
        Self {
            commands: repository.spec.commands.clone(),
            preset: repository.spec.reporting.preset,
            reply: None,
        }
    }

    /// Whether a regular expression over builders asked, rather than a command.
    fn is_pattern(&self, answer: &AnswerSpec) -> bool {
        let command = answer.trigger.command.as_deref().unwrap_or_default();
        let word = command.split_whitespace().next().unwrap_or_default();
        let prefix = &self.commands.pattern_prefix;
        !prefix.is_empty() && word.eq_ignore_ascii_case(prefix)
    }

    /// Whether CPython's own words stand for it.
    fn is_cpython(&self, answer: &AnswerSpec) -> bool {
        self.preset == Preset::Cpython && self.is_pattern(answer)
    }
}

/// What the person is told.
pub fn sentence(answer: &AnswerSpec, house: &House) -> String {
    use AnswerReason as R;
    let words = Words::of(answer);
    let (label, again) = (words.label, words.again);
    let prefix = house.commands.prefix.as_str();
    match answer.reason {
        R::Permission if house.is_cpython(answer) => {
            "You don't have write permissions to trigger a build".to_owned()
        }
        R::Permission => words.permission(),
        R::Denied => {
            "You may not start builds here. If that is a mistake, tell the infrastructure team.".to_owned()
        }
        R::Team => words.team(),
        R::Bot => format!("Bots do not start builds. A core developer can {again}."),
        R::ThroughApp => words.through_app(),
        R::ActorMismatch => words.actor_mismatch(),
        R::HeadMovedBefore => words.moved_before(),
        R::HeadMovedAfter => words.moved_after(),
        R::MovementUnknown => words.movement_unknown(prefix),
        R::Closed => {
            format!("This pull request is closed; nothing was built. Reopen it, then {again}.")
        }
        R::ForkDeleted => {
            "The repository that this pull request comes from is gone; nothing was built. \
             Open a new pull request from a branch that exists."
                .to_owned()
        }
        R::BaseBranch => words.base_branch(),
        R::Conflict => words.conflict(),
        R::NoBuilder => words.no_builder(),
        R::WrongSha => {
            "That is not the full SHA of this pull request's head. Copy the SHA of the commit that you reviewed."
                .to_owned()
        }
        R::UnknownCommand => words.unknown_command(prefix),
        R::Pattern => words.pattern(),
        R::NoMatch if house.is_cpython(answer) => words.no_match_of_cpython(),
        R::NoMatch => words.no_match(prefix, house.is_pattern(answer)),
        R::TooMany => words.too_many(),
        R::NoBuild => words.no_build(),
        R::Help => format!("`{prefix} help` was answered with the list of commands."),
        R::Status => format!("`{prefix} status` was answered with how the builds stood."),
        R::Cancelled => words.cancelled(),
        R::Paused => format!(
            "Builds are paused here by the infrastructure team; nothing was built. When they go on, {again}."
        ),
        R::TooOld => {
            format!("Your {label} is more than a day old; nothing was built. If it still matters, {again}.")
        }
        R::Unknown => format!("Nothing was built. You can {again}."),
    }
}

/// The word for an answer's kind, in its marker.
pub fn kind(reason: AnswerReason) -> &'static str {
    match reason {
        AnswerReason::Permission => "permission",
        AnswerReason::Denied => "denied",
        AnswerReason::Team => "team",
        AnswerReason::Bot => "bot",
        AnswerReason::ThroughApp => "through-app",
        AnswerReason::ActorMismatch => "actor-mismatch",
        AnswerReason::HeadMovedBefore => "head-moved-before",
        AnswerReason::HeadMovedAfter => "head-moved-after",
        AnswerReason::MovementUnknown => "movement-unknown",
        AnswerReason::Closed => "closed",
        AnswerReason::ForkDeleted => "fork-deleted",
        AnswerReason::BaseBranch => "base-branch",
        AnswerReason::Conflict => "conflict",
        AnswerReason::NoBuilder => "no-builder",
        AnswerReason::WrongSha => "wrong-sha",
        AnswerReason::UnknownCommand => "unknown-command",
        AnswerReason::Pattern => "pattern",
        AnswerReason::NoMatch => "no-match",
        AnswerReason::TooMany => "too-many",
        AnswerReason::NoBuild => "no-build",
        AnswerReason::Help => "help",
        AnswerReason::Status => "status",
        AnswerReason::Cancelled => "cancelled",
        AnswerReason::Paused => "paused",
        AnswerReason::TooOld => "too-old",
        AnswerReason::Unknown => "other",
    }
}

#[cfg(test)]
#[path = "sentence_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "sentence_page_tests.rs"]
mod page_tests;
