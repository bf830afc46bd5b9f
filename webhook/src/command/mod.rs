//! Commands in comments: a line of its own that begins with the repository's word for commands, or
//! with its word for regular expressions. What their words name is for [`resolve`](crate::resolve).

mod markdown;
mod phrase;

pub use phrase::Word;

/// Commands of one comment that are looked at.
pub const MOST: u8 = 5;
/// Bytes of a comment that is looked at. GitHub's longest has 65,536 characters.
const LONGEST: usize = 64 * 1024;
/// Characters of a line that are kept.
const LINE: usize = 300;

/// The words that stand after the prefix, and what they do. `docs/commands.md` has each of them.
pub const VERBS: [&str; 5] = ["run", "rerun", "cancel", "status", "help"];

/// What people write instead, and what they mean.
const INSTEAD: [(&str, &str); 12] = [
    ("test", "run"),
    ("build", "run"),
    ("start", "run"),
    ("try", "run"),
    ("retry", "rerun failed"),
    ("retest", "rerun failed"),
    ("again", "rerun failed"),
    ("stop", "cancel"),
    ("abort", "cancel"),
    ("kill", "cancel"),
    ("info", "status"),
    ("usage", "help"),
];

/// The words that commands begin with.
#[derive(Clone, Copy, Debug)]
pub struct Prefixes<'a> {
    /// Of commands.
    pub command: &'a str,
    /// Of regular expressions. Empty: there are none.
    pub pattern: &'a str,
}

impl<'a> From<&'a crds::Commands> for Prefixes<'a> {
    fn from(commands: &'a crds::Commands) -> Self {
        Self {
            command: &commands.prefix,
            pattern: &commands.pattern_prefix,
        }
    }
}

/// A command as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its place among the commands of the comment, from 0.
    pub ordinal: u8,
    /// The line.
    pub line: String,
    /// What it says.
    pub says: Says,
}

/// What a command says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// Build: exactly this commit where a full SHA was typed, else today's head.
    Run {
        /// 40 or 64 hexadecimal digits, lower case.
        sha: Option<String>,
        /// What to build; nothing: what the first label builds.
        what: Vec<Word>,
    },
    /// Build the builders whose display name this regular expression finds.
    Pattern(String),
    /// Build what did not pass once more.
    RerunFailed,
    /// Build these once more.
    Rerun(Vec<Word>),
    /// Stop these; nothing: everything.
    Cancel(Vec<Word>),
    /// How do the builds stand?
    Status,
    /// Which commands are there?
    Help,
    /// No command; perhaps this was meant.
    Unknown(Option<String>),
    /// One command more than a comment can have.
    OneTooMany,
}

/// The commands of a comment, and one [`Says::OneTooMany`] in place of those beyond [`MOST`]. Comments
/// with none, which nearly all are, are not parsed.
pub fn find(comment: &str, prefixes: Prefixes<'_>) -> Vec<Command> {
    let words = [prefixes.command, prefixes.pattern];
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    if comment.len() > LONGEST || !words.any(|word| contains(comment, word)) {
        return Vec::new();
    }
    let lines = markdown::spoken_lines(comment).into_iter();
    let said = lines.filter_map(|line| Some((line, parse(line, prefixes)?)));
    let numbered = said.zip(0..=MOST).map(|((line, says), ordinal)| Command {
        ordinal,
        line: line.chars().take(LINE).collect(),
        says: match ordinal < MOST {
            true => says,
            false => Says::OneTooMany,
        },
    });
    numbered.collect()
}

/// Whether a word stands somewhere in a text, in whatever case.
fn contains(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    text.windows(word.len())
        .any(|part| part.eq_ignore_ascii_case(word))
}

fn parse(line: &str, prefixes: Prefixes<'_>) -> Option<Says> {
    let (first, rest) = first_word(line);
    let is_pattern = !prefixes.pattern.is_empty() && first.eq_ignore_ascii_case(prefixes.pattern);
    if first.eq_ignore_ascii_case(prefixes.command) {
        let (verb, of_verb) = first_word(rest);
        return match said(verb, of_verb) {
            // Where both prefixes are one word, what is no command is a regular expression.
            Says::Unknown(_) if is_pattern && !verb.is_empty() => Some(pattern(rest)),
            says => Some(says),
        };
    }
    is_pattern.then(|| pattern(rest))
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

fn pattern(text: &str) -> Says {
    let quoted = ['`', '"'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    });
    Says::Pattern(quoted.unwrap_or(text).trim().to_owned())
}

fn said(verb: &str, rest: &str) -> Says {
    let words = || phrase::words(rest);
    match verb.to_ascii_lowercase().as_str() {
        "run" => run(words()),
        "rerun" => rerun(words()),
        "cancel" => Says::Cancel(words()),
        "status" if rest.is_empty() => Says::Status,
        "status" => Says::Unknown(Some("status".to_owned())),
        "help" | "" => Says::Help,
        other => Says::Unknown(meant(other)),
    }
}

fn run(mut words: Vec<Word>) -> Says {
    let sha = words.first().and_then(full_sha);
    if sha.is_some() {
        words.remove(0);
    }
    Says::Run { sha, what: words }
}

fn rerun(words: Vec<Word>) -> Says {
    match words.as_slice() {
        [] => Says::Unknown(Some("rerun failed".to_owned())),
        [Word::Plain(failed)] if failed.eq_ignore_ascii_case("failed") => Says::RerunFailed,
        _ => Says::Rerun(words),
    }
}

/// A SHA in full, in lower case.
fn full_sha(word: &Word) -> Option<String> {
    let sha = match word {
        Word::Plain(text) | Word::Quoted(text) => text,
        Word::Tag(_) => return None,
    };
    let full = matches!(sha.len(), 40 | 64) && sha.bytes().all(|b| b.is_ascii_hexdigit());
    full.then(|| sha.to_ascii_lowercase())
}

/// The command that somebody may have meant.
fn meant(verb: &str) -> Option<String> {
    if full_sha(&Word::Plain(verb.to_owned())).is_some() {
        return Some("run <full SHA>".to_owned());
    }
    let plain: String = verb.chars().filter(char::is_ascii_alphanumeric).collect();
    let instead = INSTEAD.into_iter().find(|(other, _)| *other == plain);
    let meant = instead.map(|(_, meant)| meant);
    meant
        .or_else(|| VERBS.into_iter().find(|verb| *verb == plain))
        .or_else(|| crate::resolve::closest(&plain, VERBS).into_iter().next())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests;
