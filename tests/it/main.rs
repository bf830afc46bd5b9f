//! The stories: PrBuild, and what its tests stand on, told as tests on real parts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod agent;
mod browser;
mod cluster;
mod crds;
mod forge;
mod node;
mod operator;
mod report;
mod webhook;
