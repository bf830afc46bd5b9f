//! Pure: what the person is told whose event makes no build. One sentence of what happened, one of
//! what to do.
//!
//! Never a SHA: an answer must not teach which commit to approve. Logins, labels, branches and typed
//! words are foreign text: they stand in backticks, so that nobody is mentioned, and what looks like
//! a SHA in them is hidden. Only the person who asked is mentioned, in [`answer`](super::answer).

use crds::{AnswerReason, AnswerSpec, Commands, Preset, Repository, TriggerKind};

use super::text::{between, code, inert, without_shas};

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
    let prefix = house.commands.prefix.as_str();
    let words = Words::of(answer);
    let (label, again) = (words.label, words.again);
    let detail = words.detail();
    match answer.reason {
        AnswerReason::Permission if house.is_cpython(answer) => {
            "You don't have write permissions to trigger a build".to_owned()
        }
        AnswerReason::Permission => words.permission(),
        AnswerReason::Denied => {
            "You may not start builds here. If that is a mistake, tell the infrastructure team.".to_owned()
        }
        AnswerReason::Team => format!(
            "This {label} needs an active member of the team {}. One of them can help.",
            words.subject("that is asked for")
        ),
        AnswerReason::Bot => format!("Bots do not start builds. A core developer can {again}."),
        AnswerReason::ThroughApp => words.through_app(),
        AnswerReason::ActorMismatch => format!(
            "GitHub names another person for this {label} than the message that told of it; nothing was built. \
             Please {again}, and tell the infrastructure team if it happens twice."
        ),
        AnswerReason::HeadMovedBefore => words.moved_before(),
        AnswerReason::HeadMovedAfter => format!(
            "{} pushed after your {label}; nothing was built. Review and {}.",
            words.mover(),
            words.again_it
        ),
        AnswerReason::MovementUnknown => format!(
            "I cannot see when this branch last moved. {}",
            format_args!("Approve this commit, or write `{prefix} run <full SHA>`.")
        ),
        AnswerReason::Closed => {
            format!("This pull request is closed; nothing was built. Reopen it, then {again}.")
        }
        AnswerReason::ForkDeleted => {
            "The repository that this pull request comes from is gone; nothing was built. \
             Open a new pull request from a branch that exists."
                .to_owned()
        }
        AnswerReason::BaseBranch => format!(
            "Pull requests for {} are not built here.{}",
            words.subject("this branch"),
            detail.map_or_else(String::new, |detail| format!(" {detail}"))
        ),
        AnswerReason::Conflict => format!(
            "This does not merge with {}; nothing was built. Update the branch, then {again}.",
            words.subject("the base branch")
        ),
        AnswerReason::NoBuilder => format!(
            "No builder is left for this {label}; nothing was built. {}",
            detail.unwrap_or_else(|| "The infrastructure team can tell which builders it is for.".to_owned())
        ),
        AnswerReason::WrongSha => {
            "That is not the full SHA of this pull request's head. Copy the SHA of the commit that you reviewed."
                .to_owned()
        }
        AnswerReason::UnknownCommand => format!(
            "{} is not a command. {}`{prefix} help` lists what there is.",
            words.subject("That"),
            words.then(detail)
        ),
        AnswerReason::Pattern => words.pattern(detail),
        AnswerReason::NoMatch if house.is_cpython(answer) => format!(
            "The regex {} did not match any buildbot builder. Is the requested builder in the list of stable builders? {}",
            words.subject("that you wrote"),
            words.then(detail)
        ).trim_end().to_owned(),
        AnswerReason::NoMatch => format!(
            "{} {} no builder here; nothing was built. {}`{prefix} help` lists what there is.",
            words.subject("That"),
            if house.is_pattern(answer) { "matches" } else { "is" },
            words.then(detail)
        ),
        AnswerReason::TooMany => format!(
            "{} asks for too much at once; nothing was built. {}Ask for less.",
            words.subject("That"),
            words.then(detail)
        ),
        AnswerReason::NoBuild => {
            let about = answer.facts.subject.as_ref();
            let about = about.map_or_else(String::new, |_| format!(" for {}", words.subject("it")));
            let why = detail.unwrap_or_else(|| "No build of this pull request fits.".to_owned());
            format!("Nothing to do{about}. {why}")
        }
        AnswerReason::Help => format!("`{prefix} help` was answered with the list of commands."),
        AnswerReason::Status => format!("`{prefix} status` was answered with how the builds stood."),
        AnswerReason::Cancelled => {
            let about = answer.facts.subject.as_ref();
            let about = about.map_or_else(String::new, |_| format!("{}: ", words.subject("it")));
            let what = detail.unwrap_or_else(|| "It is stopping, as you asked.".to_owned());
            format!("{about}{what}")
        }
        AnswerReason::Paused => format!(
            "Builds are paused here by the infrastructure team; nothing was built. When they go on, {again}."
        ),
        AnswerReason::TooOld => {
            format!("Your {label} is more than a day old; nothing was built. If it still matters, {again}.")
        }
        AnswerReason::Unknown => format!("Nothing was built. You can {again}."),
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

/// The words that fit how the person asked.
struct Words<'a> {
    answer: &'a AnswerSpec,
    /// What was done: `label`.
    label: &'static str,
    /// Doing it again: `add the label again`.
    again: &'static str,
    /// The same after it was named.
    again_it: &'static str,
}

