//! A PrBuild becomes BuilderRuns, and their sum becomes its status.

pub mod dispatch;
mod reconcile;
pub mod summary;
mod talk;

pub use reconcile::{BuildError, reconcile};
pub use talk::{has_object, talk};
