//! Lines that tell the page something, in the vocabulary of GitHub Actions: `::group::`, `::error …::`
//! and the like, and `##[group]`, `##[error]`, which runners print.

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A group of lines begins; its title.
    Group(String),
    /// It ends.
    EndGroup,
    /// Something that is to be seen.
    Say(Say),
}

/// Something that is to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    /// How bad it is.
    pub level: Level,
    /// Where, `file:line`; may be empty.
    pub place: String,
    /// What.
    pub message: String,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// An error.
    Error,
    /// A warning.
    Warning,
    /// Something to know.
    Notice,
    /// For whoever looks closely.
    Debug,
}

impl Level {
    fn of(name: &str) -> Option<Self> {
        match name {
            "error" => Some(Self::Error),
            "warning" => Some(Self::Warning),
            "notice" => Some(Self::Notice),
            "debug" => Some(Self::Debug),
            _ => None,
        }
    }

    /// The word before the message, and the class of the line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Debug => "debug",
        }
    }
}

impl Command {
    /// Reads a line, without its line feed.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim_start().trim_end_matches('\r');
        if let Some(rest) = line.strip_prefix("##[") {
            let (name, message) = rest.split_once(']')?;
            return Self::of(name, "", message.to_owned());
        }
        let (head, message) = line.strip_prefix("::")?.split_once("::")?;
        let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
        Self::of(name, properties, decoded(message))
    }

    fn of(name: &str, properties: &str, message: String) -> Option<Self> {
        match name {
            "group" => Some(Self::Group(message)),
            "endgroup" => Some(Self::EndGroup),
            _ => Some(Self::Say(Say {
                level: Level::of(name)?,
                place: place(properties),
                message,
            })),
        }
    }
}

fn place(properties: &str) -> String {
    let value = |name: &str| {
        let property = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            (key.trim() == name).then(|| decoded(value))
        };
        properties.split(',').find_map(property)
    };
    match (value("file"), value("line")) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file,
        (None, _) => String::new(),
    }
}

/// Undoes the escapes of values, once.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let escape = rest.get(at..at + 3).unwrap_or_default();
        let meant = match escape.to_ascii_uppercase().as_str() {
            "%25" => '%',
            "%0A" => '\n',
            "%0D" => ' ',
            "%3A" => ':',
            "%2C" => ',',
            _ => {
                out.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        };
        out.push(meant);
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(level: Level, place: &str, message: &str) -> Option<Command> {
        Some(Command::Say(Say {
            level,
            place: place.to_owned(),
            message: message.to_owned(),
        }))
    }

    #[test]
    fn commands_are_read_in_both_spellings() {
        for (line, command) in [
            (
                "::group::Build %25",
                Some(Command::Group("Build %".to_owned())),
            ),
            (
                "##[group]Run make",
                Some(Command::Group("Run make".to_owned())),
            ),
            ("::endgroup::\r", Some(Command::EndGroup)),
            ("##[endgroup]", Some(Command::EndGroup)),
            (
                "::error file=a%2Cb.c,line=3,title=x::one%0Atwo",
                say(Level::Error, "a,b.c:3", "one\ntwo"),
            ),
            ("  ::warning::w", say(Level::Warning, "", "w")),
            ("::notice file=a::n::m", say(Level::Notice, "a", "n::m")),
            ("##[error]bad", say(Level::Error, "", "bad")),
            ("::debug::d%", say(Level::Debug, "", "d%")),
        ] {
            assert_eq!(Command::parse(line), command, "{line}");
        }
    }

    #[test]
    fn other_lines_are_lines() {
        for line in [
            "",
            "::",
            "::std::vec",
            "x ::error::y",
            "::error",
            "##[x]y",
            "##[error",
            "::é%é::",
        ] {
            assert_eq!(Command::parse(line), None, "{line}");
        }
        assert_eq!(decoded("%é%2"), "%é%2");
    }
}
