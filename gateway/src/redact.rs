//! Makes tokens of known shapes illegible, each byte by a `*`, so that offsets stay. Pure.
//!
//! What a byte becomes depends on the text alone and never on how the text was cut: where a token may be
//! under way is held back until that is settled, and `*` counts as a character of a token, so that one
//! that goes on is found again where it began. What a token begins with stays, and says what was there.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use memchr::{memchr, memmem};
use protocol::log::MARK_LINE_LIMIT;

/// How far one may go in a text that continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Bytes that may be shown. At most 1 KiB less than there are.
    pub shown: usize,
    /// Bytes behind which no token is under way. At most [`KEY_LIMIT`] less than may be shown.
    pub settled: usize,
    /// The first byte that may have been made illegible, and behind the last: nothing where none was.
    pub masked: (usize, usize),
}

/// Bytes of a private key with its first line. What has more is none.
pub const KEY_LIMIT: usize = 16 << 10;
/// Bytes of a JSON web token's first part.
const JWT_HEAD: usize = 990;
/// Bytes of a JSON web token.
const JWT_LIMIT: usize = 8 << 10;
/// Bytes between the name of an AWS secret and the secret.
const BETWEEN_LIMIT: usize = 16;
/// What a private key ends with.
const KEY_END: &[u8] = b"-----END";

/// Characters of a token, as bits; `*` is one of all.
const UPPER: u8 = 1;
const LOWER: u8 = 2;
const LINE: u8 = 4; // _ and -
const DOT: u8 = 8;
const MATHS: u8 = 16; // + / and =
const ALNUM: u8 = UPPER | LOWER;
const WORD: u8 = ALNUM | LINE;
const BASE64: u8 = ALNUM | MATHS;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'A'..=b'Z' | b'0'..=b'9' => UPPER,
            b'a'..=b'z' => LOWER,
            b'_' | b'-' => LINE,
            b'.' => DOT,
            b'+' | b'/' | b'=' => MATHS,
            b'*' => UPPER | LOWER | LINE | DOT | MATHS,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

/// What follows what a token begins with.
#[derive(Clone, Copy)]
enum Shape {
    /// So many characters of a class, at least and at most.
    Run(u8, usize, usize),
    /// Two or three parts with dots between. Our own tokens have two.
    Jwt,
    /// Forty characters, after an equals sign, a colon, quotes.
    AwsSecret,
    /// Lines up to the one that ends the key.
    Key,
}

/// What tokens begin with.
const SHAPES: [(&str, Shape); 24] = [
    ("ghp_", Shape::Run(ALNUM, 36, 255)),
    ("gho_", Shape::Run(ALNUM, 36, 255)),
    ("ghu_", Shape::Run(ALNUM, 36, 255)),
    ("ghr_", Shape::Run(ALNUM, 36, 255)),
    ("ghs_", Shape::Run(WORD | DOT, 36, 1000)),
    ("github_pat_", Shape::Run(WORD, 36, 255)),
    ("AKIA", Shape::Run(UPPER, 16, 16)),
    ("ASIA", Shape::Run(UPPER, 16, 16)),
    ("aws_secret_access_key", Shape::AwsSecret),
    ("AWS_SECRET_ACCESS_KEY", Shape::AwsSecret),
    ("SecretAccessKey", Shape::AwsSecret),
    ("secretAccessKey", Shape::AwsSecret),
    ("xoxa-", Shape::Run(WORD, 10, 255)),
    ("xoxb-", Shape::Run(WORD, 10, 255)),
    ("xoxe-", Shape::Run(WORD, 10, 255)),
    ("xoxp-", Shape::Run(WORD, 10, 255)),
    ("xoxr-", Shape::Run(WORD, 10, 255)),
    ("xoxs-", Shape::Run(WORD, 10, 255)),
    ("xapp-", Shape::Run(WORD, 10, 255)),
    ("glpat-", Shape::Run(WORD | DOT, 20, 255)),
    ("npm_", Shape::Run(ALNUM, 36, 255)),
    ("pypi-", Shape::Run(WORD, 50, 512)),
    ("eyJ", Shape::Jwt),
    ("-----BEGIN ", Shape::Key),
];

/// The searcher can only fail to be built for patterns that are too many, and these are few; without
/// one, each place would be looked at.
static BEGINNINGS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let mut builder = AhoCorasick::builder();
    let builder = builder.match_kind(MatchKind::LeftmostFirst);
    builder.build(SHAPES.map(|(beginning, _)| beginning)).ok()
});

/// What is at a place where a token could begin.
enum Found {
    /// No token.
    Nothing,
    /// A token, which ends there.
    Token(usize),
    /// A token that may go on behind the text.
    Begun,
    /// It cannot be told before there is more text.
    Open,
}

