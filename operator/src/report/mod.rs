//! What people read on GitHub: a status for every run, one comment for every build, an answer for
//! every event that makes no build.
//!
//! - [`desired`]: a run becomes a commit status (*pure*); [`failing`]: which tests failed (*pure*)
//! - [`text`]: words, and foreign text made harmless (*pure*)
//! - [`check`]: the same as a check run (*pure*)
//! - [`reporter`]: sends the difference; what, when and how fast is decided in [`plan`] and [`pace`] (*pure*)
//! - [`announce`], [`answer`], [`label`]: comments, reactions, and the label that asked; their words are *pure*
//! - [`comment`]: the one comment of a build, and [`template`]s for its words (*pure*)
//! - [`links`]: where pages are; [`fault`]: which tests fail elsewhere, too (*pure*)
//! - [`sentence`], [`reply`]: what an answer says, [`restraint`]: whether it is said (*pure*)
//! - [`talk`]: what a failed call means for the caller; [`refusals`]: news of what GitHub refuses

pub mod announce;
pub mod answer;
mod census;
pub mod check;
mod check_writer;
pub mod comment;
pub mod comment_due;
mod comment_facts;
mod comment_parts;
mod comment_words;
pub mod desired;
mod entry;
mod failing;
pub mod fault;
pub mod label;
mod lane;
pub mod links;
pub mod metrics;
pub mod pace;
pub mod plan;
mod refusals;
pub mod reply;
pub mod reporter;
pub mod restraint;
pub mod sentence;
mod sentence_words;
pub mod talk;
pub mod target;
pub mod template;
mod template_presets;
pub mod text;
mod turns;

pub use announce::{Draft, Opened, Opening};
pub use desired::desired;
pub use label::{LabelOutcome, settle_label};
pub use links::Pages;
pub use refusals::Refusal;
pub use reporter::{Reporter, Ticket, Turn};
pub use talk::{Retry, TalkError};
pub use target::{Channel, CommitStatus, Order, Sent, Standing, Target};
