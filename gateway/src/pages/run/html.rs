//! Text of a log as HTML. Everything that a run printed goes through [`Html::text`] or [`push_escaped`],
//! and nothing here lets a tag, an attribute or an address of the log's through.

use super::ansi::{Cell, Style};
use crate::pages::text;

/// HTML of one line that is written before the rest of it is left out.
pub const HTML_LIMIT: usize = 24 * 1024;

/// Escapes text for elements and for attributes in double quotes.
pub fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        push_char(out, c);
    }
}

fn push_char(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        _ => out.push(c),
    }
}

/// What is written in place of a character that is not seen, or that changes what is seen around it:
/// a symbol for control characters, the code for marks of direction and the like.
pub fn stand_in(c: char) -> Option<String> {
    match c {
        '\t' | '\n' => None,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).map(String::from),
        '\u{7f}' => Some('\u{2421}'.to_string()),
        _ => text::is_unseen(c).then(|| format!("U+{:04X}", c as u32)),
    }
}

/// Writes cells as HTML: one `span` for each change of style. Whether all of them were written: beyond
/// [`HTML_LIMIT`] the rest is left out.
pub fn push_cells(out: &mut String, cells: &[Cell]) -> bool {
    let limit = out.len() + HTML_LIMIT;
    for run in cells.chunk_by(|one, next| one.style == next.style) {
        if out.len() > limit {
            return false;
        }
        let classes = classes(run[0].style);
        if !classes.is_empty() {
            out.push_str("<span class=\"");
            out.push_str(&classes);
            out.push_str("\">");
        }
        let whole = push_run(out, run, limit);
        if !classes.is_empty() {
            out.push_str("</span>");
        }
        if !whole {
            return false;
        }
    }
    true
}

/// Writes cells of one style.
fn push_run(out: &mut String, mut run: &[Cell], limit: usize) -> bool {
    while let Some(cell) = run.first() {
        if out.len() > limit {
            return false;
        }
        if let Some(length) = address_length(run) {
            push_link(out, &run[..length]);
            run = &run[length..];
        } else if stand_in(cell.c).is_some() {
            let hidden = run.iter().take_while(|cell| stand_in(cell.c).is_some());
            let length = hidden.take(64).count();
            out.push_str("<span class=\"ctl\">");
            for symbol in run[..length].iter().filter_map(|cell| stand_in(cell.c)) {
                out.push_str(&symbol);
            }
            out.push_str("</span>");
            run = &run[length..];
        } else {
            push_char(out, cell.c);
            run = &run[1..];
        }
    }
    true
}

/// An address that the log shows: it leads where it says, and is not recommended by us.
fn push_link(out: &mut String, address: &[Cell]) {
    out.push_str("<a class=\"ugc\" rel=\"nofollow noopener noreferrer ugc\" href=\"");
    address.iter().for_each(|cell| push_char(out, cell.c));
    out.push_str("\">");
    address.iter().for_each(|cell| push_char(out, cell.c));
    out.push_str("</a>");
}

/// Characters of an address that are made into a link.
const ADDRESS_LIMIT: usize = 500;

/// How many cells from here on are an address with http or https: printable ASCII, and no `@` where
/// the host is, which would show one host and lead to another.
fn address_length(cells: &[Cell]) -> Option<usize> {
    let starts = |word: &str| {
        word.chars()
            .zip(cells)
            .filter(|(c, cell)| *c == cell.c)
            .count()
            == word.len()
    };
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| starts(scheme))?;
    let belongs = |cell: &&Cell| {
        cell.c.is_ascii_graphic()
            && !matches!(
                cell.c,
                '<' | '>' | '"' | '\'' | '`' | '\\' | '^' | '{' | '}' | '|'
            )
    };
    let all = cells
        .iter()
        .take(ADDRESS_LIMIT + 1)
        .take_while(belongs)
        .count();
    if all > ADDRESS_LIMIT {
        return None;
    }
    let mut address: String = cells[..all].iter().map(|cell| cell.c).collect();
    while address.ends_with(['.', ',', ';', ':', '!', '?', '*', ']'])
        || (address.ends_with(')') && !address.contains('('))
    {
        address.pop();
    }
    let host = address.get(scheme.len()..)?.split(['/', '?', '#']).next()?;
    // A host that goes on in letters which look like others.
    let is_foreign = cells.get(all).is_some_and(|cell| !cell.c.is_ascii());
    if is_foreign && host.len() + scheme.len() == address.len() {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    (!host.is_empty() && host.chars().all(plain)).then_some(address.len())
}

