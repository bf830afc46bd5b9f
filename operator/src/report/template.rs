//! Pure: templates of a Repository for the comment of a build.
//!
//! A template is Markdown by the infrastructure team, with placeholders in braces. What a placeholder
//! brings in from elsewhere (logins, labels, branches, commands) is plain text wherever it is put.

use std::borrow::Cow;

use crds::{Commands, Preset, Reporting, RunPhase, Trigger, names::short_sha};

use super::{comment_parts::Parts, template_presets as presets, text::plain};

/// Something that a template can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// Who asked.
    User,
    /// The labelled commit, in full.
    Sha,
    /// Its first ten characters.
    ShortSha,
    /// The base branch.
    Base,
    /// The tip of the base branch, in full.
    BaseSha,
    /// The test merge, in full.
    MergeSha,
    /// The label that asked.
    Label,
    /// The command that asked.
    Command,
    /// The regular expression of a pattern command.
    Pattern,
    /// The flavour.
    Flavour,
    /// `owner/name`.
    Repository,
    /// Number of the pull request.
    PrNumber,
    /// How many builders there are.
    Count,
    /// All builders by name.
    Builders,
    /// The builders that failed, by name.
    Failed,
    /// `97 passed, 3 failed`.
    Totals,
    /// From request to last result.
    Duration,
    /// Where the results stand on GitHub.
    ResultsUrl,
    /// How to ask for another build.
    Again,
    /// The line of summary.
    Summary,
    /// The table of builders.
    Table,
    /// Builders left out, and why.
    LeftOut,
    /// What the reader can do now.
    Next,
}

impl Placeholder {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 23] = [
        Self::User,
        Self::Sha,
        Self::ShortSha,
        Self::Base,
        Self::BaseSha,
        Self::MergeSha,
        Self::Label,
        Self::Command,
        Self::Pattern,
        Self::Flavour,
        Self::Repository,
        Self::PrNumber,
        Self::Count,
        Self::Builders,
        Self::Failed,
        Self::Totals,
        Self::Duration,
        Self::ResultsUrl,
        Self::Again,
        Self::Summary,
        Self::Table,
        Self::LeftOut,
        Self::Next,
    ];

    /// Its name, between the braces.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Sha => "sha",
            Self::ShortSha => "short_sha",
            Self::Base => "base",
            Self::BaseSha => "base_sha",
            Self::MergeSha => "merge_sha",
            Self::Label => "label",
            Self::Command => "command",
            Self::Pattern => "pattern",
            Self::Flavour => "flavour",
            Self::Repository => "repository",
            Self::PrNumber => "pr_number",
            Self::Count => "count",
            Self::Builders => "builders",
            Self::Failed => "failed",
            Self::Totals => "totals",
            Self::Duration => "duration",
            Self::ResultsUrl => "results_url",
            Self::Again => "again",
            Self::Summary => "summary",
            Self::Table => "table",
            Self::LeftOut => "left_out",
            Self::Next => "next",
        }
    }

    /// Whether it is long, and so allowed only once.
    fn is_long(self) -> bool {
        matches!(
            self,
            Self::Builders | Self::Failed | Self::Summary | Self::Table | Self::LeftOut
        )
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    fn text(self, parts: &Parts<'_>) -> String {
        let facts = parts.facts;
        let command = facts.trigger.command.as_deref().unwrap_or_default();
        let maybe = |text: &Option<String>| text.clone().unwrap_or_default();
        match self {
            Self::User => parts.login(),
            Self::Sha => facts.head_sha.clone(),
            Self::ShortSha => short_sha(&facts.head_sha).to_owned(),
            Self::Base => plain(&facts.base_ref, 255),
            Self::BaseSha => maybe(&facts.base_sha),
            Self::MergeSha => maybe(&facts.merge_sha),
            Self::Label => plain(facts.trigger.label.as_deref().unwrap_or_default(), 100),
            Self::Command => plain(command, 300),
            Self::Pattern => {
                let pattern = command.split_once(char::is_whitespace);
                plain(pattern.map_or("", |(_, pattern)| pattern), 300)
            }
            Self::Flavour => plain(&facts.flavour, 40),
            Self::Repository => plain(&facts.repository, 140),
            Self::PrNumber => facts.number.to_string(),
            Self::Count => facts.builders.len().to_string(),
            Self::Builders => parts.builders(|_| true),
            Self::Failed => {
                parts.builders(|phase| matches!(phase, RunPhase::Failed | RunPhase::TimedOut))
            }
            Self::Totals => facts.totals(),
            Self::Duration => maybe(&facts.duration),
            Self::ResultsUrl => parts.results_url(),
            Self::Again => parts.again(),
            Self::Summary => parts.summary(),
            Self::Table => parts.table(),
            Self::LeftOut => parts.left_out(),
            Self::Next => parts.next(),
        }
    }
}

