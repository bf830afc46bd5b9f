//! Pure: sentences of answers that depend on how the person asked and on what was found.

use crds::{AnswerSpec, TriggerKind};

use super::text::{between, code, inert, without_shas};

/// The words that fit how the person asked.
pub struct Words<'a> {
    answer: &'a AnswerSpec,
    /// What was done: `label`.
    pub label: &'static str,
    /// Doing it again: `add the label again`.
    pub again: &'static str,
    /// The same after it was named.
    again_it: &'static str,
}

impl<'a> Words<'a> {
    /// The words for this event.
    pub fn of(answer: &'a AnswerSpec) -> Self {
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

    /// What would help, as a sentence with room for the next.
    fn help(&self) -> String {
        match self.detail() {
            Some(detail) if detail.ends_with(['.', '?', ';']) => format!("{detail} "),
            Some(detail) => format!("{detail}. "),
            None => String::new(),
        }
    }

    /// Of a command its author can help it, of a label only who defined it.
    pub fn pattern(&self) -> String {
        let (subject, why) = (self.subject("of this request"), self.help());
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

    pub fn moved_before(&self) -> String {
        let movement = self.answer.facts.movement.as_ref();
        let before =
            movement.and_then(|movement| between(movement.at.0, self.answer.trigger.time.0));
        let before = before.unwrap_or_else(|| "shortly".to_owned());
        let (mover, label, again) = (self.mover(), self.label, self.again);
        format!(
            "{mover} pushed {before} before your {label}. Look at the changes, then {again} to build them."
        )
    }

    pub fn moved_after(&self) -> String {
        let (mover, label, again_it) = (self.mover(), self.label, self.again_it);
        format!("{mover} pushed after your {label}; nothing was built. Review and {again_it}.")
    }

    /// An approval helps, unless it is told why it does not.
    pub fn movement_unknown(&self, prefix: &str) -> String {
        let helps = match self.help() {
            why if why.is_empty() => "Approve this commit, or write".to_owned(),
            why => format!("{why}Write"),
        };
        format!("I cannot see when this branch last moved. {helps} `{prefix} run <full SHA>`.")
    }

    pub fn permission(&self) -> String {
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

    pub fn through_app(&self) -> String {
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

    pub fn team(&self) -> String {
        let (label, team) = (self.label, self.subject("that is asked for"));
        format!("This {label} needs an active member of the team {team}. One of them can help.")
    }

    pub fn actor_mismatch(&self) -> String {
        let (label, again) = (self.label, self.again);
        format!(
            "GitHub names another person for this {label} than the message that told of it; nothing was built. \
             Please {again}, and tell the infrastructure team if it happens twice."
        )
    }

    pub fn base_branch(&self) -> String {
        let base = self.subject("this branch");
        let detail = self.detail();
        let detail = detail.map_or_else(String::new, |detail| format!(" {detail}"));
        format!("Pull requests for {base} are not built here.{detail}")
    }

    pub fn conflict(&self) -> String {
        let (base, again) = (self.subject("the base branch"), self.again);
        format!(
            "This does not merge with {base}; nothing was built. Update the branch, then {again}."
        )
    }

    pub fn no_builder(&self) -> String {
        let (label, detail) = (self.label, self.detail());
        let why = detail.unwrap_or_else(|| {
            "The infrastructure team can tell which builders it is for.".to_owned()
        });
        format!("No builder is left for this {label}; nothing was built. {why}")
    }

    pub fn unknown_command(&self, prefix: &str) -> String {
        let (subject, help) = (self.subject("That"), self.help());
        format!("{subject} is not a command. {help}`{prefix} help` lists what there is.")
    }

    pub fn no_match(&self, prefix: &str, is_pattern: bool) -> String {
        let (subject, help) = (self.subject("That"), self.help());
        let verb = if is_pattern { "matches" } else { "is" };
        format!(
            "{subject} {verb} no builder here; nothing was built. {help}`{prefix} help` lists what there is."
        )
    }

    pub fn no_match_of_cpython(&self) -> String {
        let (subject, help) = (self.subject("that you wrote"), self.help());
        let said = format!(
            "The regex {subject} did not match any buildbot builder. \
             Is the requested builder in the list of stable builders? {help}"
        );
        said.trim_end().to_owned()
    }

    pub fn too_many(&self) -> String {
        let (subject, help) = (self.subject("That"), self.help());
        format!("{subject} asks for too much at once; nothing was built. {help}Ask for less.")
    }

    pub fn no_build(&self) -> String {
        let about = match self.answer.facts.subject {
            Some(_) => format!(" for {}", self.subject("it")),
            None => String::new(),
        };
        let why = self.detail();
        let why = why.unwrap_or_else(|| "No build of this pull request fits.".to_owned());
        format!("Nothing to do{about}. {why}")
    }

    pub fn cancelled(&self) -> String {
        let about = match self.answer.facts.subject {
            Some(_) => format!("{}: ", self.subject("it")),
            None => String::new(),
        };
        let what = self.detail();
        let what = what.unwrap_or_else(|| "It is stopping, as you asked.".to_owned());
        format!("{about}{what}")
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
