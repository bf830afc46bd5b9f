//! `cargo xtask crds`.

use crate::Result;

/// Arguments of `cargo xtask crds`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Writes the custom resource definitions into the chart.
pub fn run(_: Args) -> Result {
    Err("`cargo xtask crds` is not part of this version".into())
}
