//! Real clusters on a bare machine: etcd and API server in seconds, a node that runs containers, and
//! a stand-in for the kubelet where thousands of pods are wanted.
//!
//! - [`ControlPlane::start`]: an API server of one's own. [`Node::start`] adds a kubelet to it.
//! - [`shared_control_plane`], [`shared_node`]: those that `cargo xtask test` started for the run.
//! - [`Install`]: two namespaces, the chart's accounts and rules, and our binaries, for one test.
//! - [`eventually`]: the one place where a test waits.

mod access;
mod aged;
mod berth;
mod binary;
mod control_plane;
mod eventually;
mod install;
mod keys;
mod manifests;
mod network;
mod node;
mod process;
mod release;
mod schemas;
mod shared;
mod stand_in;

use std::io;
use std::path::{Path, PathBuf};

pub use access::Access;
pub use aged::{Age, Aged};
pub use berth::Berth;
pub use binary::{Binary, PROGRAMS_VARIABLE};
pub use control_plane::{ControlPlane, ControlPlaneOptions};
pub use eventually::{Progressing, eventually};
pub use install::Install;
pub use keys::signing_key;
pub use node::{Node, NodeFacts};
pub use process::{MARK, Process, without_proxy};
pub use release::{Release, merge};
pub use schemas::{Kind, write_schemas};
pub use shared::{
    CONTROL_VARIABLE, ENDS_VARIABLE, NODE_VARIABLE, shared_control_plane, shared_node,
};
pub use stand_in::{Ending, Fate, Script, StandIn};

use crate::parts::PartError;

/// Why a cluster does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A program that is needed is not there.
    #[error(transparent)]
    Part(#[from] PartError),
    /// All berths are taken, or their ports are.
    #[error(
        "no room for another cluster on this machine\n  because all 100 berths are taken\n  try: end other runs of `cargo xtask`"
    )]
    NoBerth,
    /// The directory of berths belongs to somebody else.
    #[error(
        "{dir} cannot be used\n  because it belongs to somebody else, or others can write there\n  try: remove it, or set TMPDIR"
    )]
    ForeignDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// A file or directory cannot be read or written.
    #[error("cannot use {path}\n  because {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A program does not start.
    #[error("{name} does not start\n  because {source}")]
    Start {
        /// The program.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// A program ended by itself.
    #[error("{name} ended by itself: {status}\n{log}")]
    Died {
        /// The program.
        name: String,
        /// Exit code or signal.
        status: String,
        /// Its last lines.
        log: String,
    },
    /// Something did not become ready.
    #[error("{what} is not ready after {seconds} s: {last}\n{log}")]
    NotReady {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// What it looked like last.
        last: String,
        /// The last lines of the program that should have made it ready.
        log: String,
    },
    /// A command failed.
    #[error("{what}\n  because {because}")]
    Command {
        /// What was tried.
        what: String,
        /// What the command printed last.
        because: String,
    },
    /// Processes or mounts outlived their cluster.
    #[error(
        "something is left of a cluster in {dir}\n  try: look at `grep {dir} /proc/mounts` and `ps e`, then start any cluster: it cleans up"
    )]
    Leftovers {
        /// The directory of the berth.
        dir: PathBuf,
    },
    /// Containers need root.
    #[error(
        "a node cannot run\n  because we are not root\n  try: sudo -E env PATH=$PATH cargo xtask test, or `cargo xtask test --no-node`"
    )]
    NotRoot,
    /// The API server refused something, or is gone.
    #[error("{what}\n  because {source}")]
    Api {
        /// What was tried.
        what: String,
        /// The server's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// A kubeconfig cannot be used.
    #[error("kubeconfig {path} cannot be used\n  because {because}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The cause.
        because: String,
    },
}

impl ClusterError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn start(name: &str) -> impl FnOnce(io::Error) -> Self {
        let name = name.to_owned();
        move |source| Self::Start { name, source }
    }

    fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Api {
            what,
            source: Box::new(source),
        }
    }
}
