//! `cargo xtask test`.

use crate::Result;

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs all tests.
pub fn run(_: Args) -> Result {
    Err("soon".into())
}
