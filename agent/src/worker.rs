//! The daemon of a physical machine: asks the gateway for work, verifies what it gets, runs it by the
//! same executor as a pod, and answers with a signed result. Its owner's own rules always win.
//!
//! Pure: [`policy`] (may this run begin), [`breaker`] (does the machine work at all), and
//! `protocol::worker::agent` (what is done next). What must survive a crash is in [`held`] and
//! [`journal`], on the disk before the step that it stands for.

pub mod bell;
pub mod breaker;
pub mod builder;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod doctor;
pub mod files;
pub mod held;
pub mod history;
pub mod identity;
pub mod init;
pub mod install;
pub mod journal;
pub mod keyset;
#[cfg(unix)]
pub mod launcher;
pub mod layout;
pub mod link;
pub mod policy;
pub mod run;
pub mod shipping;
pub mod stop;
pub mod turns;
