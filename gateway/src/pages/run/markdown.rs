//! A step's summary as HTML. It is Markdown that a pull request's code wrote: no HTML of its own, no
//! images, links to http and https only and not recommended by us, and a bound for everything.

use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html,
};

use super::html as escape;

/// Bytes of HTML that a summary may become.
const HTML_LIMIT: usize = 256 * 1024;
/// Elements inside one another.
const DEPTH: usize = 24;

/// The summary as HTML.
pub fn render(text: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut safe = Safe::default();
    let events = Parser::new_ext(text, options).flat_map(|event| safe.take(event));
    let mut out = String::new();
    html::push_html(&mut out, bounded(events).into_iter());
    out
}

/// As many events as fit into [`HTML_LIMIT`], with an end for everything that is open then.
fn bounded<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    let (mut kept, mut open, mut size) = (Vec::new(), Vec::new(), 0);
    for event in events {
        size += 40;
        match &event {
            Event::Start(tag) => open.push(tag.to_end()),
            Event::End(_) => drop(open.pop()),
            // Escapes are up to six times as long.
            Event::Text(text) | Event::Code(text) | Event::InlineHtml(text) => {
                size += 6 * text.len()
            }
            _ => {}
        }
        if size > HTML_LIMIT {
            if matches!(event, Event::End(_)) {
                kept.push(event);
            } else if matches!(event, Event::Start(_)) {
                open.pop();
            }
            kept.extend(open.into_iter().rev().map(Event::End));
            kept.push(Event::Start(Tag::Paragraph));
            kept.push(Event::Text("… the summary is cut here.".into()));
            kept.push(Event::End(TagEnd::Paragraph));
            return kept;
        }
        kept.push(event);
    }
    kept
}

/// What is known while going through the events.
#[derive(Debug, Default)]
struct Safe {
    /// For each element that is open, whether it is shown.
    open: Vec<Shown>,
    /// How many of them are shown.
    depth: usize,
    /// The link that is open.
    link: Option<Link>,
    /// Level of the heading before, beneath the page's first one.
    heading: Option<HeadingLevel>,
}

/// A link that leads out.
#[derive(Debug)]
struct Link {
    address: String,
    host: String,
    /// What stands between its beginning and its end.
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// As it is.
    Yes,
    /// As a heading of this level.
    Heading(HeadingLevel),
    /// As a link that was written out.
    Link,
    /// Only what is in it.
    No,
}

impl Safe {
    fn take<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        if let (Some(link), Event::Text(text) | Event::Code(text)) = (&mut self.link, &event) {
            link.text.push_str(text);
        }
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(end) => self.end(end),
            Event::Html(text) | Event::InlineHtml(text) | Event::Text(text) => {
                Some(Event::Text(visible(&text)))
            }
            Event::Code(text) => Some(Event::Code(visible(&text))),
            Event::SoftBreak | Event::HardBreak | Event::Rule => Some(event),
            // A box to tick would be one without a label, and one that nobody can tick.
            Event::TaskListMarker(true) => Some(Event::Text("☑ ".into())),
            Event::TaskListMarker(false) => Some(Event::Text("☐ ".into())),
            Event::InlineMath(_) | Event::DisplayMath(_) | Event::FootnoteReference(_) => None,
        }
    }

    fn start<'a>(&mut self, tag: Tag<'a>) -> Option<Event<'a>> {
        let event = match tag {
            _ if self.depth >= DEPTH => None,
            Tag::Heading { level, .. } => Some(Event::Start(Tag::Heading {
                level: self.demoted(level),
                id: None,
                classes: Vec::new(),
                attrs: Vec::new(),
            })),
            Tag::CodeBlock(_) => Some(Event::Start(Tag::CodeBlock(CodeBlockKind::Indented))),
            Tag::Link { dest_url, .. } => Link::to(&dest_url).map(|link| {
                let html = link.begin();
                self.link = Some(link);
                Event::InlineHtml(html.into())
            }),
            Tag::Paragraph
            | Tag::BlockQuote(_)
            | Tag::List(_)
            | Tag::Item
            | Tag::Table(_)
            | Tag::TableHead
            | Tag::TableRow
            | Tag::TableCell
            | Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough => Some(Event::Start(tag)),
            _ => None,
        };
        let shown = match &event {
            Some(Event::InlineHtml(_)) => Shown::Link,
            Some(Event::Start(Tag::Heading { level, .. })) => Shown::Heading(*level),
            Some(_) => Shown::Yes,
            None => Shown::No,
        };
        self.depth += usize::from(shown != Shown::No);
        self.open.push(shown);
        event
    }

    /// Headings of a summary stand beneath the page's first one, and leave out no level.
    fn demoted(&mut self, level: HeadingLevel) -> HeadingLevel {
        use HeadingLevel::{H1, H2, H3, H4, H5, H6};
        let beneath = |level| match level {
            H1 => H2,
            H2 => H3,
            H3 => H4,
            H4 => H5,
            H5 | H6 => H6,
        };
        let level = beneath(level).min(beneath(self.heading.unwrap_or(H1)));
        self.heading = Some(level);
        level
    }

    fn end<'a>(&mut self, end: TagEnd) -> Option<Event<'a>> {
        let shown = self.open.pop().unwrap_or(Shown::No);
        self.depth -= usize::from(shown != Shown::No);
        match (shown, end) {
            (Shown::No, _) => None,
            (Shown::Link, _) => {
                let end = self.link.take().map(|link| link.end());
                Some(Event::InlineHtml(end.unwrap_or_default().into()))
            }
            (Shown::Heading(level), _) => Some(Event::End(TagEnd::Heading(level))),
            (Shown::Yes, end) => Some(Event::End(end)),
        }
    }
}

