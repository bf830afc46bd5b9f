//! What stays of runs and builds when their objects are gone: records and short histories, which the
//! gateway stores and its pages show.
//!
//! - [`run`], [`build`]: an object that has ended becomes its record and its entry in a history (*pure*)
//! - [`keep`]: when that is done, for one run or build
//! - [`recorder`]: all that reconciles need of the gateway
//! - [`client`]: the requests; [`outage`]: when the next one is worth it (*pure*)
//! - [`histories`] reads and writes histories; what is read and written when is decided in [`shelf`] (*pure*)
//!
//! A record is sent until it is stored, and whether it is stored stands on the object: `recorded` of a
//! run, `Recorded` of a build. A history only sums up what objects said. Each file is written at most
//! every two seconds; what a restart loses of that is put in again from the objects, which stay for an
//! hour.

pub mod build;
pub mod client;
pub mod histories;
pub mod keep;
pub mod metrics;
pub mod outage;
pub mod recorder;
pub mod run;
pub mod shelf;

#[cfg(test)]
mod tests;

pub use client::{GatewayError, RecordError};
pub use recorder::Recorder;
