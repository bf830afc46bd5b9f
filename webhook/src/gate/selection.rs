//! What a label or command builds: today's head, on the builders that it selects.

use std::sync::Arc;

use crds::{AnswerReason, Builder, Evidence, Facts as Found, LabelRule, Permission};

use super::Authorized;
use super::people::Right;
use super::refusal::bounded;
use super::verdict::{Case, Go, Stop};
use crate::command::{MOST as MOST_COMMANDS, Word};
use crate::resolve::{self, Choice, Reach, Rule, Selection, Unknown, Wanted};

/// What is asked for, and by which name.
struct Asked<'a> {
    wanted: Wanted<'a>,
    /// Where it is a command: what the person can reach by it.
    reach: Option<&'a Reach<'a>>,
    /// What people call it.
    flavour: String,
    /// The full SHA that was typed.
    sha: Option<&'a str>,
}

impl Case<'_> {
    /// What a label builds.
    pub(super) fn label(&self, rule: &LabelRule, right: &Right) -> Go<Authorized> {
        let pattern = rule.pattern.clone().unwrap_or_default();
        let rule = Rule::new(rule).map_err(|why| self.broken_pattern(&pattern, why))?;
        let asked = Asked {
            flavour: rule.flavour().to_owned(),
            wanted: Wanted::Rule(rule),
            reach: None,
            sha: None,
        };
        self.build(&asked, right)
    }

    /// `run`: what the first label builds, or what the words name.
    pub(super) fn run(&self, sha: Option<&str>, what: &[Word], right: &Right) -> Go<Authorized> {
        let reach = Reach::of(&self.spec().labels, right.level());
        let (wanted, flavour) = match what {
            [] => self.first(&reach)?,
            words => self.named(words, &reach)?,
        };
        let asked = Asked {
            wanted,
            reach: Some(&reach),
            flavour,
            sha,
        };
        if !what.is_empty() {
            let texts: Vec<&str> = what.iter().map(Word::text).collect();
            self.is_bounded(&asked, &texts.join(" "))?;
        }
        self.build(&asked, right)
    }

    fn first<'r>(&self, reach: &'r Reach<'r>) -> Go<(Wanted<'r>, String)> {
        let first = reach.first().ok_or_else(|| {
            self.refuse(
                AnswerReason::NoBuilder,
                Found {
                    detail: Some("None of the labels is open to you.".to_owned()),
                    ..Found::default()
                },
            )
        })?;
        Ok((Wanted::Rule(first.clone()), first.flavour().to_owned()))
    }

    fn named<'r>(&self, words: &[Word], reach: &'r Reach<'r>) -> Go<(Wanted<'r>, String)> {
        let vocabulary = reach.vocabulary(self.builders);
        let mut named = vocabulary
            .understand(words)
            .map_err(|unknown| self.unknown(&unknown))?;
        // Tags narrow a flavour; that of the first label, where none is named.
        if named.flavours.is_empty()
            && !named.tags.is_empty()
            && let Some(first) = reach.first()
        {
            named.flavours.insert(first.flavour().to_owned());
        }
        let flavours: Vec<&String> = named.flavours.iter().collect();
        let flavour = match flavours.as_slice() {
            [one] if named.tags.is_empty() && named.builders.is_empty() => (*one).clone(),
            _ => "custom".to_owned(),
        };
        Ok((Wanted::Words(named), flavour))
    }

    /// A regular expression over display names.
    pub(super) fn pattern(&self, pattern: &str, right: &Right) -> Go<Authorized> {
        let regex = resolve::compile(pattern).map_err(|why| self.broken_pattern(pattern, why))?;
        let reach = Reach::of(&self.spec().labels, right.level());
        let asked = Asked {
            wanted: Wanted::Pattern(regex),
            reach: Some(&reach),
            flavour: "custom".to_owned(),
            sha: None,
        };
        self.is_bounded(&asked, pattern)?;
        self.build(&asked, right)
    }

    /// A command selects something, and not more than a build can have.
    fn is_bounded(&self, asked: &Asked<'_>, words: &str) -> Go<()> {
        let count = resolve::count(&asked.wanted, asked.reach, self.builders);
        match count {
            0 => Err(self.no_match(words, self.closest(words, asked.reach))),
            1..=resolve::MOST => Ok(()),
            _ => Err(self.refuse(
                AnswerReason::TooMany,
                Found {
                    subject: Some(bounded(words, 300)),
                    detail: Some(format!(
                        "It selects {count} builders, and one build has at most {}.",
                        resolve::MOST
                    )),
                    ..Found::default()
                },
            )),
        }
    }

    fn build(&self, asked: &Asked<'_>, right: &Right) -> Go<Authorized> {
        self.is_open_for_builds()?;
        let pull = self.pull()?;
        let found = match asked.sha {
            Some(sha) => self.typed_head(sha)?,
            None => self.still_head()?,
        };
        let evidence = self.strongest(found, &asked.wanted, asked.reach)?;
        let choice = Choice {
            wanted: &asked.wanted,
            reach: asked.reach,
            base: &pull.base.branch,
            evidence,
            approvable: !self.has_unread_reviews(),
            right: self.level(right),
            prefix: &self.spec().commands.prefix,
        };
        let selection = resolve::select(&choice, self.builders);
        self.is_any_left(&selection)?;
        let merge = self.merge()?;
        let trigger = self.trigger(evidence);
        Ok(Authorized {
            name: self.name(&trigger),
            request: crds::Request {
                repository: self.repository(),
                number: self.request.number,
                head_sha: pull.head.sha.clone(),
                merge_sha: merge.map(|commit| commit.sha.clone()),
                merge_tree: merge.map(|commit| commit.tree.clone()),
                base_sha: merge.and_then(|commit| commit.parents.first().cloned()),
                base_ref: pull.base.branch.clone(),
                flavour: asked.flavour.clone(),
                builders: selection.builders,
                left_out: selection.left_out,
                trigger,
                after_checks: self.spec().guards.after_checks.clone(),
                rerun_of: None,
            },
        })
    }

    pub(super) fn level(&self, right: &Right) -> Permission {
        right.level().unwrap_or(Permission::Triage)
    }

    pub(super) fn is_any_left(&self, selection: &Selection) -> Go<()> {
        if !selection.builders.is_empty() {
            return Ok(());
        }
        let reasons = selection.left_out.iter();
        let reasons = reasons.map(|left| format!("`{}`: {}", left.builder, left.reason));
        Err(self.refuse(
            AnswerReason::NoBuilder,
            Found {
                detail: Some(bounded(&reasons.collect::<Vec<_>>().join("\n"), 1000)),
                ..Found::default()
            },
        ))
    }

    /// Words that name nothing. A part of a SHA was meant as one.
    pub(super) fn unknown(&self, unknown: &Unknown) -> Stop {
        match unknown.sha {
            true => self.refuse(AnswerReason::WrongSha, Found::default()),
            false => self.no_match(&unknown.words, unknown.meant.clone()),
        }
    }

    fn no_match(&self, words: &str, meant: Option<String>) -> Stop {
        self.refuse(
            AnswerReason::NoMatch,
            Found {
                subject: Some(bounded(words, 300)),
                detail: meant,
                ..Found::default()
            },
        )
    }

    /// The names, or words of names, that are closest.
    fn closest(&self, words: &str, reach: Option<&Reach<'_>>) -> Option<String> {
        let in_reach = |builder: &&Arc<Builder>| reach.is_none_or(|r| r.holds(builder).is_ok());
        let known = self.builders.iter().filter(in_reach);
        let names: Vec<&str> = known.map(|b| b.spec.display_name.as_str()).collect();
        let parts = names.iter().flat_map(|name| name.split_whitespace());
        resolve::question(&resolve::closest(words, names.iter().copied().chain(parts)))
    }

    fn broken_pattern(&self, pattern: &str, why: String) -> Stop {
        self.refuse(
            AnswerReason::Pattern,
            Found {
                subject: (!pattern.is_empty()).then(|| bounded(pattern, 300)),
                detail: Some(why),
                ..Found::default()
            },
        )
    }

    pub(super) fn unknown_command(&self, meant: Option<&str>) -> Stop {
        let prefix = &self.spec().commands.prefix;
        self.refuse(
            AnswerReason::UnknownCommand,
            Found {
                subject: self.line(),
                detail: meant.map(|meant| format!("Did you mean `{prefix} {meant}`?")),
                ..Found::default()
            },
        )
    }

    pub(super) fn one_command_too_many(&self) -> Stop {
        self.refuse(
            AnswerReason::TooMany,
            Found {
                subject: self.line(),
                detail: Some(format!(
                    "One comment has at most {MOST_COMMANDS} commands; this one and what follows it were not looked at. Write them in another comment."
                )),
                ..Found::default()
            },
        )
    }

    /// The command as it was written.
    fn line(&self) -> Option<String> {
        self.trigger(Evidence::Label)
            .command
            .map(|line| bounded(&line, 300))
    }
}
