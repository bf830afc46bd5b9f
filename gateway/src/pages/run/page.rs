//! The page of a run as HTML.

use maud::{Markup, PreEscaped, html};

use super::{
    facts::{Facts, Failure},
    line,
    model::{Log, Missing, Model, Shown},
    search,
    signed::Signed,
    steps,
};
use crate::pages::{assets, shell::Page, words};

/// The page of a run, of all that it says.
pub fn page(model: &Model) -> Page {
    let facts = &model.facts;
    Page {
        title: format!("#{} {}", facts.pull.number, facts.display_name.0),
        state: Some(facts.state),
        path: address(facts),
        script: assets::RUN_SCRIPT,
        again: model.again().map(|time| time.as_secs() as u32),
        body: html! {
            (head(model))
            (log(model))
        },
    }
}

fn address(facts: &Facts) -> String {
    format!("/r/{}/runs/{}", facts.pull.repository, facts.uid)
}

/// What is to be known before the log is read. A script puts a newer one in its place.
fn head(model: &Model) -> Markup {
    let facts = &model.facts;
    html! {
        section id="facts" data-over[facts.is_over()] data-told=(model.held.told(facts)) {
            p class="soft trail" {
                a href=(facts.pull.address()) { (facts.pull.full_name) " #" (facts.pull.number) }
                " / "
                a href={ "/r/" (facts.pull.repository) "/builds/" (facts.build) } { "build" }
                " / "
                a href={ "/builders/" (facts.builder) } { "builder" }
            }
            h1 {
                (facts.state.mark()) " " (facts.display_name)
                @if facts.attempt > 1 || facts.followed { " " small { "attempt " (facts.attempt) } }
            }
            p class="lead" role="status" { (verdict(model)) }
            (code(model))
            (failures(facts))
            (held(model))
        }
    }
}

/// What keeps some of the log away. It stands here because a page that is open learns of it.
fn held(model: &Model) -> Markup {
    html! {
        @if model.store_is_down() {
            p class="note" { "The store of logs is away or full. What is printed is kept by the machine that runs it and will appear here." }
        }
        @if model.held.end_later {
            p class="note" { "This log is longer than may be kept; its end appears when the run ends." }
        }
    }
}

/// What happened, and how long it took.
fn verdict(model: &Model) -> Markup {
    let facts = &model.facts;
    html! {
        strong class=(facts.state.class()) { (capital(facts.state.word())) @if facts.warning { " with a warning" } }
        @if !facts.reason.is_empty() { ": " (spoken(&facts.reason.shown())) }
        @if !facts.reason.0.trim_end().ends_with(['.', '!', '?']) { "." }
        @if facts.followed { " Another attempt follows this one." }
        @if let Some(other) = &facts.same_as {
            " The same code was built by another run, and "
            a href={ "/r/" (facts.pull.repository) "/runs/" (other) } { "its outcome and log" }
            " are those of this one."
        }
        " " (times(model))
    }
}

fn times(model: &Model) -> Markup {
    let (facts, now) = (&model.facts, model.now);
    html! {
        span class="soft" {
            @if let Some(started) = facts.started_ms {
                @if facts.is_over() { "Took " } @else { "Running for " }
                span data-since=[(!facts.is_over()).then_some(started)] {
                    (words::duration(facts.ran(now).unwrap_or_default()))
                }
                @if let Some(usual) = facts.expected_seconds { " (usually " (words::duration(usual)) ")" }
                " after waiting " (words::duration(facts.waited(now))) "."
            } @else if !facts.is_over() {
                "Waiting for " span data-since=(facts.queued_ms) { (words::duration(facts.waited(now))) } "."
                @if let Some(usual) = facts.expected_seconds { " It usually takes " (words::duration(usual)) "." }
            }
            @if let Some(finished) = facts.finished_ms {
                " Ended " (words::moment(words::of_ms(finished), now)) "."
            }
        }
    }
}

