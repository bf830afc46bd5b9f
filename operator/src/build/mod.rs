//! A PrBuild becomes BuilderRuns, and their sum becomes its status.

pub mod cancel;
pub mod dispatch;
mod reconcile;
mod status;
pub mod stop;
mod story;
pub mod summary;
mod talk;

pub use reconcile::{BuildError, reconcile};
pub use talk::{has_object, talk};
