//! The words after a command: names, in quotes or not, and tags.

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// As it stands there. Several together can be one name.
    Plain(String),
    /// In quotes or backticks: one whole name.
    Quoted(String),
    /// `tag:` and the tag.
    Tag(String),
}

impl Word {
    /// Its text, without quotes.
    pub fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Quoted(text) | Self::Tag(text) => text,
        }
    }
}

/// Opening and closing quotes. Copying from GitHub's pages brings backticks along, and telephones
/// write typographic ones.
const QUOTES: [(char, char); 5] = [
    ('`', '`'),
    ('"', '"'),
    ('\'', '\''),
    ('\u{201C}', '\u{201D}'),
    ('\u{2018}', '\u{2019}'),
];

/// Splits a line into words. White space and commas stand between them; a quote that nobody closes
/// goes to the end of the line.
pub fn words(line: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = skip(line);
    while !rest.is_empty() {
        let (tag, after) = tag_prefix(rest);
        let (text, quoted, next) = one(after);
        rest = skip(next);
        words.push(match (tag, quoted) {
            (true, _) => Word::Tag(text),
            (false, true) => Word::Quoted(text),
            (false, false) => Word::Plain(text),
        });
    }
    words
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || c == ','
}

fn skip(text: &str) -> &str {
    text.trim_start_matches(is_between)
}

fn tag_prefix(text: &str) -> (bool, &str) {
    match text.get(..4) {
        Some(start) if start.eq_ignore_ascii_case("tag:") => (true, text[4..].trim_start()),
        _ => (false, text),
    }
}

/// One word, whether it was in quotes, and what follows.
fn one(text: &str) -> (String, bool, &str) {
    let first = text.chars().next();
    let quote = QUOTES.into_iter().find(|(open, _)| Some(*open) == first);
    let Some((open, close)) = quote else {
        let end = text.find(is_between).unwrap_or(text.len());
        return (text[..end].to_owned(), false, &text[end..]);
    };
    let inner = &text[open.len_utf8()..];
    let (name, next) = inner.split_once(close).unwrap_or((inner, ""));
    (name.trim().to_owned(), true, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_quotes_or_not() {
        let plain = |text: &str| Word::Plain(text.to_owned());
        let quoted = |text: &str| Word::Quoted(text.to_owned());
        let tag = |text: &str| Word::Tag(text.to_owned());
        for (line, expected) in [
            ("", vec![]),
            (" , ", vec![]),
            ("a  b,c", vec![plain("a"), plain("b"), plain("c")]),
            ("`s390x Debian` b", vec![quoted("s390x Debian"), plain("b")]),
            ("\"a b\"'c d'", vec![quoted("a b"), quoted("c d")]),
            ("\u{201C}a b\u{201D}", vec![quoted("a b")]),
            ("`never closed", vec![quoted("never closed")]),
            ("``", vec![quoted("")]),
            ("tag:linux TAG: x", vec![tag("linux"), tag("x")]),
            ("tag:\"big endian\"", vec![tag("big endian")]),
            ("tag:", vec![tag("")]),
            ("ä,ö", vec![plain("ä"), plain("ö")]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
