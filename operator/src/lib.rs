//! From a PrBuild to BuilderRuns, to Jobs, to outcomes, to statuses on GitHub.
//!
//! Data flows down this list. Modules marked *pure* have neither async nor clock nor client.
//!
//! - [`cache`]: what the API server told, trimmed; [`watches`] feed it, and [`queue`]: what to look at next
//! - [`context`]: what every reconcile is given; [`api`]: clients and writes; [`live`]: what only this process knows;
//!   [`pressure`]: how busy the cluster is
//! - [`build`]: a PrBuild becomes BuilderRuns (`dispatch`, *pure*), and their sum (`summary`, *pure*)
//! - [`admission`]: which waiting run gets a slot (`order`, *pure*; `ledger` writes it down)
//! - [`run`]: a BuilderRun becomes a Job (`job`, *pure*), its pod an outcome (`outcome`, *pure*)
//! - [`report`]: runs become statuses, builds a comment, refusals an answer ([`answers`])
//! - [`record`]: what stays of runs and builds when their objects are gone
//! - [`health`]: what is wrong with a Repository or Builder ([`specs`] writes it down)
//! - [`housekeeping`]: orphans, retention
//! - [`worker`]: a BuilderRun becomes an Assignment to a physical machine; [`keys`]: key sets that its owner pins
//! - [`journal`]: the story of each build in the log
//! - [`make_keys`]: makes the signing key, once; [`gauges`]: numbers that are looked up for [`metrics`]
//! - [`self_test`]: a label becomes a status, with an echo of GitHub: what `helm test` runs
//! - [`leader`], [`app`]: who acts, and how everything is wired

pub mod admission;
pub mod answers;
pub mod api;
pub mod app;
pub mod build;
pub mod cache;
pub mod context;
pub mod gauges;
pub mod health;
pub mod housekeeping;
pub mod journal;
pub mod keys;
pub mod leader;
pub mod live;
pub mod make_keys;
pub mod metrics;
pub mod pressure;
pub mod queue;
pub mod record;
pub mod report;
pub mod run;
pub mod self_test;
pub mod specs;
mod waiting;
pub mod watches;
pub mod worker;
