//! The page of one builder.

use jiff::Timestamp;
use maud::{Markup, html};

use super::model::{BuilderPage, Failing, Numbers, Run, Way};
use crate::pages::{
    address,
    builders::{now, traits},
    strip::{self, Past},
    text::Foreign,
    words,
};

/// Failing tests that a row names.
const MOST_FAILURES: usize = 2;
/// Characters of a step's script that are shown.
const SCRIPT: usize = 4000;

pub(super) fn html(page: &BuilderPage, now: Timestamp) -> Markup {
    html! {
        p class="up" { a href="/builders" { "Builders" } }
        h1 { (page.display_name) }
        @if let Some(note) = &page.note { p class="note" { (note) } }
        (head(page))
        (history(page, now))
        (failing(&page.failing))
        @if let Some(way) = &page.way { (steps(way)) (limits(way)) }
    }
}

fn head(page: &BuilderPage) -> Markup {
    html! {
        @match &page.now {
            Some(row) => {
                p class="soft" { (traits(row)) }
                p { (now(row)) }
            },
            None => p { "This builder is gone; its last runs are still here." },
        }
    }
}

fn history(page: &BuilderPage, now: Timestamp) -> Markup {
    let pasts: Vec<Past> = page
        .runs
        .iter()
        .take(strip::RUNS)
        .map(|run| run.past.clone())
        .collect();
    html! {
        h2 { "Last runs on pull requests" }
        @if page.runs.is_empty() {
            p class="soft" { "No run has ended yet." }
        } @else {
            (strip::svg(&pasts, strip::LARGE))
            (numbers(&page.numbers))
            (table(&page.runs, now))
        }
    }
}

fn numbers(numbers: &Numbers) -> Markup {
    html! {
        p class="numbers" {
            "Of the last " (words::count(numbers.runs, "run")) " "
            (numbers.passed) " passed, " (numbers.failed) " failed"
            @if let Some(percent) = numbers.pass_percent { " (" (percent) " % of these passed)" }
            @if numbers.error > 0 { ", " (numbers.error) " ended in error" }
            @if numbers.cancelled > 0 { ", " (numbers.cancelled) " were cancelled" }
            "."
            @if let (Some(median), Some(most)) = (numbers.median_seconds, numbers.ninetieth_seconds) {
                " Half of those that passed took " (words::duration(median))
                " or less, nine of ten " (words::duration(most)) " or less."
            }
        }
    }
}

fn table(runs: &[Run], now: Timestamp) -> Markup {
    html! {
        table class="rows" {
            thead {
                tr {
                    th scope="col" { "Result" }
                    th scope="col" { "Pull request" }
                    th scope="col" { "Commit" }
                    th scope="col" class="number" { "Time" }
                    th scope="col" { "Failing tests" }
                    th scope="col" { "Ended" }
                }
            }
            tbody { @for run in runs { (row(run, now)) } }
        }
    }
}

fn row(run: &Run, now: Timestamp) -> Markup {
    let past = &run.past;
    let rest = run.failures.len().saturating_sub(MOST_FAILURES);
    html! {
        tr {
            td { a href=(address::run(&past.repository, &past.run)) { (past.state.told()) } }
            td {
                a href=(address::pull(&past.repository, past.number)) { (Foreign::from(past.repository.as_str())) "#" (past.number) }
            }
            td class="soft" { (words::sha(&run.head_sha)) " → " (run.base_ref) }
            td class="number" { @if let Some(seconds) = past.seconds { (words::duration(seconds)) } }
            td class="wide" {
                @if !run.failures.is_empty() {
                    ul class="fails" {
                        @for test in run.failures.iter().take(MOST_FAILURES) { li { (test) } }
                        @if rest > 0 { li class="soft" { "… and " (rest) " more" } }
                    }
                }
            }
            td { (words::moment(past.finished.0, now)) }
        }
    }
}

fn failing(failing: &[Failing]) -> Markup {
    html! {
        @if !failing.is_empty() {
            h2 { "Tests that fail most" }
            ul class="fails" {
                @for test in failing {
                    li {
                        (test.test)
                        span class="soft" {
                            " in " (words::count(test.runs, "run")) ", " (words::count(test.pulls, "pull request"))
                        }
                    }
                }
            }
        }
    }
}

fn steps(way: &Way) -> Markup {
    html! {
        h2 { "Steps" }
        ol class="steps" {
            @for step in &way.steps {
                li {
                    details {
                        summary { (step.title) }
                        pre tabindex="0" { (script(&step.run)) }
                    }
                }
            }
        }
    }
}

/// A script as it is, with its line ends; what cannot be seen is shown.
fn script(run: &str) -> String {
    let shown: String = run.chars().take(SCRIPT).collect();
    let lines = shown.lines().map(|line| {
        let indent: String = line
            .chars()
            .take_while(|character| *character == ' ')
            .collect();
        format!("{indent}{}", Foreign::from(line).shown())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn limits(way: &Way) -> Markup {
    let time = |seconds: i64| words::duration(seconds as f64);
    html! {
        h2 { "Limits" }
        dl class="facts" {
            @if let Some(image) = &way.image { dt { "Image" } dd { code { (image) } } }
            @if let Some(resources) = &way.resources {
                dt { "A run gets" }
                dd { (resources.cpu) " CPU, " (resources.memory) " memory, " (resources.disk) " disk" }
            }
            dt { "It may take" } dd { (time(way.timeouts.run_seconds)) }
            dt { "Be silent for" } dd { (time(way.timeouts.no_output_seconds)) }
            dt { "Fetch its code for" } dd { (time(way.timeouts.checkout_seconds)) }
            dt { "Wait for" } dd { (time(way.timeouts.queue_seconds)) }
            dt { "Is tried again" } dd { (way.infra_retries) " times after infrastructure failed" }
            @if !way.base_branches.is_empty() {
                dt { "Base branches" }
                dd {
                    @for (place, name) in way.base_branches.iter().enumerate() {
                        @if place > 0 { ", " }
                        (name)
                    }
                }
            }
        }
    }
}
