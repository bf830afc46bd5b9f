//! Words for people: durations, short SHAs, and foreign text made harmless.
//!
//! Step names, reasons, branch names and logins are other people's text. In a status they become one
//! plain line; in a comment they can neither mention, link, embed nor leave their place.

use std::{fmt::Write as _, time::Duration};

/// A SHA as people read it: its first ten characters.
pub use crds::names::short_sha;

/// Characters that GitHub takes in the description of a commit status.
pub const DESCRIPTION_LIMIT: usize = 140;

/// Breaks mentions and references without being seen.
const BREAK: char = '\u{200B}';

/// A duration as people read it: `under 1 s` where nothing could be measured, `0.8 s`, `12 s`,
/// `4 min 12 s`, `38 min`, `2 h 05 min`.
pub fn duration(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    match (tenths, tenths % 10) {
        (0, _) => return "under 1 s".to_owned(),
        (1..100, 1..) => return format!("{}.{} s", tenths / 10, tenths % 10),
        _ => {}
    }
    let seconds = (duration.as_millis() + 500) / 1000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, _) => format!("{rest} s"),
        (0, _, 0) => format!("{minutes} min"),
        (0, _, _) => format!("{minutes} min {rest} s"),
        (_, 0, _) => format!("{hours} h"),
        (_, _, _) => format!("{hours} h {minutes:02} min"),
    }
}

/// The time between two moments as [`duration`] writes it; none when they are out of order.
pub fn between(from: jiff::Timestamp, to: jiff::Timestamp) -> Option<String> {
    Duration::try_from(to.duration_since(from))
        .ok()
        .map(duration)
}

/// Foreign text as one plain line of at most `limit` characters: white space collapses to single
/// spaces, and characters that nobody sees (control, format, bidirectional overrides, tags) go.
pub fn one_line(text: &str, limit: usize) -> String {
    // Only so much is looked at that an endless text costs nothing.
    let seen = text.chars().take(limit.saturating_mul(8).max(1024));
    let mut line = String::new();
    let mut gap = false;
    for character in seen {
        if character.is_whitespace() || matches!(character, '\u{2028}' | '\u{2029}') {
            gap = true;
        } else if !is_invisible(character) {
            if gap && !line.is_empty() {
                line.push(' ');
            }
            gap = false;
            line.push(character);
        }
    }
    truncate(&line, limit)
}

/// Cuts a text to at most `limit` characters; the last one is then an ellipsis.
pub fn truncate(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(limit.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end().len());
    if limit > 0 {
        cut.push('…');
    }
    cut
}

/// Control and format characters: they are not seen, and they change what is seen around them.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0E}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// A name as a code span of Markdown, in which nothing is rendered. Backticks become apostrophes.
pub fn code(name: &str, limit: usize) -> String {
    match one_line(&name.replace('`', "'"), limit) {
        line if line.is_empty() => "`?`".to_owned(),
        line => format!("`{line}`"),
    }
}

/// A text in a cell of a table, which a bar would end.
pub fn cell(text: &str) -> String {
    text.replace('|', "¦")
}

/// A foreign sentence as inert Markdown: one line in which code spans stay code spans, and all else is
/// shown as it was written: no mention, reference, link, image, HTML, emphasis or fence. To be put
/// behind words of our own on the same line.
pub fn inert(sentence: &str, limit: usize) -> String {
    let line = one_line(sentence, limit);
    let parts: Vec<&str> = line.split('`').collect();
    // Between a pair of backticks is code; the last backtick of an odd number opens nothing.
    let paired = (parts.len() - 1) / 2 * 2;
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index % 2 == 1 && index < paired + 1 {
            if part.trim().is_empty() {
                continue;
            }
            // Two spans that touch would make one longer delimiter.
            if out.ends_with('`') {
                out.push(' ');
            }
            let _ = write!(out, "`{part}`");
        } else {
            if index > paired {
                out.push('\'');
            }
            escape(part, &mut out);
        }
    }
    out
}

/// A foreign text as inert Markdown, for a place that is not ours to choose, as in a template: one
/// line that is shown as it was written, also where a line begins. Backticks become apostrophes, for
/// the template may have some around it.
pub fn plain(text: &str, limit: usize) -> String {
    let line = one_line(&text.replace('`', "'"), limit);
    let mut out = String::new();
    // What would begin a list, a heading or a quotation.
    let number = line.find(|character: char| !character.is_ascii_digit());
    match number.filter(|at| *at > 0 && line[*at..].starts_with('.')) {
        Some(at) => {
            out.push_str(&line[..at]);
            out.push('\\');
            escape(&line[at..], &mut out);
        }
        None => {
            if line.starts_with(['-', '+', '=']) {
                out.push('\\');
            }
            escape(&line, &mut out);
        }
    }
    out
}

/// Writes plain text so that Markdown shows it as it is, and HTML too.
fn escape(text: &str, out: &mut String) {
    let mut rest = text;
    let mut before = ' ';
    // Hexadecimal digits that follow one another: GitHub makes links of SHAs.
    let mut hexes = 0;
    while let Some(character) = rest.chars().next() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '@' | '#' => {
                // GitHub looks for mentions and references after rendering: a backslash would not help.
                out.push(character);
                out.push(BREAK);
            }
            ':' if rest.starts_with("://") => {
                out.push(':');
                out.push(BREAK);
            }
            '\\' | '*' | '_' | '[' | ']' | '(' | ')' | '!' | '|' | '~' | '$' | '{' | '}' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
        let next = rest[character.len_utf8()..].chars().next();
        let numbered = character == '-'
            && before.is_ascii_alphanumeric()
            && next.is_some_and(|next| next.is_ascii_digit());
        hexes = if character.is_ascii_hexdigit() {
            hexes + 1
        } else {
            0
        };
        if numbered || hexes == SHA_PART || starts_reference(rest) {
            out.push(BREAK);
            hexes = 0;
        }
        before = character;
        rest = &rest[character.len_utf8()..];
    }
}