/// The words around the parts of a comment.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    preset: Preset,
    pattern_prefix: String,
    announcement: Option<String>,
    result: Option<String>,
}

impl Wording {
    /// The wording of a Repository.
    pub fn of(reporting: &Reporting, commands: &Commands) -> Self {
        Self {
            preset: reporting.preset,
            pattern_prefix: commands.pattern_prefix.clone(),
            announcement: reporting.announcement.clone(),
            result: reporting.result.clone(),
        }
    }

    /// How a comment begins.
    pub fn announcement(&self, trigger: &Trigger) -> &str {
        let word = trigger
            .command
            .as_deref()
            .and_then(|command| command.split(' ').next());
        let is_pattern = word == Some(self.pattern_prefix.as_str());
        let preset = || presets::announcement(self.preset, trigger, is_pattern);
        self.announcement.as_deref().unwrap_or_else(preset)
    }

    /// How it ends once all builders are done, so many of them failed.
    pub fn result(&self, failed: usize) -> Cow<'_, str> {
        match &self.result {
            Some(own) => own.into(),
            None => presets::result(self.preset, failed),
        }
    }
}

/// Which long parts a template has placed itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The table.
    pub table: bool,
    /// Builders left out.
    pub left_out: bool,
    /// What to do next.
    pub next: bool,
}

impl Seen {
    fn note(&mut self, placeholder: Placeholder) {
        match placeholder {
            Placeholder::Table => self.table = true,
            Placeholder::LeftOut => self.left_out = true,
            Placeholder::Next => self.next = true,
            _ => {}
        }
    }
}

/// A template with its placeholders filled in. What it does not know stays as it is written; such a
/// Repository is not Ready.
pub fn fill(template: &str, parts: &Parts<'_>, seen: &mut Seen) -> String {
    let mut out = String::with_capacity(template.len() + 256);
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Braced(name) => match Placeholder::named(name) {
                Some(placeholder) => {
                    seen.note(placeholder);
                    out.push_str(&placeholder.text(parts));
                }
                None => {
                    out.push('{');
                    out.push_str(name);
                    out.push('}');
                }
            },
        }
    }
    out
}

/// What is wrong with a template, as sentences that name the placeholder.
pub fn problems(template: &str) -> Vec<String> {
    let mut long = Vec::new();
    let mut problems = Vec::new();
    for piece in pieces(template) {
        let Piece::Braced(name) = piece else { continue };
        match Placeholder::named(name) {
            None => problems.push(format!("there is no placeholder `{{{name}}}`")),
            Some(known) if known.is_long() && long.contains(&name) => {
                problems.push(format!("`{{{name}}}` stands in it twice"));
            }
            Some(_) => long.push(name),
        }
    }
    problems.dedup();
    problems
}

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// As it is written.
    Text(&'a str),
    /// What stood between braces.
    Braced(&'a str),
}

/// Splits a template at `{…}`. `{{` and `}}` are braces; a brace without its pair is one, too.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        pieces.push(Piece::Text(before));
        let twice = from.starts_with("{{") || from.starts_with("}}");
        let braced = from.strip_prefix('{').and_then(|from| {
            let (name, after) = from.split_once('}')?;
            (!name.contains(['{', '\n'])).then_some((name, after))
        });
        (rest, _) = match (twice, braced) {
            (true, _) => (&from[2..], pieces.push(Piece::Text(&from[..1]))),
            (false, Some((name, after))) => (after, pieces.push(Piece::Braced(name))),
            (false, None) => (&from[1..], pieces.push(Piece::Text(&from[..1]))),
        };
    }
    pieces.push(Piece::Text(rest));
    pieces
}

#[cfg(test)]
#[path = "template_tests.rs"]
pub(super) mod tests;
