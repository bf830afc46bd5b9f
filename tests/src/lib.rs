//! Real clusters, a stateful GitHub, and the stories that run on them.
//!
//! `cargo xtask` uses this library to obtain the parts of a cluster, to start clusters for tests,
//! the demo and the benchmarks, and to run the forge. The tests themselves are in `it/`.

pub mod cargo;
pub mod cluster;
pub mod forge;
pub mod images;
pub mod line;
pub mod parts;
pub mod secrets;
pub mod story;
pub mod worker;
