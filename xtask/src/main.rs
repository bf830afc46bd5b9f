//! `cargo xtask`: everything that is done with PrBuild's source beside compiling it.

mod bench;
mod cargo;
mod cluster;
mod clusters;
mod crds;
mod cross;
mod demo;
mod doctor;
mod forge;
mod images;
mod part;
mod release;
mod schema;
mod stop;
mod test;
mod values;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a task ends with; the text of an error is for the person who called it.
pub type Result<T = ExitCode> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Tasks of PrBuild's source. Exit codes: 0 done, 1 failed, 2 wrong arguments, 130 stopped.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Show PrBuild at work: one pull request from label to statuses, on a real cluster
    Demo(demo::Args),
    /// Run all tests, with the clusters that they need
    Test(test::Args),
    /// Measure PrBuild against bare writes to the API server
    Bench(bench::Args),
    /// Write what is generated: the chart's definitions, and the table of its values
    Crds(crds::Args),
    /// Build and lint the agent for the systems that a worker may have, and `kubectl prbuild` as a static program
    Cross(cross::Args),
    /// Make the images that PrBuild consists of, and push or load them
    Images(images::Args),
    /// List what a cluster is made of: found where, in which version, or what is missing
    Doctor(doctor::Args),
    /// Run the stateful fake GitHub alone
    Forge(forge::Args),
    /// Run a cluster until Ctrl-C, to look around or to run single tests on
    Cluster(cluster::Args),
    /// Obtain one part and print its path
    Part(part::Args),
    /// Check that versions, changelog and chart agree, make all that is handed out, and tag the commit
    Release(release::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Demo(args) => demo::run(args),
        Task::Test(args) => test::run(args),
        Task::Bench(args) => bench::run(args),
        Task::Crds(args) => crds::run(args),
        Task::Cross(args) => cross::run(args),
        Task::Images(args) => images::run(args),
        Task::Doctor(args) => doctor::run(args),
        Task::Forge(args) => forge::run(args),
        Task::Cluster(args) => cluster::run(args),
        Task::Part(args) => part::run(args),
        Task::Release(args) => release::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
