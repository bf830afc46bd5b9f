//! One line of a log as HTML.

use super::{
    ansi::{self, Cell},
    command::{Command, Say},
    html,
    split::{ENDS, RawLine},
};
use crate::pages::text;

/// Bytes of a line that are shown; the rest is in the plain text.
pub const SHOWN: usize = ENDS;

/// Bytes of HTML around the title of a group.
const GROUP: usize = 128;

/// What a line is on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A line, as HTML.
    Line {
        /// The HTML.
        html: String,
        /// It says that something is wrong: it is not to be folded away.
        is_loud: bool,
    },
    /// A group of lines begins: what stands in its `summary`.
    Group {
        /// The HTML of the title.
        html: String,
        /// Number of its line, from 1.
        number: u64,
    },
    /// The group ends.
    EndGroup,
}

impl Piece {
    /// Bytes of its HTML, about; of a group with what is around its title.
    pub fn length(&self) -> usize {
        match self {
            Self::Line { html, .. } => html.len(),
            Self::Group { html, .. } => html.len() + GROUP,
            Self::EndGroup => 0,
        }
    }
}

/// What is written around lines.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Address of the plain text, relative to the page. One of ours, never of the log's.
    pub plain: &'a str,
}

impl Frame<'_> {
    /// A line as HTML. `number` counts from 1; `clock` is written before it, `12:03:45`.
    pub fn piece(&self, line: &RawLine, number: u64, clock: Option<&str>) -> Piece {
        let (shown, is_cut) = shown(line);
        let text = String::from_utf8_lossy(shown);
        match (!is_cut).then(|| Command::parse(&text)).flatten() {
            Some(Command::EndGroup) => Piece::EndGroup,
            Some(Command::Group(title)) => Piece::Group {
                html: group_title(&title),
                number,
            },
            Some(Command::Say(say)) => self.said(&say, number, clock),
            None => self.plain(line, &text, is_cut, number, clock),
        }
    }

    fn plain(
        &self,
        line: &RawLine,
        text: &str,
        is_cut: bool,
        number: u64,
        clock: Option<&str>,
    ) -> Piece {
        let mut out = String::with_capacity(text.len() + 96);
        begin(&mut out, "line", number, clock);
        let whole = html::push_cells(&mut out, &ansi::cells(text));
        if is_cut || !whole {
            self.push_cut(&mut out, line.length);
        }
        out.push_str("</span></div>");
        Piece::Line {
            html: out,
            is_loud: false,
        }
    }

    fn said(&self, say: &Say, number: u64, clock: Option<&str>) -> Piece {
        let mut out = String::with_capacity(say.message.len() + 128);
        let word = say.level.word();
        begin(&mut out, &format!("line {word}"), number, clock);
        out.push_str(&format!("<b>{word}:</b> "));
        let message = ansi::cells(&say.message);
        if !html::push_cells(&mut out, &message) {
            self.push_cut(&mut out, say.message.len() as u64);
        }
        if !say.place.is_empty() {
            out.push_str(" <span class=\"place\">");
            html::push_escaped(&mut out, &text::plain(&say.place, text::SHOWN));
            out.push_str("</span>");
        }
        out.push_str("</span></div>");
        Piece::Line {
            html: out,
            is_loud: word == "error",
        }
    }

    fn push_cut(&self, out: &mut String, length: u64) {
        out.push_str(" <a class=\"cut\" href=\"");
        html::push_escaped(out, self.plain);
        out.push_str("\">… the line is cut here: all ");
        out.push_str(&size(length));
        out.push_str(" are in the plain text</a>");
    }
}

fn begin(out: &mut String, class: &str, number: u64, clock: Option<&str>) {
    out.push_str(&format!(
        "<div class=\"{class}\" id=\"L{number}\"><a href=\"#L{number}\">{number}</a>"
    ));
    if let Some(clock) = clock {
        out.push_str(&format!("<time>{clock}</time>"));
    }
    out.push_str("<span>");
}

