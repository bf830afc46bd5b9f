//! A node of a control plane: scheduler, containerd, kubelet, and a pod network of its own.
//!
//! Works as root where cgroups are v1 and capabilities are missing, without systemd, and never
//! touches the system's containerd.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::Api;
use serde::{Deserialize, Serialize};

use super::ClusterError;
#[cfg(doc)]
use super::ControlPlaneOptions;
use super::access::Access;
use super::control_plane::{ControlPlane, as_admin, command};
use super::eventually::until;
use super::network;
use super::process::tail;
use crate::images::Image;
use crate::parts;

/// What one must know of a node to use it from another program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Address of this machine on the pods' bridge. What listens there can be reached from pods.
    pub host_address: Ipv4Addr,
    /// Where Services are reached from this machine, by their node port.
    pub router_address: Ipv4Addr,
    /// Name of the bridge.
    pub bridge: String,
    /// Socket of its containerd.
    pub containerd: PathBuf,
}

/// A control plane with a node that runs containers. Dropping it takes all of it down.
#[derive(Debug)]
pub struct Node {
    plane: ControlPlane,
    facts: NodeFacts,
}

impl Node {
    /// Adds the node to a control plane that pods reach ([`ControlPlaneOptions::pods`]), imports images, and waits until pods can run.
    pub async fn start(mut plane: ControlPlane, images: &[Image]) -> Result<Self, ClusterError> {
        if !rustix::process::geteuid().is_root() {
            return Err(ClusterError::NotRoot);
        }
        let dir = plane.berth().dir().to_owned();
        let subnet = plane.berth().subnet();
        let facts = NodeFacts {
            host_address: address(&network::host(&subnet)),
            router_address: address(&network::router(&subnet)),
            bridge: plane.berth().bridge(),
            containerd: dir.join("containerd.sock"),
        };
        let pods = network::cni(&facts.bridge, &dir.join("addresses"), &subnet);
        write(&dir.join("cni/10-prbuild.conflist"), &pods)?;
        write(&dir.join("containerd.toml"), &containerd_config(&dir)?)?;
        let mut containerd = command(&parts::CONTAINERD)?;
        containerd.arg("--config").arg(dir.join("containerd.toml"));
        plane.start_process("containerd", &containerd)?;
        let mut scheduler = command(&parts::KUBE_SCHEDULER)?;
        as_admin(&mut scheduler, &dir, plane.berth().port(4));
        plane.start_process("kube-scheduler", &scheduler)?;
        network::start(&mut plane)?;
        containerd_answers(&mut plane, &facts).await?;
        let mut this = Self { plane, facts };
        this.start_kubelet(&dir)?;
        // The kubelet takes seconds to start, so the images are there before the first pod.
        this.import(images)?;
        this.until_ready().await?;
        network::until_services(&mut this.plane).await?;
        let json = serde_json::to_string(&this.facts).unwrap_or_default();
        write(&dir.join("node.json"), &json)?;
        Ok(this)
    }

    /// How to talk to its API server.
    pub fn access(&self) -> &Access {
        self.plane.access()
    }

    /// Its control plane.
    pub fn control_plane(&mut self) -> &mut ControlPlane {
        &mut self.plane
    }

    /// Address of this machine, as pods see it.
    pub fn host_address(&self) -> Ipv4Addr {
        self.facts.host_address
    }

    /// What one must know of it.
    pub fn known(&self) -> &NodeFacts {
        &self.facts
    }

