//! Which lines of a section are shown at once: few enough that the page is small, whatever they hold.

use std::ops::Range;

use super::{
    extent::Extent,
    line::{Frame, Piece, clock},
    marks::Marks,
    split::{ENDS, RawLine, Splitter, WHOLE},
};
use crate::store::StoreError;

/// Lines that are shown at first of a log that has ended, and of each part that is loaded afterwards.
pub const LINES: u64 = 300;
/// Lines that are shown at first of a log that is being written: its end is to be seen at once.
pub const LIVE_LINES: u64 = 30;
/// Bytes of HTML of a page's steps, with all that is in them.
pub const HTML: usize = 60 * 1024;
/// Bytes of HTML that lines have at least, however much else there is.
pub const LEAST: usize = 8 * 1024;
/// Bytes of the log that are looked at for them.
const BYTES: u64 = 512 * 1024;

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The last ones before this line.
    Before(u64),
    /// The very last ones, of a log that is being written.
    Newest,
    /// Those from this line on.
    From(u64),
}

/// Lines as HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Their HTML.
    pub html: String,
    /// Their numbers, from 0.
    pub lines: Range<u64>,
    /// Numbers of the lines of the section.
    pub section: Range<u64>,
}

/// The lines of a section that are wanted, as many as fit into so many bytes of HTML.
pub async fn window(
    extent: &Extent,
    marks: &Marks,
    section: Range<u64>,
    wanted: Wanted,
    frame: Frame<'_>,
    room: usize,
) -> Result<Window, StoreError> {
    let within = |line: u64| line.clamp(section.start, section.end);
    let asked = match wanted {
        Wanted::Before(line) => within(within(line).saturating_sub(LINES))..within(line),
        Wanted::Newest => within(section.end.saturating_sub(LIVE_LINES))..section.end,
        Wanted::From(line) => within(line)..within(within(line).saturating_add(LINES)),
    };
    let asked = few_bytes(extent, asked, wanted).await?;
    let lines = read(extent, asked.clone()).await?;
    let pieces = pieces(&lines, asked.start, marks, frame);
    let kept = fitting(&pieces, wanted, room);
    let first = asked.start + kept.start as u64;
    let mut html = String::new();
    let is_newest = first + kept.len() as u64 == section.end;
    assemble(&mut html, &pieces[kept.clone()], is_newest);
    Ok(Window {
        html,
        lines: first..first + kept.len() as u64,
        section,
    })
}

/// Of these lines those that begin among the bytes that are looked at; at least one.
async fn few_bytes(
    extent: &Extent,
    asked: Range<u64>,
    wanted: Wanted,
) -> Result<Range<u64>, StoreError> {
    let begin = extent.offset_of(asked.start).await?;
    let end = extent.offset_of(asked.end).await?;
    if asked.is_empty() || end - begin <= BYTES {
        return Ok(asked);
    }
    Ok(match wanted {
        Wanted::Before(_) | Wanted::Newest => {
            let first = extent.first_line(end - BYTES).await?;
            first.clamp(asked.start, asked.end - 1)..asked.end
        }
        Wanted::From(_) => {
            let next = extent.first_line(begin + BYTES).await?;
            asked.start..next.clamp(asked.start + 1, asked.end)
        }
    })
}

/// Reads lines. The middle of one that is too long to be shown is not read.
async fn read(extent: &Extent, wanted: Range<u64>) -> Result<Vec<RawLine>, StoreError> {
    let begin = extent.offset_of(wanted.start).await?;
    let end = extent.offset_of(wanted.end).await?;
    let (mut lines, mut splitter) = (Vec::new(), Splitter::at(begin));
    while splitter.offset() < end {
        let from = splitter.offset();
        let bytes = extent
            .reader()
            .read(from..end.min(from + WHOLE as u64))
            .await?;
        if bytes.is_empty() {
            break;
        }
        splitter.push(&bytes, |line| lines.push(line));
        let is_long = splitter
            .open()
            .is_some_and(|line| line.length > WHOLE as u64);
        if is_long {
            let line_ends = extent
                .offset_of(wanted.start + lines.len() as u64 + 1)
                .await?;
            let tail = line_ends.saturating_sub(ENDS as u64 + 1);
            if let Some(middle) = tail
                .checked_sub(splitter.offset())
                .filter(|bytes| *bytes > 0)
            {
                splitter.skip(middle);
            }
        }
    }
    lines.extend(splitter.open().cloned());
    lines.truncate((wanted.end - wanted.start) as usize);
    Ok(lines)
}

