//! A PrBuild becomes BuilderRuns, and their sum becomes its status.

pub mod cancel;
pub mod dispatch;
mod place;
mod reconcile;
mod repeat;
mod status;
pub mod stop;
mod story;
pub mod summary;
mod talk;

pub use place::{REPOSITORY_LOOKED_FOR_EVERY, has_object, nowhere};
pub use reconcile::{BuildError, reconcile};
pub use talk::talk;
