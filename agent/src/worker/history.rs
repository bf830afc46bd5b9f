//! What ran here, when, and who asked for it: for the owner, as lines of JSON.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::layout::Layout;

/// Bytes of the file at which the older half goes.
const LIMIT: u64 = 4 << 20;

/// One line: something that began, ended or was declined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, in seconds since 1970 by the machine's own clock.
    pub at: i64,
    /// What happened: `began`, `ended`, `declined`.
    pub what: What,
    /// Name of the run; of an offer that was not believed its id, and nothing else is known of that.
    pub run: String,
    /// `owner/name` of the repository.
    pub repository: String,
    /// Number of the pull request.
    pub pull_request: i64,
    /// The commit, a full SHA.
    pub commit: String,
    /// Who asked for it: their login at the time.
    pub by: String,
    /// How it ended, or why it was declined.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub how: String,
}

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A run began.
    Began,
    /// It ended.
    Ended,
    /// An offer was declined.
    Declined,
}

/// The file that the owner reads: a line of JSON for each run.
#[derive(Debug)]
pub struct History(PathBuf);

impl History {
    /// Of a worker.
    pub fn of(layout: &Layout) -> Self {
        Self(layout.own("history.jsonl"))
    }

    /// Adds a line.
    pub fn add(&self, entry: &Entry) -> io::Result<()> {
        if self.0.metadata().is_ok_and(|meta| meta.len() > LIMIT) {
            let kept = self.read();
            let half: Vec<String> = kept[kept.len() / 2..].iter().map(line).collect();
            std::fs::write(&self.0, half.concat())?;
        }
        let mut file = File::options().create(true).append(true).open(&self.0)?;
        file.write_all(line(entry).as_bytes())
    }

    /// All lines, oldest first.
    pub fn read(&self) -> Vec<Entry> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let entries = text.lines().map(serde_json::from_str);
        entries.filter_map(Result::ok).collect()
    }

    /// How many runs began after that moment.
    pub fn begun_since(&self, at: i64) -> usize {
        let is_new = |entry: &&Entry| entry.what == What::Began && entry.at > at;
        self.read().iter().filter(is_new).count()
    }
}

fn line(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap_or_default() + "\n"
}
