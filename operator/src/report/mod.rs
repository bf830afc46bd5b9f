//! What people read on GitHub: a status for every run, one comment for every build, an answer for
//! every event that makes no build.
//!
//! - [`desired`]: a run becomes a commit status (*pure*); [`text`]: words, and foreign text made harmless (*pure*)
//! - [`reporter`]: sends the difference; what, when and how fast is decided in [`plan`] (*pure*)
//! - [`announce`], [`answer`], [`label`]: comments, reactions, and the label that asked; their words are *pure*
//! - [`comment`]: the one comment of a build, and [`template`]s for its words (*pure*)
//! - [`talk`]: what a failed call means for the caller

pub mod announce;
pub mod answer;
pub mod comment;
mod comment_facts;
mod comment_parts;
pub mod desired;
mod entry;
pub mod label;
mod lane;
pub mod metrics;
pub mod plan;
pub mod reporter;
pub mod sentence;
pub mod talk;
pub mod target;
pub mod template;
mod template_presets;
pub mod text;

pub use announce::announce;
pub use desired::desired;
pub use label::{LabelOutcome, settle_label};
pub use reporter::{Reporter, Ticket};
pub use talk::{Retry, TalkError};
pub use target::{CommitStatus, Order, Sent, Target};
