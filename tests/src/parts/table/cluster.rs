//! The programs that a cluster consists of, and those that one works on it with. Pure data.

use super::{GoCommand, Need, Part, Recipe, debian};
use crate::parts::version::{Fit, Version};

/// Version of Kubernetes whose parts are built.
pub const KUBERNETES: &str = "1.35.4";
/// Version of etcd that is built: what else is in the module asks for no newer one.
pub const ETCD: &str = "3.6.13";
/// Version of Helm that is built: as those below, the latest that is made of Kubernetes' own libraries of the
/// version above, which are most of it.
pub const HELM: &str = "4.1.4";
const COREDNS_VERSION: &str = "1.14.7";
/// Version of Prometheus, as its Go module counts, whose promtool is built.
pub(super) const PROMETHEUS: &str = "0.314.0";

/// What the module requires in which commands are built ([`Recipe::GoModule`]): modules and versions.
pub const REQUIRED: [(&str, &str); 5] = [
    ("k8s.io/kubernetes", KUBERNETES),
    ("go.etcd.io/etcd/server/v3", ETCD),
    ("helm.sh/helm/v4", HELM),
    ("github.com/coredns/coredns", COREDNS_VERSION),
    ("github.com/prometheus/prometheus", PROMETHEUS),
];

const fn kubernetes(name: &'static str, package: &'static str, need: Need, seconds: u64) -> Part {
    Part {
        name,
        version: KUBERNETES,
        fit: Fit::Minor(1, 35),
        version_args: &["--version"],
        needed_for: need,
        linked_statically: false,
        recipe: Recipe::GoModule(GoCommand::new(
            package,
            "k8s.io/component-base/version.gitVersion",
        )),
        expected_seconds: seconds,
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
    recipe: Recipe::GoModule(GoCommand::new("go.etcd.io/etcd/server/v3", "")),
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
    version: COREDNS_VERSION,
    fit: Fit::Any,
    version_args: &["-version"],
    needed_for: Need::Node,
    linked_statically: false,
    // One of ours, with fewer plugins.
    recipe: Recipe::GoModule(GoCommand::new("./names", "")),
    expected_seconds: 15,
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
    recipe: Recipe::GoModule(GoCommand::new(
        "helm.sh/helm/v4/cmd/helm",
        "helm.sh/helm/v4/internal/version.version",
    )),
    expected_seconds: 25,
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
