//! Real agents, as processes, against a gateway that keeps the protocol and goes wrong when asked to.
//! Numbers such as `t7` are those of the faults that a worker must survive.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answer;
mod bench;
/// What misleads an agent about the date is a library for Linux.
#[cfg(target_os = "linux")]
mod clocks;
mod faults;
mod gateway;
#[path = "../../src/testing_git.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod git;
#[path = "../../src/testing_http.rs"]
mod http;
mod line;
mod lines;
/// Like all tests in modules of this name, these need root.
#[cfg(target_os = "linux")]
#[path = "users.rs"]
mod node;
mod owner;
mod quiet;
mod runs;
mod script;
mod store;
mod tls;
mod trust;
