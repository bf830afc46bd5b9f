//! `cargo xtask cross`: builds and lints the agent for the systems that a worker may have. What is built
//! here and not run on this machine is listed in `docs/workers.md`.

use std::path::Path;
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
}

/// One system that the agent is built for.
struct Target {
    /// As rustc calls it.
    name: &'static str,
    /// The compiler of its C code, and the linker; none: that of this machine.
    compiler: Option<&'static Part>,
    /// The program's file.
    file: &'static str,
    /// Variables for cargo and the `cc` crate.
    variables: &'static [(&'static str, &'static str)],
}

const TARGETS: [Target; 3] = [
    Target {
        name: "x86_64-unknown-linux-musl",
        compiler: None,
        file: "prbuild-agent",
        variables: &[],
    },
    Target {
        name: "aarch64-unknown-linux-musl",
        compiler: Some(&parts::GCC_AARCH64),
        file: "prbuild-agent",
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
        file: "prbuild-agent.exe",
        variables: &[],
    },
];

/// Bytes that the agent may have.
const SIZE_LIMIT: u64 = 10 << 20;

/// Lints for each target, and builds for it.
pub fn run(args: Args) -> Result {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        for target in &TARGETS {
            prepare(target)?;
            println!("== {}", target.name);
            let lint = [
                "clippy",
                "--package",
                "agent",
                "--quiet",
                "--target",
                target.name,
                "--",
                "-D",
                "warnings",
            ];
            cargo(target, &lint).await?;
            if !args.check {
                let build = [
                    "build",
                    "--package",
                    "agent",
                    "--release",
                    "--quiet",
                    "--target",
                    target.name,
                ];
                cargo(target, &build).await?;
                measure(target)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Obtains the target's standard library and its compiler.
fn prepare(target: &Target) -> Result<()> {
    let mut rustup = Command::new("rustup");
    let added = rustup
        .args(["target", "add", target.name])
        .stderr(Stdio::null())
        .status()?;
    if !added.success() {
        return Err(format!("rustup has no target {}", target.name).into());
    }
    if let Some(compiler) = target.compiler {
        parts::obtain(compiler, &Cache::of_user(), Loudness::Normal)?;
    }
    Ok(())
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

/// Says how large the program is, and refuses one that is too large.
fn measure(target: &Target) -> Result<()> {
    let root =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), Into::into);
    let file = root.join(target.name).join("release").join(target.file);
    let size = file.metadata()?.len();
    println!(
        "   {} is {:.1} MiB",
        target.file,
        size as f64 / f64::from(1 << 20)
    );
    match size <= SIZE_LIMIT {
        true => Ok(()),
        false => Err(format!("{} is larger than 10 MiB", file.display()).into()),
    }
}
