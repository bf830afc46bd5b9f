//! `cargo xtask cross`: builds and lints the agent for the systems that a worker may have, and `kubectl prbuild`
//! for those that a static program is handed out for. What is built here and not run on this machine is
//! listed in `docs/workers.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use tests::parts::{self, Cache, Loudness, Part};

use crate::Result;
use crate::cargo::{Cargo, workspace};

/// Arguments of `cargo xtask cross`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only lint, which is quicker than to build
    #[arg(long)]
    check: bool,
    /// Lint and build the agent alone, without optimization: what a change must pass. Sizes are not looked at
    #[arg(long, conflicts_with = "check")]
    quick: bool,
}

impl Args {
    /// Everything that is handed out.
    pub fn all() -> Self {
        Self {
            check: false,
            quick: false,
        }
    }
}

/// What is built.
struct Program {
    /// The package that it is in. Each is compiled by itself, or one would get the other's features.
    package: &'static str,
    /// Its file, without the `.exe` of Windows.
    file: &'static str,
    /// Megabytes that it may have.
    limit: u64,
}

const AGENT: Program = Program {
    package: "agent",
    file: "prbuild-agent",
    limit: 10,
};

const PLUGIN: Program = Program {
    package: "plugin",
    file: "kubectl-prbuild",
    limit: 25,
};

/// One system that is built for.
struct Target {
    /// As rustc calls it.
    name: &'static str,
    /// The compiler of the C code, and the linker; none: that of this machine.
    compiler: Option<&'static Part>,
    /// What runs there.
    programs: &'static [Program],
    /// Variables for cargo and the `cc` crate.
    variables: &'static [(&'static str, &'static str)],
}

static TARGETS: [Target; 3] = [
    Target {
        name: "x86_64-unknown-linux-musl",
        compiler: None,
        programs: &[AGENT, PLUGIN],
        variables: &[],
    },
    Target {
        name: "aarch64-unknown-linux-musl",
        compiler: Some(&parts::GCC_AARCH64),
        programs: &[AGENT, PLUGIN],
        variables: &[
            ("CC_aarch64_unknown_linux_musl", "aarch64-linux-gnu-gcc"),
            (
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER",
                "aarch64-linux-gnu-gcc",
            ),
        ],
    },
    Target {
        name: "x86_64-pc-windows-gnu",
        compiler: Some(&parts::GCC_WINDOWS),
        programs: &[AGENT],
        variables: &[],
    },
];

/// Lints for each target, and builds for it.
pub fn run(args: Args) -> Result {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        for target in &TARGETS {
            prepare(target)?;
            println!("== {}", target.name);
            for program in target.programs.iter().filter(|one| is_wanted(&args, one)) {
                let of_program = ["--package", program.package, "--target", target.name];
                let (lint, strictly) = (["clippy", "--quiet"], ["--", "-D", "warnings"]);
                cargo(target, &[&lint[..], &of_program, &strictly].concat()).await?;
                if args.check {
                    continue;
                }
                let profile = if args.quick { "dev" } else { "release" };
                let build = ["build", "--quiet", "--profile", profile];
                cargo(target, &[&build[..], &of_program].concat()).await?;
                if !args.quick {
                    measure(target, program)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// With every change it is the agent, which runs on other people's machines: the C code of the plugin takes minutes.
fn is_wanted(args: &Args, program: &Program) -> bool {
    !args.quick || program.package == AGENT.package
}

/// Obtains the target's standard library and its compiler.
fn prepare(target: &Target) -> Result<()> {
    if !has_library(target)? {
        add_library(target)?;
    }
    if let Some(compiler) = target.compiler {
        parts::obtain(compiler, &Cache::of_user(), Loudness::Normal)?;
    }
    Ok(())
}

/// Whether rustc has the target's standard library. Then nothing is asked of the network, nor of rustup, which not
/// everybody has.
fn has_library(target: &Target) -> Result<bool> {
    let mut rustc = Command::new("rustc");
    let asked = rustc
        .args(["--print", "target-libdir", "--target", target.name])
        .current_dir(workspace())
        .stdin(Stdio::null())
        .output()?;
    let dir = PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim());
    Ok(asked.status.success() && dir.is_dir())
}

fn add_library(target: &Target) -> Result<()> {
    let name = target.name;
    let mut rustup = Command::new("rustup");
    let added = rustup
        .args(["target", "add", name])
        .current_dir(workspace())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            format!("rustc has no standard library for {name}, and rustup does not start: {error}")
        })?;
    if added.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&added.stderr);
    Err(format!(
        "rustup did not add the standard library for {name}: {}",
        said.trim()
    )
    .into())
}

async fn cargo(target: &Target, arguments: &[&str]) -> Result<()> {
    let paths = target
        .variables
        .iter()
        .map(|(name, value)| (*name, Path::new(*value)));
    let variables: Vec<(&str, &Path)> = paths.collect();
    let status = Cargo::start(arguments, &variables, false)?
        .child
        .wait()
        .await?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("cargo {} failed", arguments.join(" ")).into()),
    }
}

/// Where a program lies when it is built.
fn file(target: &Target, program: &Program) -> PathBuf {
    let root =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), Into::into);
    let ending = match target.name.contains("windows") {
        true => ".exe",
        false => "",
    };
    let name = format!("{}{ending}", program.file);
    root.join(target.name).join("release").join(name)
}

/// Every file that `cargo xtask cross` makes.
pub fn files() -> Vec<PathBuf> {
    let of_target = |target: &'static Target| {
        let programs = target.programs.iter();
        programs.map(move |program| file(target, program))
    };
    TARGETS.iter().flat_map(of_target).collect()
}

/// Says how large the program is, and refuses one that is too large.
fn measure(target: &Target, program: &Program) -> Result<()> {
    let file = file(target, program);
    let size = file.metadata()?.len();
    println!("   {} is {:.1} MB", program.file, size as f64 / 1e6);
    match size <= program.limit * 1_000_000 {
        true => Ok(()),
        false => Err(format!("{} is larger than {} MB", file.display(), program.limit).into()),
    }
}

#[cfg(test)]
mod tests_of_files {
    use super::*;

    #[test]
    fn what_a_change_must_pass_is_the_agent_for_every_system() {
        let (check, quick) = (false, true);
        let args = Args { check, quick };
        for target in &TARGETS {
            let wanted = target.programs.iter().filter(|one| is_wanted(&args, one));
            let wanted: Vec<&str> = wanted.map(|one| one.package).collect();
            assert_eq!(wanted, ["agent"], "{}", target.name);
        }
        assert!(is_wanted(&Args::all(), &PLUGIN));
    }

    #[test]
    fn the_agent_and_the_plugin_are_handed_out_for_both_kinds_of_machine() {
        let files: Vec<String> = files()
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        for file in [
            "x86_64-unknown-linux-musl/release/prbuild-agent",
            "x86_64-unknown-linux-musl/release/kubectl-prbuild",
            "aarch64-unknown-linux-musl/release/prbuild-agent",
            "aarch64-unknown-linux-musl/release/kubectl-prbuild",
            "x86_64-pc-windows-gnu/release/prbuild-agent.exe",
        ] {
            assert!(files.iter().any(|found| found.ends_with(file)), "{files:?}");
        }
    }
}
