//! The protocol between the agent of a physical worker and the gateway, version 1.
//!
//! The agent only ever dials out, with JSON over HTTPS, and keeps no connection that means anything:
//! each request can be lost, repeated, delayed or answered by another gateway. `docs/protocol.md`
//! describes it for who writes another agent. Here are
//!
//! - [`key`] and [`envelope`]: two ed25519 keys, and what they sign;
//! - [`assignment`] and [`completion`]: what the operator orders, and what the agent answers. Both pass
//!   through the gateway, which can forge neither;
//! - [`keys`]: the operator's keys as a set with a version, which a worker's owner pins;
//! - [`session`], [`wire`] and [`fault`]: what the gateway and the agent say to each other;
//! - [`server`] and [`agent`]: what each of them does next, as pure functions.

pub mod agent;
pub mod assignment;
pub mod completion;
pub mod envelope;
pub mod fault;
pub mod key;
pub mod keys;
pub mod server;
pub mod session;
pub mod wire;

/// Version of this protocol, as [`PROTOCOL_HEADER`] carries it.
pub const PROTOCOL: u32 = 1;
/// Header of every request of an agent: the version of the protocol that it speaks.
pub const PROTOCOL_HEADER: &str = "prbuild-protocol";
/// Header of every request in a session: its text, as [`session::SessionOpened`] gave it.
pub const SESSION_HEADER: &str = "prbuild-session";
/// Header of the answer to a `PUT` of a log: there, with the value `1`, when the run is to be stopped. The
/// reason comes with the next heartbeat, which the agent then sends at once.
pub const CANCEL_HEADER: &str = "prbuild-cancel";
/// Header of every answer: the gateway's clock, in seconds since 1970. An agent whose own clock may be
/// wrong uses it, and never to prove who it is.
pub const TIME_HEADER: &str = "prbuild-time";

#[cfg(test)]
mod document_tests;
#[cfg(test)]
mod lossy_tests;
#[cfg(test)]
mod lossy_world;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
