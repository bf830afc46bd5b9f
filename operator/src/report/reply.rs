//! Pure: the lines that people ask for: which commands there are, and how the builds of a pull
//! request stand.

use std::{collections::BTreeMap, fmt::Write as _};

use crds::{Builder, Permission, Repository, RunPhase, Stability};
use jiff::Timestamp;
use kube::ResourceExt;

use super::text::{between, cell, code, inert, short_sha};

/// Names of builders that are listed.
const BUILDERS_MOST: usize = 256;
/// Builds of a pull request that are told of.
const BUILDS_MOST: usize = 3;
/// Runs of one build that are told of one by one.
const RUNS_MOST: usize = 12;

/// The commands of a Repository, its labels, flavours and builders.
pub fn help(repository: &Repository, builders: &[impl AsRef<Builder>]) -> String {
    let spec = &repository.spec;
    let prefix = &spec.commands.prefix;
    let first = spec.labels.first();
    let first = first.map(|label| code(&cell(&label.name), 100));
    let first = first.unwrap_or_else(|| "the first label".to_owned());
    let mut out = String::from(
        "write one of these on a line of its own:\n\n| command | what it does |\n|---|---|\n",
    );
    let mut row = |command: String, does: String| {
        let command = code(&cell(&command), 120);
        let _ = writeln!(out, "| {command} | {does} |");
    };
    row(
        format!("{prefix} run"),
        format!("builds today's head as {first} does"),
    );
    row(
        format!("{prefix} run <flavour>, <builder> or tag:<tag>"),
        "builds these; names with spaces go in quotes".to_owned(),
    );
    row(
        format!("{prefix} run <full SHA>"),
        "builds exactly this commit, for you reviewed it; the same words may follow".to_owned(),
    );
    row(
        format!("{prefix} rerun failed"),
        "runs what did not pass in the newest build once more, on the same commit".to_owned(),
    );
    row(
        format!("{prefix} rerun <builder>"),
        "runs this builder once more, on the same commit".to_owned(),
    );
    row(
        format!("{prefix} cancel"),
        "stops the builds of this pull request; with names, only these builders".to_owned(),
    );
    row(
        format!("{prefix} status"),
        "says how the builds stand, and what waits for what".to_owned(),
    );
    let pattern = &spec.commands.pattern_prefix;
    if !pattern.is_empty() {
        row(
            format!("{pattern} <regex>"),
            "builds the builders whose names it finds, unstable ones too".to_owned(),
        );
    }
    out.push('\n');
    labels(&mut out, repository);
    names(&mut out, builders);
    out
}

fn labels(out: &mut String, repository: &Repository) {
    let spec = &repository.spec;
    let minimum = spec.authorization.minimum;
    out.push_str("Labels do the same, and each labelling is one build:\n\n");
    for rule in &spec.labels {
        let mut narrowed = Vec::new();
        if !rule.tags.is_empty() {
            let tags: Vec<String> = rule.tags.iter().take(5).map(|tag| code(tag, 63)).collect();
            narrowed.push(format!("tagged {}", tags.join(" or ")));
        }
        if let Some(pattern) = &rule.pattern {
            narrowed.push(format!("with names that {} finds", code(pattern, 100)));
        }
        if !rule.builders.is_empty() {
            narrowed.push(format!("{} by name", rule.builders.len()));
        }
        let narrowed = match narrowed.is_empty() {
            true => String::new(),
            false => format!(", of it the builders {}", narrowed.join(", ")),
        };
        let needed = rule.minimum.unwrap_or(minimum);
        let needed = match needed {
            Permission::Write => String::new(),
            other => format!("; needs {} access", other.word()),
        };
        let (label, flavour) = (code(&rule.name, 100), code(&rule.flavour, 40));
        let _ = writeln!(
            out,
            "- {label} builds the flavour {flavour}{narrowed}{needed}"
        );
    }
    out.push('\n');
}

fn names(out: &mut String, builders: &[impl AsRef<Builder>]) {
    let mut flavours: BTreeMap<&str, usize> = BTreeMap::new();
    let mut names = Vec::new();
    for builder in builders {
        let builder = builder.as_ref();
        if builder.metadata.deletion_timestamp.is_some() {
            continue;
        }
        for flavour in &builder.spec.flavours {
            *flavours.entry(flavour).or_default() += 1;
        }
        let unstable = match builder.spec.stability {
            Stability::Unstable => " (unstable)",
            _ => "",
        };
        names.push((
            builder.spec.display_name.clone(),
            builder.name_any(),
            unstable,
        ));
    }
    if names.is_empty() {
        out.push_str("There is no builder yet.\n");
        return;
    }
    let flavours: Vec<String> = flavours
        .iter()
        .take(20)
        .map(|(flavour, count)| format!("{} ({count})", code(flavour, 40)))
        .collect();
    let _ = writeln!(
        out,
        "Flavours and their builders: {}.\n",
        flavours.join(", ")
    );
    names.sort();
    let shown: Vec<String> = names
        .iter()
        .take(BUILDERS_MOST)
        .map(|(name, _, unstable)| format!("{}{unstable}", code(name, 80)))
        .collect();
    let _ = write!(
        out,
        "<details><summary>The names of the builders</summary>\n\n{}\n\n</details>\n",
        shown.join(" · ")
    );
}

