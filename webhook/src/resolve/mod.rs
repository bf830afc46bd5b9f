//! Which builders a request gets. Pure: the answer is frozen in the PrBuild.

mod naming;
mod pattern;
mod reach;
mod suggest;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use crds::{Builder, Evidence, LabelRule, LeftOut, Permission, Stability};
use kube::ResourceExt;
use regex::Regex;

pub use naming::{Name, Named, Unknown, Vocabulary};
pub use pattern::{LONGEST as LONGEST_PATTERN, compile};
pub use reach::Reach;
pub use suggest::{closest, question};

/// The most builders that one PrBuild names.
pub const MOST: usize = 256;

/// What asks for builders.
#[derive(Debug)]
pub enum Wanted<'a> {
    /// A label, or a command that stands for one.
    Rule(Rule<'a>),
    /// The words of a command.
    Words(Named),
    /// The regular expression of a command; unstable builders are found, too.
    Pattern(Regex),
}

/// The rule of a label, ready to be matched.
#[derive(Clone, Debug)]
pub struct Rule<'a> {
    rule: &'a LabelRule,
    pattern: Option<Regex>,
}

/// What builders are chosen for.
pub struct Choice<'a> {
    /// What asks for them.
    pub wanted: &'a Wanted<'a>,
    /// What the person can reach by a command. A label reaches what it names.
    pub reach: Option<&'a Reach<'a>>,
    /// The base branch.
    pub base: &'a str,
    /// The strongest evidence that there is.
    pub evidence: Evidence,
    /// An approval would count, if somebody gave one.
    pub approvable: bool,
    /// What the person may do.
    pub right: Permission,
    /// The word that a command begins with, for sentences that say what would help.
    pub prefix: &'a str,
}

/// The builders that run, and those that were named and do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Object names, in order.
    pub builders: Vec<String>,
    /// With the reason as a sentence.
    pub left_out: Vec<LeftOut>,
}

/// Chooses.
pub fn select(choice: &Choice<'_>, all: &[Arc<Builder>]) -> Selection {
    let mut sorted: Vec<&Arc<Builder>> = all.iter().collect();
    sorted.sort_by_cached_key(|builder| builder.name_any());
    let mut selection = Selection::default();
    for builder in sorted {
        let excluded = match choice.asks_for(builder) {
            Asked::No => continue,
            Asked::But(reason) => Some(reason),
            Asked::Yes => obstacle(choice, builder),
        };
        let name = builder.name_any();
        match excluded {
            None if selection.builders.len() < MOST => selection.builders.push(name),
            None => selection.leave(name, format!("One build has at most {MOST} builders.")),
            Some(reason) => selection.leave(name, reason),
        }
    }
    for name in choice.wanted.explicit() {
        if !all.iter().any(|builder| builder.name_any() == name) {
            selection.leave(
                name.to_owned(),
                "There is no builder of this name.".to_owned(),
            );
        }
    }
    selection
}

/// How many builders are asked for, whatever may keep one out later.
pub fn count(wanted: &Wanted<'_>, reach: Option<&Reach<'_>>, all: &[Arc<Builder>]) -> usize {
    all.iter()
        .filter(|builder| !matches!(wanted.asks_for(reach, builder), Asked::No))
        .count()
}

/// The strongest evidence that a builder that is otherwise chosen asks for.
pub fn evidence_wanted(
    wanted: &Wanted<'_>,
    reach: Option<&Reach<'_>>,
    all: &[Arc<Builder>],
) -> Evidence {
    all.iter()
        .filter(|builder| matches!(wanted.asks_for(reach, builder), Asked::Yes))
        .map(|builder| builder.spec.evidence)
        .max()
        .unwrap_or_default()
}

impl Selection {
    /// Adds a builder that does not run, unless it is there already.
    pub fn leave(&mut self, builder: String, reason: String) {
        let known = self.left_out.iter().any(|left| left.builder == builder);
        if !known && self.left_out.len() < MOST {
            self.left_out.push(LeftOut { builder, reason });
        }
    }
}

enum Asked {
    Yes,
    No,
    /// By its own name, but something keeps it out.
    But(String),
}

impl Choice<'_> {
    fn asks_for(&self, builder: &Builder) -> Asked {
        self.wanted.asks_for(self.reach, builder)
    }
}

impl<'a> Wanted<'a> {
    /// These builders and no others.
    pub fn these(builders: BTreeSet<String>) -> Self {
        Self::Words(Named {
            builders,
            ..Named::default()
        })
    }

    /// Builders that are asked for by their own names.
    fn explicit(&self) -> Vec<&str> {
        match self {
            Self::Rule(rule) => rule.rule.builders.iter().map(String::as_str).collect(),
            Self::Words(named) => named.builders.iter().map(String::as_str).collect(),
            Self::Pattern(_) => Vec::new(),
        }
    }

