//! Logs: taken in, kept, and read.
//!
//! [`tail`] is what is in memory of a log that grows (pure), [`stream`] takes it in
//! and stores it, [`live`] is the run whose streams these are, [`chain`] finds again what was stored,
//! [`compact`] makes one file of a log that has ended, [`archive`] reads that, and [`reader`] is what
//! pages see, whichever of these it is.

pub mod archive;
pub mod blocks;
pub mod chain;
pub mod compact;
pub mod frames;
pub mod live;
pub mod open;
pub mod reader;
pub mod stream;
pub mod tail;

pub use open::{LogOptions, Logs};
pub use reader::{Kept, LogReader, READ_LIMIT, View};

#[cfg(test)]
mod tests;
