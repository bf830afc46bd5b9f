//! The page of all builders.

use maud::{Markup, html};

use super::machines::Machine;
use super::model::{Builders, Load, Row};
use crate::pages::{address, strip, text::Foreign};

/// Workers of a builder that are named because they take no runs.
const MOST_WORKERS: usize = 3;
/// Builders that the page shows.
const MOST_ROWS: usize = 500;

pub(super) fn html(page: &Builders) -> Markup {
    let rest = page.builders.len().saturating_sub(MOST_ROWS);
    html! {
        h1 { "Builders" }
        @if let Some(note) = &page.note { p class="note" { (note) } }
        @if page.builders.is_empty() && page.note.is_none() {
            p class="soft" { "There is none yet." }
        }
        @if !page.builders.is_empty() {
            p class="soft" { "Results are of builds of pull requests, so failures are mostly the pull requests' own." }
            table class="rows" {
                thead {
                    tr {
                        th scope="col" { "Builder" }
                        th scope="col" { "Now" }
                        th scope="col" { "Last " (strip::RUNS) " runs on pull requests" }
                    }
                }
                tbody {
                    @for row in page.builders.iter().take(MOST_ROWS) { (one(row)) }
                }
            }
        }
        @if rest > 0 { p class="more" { "… and " (rest) " more" } }
    }
}

fn one(row: &Row) -> Markup {
    html! {
        tr {
            td class="wide" {
                a href=(address::builder(&row.name)) { (row.display_name) }
                p class="soft" { (traits(row)) }
            }
            td { (now(row)) }
            td class="wide" { (strip::svg(&row.last, strip::SMALL)) }
        }
    }
}

/// Tier, stability, tags and flavours in one line.
pub(in crate::pages) fn traits(row: &Row) -> Markup {
    let mut words: Vec<Foreign> = row.tier.iter().cloned().collect();
    if row.unstable {
        words.push("unstable".into());
    }
    words.extend(row.tags.iter().cloned());
    let is_plain = matches!(row.flavours.as_slice(), [only] if only.0 == "default");
    if !is_plain {
        let flavours = row
            .flavours
            .iter()
            .map(|flavour| format!("flavour {}", flavour.0));
        words.extend(flavours.map(Foreign));
    }
    html! {
        @for (place, word) in words.iter().enumerate() {
            @if place > 0 { " · " }
            (word)
        }
    }
}

/// What a builder does now.
pub(in crate::pages) fn now(row: &Row) -> Markup {
    let Load {
        running,
        limit,
        queued,
    } = row.load;
    let is_idle = running == 0 && queued == 0;
    html! {
        @match limit {
            Some(limit) => span class=[is_idle.then_some("soft")] { (running) " of " (limit) " running" },
            None if is_idle => span class="soft" { "idle" },
            None => { (running) " running" },
        }
        @if queued > 0 { ", " (queued) " waiting" }
        @if row.paused { p { "Paused: new runs wait" } }
        @if let Some(broken) = &row.broken { p class="error" { "▲ " (broken.sentence()) } }
        (workers(&row.workers))
    }
}

/// Which workers of a builder take no runs, those first that somebody has to look at.
fn workers(all: &[Machine]) -> Markup {
    let kept_out = all.iter().filter(|one| one.quarantined);
    let away = all.iter().filter(|one| !one.quarantined && !one.ready);
    let closed: Vec<&Machine> = kept_out.chain(away).collect();
    let rest = closed.len().saturating_sub(MOST_WORKERS);
    html! {
        @for worker in closed.iter().take(MOST_WORKERS) {
            p class=(if worker.quarantined { "error" } else { "soft" }) {
                @if worker.quarantined { "▲ " }
                "Worker " code { (worker.name) }
                @if worker.quarantined { " is quarantined" } @else { " takes no runs" }
                @if let Some(why) = &worker.why { ": " (why.sentence()) }
            }
        }
        @if rest > 0 { p class="more" { "… and " (rest) " more workers" } }
    }
}