impl Link {
    /// A link to an address, where it may lead there: to a host that anybody can read, as in a log.
    fn to(address: &str) -> Option<Self> {
        let address = address.trim();
        let is_seen = |c: char| !c.is_control() && escape::stand_in(c).is_none();
        let (scheme, rest) = address.split_once("://")?;
        let is_web = ["https", "http"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known));
        let host = rest.split(['/', '?', '#']).next()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let is_host = !host.is_empty() && host.chars().all(plain);
        (is_web && is_host && address.chars().all(is_seen)).then(|| Self {
            address: address.to_owned(),
            host: host.to_owned(),
            text: String::new(),
        })
    }

    fn begin(&self) -> String {
        let mut out =
            "<a class=\"ugc\" rel=\"nofollow noopener noreferrer ugc\" href=\"".to_owned();
        escape::push_escaped(&mut out, &self.address);
        out.push_str("\">");
        out
    }

    /// The end, with where it leads unless that is what it says.
    fn end(&self) -> String {
        let mut out = "</a>".to_owned();
        if self.text.trim() != self.address {
            out.push_str(" (");
            escape::push_escaped(&mut out, &self.host);
            out.push(')');
        }
        out
    }
}

/// Text with what is not seen made visible; line feeds stay, as code has them.
fn visible<'a>(text: &str) -> CowStr<'a> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match escape::stand_in(c) {
            Some(symbol) => out.push_str(&symbol),
            None => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_reads_as_one() {
        let html = render(
            "# Tests\n\n| a | b |\n|---|---|\n| 1 | **2** |\n\n- [x] done\n\n```python\nx < 1\n```\n",
        );
        assert!(html.contains("<h2>Tests</h2>"), "{html}");
        assert!(html.contains("<td><strong>2</strong></td>"), "{html}");
        assert!(
            html.contains("<pre><code>x &lt; 1\n</code></pre>"),
            "{html}"
        );
    }

    #[test]
    fn s30_no_html_no_image_and_no_foreign_scheme_comes_through() {
        let html = render(concat!(
            "<script>alert(1)</script>\n\n<div onclick=x>\n\na <img src=x onerror=alert(1)> b\n\n",
            "![alt](https://x.example/track.png) [a](javascript:alert(1)) [b](data:text/html,x)\n\n",
            "[c](//evil.example) [d](mailto:x@y) <javascript:alert(1)> [e](/r/app) \u{202e}\n\n",
            "[f](https://a.example/\"onmouseover=alert(1)) # H {#id .class onclick=x}\n",
        ));
        for tag in [
            "<script",
            "<div",
            "<img",
            "href=\"javascript",
            "href=\"data",
            "href=\"//",
            "href=\"/",
            "mailto:x@y\"",
            " id=",
            "class=\"class",
        ] {
            assert!(!html.contains(tag), "{tag} in {html}");
        }
        assert!(html.contains("U+202E"), "{html}");
        assert!(!html.contains("\"onmouseover"), "{html}");
    }

    #[test]
    fn headings_stand_beneath_the_page_and_leave_out_no_level() {
        let html = render("### a\n\n###### b\n\n# c\n\n## d\n");
        let levels: Vec<&str> = html.lines().map(|line| &line[..4]).collect();
        assert_eq!(levels, ["<h2>", "<h3>", "<h2>", "<h3>"]);
        assert!(html.contains("b</h3>"), "{html}");
    }

    #[test]
    fn a_link_leads_out_and_is_not_recommended() {
        let link = |address: &str, text: &str, host: &str| {
            format!(
                "<p><a class=\"ugc\" rel=\"nofollow noopener noreferrer ugc\" href=\"{address}\">{text}</a>{host}</p>\n"
            )
        };
        let html = render("[docs](https://docs.example/?a=1&b=2)");
        let expected = link(
            "https://docs.example/?a=1&amp;b=2",
            "docs",
            " (docs.example)",
        );
        assert_eq!(html, expected);
        let html = render("<https://docs.example/a>");
        let address = "https://docs.example/a";
        assert_eq!(html, link(address, address, ""));
        let html = render("[`https://github.com/octo/app`](HTTPS://evil.example:8443/#x)");
        let expected = link(
            "HTTPS://evil.example:8443/#x",
            "<code>https://github.com/octo/app</code>",
            " (evil.example:8443)",
        );
        assert_eq!(html, expected);
        for none in [
            "[a](https://github.com@evil.example/)",
            "[a](https://gіthub.example/)",
            "[a](https://evil.example\\\\@github.com/)",
            "[a](https:///evil.example)",
        ] {
            let html = render(none);
            assert_eq!(html, "<p>a</p>\n", "{none}");
        }
    }

    #[test]
    fn what_grows_without_bounds_is_cut() {
        let columns = "|a".repeat(8_000) + "|\n";
        let table = format!("{columns}{}\n{}", "|-".repeat(8_000), "|x|\n".repeat(8_000));
        let quotes = ">".repeat(60_000) + " x";
        let stars = "*a **b ".repeat(9_000);
        let brackets = "[".repeat(60_000);
        for text in [table, quotes, stars, brackets] {
            let html = render(&text);
            assert!(html.len() < 2 * HTML_LIMIT, "{}", html.len());
            assert!(html.matches("<blockquote>").count() <= DEPTH);
        }
    }

    #[test]
    fn everything_that_was_opened_is_closed_where_it_is_cut() {
        let html = render(&("> - **".to_owned() + &"a\n\n> - ".repeat(20_000)));
        for tag in ["blockquote", "ul", "li", "p"] {
            let opened = html.matches(&format!("<{tag}>")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert!(html.contains("the summary is cut here"));
    }
}
