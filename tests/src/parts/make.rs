//! Making a part that is nowhere: with Go, apt or cargo. The only code here that uses the network.
//!
//! What is made is renamed into the cache when it is whole. An interrupted build leaves Go's own
//! build cache behind, so the next run continues where it stopped.

mod module;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::machine::{Machine, bring, obstacle};
use super::table::{GoCommand, Part, REQUIRED, Recipe};
use super::{Cache, Loudness, PartError, Progress, duration, find};

/// Makes a part and returns its path.
pub(super) fn make(part: &Part, cache: &Cache, loudness: Loudness) -> Result<PathBuf, PartError> {
    let what = format!("cannot get {} {}", part.name, part.version);
    if let Some(obstacle) = obstacle(part, &Machine::look()) {
        return Err(PartError::new(what, obstacle.missing, obstacle.remedy));
    }
    let waiting = || eprintln!("{}: waiting for another run that makes parts", part.name);
    let _lock = cache
        .lock("parts", waiting)
        .map_err(|error| PartError::io(cache.root(), &error))?;
    if let Some(found) = find(part, cache) {
        return Ok(found.path);
    }
    let expected = cache
        .last_time(part.name)
        .unwrap_or(Duration::from_secs(part.expected_seconds));
    let verb = if matches!(part.recipe, Recipe::Apt { .. }) {
        "installing"
    } else {
        "building"
    };
    let progress = Progress::start(
        &format!("{verb} {} {}", part.name, part.version),
        Some(expected),
        loudness,
    );
    match part.recipe {
        Recipe::GoModule(command) => module::build(part, command, cache)?,
        Recipe::GoInstall(command) => go_install(part, command, cache)?,
        Recipe::Apt { package, .. } => apt_install(part, package, &what)?,
        Recipe::Cargo => cargo_install(part, cache)?,
    }
    cache.remember_time(part.name, progress.finish("done"));
    find(part, cache).map(|found| found.path).ok_or_else(|| {
        let because = format!("what was made is not {} of version {}", part.name, part.fit);
        PartError::new(what, because, "remove the cache directory and start again")
    })
}

/// How long making a part took last time, or is expected to take, as a person reads it.
pub fn expected(part: &Part, cache: &Cache) -> String {
    duration(
        cache
            .last_time(part.name)
            .unwrap_or(Duration::from_secs(part.expected_seconds)),
    )
}

/// What to do where Go gets nothing.
fn network_of_go() -> String {
    let (module, version) = REQUIRED[0];
    format!("check that Go reaches its module proxy: go list -m {module}@v{version}")
}

fn go_install(part: &Part, command: GoCommand, cache: &Cache) -> Result<(), PartError> {
    let dir = cache
        .work(part.name)
        .map_err(|error| PartError::io(cache.root(), &error))?;
    let mut install = go(&dir);
    install
        .env("GOBIN", &dir)
        .args(["install", "-trimpath", "-tags", command.tags, "-ldflags"]);
    install.arg(format!("-s -w{}", command.version_flag(part.version)));
    install.arg(format!("{}@v{}", command.package, part.version));
    run(
        install,
        &format!("cannot build {} {}", part.name, part.version),
        &network_of_go(),
    )?;
    keep(&dir.join(part.name), part, cache)
}

fn cargo_install(part: &Part, cache: &Cache) -> Result<(), PartError> {
    let dir = cache
        .work(part.name)
        .map_err(|error| PartError::io(cache.root(), &error))?;
    let mut install = Command::new("cargo");
    install
        .args(["install", "--locked", "--quiet", "--root"])
        .arg(&dir);
    install.arg("--target-dir").arg(dir.join("target"));
    install.arg(format!("{}@{}", part.name, part.version));
    let remedy = "check that cargo reaches its registry";
    run(
        install,
        &format!("cannot build {} {}", part.name, part.version),
        remedy,
    )?;
    keep(&dir.join("bin").join(part.name), part, cache)?;
    // Only the program is needed again.
    let _ = fs::remove_dir_all(&dir);
    Ok(())
}

/// What to do where apt does not get a package: another distribution may have none of this name.
fn network_of_apt(part: &Part, package: &str) -> String {
    format!(
        "check the network and run `apt-get update && apt-get install {package}`, or {}",
        bring(part)
    )
}

fn apt_install(part: &Part, package: &str, what: &str) -> Result<(), PartError> {
    let install = |package: &str| {
        let mut install = Command::new("apt-get");
        install.args(["install", "-y", "-q", "--no-install-recommends"]);
        install.args(package.split(' '));
        install.env("DEBIAN_FRONTEND", "noninteractive");
        install
    };
    let remedy = network_of_apt(part, package);
    if run(install(package), what, &remedy).is_ok() {
        return Ok(());
    }
    // What an interrupted install left half done keeps apt from everything else.
    let mut configure = Command::new("dpkg");
    configure.args(["--configure", "-a"]);
    configure.env("DEBIAN_FRONTEND", "noninteractive");
    let _ = run(configure, what, &remedy);
    // The lists of packages may be old, or never fetched.
    let mut update = Command::new("apt-get");
    update.args(["update", "-q"]);
    run(update, what, &remedy)?;
    run(install(package), what, &remedy).map(drop)
}

fn go(dir: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(dir)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off");
    go
}

/// Moves a program that is whole into the cache, in one step.
fn keep(built: &Path, part: &Part, cache: &Cache) -> Result<(), PartError> {
    let entry = cache.entry(part.name, part.version);
    let io = |error: std::io::Error| PartError::io(&entry, &error);
    fs::create_dir_all(&entry).map_err(io)?;
    fs::rename(built, entry.join(part.name)).map_err(io)
}

/// Runs a command to its end and returns what it printed; its last lines are in the error.
pub(crate) fn run(mut command: Command, what: &str, remedy: &str) -> Result<Vec<u8>, PartError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        PartError::new(what, format!("{program} does not start: {error}"), remedy)
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let printed = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    Err(PartError::new(
        what,
        format!("{program} failed: {}", last_lines(printed)),
        remedy,
    ))
}

/// Unpacks a tar file, compressed or not, into a directory.
pub(crate) fn unpack(tarball: &Path, into: &Path) -> Result<(), PartError> {
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(tarball).arg("-C").arg(into);
    run(
        tar,
        &format!("cannot unpack {}", tarball.display()),
        "remove the cache directory and start again",
    )
    .map(drop)
}

/// The last lines of what a command printed.
pub(crate) fn last_lines(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(6)..].join("\n    ")
}

#[cfg(test)]
mod tests {
    use super::super::table::CHROMIUM;
    use super::*;

    #[test]
    fn a_package_that_apt_does_not_have_can_be_brought_from_elsewhere() {
        let remedy = network_of_apt(&CHROMIUM, "chromium");
        assert!(
            remedy.ends_with("or put chromium 120.0.0 or later on PATH"),
            "{remedy}"
        );
    }

    #[test]
    fn an_error_shows_the_last_lines_that_say_something() {
        let printed = (1..20).map(|n| format!("line {n}\n\n")).collect::<String>();
        assert_eq!(last_lines(printed.as_bytes()).lines().count(), 6);
        assert!(last_lines(printed.as_bytes()).ends_with("line 19"));
    }
}
