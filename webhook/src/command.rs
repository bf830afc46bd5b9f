//! Commands in comments: `/prbuild run <full SHA>`, on a line of its own.

/// A command as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The line.
    pub line: String,
    /// What it says.
    pub words: Words,
}

/// What a command says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// `run` and a SHA that is a full one: 40 or 64 hexadecimal digits, lower case here.
    Run(String),
    /// `run` without a full SHA.
    RunWithoutSha,
    /// Something else.
    Unknown,
}

/// The first command of a comment. Quoted text, code and what GitHub does not show say nothing:
/// somebody may be talking about a command rather than giving it.
pub fn find(comment: &str, prefix: &str) -> Option<Command> {
    spoken_lines(comment).find_map(|line| parse(line, prefix))
}

fn parse(line: &str, prefix: &str) -> Option<Command> {
    let mut words = line.split_whitespace();
    if !words.next()?.eq_ignore_ascii_case(prefix) {
        return None;
    }
    let said = match (words.next(), words.next(), words.next()) {
        (Some(run), Some(sha), None) if run.eq_ignore_ascii_case("run") => full_sha(sha),
        (Some(run), None, None) if run.eq_ignore_ascii_case("run") => Words::RunWithoutSha,
        _ => Words::Unknown,
    };
    Some(Command {
        line: line.trim().chars().take(300).collect(),
        words: said,
    })
}

fn full_sha(word: &str) -> Words {
    // Copying from GitHub's pages brings backticks along.
    let sha = word.trim_matches('`');
    match matches!(sha.len(), 40 | 64) && sha.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Words::Run(sha.to_ascii_lowercase()),
        false => Words::RunWithoutSha,
    }
}

/// Where a line stands in the Markdown of a comment.
enum Block {
    Text,
    /// After a quoted line: the paragraph goes on without `>` until a blank line.
    Quote,
    /// In fenced code, until a fence of this character that is at least this long.
    Fence(char, usize),
    /// In HTML that is not shown or shown as code, until this.
    Html(&'static str),
}

/// The lines that a person says in their own words.
fn spoken_lines(comment: &str) -> impl Iterator<Item = &str> {
    let mut block = Block::Text;
    comment.lines().filter(move |line| {
        let (next, spoken) = step(&block, line);
        block = next;
        spoken
    })
}

fn step(block: &Block, line: &str) -> (Block, bool) {
    let text = line.trim_start();
    match block {
        Block::Fence(character, length) => match fence(line) {
            Some((c, n, "")) if c == *character && n >= *length => (Block::Text, false),
            _ => (Block::Fence(*character, *length), false),
        },
        Block::Html(end) => match line.to_ascii_lowercase().contains(end) {
            true => (Block::Text, false),
            false => (Block::Html(end), false),
        },
        Block::Quote if !text.is_empty() && !text.starts_with('>') => (Block::Quote, false),
        Block::Text | Block::Quote => {
            if let Some((character, length, _)) = fence(line) {
                return (Block::Fence(character, length), false);
            }
            if let Some(end) = html(text) {
                return (Block::Html(end), false);
            }
            if text.starts_with('>') {
                return (Block::Quote, false);
            }
            let indented = line.starts_with('\t') || line.len() - text.len() >= 4;
            (Block::Text, !indented)
        }
    }
}

/// A code fence: its character, length, and what follows.
fn fence(line: &str) -> Option<(char, usize, &str)> {
    let text = line.trim();
    let character = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = text.trim_start_matches(character);
    let length = text.len() - rest.len();
    // Backticks may not follow backticks: that is a code span in a paragraph.
    let span = character == '`' && rest.contains('`');
    (length >= 3 && !span).then_some((character, length, rest))
}

/// The end of an HTML block that begins here and does not end on the same line.
fn html(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    [("<!--", "-->"), ("<pre", "</pre>"), ("<code", "</code>")]
        .into_iter()
        .find_map(|(start, end)| {
            let at = text.rfind(start)?;
            (!text[at..].contains(end)).then_some(end)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn said(comment: &str) -> Option<Words> {
        let comment = comment.replace("SHA", SHA);
        find(&comment, "/prbuild").map(|command| command.words)
    }

    #[test]
    fn a_command_is_a_line_of_its_own() {
        let run = Some(Words::Run(SHA.to_owned()));
        for comment in [
            "/prbuild run SHA",
            "  /prbuild   run  SHA  ",
            "Thanks, looks good.\n\n/prbuild run SHA\r\n\nBye",
            "/PRBUILD RUN SHA",
            "/prbuild run `SHA`",
            "> quoted\n\n/prbuild run SHA",
            "```\ncode\n```\n/prbuild run SHA",
            "<!-- hidden -->\n/prbuild run SHA",
        ] {
            assert_eq!(said(comment), run, "{comment}");
        }
        assert_eq!(
            said(&format!("/prbuild run {}", SHA.to_uppercase())),
            run,
            "upper case"
        );
        let long = format!("/prbuild run {SHA}{}", &SHA[..24]);
        assert!(matches!(said(&long), Some(Words::Run(sha)) if sha.len() == 64));
    }

    #[test]
    fn s20_what_is_quoted_or_code_or_part_of_a_sentence_is_no_command() {
        for comment in [
            "please /prbuild run SHA",
            "> /prbuild run SHA",
            "   > /prbuild run SHA",
            "> quoted\n/prbuild run SHA",
            "```\n/prbuild run SHA\n```",
            "~~~ text\n/prbuild run SHA\n~~~",
            "````\n```\n/prbuild run SHA\n````",
            "```\n/prbuild run SHA",
            "    /prbuild run SHA",
            "\t/prbuild run SHA",
            "<!--\n/prbuild run SHA\n-->",
            "<pre>\n/prbuild run SHA\n</pre>",
            "`/prbuild run SHA`",
            "/prbuilder run SHA",
            "prbuild run SHA",
            "- /prbuild run SHA",
            "",
        ] {
            assert_eq!(said(comment), None, "{comment}");
        }
    }

    #[test]
    fn s20_a_part_of_a_sha_is_no_sha() {
        for comment in [
            "/prbuild run",
            "/prbuild run 0123456",
            "/prbuild run SHA0",
            "/prbuild run 0123456789abcdef0123456789abcdef0123456g",
            "/prbuild run main",
            "/prbuild run $(id)",
        ] {
            assert_eq!(said(comment), Some(Words::RunWithoutSha), "{comment}");
        }
    }

    #[test]
    fn other_words_are_unknown() {
        for comment in ["/prbuild", "/prbuild stop", "/prbuild run SHA and more"] {
            assert_eq!(said(comment), Some(Words::Unknown), "{comment}");
        }
    }

    #[test]
    fn the_first_command_counts_and_the_line_is_bounded() {
        let long = format!("/prbuild {}\n/prbuild run {SHA}", "ä".repeat(5000));
        let found = find(&long, "/prbuild").expect("a command");
        assert_eq!(found.words, Words::Unknown);
        assert_eq!(found.line.chars().count(), 300);
    }

    #[test]
    fn the_prefix_is_the_repositorys() {
        assert!(find("!buildbot run x", "!buildbot").is_some());
        assert!(find("/prbuild run x", "!buildbot").is_none());
    }
}
