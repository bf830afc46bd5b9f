//! git, told to trust nothing: neither the machine's configuration nor what a server sends.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    log::Capture,
    os::{self, Ended, Signals},
    process::{self, GRACE, Limits, ProcessError, Stop},
    source::Scheme,
};

/// Bytes of git's output that are kept: errors, and a commit object.
const OUTPUT_LIMIT: usize = 256 << 10;

/// git in one directory.
#[derive(Clone, Debug)]
pub struct Git {
    directory: PathBuf,
    home: PathBuf,
    scheme: Scheme,
}

/// How a git command ended, with what it printed.
#[derive(Clone, Debug)]
pub struct GitOutput {
    /// Whether it exited with 0.
    pub ok: bool,
    /// Whether it was stopped for its time.
    pub late: bool,
    /// Standard output and error, together.
    pub text: String,
}

/// git could not be run.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It did not start or not end.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The executor was asked to stop.
    #[error("cancelled during the checkout")]
    Cancelled,
}

/// The arguments that fetch one commit and nothing else. Only these two come from outside: an address that
/// was checked, or a mirror's directory, and a SHA.
pub fn fetch_of<'a>(from: &'a str, commit: &'a str) -> [&'a str; 10] {
    [
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-auto-maintenance",
        "--no-write-commit-graph",
        "--",
        from,
        commit,
    ]
}

impl Git {
    /// git in `directory`, over one scheme and no other.
    pub fn new(directory: &Path, home: &Path, scheme: Scheme) -> Self {
        Self {
            directory: directory.into(),
            home: home.into(),
            scheme,
        }
    }

    /// Runs git with these arguments, at most that long.
    pub fn run(
        &self,
        arguments: &[&str],
        limit: Duration,
        signals: &mut Signals,
    ) -> Result<GitOutput, GitError> {
        let mut output = Capture::up_to(OUTPUT_LIMIT);
        let limits = Limits {
            own: Some(limit),
            silence: Duration::MAX,
            deadline: Instant::now() + limit * 2,
            grace: GRACE,
        };
        let outcome = process::supervise(self.command(arguments), limits, signals, &mut output)?;
        if outcome.ended == Err(Stop::Cancelled) {
            return Err(GitError::Cancelled);
        }
        Ok(GitOutput {
            ok: outcome.ended == Ok(Ended::Exit(0)),
            late: outcome.ended.is_err(),
            text: output.into_text(),
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.directory).env_clear();
        for name in os::BASE_VARS {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs([
            ("GIT_ALLOW_PROTOCOL", self.scheme.name()),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", os::NULL_FILE),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            // Errors are told apart by their text.
            ("LC_ALL", "C"),
        ]);
        command.env("HOME", &self.home);
        let allow = format!("protocol.{}.allow=always", self.scheme.name());
        for setting in SETTINGS.iter().chain([&allow.as_str()]) {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        command
    }
}

/// What every command is told on its command line, where nothing overrides it.
const SETTINGS: &[&str] = &[
    "core.askPass=",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "credential.helper=",
    "fetch.fsckObjects=true",
    "gc.auto=0",
    "http.followRedirects=initial",
    // A connection that stands still for half a minute is given up; the fetch is tried again.
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "init.defaultBranch=main",
    "maintenance.auto=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "transfer.fsckObjects=true",
];

/// Why a fetch failed, as its output tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The server does not have the commit.
    Missing,
    /// The server shows no such repository to somebody without an account.
    NoRepository,
    /// What the server sent is not what was asked for, or not sound.
    Refused,
    /// No room on the disk.
    DiskFull,
    /// Anything else: the network, or the server for now.
    Network,
}

impl FetchFailure {
    /// Tells failures apart by git's words, in the C locale.
    pub fn of(output: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| output.contains(word));
        if has(&["not our ref", "unadvertised object", "remote ref"]) {
            Self::Missing
        } else if has(&["No space left on device", "Disk quota exceeded"]) {
            Self::DiskFull
        } else if has(&[
            "fsck error",
            "did not send all necessary objects",
            "bad object",
            "not allowed",
            "mismatched algorithms",
        ]) {
            Self::Refused
        } else if has(&[
            "Repository not found",
            "could not read Username",
            "Authentication failed",
        ]) || (output.contains("repository '") && output.contains("' not found"))
        {
            Self::NoRepository
        } else {
            Self::Network
        }
    }

    /// Whether another try can help. A commit can be missing for a moment: GitHub's replicas lag.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Network | Self::Missing)
    }
}

/// What a commit object says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its tree.
    pub tree: String,
    /// Its parents, in order.
    pub parents: Vec<String>,
}

impl Commit {
    /// Reads the head of `git cat-file commit`: `tree`, then each `parent`. What follows is the
    /// committer's own text.
    pub fn parse(object: &str) -> Option<Self> {
        let mut lines = object.lines();
        let tree = lines.next()?.strip_prefix("tree ")?.to_owned();
        let parents = lines.map_while(|line| line.strip_prefix("parent "));
        Some(Self {
            tree,
            parents: parents.map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        for (output, failure) in [
            (
                "fatal: remote error: upload-pack: not our ref abc",
                FetchFailure::Missing,
            ),
            (
                "error: Server does not allow request for unadvertised object abc",
                FetchFailure::Missing,
            ),
            ("fatal: couldn't find remote ref abc", FetchFailure::Missing),
            (
                "remote: Repository not found.\nfatal: repository 'x' not found",
                FetchFailure::NoRepository,
            ),
            (
                "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
                FetchFailure::NoRepository,
            ),
            ("fatal: fsck error in packed object", FetchFailure::Refused),
            (
                "error: http://x did not send all necessary objects",
                FetchFailure::Refused,
            ),
            ("fatal: transport 'file' not allowed", FetchFailure::Refused),
            (
                "fatal: write error: No space left on device",
                FetchFailure::DiskFull,
            ),
            (
                "fatal: unable to access 'x': Could not resolve host: x",
                FetchFailure::Network,
            ),
            ("error: RPC failed; HTTP 502 curl 22", FetchFailure::Network),
            (
                "fatal: early EOF\nfatal: fetch-pack: invalid index-pack output",
                FetchFailure::Network,
            ),
            ("", FetchFailure::Network),
        ] {
            assert_eq!(FetchFailure::of(output), failure, "{output}");
        }
    }

    #[test]
    fn only_the_head_of_a_commit_is_believed() {
        let object = "tree 1\nparent 2\nparent 3\nauthor a\ncommitter b\n\nparent 4\n";
        let commit = Commit::parse(object).unwrap();
        assert_eq!(
            (commit.tree.as_str(), commit.parents.as_slice()),
            ("1", &["2".into(), "3".into()][..])
        );
        let root = Commit::parse("tree 1\nauthor parent 2\nparent 3\n").unwrap();
        assert!(root.parents.is_empty());
        assert_eq!(Commit::parse("author a\ntree 1\n"), None);
        assert_eq!(Commit::parse(""), None);
    }
}
