//! Fetches one commit by its SHA, proves that it is the one that was asked for, and checks it out.

mod fetch;

use std::{io, path::Path, time::Duration};

use protocol::{CheckoutReport, Source, StepResult, log::MarkKind};

use crate::{
    frames,
    git::{Commit, FetchFailure, Git, GitError, GitOutput},
    log::Log,
    mirror::MirrorError,
    os::{self, Signals},
    places::{PlaceError, Places},
    source::{self, SourceError},
    text::{one_line, short},
};

pub use fetch::FetchLimits;
pub(crate) use fetch::fetch;

/// Time for a git command that only works on the disk.
pub(crate) const LOCAL: Duration = Duration::from_secs(120);

/// Why there is no checkout.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The source is malformed; git has not seen it.
    #[error("the source of the run is not valid: {0}")]
    Source(#[from] SourceError),
    /// A directory of the run.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The mirror, or what is handed over from it.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The executor could not be handed on to the build.
    #[error("the executor could not be copied to `{path}`: {source}")]
    Install {
        /// Where to.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// git did not run, or the run was cancelled.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The system did not let us wait.
    #[error("the executor could not wait: {0}")]
    Wait(#[from] io::Error),
    /// The server does not have the commit.
    #[error("the commit {0} does not exist on GitHub any more; was the branch rewritten?")]
    Missing(String),
    /// The server shows no such repository.
    #[error("the repository `{0}` is not public any more, or has another name")]
    NoRepository(String),
    /// The server sent something unsound, or not what was asked for.
    #[error("git refused what the server sent: {0}")]
    Refused(String),
    /// No room.
    #[error("the disk of the run is too small for the checkout")]
    DiskFull,
    /// The network, or the server for now.
    #[error("the network failed: {tries} tries in {took} did not fetch the commit ({last})")]
    Network {
        /// Tries.
        tries: u32,
        /// Time they took.
        took: String,
        /// The last words of git.
        last: String,
    },
    /// The server answered with another commit.
    #[error("the server sent another commit than {0}")]
    OtherCommit(String),
    /// The commit is not the merge that was authorized.
    #[error("the commit {0} does not have the {1} that were authorized")]
    OtherContent(String, &'static str),
    /// A local git command failed.
    #[error("git could not {what}: {words}")]
    Local {
        /// What it should do.
        what: &'static str,
        /// Its last words.
        words: String,
    },
}

impl CheckoutError {
    /// Whether it would be the same on every machine.
    fn is_everywhere(&self) -> bool {
        matches!(
            self,
            Self::Source(_) | Self::Missing(_) | Self::NoRepository(_) | Self::OtherContent(..)
        )
    }
}

/// Makes the directories beneath `dir`, copies this program to `install`, and checks the source's
/// commit out into `dir/src`. Never fails: what goes wrong is in the report.
pub fn run(
    source: &Source,
    dir: &Path,
    install: Option<&Path>,
    limits: FetchLimits,
    signals: &mut Signals,
    log: &mut Log,
) -> CheckoutReport {
    begin(log);
    let done = check_out(source, dir, install, limits, signals, log);
    end(source, done, log)
}

/// Marks in the log that the checkout begins.
pub(crate) fn begin(log: &mut Log) {
    let name = "Checkout".to_owned();
    log.mark(MarkKind::Step { n: 0, name });
}

/// Says in the log how the checkout ended, and marks it; answers the report.
pub(crate) fn end(
    source: &Source,
    done: Result<Commit, CheckoutError>,
    log: &mut Log,
) -> CheckoutReport {
    let (report, result) = match done {
        Ok(commit) => {
            let parents: Vec<&str> = commit.parents.iter().map(|sha| short(sha)).collect();
            log.line(&format!(
                "checked out {}: tree {}, parents {}",
                source.commit,
                short(&commit.tree),
                parents.join(" and ")
            ));
            let report = CheckoutReport {
                commit: source.commit.clone(),
                parents: commit.parents,
                tree: commit.tree,
                error: None,
            };
            (report, StepResult::Passed)
        }
        Err(error) => {
            if error.is_everywhere() {
                log.say(&frames::nowhere());
            }
            (failed(&error.to_string(), log), StepResult::Failed)
        }
    };
    let (n, exit) = (0, None);
    log.mark(MarkKind::End { n, result, exit });
    report
}

/// A report of no checkout, also said in the log.
pub fn failed(error: &str, log: &mut Log) -> CheckoutReport {
    let error = one_line(error, 500);
    log.line(&format!("▲ no checkout: {error}"));
    CheckoutReport {
        commit: String::new(),
        parents: Vec::new(),
        tree: String::new(),
        error: Some(error),
    }
}

fn check_out(
    source: &Source,
    dir: &Path,
    install: Option<&Path>,
    limits: FetchLimits,
    signals: &mut Signals,
    log: &mut Log,
) -> Result<Commit, CheckoutError> {
    let scheme = source::check(source)?;
    let places = Places::make(dir)?;
    if let Some(path) = install {
        os::install_self(path).map_err(|source| CheckoutError::Install {
            path: path.display().to_string(),
            source,
        })?;
    }
    let git = Git::new(&places.workspace, &places.home, scheme);
    init(&git, source, &[], signals)?;
    fetch(&git, source, limits, signals, log)?;
    let commit = verify(&git, source, signals)?;
    lay_out(&git, source, limits, signals)?;
    Ok(commit)
}

/// Makes an empty repository that can hold the commit.
pub(crate) fn init(
    git: &Git,
    source: &Source,
    more: &[&str],
    signals: &mut Signals,
) -> Result<(), CheckoutError> {
    let format = match source.commit.len() {
        64 => "--object-format=sha256",
        _ => "--object-format=sha1",
    };
    let arguments = [&["init", "--quiet", "--template=", format], more].concat();
    let made = git.run(&arguments, LOCAL, signals)?;
    output_of(made, "make a repository").map(drop)
}

/// Checks the commit out into the directory of a repository that has it.
pub(crate) fn lay_out(
    git: &Git,
    source: &Source,
    limits: FetchLimits,
    signals: &mut Signals,
) -> Result<(), CheckoutError> {
    let done = git.run(
        &["checkout", "--quiet", "--detach", &source.commit, "--"],
        limits.on_disk(),
        signals,
    )?;
    output_of(done, "check the commit out")?;
    let head = git.run(&["rev-parse", "--verify", "HEAD"], LOCAL, signals)?;
    match output_of(head, "read the checkout")?.trim() == source.commit {
        true => Ok(()),
        false => Err(CheckoutError::OtherCommit(short(&source.commit).into())),
    }
}

/// Proves that what was fetched is what was authorized.
pub(crate) fn verify(
    git: &Git,
    source: &Source,
    signals: &mut Signals,
) -> Result<Commit, CheckoutError> {
    let fetched = git.run(
        &[
            "rev-parse",
            "--verify",
            "--end-of-options",
            "FETCH_HEAD^{commit}",
        ],
        LOCAL,
        signals,
    )?;
    let sha = short(&source.commit).to_owned();
    if output_of(fetched, "read what it fetched")?.trim() != source.commit {
        return Err(CheckoutError::OtherCommit(sha));
    }
    let object = git.run(&["cat-file", "commit", &source.commit], LOCAL, signals)?;
    let object = output_of(object, "read the commit")?;
    let Some(commit) = Commit::parse(&object) else {
        return Err(CheckoutError::Refused(
            "the commit object is malformed".into(),
        ));
    };
    if !source.parents.is_empty() && commit.parents != source.parents {
        return Err(CheckoutError::OtherContent(sha, "parents"));
    }
    if source
        .tree
        .as_ref()
        .is_some_and(|tree| *tree != commit.tree)
    {
        return Err(CheckoutError::OtherContent(sha, "files"));
    }
    Ok(commit)
}

/// The output of a local command that succeeded.
pub(crate) fn output_of(output: GitOutput, what: &'static str) -> Result<String, CheckoutError> {
    if output.ok {
        return Ok(output.text);
    }
    match FetchFailure::of(&output.text) {
        FetchFailure::DiskFull => Err(CheckoutError::DiskFull),
        _ => Err(CheckoutError::Local {
            what,
            words: last_words(&output),
        }),
    }
}

/// What git said last before it gave up.
fn last_words(output: &GitOutput) -> String {
    let last = output
        .text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty());
    match last {
        _ if output.late => "it took too long".into(),
        Some(line) => one_line(line, 200),
        None => "it said nothing".into(),
    }
}

#[cfg(test)]
#[path = "checkout_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "checkout_hostile_tests.rs"]
mod hostile_tests;