/// Makes tokens illegible. Where the text has not ended, the next call begins with the bytes from
/// `settled` on.
pub fn redact(text: &mut [u8], ended: bool) -> Reach {
    let mut at = 0;
    let mut masked = (0, 0);
    let mut heads = Heads::default();
    while let Some((begin, body, shape)) = next_beginning(text, at) {
        let found = match shape {
            Shape::Run(class, least, most) => run(text, body, class, least, most),
            Shape::Jwt => heads.jwt(text, body),
            Shape::AwsSecret => aws_secret(text, body),
            Shape::Key => key(text, body),
        };
        match found {
            Found::Nothing => at = begin + 1,
            Found::Token(end) => {
                mask(text, body, end, shape);
                masked = joined(masked, (body, end));
                at = end;
            }
            Found::Begun => {
                let end = text.len() - held(text, body, shape, ended);
                mask(text, body, end, shape);
                let masked = joined(masked, (body, end));
                return match ended {
                    true => whole(text, masked),
                    false => Reach {
                        shown: end,
                        settled: begin,
                        masked,
                    },
                };
            }
            Found::Open if ended => at = begin + 1,
            Found::Open => {
                return Reach {
                    shown: begin,
                    settled: begin,
                    masked,
                };
            }
        }
    }
    if ended {
        return whole(text, masked);
    }
    let settled = text.len() - half_a_beginning(&text[at..]);
    Reach {
        shown: settled,
        settled,
        masked,
    }
}

/// Makes tokens illegible in text whose lines are JSON, each for itself: no token reaches into the next
/// line, and a line that has not arrived whole is held back. What is longer than a line may be is looked
/// at in parts of that length.
pub fn redact_lines(text: &mut [u8], ended: bool) -> Reach {
    let mut at = 0;
    let mut masked = (0, 0);
    while at < text.len() {
        let rest = &mut text[at..];
        let most = rest.len().min(MARK_LINE_LIMIT);
        let length = match memchr(b'\n', &rest[..most]) {
            Some(end) => end + 1,
            None if ended || most == MARK_LINE_LIMIT => most,
            None => break,
        };
        let (first, last) = redact(&mut rest[..length], true).masked;
        masked = joined(masked, (at + first, at + last));
        at += length;
    }
    whole(&text[..at], masked)
}

fn whole(text: &[u8], masked: (usize, usize)) -> Reach {
    Reach {
        shown: text.len(),
        settled: text.len(),
        masked,
    }
}

/// The smallest range with both; one that is empty has nothing.
fn joined(one: (usize, usize), other: (usize, usize)) -> (usize, usize) {
    match (one.0 < one.1, other.0 < other.1) {
        (true, true) => (one.0.min(other.0), one.1.max(other.1)),
        (true, false) => one,
        (false, _) => other,
    }
}

/// A text of which this is all, with its tokens illegible.
pub fn redacted(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    redact(&mut bytes, true);
    // What becomes a `*` is ASCII, so the rest is what it was.
    String::from_utf8(bytes).unwrap_or_default()
}

/// The next place at or behind `at` where a token could begin, and where its secret part would.
fn next_beginning(text: &[u8], at: usize) -> Option<(usize, usize, Shape)> {
    if let Some(beginnings) = &*BEGINNINGS {
        let found = beginnings.find(Input::new(text).range(at..))?;
        let (_, shape) = SHAPES.get(found.pattern().as_usize())?;
        return Some((found.start(), found.end(), *shape));
    }
    (at..text.len()).find_map(|begin| {
        let is_here = |(word, _): &&(&str, Shape)| text[begin..].starts_with(word.as_bytes());
        let (word, shape) = SHAPES.iter().find(is_here)?;
        Some((begin, begin + word.len(), *shape))
    })
}

/// Bytes at the end that more text could make what a token begins with.
fn half_a_beginning(text: &[u8]) -> usize {
    let longest = SHAPES.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    let lengths = (1..longest.min(text.len() + 1)).rev();
    let is_begun = |length: &usize| {
        let end = &text[text.len() - length..];
        SHAPES
            .iter()
            .any(|(word, _)| word.len() > *length && word.as_bytes().starts_with(end))
    };
    lengths.into_iter().find(is_begun).unwrap_or(0)
}

/// The end of the characters of a class, at most so many.
fn end_of_run(text: &[u8], from: usize, class: u8, most: usize) -> usize {
    let until = text.len().min(from + most);
    let is_other = |byte: &u8| CLASSES[usize::from(*byte)] & class == 0;
    let length = text[from..until].iter().position(is_other);
    length.map_or(until, |length| from + length)
}

