//! `cargo xtask cluster`: a cluster to look around in, or to run single tests on.

use std::process::ExitCode;
use std::time::Instant;

use tests::cluster::{CONTROL_VARIABLE, ControlPlane, ControlPlaneOptions, NODE_VARIABLE, Node};
use tests::images;
use tests::parts::{self, Cache, Loudness, duration};
use tokio::task::spawn_blocking;

use crate::Result;
use crate::cargo::workspace;
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
    parts::obtain_all(parts::control_plane(), &cache, Loudness::Normal)?;
    if args.node {
        parts::obtain_all(parts::node(), &cache, Loudness::Normal)?;
    }
    run_until_stopped(async {
        let started = Instant::now();
        let plane = ControlPlane::start(ControlPlaneOptions::default()).await?;
        eprintln!("control plane after {}", duration(started.elapsed()));
        println!("export KUBECONFIG={}", plane.kubeconfig().display());
        println!("export {CONTROL_VARIABLE}={}", plane.kubeconfig().display());
        let _node;
        let _plane;
        if args.node {
            println!("export {NODE_VARIABLE}={}", plane.kubeconfig().display());
            let node = Node::start(plane, &images::small_images()?).await?;
            eprintln!("node after {}", duration(started.elapsed()));
            let made = spawn_blocking(|| images::story_images(&workspace(), Loudness::Normal));
            node.import(&made.await??)?;
            eprintln!("images after {}", duration(started.elapsed()));
            _node = node;
        } else {
            _plane = plane;
        }
        eprintln!("Ctrl-C ends it");
        std::future::pending::<()>().await;
        Ok(ExitCode::SUCCESS)
    })
}
