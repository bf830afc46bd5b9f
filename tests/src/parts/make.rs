//! Making a part that is nowhere: with Go, apt or cargo. The only code here that uses the network.
//!
//! What is made is renamed into the cache when it is whole. An interrupted build leaves Go's own
//! build cache behind, so the next run continues where it stopped.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::machine::{Machine, bring, obstacle};
use super::table::{ALL, ETCD, KUBERNETES, Part, Recipe};
use super::{Cache, Loudness, PartError, Progress, duration, find};

const GITHUB_OF_LIBRARIES: &str = "k8s.io/kubernetes";

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
        Recipe::KubernetesModule { package } => kubernetes_module(part, package, cache)?,
        Recipe::GoInstall {
            package,
            version_variable,
            tags,
        } => {
            go_install(part, [package, version_variable, tags], cache)?;
        }
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

/// `go install k8s.io/kubernetes/cmd/...` is refused, because its go.mod replaces every library of
/// its own with a local path. A main module of ours that replaces them with the published ones works.
fn kubernetes_module(part: &Part, package: &str, cache: &Cache) -> Result<(), PartError> {
    let module = format!("kubernetes-{KUBERNETES}-etcd-{ETCD}");
    let dir = cache
        .work(&module)
        .map_err(|error| PartError::io(cache.root(), &error))?;
    // The table may have grown since the module was written.
    let imports = fs::read_to_string(dir.join("tools.go")).unwrap_or_default();
    if !dir.join("ready").is_file() || imports != tools() {
        write_module(&dir)?;
    }
    let variable = "k8s.io/component-base/version";
    let ldflags = if package.starts_with("k8s.io/") {
        let (major, minor) = match part.fit {
            super::Fit::Minor(major, minor) | super::Fit::MinorOrNeighbour(major, minor) => {
                (major, minor)
            }
            _ => (0, 0),
        };
        format!(
            "-s -w -X {variable}.gitVersion=v{KUBERNETES} -X {variable}.gitMajor={major} -X {variable}.gitMinor={minor}"
        )
    } else {
        "-s -w".to_owned()
    };
    let built = dir.join(part.name);
    let mut build = go(&dir);
    build
        .args(["build", "-trimpath", "-ldflags", &ldflags, "-o"])
        .arg(&built)
        .arg(package);
    run(
        build,
        &format!("cannot build {} {}", part.name, part.version),
        &network_of_go(),
    )?;
    keep(&built, part, cache)
}

/// What to do where Go gets nothing.
fn network_of_go() -> String {
    format!(
        "check that Go reaches its module proxy: go list -m {GITHUB_OF_LIBRARIES}@v{KUBERNETES}"
    )
}

/// Writes go.mod, go.sum and the file that makes `go mod tidy` keep what the commands need.
fn write_module(dir: &Path) -> Result<(), PartError> {
    let io = |error: std::io::Error| PartError::io(dir, &error);
    let what = format!("cannot prepare the build of Kubernetes {KUBERNETES}");
    // It is not, until the end: who is interrupted here begins anew.
    let _ = fs::remove_file(dir.join("ready"));
    let mut text = format!(
        "module parts\ngo 1.25.0\nrequire k8s.io/kubernetes v{KUBERNETES}\nrequire go.etcd.io/etcd/server/v3 v{ETCD}\n"
    );
    fs::write(dir.join("go.mod"), &text).map_err(io)?;
    let mut download = go(dir);
    download.args([
        "mod",
        "download",
        "-json",
        &format!("{GITHUB_OF_LIBRARIES}@v{KUBERNETES}"),
    ]);
    let json = run(download, &what, &network_of_go())?;
    let downloaded: serde_json::Value = serde_json::from_slice(&json)
        .map_err(|error| PartError::new(&what, error.to_string(), network_of_go()))?;
    let theirs =
        fs::read_to_string(downloaded["GoMod"].as_str().unwrap_or_default()).map_err(io)?;
    text.push_str(&replacements(&theirs, &KUBERNETES.replacen("1.", "0.", 1)));
    fs::write(dir.join("go.mod"), text).map_err(io)?;
    fs::write(dir.join("tools.go"), tools()).map_err(io)?;
    let mut tidy = go(dir);
    tidy.args(["mod", "tidy"]);
    run(tidy, &what, &network_of_go())?;
    fs::write(dir.join("ready"), "").map_err(io)
}

/// One `replace` with a published version for each library that go.mod replaces by a local path.
fn replacements(go_mod: &str, version: &str) -> String {
    let mut lines = String::new();
    for line in go_mod
        .lines()
        .filter(|line| line.contains("=> ./staging/src/"))
    {
        if let Some(library) = line.trim_start_matches("replace").split_whitespace().next() {
            let _ = writeln!(lines, "replace {library} => {library} v{version}");
        }
    }
    lines
}

/// A Go file that imports every command of the table and is never compiled.
fn tools() -> String {
    let mut text = String::from("//go:build tools\n\npackage parts\n\nimport (\n");
    for part in ALL {
        if let Recipe::KubernetesModule { package } = part.recipe {
            let _ = writeln!(text, "\t_ \"{package}\"");
        }
    }
    text.push_str(")\n");
    text
}

fn go_install(
    part: &Part,
    [package, variable, tags]: [&str; 3],
    cache: &Cache,
) -> Result<(), PartError> {
    let dir = cache
        .work(part.name)
        .map_err(|error| PartError::io(cache.root(), &error))?;
    let mut install = go(&dir);
    install
        .env("GOBIN", &dir)
        .args(["install", "-trimpath", "-tags", tags, "-ldflags"]);
    install.arg(format!("-s -w -X {variable}=v{}", part.version));
    install.arg(format!("{package}@v{}", part.version));
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
    fn only_libraries_with_a_local_path_are_replaced() {
        let theirs = "require (\n\tk8s.io/api v0.0.0\n)\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tgithub.com/x/y => github.com/z/y v1.0.0\n)\n";
        assert_eq!(
            replacements(theirs, "0.35.4"),
            "replace k8s.io/api => k8s.io/api v0.35.4\n"
        );
    }

    #[test]
    fn every_command_of_the_table_is_imported_by_the_module() {
        let tools = tools();
        assert!(tools.contains("\t_ \"k8s.io/kubernetes/cmd/kubelet\"\n"));
        assert!(tools.contains("\t_ \"go.etcd.io/etcd/server/v3\"\n"));
        assert!(!tools.contains("helm"));
    }

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