fn run(text: &[u8], body: usize, class: u8, least: usize, most: usize) -> Found {
    let end = end_of_run(text, body, class, most);
    let goes_on = end == text.len() && end - body < most;
    match (end - body >= least, goes_on) {
        (true, false) => Found::Token(end),
        (true, true) => Found::Begun,
        (false, true) => Found::Open,
        (false, false) => Found::Nothing,
    }
}

fn aws_secret(text: &[u8], body: usize) -> Found {
    let between = text[body..].iter().take(BETWEEN_LIMIT);
    let is_between = |byte: &&u8| {
        matches!(
            byte,
            b' ' | b'\t' | b':' | b'=' | b'"' | b'\'' | b'>' | b'\\'
        )
    };
    let secret = body + between.take_while(is_between).count();
    if secret == text.len() && secret - body < BETWEEN_LIMIT {
        return Found::Open;
    }
    match secret == body {
        true => Found::Nothing,
        false => run(text, secret, BASE64, 40, 40),
    }
}

/// What is known of the first parts of JSON web tokens: text full of their beginnings is looked at once.
#[derive(Default)]
struct Heads {
    known: usize,
}

impl Heads {
    fn jwt(&mut self, text: &[u8], body: usize) -> Found {
        // Everything up to `known` is a character of a head.
        let from = self.known.clamp(body, text.len());
        let limit = body + JWT_HEAD;
        let head = match from > limit {
            true => from,
            false => end_of_run(text, from, WORD, limit + 1 - from),
        };
        self.known = head;
        match text.get(head) {
            _ if head > limit => return Found::Nothing,
            None => return Found::Open,
            Some(b'.') if head - body >= 13 => {}
            Some(_) => return Found::Nothing,
        }
        let most = body + JWT_LIMIT;
        let second = end_of_run(text, head + 1, WORD, most - head - 1);
        match (second - head > 16, text.get(second)) {
            (false, None) => return Found::Open,
            (false, Some(_)) => return Found::Nothing,
            (true, None) if second < most => return Found::Begun,
            (true, Some(b'.')) if second + 1 < most => {}
            (true, _) => return Found::Token(second),
        }
        let third = end_of_run(text, second + 1, WORD, most - second - 1);
        match third == text.len() && third < most {
            true => Found::Begun,
            false => Found::Token(third),
        }
    }
}

fn key(text: &[u8], body: usize) -> Found {
    const TITLE: &[u8] = b"PRIVATE KEY";
    const TITLE_LIMIT: usize = 64;
    let line = &text[body..text.len().min(body + TITLE_LIMIT)];
    let is_title = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    let title = line.iter().take_while(|byte| is_title(byte)).count();
    let dashes = &line[title..line.len().min(title + 5)];
    if title == TITLE_LIMIT || dashes.iter().any(|byte| *byte != b'-') {
        return Found::Nothing;
    }
    if dashes.len() < 5 {
        return match text.len() < body + TITLE_LIMIT {
            true => Found::Open,
            false => Found::Nothing,
        };
    }
    if memmem::find(&line[..title], TITLE).is_none() {
        return Found::Nothing;
    }
    let most = body + KEY_LIMIT;
    let lines = &text[body + title + 5..text.len().min(most)];
    match memmem::find(lines, KEY_END) {
        Some(end) => Found::Token(body + title + 5 + end),
        None if text.len() >= most => Found::Token(most),
        None => Found::Begun,
    }
}

/// Bytes at the end of a token that goes on which are not to be made illegible yet.
fn held(text: &[u8], body: usize, shape: Shape, ended: bool) -> usize {
    if ended || !matches!(shape, Shape::Key) {
        return 0;
    }
    let lengths = (1..KEY_END.len().min(text.len() - body + 1)).rev();
    let ends = |length: &usize| text.ends_with(&KEY_END[..*length]);
    lengths.into_iter().find(ends).unwrap_or(0)
}

/// Makes a token's secret part illegible. Escapes stay: a key in JSON has its line ends as `\n`.
fn mask(text: &mut [u8], body: usize, end: usize, shape: Shape) {
    let (from, class) = match shape {
        Shape::Run(class, ..) => (body, class),
        Shape::Jwt => (body, WORD),
        Shape::AwsSecret => (end.saturating_sub(40).max(body), BASE64),
        Shape::Key => {
            let title = memmem::find(&text[body..end], b"-----");
            (title.map_or(end, |title| body + title + 5), BASE64)
        }
    };
    let mut escaped = 0;
    for byte in &mut text[from..end.max(from)] {
        match *byte {
            b'u' if escaped == 1 => escaped = 4,
            _ if escaped > 0 => escaped -= 1,
            b'\\' => escaped = 1,
            other if CLASSES[usize::from(other)] & class != 0 => *byte = b'*',
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
