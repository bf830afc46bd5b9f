//! A BuilderRun becomes a Job, and its pod an outcome.

mod claims;
mod end;
pub mod job;
mod missing_pod;
pub mod outcome;
pub mod patience;
pub mod pod;
mod reconcile;
mod refused;
mod same;
pub mod ship;
pub mod slim;
mod starting;
pub mod tell;
mod template;

pub use reconcile::{RunError, reconcile};
pub use same::tell_followers;
