//! Pure: the one comment of a build, in Markdown, as it stands from the first second to the last result.
//!
//! One line of summary, what did not pass open, the rest folded; at most 60 lines and 60,000 bytes
//! however many builders there are. Everything that is not ours stands in it as plain text, see
//! [`text`](super::text).

use std::fmt::Write as _;

use crds::{Cancel, LeftOut, ReportMode, RunPhase, Trigger};

use super::{
    comment_parts::Parts,
    comment_words::{ORDER, word},
    fault::Also,
    template,
    text::inert,
};

pub use super::comment_facts::{Surroundings, facts};

/// Bytes of a comment. GitHub takes 65,536 characters.
pub const BYTES_MOST: usize = 60_000;

/// Everything that the comment of a build says.
#[derive(Clone, Debug)]
pub struct CommentFacts {
    /// Uid of the PrBuild, for the hidden marker.
    pub uid: String,
    /// Where commits can be looked at: `https://github.com`.
    pub web: String,
    /// The build's own page, if there is one.
    pub page: Option<String>,
    /// `owner/name`.
    pub repository: String,
    /// Number of the pull request.
    pub number: i64,
    /// Who asked, when and how.
    pub trigger: Trigger,
    /// What was asked for, as people name it.
    pub flavour: String,
    /// The labelled head, in full.
    pub head_sha: String,
    /// The tip of the base branch that it is merged into; absent when the bare head is built.
    pub base_sha: Option<String>,
    /// The test merge that is built.
    pub merge_sha: Option<String>,
    /// The base branch.
    pub base_ref: String,
    /// The build repeats the commits of an earlier one.
    pub is_rerun: bool,
    /// The builders, in the order in which they were selected.
    pub builders: Vec<BuilderFacts>,
    /// Builders that were asked for and do not run.
    pub left_out: Vec<LeftOut>,
    /// Somebody stopped the build.
    pub cancel: Option<Cancel>,
    /// From request to last result, as `38 min`.
    pub duration: Option<String>,
    /// Why GitHub shows the result of a builder nowhere but here.
    pub refused: Option<String>,
    /// The word that commands begin with: `/prbuild`.
    pub prefix: String,
    /// Whether results are statuses or check runs.
    pub mode: ReportMode,
    /// The wording.
    pub wording: template::Wording,
}

/// What the comment says about one builder.
#[derive(Clone, Debug)]
pub struct BuilderFacts {
    /// The name that people read.
    pub name: String,
    /// Where its last attempt stands.
    pub phase: RunPhase,
    /// Passed, with an exit code that means a warning.
    pub warning: bool,
    /// What it waits for, or why it ended as it did; a sentence that may be the pull request's own
    /// text.
    pub because: String,
    /// How long its steps took, as `12 min`.
    pub took: Option<String>,
    /// Where its *Details* lead.
    pub link: Option<String>,
    /// Failing tests that failed in earlier builds on other pull requests, too.
    pub also: Vec<Also>,
    /// Names of failing tests.
    pub failures: Vec<String>,
    /// How many tests failed, of which `failures` are the first.
    pub failures_total: usize,
}

/// The hidden first line of a build's comment, by which it is found again.
pub fn marker(uid: &str) -> String {
    format!("<!-- prbuild:{uid} -->")
}

/// The comment of a build as it should stand now.
pub fn render(facts: &CommentFacts) -> String {
    // Foreign text that is unusually long gives way, first what matters least.
    let mut body = String::new();
    for room in Room::ALL {
        body = compose(facts, room);
        if body.len() <= BYTES_MOST {
            return body;
        }
    }
    // Only a template of thousands of long placeholders comes here.
    let fits = |at: &usize| body.is_char_boundary(*at);
    let end = (0..BYTES_MOST).rev().find(fits).unwrap_or(0);
    body.truncate(body[..end].rfind('\n').unwrap_or(end));
    body
}

/// How much is told of each builder.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Characters of a name.
    pub name: usize,
    /// Characters of a reason.
    pub because: usize,
    /// Failing tests that are named in a row.
    pub failures: usize,
    /// Builders are links also where they are folded.
    pub links: bool,
}

impl Room {
    const ALL: [Self; 3] = [
        Self {
            name: 80,
            because: 200,
            failures: 20,
            links: true,
        },
        Self {
            name: 60,
            because: 140,
            failures: 5,
            links: false,
        },
        Self {
            name: 20,
            because: 60,
            failures: 0,
            links: false,
        },
    ];
}

fn compose(facts: &CommentFacts, room: Room) -> String {
    let parts = Parts { facts, room };
    let mut out = marker(&facts.uid);
    let mut seen = template::Seen::default();
    let begin = facts.wording.announcement(&facts.trigger);
    out.push('\n');
    paragraph(&mut out, &template::fill(begin, &parts, &mut seen));
    // What a template does not place itself follows it.
    if !seen.table {
        paragraph(&mut out, &parts.table());
    }
    if !seen.left_out {
        paragraph(&mut out, &parts.left_out());
    }
    if let Some(why) = &facts.refused {
        let only = "Some results stand only here, because GitHub does not take them:";
        paragraph(&mut out, &format!("{only} {}", inert(why, 300)));
    }
    if facts.is_complete() {
        let end = facts.wording.result(facts.failed());
        paragraph(&mut out, &template::fill(&end, &parts, &mut seen));
    } else if !seen.next {
        paragraph(&mut out, &parts.next());
    }
    let _ = writeln!(
        out,
        "<sub>{} {}</sub>",
        parts.good_citizen(),
        parts.whole_shas()
    );
    out
}

/// Adds a paragraph, unless it is empty.
pub fn paragraph(out: &mut String, text: &str) {
    let text = text.trim_end();
    if !text.is_empty() {
        let _ = write!(out, "{text}\n\n");
    }
}

impl CommentFacts {
    /// Whether every builder is done.
    pub fn is_complete(&self) -> bool {
        self.builders.iter().all(|one| one.phase.is_terminal())
    }

    /// Whether somebody stopped all of it. Where only what waits was dropped, the rest goes on.
    pub fn is_stopping(&self) -> bool {
        self.cancel
            .as_ref()
            .is_some_and(|cancel| !cancel.waiting_only)
    }

    /// How many builders failed or timed out.
    pub fn failed(&self) -> usize {
        self.count(|phase| matches!(phase, RunPhase::Failed | RunPhase::TimedOut))
    }

    pub(super) fn count(&self, which: impl Fn(RunPhase) -> bool) -> usize {
        let mut phases = self.builders.iter().map(|one| one.phase);
        phases.by_ref().filter(|phase| which(*phase)).count()
    }

    /// `1 failed, 40 passed, 59 waiting`.
    pub fn totals(&self) -> String {
        let counts = ORDER.iter().map(|phases| {
            let count = self.count(|phase| phases.contains(&phase));
            (count, word(phases[0]))
        });
        let said = counts.filter(|(count, _)| *count > 0);
        let said: Vec<String> = said
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        said.join(", ")
    }
}

#[cfg(test)]
#[path = "comment_tests.rs"]
pub(super) mod tests;
