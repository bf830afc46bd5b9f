//! `cargo xtask part NAME`: for scripts that need one program, such as `cargo-deny`.

use std::process::ExitCode;

use tests::parts::{self, Cache, Loudness};

use crate::Result;

/// Arguments of `cargo xtask part`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the part, as `cargo xtask doctor` lists it
    name: String,
}

/// Obtains the part and prints its path.
pub fn run(args: Args) -> Result {
    let part = parts::ALL.into_iter().find(|part| part.name == args.name);
    let part =
        part.ok_or_else(|| format!("there is no part {}\n  try: cargo xtask doctor", args.name))?;
    println!(
        "{}",
        parts::obtain(part, &Cache::of_user(), Loudness::Normal)?.display()
    );
    Ok(ExitCode::SUCCESS)
}