/// Hexadecimal digits after which a run of them is broken: GitHub takes seven for a SHA.
const SHA_PART: usize = 6;

/// Whether GitHub would make a link of what begins here: `www.`, `GHSA-…`. What ends in a hyphen and
/// a number, as `GH-1`, is seen there: a repository can choose such words itself.
fn starts_reference(rest: &str) -> bool {
    let head = |n: usize| rest.get(..n).map(str::to_ascii_lowercase);
    head(4).is_some_and(|start| start == "www.") || head(5).is_some_and(|start| start == "ghsa-")
}

/// Hides what could be a SHA: a run of seven or more hexadecimal digits. A refusal must not teach
/// which commit to approve.
pub fn without_shas(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for character in text.chars().map(Some).chain([None]) {
        match character {
            Some(digit) if digit.is_ascii_hexdigit() => digits.push(digit),
            other => {
                out.push_str(if digits.len() >= 7 { "…" } else { &digits });
                digits.clear();
                out.extend(other);
            }
        }
    }
    out
}

/// Whether a text is a login as GitHub gives them out; only such a login is ever mentioned. `_` is in
/// logins of managed users.
pub fn is_login(login: &str) -> bool {
    (1..=64).contains(&login.len())
        && !login.starts_with('-')
        && login
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_speech() {
        let table = [
            (0, "under 1 s"),
            (840, "0.8 s"),
            (5_000, "5 s"),
            (9_940, "9.9 s"),
            (9_960, "10 s"),
            (12_400, "12 s"),
            (60_000, "1 min"),
            (252_000, "4 min 12 s"),
            (2_280_000, "38 min"),
            (3_600_000, "1 h"),
            (7_500_000, "2 h 05 min"),
            (93_900_000, "26 h 05 min"),
        ];
        for (milliseconds, words) in table {
            assert_eq!(duration(Duration::from_millis(milliseconds)), words);
        }
    }

    #[test]
    fn times_out_of_order_have_no_duration() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        assert_eq!(between(at(10), at(38)).as_deref(), Some("28 s"));
        assert_eq!(between(at(38), at(10)), None);
    }

    #[test]
    fn a_line_has_no_control_no_bidi_and_no_hidden_characters() {
        let hostile = "a\0b\u{202E}c\u{9b}\x1b]8;;d\r\n\n e\u{2028}f\u{200B}g\u{E0041}h";
        assert_eq!(one_line(hostile, 100), "abc]8;;d e fgh");
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        assert_eq!(one_line("ééééé", 5), "ééééé");
        assert_eq!(one_line("éééééé", 5), "éééé…");
        assert_eq!(one_line("aaa bbb", 5), "aaa…");
        assert_eq!(one_line("aaa", 0), "");
        assert!(one_line(&"x".repeat(1 << 20), 140).chars().count() == 140);
    }

    #[test]
    fn a_name_does_not_leave_its_code_span() {
        assert_eq!(code("a`b\n```\n@c", 40), "`a'b ''' @c`");
        assert_eq!(code("\u{202E}\n", 40), "`?`");
    }

    #[test]
    fn a_foreign_sentence_is_inert() {
        let table = [
            (
                "needs `ExactSha` by @python/core",
                "needs `ExactSha` by @\u{200B}python/core",
            ),
            ("a `b", "a 'b"),
            ("`` `a``b`", " `a` `b`"),
            (
                "![x](http://e.vil/y.png)",
                r"\!\[x\]\(http:\u{200B}//e.vil/y.png\)",
            ),
            ("<img src=x>&#64;a", "&lt;img src=x&gt;&amp;#\u{200B}64;a"),
            ("# one #1 GH-7", "#\u{200B} one #\u{200B}1 GH-\u{200B}7"),
            ("fixes deadbeef", "fixes deadbe\u{200B}ef"),
            ("a\n\n- b", "a - b"),
            (r"\`x`", r"\\`x`"),
            ("www.evil.test", "w\u{200B}ww.evil.test"),
        ];
        for (text, shown) in table {
            let shown = shown.replace(r"\u{200B}", "\u{200B}");
            assert_eq!(inert(text, 200), shown, "{text}");
        }
    }

    #[test]
    fn a_foreign_text_begins_no_list_and_opens_no_code() {
        for (text, shown) in [
            ("- x", r"\- x"),
            ("1. x", r"1\. x"),
            ("3.14", r"3\.14"),
            ("`x` \"y\"", "'x' &quot;y&quot;"),
            ("python-3", "python-\u{200B}3"),
        ] {
            assert_eq!(plain(text, 40), shown);
        }
    }

    #[test]
    fn nothing_that_looks_like_a_sha_is_left() {
        assert_eq!(
            without_shas("x deadbee y abcdef 0123456789abcdef"),
            "x … y abcdef …"
        );
    }

    #[test]
    fn only_what_github_gives_out_is_a_login() {
        for login in ["a", "vstinner", "a-b", "a_corp"] {
            assert!(is_login(login), "{login}");
        }
        for login in ["", "-a", "a b", "a/b", "a`", "é", "app[bot]"] {
            assert!(!is_login(login), "{login}");
        }
    }
}
