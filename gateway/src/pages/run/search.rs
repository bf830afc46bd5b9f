//! Search in a log: plain words, upper and lower case alike, the first results of all of it.

use std::time::{Duration, Instant};

use regex::bytes::{Regex, RegexBuilder};

use super::{
    ansi,
    extent::Extent,
    html,
    scan::{Scan, Spot},
};
use crate::{logs::READ_LIMIT, store::StoreError};

/// Results that are shown.
pub const RESULTS: usize = 200;
/// Bytes of what is searched for, at most.
pub const WORDS: usize = 200;
/// Characters before a result that are shown of its line, and as many behind it.
const AROUND: usize = 160;
/// How long a search takes, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// A line with what was searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Number of the line, from 0.
    pub line: u64,
    /// Offset at which it begins.
    pub at: u64,
    /// The line as HTML, with the words marked.
    pub html: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The lines, in their order, at most [`RESULTS`].
    pub hits: Vec<Hit>,
    /// Why there may be more, as a sentence.
    pub note: Option<String>,
    /// Nothing was searched: too many do at the same time.
    pub is_busy: bool,
}

impl Found {
    /// Nothing, because too many search at the same time.
    pub fn busy() -> Self {
        Self {
            is_busy: true,
            ..Self::default()
        }
    }
}

/// Searches a log.
pub async fn search(extent: &Extent, words: &str) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let Some(pattern) = pattern(words) else {
        return Ok(found);
    };
    let until = Instant::now() + PATIENCE;
    let mut scan = Scan::new(&pattern);
    while scan.offset() < extent.size {
        let from = scan.offset();
        let bytes = extent
            .reader()
            .read(from..extent.size.min(from + READ_LIMIT))
            .await?;
        if bytes.is_empty() {
            break;
        }
        let spots = scan.push(&bytes, RESULTS - found.hits.len());
        found
            .hits
            .extend(spots.iter().map(|spot| hit(&pattern, spot)));
        if found.hits.len() >= RESULTS {
            found.note = Some(format!(
                "These are the first {RESULTS} lines with it; there may be more."
            ));
            return Ok(found);
        }
        if Instant::now() > until {
            let done = scan.offset() * 100 / extent.size;
            found.note = Some(format!(
                "The log is long: only its first {done} % were searched."
            ));
            return Ok(found);
        }
        // Others want to be served, too.
        tokio::task::yield_now().await;
    }
    let spots = scan.finish(RESULTS - found.hits.len());
    found
        .hits
        .extend(spots.iter().map(|spot| hit(&pattern, spot)));
    Ok(found)
}

fn pattern(words: &str) -> Option<Regex> {
    let words = words.trim();
    if words.is_empty() || words.len() > WORDS || words.contains('\n') {
        return None;
    }
    let mut builder = RegexBuilder::new(&regex::escape(words));
    builder.case_insensitive(true).build().ok()
}

fn hit(pattern: &Regex, spot: &Spot) -> Hit {
    let cells = ansi::cells(&String::from_utf8_lossy(&spot.text));
    let text: String = cells.iter().map(|cell| cell.c).collect();
    Hit {
        line: spot.line,
        at: spot.at,
        html: marked(pattern, &text, spot),
    }
}

/// The text around the first match, with every match in it marked.
fn marked(pattern: &Regex, text: &str, spot: &Spot) -> String {
    let first = pattern
        .find(text.as_bytes())
        .map_or(0..0, |found| found.range());
    let start = text[..first.start]
        .char_indices()
        .rev()
        .nth(AROUND - 1)
        .map_or(0, |(at, _)| at);
    let rest = &text[first.end..];
    let end = rest
        .char_indices()
        .nth(AROUND)
        .map_or(text.len(), |(at, _)| first.end + at);
    let shown = &text[start..end];
    let is_cut_before = start > 0 || spot.is_cut_before;
    let mut out = String::from(if is_cut_before { "…" } else { "" });
    let mut at = 0;
    for found in pattern.find_iter(shown.as_bytes()) {
        push_visible(&mut out, &shown[at..found.start()]);
        out.push_str("<mark>");
        push_visible(&mut out, &shown[found.range()]);
        out.push_str("</mark>");
        at = found.end();
    }
    push_visible(&mut out, &shown[at..]);
    let is_cut_behind = end < text.len() || spot.is_cut_behind;
    out.push_str(if is_cut_behind { "…" } else { "" });
    out
}

fn push_visible(out: &mut String, text: &str) {
    for c in text.chars() {
        match html::stand_in(c) {
            Some(symbol) => out.push_str(&symbol),
            None => html::push_escaped(out, c.encode_utf8(&mut [0; 4])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::run::testing::log;

    async fn found(bytes: &[u8], words: &str) -> Vec<(u64, String)> {
        let extent = Extent::of(log(bytes, true).await).await.unwrap();
        let found = search(&extent, words).await.unwrap();
        found
            .hits
            .into_iter()
            .map(|hit| (hit.line, hit.html))
            .collect()
    }

    #[tokio::test]
    async fn lines_are_found_whatever_their_case_and_colour() {
        let log = b"one\n\x1b[31mFAILED\x1b[0m test_a\nfailed <b> failed\n";
        let expected = [
            (1, "<mark>FAILED</mark> test_a".to_owned()),
            (
                2,
                "<mark>failed</mark> &lt;b&gt; <mark>failed</mark>".to_owned(),
            ),
        ];
        assert_eq!(found(log, " failed ").await, expected);
        assert_eq!(found(log, "").await, []);
        assert_eq!(found(log, &"x".repeat(500)).await, []);
        assert_eq!(found(log, ".*").await, []);
        assert_eq!(found(log, "one\n\u{1b}").await, []);
        assert_eq!(found(log, "<b>").await.len(), 1);
    }

    #[tokio::test]
    async fn of_a_long_line_the_surroundings_are_shown_and_of_many_lines_the_first() {
        let log = [vec![b'x'; 5000], b"needle".to_vec(), vec![b'y'; 5000]].concat();
        let hits = found(&log, "needle").await;
        assert!(hits[0].1.len() < 2 * AROUND + 40, "{}", hits[0].1);
        let extent = Extent::of(super::super::testing::log(&b"a\n".repeat(1000), true).await)
            .await
            .unwrap();
        let found = search(&extent, "a").await.unwrap();
        assert_eq!(found.hits.len(), RESULTS);
        assert!(found.note.is_some());
    }
}
