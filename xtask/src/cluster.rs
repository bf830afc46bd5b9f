//! `cargo xtask cluster`: a cluster to look around in, or to run single tests on.

use std::process::ExitCode;
use std::time::Instant;

use tests::images;
use tests::parts::{self, Cache, Loudness, duration};
use tokio::task::spawn_blocking;

use crate::Result;
use crate::cargo::workspace;
use crate::clusters::Clusters;
use crate::stop::run_until_stopped;

/// Arguments of `cargo xtask cluster`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// With a node that runs containers (needs root)
    #[arg(long)]
    node: bool,
}

/// Runs a cluster until Ctrl-C.
pub fn run(args: Args) -> Result {
    let cache = Cache::of_user();
    let mut wanted: Vec<_> = parts::control_plane().collect();
    if args.node {
        wanted.extend(parts::node());
    }
    let as_root = args.node.then_some("run it as root, or without --node");
    parts::check(&wanted, as_root, &cache)?;
    parts::obtain_all(wanted, &cache, Loudness::Normal)?;
    run_until_stopped(async {
        let started = Instant::now();
        let clusters = Clusters::start(args.node).await?;
        let looked_at = clusters
            .node
            .as_ref()
            .map_or(clusters.control.access(), |node| node.access());
        println!("export KUBECONFIG={}", looked_at.kubeconfig().display());
        for (name, kubeconfig) in clusters.environment() {
            println!("export {name}={}", kubeconfig.display());
        }
        eprintln!("ready after {}", duration(started.elapsed()));
        if let Some(node) = &clusters.node {
            let made = spawn_blocking(|| images::story_images(&workspace(), Loudness::Normal));
            node.import(&made.await??)?;
            eprintln!("images after {}", duration(started.elapsed()));
        }
        eprintln!("Ctrl-C ends it");
        std::future::pending::<()>().await;
        Ok(ExitCode::SUCCESS)
    })
}
