//! What the reporter is told: which status of which commit, by which run, and how it ended.

use std::{cmp::Ordering, sync::Arc};

use github::{CheckRun, StatusState};

/// What shows a result on GitHub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Channel {
    /// A commit status.
    #[default]
    Status,
    /// A check run.
    Check,
}

/// One commit status or check run: a context of a commit of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The connection that writes it.
    pub connection: String,
    /// Owner of the repository.
    pub owner: String,
    /// Name of the repository.
    pub name: String,
    /// The labelled head.
    pub sha: String,
    /// The context; of a check run its name.
    pub context: String,
    /// What it is.
    pub channel: Channel,
}

/// Which run speaks. Greater is newer: a newer build, then a later attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// When the PrBuild was created.
    pub build_created: jiff::Timestamp,
    /// Its name. Kubernetes' clock has whole seconds; within one, the greater event id is the newer.
    pub build: String,
    /// The attempt.
    pub attempt: i64,
}

impl Order {
    /// The attempt that follows. "Error: …; attempt 2 is queued" is the pending state of attempt 2.
    #[must_use]
    pub fn next_attempt(mut self) -> Self {
        self.attempt += 1;
        self
    }
}

impl Ord for Order {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |order: &Self| (order.build_created, order.build.len());
        key(self)
            .cmp(&key(other))
            .then_with(|| self.build.cmp(&other.build))
            .then_with(|| self.attempt.cmp(&other.attempt))
    }
}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a commit status or check run says.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitStatus {
    /// Its state.
    pub state: StatusState,
    /// One line, at most 140 characters.
    pub description: String,
    /// The page that its *Details* open.
    pub url: Option<String>,
    /// The same at length, where it is a check run.
    pub check: Option<Arc<CheckRun>>,
}

/// What is known of what stands on GitHub for a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The id of its check run.
    pub id: Option<i64>,
    /// One may stand of which there is no id: it has to be looked for before another one is made.
    pub unsure: bool,
    /// It may have many statuses of which this process knows nothing.
    pub uncounted: bool,
}

impl CommitStatus {
    /// Whether nothing of the same run follows it.
    pub fn is_final(&self) -> bool {
        self.state != StatusState::Pending
    }
}

/// How a state that was told ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// GitHub took it.
    Taken(StatusState),
    /// GitHub will never take it, and why: the commit is gone, or its limit of statuses is reached.
    Settled(String),
    /// A newer run, or a later state of this one, speaks for the context.
    Superseded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_build_then_the_later_attempt_is_the_newest() {
        let order = |second, build: &str, attempt| Order {
            build_created: jiff::Timestamp::from_second(second).unwrap(),
            build: build.to_owned(),
            attempt,
        };
        let sorted = [
            order(1, "cpython-7-l99", 2),
            order(2, "cpython-7-l9", 1),
            order(2, "cpython-7-l10", 1),
            order(2, "cpython-7-l11", 1),
            order(2, "cpython-7-l11", 2),
        ];
        assert!(sorted.is_sorted());
    }
}