/// Which code, and who asked.
fn code(model: &Model) -> Markup {
    let facts = &model.facts;
    let repository = facts
        .pull
        .github
        .rsplit_once("/pull/")
        .map_or("", |(url, _)| url);
    html! {
        p class="soft code" {
            a href=(facts.pull.github) rel="noopener" { "Pull request " (facts.pull.number) " on GitHub" } ": "
            (commit(repository, &facts.head_sha))
            @if let [base, _] = &facts.parents[..] {
                " merged into " code { (facts.base_ref) } " at " (commit(repository, base))
                ", built as " (commit(repository, &facts.commit))
            } @else {
                " of a pull request to " code { (facts.base_ref) }
            }
            @if let Some(tree) = &facts.tree { ", with the tree " (words::sha(tree)) }
            ". Asked for by " (facts.requester) " "
            (words::moment(words::of_ms(facts.queued_ms), model.now)) "."
            (image(facts))
            @if let Some(worker) = &facts.worker {
                " On the worker " code { (worker) } "."
            }
        }
    }
}

/// What it ran in: by the name that the builder says, and by the digest that it had then.
fn image(facts: &Facts) -> Markup {
    html! {
        @match (&facts.image, &facts.image_digest) {
            (Some(name), Some(digest)) => { " Image " code { (name) } ", that is " code { (digest) } "." }
            (Some(only), None) | (None, Some(only)) => { " Image " code { (only) } "." }
            (None, None) => {}
        }
    }
}

fn commit(repository: &str, sha: &str) -> Markup {
    let is_sha = matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    html! {
        @if is_sha {
            a href={ (repository) "/commit/" (sha) } rel="noopener" title=(sha) { code { (&sha[..10]) } }
        } @else {
            "an unknown commit"
        }
    }
}

fn failures(facts: &Facts) -> Markup {
    let total = facts.failures_total.max(0) as u64;
    html! {
        @if !facts.failures.is_empty() {
            h2 { @if total == 1 { "1 failing test" } @else { (steps::grouped(total)) " failing tests" } }
            ul class="tests" {
                @for failure in &facts.failures { (failing_test(failure)) }
                @if total > facts.failures.len() as u64 {
                    li class="soft" { "and " (steps::grouped(total - facts.failures.len() as u64)) " more" }
                }
            }
        }
    }
}

fn failing_test(failure: &Failure) -> Markup {
    let query = query_of(&failure.name.shown());
    html! {
        li {
            a href={ "?q=" (query) } title="Search the log for it" { code { (failure.name) } }
            @if let Some((failed, of)) = failure.also_failed {
                span class="also" {
                    " also failed in " (failed) " of this builder’s last " (words::count(of, "build"))
                    ", on other pull requests"
                }
            }
        }
    }
}

/// A text as the value of a parameter of an address, as much of it as can be searched for.
fn query_of(text: &str) -> String {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= search::WORDS).last();
    let mut out = String::new();
    for byte in text[..end.unwrap_or(0)].bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn log(model: &Model) -> Markup {
    html! {
        section id="log" aria-label="Log" {
            @match &model.log {
                Log::Shown(shown) => (shown_log(model, shown)),
                Log::Missing(missing) => (missing_log(model, *missing)),
            }
        }
        (keys())
    }
}

/// What the keys do: a script shows it.
fn keys() -> Markup {
    let keys = [
        ("j", "next step"),
        ("k", "step before"),
        ("f", "follow the log"),
        ("/", "search"),
        ("?", "this help"),
    ];
    html! {
        dialog id="keys" aria-label="Keys" {
            dl {
                @for (key, what) in keys {
                    dt { kbd { (key) } }
                    dd { (what) }
                }
                dt { "Shift + click" }
                dd { "lines up to this one" }
            }
            form method="dialog" { button { "Close" } }
        }
    }
}