    fn asks_for(&self, reach: Option<&Reach<'_>>, builder: &Builder) -> Asked {
        let (asked, explicit) = match self {
            Self::Rule(rule) => return rule.asks_for(builder),
            Self::Pattern(regex) => (regex.is_match(&builder.spec.display_name), false),
            Self::Words(named) => {
                let explicit = named.builders.contains(&builder.name_any());
                (explicit || named.selects(builder), explicit)
            }
        };
        match reach.map_or(Ok(()), |reach| reach.holds(builder)) {
            _ if !asked => Asked::No,
            Ok(()) => Asked::Yes,
            Err(reason) if explicit => Asked::But(reason),
            Err(_) => Asked::No,
        }
    }
}

impl Named {
    /// By flavour and tag, as a label would; stable builders only.
    fn selects(&self, builder: &Builder) -> bool {
        let spec = &builder.spec;
        let has =
            |words: &[String], of: &BTreeSet<String>| words.iter().any(|word| of.contains(word));
        has(&spec.flavours, &self.flavours)
            && (self.tags.is_empty() || has(&spec.tags, &self.tags))
            && spec.stability == Stability::Stable
    }
}

impl<'a> Rule<'a> {
    /// A rule, ready to be matched.
    ///
    /// # Errors
    /// What is wrong with its pattern, as a sentence.
    pub fn new(rule: &'a LabelRule) -> Result<Self, String> {
        let pattern = rule.pattern.as_deref().map(compile).transpose()?;
        Ok(Self { rule, pattern })
    }

    /// The label as people know it.
    pub fn name(&self) -> &'a str {
        &self.rule.name
    }

    /// The flavour that it asks for.
    pub fn flavour(&self) -> &'a str {
        &self.rule.flavour
    }

    /// Whether it selects a builder, or would if that were stable.
    fn selects_were_it_stable(&self, builder: &Builder) -> bool {
        matches!(self.judged(builder, true), Asked::Yes)
    }

    fn asks_for(&self, builder: &Builder) -> Asked {
        let stable = builder.spec.stability == Stability::Stable || self.rule.include_unstable;
        self.judged(builder, stable)
    }

    fn judged(&self, builder: &Builder, stable: bool) -> Asked {
        let rule = self.rule;
        let explicit = rule.builders.contains(&builder.name_any());
        if !rule.builders.is_empty() && !explicit {
            return Asked::No;
        }
        let spec = &builder.spec;
        let obstacle = if !spec.flavours.contains(&rule.flavour) {
            format!("It takes no part in the flavour `{}`.", rule.flavour)
        } else if !rule.tags.is_empty() && !rule.tags.iter().any(|tag| spec.tags.contains(tag)) {
            "It has none of the tags that this label selects.".to_owned()
        } else if self
            .pattern
            .as_ref()
            .is_some_and(|pattern| !pattern.is_match(&spec.display_name))
        {
            "Its name does not fit the pattern of this label.".to_owned()
        } else if !stable {
            "It is unstable, and this selects stable builders only.".to_owned()
        } else {
            return Asked::Yes;
        };
        match explicit {
            true => Asked::But(obstacle),
            false => Asked::No,
        }
    }
}

/// Why a builder that is asked for does not run, and what would include it.
fn obstacle(choice: &Choice<'_>, builder: &Builder) -> Option<String> {
    let spec = &builder.spec;
    if !branch_fits(&spec.base_branches, choice.base) {
        return Some(format!(
            "It does not build pull requests for `{}`.",
            choice.base.chars().take(200).collect::<String>()
        ));
    }
    if choice.right < Permission::Write && spec.kubernetes.is_none() {
        return Some(
            "It is a machine that is lent, and those run only what somebody with write access asks for."
                .to_owned(),
        );
    }
    if spec.evidence > choice.evidence {
        return Some(missing(choice, spec.evidence));
    }
    None
}

/// What a builder asks for that there is not.
fn missing(choice: &Choice<'_>, evidence: Evidence) -> String {
    let prefix = choice.prefix;
    match (evidence, choice.approvable) {
        (Evidence::Label | Evidence::ExactSha, true) => format!(
            "It needs the full SHA: write `{prefix} run <full SHA>`, or approve exactly this commit."
        ),
        (Evidence::Label | Evidence::ExactSha, false) => {
            format!("It needs the full SHA: write `{prefix} run <full SHA>`.")
        }
        (Evidence::Review | Evidence::Unknown, true) => {
            "It needs an approval of exactly this commit by a core developer other than the author."
                .to_owned()
        }
        (Evidence::Review | Evidence::Unknown, false) => {
            "It needs an approval, and this pull request has more reviews than are read. \
             Open a new pull request, and have that approved."
                .to_owned()
        }
    }
}

/// Whether a branch is one of these; `*` stands for any characters, and no pattern for all.
pub fn branch_fits(patterns: &[String], branch: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, branch))
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    // `split` gives at least one part.
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(end)
}
