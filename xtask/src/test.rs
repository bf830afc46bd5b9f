//! `cargo xtask test`: parts, clusters and binaries, then all tests, then one summary.

mod group;
mod groups;
mod leaks;
mod tally;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use futures::future::join_all;
use tests::cluster::{ENDS_VARIABLE, PROGRAMS_VARIABLE};
use tests::images::{self, Image};
use tests::parts::{self, Cache, Loudness, duration};
use tokio::task::spawn_blocking;

use crate::Result;
use crate::cargo::{Cargo, workspace};
use crate::clusters::Clusters;
use crate::stop::run_until_stopped;
use group::Done;
use groups::groups;
use leaks::Look;
use tally::Tally;

/// How many tests run at a time; libtest reads it.
const THREADS_VARIABLE: &str = "RUST_TEST_THREADS";
const THREADS: &str = "8";
/// Programs in Go that tests call, helm above all, are over before it is worth collecting garbage. Those that
/// stay, and those of the clusters, are told otherwise or keep to the limit.
const GARBAGE: [(&str, &str); 2] = [("GOGC", "off"), ("GOMEMLIMIT", "1GiB")];
/// More failures than these are no accident, and are not tried again.
const TRIED_AGAIN: usize = 8;

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave out the tests that run containers, which need root: all below a module `node`
    #[arg(long)]
    no_node: bool,
    /// Print no progress
    #[arg(long, short)]
    quiet: bool,
    /// Run only tests whose name contains one of these
    filters: Vec<String>,
}

/// Runs all tests and prints `N passed, N failed`.
pub fn run(args: Args) -> Result {
    let started = Instant::now();
    let loudness = if args.quiet {
        Loudness::Quiet
    } else {
        Loudness::Normal
    };
    let cache = Cache::of_user();
    let mut wanted: Vec<_> = parts::control_plane().chain(parts::bucket()).collect();
    wanted.extend(parts::chart_checks());
    let packages = [&parts::DESCRIPTIONS[..], &parts::OF_TESTS].concat();
    wanted.extend(parts::fetching(&packages, &cache));
    if !args.no_node {
        wanted.extend(parts::node().chain(parts::browser()));
    }
    let as_root = (!args.no_node).then_some("run it as root, or with --no-node");
    parts::check_git()?;
    parts::check(&wanted, as_root, &cache)?;
    parts::obtain_all(wanted, &cache, loudness)?;
    run_until_stopped(async {
        let (clusters, built) = tokio::join!(
            Clusters::start(!args.no_node),
            build(args.no_node, loudness)
        );
        let (clusters, images) = (clusters?, built?);
        if let Some(node) = &clusters.node {
            node.import(&images)?;
        }
        if !args.quiet {
            eprintln!(
                "clusters and binaries are ready after {}",
                duration(started.elapsed())
            );
        }
        let mut look = Look::begin(&clusters);
        let tally = test_all(&args, &clusters, &mut look).await?;
        let leaks = look.end()?;
        let good = tally.is_good() && leaks.is_empty();
        if !good {
            clusters.keep_logs();
        }
        clusters.stop().await?;
        eprintln!("all tests in {}", duration(started.elapsed()));
        println!("\n{leaks}\n{tally}");
        if tally.total() == 0 && tally.broken.is_empty() {
            return Err("no test has such a name".into());
        }
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}

/// Builds everything that tests run, and the images of the stories on a node.
async fn build(no_node: bool, loudness: Loudness) -> Result<Vec<Image>> {
    Cargo::run(&["build", "--workspace", "--bins"]).await?;
    Cargo::run(&["test", "--workspace", "--no-run"]).await?;
    if no_node {
        return Ok(Vec::new());
    }
    Ok(spawn_blocking(move || images::story_images(&workspace(), loudness)).await??)
}

/// Runs the tests. The few that failed get the machine to themselves once more: what passes then was in
/// want of time, which is worth a word and not a red run.
async fn test_all(args: &Args, clusters: &Clusters, look: &mut Look) -> Result<Tally> {
    let mut wanted: Vec<&str> = args.filters.iter().map(String::as_str).collect();
    if args.no_node {
        eprintln!("left out: tests that run containers");
        wanted.extend(["--skip", "node::"]);
    }
    // Stories run what ships, which is there for the images anyway and takes a third of the time.
    // Tests run elsewhere: each in the directory of its package.
    let programs = workspace().join(images::story_programs(&workspace()));
    let mut environment = clusters.environment();
    environment.push((ENDS_VARIABLE, Path::new("1")));
    environment.extend(GARBAGE.map(|(name, value)| (name, Path::new(value))));
    if clusters.node.is_some() && std::env::var_os(PROGRAMS_VARIABLE).is_none() {
        environment.push((PROGRAMS_VARIABLE, &programs));
    }
    let mut tally = Tally::default();
    for done in beside_each_other(&wanted, &environment).await? {
        tally.add(done.tally);
        look.suite(&done.printed);
    }
    if !tally.failures.is_empty() && tally.failures.len() <= TRIED_AGAIN {
        eprintln!(
            "\nonce more, one after the other: {}",
            tally.failures.join(", ")
        );
        let mut failures = vec!["--exact"];
        failures.extend(tally.failures.iter().map(String::as_str));
        environment.push((THREADS_VARIABLE, Path::new("1")));
        let again = group::run(&[], &failures, &environment).await?;
        look.suite(&again.printed);
        tally.tried_again(again.tally);
    }
    Ok(tally)
}

/// Runs all groups at once: stories keep the processors busy for minutes, and other tests wait for most of
/// their time.
async fn beside_each_other(wanted: &[&str], environment: &[(&str, &Path)]) -> Result<Vec<Done>> {
    let mut environment = environment.to_vec();
    // Most tests wait for a cluster most of the time: more of them at a time than there are cores.
    if std::env::var_os(THREADS_VARIABLE).is_none() {
        environment.push((THREADS_VARIABLE, Path::new(THREADS)));
    }
    let groups = groups(&Cargo::read(&["metadata", "--no-deps", "--format-version=1"]).await?)?;
    let running = groups
        .iter()
        .map(|targets| group::run(targets, wanted, &environment));
    // One whose program died does not end the others.
    join_all(running).await.into_iter().collect()
}
