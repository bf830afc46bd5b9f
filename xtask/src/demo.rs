//! `cargo xtask demo`.

use crate::Result;

/// Arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Shows PrBuild at work.
pub fn run(_: Args) -> Result {
    Err("`cargo xtask demo` is not part of this version".into())
}