impl<'a> Words<'a> {
    fn of(answer: &'a AnswerSpec) -> Self {
        let (label, again, again_it) = match answer.trigger.kind {
            TriggerKind::Label => ("label", "add the label again", "add it again"),
            TriggerKind::Comment => ("command", "write the command again", "write it again"),
            TriggerKind::Button | TriggerKind::Manual | TriggerKind::Unknown => {
                ("request", "ask again", "ask again")
            }
        };
        Self {
            answer,
            label,
            again,
            again_it,
        }
    }

    fn subject(&self, otherwise: &str) -> String {
        match &self.answer.facts.subject {
            Some(subject) => code(&without_shas(subject), 100),
            None => otherwise.to_owned(),
        }
    }

    /// What would help, in one line; it may have come in several.
    fn detail(&self) -> Option<String> {
        let lines = self.answer.facts.detail.as_deref()?.lines();
        let lines: Vec<&str> = lines
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        (!lines.is_empty()).then(|| inert(&without_shas(&lines.join("; ")), 600))
    }

    /// A sentence, and room for the next.
    fn then(&self, detail: Option<String>) -> String {
        match detail {
            Some(detail) if detail.ends_with(['.', '?', ';']) => format!("{detail} "),
            Some(detail) => format!("{detail}. "),
            None => String::new(),
        }
    }

    /// Of a command its author can help it, of a label only who defined it.
    fn pattern(&self, detail: Option<String>) -> String {
        let (subject, why) = (self.subject("of this request"), self.then(detail));
        match self.answer.trigger.kind {
            TriggerKind::Label => format!(
                "The regular expression of this label, {subject}, cannot be used; nothing was built. \
                 {why}The infrastructure team can correct it."
            ),
            _ => format!(
                "The regular expression {subject} cannot be used; nothing was built. {why}Correct it and write it again."
            ),
        }
    }

    /// Who moved the head.
    fn mover(&self) -> String {
        let by = self
            .answer
            .facts
            .movement
            .as_ref()
            .and_then(|movement| movement.by.as_ref());
        match by {
            Some(person) => code(&format!("@{}", without_shas(&person.login)), 64),
            None => "Somebody".to_owned(),
        }
    }

    fn moved_before(&self) -> String {
        let movement = self.answer.facts.movement.as_ref();
        let before =
            movement.and_then(|movement| between(movement.at.0, self.answer.trigger.time.0));
        let before = before.unwrap_or_else(|| "shortly".to_owned());
        let (mover, label, again) = (self.mover(), self.label, self.again);
        format!(
            "{mover} pushed {before} before your {label}. Look at the changes, then {again} to build them."
        )
    }

    fn permission(&self) -> String {
        let needed = self.answer.facts.needed.as_deref().unwrap_or("write");
        let (label, help) = match self.answer.trigger.kind {
            TriggerKind::Label => ("label", "add it"),
            _ => (self.label, "do it"),
        };
        // Of an account that is gone nothing is known.
        let has = match self.answer.trigger.permission.as_str() {
            "" | "unknown" => String::new(),
            has => format!(" (you have {})", role(has)),
        };
        let needed = role(needed);
        format!("This {label} needs {needed} access{has}. A core developer can {help}.")
    }

    fn through_app(&self) -> String {
        let app = self
            .answer
            .facts
            .subject
            .as_ref()
            .map_or_else(String::new, |app| {
                format!(" {}", code(&without_shas(app), 100))
            });
        match self.answer.trigger.kind {
            TriggerKind::Label => {
                format!(
                    "Labels set through the app{app} do not start builds; add it on github.com."
                )
            }
            _ => format!(
                "What comes through the app{app} does not start builds; write it on github.com."
            ),
        }
    }
}

/// A role: GitHub's own as words, an organization's own in backticks.
fn role(name: &str) -> String {
    let known = ["none", "read", "triage", "write", "maintain", "admin"];
    match name.to_ascii_lowercase() {
        plain if known.contains(&plain.as_str()) => plain,
        _ => code(&without_shas(name), 60),
    }
}

#[cfg(test)]
#[path = "sentence_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "sentence_page_tests.rs"]
mod page_tests;
