//! The log as a list of steps, folded: what is open is shown, the rest is asked for when it is unfolded.

use maud::{Markup, PreEscaped, html};
use protocol::StepResult;

use super::{
    line,
    marks::Section,
    reports::{self, Report},
    window::Window,
};
use crate::pages::words;

/// Where a step stands: sign, class of its colour, words.
fn standing(section: &Section, is_over: bool) -> (&'static str, &'static str, &'static str) {
    match section.result {
        Some(StepResult::Passed) => ("●", "passed", "passed"),
        Some(StepResult::Warning) => ("●", "passed", "passed with a warning"),
        Some(StepResult::Failed) => ("✕", "failed", "failed"),
        Some(StepResult::Tolerated) => ("✕", "waiting", "failed, and may fail"),
        Some(StepResult::TimedOut) => ("✕", "failed", "timed out"),
        Some(StepResult::Skipped) => ("–", "cancelled", "skipped"),
        Some(StepResult::Cancelled) => ("–", "cancelled", "cancelled"),
        None if section.step.is_none() => ("", "waiting", ""),
        None if is_over => ("–", "cancelled", "did not end"),
        None => ("◐", "running", "running"),
    }
}

/// What a step is called in addresses.
pub fn key(section: &Section) -> String {
    match section.step {
        Some(step) => step.to_string(),
        None => "log".to_owned(),
    }
}

/// The step that is open when nobody asked for another: the first that went wrong, else the one that runs,
/// else the last that did something.
pub fn interesting(sections: &[Section]) -> usize {
    let bad = sections.iter().position(Section::is_bad);
    let running = || sections.iter().rposition(Section::is_open);
    let has_lines = |section: &Section| section.to.is_none_or(|to| to > section.from);
    let last = || sections.iter().rposition(has_lines);
    bad.or_else(running).or_else(last).unwrap_or(0)
}

/// Every step with its summary, one of them open with some of its lines.
pub fn steps(
    sections: &[Section],
    reports: &[Report],
    open: usize,
    window: &Window,
    is_over: bool,
) -> Markup {
    html! {
        @for (place, (section, report)) in sections.iter().zip(reports).enumerate() {
            (step(section, report, (place == open).then_some(window), is_over))
        }
    }
}

fn step(section: &Section, report: &Report, window: Option<&Window>, is_over: bool) -> Markup {
    let key = key(section);
    let is_empty = section.to.is_some_and(|to| to <= section.from);
    html! {
        details class="step" id={ "step-" (key) } data-step=(key) open[window.is_some()]
            data-lazy[window.is_none() && !is_empty] {
            (summary(section, is_over))
            @match report {
                Report::None => {}
                Report::Whole(html) => div class="report" { (PreEscaped(html)) },
                Report::Link => div class="report" {
                    a class="more" href={ "?summary=" (key) "#step-" (key) } data-lines={ "summary=" (key) } {
                        "Show the summary"
                    }
                },
            }
            div class="lines" {
                @match window {
                    Some(window) => (lines(window, &key)),
                    None if is_empty => p class="none" { "This step printed nothing." },
                    None => a class="more" href={ "?step=" (key) "#step-" (key) } data-lines={ "step=" (key) } {
                        "Show the lines"
                    },
                }
            }
        }
    }
}

/// A step that has just begun, or changed, without lines: what who watches a log is told.
pub fn live_step(section: &Section) -> Markup {
    let report = Report::of(section, reports::AT_FIRST);
    step(section, &report, Some(&Window::default()), false)
}

fn summary(section: &Section, is_over: bool) -> Markup {
    let (sign, class, word) = standing(section, is_over);
    html! {
        summary {
            span class={ "sign " (class) } aria-hidden="true" { (sign) }
            span class="name" { (section.name) }
            span class="how" {
                @if word == "passed" {
                    span class="unseen" { (word) }
                } @else if !word.is_empty() {
                    span class=(class) { (word) }
                }
                @if let Some(exit) = section.exit.filter(|exit| *exit != 0) { ", exit " (exit) }
            }
            @if let Some(seconds) = section.seconds().filter(|_| word != "skipped") {
                span class="took" { (words::duration(seconds)) }
            } @else if let Some(began) = section.began_ms.filter(|_| !is_over && section.is_open()) {
                span class="took" data-since=(began) {}
            }
        }
    }
}

/// Lines with links to those before and behind them.
pub fn lines(window: &Window, key: &str) -> Markup {
    html! {
        (earlier(window, key))
        (PreEscaped(&window.html))
        (later(window, key))
        @if window.lines.is_empty() && window.section.is_empty() {
            p class="none" { "No output yet." }
        }
    }
}