fn shown_log(model: &Model, shown: &Shown) -> Markup {
    let words = shown.search.as_ref().map(|(words, _)| words.as_str());
    let uid = &model.facts.uid;
    html! {
        div class="bar" {
            form role="search" method="get" {
                input type="search" name="q" maxlength="200" value=[words] placeholder="Search the log"
                    aria-label="Search the log";
                button type="submit" { "Search" }
            }
            button type="button" id="follow" aria-pressed="false" hidden { "Follow" }
            // Where there is no room for them beside the lines. The style sheet does what it says.
            label class="times" { input type="checkbox" id="times"; " Times" }
            span class="files" {
                a href="#end" { "To the end" }
                " "
                a href={ (uid) ".txt" } { "Plain text" }
                " " a href={ (uid) ".txt" } download={ (uid) ".txt" } { "Download" }
                " " span class="soft" { (line::size(shown.view.size)) }
            }
        }
        (steps::left_out(shown.view.left_out))
        (unfinished(model, shown))
        (signed(shown))
        @if let Some((words, _)) = &shown.search { (found(shown, words)) }
        div id="steps" data-live=[shown.live_from] data-log={ (address(&model.facts)) } {
            (steps::steps(&shown.sections, &shown.reports, shown.open, &shown.window, model.facts.is_over()))
        }
        span id="end" {}
    }
}

/// What may be missing at the end of a log.
fn unfinished(model: &Model, shown: &Shown) -> Markup {
    let (ended, facts) = (shown.view.ended, &model.facts);
    html! {
        @if shown.view.unfinished {
            p class="note" { "The end of the log may be missing: whoever wrote it was stopped before it could send all." }
        } @else if !ended && facts.is_over() && !facts.ended_lately(model.now) {
            p class="note" { "The run has ended, but the end of its log has not arrived. It will appear here if it does." }
        }
    }
}

/// Whether the log is the one that its worker signed.
fn signed(shown: &Shown) -> Markup {
    html! {
        @if let Some(signed) = shown.signed {
            p class=(if signed == Signed::Same { "soft" } else { "note" }) { (signed.sentence()) }
        }
    }
}

fn found(shown: &Shown, words: &str) -> Markup {
    let Some((_, found)) = &shown.search else {
        return Markup::default();
    };
    html! {
        section class="found" aria-label="Results of the search" {
            @if found.is_busy {
                p { "Too many people search now. Search again in a moment." }
            } @else { p {
                @match found.hits.len() {
                    0 => { "No line has " }
                    1 => { "1 line has " }
                    count => { (count) " lines have " }
                }
                strong { (crate::pages::text::plain(words, 200)) } ". "
                @if let Some(note) = &found.note { (note) " " }
                a href="?" { "Clear the search" }
            } }
            ol {
                @for hit in &found.hits {
                    li {
                        a href={ "?line=" (hit.line + 1) "#L" (hit.line + 1) } { (hit.line + 1) }
                        span { (PreEscaped(&hit.html)) }
                    }
                }
            }
        }
    }
}

fn missing_log(model: &Model, missing: Missing) -> Markup {
    html! {
        p class="none" data-awaited[missing.is_awaited()] {
            (missing.sentence(model.facts.state, &model.keeps))
        }
    }
}

/// A sentence of ours, in which names stand in backticks.
fn spoken(sentence: &str) -> Markup {
    let parts: Vec<&str> = sentence.split('`').collect();
    html! {
        @for (place, part) in parts.iter().enumerate() {
            @if place % 2 == 0 {
                (part)
            } @else if place + 1 == parts.len() {
                "`" (part)
            } @else {
                code { (part) }
            }
        }
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_test_is_searched_for_as_it_is() {
        assert_eq!(
            query_of("test_a (x.Y) <é>&"),
            "test_a%20%28x.Y%29%20%3C%C3%A9%3E%26"
        );
        let long = query_of(&"é".repeat(300));
        assert_eq!(long.len(), search::WORDS * 3, "more cannot be searched for");
    }

    #[test]
    fn names_in_backticks_look_like_code() {
        let told = |sentence| spoken(sentence).into_string();
        assert_eq!(told("`a`, `<b>`"), "<code>a</code>, <code>&lt;b&gt;</code>");
        assert_eq!(told("one ` tick"), "one ` tick");
    }

    #[test]
    fn only_a_commit_is_a_link() {
        let link = |sha: &str| commit("https://github.com/o/r", sha).into_string();
        assert!(link(&"a".repeat(40)).contains("https://github.com/o/r/commit/aaaa"));
        assert_eq!(link("../../evil"), "an unknown commit");
        assert_eq!(link(""), "an unknown commit");
    }
}
