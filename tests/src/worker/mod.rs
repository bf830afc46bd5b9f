//! Agents of physical workers: one that is reduced to its words, and the real one.

mod driver;
mod log;
mod machine;

pub use driver::Driver;
pub use log::digest_of;
pub use machine::{Lent, Machine};