/// Lines as HTML, each with its time where that differs from the line before.
fn pieces(lines: &[RawLine], first: u64, marks: &Marks, frame: Frame<'_>) -> Vec<Piece> {
    let mut before = None;
    let piece = |(number, line): (u64, &RawLine)| {
        let now = marks.time_at(line.at).map(clock);
        let changed = now.as_deref().filter(|_| now != before);
        let piece = frame.piece(line, number, changed);
        before = now;
        piece
    };
    (first + 1..).zip(lines).map(piece).collect()
}

/// Of these pieces as many as fit, from the side that is wanted; at least one.
fn fitting(pieces: &[Piece], wanted: Wanted, room: usize) -> Range<usize> {
    let (mut room, mut is_first) = (room, true);
    let mut fits = |piece: &&Piece| {
        let enough = std::mem::take(&mut is_first) || piece.length() <= room;
        room = room.saturating_sub(piece.length());
        enough
    };
    match wanted {
        Wanted::Before(_) | Wanted::Newest => {
            let count = pieces.iter().rev().take_while(&mut fits).count();
            pieces.len() - count..pieces.len()
        }
        Wanted::From(_) => 0..pieces.iter().take_while(&mut fits).count(),
    }
}

/// How a group is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Folded away.
    Closed,
    /// Unfolded.
    Open,
    /// Unfolded, and what is printed next belongs to it.
    GoesOn,
}

/// Writes pieces with their groups folded. A group that has not ended, or in which something went
/// wrong, is open. Behind the newest pieces is what will be printed next.
pub fn assemble(out: &mut String, pieces: &[Piece], is_newest: bool) {
    let mut rest = pieces;
    while let Some((piece, others)) = rest.split_first() {
        rest = others;
        match piece {
            Piece::Line { html, .. } => out.push_str(html),
            Piece::EndGroup => {}
            Piece::Group { html, number } => {
                let inside = |piece: &&Piece| matches!(piece, Piece::Line { .. });
                let length = rest.iter().take_while(inside).count();
                let (lines, others) = rest.split_at(length);
                let is_loud = |piece: &Piece| matches!(piece, Piece::Line { is_loud: true, .. });
                let fold = match others.is_empty() {
                    true if is_newest => Fold::GoesOn,
                    true => Fold::Open,
                    false if lines.iter().any(is_loud) => Fold::Open,
                    false => Fold::Closed,
                };
                push_group(out, html, *number, fold);
                assemble(out, lines, false);
                out.push_str("</details>");
                rest = others;
            }
        }
    }
}

