//! What this machine has: tools with which parts are made, rights, space.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::PartError;
use super::table::{Part, Recipe};
use super::version::Version;

/// The oldest Go that compiles all parts of the table.
pub const GO: Version = Version::new(1, 26, 0);

/// The oldest git that merges without a checkout: `git merge-tree --write-tree` (its release notes of
/// 2.38.0).
pub const GIT: Version = Version::new(2, 38, 0);

/// What this machine can do about a missing part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Version of `go`, if there is one.
    pub go: Option<Version>,
    /// Version of `git`, if there is one.
    pub git: Option<Version>,
    /// Version of `rustc`, if there is one.
    pub rust: Option<Version>,
    /// Version of `cc`, if there is one.
    pub cc: Option<Version>,
    /// `apt-get` and `dpkg-deb` are there.
    pub apt: bool,
    /// We are root: packages can be installed, containers run.
    pub root: bool,
}

impl Machine {
    /// Looks at this machine.
    pub fn look() -> Self {
        Self {
            go: version_of(Path::new("go"), &["version"]),
            git: version_of(Path::new("git"), &["--version"]),
            rust: version_of(Path::new("rustc"), &["--version"]),
            cc: version_of(Path::new("cc"), &["--version"]),
            apt: on_path("apt-get").is_some() && on_path("dpkg-deb").is_some(),
            root: rustix::process::geteuid().is_root(),
        }
    }
}

/// Why a part cannot be made on a machine, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What is missing.
    pub missing: String,
    /// What to do about it.
    pub remedy: String,
}

/// What always helps: a part that is there is not made.
pub(super) fn bring(part: &Part) -> String {
    format!("put {} {} on PATH", part.name, part.fit)
}

/// What keeps a machine from making a part, if something does. Pure.
pub fn obstacle(part: &Part, machine: &Machine) -> Option<Obstacle> {
    let obstacle = |missing: &str, remedy: String| {
        Some(Obstacle {
            missing: missing.to_owned(),
            remedy: format!("{remedy}, or {}", bring(part)),
        })
    };
    match part.recipe {
        Recipe::GoModule(_) | Recipe::GoInstall(_) => match machine.go {
            None => obstacle(
                "there is no Go",
                format!("install Go {GO} or later from go.dev/dl"),
            ),
            Some(go) if go < GO => obstacle(
                &format!("Go {go} is too old"),
                format!("install Go {GO} or later"),
            ),
            Some(_) => None,
        },
        Recipe::Apt { package, .. } if !machine.apt => obstacle(
            "there is no apt-get",
            format!("install your system's package of {package}"),
        ),
        Recipe::Apt { package, .. } if !machine.root => obstacle(
            "we are not root",
            format!("run `sudo apt-get install {package}`"),
        ),
        Recipe::Apt { .. } | Recipe::Cargo => None,
    }
}

/// Whether the forge can make its repositories with the git of this machine.
pub fn check_git() -> Result<(), PartError> {
    git_fits(Machine::look().git)
}

fn git_fits(git: Option<Version>) -> Result<(), PartError> {
    let because = match git {
        Some(git) if git >= GIT => return Ok(()),
        Some(git) => format!("git {git} is too old to merge pull requests"),
        None => "there is no git".to_owned(),
    };
    let what = "the forge cannot make its repositories";
    Err(PartError::new(
        what,
        because,
        format!("install git {GIT} or later"),
    ))
}

/// The version that a program prints, or nothing if it does not start or prints none.
pub(super) fn version_of(program: &Path, args: &[&str]) -> Option<Version> {
    Version::find(&output_of(program, args)?.text)
}

/// What came of running a program.
pub(super) struct Printed {
    /// What it printed, on both streams.
    pub text: String,
    /// Whether it ended well.
    pub succeeded: bool,
}

/// Runs a program to its end; nothing if it does not start.
pub(super) fn output_of(program: &Path, args: &[&str]) -> Option<Printed> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push('\n');
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Some(Printed {
        text,
        succeeded: output.status.success(),
    })
}

/// Where a program of this name lies on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&path).map(|dir| dir.join(name));
    files.find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::super::table::{CARGO_DENY, CONTAINERD, KUBELET};
    use super::*;

    fn able() -> Machine {
        Machine {
            go: Some(GO),
            apt: true,
            root: true,
            ..Machine::default()
        }
    }

    #[test]
    fn a_machine_with_go_and_root_makes_everything() {
        assert!(
            [&KUBELET, &CONTAINERD, &CARGO_DENY]
                .iter()
                .all(|part| obstacle(part, &able()).is_none())
        );
    }

    #[test]
    fn a_git_that_cannot_merge_is_named_before_every_pull_request_conflicts() {
        assert!(git_fits(Some(GIT)).is_ok());
        let old = git_fits(Some(Version::new(2, 34, 1)))
            .unwrap_err()
            .to_string();
        assert!(old.contains("git 2.34.1 is too old"), "{old}");
        assert!(old.contains("install git 2.38"), "{old}");
        let none = git_fits(None).unwrap_err().to_string();
        assert!(none.contains("there is no git"), "{none}");
    }

    #[test]
    fn what_is_missing_is_named_with_the_way_to_get_it() {
        let no_go = obstacle(&KUBELET, &Machine { go: None, ..able() }).unwrap();
        assert_eq!(no_go.missing, "there is no Go");
        assert!(
            no_go.remedy.ends_with("or put kubelet 1.35 on PATH"),
            "{}",
            no_go.remedy
        );

        let old = Machine {
            go: Some(Version::new(1, 19, 8)),
            ..able()
        };
        assert_eq!(
            obstacle(&KUBELET, &old).unwrap().missing,
            "Go 1.19.8 is too old"
        );

        let user = obstacle(
            &CONTAINERD,
            &Machine {
                root: false,
                ..able()
            },
        )
        .unwrap();
        assert!(
            user.remedy.contains("sudo apt-get install containerd"),
            "{}",
            user.remedy
        );

        let fedora = obstacle(
            &CONTAINERD,
            &Machine {
                apt: false,
                ..able()
            },
        )
        .unwrap();
        assert_eq!(fedora.missing, "there is no apt-get");
    }
}
