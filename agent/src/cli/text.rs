//! How the owner's commands speak: errors with a cause and a way out, spans of time, dates.

use std::{io, time::Duration};

use agent::{
    text::duration,
    worker::{
        files::FileError,
        history::{Entry, What},
    },
};

/// What went wrong, why, and what to try.
#[derive(Debug)]
pub struct Problem {
    what: String,
    because: String,
    help: String,
}

impl Problem {
    /// A problem of its three parts.
    pub fn new(
        what: impl Into<String>,
        because: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            because: because.into(),
            help: help.into(),
        }
    }

    /// The program itself could not go on.
    pub fn own(error: io::Error) -> Self {
        let help = "`prbuild-agent doctor`";
        Self::new("prbuild-agent could not begin", error.to_string(), help)
    }

    /// A file of the agent's that is not to be had.
    pub fn file(error: FileError) -> Self {
        let help = "the same as root, or as the agent's user";
        Self::new("the agent cannot be asked", error.to_string(), help)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            what,
            because,
            help,
        } = self;
        write!(f, "error: {what}\n  because {because}\n  try: {help}")
    }
}

/// A span of time as people type it: `90s`, `30m`, `2h`, `1d`.
pub fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time such as 30m, 2h or 1d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let span = number
        .checked_mul(seconds)
        .filter(|span| *span <= 366 * 86_400);
    span.map(Duration::from_secs).ok_or_else(wrong)
}

/// How long ago something was.
pub fn ago(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or_default();
    format!("{} ago", duration(Duration::from_secs(seconds)))
}

/// A moment in seconds since 1970, as people read it.
pub fn date(seconds: i64) -> String {
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A line of the history, as its owner reads it.
pub fn happened(entry: &Entry) -> String {
    let what = match entry.what {
        What::Began => "◐ began",
        What::Ended => "● ended",
        What::Declined => "○ declined",
    };
    let (at, run, how) = (date(entry.at), &entry.run, &entry.how);
    if entry.commit.is_empty() {
        // Nobody who is trusted has said what it was.
        return format!("{at}  {what}  {run}  {how}");
    }
    let commit = entry.commit.get(..10).unwrap_or(&entry.commit);
    let (repository, number, by) = (&entry.repository, entry.pull_request, &entry.by);
    format!("{at}  {what}  {run}  {repository}#{number} at {commit}  asked for by {by}  {how}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_typed_with_their_unit() {
        assert_eq!(span("30m"), Ok(Duration::from_secs(1800)));
        assert_eq!(span("1d"), Ok(Duration::from_secs(86_400)));
        for wrong in [
            "",
            "h",
            "2",
            "2w",
            "-1h",
            "9999999999999999999d",
            "400d",
            "2é",
        ] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
