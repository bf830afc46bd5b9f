//! `cargo xtask forge`.

use crate::Result;

/// Arguments of `cargo xtask forge`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the fake GitHub alone.
pub fn run(_: Args) -> Result {
    Err("`cargo xtask forge` is not part of this version".into())
}