/// Writes the beginning of a group.
pub fn push_group(out: &mut String, title: &str, number: u64, fold: Fold) {
    let open = match fold {
        Fold::Closed => "",
        Fold::Open => " open",
        Fold::GoesOn => " open data-going",
    };
    out.push_str(&format!(
        "<details class=\"group\"{open}><summary id=\"L{number}\"><b>{number}</b><span>{title}</span></summary>"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::run::testing::log;

    const FRAME: Frame<'static> = Frame { plain: "x.txt" };

    async fn shown(bytes: &[u8], wanted: Wanted) -> Window {
        let extent = Extent::of(log(bytes, true).await).await.unwrap();
        let all = 0..extent.lines;
        window(&extent, &Marks::default(), all, wanted, FRAME, HTML)
            .await
            .unwrap()
    }

    fn numbered(count: usize) -> Vec<u8> {
        (1..=count)
            .map(|n| format!("line {n}\n"))
            .collect::<String>()
            .into_bytes()
    }

    #[tokio::test]
    async fn the_last_lines_are_shown_and_the_rest_is_asked_for() {
        let log = numbered(1000);
        let last = shown(&log, Wanted::Before(u64::MAX)).await;
        assert_eq!(last.lines, 700..1000);
        assert!(last.html.contains("id=\"L1000\"") && last.html.contains("line 701<"));
        assert!(!last.html.contains("id=\"L700\""));
        assert_eq!(shown(&log, Wanted::Before(700)).await.lines, 400..700);
        assert_eq!(shown(&log, Wanted::Newest).await.lines, 970..1000);
        assert_eq!(shown(&log, Wanted::From(950)).await.lines, 950..1000);
        assert_eq!(shown(&log, Wanted::From(5000)).await.lines, 1000..1000);
        assert_eq!(shown(b"", Wanted::Before(9)).await, Window::default());
    }

    #[tokio::test]
    async fn whatever_lines_hold_a_page_stays_small() {
        let logs = [
            vec![b'\n'; 1_000_000],
            "\u{1b}[31m<\u{1b}[32m>".repeat(40_000).into_bytes(),
            [vec![b'<'; 8000], vec![b'\n']].concat().repeat(200),
            vec![0; 3_000_000],
        ];
        for log in logs {
            for wanted in [Wanted::Before(u64::MAX), Wanted::From(0)] {
                let window = shown(&log, wanted).await;
                assert!(!window.lines.is_empty());
                assert!(window.html.len() <= HTML, "{}", window.html.len());
            }
        }
    }

    #[tokio::test]
    async fn one_line_of_megabytes_is_shown_as_one_cut_line() {
        let mut log = b"first\n".to_vec();
        log.resize(5 << 20, b'.');
        log.extend_from_slice(b"\rthe end\nlast\n");
        let window = shown(&log, Wanted::Before(u64::MAX)).await;
        assert_eq!(window.lines, 2..3);
        let window = shown(&log, Wanted::Before(2)).await;
        assert_eq!(window.lines, 1..2);
        assert!(
            window.html.contains("the end</span>"),
            "{}",
            &window.html[..200]
        );
        assert_eq!(shown(&log, Wanted::From(0)).await.lines, 0..2);
    }

    #[tokio::test]
    async fn while_a_log_grows_a_line_that_has_not_ended_is_not_counted() {
        let grows = Extent::of(log(b"one\ntwo", false).await).await.unwrap();
        assert_eq!((grows.size, grows.lines), (4, 1));
        let ended = Extent::of(log(b"one\ntwo", true).await).await.unwrap();
        assert_eq!((ended.size, ended.lines), (7, 2));
        assert_eq!(ended.first_line(1).await.unwrap(), 1);
        assert_eq!(ended.first_line(4).await.unwrap(), 1);
        assert_eq!(ended.first_line(5).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn groups_are_folded_unless_something_went_wrong_in_them() {
        let log =
            b"::group::good\na\n::endgroup::\nb\n::group::bad\n::error::c\n::group::open\nd\n";
        let html = shown(log, Wanted::From(0)).await.html;
        let expected = [
            "<details class=\"group\"><summary id=\"L1\"><b>1</b><span>good</span></summary><div class=\"line\" id=\"L2\">",
            "</details><div class=\"line\" id=\"L4\">",
            "<details class=\"group\" open><summary id=\"L5\"><b>5</b><span>bad</span></summary><div class=\"line error\" id=\"L6\">",
            "</details><details class=\"group\" open data-going><summary id=\"L7\">",
        ];
        for part in expected {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(html.ends_with("</div></details>"));
    }

    #[tokio::test]
    async fn the_time_stands_where_it_changes() {
        let marks = Marks::read(
            b"{\"at\":0,\"ms\":0,\"mark\":\"time\"}\n{\"at\":4,\"ms\":1000,\"mark\":\"time\"}\n",
        );
        let extent = Extent::of(log(b"a\nb\nc\nd\n", true).await).await.unwrap();
        let html = window(&extent, &marks, 0..4, Wanted::From(0), FRAME, HTML)
            .await
            .unwrap()
            .html;
        assert_eq!(html.matches("<time>").count(), 2);
        assert!(html.contains("id=\"L3\"><a href=\"#L3\">3</a><time>00:00:01</time>"));
    }
}
