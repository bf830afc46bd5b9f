//! From a delivery to a PrBuild.
//!
//! `Delivery → Verified → Request → Authorized → PrBuild`, or `Refused → Answer`. The types are the
//! only way through: only [`signature`] makes a `Verified`, only [`gate`] makes an `Authorized`. A
//! delivery is a hint, GitHub's API is the truth, and what no delivery told of is found by the [`sweep`].

mod all_checks;
pub mod builds;
pub mod cache;
pub mod command;
pub mod done;
pub mod event;
pub mod gate;
pub mod handle;
pub mod kept;
pub mod lease;
pub mod metrics;
pub mod receive;
pub mod request;
pub mod resolve;
pub mod signature;
pub mod stop;
mod stopping;
pub mod submit;
pub mod sweep;
pub mod turns;

#[cfg(test)]
mod sentence_page_tests;
