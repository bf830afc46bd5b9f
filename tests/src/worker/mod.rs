//! Agents of physical workers: one that is reduced to its words, and the real one.

mod driver;
mod machine;

pub use driver::Driver;
pub use machine::{Lent, Machine};
