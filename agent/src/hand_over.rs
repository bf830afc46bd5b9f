//! A repository that the agent's user fetched and verified, taken over by the user of the build: the
//! build user reads neither the mirror nor anything else of the agent's.

use std::{fs, io, path::Path};

use protocol::{CheckoutReport, Source};

use crate::{
    checkout::{self, CheckoutError, FetchLimits},
    git::{Commit, Git},
    log::Log,
    mirror::{Mirror, MirrorError},
    os::Signals,
    places::Places,
    source::{self, Scheme},
};

/// Fetches the source's commit into the mirror of its repository, and lays a repository with this one
/// commit down in `dir`, for the build to take over. Never fails: what goes wrong is in the report.
pub fn give(
    source: &Source,
    mirrors: &Path,
    dir: &Path,
    limits: FetchLimits,
    signals: &mut Signals,
    log: &mut Log,
) -> CheckoutReport {
    checkout::begin(log);
    let done = give_commit(source, mirrors, dir, limits, signals, log);
    checkout::end(source, done, log)
}

fn give_commit(
    source: &Source,
    mirrors: &Path,
    dir: &Path,
    limits: FetchLimits,
    signals: &mut Signals,
    log: &mut Log,
) -> Result<Commit, CheckoutError> {
    let scheme = source::check(source)?;
    let places = Places::make(dir)?;
    let mut mirror = Mirror::open(mirrors, &places.home, source, scheme, signals)?;
    let given = mirror
        .fetch(limits, signals, log)
        .and_then(|()| hand_on(source, &mirror, &places, limits, signals));
    match given {
        Err(error) if mirror.may_be_broken(&error) => {
            log.line(&format!(
                "▲ the mirror is broken and is cloned anew: {error}"
            ));
            let mut mirror = Mirror::anew(mirrors, &places.home, source, scheme, signals)?;
            let places = Places::make(dir)?;
            mirror.fetch(limits, signals, log)?;
            hand_on(source, &mirror, &places, limits, signals)
        }
        given => given,
    }
}

/// Fetches from the mirror into the repository that is handed on, and verifies it there.
fn hand_on(
    source: &Source,
    mirror: &Mirror,
    places: &Places,
    limits: FetchLimits,
    signals: &mut Signals,
) -> Result<Commit, CheckoutError> {
    let git = Git::new(&places.workspace, &places.home, Scheme::File);
    checkout::init(&git, source, &[], signals)?;
    mirror.give_to(&git, limits, signals)?;
    checkout::verify(&git, source, signals)
}

/// Takes a repository over into the run's own directory, verifies it again and checks it out.
pub fn take(
    source: &Source,
    from: &Path,
    dir: &Path,
    limits: FetchLimits,
    signals: &mut Signals,
) -> Result<Commit, CheckoutError> {
    source::check(source)?;
    let places = Places::make(dir)?;
    let (from, to) = (from.join("src/.git"), places.workspace.join(".git"));
    copy(&from, &to).map_err(|source| MirrorError::HandOver {
        path: from.display().to_string(),
        source,
    })?;
    let git = Git::new(&places.workspace, &places.home, Scheme::File);
    let commit = checkout::verify(&git, source, signals)?;
    checkout::lay_out(&git, source, limits, signals)?;
    Ok(commit)
}

/// Copies directories and files; anything else has no place in a repository of ours.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "hand_over_tests.rs"]
mod tests;
