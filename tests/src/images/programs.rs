//! Our programs as single files that run in an image with nothing else in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::parts::{PartError, make_run};

/// What machines a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64 bits of Intel and AMD.
    Amd64,
    /// 64 bits of Arm.
    Arm64,
}

impl Architecture {
    /// That of this machine.
    pub fn of_machine() -> Self {
        match std::env::consts::ARCH {
            "aarch64" => Self::Arm64,
            _ => Self::Amd64,
        }
    }

    /// As images name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// As Rust names it, with a C library that is linked in.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// The compiler for the C in some crates.
    fn compiler(self) -> &'static str {
        match self {
            machine if machine == Self::of_machine() => "gcc",
            Self::Amd64 => "x86_64-linux-gnu-gcc",
            Self::Arm64 => "aarch64-linux-gnu-gcc",
        }
    }
}

/// How carefully programs are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// For the demo and the tests: soon there.
    Image,
    /// For clusters that people work with.
    Release,
}

impl Profile {
    /// As Cargo.toml names it; its directory has the same name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Release => "release",
        }
    }
}

/// The packages whose programs go into images. They are compiled together, so that what they share is
/// compiled once.
const PACKAGES: [&str; 4] = ["webhook", "operator", "gateway", "agent"];

/// Compiles every program for images. Returns the directory that they lie in.
pub fn build_programs(
    workspace: &Path,
    profile: Profile,
    architecture: Architecture,
) -> Result<PathBuf, PartError> {
    let target = target_directory(workspace);
    compile(workspace, &target, &PACKAGES, profile, architecture)?;
    Ok(directory(workspace, profile, architecture))
}

/// Compiles the programs of packages into a directory of cargo's.
///
/// Paths of this machine are replaced, so that the same commit makes the same bytes in any directory.
pub(super) fn compile(
    workspace: &Path,
    target: &Path,
    packages: &[&str],
    profile: Profile,
    architecture: Architecture,
) -> Result<(), PartError> {
    let triple = architecture.target();
    let added = Command::new("rustup")
        .args(["target", "add", triple])
        .output();
    // Without rustup the distribution's own target is tried, and its absence is cargo's error.
    let _ = added;
    let cargo = build(workspace, target, packages, profile, architecture);
    let what = format!("cannot compile the programs for {}", architecture.name());
    let remedy = format!(
        "rustup target add {triple}, and install {}",
        architecture.compiler()
    );
    make_run(cargo, &what, &remedy).map(drop)
}

/// How cargo is called. Flags of whoever calls us are not for programs that are handed out: they would be made for
/// this processor, or have paths of this machine in them.
fn build(
    workspace: &Path,
    target: &Path,
    packages: &[&str],
    profile: Profile,
    architecture: Architecture,
) -> Command {
    let triple = architecture.target();
    let mut cargo = crate::cargo::cargo();
    cargo.args(["build", "--quiet", "--bins", "--profile", profile.name()]);
    cargo
        .args(["--target", triple])
        .arg("--target-dir")
        .arg(target);
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    cargo.current_dir(workspace);
    let places = places(workspace, target);
    let variable = triple.replace('-', "_");
    cargo.env(format!("CC_{variable}"), architecture.compiler());
    cargo.env(format!("CFLAGS_{variable}"), c_flags(&places));
    cargo.env("CC_SHELL_ESCAPED_FLAGS", "1");
    // Of all variables with flags this one counts, and the others are not read.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&places));
    if architecture != Architecture::of_machine() {
        let linker = format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase());
        cargo.env(linker, architecture.compiler());
    }
    cargo
}

/// A directory of this machine, and what stands for it in programs.
type Place = (PathBuf, &'static str);

/// Flags for rustc, with the character between them that is in no path.
fn rust_flags(places: &[Place]) -> String {
    let flags = places
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    flags.collect::<Vec<String>>().join("\u{1f}")
}

/// Flags for the compiler of C, as a shell would read them: a path may have spaces.
fn c_flags(places: &[Place]) -> String {
    let flags = places.iter().map(|(from, to)| {
        let from = from.display().to_string().replace('\'', r"'\''");
        format!(" '-ffile-prefix-map={from}={to}'")
    });
    format!("-U_FORTIFY_SOURCE{}", flags.collect::<String>())
}

/// Where compiled programs lie.
pub(super) fn directory(workspace: &Path, profile: Profile, architecture: Architecture) -> PathBuf {
    target_directory(workspace)
        .join(architecture.target())
        .join(profile.name())
}

pub(super) fn target_directory(workspace: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from)
}

/// Directories of this machine that compilers write into programs, and what stands for them.
fn places(workspace: &Path, target: &Path) -> [Place; 3] {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    let cargo = std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from);
    [
        (workspace.to_owned(), "/prbuild"),
        (target.to_owned(), "/target"),
        (cargo, "/cargo"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cargo is told in the variables of this name.
    fn told(architecture: Architecture, name: &str) -> Option<String> {
        let checkout = Path::new("/home/ada/my code");
        let target = checkout.join("target");
        let cargo = build(
            checkout,
            &target,
            &["agent"],
            Profile::Release,
            architecture,
        );
        let mut variables = cargo.get_envs().filter(|(found, _)| *found == name);
        let value = variables.next()?.1?;
        Some(value.to_string_lossy().into_owned())
    }

    #[test]
    fn a_path_with_spaces_stays_one_flag() {
        let machine = Architecture::of_machine();
        let rust = told(machine, "CARGO_ENCODED_RUSTFLAGS").unwrap();
        let first = rust.split('\u{1f}').next();
        assert_eq!(
            first,
            Some("--remap-path-prefix=/home/ada/my code=/prbuild")
        );
        let c = told(
            machine,
            &format!("CFLAGS_{}", machine.target().replace('-', "_")),
        )
        .unwrap();
        assert!(
            c.starts_with("-U_FORTIFY_SOURCE '-ffile-prefix-map=/home/ada/my code=/prbuild' '"),
            "{c}"
        );
        let quoted = c_flags(&[(PathBuf::from("/ada's"), "/x")]);
        assert!(
            quoted.ends_with(r"'-ffile-prefix-map=/ada'\''s=/x'"),
            "{quoted}"
        );
    }

    #[test]
    fn programs_for_another_machine_are_linked_for_it() {
        for (architecture, linker) in [
            (
                Architecture::Amd64,
                "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER",
            ),
            (
                Architecture::Arm64,
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER",
            ),
        ] {
            let wanted = match architecture == Architecture::of_machine() {
                true => None,
                false => Some(architecture.compiler().to_owned()),
            };
            assert_eq!(told(architecture, linker), wanted);
        }
    }
}
