//! The clusters that `cargo xtask test` starts once for all tests of a run.

use super::access::Access;
use super::node::{Node, NodeFacts};

/// Environment variable with the kubeconfig of the shared control plane.
pub const CONTROL_VARIABLE: &str = "PRBUILD_TEST_CONTROL";
/// Environment variable with the kubeconfig of the shared cluster that has a node.
pub const NODE_VARIABLE: &str = "PRBUILD_TEST_NODE";

/// Environment variable that is set where both are taken down after the tests.
pub const ENDS_VARIABLE: &str = "PRBUILD_TEST_CLUSTERS_END";

/// The control plane that all tests of the run share. Panics when there is none: a test that cannot
/// run has failed.
#[track_caller]
pub fn shared_control_plane() -> Access {
    let access = from(CONTROL_VARIABLE);
    match std::env::var_os(ENDS_VARIABLE) {
        Some(_) => access.that_ends(),
        None => access,
    }
}

/// The cluster with a node that all tests of the run share, and what one must know of its node. Its
/// namespaces are always deleted, for containers run in them. Panics when there is none.
#[track_caller]
pub fn shared_node() -> (Access, NodeFacts) {
    let access = from(NODE_VARIABLE);
    match Node::facts(access.dir()) {
        Ok(facts) => (access, facts),
        Err(error) => panic!("{error}: run `cargo xtask test`"),
    }
}

#[track_caller]
fn from(variable: &str) -> Access {
    match std::env::var_os(variable) {
        Some(kubeconfig) => Access::by(kubeconfig),
        None => panic!("this test needs a cluster ({variable} is not set): run `cargo xtask test`"),
    }
}