fn classes(style: Style) -> String {
    let mut names: Vec<String> = Vec::new();
    names.extend(style.fore.map(|index| format!("f{index}")));
    names.extend(style.back.map(|index| format!("g{index}")));
    for (is_set, name) in [
        (style.bold, "b"),
        (style.dim, "d"),
        (style.italic, "i"),
        (style.underline, "u"),
    ] {
        names.extend(is_set.then(|| name.to_owned()));
    }
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{super::ansi, *};

    fn html(text: &str) -> String {
        let mut out = String::new();
        push_cells(&mut out, &ansi::cells(text));
        out
    }

    #[test]
    fn s30_no_tag_and_no_attribute_of_the_log_comes_through() {
        for attack in [
            "<script>alert(1)</script>",
            "\"><img src=x onerror=1>",
            "'><svg/onload=alert(1)>",
            "<!-- --><![CDATA[",
            "\u{1b}[31m<b\u{1b}[32m>x",
            "http://a/\"onmouseover=alert(1)",
            "http://a/'onmouseover='alert(1)",
            "https://a/<script>",
            "&lt;script&gt;",
        ] {
            let html = html(attack);
            let ours = [
                "<span class=\"",
                "</span>",
                "<a class=\"ugc\" rel=\"nofollow noopener noreferrer ugc\" href=\"",
                "</a>",
            ];
            let mut foreign = html.clone();
            for tag in ours {
                foreign = foreign.replace(tag, "");
            }
            assert!(!foreign.contains('<'), "{html}");
            assert!(!html.contains("onmouseover=alert(1)\""), "{html}");
        }
        assert_eq!(html("&lt;"), "&amp;lt;");
    }

    #[test]
    fn s30_what_is_not_seen_is_shown() {
        assert_eq!(html("a\0b"), "a<span class=\"ctl\">␀</span>b");
        assert_eq!(html("a\u{202e}b"), "a<span class=\"ctl\">U+202E</span>b");
        assert_eq!(
            html("a\u{9b}31mb"),
            "a<span class=\"ctl\">U+009B</span>31mb"
        );
        assert_eq!(html("\u{1b}]52;c;"), "<span class=\"ctl\">␛</span>]52;c;");
        assert_eq!(html("a\tb é"), "a\tb é");
    }

    #[test]
    fn an_address_is_a_link_that_leads_where_it_says() {
        let link = |address: &str| {
            format!(
                "<a class=\"ugc\" rel=\"nofollow noopener noreferrer ugc\" href=\"{address}\">{address}</a>"
            )
        };
        assert_eq!(
            html("see https://a.example/b?c=d."),
            format!("see {}.", link("https://a.example/b?c=d"))
        );
        assert_eq!(html("(http://a/)"), format!("({})", link("http://a/")));
        assert_eq!(html("http://a/b_(c)"), link("http://a/b_(c)"));
        for none in [
            "javascript:alert(1)",
            "data:text/html,x",
            "https://github.com@evil.example/",
            "https://gіthub.example/",
            "https://",
            "http:///x",
            "ftp://a/",
        ] {
            assert!(!html(none).contains("<a "), "{none}");
        }
    }

    #[test]
    fn a_line_of_nothing_but_sequences_makes_little_html() {
        let spam = "\u{1b}[31mA\u{1b}[32m\0".repeat(100_000);
        let mut out = String::new();
        assert!(!push_cells(&mut out, &ansi::cells(&spam)));
        assert!(out.len() < HTML_LIMIT + 2048);
        let links = "http://a/ ".repeat(100_000);
        assert!(html(&links).len() < HTML_LIMIT + 2048);
    }
}
