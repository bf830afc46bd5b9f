//! `cargo xtask bench`.

use crate::Result;

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Measures.
pub fn run(_: Args) -> Result {
    Err("`cargo xtask bench` is not part of this version".into())
}
