//! Workflow commands of GitHub Actions that annotate:
//! `::error file=a.c,line=1,endLine=2,title=T::message`, `::warning …`, `::notice …`
//! (<https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>).
//! Between `::stop-commands::TOKEN` and `::TOKEN::` nothing is a command.

use protocol::Level;

use super::Reader;
use crate::{
    checkout_path::Place,
    findings::{Draft, Found},
};

/// Where an annotation without a file belongs; as on GitHub Actions.
const NO_FILE: &str = ".github";

/// Reads workflow commands.
#[derive(Debug, Default)]
pub struct Commands {
    found: Found,
    /// What ends the time in which nothing is a command.
    stopped: Option<String>,
}

impl Reader for Commands {
    fn line(&mut self, line: &str) {
        let may_be_one = |byte: &u8| matches!(byte, b':' | b' ' | b'\t');
        if !line.as_bytes().first().is_some_and(may_be_one) {
            return;
        }
        let line = line.trim_start();
        let Some(command) = Command::parse(line) else {
            return;
        };
        if let Some(token) = &self.stopped {
            if command.name == token {
                self.stopped = None;
            }
            return;
        }
        if command.name.eq_ignore_ascii_case("stop-commands") {
            let token = command.message.trim();
            self.stopped = Some(token.to_owned()).filter(|token| !token.is_empty());
            return;
        }
        if let Some(draft) = command.draft() {
            self.found.annotate(draft);
        }
    }

    fn end(self: Box<Self>) -> Found {
        self.found
    }
}

/// One command, as it stands in the line.
struct Command<'a> {
    name: &'a str,
    properties: &'a str,
    message: &'a str,
}

impl<'a> Command<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (head, message) = line.strip_prefix("::")?.split_once("::")?;
        let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
        Some(Self {
            name,
            properties,
            message,
        })
    }

    fn draft(&self) -> Option<Draft> {
        let level = [
            ("error", Level::Failure),
            ("warning", Level::Warning),
            ("notice", Level::Notice),
        ];
        let is_name = |(name, _): &&(&str, Level)| self.name.eq_ignore_ascii_case(name);
        let (_, level) = level.iter().find(is_name)?;
        let message = decoded(self.message, &[]);
        if message.trim().is_empty() {
            return None;
        }
        let number = |name| {
            self.property(name)
                .and_then(|text| text.trim().parse().ok())
        };
        let file = self.property("file").filter(|file| !file.is_empty());
        Some(Draft {
            // Without a file a line means nothing.
            line: file.as_ref().and_then(|_| number("line")).unwrap_or(1),
            end_line: file.as_ref().and_then(|_| number("endLine")),
            place: Place::Given(file.unwrap_or_else(|| NO_FILE.to_owned())),
            level: *level,
            title: self.property("title").unwrap_or_default(),
            message,
        })
    }

    fn property(&self, name: &str) -> Option<String> {
        let mut pairs = self
            .properties
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
        Some(decoded(value, &[("3A", ':'), ("2C", ',')]))
    }
}

/// Text with GitHub's escapes resolved: `%25`, `%0D` and `%0A` everywhere, `more` in properties.
fn decoded(text: &str, more: &[(&str, char)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let known = [("25", '%'), ("0D", '\r'), ("0A", '\n')];
        let mut known = known.iter().chain(more);
        match known.find(|(code, _)| after.starts_with(code)) {
            Some((code, character)) => {
                out.push(*character);
                rest = &after[code.len()..];
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafts(output: &str) -> Vec<Draft> {
        let mut reader = Box::new(Commands::default());
        output.lines().for_each(|line| reader.line(line));
        reader.end().drafts().to_vec()
    }

    fn draft(file: &str, line: i64, level: Level, message: &str) -> Draft {
        Draft {
            place: Place::Given(file.into()),
            line,
            end_line: None,
            level,
            title: String::new(),
            message: message.into(),
        }
    }

    #[test]
    fn the_forms_of_github_actions_are_read() {
        let whole =
            "::error file=src/a.c,line=3,endLine=5,col=1,title=Bad%3A it%2C%25::one%0Atwo, ::three";
        let expected = Draft {
            end_line: Some(5),
            title: "Bad: it,%".into(),
            ..draft("src/a.c", 3, Level::Failure, "one\ntwo, ::three")
        };
        assert_eq!(drafts(whole), [expected]);
        for (line, expected) in [
            ("::warning file=a::w", draft("a", 1, Level::Warning, "w")),
            (
                "  ::notice line=2,file=a::n",
                draft("a", 2, Level::Notice, "n"),
            ),
            (
                "::ERROR FILE=a,LINE=x::e",
                draft("a", 1, Level::Failure, "e"),
            ),
            (
                "::error::no file",
                draft(".github", 1, Level::Failure, "no file"),
            ),
            (
                "::error line=9::no file",
                draft(".github", 1, Level::Failure, "no file"),
            ),
            (
                "::error file=::no file",
                draft(".github", 1, Level::Failure, "no file"),
            ),
            (
                "::error file=a::50%25%0a%",
                draft("a", 1, Level::Failure, "50%%0a%"),
            ),
            (
                "::error file=a::%250A",
                draft("a", 1, Level::Failure, "%0A"),
            ),
        ] {
            assert_eq!(drafts(line), [expected], "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_a_command_is_none() {
        for line in [
            "::error file=a:: ",
            "::errors file=a::x",
            "::error file=a",
            ":error::x",
            "a ::error file=a::x",
            "::group::x",
            "::debug::x",
            "::add-mask::x",
            "::::x",
            "::",
            "std::error::Error",
        ] {
            assert_eq!(drafts(line), [], "{line}");
        }
    }

    #[test]
    fn between_stop_and_its_token_nothing_is_a_command() {
        let output = "::error::one\n::stop-commands::t0ken\n::error::two\n::other::\n::t0ken::\n::error::three";
        let messages: Vec<String> = drafts(output).into_iter().map(|one| one.message).collect();
        assert_eq!(messages, ["one", "three"]);
        assert_eq!(drafts("::stop-commands::\n::error::x").len(), 1);
    }
}