/// The link to the lines before those that are shown, if there are any.
pub fn earlier(window: &Window, key: &str) -> Markup {
    let count = window.lines.start.saturating_sub(window.section.start);
    let asked = format!("before={}", window.lines.start + 1);
    more(count, "▲", "earlier", &asked, key)
}

/// The link to the lines behind those that are shown, if there are any.
pub fn later(window: &Window, key: &str) -> Markup {
    let count = window.section.end.saturating_sub(window.lines.end);
    let asked = format!("from={}", window.lines.end + 1);
    more(count, "▼", "later", &asked, key)
}

fn more(count: u64, sign: &str, which: &str, asked: &str, key: &str) -> Markup {
    let noun = if count == 1 { "line" } else { "lines" };
    html! {
        @if count > 0 {
            a class={ "more " (which) } href={ "?" (asked) "#step-" (key) } data-lines=(asked) {
                span aria-hidden="true" { (sign) } " " (grouped(count)) " " (which) " " (noun)
            }
        }
    }
}

/// A link to lines that were left out because they came too fast to be read.
pub fn gap(lines: std::ops::Range<u64>) -> Markup {
    let count = lines.end.saturating_sub(lines.start);
    html! {
        a class="more later" href={ "?from=" (lines.start + 1) } data-lines={ "from=" (lines.start + 1) } {
            "… " (grouped(count)) " lines that came too fast to be read"
        }
    }
}

/// A count with its thousands apart: `12,345`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What is said beneath the steps of a log that is not whole.
pub fn left_out(bytes: u64) -> Markup {
    html! {
        @if bytes > 0 {
            p class="note" {
                "The log is longer than may be kept: " (line::size(bytes))
                " in its middle are left out. Its beginning and its end are here."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::marks::Marks, *};

    fn sections(ends: &[(u32, &str)]) -> Vec<Section> {
        let mut lines = String::new();
        for (n, end) in ends {
            let at = n * 10;
            lines += &format!(
                "{{\"at\":{at},\"ms\":{at},\"mark\":\"step\",\"n\":{n},\"name\":\"Step {n}\"}}\n"
            );
            if !end.is_empty() {
                lines += &format!(
                    "{{\"at\":{at},\"ms\":{at},\"mark\":\"end\",\"n\":{n},\"result\":\"{end}\"}}\n"
                );
            }
        }
        Marks::read(lines.as_bytes()).sections()
    }

    #[test]
    fn the_failed_step_is_open_else_the_one_that_runs_else_the_last() {
        let open = |ends: &[(u32, &str)]| interesting(&sections(ends));
        assert_eq!(open(&[(0, "Passed"), (1, "Failed"), (2, "Passed")]), 1);
        assert_eq!(open(&[(0, "Passed"), (1, "")]), 1);
        assert_eq!(open(&[(0, "Passed"), (1, "Passed")]), 1);
        assert_eq!(open(&[]), 0);
    }

    #[test]
    fn a_folded_step_has_a_link_that_works_without_a_script() {
        let sections = sections(&[(0, "Passed"), (1, "")]);
        let window = Window {
            html: "LINES".to_owned(),
            lines: 700..1000,
            section: 3..1000,
        };
        let none = [Report::None, Report::None];
        let html = steps(&sections, &none, 1, &window, false).into_string();
        assert!(
            html.contains("<details class=\"step\" id=\"step-0\" data-step=\"0\" data-lazy>"),
            "{html}"
        );
        assert!(html.contains("href=\"?step=0#step-0\""), "{html}");
        assert!(
            html.contains("id=\"step-1\" data-step=\"1\" open>"),
            "{html}"
        );
        assert!(
            html.contains("href=\"?before=701#step-1\" data-lines=\"before=701\""),
            "{html}"
        );
        assert!(html.contains("697 earlier lines"), "{html}");
        assert!(
            html.contains("running</span>") && html.contains("data-since=\"10\""),
            "{html}"
        );
    }

    #[test]
    fn a_step_without_end_says_so_once_the_run_is_over() {
        let (sections, none) = (sections(&[(1, "")]), [Report::None, Report::None]);
        let html = steps(&sections, &none, 0, &Window::default(), true).into_string();
        assert!(
            html.contains("did not end") && !html.contains("data-since"),
            "{html}"
        );
    }

    #[test]
    fn counts_read_well() {
        let counts = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(counts, ["0", "999", "1,000", "1,234,567"]);
    }
}
