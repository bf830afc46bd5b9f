//! The lines of a comment that a person says in their own words. Quotes, lists, tables, code and what
//! GitHub strikes out, folds or does not show say nothing: somebody may be talking about a command
//! rather than giving it.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag};

/// HTML elements whose text is code, somebody else's words, or not shown at first.
const SILENT: [&str; 16] = [
    "blockquote",
    "code",
    "pre",
    "q",
    "del",
    "s",
    "strike",
    "samp",
    "kbd",
    "details",
    "template",
    "textarea",
    "script",
    "style",
    "title",
    "table",
];

/// The lines that a person says in their own words.
pub fn spoken_lines(comment: &str) -> Vec<&str> {
    let dialect = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_GFM;
    let mut lines = Vec::new();
    let mut depth = 0_usize;
    let mut html = Html::default();
    let mut paragraph: Option<Paragraph> = None;
    for (event, range) in Parser::new_ext(comment, dialect).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    let text = matches!(tag, Tag::Paragraph | Tag::Heading { .. });
                    paragraph = (text && !html.is_open()).then(|| Paragraph::new(range));
                } else if let Some(paragraph) = &mut paragraph {
                    paragraph.silent.push(range);
                }
                depth += 1;
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                if depth == 0
                    && let Some(paragraph) = paragraph.take()
                {
                    paragraph.spoken(comment, &mut lines);
                }
            }
            Event::Html(text) => html.see(&text),
            Event::InlineHtml(text) => {
                html.see(&text);
                if let Some(paragraph) = &mut paragraph {
                    let end = match html.is_open() {
                        true => paragraph.range.end,
                        false => range.end,
                    };
                    paragraph.silent.push(range.start..end);
                }
            }
            Event::Text(_) | Event::SoftBreak | Event::HardBreak => {}
            _ => {
                if let Some(paragraph) = &mut paragraph {
                    paragraph.silent.push(range);
                }
            }
        }
    }
    lines
}

/// A paragraph that stands in nothing else, and the parts of it that are more than text.
struct Paragraph {
    range: Range<usize>,
    silent: Vec<Range<usize>>,
}

impl Paragraph {
    fn new(range: Range<usize>) -> Self {
        Self {
            range,
            silent: Vec::new(),
        }
    }

    /// Lines that begin as text.
    fn spoken<'a>(&self, comment: &'a str, lines: &mut Vec<&'a str>) {
        let mut silent = self.silent.iter().peekable();
        // Parts are in the order of their starts: a line is in one of them if the one that reaches
        // furthest ends after its start.
        let mut silent_until = 0;
        let mut at = self.range.start;
        for line in comment[self.range.clone()].split_inclusive('\n') {
            let start = at + (line.len() - line.trim_start().len());
            at += line.len();
            while let Some(part) = silent.next_if(|part| part.start <= start) {
                silent_until = silent_until.max(part.end);
            }
            if silent_until <= start {
                lines.push(line.trim());
            }
        }
    }
}

/// The silent elements that were opened and not closed, in HTML that stands between Markdown.
#[derive(Default)]
struct Html {
    /// How many of each, in the order of [`SILENT`].
    open: [usize; SILENT.len()],
}

impl Html {
    fn is_open(&self) -> bool {
        self.open.iter().any(|open| *open > 0)
    }

    fn see(&mut self, html: &str) {
        let mut rest = html;
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                let Some(end) = comment.find("-->") else {
                    return;
                };
                rest = &comment[end + 3..];
                continue;
            }
            let (tag, closes) = match rest.strip_prefix('/') {
                Some(tag) => (tag, true),
                None => (rest, false),
            };
            let name = tag.split(|c: char| !c.is_ascii_alphanumeric()).next();
            let Some(which) = silent(name.unwrap_or_default()) else {
                continue;
            };
            let open = &mut self.open[which];
            *open = match closes {
                false => *open + 1,
                true => open.saturating_sub(1),
            };
        }
    }
}

fn silent(name: &str) -> Option<usize> {
    SILENT
        .iter()
        .position(|silent| silent.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "/prbuild run";

    fn says(comment: &str) -> bool {
        spoken_lines(comment).contains(&SAID)
    }

    #[test]
    fn a_line_of_ones_own_words_is_spoken() {
        for comment in [
            "/prbuild run",
            "  /prbuild run  ",
            "Thanks, looks good.\n\n/prbuild run\r\n\nBye",
            "Thanks, looks good.\n/prbuild run\nBye",
            "> quoted\n\n/prbuild run",
            "- a list\n\nand then\n/prbuild run",
            "```\ncode\n```\n/prbuild run",
            "<!-- hidden -->\n\n/prbuild run",
            "<details>\nlog\n</details>\n\n/prbuild run",
            "`code` first\n/prbuild run",
            "some *stressed\nwords*\n/prbuild run",
            "/prbuild run\n---\nsignature",
            "/prbuild run\r\n/prbuild status\r\n",
        ] {
            assert!(says(comment), "{comment}");
        }
    }

    #[test]
    fn s20_what_is_quoted_or_code_or_hidden_or_part_of_a_sentence_is_not() {
        for comment in [
            "please /prbuild run",
            "> /prbuild run",
            "   > /prbuild run",
            "> quoted\n/prbuild run",
            "> > quoted\n> /prbuild run",
            "```\n/prbuild run\n```",
            "~~~ text\n/prbuild run\n~~~",
            "````\n```\n/prbuild run\n````",
            "```\n/prbuild run",
            "    /prbuild run",
            "\t/prbuild run",
            "<!--\n/prbuild run\n-->",
            "<!--\n\n/prbuild run\n\n-->",
            "text <!-- a\n/prbuild run\n-->",
            "<pre>\n/prbuild run\n</pre>",
            "<pre>\n\n/prbuild run\n\n</pre>",
            "<code>\n\n/prbuild run\n\n</code>",
            "<blockquote>\n\n/prbuild run\n\n</blockquote>",
            "<DETAILS><summary>old</summary>\n\n/prbuild run\n\n</DETAILS>",
            "so <del>or\n/prbuild run\nnot</del>",
            "~~not\n/prbuild run\nany more~~",
            "`a\n/prbuild run\nb`",
            "`/prbuild run`",
            "- /prbuild run",
            "- item\n/prbuild run",
            "1. item\n\n   /prbuild run",
            "a | b\n--- | ---\n/prbuild run | x",
            "[^1]: note\n/prbuild run\n\ntext[^1]",
            "[the words\n/prbuild run\n](https://example.org)",
            "\\/prbuild run",
            "",
        ] {
            assert!(!says(comment), "{comment}");
        }
    }

    #[test]
    fn a_comment_of_any_shape_is_read_in_time() {
        let parts = [
            "> ",
            "*",
            "`",
            "[",
            "<!--",
            "<b>",
            "~~",
            "- ",
            "|",
            "`a`\n",
            "a</s>b<q>\n",
        ];
        for part in parts {
            let comment = part.repeat(65_536 / part.len());
            assert!(!says(&format!("{comment}\n")));
        }
        assert!(says("\u{0}\n\n/prbuild run\n"));
    }
}
