//! git of this machine, for the image that checks code out: its programs for HTTP, and their libraries.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::component::Root;
use crate::parts::{PartError, make_run, on_path};

/// What git needs of itself to fetch over HTTP.
const GIT_PROGRAMS: [&str; 3] = ["git", "git-remote-http", "git-remote-https"];

/// A package of the distribution, of which something is in an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
}

/// Copies git, its helpers for HTTP and every library that they load. Returns the packages that these
/// belong to; none where the distribution is no relative of Debian.
pub(super) fn copy_git(root: &mut Root<'_>) -> Result<Vec<Package>, PartError> {
    let git = on_path("git").ok_or_else(|| {
        PartError::new(
            "cannot make the checkout image",
            "there is no git",
            "install git",
        )
    })?;
    let mut exec_path = Command::new(&git);
    exec_path.arg("--exec-path");
    let printed = make_run(exec_path, "cannot ask git for its programs", "install git")?;
    let exec_path = PathBuf::from(String::from_utf8_lossy(&printed).trim().to_owned());
    let mut programs: Vec<PathBuf> = GIT_PROGRAMS
        .iter()
        .map(|name| exec_path.join(name))
        .filter(|path| path.exists())
        .collect();
    // Resolved, so that it is the program and not a link into a directory that is not copied.
    programs.push(fs::canonicalize(&git).map_err(|error| PartError::io(&git, &error))?);
    let mut files = BTreeSet::new();
    for program in &programs {
        files.extend(libraries(program)?);
    }
    files.extend(programs);
    for file in &files {
        root.copy(file, &file.to_string_lossy(), 0o755)?;
    }
    Ok(packages(&files))
}

/// The libraries that a program loads, with the loader itself.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, PartError> {
    let mut ldd = Command::new("ldd");
    ldd.arg(program);
    let what = format!("cannot list the libraries of {}", program.display());
    let printed = make_run(ldd, &what, "install ldd (Debian: libc-bin)")?;
    Ok(parse_ldd(&String::from_utf8_lossy(&printed)))
}

/// Paths in what `ldd` prints: `libz.so.1 => /lib/libz.so.1 (0x…)` and `/lib64/ld-linux.so.2 (0x…)`.
fn parse_ldd(printed: &str) -> Vec<PathBuf> {
    let path_of = |line: &str| {
        let after = line.split_once("=>").map_or(line, |(_, after)| after);
        let path = after.split_whitespace().next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    printed.lines().filter_map(path_of).collect()
}

/// The packages that files belong to, as `dpkg-query` knows them.
fn packages(files: &BTreeSet<PathBuf>) -> Vec<Package> {
    let ask = |args: &[&str], about: &BTreeSet<String>| {
        let asked = Command::new("dpkg-query").args(args).args(about).output();
        asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // A package lists the path from before Debian merged `/lib` into `/usr/lib`, or the one from after.
    let paths = files.iter().flat_map(|file| {
        let file = file.to_string_lossy().into_owned();
        let other = match file.strip_prefix("/usr") {
            Some(short) => short.to_owned(),
            None => format!("/usr{file}"),
        };
        [file, other]
    });
    let found = ask(&["--search"], &paths.collect()).unwrap_or_default();
    let owners = found.lines().filter_map(|line| line.split_once(": "));
    let owners: BTreeSet<String> = owners.map(|(owner, _)| owner.to_owned()).collect();
    if owners.is_empty() {
        return Vec::new();
    }
    let format = "--showformat=${Package} ${Version}\n";
    let shown = ask(&["--show", format], &owners).unwrap_or_default();
    let packages = shown.lines().filter_map(|line| line.split_once(' '));
    let packages: BTreeSet<Package> = packages
        .map(|(name, version)| Package {
            name: name.to_owned(),
            version: version.to_owned(),
        })
        .collect();
    packages.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_read_from_what_ldd_prints() {
        let printed = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibz.so.1 => /lib/x/libz.so.1 (0x7f)\n\tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        let paths = parse_ldd(printed);
        assert_eq!(
            paths,
            ["/lib/x/libz.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from)
        );
    }
}
