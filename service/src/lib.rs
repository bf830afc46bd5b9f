//! What webhook, operator and gateway have beside their work.
//!
//! - [`Standing`]: what keeps the program from being ready, in one sentence each; `/readyz` and the log
//!   tell it, and it goes when its cause is mended.
//! - [`logging`]: logs as JSON, whose level follows a mounted file.
//! - [`Inner`]: the port that probes and Prometheus ask.
//! - [`events`]: the same sentences, as Kubernetes Events about the program's pod.
//! - [`Coalesce`]: fewer turns of an event loop that has much to do.
//! - [`kubernetes`]: whether the cluster's Kubernetes is new enough.
//! - [`kinds`]: whether the API server knows our kinds, as this program knows them.
//! - [`stored`]: our objects as a watch brings them, read with little work.
//! - [`server`]: a listener whose connections are bounded in number and time.
//! - [`stop_on_signal`]: the end that Kubernetes or a person wishes.
//!
//! A program does not end because something around it is missing: it would be started again and again,
//! and say less each time. It waits, says for what, and goes on by itself.

mod coalesce;
pub mod events;
mod inner;
pub mod kinds;
pub mod kubernetes;
pub mod logging;
pub mod server;
mod signals;
mod standing;
pub mod stored;

pub use coalesce::Coalesce;
pub use inner::{Inner, OPEN_METRICS};
pub use signals::stop_on_signal;
pub use standing::{RETRY, Standing};
