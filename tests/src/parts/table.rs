//! Every part: which version fits, how it is obtained, and what it is needed for. Pure data.

mod beside;
mod cluster;

pub use beside::*;
pub use cluster::*;

use super::version::Fit;

/// One program that a cluster needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Name of the program, as it is on PATH.
    pub name: &'static str,
    /// The version that is built or installed when none is found; for packages of the distribution,
    /// the oldest one that fits.
    pub version: &'static str,
    /// Which versions are good enough when one is found.
    pub fit: Fit,
    /// Arguments that make the program print its version.
    pub version_args: &'static [&'static str],
    /// What it is needed for.
    pub needed_for: Need,
    /// It is copied into images, where there are no libraries.
    pub linked_statically: bool,
    /// How it is obtained.
    pub recipe: Recipe,
    /// Seconds that obtaining it took on a machine with 2 cores and an empty cache; a guess for the
    /// first run, replaced by what it really took.
    pub expected_seconds: u64,
}

/// What a part is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// API servers without a node.
    ControlPlane,
    /// A node that runs containers.
    Node,
    /// GitHub's published descriptions, which the forge is held against.
    Descriptions,
    /// Pages as people see them.
    Browser,
    /// A bucket as S3 has it.
    Bucket,
    /// Checks of the source, not of a cluster.
    Checks,
}

/// How a part is obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// Built within one Go module of ours that requires all of [`REQUIRED`]: see `make/module.rs`.
    GoModule(GoCommand),
    /// `go install PACKAGE@vVERSION`.
    GoInstall(GoCommand),
    /// A package of Debian.
    Apt {
        /// Name of the package, or of several with a space between them.
        package: &'static str,
        /// Where the package puts the program.
        path: &'static str,
    },
    /// `cargo install --locked NAME@VERSION`.
    Cargo,
}

/// A command in Go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoCommand {
    /// Path of the package with `main`.
    pub package: &'static str,
    /// Go variable that is set to `vVERSION` by the linker, if any.
    pub version_variable: &'static str,
    /// Build tags, with commas between them.
    pub tags: &'static str,
}

impl GoCommand {
    const fn new(package: &'static str, version_variable: &'static str) -> Self {
        Self {
            package,
            version_variable,
            tags: "",
        }
    }

    /// Tells the linker the version.
    pub(super) fn version_flag(&self, version: &str) -> String {
        match self.version_variable {
            "" => String::new(),
            variable => format!(" -X {variable}=v{version}"),
        }
    }
}

const fn debian(
    name: &'static str,
    fit: Fit,
    package: &'static str,
    path: &'static str,
    version_args: &'static [&'static str],
) -> Part {
    Part {
        name,
        version: "Debian's",
        fit,
        version_args,
        needed_for: Need::Node,
        linked_statically: false,
        recipe: Recipe::Apt { package, path },
        expected_seconds: 15,
    }
}

/// All parts, in the order in which they are obtained.
pub const ALL: [&Part; 28] = [
    &CONTAINERD,
    &CTR,
    &RUNC,
    &CNI_BRIDGE,
    &IP,
    &NFT,
    &BUSYBOX,
    &CHROMIUM,
    &CHROMEDRIVER,
    &NPM,
    &KUBE_APISERVER,
    &ETCD_SERVER,
    &KUBE_CONTROLLER_MANAGER,
    &KUBE_SCHEDULER,
    &KUBELET,
    &KUBE_PROXY,
    &KUBECTL,
    &HELM_CLI,
    &VERSITYGW,
    &COREDNS,
    &KUBE_SCORE,
    &KUBECONFORM,
    &PROMTOOL,
    &GLUA,
    &CRANE,
    &GCC_AARCH64,
    &GCC_WINDOWS,
    &CARGO_DENY,
];

/// The parts of a control plane.
pub fn control_plane() -> impl Iterator<Item = &'static Part> {
    ALL.into_iter()
        .filter(|part| part.needed_for == Need::ControlPlane)
}

/// The parts that a node needs beside those of the control plane.
pub fn node() -> impl Iterator<Item = &'static Part> {
    ALL.into_iter().filter(|part| part.needed_for == Need::Node)
}

/// What checks chart and images.
pub fn chart_checks() -> [&'static Part; 5] {
    [&KUBE_SCORE, &KUBECONFORM, &PROMTOOL, &GLUA, &CRANE]
}

/// What shows pages as people see them.
pub fn browser() -> impl Iterator<Item = &'static Part> {
    ALL.into_iter()
        .filter(|part| part.needed_for == Need::Browser)
}

/// What keeps objects as a cloud does.
pub fn bucket() -> impl Iterator<Item = &'static Part> {
    ALL.into_iter()
        .filter(|part| part.needed_for == Need::Bucket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::version::Version;

    #[test]
    fn every_part_would_accept_the_version_that_is_built_for_it() {
        for part in ALL {
            if matches!(part.recipe, Recipe::Apt { .. }) {
                continue;
            }
            let version = Version::find(part.version).unwrap();
            assert!(part.fit.accepts(version), "{} {}", part.name, part.version);
        }
    }

    #[test]
    fn no_part_is_in_the_table_twice() {
        let mut names: Vec<_> = ALL.iter().map(|part| part.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn the_api_server_is_built_before_what_shares_its_packages() {
        let built = |part: &&&Part| matches!(part.recipe, Recipe::GoModule(_));
        assert_eq!(ALL.iter().find(built).unwrap().name, "kube-apiserver");
    }
}
