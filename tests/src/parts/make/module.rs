//! One Go module of ours, in which commands of several projects are built: what they have in common, which is
//! most of each, is compiled once.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::super::machine::GO;
use super::super::table::{GoCommand, KUBERNETES, Part, REQUIRED};
use super::{Cache, PartError, go, keep, network_of_go, run};

/// CoreDNS with what a cluster here asks of it. Its own command has what clouds offer in it, which takes
/// minutes to compile. It lies in a directory of no part's name, for programs are built beside it.
const COREDNS: &str = r#"package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	coremain.Run()
}
"#;

/// Builds a command within the module.
pub(super) fn build(part: &Part, command: GoCommand, cache: &Cache) -> Result<(), PartError> {
    let dir = cache
        .work("go-module")
        .map_err(|error| PartError::io(cache.root(), &error))?;
    // The table may have changed since the module was written.
    let required = required();
    if fs::read_to_string(dir.join("required")).ok().as_ref() != Some(&required) {
        write(&dir, &required)?;
    }
    let names = dir.join("names");
    fs::create_dir_all(&names)
        .and_then(|()| fs::write(names.join("main.go"), COREDNS))
        .map_err(|error| PartError::io(&names, &error))?;
    let built = dir.join(part.name);
    let mut build = go(&dir);
    // Go completes the module's requirements and checksums by what it builds. `go mod tidy` would fetch what
    // all tests of all that is required need besides.
    build.args(["build", "-mod=mod", "-trimpath", "-tags", command.tags]);
    build
        .args(["-ldflags", &linked_in(part, command), "-o"])
        .arg(&built)
        .arg(command.package);
    run(
        build,
        &format!("cannot build {} {}", part.name, part.version),
        &network_of_go(),
    )?;
    keep(&built, part, cache)
}

/// What the linker is told. Without these a Kubernetes server calls itself v0.0.0, and helm does not install
/// there.
fn linked_in(part: &Part, command: GoCommand) -> String {
    let mut flags = format!("-s -w{}", command.version_flag(part.version));
    if command.package.starts_with("k8s.io/") {
        let mut numbers = part.version.split('.');
        for variable in ["gitMajor", "gitMinor"] {
            let number = numbers.next().unwrap_or_default();
            let _ = write!(
                flags,
                " -X k8s.io/component-base/version.{variable}={number}"
            );
        }
    }
    flags
}

/// The beginning of go.mod.
fn required() -> String {
    let mut text = format!("module parts\ngo {GO}\n");
    for (module, version) in REQUIRED {
        let _ = writeln!(text, "require {module} v{version}");
    }
    text
}

/// Writes the module. Kubernetes' own go.mod replaces each of its libraries with a local path, which is why
/// `go install k8s.io/kubernetes/cmd/...` is refused; a module that replaces them with the published ones works.
fn write(dir: &Path, required: &str) -> Result<(), PartError> {
    let io = |error: std::io::Error| PartError::io(dir, &error);
    let what = format!("cannot prepare the build of Kubernetes {KUBERNETES}");
    // Whoever is interrupted here begins anew.
    for old in ["required", "go.sum"] {
        let _ = fs::remove_file(dir.join(old));
    }
    fs::write(dir.join("go.mod"), required).map_err(io)?;
    let mut download = go(dir);
    download.args(["mod", "download", "-json"]);
    download.arg(format!("k8s.io/kubernetes@v{KUBERNETES}"));
    let json = run(download, &what, &network_of_go())?;
    let downloaded: serde_json::Value = serde_json::from_slice(&json)
        .map_err(|error| PartError::new(&what, error.to_string(), network_of_go()))?;
    let theirs =
        fs::read_to_string(downloaded["GoMod"].as_str().unwrap_or_default()).map_err(io)?;
    let replaced = replacements(&theirs, &KUBERNETES.replacen("1.", "0.", 1));
    fs::write(dir.join("go.mod"), format!("{required}{replaced}")).map_err(io)?;
    fs::write(dir.join("required"), required).map_err(io)
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

#[cfg(test)]
mod tests {
    use super::super::super::table::{ALL, KUBELET, PROMTOOL, Recipe};
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
    fn the_module_of_every_command_that_is_built_in_ours_is_required() {
        for part in ALL {
            let Recipe::GoModule(command) = part.recipe else {
                continue;
            };
            let has = |module: &str| command.package.starts_with(module);
            let ours = command.package.starts_with("./");
            assert!(
                ours || REQUIRED.iter().any(|(module, _)| has(module)),
                "{}",
                part.name
            );
        }
        assert!(required().contains("require helm.sh/helm/v4 v"));
    }

    #[test]
    fn a_command_is_told_its_version() {
        let told = |part: &Part| match part.recipe {
            Recipe::GoModule(command) => linked_in(part, command),
            _ => panic!("{} is not built in our module", part.name),
        };
        let version = "k8s.io/component-base/version";
        assert_eq!(
            told(&KUBELET),
            format!(
                "-s -w -X {version}.gitVersion=v{KUBERNETES} -X {version}.gitMajor=1 -X {version}.gitMinor=35"
            )
        );
        assert!(told(&PROMTOOL).ends_with(&format!("version.Version=v{}", PROMTOOL.version)));
    }
}
