//! The executor: fetches one commit, runs a recipe's steps on it, and says how they ended.
//!
//! `prbuild-agent checkout` runs before any code of the pull request and is believed.
//! `prbuild-agent exec` runs beside that code, under the same user: it keeps time, kills what the
//! code leaves behind, and carries the code's own claim out. Neither knows Kubernetes or GitHub's API.
//! Both print to standard output and into a [`spool`], and `prbuild-agent ship` sends that to the
//! gateway. On a physical machine [`worker`] is the daemon that starts them.
//!
//! Pure: [`plan`] (which step runs, what its end means), [`mod@env`] (what a step sees), [`envfile`]
//! (`GITHUB_ENV`), [`source`] (is this a commit we may fetch). Everything that the operating system
//! does differently elsewhere is in [`os`].

pub mod checkout;
pub mod checkout_path;
pub mod env;
pub mod envfile;
pub mod exec;
pub mod findings;
pub mod frames;
pub mod git;
pub mod hand_over;
pub mod junit;
pub mod log;
pub mod message;
pub mod mirror;
pub mod order;
pub mod os;
pub mod places;
pub mod plan;
pub mod process;
pub mod scan;
pub mod ship;
pub mod source;
pub mod spool;
pub mod step;
pub mod text;
#[cfg(feature = "worker")]
pub mod worker;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_gateway;
#[cfg(test)]
mod testing_git;
#[cfg(test)]
mod testing_http;
