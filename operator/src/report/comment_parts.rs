//! Pure: the parts of a build's comment, as the placeholders of templates name them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crds::{ReportMode, RunPhase, TriggerKind};

use super::{
    comment::{BuilderFacts, CommentFacts, Room, paragraph},
    comment_words::{ORDER, sign, unbroken, word},
    fault,
    text::{cell, code, inert, is_login, short_sha},
};

/// Builders up to which the whole table stands open.
pub(super) const OPEN_TABLE: usize = 10;
/// Rows that stand open in a larger build; the rest is folded.
pub(super) const OPEN_ROWS: usize = 15;
/// Builders left out that are explained; of the rest the number is told.
const LEFT_OUT_MOST: usize = 12;
/// Tests that failed on several builders and are named above all.
const SHARED_MOST: usize = 5;
/// Sentences of a row about tests that fail elsewhere, too.
const FAULTS: usize = 2;

/// The parts of a comment, as the placeholders of templates name them.
pub struct Parts<'a> {
    /// What is told.
    pub facts: &'a CommentFacts,
    /// How much of it.
    pub room: Room,
}

impl Parts<'_> {
    /// Where the build stands, and who asked for what on which commit.
    pub fn summary(&self) -> String {
        let facts = self.facts;
        let (count, totals) = (facts.builders.len(), facts.totals());
        let many = if count == 1 {
            "1 builder"
        } else {
            &format!("{count} builders")
        };
        let s = if count == 1 { "s" } else { "" };
        let ended = facts.count(RunPhase::is_terminal) > 0;
        let head = if facts.is_complete() {
            let took = facts.duration.as_ref().map(|took| format!(" in {took}"));
            format!("**{totals}{}.** {many} tested", took.unwrap_or_default())
        } else if facts.is_stopping() {
            format!("**Cancelling: {totals}.** {many} test{s}")
        } else if ended {
            format!("**So far {totals}.** {many} test{s}")
        } else {
            format!("**{many} test{s}**")
        };
        format!("{head} {}{}", self.request(), self.stopped())
    }

    /// Who stopped the build, or what of it had not begun, and why.
    fn stopped(&self) -> String {
        let facts = self.facts;
        let Some(cancel) = &facts.cancel else {
            return String::new();
        };
        let by = code(&cancel.by, 64);
        let done = match (cancel.waiting_only, facts.is_complete()) {
            (false, _) => format!("Cancelled by {by}"),
            // Nothing waited any more.
            (true, _) if facts.count(|phase| phase == RunPhase::Cancelled) == 0 => {
                return String::new();
            }
            (true, true) => format!("What waited was dropped by {by}"),
            (true, false) => format!("What waited was dropped by {by}, what runs finishes"),
        };
        match cancel.reason.trim() {
            "" => format!(" {done}."),
            reason => format!(" {done}: {}.", inert(reason, 200).trim_end_matches('.')),
        }
    }

    /// Which commit, merged into what, on whose request.
    fn request(&self) -> String {
        let facts = self.facts;
        let link = |sha: &str| {
            let (web, name) = (facts.web.trim_end_matches('/'), &facts.repository);
            format!("[`{}`]({web}/{name}/commit/{sha})", short_sha(sha))
        };
        let (head, base) = (link(&facts.head_sha), code(&facts.base_ref, 255));
        let again = if facts.is_rerun { " once more" } else { "" };
        let what = match &facts.base_sha {
            Some(sha) => format!("{head}{again} merged into {base} at {}", link(sha)),
            None => format!("{head}{again} as it is, for {base}"),
        };
        let page = facts.page.as_ref();
        let page = page.map_or_else(String::new, |page| format!(" [Results and logs]({page})."));
        format!("{what}, asked for by {}{}.{page}", self.user(), self.how())
    }

    fn user(&self) -> String {
        code(&self.facts.trigger.user.login, 64)
    }

    fn how(&self) -> String {
        let trigger = &self.facts.trigger;
        match (&trigger.label, &trigger.command) {
            (Some(label), _) => format!(" with the label {}", code(label, 100)),
            (None, Some(command)) => format!(" with {}", code(command, 100)),
            (None, None) => String::new(),
        }
    }

    /// The builders with result, time and link: all of a small build, else what did not pass; the
    /// rest folded.
    pub fn table(&self) -> String {
        let mut sorted: Vec<&BuilderFacts> = self.facts.builders.iter().collect();
        let rank = |one: &BuilderFacts| ORDER.iter().position(|group| group.contains(&one.phase));
        sorted.sort_by_key(|one| rank(one));
        let bad = |one: &&BuilderFacts| {
            matches!(
                one.phase,
                RunPhase::Failed | RunPhase::TimedOut | RunPhase::Error
            )
        };
        let open = match sorted.len() {
            few if few <= OPEN_TABLE => few,
            _ => sorted
                .iter()
                .take_while(|one| bad(one))
                .count()
                .min(OPEN_ROWS),
        };
        let (open, folded) = sorted.split_at(open);
        let mut out = String::new();
        self.rows(&mut out, open);
        paragraph(&mut out, &self.shared_failures());
        self.fold(&mut out, open, folded);
        out
    }

    fn rows(&self, out: &mut String, open: &[&BuilderFacts]) {
        if open.is_empty() {
            return;
        }
        // Few rows have room for more names.
        let failures = if open.len() > 3 {
            self.room.failures.min(5)
        } else {
            self.room.failures
        };
        out.push_str("| builder | result | time |\n|---|---|---|\n");
        for one in open {
            let name = self.name(one, true);
            let because = [
                inert(&cell(&one.because), self.room.because),
                failing(one, failures),
            ];
            let faults = fault::sentences(&one.also, if failures == 0 { 0 } else { FAULTS });
            let faults = faults.into_iter().map(|said| cell(&said));
            let because: Vec<String> = because
                .into_iter()
                .chain(faults)
                .filter(|part| !part.is_empty())
                .collect();
            let result = match because.join(" · ") {
                none if none.is_empty() => result_word(one),
                because => format!("{}: {because}", result_word(one)),
            };
            let took = unbroken(one.took.as_deref().unwrap_or_default());
            let _ = writeln!(out, "| {name} | {} {result} | {took} |", sign(one.phase));
        }
        out.push('\n');
    }

    /// The other builders, one row of a table for each result and in it one line for each builder:
    /// a row for each would be more lines than a comment should have.
    fn fold(&self, out: &mut String, open: &[&BuilderFacts], folded: &[&BuilderFacts]) {
        if folded.is_empty() {
            return;
        }
        let the = if open.is_empty() { "The" } else { "The other" };
        let builders = match folded.len() {
            1 => "1 builder".to_owned(),
            many => format!("{many} builders"),
        };
        let _ = write!(
            out,
            "<details><summary>{the} {builders}</summary>\n\n| builders | |\n|---|---|\n"
        );
        for group in folded.chunk_by(|a, b| word(a.phase) == word(b.phase)) {
            let names: Vec<String> = group.iter().map(|one| self.folded_name(one)).collect();
            let (left, right) = names.split_at(names.len().div_ceil(2));
            let (sign, word) = (sign(group[0].phase), word(group[0].phase));
            let (count, left) = (group.len(), left.join("<br>"));
            let right = match right.join("<br>") {
                none if none.is_empty() => none,
                right => format!("\u{a0}<br>{right}"),
            };
            let _ = writeln!(out, "| **{sign} {count} {word}**<br>{left} | {right} |");
        }
        out.push_str("\n</details>\n\n");
    }

    fn folded_name(&self, one: &BuilderFacts) -> String {
        let name = self.name(one, self.room.links);
        let more = match (one.phase, &one.took) {
            (RunPhase::Succeeded, Some(took)) if one.warning => {
                unbroken(&format!("with warnings, {took}"))
            }
            (RunPhase::Queued | RunPhase::Dispatched, _) | (_, None) => {
                inert(&cell(&one.because), self.room.because.min(80))
            }
            (_, Some(took)) => unbroken(took),
        };
        match more {
            none if none.is_empty() => name,
            more => format!("{name}\u{a0}{more}"),
        }
    }

    /// Tests that failed on several builders of a large build: whether it is one thing everywhere.
    fn shared_failures(&self) -> String {
        let facts = self.facts;
        if facts.builders.len() <= OPEN_TABLE || self.room.failures == 0 {
            return String::new();
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for one in &facts.builders {
            let names: BTreeSet<&str> = one.failures.iter().map(String::as_str).collect();
            for name in names {
                *counts.entry(name).or_default() += 1;
            }
        }
        let mut shared: Vec<(&str, usize)> = counts.into_iter().filter(|(_, on)| *on > 1).collect();
        shared.sort_by_key(|(_, on)| Reverse(*on));
        let named = shared.iter().take(SHARED_MOST);
        let named: Vec<String> = named
            .map(|(name, on)| format!("{} on {on} builders", code(name, 80)))
            .collect();
        match named.join(", ") {
            none if none.is_empty() => none,
            named => format!("Failed on several builders: {named}."),
        }
    }

    fn name(&self, one: &BuilderFacts, linked: bool) -> String {
        let name = cell(&code(&one.name, self.room.name));
        match &one.link {
            Some(link) if linked => format!("[{name}]({link})"),
            _ => name,
        }
    }

    /// The builders by name, in one line.
    pub fn builders(&self, which: impl Fn(RunPhase) -> bool) -> String {
        let chosen = self.facts.builders.iter().filter(|one| which(one.phase));
        let names: Vec<String> = chosen.map(|one| self.name(one, false)).collect();
        names.join(", ")
    }

    /// Builders that were asked for and do not run, and what would include them.
    pub fn left_out(&self) -> String {
        let left_out = &self.facts.left_out;
        if left_out.is_empty() {
            return String::new();
        }
        let count = match left_out.len() {
            1 => "1 builder is left out".to_owned(),
            many => format!("{many} builders are left out"),
        };
        let mut out = format!("<details><summary>{count}</summary>\n\n");
        for left in left_out.iter().take(LEFT_OUT_MOST) {
            let (name, why) = (code(&left.builder, 40), inert(&left.reason, 300));
            let _ = writeln!(out, "- {name}: {why}");
        }
        if left_out.len() > LEFT_OUT_MOST {
            let _ = writeln!(out, "- and {} more", left_out.len() - LEFT_OUT_MOST);
        }
        out.push_str("\n</details>");
        out
    }

    /// What the reader can do now.
    pub fn next(&self) -> String {
        let facts = self.facts;
        let command = |words: &str| format!("`{} {words}`", facts.prefix.replace('`', "'"));
        let again = self.again();
        let unhappy = |phase| {
            matches!(
                phase,
                RunPhase::Failed | RunPhase::TimedOut | RunPhase::Error | RunPhase::Cancelled
            )
        };
        if !facts.is_complete() && facts.is_stopping() {
            return String::new();
        }
        if !facts.is_complete() {
            return format!("{} stops this build.", command("cancel"));
        }
        if facts.count(unhappy) == 0 {
            return format!("To test a newer commit, {again}.");
        }
        let ours = match facts.failed() > 0 || facts.count(|phase| phase == RunPhase::Error) == 0 {
            true => "",
            false => "An error is the infrastructure's doing, not the code's. ",
        };
        let rerun = command("rerun failed");
        format!(
            "{ours}{rerun} runs what did not pass once more, on the same commit. To test a newer one, {again}."
        )
    }

    /// How the person asks for another build: `add the label … again`.
    pub fn again(&self) -> String {
        match &self.facts.trigger.label {
            Some(label) => format!("add the label {} again", code(label, 100)),
            None => "ask again".to_owned(),
        }
    }

    /// Why to think before asking again, and how much a green result says.
    pub fn good_citizen(&self) -> &'static str {
        "Green is what the code of this pull request says of itself. \
         The machines are shared and many are donated: build again when it is worth it."
    }

    /// The commits in full, for whoever copies them.
    pub fn whole_shas(&self) -> String {
        let facts = self.facts;
        let mut line = format!("Commit `{}`", facts.head_sha);
        for (name, sha) in [("base", &facts.base_sha), ("merge", &facts.merge_sha)] {
            if let Some(sha) = sha {
                let _ = write!(line, " · {name} `{sha}`");
            }
        }
        line
    }

    /// Where the results stand: on the build's page, else on GitHub.
    pub fn results_url(&self) -> String {
        let facts = self.facts;
        if let Some(page) = &facts.page {
            return page.clone();
        }
        let (web, name, sha) = (
            facts.web.trim_end_matches('/'),
            &facts.repository,
            &facts.head_sha,
        );
        match facts.mode {
            ReportMode::Checks => format!("{web}/{name}/pull/{}/checks?sha={sha}", facts.number),
            _ => format!("{web}/{name}/commit/{sha}"),
        }
    }

    /// A login that may follow an `@` of a template. What a user of the cluster is called may be
    /// somebody else's login on GitHub.
    pub fn login(&self) -> String {
        let trigger = &self.facts.trigger;
        let is_of_github = trigger.kind != TriggerKind::Manual;
        match trigger.user.login.as_str() {
            login if is_of_github && is_login(login) => login.replace('_', "\\_"),
            login => code(login, 64),
        }
    }
}

fn result_word(one: &BuilderFacts) -> String {
    match one.phase {
        RunPhase::Succeeded if one.warning => "passed with warnings".to_owned(),
        phase => word(phase).to_owned(),
    }
}

/// `test_ssl`, `test_socket` and 3 more.
fn failing(one: &BuilderFacts, most: usize) -> String {
    let named: Vec<String> = one
        .failures
        .iter()
        .take(most)
        .map(|name| cell(&code(name, 80)))
        .collect();
    let all = one.failures_total.max(one.failures.len());
    match (named.len(), all - named.len()) {
        (0, 0) => String::new(),
        (0, 1) => "1 test".to_owned(),
        (0, many) => format!("{many} tests"),
        (_, 0) => named.join(", "),
        (_, more) => format!("{} and {more} more", named.join(", ")),
    }
}
