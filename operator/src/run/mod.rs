//! A BuilderRun becomes a Job, and its pod an outcome; or [an Assignment](crate::worker), and its result one.

pub(crate) mod claims;
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
mod told;
mod waits;

pub(crate) use end::end;
pub(crate) use patience::waited_too_long;
pub(crate) use reconcile::failed;
pub use reconcile::{RunError, reconcile};
pub(crate) use refused::give_back;
pub use same::tell_followers;
pub(crate) use waits::write_waiting;
