//! `prbuild-gateway`: see the crate's documentation.

fn main() {}
