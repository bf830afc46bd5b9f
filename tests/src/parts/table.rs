//! Every part that a cluster needs: which version fits, and how it is obtained. Pure data.

use super::version::{Fit, Version};

/// Version of Kubernetes whose parts are built.
pub const KUBERNETES: &str = "1.35.4";
/// Version of etcd that is built.
pub const ETCD: &str = "3.6.5";
/// Version of Helm that is built.
pub const HELM: &str = "4.3.1";

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
    /// A command of Kubernetes or etcd, built within one Go module of ours that requires both.
    KubernetesModule {
        /// Path of the package with `main`.
        package: &'static str,
    },
    /// `go install PACKAGE@vVERSION`.
    GoInstall {
        /// Path of the package with `main`.
        package: &'static str,
        /// Go variable that is set to `vVERSION` by the linker.
        version_variable: &'static str,
    },
    /// A package of Debian.
    Apt {
        /// Name of the package.
        package: &'static str,
        /// Where the package puts the program.
        path: &'static str,
    },
    /// `cargo install --locked NAME@VERSION`.
    Cargo,
}

const fn kubernetes(name: &'static str, package: &'static str, need: Need, seconds: u64) -> Part {
    Part {
        name,
        version: KUBERNETES,
        fit: Fit::Minor(1, 35),
        version_args: &["--version"],
        needed_for: need,
        linked_statically: false,
        recipe: Recipe::KubernetesModule { package },
        expected_seconds: seconds,
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

/// The database under the API server.
pub const ETCD_SERVER: Part = Part {
    name: "etcd",
    version: ETCD,
    fit: Fit::SameMajorFrom(Version::new(3, 5, 0)),
    version_args: &["--version"],
    needed_for: Need::ControlPlane,
    linked_statically: false,
    recipe: Recipe::KubernetesModule {
        package: "go.etcd.io/etcd/server/v3",
    },
    expected_seconds: 9,
};

/// The API server. Built first: it compiles nearly all packages that the others share.
pub const KUBE_APISERVER: Part = kubernetes(
    "kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    Need::ControlPlane,
    218,
);

/// The controllers, among them those of Jobs and of garbage.
pub const KUBE_CONTROLLER_MANAGER: Part = kubernetes(
    "kube-controller-manager",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    Need::ControlPlane,
    51,
);

/// The scheduler.
pub const KUBE_SCHEDULER: Part = kubernetes(
    "kube-scheduler",
    "k8s.io/kubernetes/cmd/kube-scheduler",
    Need::Node,
    5,
);

/// The kubelet.
pub const KUBELET: Part = kubernetes("kubelet", "k8s.io/kubernetes/cmd/kubelet", Need::Node, 17);

/// Leads Services to their pods.
pub const KUBE_PROXY: Part = kubernetes(
    "kube-proxy",
    "k8s.io/kubernetes/cmd/kube-proxy",
    Need::Node,
    20,
);

/// Tells pods the addresses of Services.
pub const COREDNS: Part = Part {
    name: "coredns",
    version: "1.15.0",
    fit: Fit::Any,
    version_args: &["-version"],
    needed_for: Need::Node,
    linked_statically: false,
    recipe: Recipe::GoInstall {
        package: "github.com/coredns/coredns",
        version_variable: "github.com/coredns/coredns/coremain.GitCommit",
    },
    expected_seconds: 106,
};

/// The command line.
pub const KUBECTL: Part = Part {
    fit: Fit::MinorOrNeighbour(1, 35),
    version_args: &["version", "--client"],
    ..kubernetes(
        "kubectl",
        "k8s.io/kubernetes/cmd/kubectl",
        Need::ControlPlane,
        8,
    )
};

/// Renders the chart.
pub const HELM_CLI: Part = Part {
    name: "helm",
    version: HELM,
    fit: Fit::SameMajorFrom(Version::new(4, 0, 0)),
    version_args: &["version", "--short"],
    needed_for: Need::ControlPlane,
    linked_statically: false,
    recipe: Recipe::GoInstall {
        package: "helm.sh/helm/v4/cmd/helm",
        version_variable: "helm.sh/helm/v4/internal/version.version",
    },
    expected_seconds: 110,
};

/// Runs containers.
pub const CONTAINERD: Part = debian(
    "containerd",
    Fit::From(Version::new(1, 6, 0)),
    "containerd",
    "/usr/bin/containerd",
    &["--version"],
);

/// Talks to a containerd: imports images.
pub const CTR: Part = debian(
    "ctr",
    Fit::From(Version::new(1, 6, 0)),
    "containerd",
    "/usr/bin/ctr",
    &["--version"],
);

/// Starts one container.
pub const RUNC: Part = debian(
    "runc",
    Fit::From(Version::new(1, 1, 0)),
    "runc",
    "/usr/sbin/runc",
    &["--version"],
);

/// The pod network's plugins; the directory is that of the plugin `bridge`.
pub const CNI_BRIDGE: Part = debian(
    "cni-bridge",
    Fit::Any,
    "containernetworking-plugins",
    "/usr/lib/cni/bridge",
    &[],
);

/// Makes the bridge that the pods of a node are on.
pub const IP: Part = debian("ip", Fit::Any, "iproute2", "/usr/sbin/ip", &["-V"]);

/// The rules with which kube-proxy leads Services to pods.
pub const NFT: Part = debian(
    "nft",
    Fit::From(Version::new(1, 0, 1)),
    "nftables",
    "/usr/sbin/nft",
    &["--version"],
);

/// The shell of small test images, linked statically.
pub const BUSYBOX: Part = Part {
    linked_statically: true,
    ..debian(
        "busybox",
        Fit::From(Version::new(1, 30, 0)),
        "busybox-static",
        "/bin/busybox",
        &[],
    )
};

/// Fetches GitHub's published descriptions of its API.
pub const NPM: Part = Part {
    needed_for: Need::Descriptions,
    expected_seconds: 60,
    ..debian(
        "npm",
        Fit::From(Version::new(7, 0, 0)),
        "npm",
        "/usr/bin/npm",
        &["--version"],
    )
};

/// Shows the pages.
pub const CHROMIUM: Part = Part {
    needed_for: Need::Browser,
    expected_seconds: 60,
    ..debian(
        "chromium",
        Fit::From(Version::new(120, 0, 0)),
        "chromium",
        "/usr/bin/chromium",
        &["--version"],
    )
};

/// Drives it.
pub const CHROMEDRIVER: Part = Part {
    needed_for: Need::Browser,
    ..debian(
        "chromedriver",
        Fit::From(Version::new(120, 0, 0)),
        "chromium-driver",
        "/usr/bin/chromedriver",
        &["--version"],
    )
};

/// A server of S3 on a directory, which the gateway's store is tested on.
pub const VERSITYGW: Part = Part {
    name: "versitygw",
    version: "1.8.0",
    fit: Fit::SameMajorFrom(Version::new(1, 5, 0)),
    version_args: &["--version"],
    needed_for: Need::Bucket,
    linked_statically: false,
    recipe: Recipe::GoInstall {
        package: "github.com/versity/versitygw/cmd/versitygw",
        version_variable: "main.Version",
    },
    expected_seconds: 150,
};

/// Checks licences, duplicate and banned crates.
pub const CARGO_DENY: Part = Part {
    name: "cargo-deny",
    version: "0.20.2",
    fit: Fit::From(Version::new(0, 18, 0)),
    version_args: &["--version"],
    needed_for: Need::Checks,
    linked_statically: false,
    recipe: Recipe::Cargo,
    expected_seconds: 161,
};

const fn checker(
    name: &'static str,
    version: &'static str,
    version_args: &'static [&'static str],
    package: &'static str,
    version_variable: &'static str,
) -> Part {
    Part {
        name,
        version,
        fit: Fit::Any,
        version_args,
        needed_for: Need::Checks,
        linked_statically: false,
        recipe: Recipe::GoInstall {
            package,
            version_variable,
        },
        expected_seconds: 40,
    }
}

/// Looks for what is unsafe or fragile in manifests.
pub const KUBE_SCORE: Part = checker(
    "kube-score",
    "1.20.0",
    &["version"],
    "github.com/zegl/kube-score/cmd/kube-score",
    "main.version",
);

/// Holds manifests against the schemas of their kinds.
pub const KUBECONFORM: Part = checker(
    "kubeconform",
    "0.8.0",
    &["-v"],
    "github.com/yannh/kubeconform/cmd/kubeconform",
    "main.version",
);

/// Pushes images to registries, and is a small registry itself.
pub const CRANE: Part = checker(
    "crane",
    "0.22.1",
    &["version"],
    "github.com/google/go-containerregistry/cmd/crane",
    "github.com/google/go-containerregistry/cmd/crane/cmd.Version",
);

/// Compiles the C code of an agent for 64-bit ARM.
pub const GCC_AARCH64: Part = Part {
    needed_for: Need::Checks,
    expected_seconds: 30,
    ..debian(
        "aarch64-linux-gnu-gcc",
        Fit::Any,
        "gcc-aarch64-linux-gnu",
        "/usr/bin/aarch64-linux-gnu-gcc",
        &["--version"],
    )
};

/// Compiles the C code of an agent for Windows.
pub const GCC_WINDOWS: Part = Part {
    needed_for: Need::Checks,
    expected_seconds: 60,
    ..debian(
        "x86_64-w64-mingw32-gcc",
        Fit::Any,
        "gcc-mingw-w64-x86-64",
        "/usr/bin/x86_64-w64-mingw32-gcc",
        &["--version"],
    )
};

/// All parts, in the order in which they are obtained.
pub const ALL: [&Part; 26] = [
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
pub fn chart_checks() -> [&'static Part; 3] {
    [&KUBE_SCORE, &KUBECONFORM, &CRANE]
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
        let built = |part: &&&Part| matches!(part.recipe, Recipe::KubernetesModule { .. });
        assert_eq!(ALL.iter().find(built).unwrap().name, "kube-apiserver");
    }
}