    /// Loads images into its containerd. Pods must not say `imagePullPolicy: Always`.
    pub fn import(&self, images: &[Image]) -> Result<(), ClusterError> {
        // Each import waits for the disk most of the time.
        std::thread::scope(|scope| {
            let import = |image| scope.spawn(move || self.facts.import(image));
            let imports: Vec<_> = images.iter().map(import).collect();
            let mut joined = imports.into_iter().map(|import| import.join());
            joined.try_for_each(|result| {
                result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
    }

    /// Takes it down and waits until it is gone.
    pub async fn stop(self) -> Result<(), ClusterError> {
        self.plane.stop().await
    }

    /// The facts of the node whose cluster has this directory.
    pub(super) fn facts(dir: &Path) -> Result<NodeFacts, ClusterError> {
        let path = dir.join("node.json");
        let text = fs::read(&path).map_err(ClusterError::io(&path))?;
        serde_json::from_slice(&text).map_err(|error| ClusterError::Kubeconfig {
            path,
            because: error.to_string(),
        })
    }

    fn start_kubelet(&mut self, dir: &Path) -> Result<(), ClusterError> {
        let (port, subnet) = (self.plane.berth().port(5), self.plane.berth().subnet());
        let config = kubelet_config(dir, port, &self.facts.containerd, &subnet);
        write(&dir.join("kubelet.json"), &config)?;
        let mut kubelet = command(&parts::KUBELET)?;
        kubelet.arg("--config").arg(dir.join("kubelet.json"));
        kubelet
            .arg("--kubeconfig")
            .arg(dir.join("kubelet.kubeconfig"));
        kubelet.arg("--root-dir").arg(dir.join("kubelet"));
        kubelet.arg("--cert-dir").arg(dir.join("pki"));
        // A legal name of a node, by which the API server reaches the kubelet over loopback.
        kubelet.arg("--hostname-override=127.0.0.1");
        self.plane.start_process("kubelet", &kubelet)
    }

    async fn until_ready(&mut self) -> Result<(), ClusterError> {
        const SECONDS: u64 = 60;
        let nodes: Api<NodeObject> = Api::all(self.plane.client().await?);
        let mut kubelet = self.plane.process("kubelet");
        let mut died = None;
        let ready = until(Duration::from_secs(SECONDS), async || {
            if let Some(Err(error)) = kubelet.as_mut().map(|kubelet| kubelet.must_live()) {
                died = Some(error);
                return Ok(());
            }
            let node = nodes
                .get("127.0.0.1")
                .await
                .map_err(|error| error.to_string())?;
            let conditions = node
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            let condition = conditions
                .into_iter()
                .find(|condition| condition.type_ == "Ready");
            let tainted = node
                .spec
                .and_then(|spec| spec.taints)
                .is_some_and(|taints| !taints.is_empty());
            match condition {
                Some(condition) if condition.status == "True" && !tainted => Ok(()),
                Some(condition) => Err(condition.message.unwrap_or_default()),
                None => Err("it has no condition Ready".to_owned()),
            }
        })
        .await;
        match (died, ready) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(()),
            (None, Err(last)) => Err(ClusterError::NotReady {
                what: "the node".to_owned(),
                seconds: SECONDS,
                last,
                log: kubelet
                    .map(|kubelet| tail(&kubelet.log(), 15))
                    .unwrap_or_default(),
            }),
        }
    }
}

impl NodeFacts {
    /// Loads an image into the node's containerd.
    pub fn import(&self, image: &Image) -> Result<(), ClusterError> {
        let tar = image.tar().to_string_lossy();
        self.ctr(
            &["images", "import", &tar],
            &format!("cannot import the image {}", image.reference()),
        )
    }

    fn ctr(&self, args: &[&str], what: &str) -> Result<(), ClusterError> {
        let mut ctr = command(&parts::CTR)?;
        ctr.arg("--address")
            .arg(&self.containerd)
            .args(["--namespace", "k8s.io"])
            .args(args);
        succeed(ctr, what)
    }
}

async fn containerd_answers(
    plane: &mut ControlPlane,
    facts: &NodeFacts,
) -> Result<(), ClusterError> {
    let mut died = None;
    let answered = until(Duration::from_secs(20), async || {
        if let Some(Err(error)) = plane
            .process("containerd")
            .map(|process| process.must_live())
        {
            died = Some(error);
            return Ok(());
        }
        if !facts.containerd.exists() {
            return Err("it has no socket".to_owned());
        }
        facts
            .ctr(&["version"], "it does not answer")
            .map_err(|error| error.to_string())
    })
    .await;
    match (died, answered) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(last)) => Err(ClusterError::NotReady {
            what: "containerd".to_owned(),
            seconds: 20,
            last,
            log: plane
                .process("containerd")
                .map(|process| tail(&process.log(), 15))
                .unwrap_or_default(),
        }),
    }
}

fn address(text: &str) -> Ipv4Addr {
    text.parse().unwrap_or(Ipv4Addr::LOCALHOST)
}

fn containerd_config(dir: &Path) -> Result<String, ClusterError> {
    let runc = parts::existing(&parts::RUNC)?;
    let cni = parts::existing(&parts::CNI_BRIDGE)?;
    let plugins = cni.parent().unwrap_or(Path::new("/usr/lib/cni"));
    let (dir, pause) = (dir.display(), crate::images::PAUSE);
    // `restrict_oom_score_adj`: lowering a score is refused where CAP_SYS_RESOURCE is missing, and
    // then no container would start. The registry of the tests' names is never asked: it is nowhere.
    Ok(format!(
        r#"version = 2
root = "{dir}/containerd"
state = "{dir}/containerd-state"
[grpc]
  address = "{dir}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_tcp_service = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{plugins}"
  conf_dir = "{dir}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  Root = "{dir}/runc"
"#,
        plugins = plugins.display(),
        runc = runc.display(),
    ))
}

fn kubelet_config(dir: &Path, port: u16, containerd: &Path, subnet: &str) -> String {
    let mut config = serde_json::json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": "127.0.0.1", "port": port, "healthzPort": 0, "readOnlyPort": 0,
        // Only this machine reaches it.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": format!("unix://{}", containerd.display()),
        "podLogsDir": dir.join("pod-logs"), "staticPodPath": "", "registerNode": true,
        // What works without systemd, with cgroups of either version.
        "failCgroupV1": false, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [], "failSwapOn": false, "localStorageCapacityIsolation": false,
        "imageGCHighThresholdPercent": 100, "evictionHard": {"memory.available": "50Mi"},
        "maxPods": 200, "serializeImagePulls": false, "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "4s", "kubeAPIQPS": 500, "kubeAPIBurst": 1000,
        "resolvConf": "/etc/resolv.conf",
        // Its own rules would stay in this machine's firewall; kube-proxy has what it needs by itself.
        "makeIPTablesUtilChains": false,
        // Values that were mounted follow their ConfigMap or Secret soon.
        "configMapAndSecretChangeDetectionStrategy": "Watch",
    });
    let names = network::kubelet_settings(subnet);
    if let (Some(config), Some(names)) = (config.as_object_mut(), names.as_object()) {
        config.extend(names.clone());
    }
    config.to_string()
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), ClusterError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(ClusterError::io(parent))?;
    fs::write(path, text).map_err(ClusterError::io(path))
}

pub(super) fn succeed(mut command: Command, what: &str) -> Result<(), ClusterError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(ClusterError::start(&program))?;
    if output.status.success() {
        return Ok(());
    }
    Err(ClusterError::Command {
        what: what.to_owned(),
        because: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
