//! A BuilderRun whose Builder runs on a physical worker becomes an Assignment, and its signed result an outcome.
//!
//! [`fleet`] says which workers may take a run now, or why none may; [`order`] what is signed; [`watch`] what the
//! state of an assignment means; [`outcome`] what a verified completion does. These four are pure. [`reconcile`] does
//! it with the [`object`], and [`capacity`] counts what workers have in hand.

pub mod capacity;
pub mod fleet;
pub mod notify;
mod object;
pub mod order;
pub mod outcome;
mod reconcile;
pub mod watch;

pub use capacity::{admit, is_taken, is_there};
pub use object::{stop, stop_orphan};
pub use reconcile::{begin, follow};
