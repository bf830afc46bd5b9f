//! `cargo xtask bench`: ratios measured in one run, each beside its floor: the same writes, or the
//! same answers, without PrBuild.
//!
//! Everything shares the machine: API server, etcd, the controllers, the forge, the load, and PrBuild.
//! Compare numbers of one run with each other, not with those of another machine.

mod floor;
mod github;
mod load;
mod logs;
mod missing;
mod operations;
mod procfs;
mod scenarios;
mod table;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use tests::cluster::{ControlPlane, ControlPlaneOptions};
use tests::parts::{self, Cache, Loudness, Machine};

use crate::Result;
use crate::cargo::{Cargo, workspace};
use crate::stop::run_until_stopped;
use scenarios::{Bench, Scenario};

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Measure this instead of time and memory
    #[arg(value_enum)]
    what: Option<What>,
    /// A tenth of the load, to see that everything works; its numbers mean little
    #[arg(long)]
    quick: bool,
    /// Measure only these
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Measure only these parts of `logs`
    #[arg(long, value_enum, value_delimiter = ',', requires = "what")]
    part: Vec<logs::Part>,
    /// Also write the numbers to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What else can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Calls to GitHub, points and connections a build, for 1, 10 and 100 builders, beside Prow's
    Github,
    /// How fast logs are taken in, shown and followed
    Logs,
    /// What idle machines cost, and how fast machines get their work
    Workers,
    /// Memory at rest, hand-over between leaders, a cold start; as root also a release on a node
    Operations,
}

/// Measures.
pub fn run(args: Args) -> Result {
    let cache = Cache::of_user();
    let on_node = args.what == Some(What::Operations) && Machine::look().root;
    let mut wanted: Vec<_> = parts::control_plane().collect();
    if on_node {
        wanted.extend(parts::node());
    }
    parts::obtain_all(wanted, &cache, Loudness::Normal)?;
    run_until_stopped(async {
        let counts = args.what == Some(What::Github);
        if counts && cfg!(debug_assertions) {
            // Calls are as many, however fast it runs.
            Cargo::run(&["build", "--workspace", "--bins"]).await?;
        } else if cfg!(debug_assertions) {
            return again_in_release(&args).await;
        }
        let options = ControlPlaneOptions {
            fast_controllers: true,
            ..ControlPlaneOptions::default()
        };
        let plane = ControlPlane::start(options).await?;
        if counts {
            return calls(plane, &args).await;
        }
        if args.what == Some(What::Logs) {
            let table = self::logs::Logs::measure(&plane, args.quick, &args.part).await?;
            plane.stop().await?;
            return told(&table, &args);
        }
        if args.what == Some(What::Workers) {
            let table = self::workers::Workers::measure(&plane, args.quick).await?;
            plane.stop().await?;
            return told(&table, &args);
        }
        if args.what == Some(What::Operations) {
            let mut table = self::operations::measure(&plane, args.quick).await?;
            plane.stop().await?;
            match on_node {
                true => self::operations::measure_on_node(&mut table, args.quick).await?,
                false => println!("left out, because it needs root: a release on a node"),
            }
            return told(&table, &args);
        }
        let mut bench = Bench::begin(plane, args.quick).await?;
        for scenario in Scenario::value_variants() {
            if args.only.is_empty() || args.only.contains(scenario) {
                bench.measure(*scenario).await?;
            }
        }
        let table = bench.end().await?;
        told(&table, &args)
    })
}

/// Prints the numbers, and writes them where that was asked for.
fn told(table: &table::Table, args: &Args) -> Result {
    println!("\n{table}");
    if let Some(path) = &args.json {
        std::fs::write(path, table.json())?;
    }
    Ok(if table.all_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Counts calls to GitHub.
async fn calls(plane: ControlPlane, args: &Args) -> Result {
    let counted = self::github::Github::measure(&plane, args.quick).await?;
    plane.stop().await?;
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{:#}", counted.json()))?;
    }
    Ok(if counted.all_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// An unoptimized forge would be measured instead of PrBuild.
async fn again_in_release(args: &Args) -> Result {
    Cargo::run(&["build", "--release", "--workspace", "--bins"]).await?;
    let mut command = tokio::process::Command::new(workspace().join("target/release/xtask"));
    command.arg("bench");
    let what = args.what.and_then(|what| what.to_possible_value());
    command.args(what.iter().map(clap::builder::PossibleValue::get_name));
    if args.quick {
        command.arg("--quick");
    }
    for scenario in &args.only {
        if let Some(name) = scenario.to_possible_value() {
            command.arg("--only").arg(name.get_name());
        }
    }
    for part in &args.part {
        if let Some(name) = part.to_possible_value() {
            command.arg("--part").arg(name.get_name());
        }
    }
    if let Some(path) = &args.json {
        command.arg("--json").arg(path);
    }
    let status = command.kill_on_drop(true).status().await?;
    Ok(ExitCode::from(
        u8::try_from(status.code().unwrap_or(1)).unwrap_or(1),
    ))
}
