//! The network of a cluster's pods, as it is on a machine of many clusters.
//!
//! ```text
//!  pods ──┐                       ┌── this machine: API server, kubelet, forge (.1)
//!         ├── bridge of the berth ┤
//!  pods ──┘                       └── router (.2): a network namespace with kube-proxy and CoreDNS
//! ```
//!
//! kube-proxy owns the packet filter of the namespace that it runs in, so each cluster gives it a
//! namespace of its own: clusters do not meet, and this machine's rules stay as they are. Pods send to
//! the router whatever is not on the bridge, which is the addresses of Services.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::ClusterError;
use super::berth::Berth;
use super::control_plane::{ControlPlane, command};
use super::eventually::until;
use super::node::{succeed, write};
use super::process::tail;
use crate::parts;

/// The domain of Services.
pub(super) const DOMAIN: &str = "cluster.local";

/// This machine, as pods see it.
pub(super) fn host(subnet: &str) -> String {
    format!("{subnet}.1")
}

/// Where Services are reached from this machine (by their node port), and where names are asked for.
pub(super) fn router(subnet: &str) -> String {
    format!("{subnet}.2")
}

/// Makes the bridge, with this machine on it, and the router.
pub(super) fn make(berth: &Berth) -> Result<(), ClusterError> {
    let (bridge, subnet) = (berth.bridge(), berth.subnet());
    let (host, router) = (format!("{subnet}.1/24"), format!("{subnet}.2/24"));
    let (outside, name) = (format!("{bridge}r"), bridge.as_str());
    let what = format!("cannot make the pod network {bridge}");
    ip(&what, &["link", "add", name, "type", "bridge"])?;
    ip(&what, &["address", "add", &host, "dev", name])?;
    ip(&what, &["link", "set", name, "up"])?;
    ip(&what, &["netns", "add", name])?;
    // Before there is an interface, which takes over what stands here.
    let shell = "echo 1 >/proc/sys/net/ipv4/ip_forward \
                 && echo 0 >/proc/sys/net/ipv4/conf/all/send_redirects \
                 && echo 0 >/proc/sys/net/ipv4/conf/default/send_redirects";
    ip(&what, &["netns", "exec", name, "sh", "-c", shell])?;
    let (peer, inside) = (
        ["peer", "name", "eth0", "netns", name],
        ["-netns", name, "link", "set"],
    );
    let mut add = vec!["link", "add", outside.as_str(), "type", "veth"];
    add.extend(peer);
    ip(&what, &add)?;
    ip(&what, &["link", "set", &outside, "master", name, "up"])?;
    ip(&what, &[&inside[..], &["lo", "up"]].concat())?;
    ip(
        &what,
        &["-netns", name, "address", "add", &router, "dev", "eth0"],
    )?;
    ip(&what, &[&inside[..], &["eth0", "up"]].concat())
}

fn ip(what: &str, args: &[&str]) -> Result<(), ClusterError> {
    let mut ip = command(&parts::IP)?;
    ip.args(args);
    succeed(ip, what)
}

/// How pods are put on the bridge.
pub(super) fn cni(bridge: &str, addresses: &Path, subnet: &str) -> String {
    let range = serde_json::json!({
        "subnet": format!("{subnet}.0/24"), "rangeStart": format!("{subnet}.10"), "gateway": router(subnet),
    });
    serde_json::json!({
        "cniVersion": "1.0.0", "name": bridge,
        "plugins": [{
            "type": "bridge", "bridge": bridge, "hairpinMode": true,
            "ipam": {"type": "host-local", "dataDir": addresses, "ranges": [[range]], "routes": [{"dst": "0.0.0.0/0"}]},
        }],
    })
    .to_string()
}

/// Starts kube-proxy and CoreDNS in the router. They find what they need when they have started.
pub(super) fn start(plane: &mut ControlPlane) -> Result<(), ClusterError> {
    let (bridge, subnet) = (plane.berth().bridge(), plane.berth().subnet());
    let dir = plane.berth().dir().to_owned();
    let kubeconfig = plane.kubeconfig().to_owned();
    let mut proxy = within(&bridge)?;
    proxy.arg(parts::existing(&parts::KUBE_PROXY)?);
    proxy.arg("--kubeconfig").arg(&kubeconfig);
    proxy.args(["--proxy-mode=nftables", "--hostname-override=127.0.0.1"]);
    // Pods answer each other on the bridge, past the router: it has to stand between the two.
    proxy.args(["--masquerade-all", "--conntrack-max-per-core=0"]);
    proxy.arg(format!("--cluster-cidr={subnet}.0/24"));
    proxy.arg(format!("--nodeport-addresses={subnet}.0/24"));
    // Its rules follow a change at once, and not a second later.
    proxy.arg("--iptables-min-sync-period=100ms");
    let nft = parts::existing(&parts::NFT)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let programs = nft.parent().unwrap_or(Path::new("/usr/sbin")).display();
    proxy.env("PATH", format!("{path}:{programs}"));
    plane.start_process("kube-proxy", &proxy)?;

    let corefile = dir.join("Corefile");
    write(&corefile, &names(&router(&subnet), &kubeconfig))?;
    let mut coredns = within(&bridge)?;
    coredns.arg(parts::existing(&parts::COREDNS)?);
    coredns.arg("-conf").arg(&corefile);
    plane.start_process("coredns", &coredns)
}

/// A command that is run in the router.
fn within(bridge: &str) -> Result<Command, ClusterError> {
    let mut command = command(&parts::IP)?;
    command.args(["netns", "exec", bridge]);
    Ok(command)
}

fn names(address: &str, kubeconfig: &Path) -> String {
    format!(
        ".:53 {{\n  bind {address}\n  errors\n  kubernetes {DOMAIN} {{\n    kubeconfig {}\n    ttl 1\n  }}\n}}\n",
        kubeconfig.display()
    )
}

/// Waits until the API server is reached by its Service.
pub(super) async fn until_services(plane: &mut ControlPlane) -> Result<(), ClusterError> {
    const SECONDS: u64 = 30;
    let bridge = plane.berth().bridge();
    let led = until(Duration::from_secs(SECONDS), async || {
        let mut rules = within(&bridge).map_err(|error| error.to_string())?;
        let nft = parts::existing(&parts::NFT).map_err(|error| error.to_string())?;
        rules.arg(nft).args(["list", "table", "ip", "kube-proxy"]);
        let listed = rules.output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        // The first address of the range is the API server's.
        match text.contains("10.0.0.1 . tcp . 443 : goto") {
            true => Ok(()),
            false => Err("kube-proxy has not written its rules yet".to_owned()),
        }
    })
    .await;
    let log = |plane: &mut ControlPlane| {
        let proxy = plane.process("kube-proxy");
        proxy
            .map(|proxy| tail(&proxy.log(), 15))
            .unwrap_or_default()
    };
    led.map_err(|last| ClusterError::NotReady {
        what: "the network of Services".to_owned(),
        seconds: SECONDS,
        last,
        log: log(plane),
    })
}

/// What a pod asks for names, as the kubelet is told.
pub(super) fn kubelet_settings(subnet: &str) -> serde_json::Value {
    serde_json::json!({ "clusterDNS": [router(subnet)], "clusterDomain": DOMAIN })
}

/// Whether a network namespace of this name is there.
pub(super) fn namespace_exists(name: &str) -> bool {
    fs::symlink_metadata(Path::new("/run/netns").join(name)).is_ok()
}
