//! Whether a program is the same bytes wherever its checkout lies: it is compiled in two directories, and compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::programs::{Architecture, Profile, compile, target_directory};
use crate::parts::{PartError, make_run};

/// Of different lengths and depths, so that a path that stays in a program changes it; one has a space in it.
const PLACES: [&str; 2] = ["one", "another/that is/deeper"];

/// The smallest of the packages whose programs go into images, and its program. It has C in it.
const AGENT: (&str, &str) = ("agent", "prbuild-agent");

/// Compiles the agent of two copies of a checkout. Returns the two programs where they differ.
///
/// # Errors
/// One of them cannot be copied or compiled.
pub fn agent_differs(
    workspace: &Path,
    profile: Profile,
    architecture: Architecture,
) -> Result<Option<[PathBuf; 2]>, PartError> {
    let files = tracked(workspace)?;
    let beside = target_directory(workspace).join("two-places");
    let copy = |to: &Path| {
        files.iter().try_for_each(|file| {
            let to = to.join(file);
            let made = to.parent().map_or(Ok(()), fs::create_dir_all);
            let copied = made.and_then(|()| fs::copy(workspace.join(file), &to));
            copied.map(drop).map_err(|error| PartError::io(&to, &error))
        })
    };
    differs(&beside, copy, AGENT, profile, architecture)
}

/// Compiles a program of two checkouts that are made in a directory, which is removed where both are the same.
///
/// # Errors
/// One of them cannot be made or compiled.
pub fn differs(
    dir: &Path,
    make: impl Fn(&Path) -> Result<(), PartError>,
    (package, program): (&str, &str),
    profile: Profile,
    architecture: Architecture,
) -> Result<Option<[PathBuf; 2]>, PartError> {
    let _ = fs::remove_dir_all(dir);
    let one = |place: &str| -> Result<(PathBuf, Vec<u8>), PartError> {
        let checkout = dir.join(place).join("checkout");
        let target = dir.join(place).join("made");
        fs::create_dir_all(&checkout).map_err(|error| PartError::io(&checkout, &error))?;
        make(&checkout)?;
        compile(&checkout, &target, &[package], profile, architecture)?;
        let made = target.join(architecture.target()).join(profile.name());
        let made = made.join(program);
        let bytes = fs::read(&made).map_err(|error| PartError::io(&made, &error))?;
        Ok((made, bytes))
    };
    let [(first, one_bytes), (second, other_bytes)] = [one(PLACES[0])?, one(PLACES[1])?];
    if one_bytes != other_bytes {
        return Ok(Some([first, second]));
    }
    fs::remove_dir_all(dir).map_err(|error| PartError::io(dir, &error))?;
    Ok(None)
}

/// The files of a checkout that git knows and that are there.
fn tracked(workspace: &Path) -> Result<Vec<PathBuf>, PartError> {
    let mut git = Command::new("git");
    git.arg("-C").arg(workspace).args(["ls-files", "-z"]);
    let listed = make_run(git, "cannot list the files of the checkout", "git status")?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let files = listed.split('\0').filter(|file| !file.is_empty());
    let files = files.map(PathBuf::from);
    Ok(files
        .filter(|file| workspace.join(file).is_file())
        .collect())
}
