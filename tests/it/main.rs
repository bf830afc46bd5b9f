//! The stories: PrBuild, and what its tests stand on, told as tests on real parts.

mod cluster;
mod forge;