fn group_title(title: &str) -> String {
    let cells: Vec<Cell> = ansi::cells(title);
    let title: String = cells.iter().take(500).map(|cell| cell.c).collect();
    let mut out = String::new();
    html::push_escaped(&mut out, &text::plain(&title, text::SHOWN));
    if out.is_empty() {
        "group".to_owned()
    } else {
        out
    }
}

/// What is shown of a line, and whether that is not all. Of a line that was written over and over, only
/// its end counts.
fn shown(line: &RawLine) -> (&[u8], bool) {
    if line.is_whole() && line.head.len() <= SHOWN {
        return (&line.head, false);
    }
    let end = if line.is_whole() {
        &line.head
    } else {
        &line.tail
    };
    let end = end.strip_suffix(b"\r").unwrap_or(end);
    match end.iter().rposition(|byte| *byte == b'\r') {
        Some(at) if end.len() - at <= SHOWN => (&end[at + 1..], false),
        _ => (&line.head[..line.head.len().min(SHOWN)], true),
    }
}

/// A number of bytes as people read it.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// The time of day in UTC, `12:03:45`, of milliseconds since 1970.
pub fn clock(ms: i64) -> String {
    let seconds = ms.div_euclid(1000).rem_euclid(86_400);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::{super::split::Splitter, *};

    const FRAME: Frame<'static> = Frame { plain: "uid.txt" };

    fn raw(bytes: &[u8]) -> RawLine {
        let mut splitter = Splitter::at(0);
        splitter.push(bytes, |_| panic!("one line only"));
        splitter.open().cloned().unwrap_or_default()
    }

    fn html(bytes: &[u8]) -> String {
        match FRAME.piece(&raw(bytes), 7, None) {
            Piece::Line { html, .. } => html,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_has_its_number_its_time_and_its_text() {
        let piece = FRAME.piece(&raw(b"a<b"), 7, Some("12:03:45"));
        let expected = "<div class=\"line\" id=\"L7\"><a href=\"#L7\">7</a><time>12:03:45</time><span>a&lt;b</span></div>";
        let Piece::Line { html, is_loud } = piece else {
            panic!("{piece:?}");
        };
        assert_eq!((html.as_str(), is_loud), (expected, false));
    }

    #[test]
    fn a_line_that_says_error_is_seen_as_one() {
        let piece = FRAME.piece(&raw(b"::error file=a.c,line=3::it <broke>"), 1, None);
        let Piece::Line { html, is_loud } = piece else {
            panic!("{piece:?}");
        };
        assert!(is_loud);
        assert!(html.contains("class=\"line error\""), "{html}");
        assert!(
            html.contains("<b>error:</b> it &lt;broke&gt; <span class=\"place\">a.c:3</span>"),
            "{html}"
        );
    }

    #[test]
    fn a_title_of_a_group_is_inert_text() {
        let piece = FRAME.piece(&raw(b"::group::\x1b[1m<b>\x1b[0m\xe2\x80\xae x"), 3, None);
        let html = "&lt;b&gt;‹U+202E› x".to_owned();
        assert_eq!(piece, Piece::Group { html, number: 3 });
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let html = html(&vec![b'x'; 10_000]);
        assert!(
            html.contains("<a class=\"cut\" href=\"uid.txt\">… the line is cut here: all 10.0 kB"),
            "{html}"
        );
        assert!(html.len() < SHOWN + 300);
    }

    #[test]
    fn a_progress_bar_shows_how_it_ended_however_often_it_was_drawn() {
        for updates in [3, 1_000, 100_000] {
            let bar: String = (0..updates).map(|n| format!("{n:>40}%\r")).collect();
            assert!(
                html(bar.as_bytes()).contains(&format!("{}%</span></div>", updates - 1)),
                "{updates}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        assert!(html(b"a\xff\xfeb").contains("<span>a\u{fffd}\u{fffd}b</span>"));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(52_428_800), "52.4 MB");
        assert_eq!(clock(1_700_000_000_123), "22:13:20");
        assert_eq!(clock(-1), "23:59:59");
        assert_eq!(clock(i64::MIN).len(), 8);
    }
}
