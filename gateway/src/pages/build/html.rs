//! The page of a build.

use jiff::Timestamp;
use maud::{Markup, html};

use super::model::{Build, LeftOut};
use crate::pages::{address, matrix, parts::Part, state::State, words};

/// Rows of the table: more builders than a build can have.
const MOST_ROWS: usize = 256;
/// Failing tests that a row names.
const MOST_FAILURES: usize = 5;

pub(super) fn html(build: &Build, now: Timestamp) -> Markup {
    html! {
        (head(build, now))
        (matrix::html(&build.line.pull.repository, &build.line.matrix))
        (table(build, now))
        (left_out(&build.left_out))
    }
}

fn head(build: &Build, now: Timestamp) -> Markup {
    let line = &build.line;
    let took = line
        .finished
        .map(|finished| words::seconds_between(line.created.0, finished.0));
    html! {
        p class="up" {
            a href=(line.pull.address()) { (line.pull.full_name) "#" (line.pull.number) }
            " · "
            a href=(line.pull.github) { "on GitHub" }
        }
        h1 { (build.title()) }
        @if let Some(note) = &build.note { p class="note" { (note) } }
        p class="result" {
            (line.state.told())
            @if !line.summary.is_empty() { " · " (line.summary) }
        }
        @if !line.reason.is_empty() { p class="reason" { (line.reason.sentence()) } }
        p {
            (line.requester) " asked for it with " (build.trigger.sentence()) " "
            (words::moment(line.created.0, now))
            @if let Some(seconds) = took { ". It took " (words::duration(seconds)) }
            "."
        }
        p { (commit(build)) }
        @if let Some(first) = &build.rerun_of {
            p { "It repeats " a href=(address::build(&line.pull.repository, first)) { "an earlier build" } "." }
        }
    }
}

/// Which commit is built: the head, or the head merged into the base branch.
fn commit(build: &Build) -> Markup {
    let head = &build.line.head_sha;
    html! {
        "Commit " (words::sha(head))
        @if build.is_merge() {
            ", merged into " (build.base_ref)
            @if let Some(base) = &build.base_sha { " at " (words::sha(base)) }
            " as " (words::sha(&build.commit))
        } @else {
            " itself, not merged into " (build.base_ref)
        }
        "."
    }
}

fn table(build: &Build, now: Timestamp) -> Markup {
    let rest = build.builders.len().saturating_sub(MOST_ROWS);
    html! {
        h2 { "Builders " small { (build.builders.len()) } }
        table class="rows named" {
            thead {
                tr {
                    th scope="col" { "Builder" }
                    th scope="col" { "Result" }
                    th scope="col" class="number" { "Time" }
                    th scope="col" { "What happened" }
                }
            }
            tbody {
                @for part in build.builders.iter().take(MOST_ROWS) {
                    (row(&build.line.pull.repository, part, now))
                }
            }
        }
        @if rest > 0 { p class="more" { "… and " (rest) " more" } }
    }
}

fn row(repository: &str, part: &Part, now: Timestamp) -> Markup {
    let running = part.started.filter(|_| part.state == State::Running);
    let so_far = running.map(|started| words::seconds_between(started.0, now));
    html! {
        tr {
            td class="wide" {
                @match &part.run {
                    Some(run) => a href=(address::run(repository, run)) { (part.name) },
                    None => (part.name),
                }
            }
            td {
                (part.state.told())
                @if part.warning { span class="soft" { ", with warnings" } }
                (attempts(repository, part))
            }
            td class="number" {
                @if let Some(seconds) = part.seconds.or(so_far) { (words::duration(seconds)) }
            }
            td class="wide" {
                @if !part.reason.is_empty() { p class="reason" { (part.reason.sentence()) } }
                (failures(part))
            }
        }
    }
}

fn attempts(repository: &str, part: &Part) -> Markup {
    html! {
        @if part.attempt > 1 {
            p class="soft" {
                "attempt " (part.attempt)
                @for earlier in &part.earlier {
                    ", before it "
                    a href=(address::run(repository, &earlier.run)) {
                        (earlier.attempt) " (" (earlier.state.word()) ")"
                    }
                }
            }
        }
    }
}

fn failures(part: &Part) -> Markup {
    let shown = part.failures.iter().take(MOST_FAILURES);
    let rest = (part.failures_total as usize).saturating_sub(shown.len());
    html! {
        @if !part.failures.is_empty() {
            ul class="fails" {
                @for failure in shown { li { (failure) } }
                @if rest > 0 { li class="soft" { "… and " (rest) " more" } }
            }
        }
    }
}

fn left_out(left_out: &[LeftOut]) -> Markup {
    html! {
        @if !left_out.is_empty() {
            h2 { "Left out " small { (left_out.len()) } }
            dl class="facts" {
                @for left in left_out.iter().take(MOST_ROWS) {
                    dt { (left.builder) }
                    dd { (left.reason.sentence()) }
                }
            }
        }
    }
}
