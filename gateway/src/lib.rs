//! What the outside world talks to: takes logs and records in, keeps them, and shows them as pages.
//!
//! PUT → [`ingest`] → [`logs`] (redacted by [`redact`]) → segments in the [`store`] → one file; records → [`records`].
//! Pages read the same two, and the [`cluster`]. Agents of physical machines talk to [`worker`].

pub mod app;
pub mod cluster;
pub mod ingest;
pub mod logs;
pub mod metrics;
pub mod names;
pub mod pages;
pub mod records;
pub mod redact;
pub mod retention;
pub mod store;
#[cfg(test)]
mod testing;
pub mod worker;