/// A build of the pull request, as it stands now.
#[derive(Clone, Debug)]
pub struct Build {
    /// The labelled head.
    pub head_sha: String,
    /// Login of the person who asked.
    pub user: String,
    /// The label or command that asked.
    pub asked: Option<String>,
    /// When, by GitHub's clock.
    pub at: Timestamp,
    /// `3 passed, 1 running`.
    pub totals: String,
    /// Whether every builder is done.
    pub is_complete: bool,
    /// Somebody stopped it.
    pub is_cancelled: bool,
    /// Where its comment stands.
    pub comment: Option<String>,
    /// Its runs that wait or run.
    pub live: Vec<Live>,
}

/// A run that waits or runs.
#[derive(Clone, Debug)]
pub struct Live {
    /// The builder's name that people read.
    pub builder: String,
    /// Where it stands.
    pub phase: RunPhase,
    /// What it waits for.
    pub because: String,
    /// Since when it waits or runs.
    pub since: Option<Timestamp>,
}

/// How the builds of a pull request stand. `paused`: the Repository is.
pub fn status(mut builds: Vec<Build>, paused: bool, prefix: &str, now: Timestamp) -> String {
    builds.sort_by_key(|build| (build.is_complete, std::cmp::Reverse(build.at)));
    let mut out = match builds.iter().filter(|build| !build.is_complete).count() {
        0 => "nothing waits or runs here.".to_owned(),
        1 => "1 build is under way.".to_owned(),
        many => format!("{many} builds are under way."),
    };
    if paused {
        out.push_str(" Builds are paused here by the infrastructure team: what runs goes on, what waits stays.");
    }
    if builds.is_empty() {
        let _ = write!(
            out,
            " No build of this pull request is remembered; `{prefix} help` says how to ask for one."
        );
    }
    out.push_str("\n\n");
    for build in builds.iter().take(BUILDS_MOST) {
        one(&mut out, build, now);
    }
    match builds.len().saturating_sub(BUILDS_MOST) {
        0 => {}
        1 => out.push_str("And 1 more build.\n"),
        more => {
            let _ = writeln!(out, "And {more} more builds.");
        }
    }
    out
}

fn one(out: &mut String, build: &Build, now: Timestamp) {
    let sha = short_sha(&build.head_sha);
    let sha = match &build.comment {
        Some(link) => format!("[`{sha}`]({link})"),
        None => format!("`{sha}`"),
    };
    let (user, asked) = (code(&build.user, 64), build.asked.as_ref());
    let asked = asked.map_or_else(String::new, |asked| format!(" with {}", code(asked, 100)));
    let ago = between(build.at, now).map_or_else(String::new, |ago| format!(", {ago} ago"));
    let totals = match (
        build.totals.as_str(),
        build.is_cancelled && !build.is_complete,
    ) {
        ("", _) => "about to begin".to_owned(),
        (totals, true) => format!("cancelling: {totals}"),
        (totals, false) => totals.to_owned(),
    };
    let _ = writeln!(
        out,
        "**{totals}** on {sha}, asked for by {user}{asked}{ago}\n"
    );
    if build.live.is_empty() {
        return;
    }
    out.push_str("| builder | now | for |\n|---|---|---|\n");
    let mut live: Vec<&Live> = build.live.iter().collect();
    live.sort_by_key(|run| (run.phase != RunPhase::Running, run.since));
    for run in live.iter().take(RUNS_MOST) {
        let name = code(&cell(&run.builder), 80);
        let because = inert(&cell(&run.because), 200);
        let stands = match (run.phase, because.as_str()) {
            (RunPhase::Running, _) => "◐ running".to_owned(),
            (RunPhase::Dispatched, "") => "○ starting".to_owned(),
            (RunPhase::Dispatched, because) => format!("○ starting: {because}"),
            (_, "") => "○ waiting".to_owned(),
            (_, because) => format!("○ waiting: {because}"),
        };
        let since = run.since.and_then(|since| between(since, now));
        let since = since.unwrap_or_default().replace(' ', "\u{a0}");
        let _ = writeln!(out, "| {name} | {stands} | {since} |");
    }
    if live.len() > RUNS_MOST {
        let _ = writeln!(out, "| and {} more | | |", live.len() - RUNS_MOST);
    }
    out.push('\n');
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
