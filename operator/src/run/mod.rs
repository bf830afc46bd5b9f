//! A BuilderRun becomes a Job, and its pod an outcome.

pub mod job;
pub mod outcome;
pub mod pod;
mod reconcile;
pub mod tell;

pub use reconcile::{RunError, reconcile};
