//! A node, and what runs on it.

use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use tests::cluster::{NODE_VARIABLE, Node, shared_node};
use tests::images::{BUSYBOX, CHECKOUT, GCC, small_images};
use tests::parts;
use tokio::io::AsyncWriteExt;

use super::*;

/// A pod that the profile `restricted` admits.
fn pod(name: &str, script: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" },
            },
            "volumes": [{ "name": "tmp", "emptyDir": {} }],
            "containers": [{
                "name": "build", "image": BUSYBOX, "command": ["sh", "-c", script],
                "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                },
            }],
        },
    }))
    .unwrap()
}

async fn until_phase(pods: &Api<Pod>, name: &str, wanted: &str) -> Pod {
    let pod = eventually(
        format!("pod {name} is {wanted}"),
        Duration::from_secs(60),
        async || {
            let pod = pods.get(name).await.map_err(|error| error.to_string())?;
            let status = pod.status.clone().unwrap_or_default();
            let phase = status.phase.clone().unwrap_or_default();
            let over = phase == wanted || phase == "Succeeded" || phase == "Failed";
            if over {
                Ok(pod)
            } else {
                Err(format!("{status:?}"))
            }
        },
    )
    .await;
    if pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        != Some(wanted)
    {
        panic!(
            "pod {name} is not {wanted}: {:?}",
            pods.logs(name, &LogParams::default()).await
        );
    }
    pod
}

#[tokio::test]
async fn a_pod_runs_under_restricted_and_reaches_this_machine_at_the_bridge() {
    let (access, facts) = shared_node();
    let listener = tokio::net::TcpListener::bind((facts.host_address, 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"hello from the machine\n").await.unwrap();
    });
    let install = Install::new(&access, "restricted").await.unwrap();
    let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
    let script = format!(
        "nc {} {} > /dev/termination-log < /dev/null",
        address.ip(),
        address.port()
    );
    pods.create(&PostParams::default(), &pod("a", &script))
        .await
        .unwrap();
    let ended = until_phase(&pods, "a", "Succeeded").await;
    let state = ended.status.unwrap().container_statuses.unwrap()[0]
        .state
        .clone()
        .unwrap();
    assert_eq!(
        state.terminated.unwrap().message.unwrap(),
        "hello from the machine\n"
    );
    server.await.unwrap();

    let mut root = pod("b", "true");
    root.spec.as_mut().unwrap().security_context = None;
    let refused = pods
        .create(&PostParams::default(), &root)
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("violates PodSecurity \"restricted"),
        "{refused}"
    );
    install.cleanup().await.unwrap();
}

#[tokio::test]
async fn the_images_have_git_the_agent_and_a_compiler() {
    let (access, _) = shared_node();
    let install = Install::new(&access, "images").await.unwrap();
    let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
    let compile = "cd /tmp && printf 'int main(void) { return 0; }' > a.c && printf 'a: a.c\n\tcc -o $@ $<\n' > Makefile && make a && ./a";
    let mut build = pod("build", compile);
    build.spec.as_mut().unwrap().containers[0].image = Some(GCC.to_owned());
    let mut checkout = pod("checkout", "");
    let container = &mut checkout.spec.as_mut().unwrap().containers[0];
    container.image = Some(CHECKOUT.to_owned());
    container.command = Some(
        ["git", "ls-remote", "http://127.0.0.1:1/a.git"]
            .map(str::to_owned)
            .to_vec(),
    );
    let mut agent = pod("agent", "");
    let container = &mut agent.spec.as_mut().unwrap().containers[0];
    container.image = Some(CHECKOUT.to_owned());
    container.command = Some(["prbuild-agent", "--help"].map(str::to_owned).to_vec());
    for pod in [&build, &checkout, &agent] {
        pods.create(&PostParams::default(), pod).await.unwrap();
    }
    until_phase(&pods, "build", "Succeeded").await;
    until_phase(&pods, "agent", "Succeeded").await;
    // git and its HTTP helper run; there is nobody to talk to.
    until_phase(&pods, "checkout", "Failed").await;
    let log = pods.logs("checkout", &LogParams::default()).await.unwrap();
    assert!(log.contains("unable to access"), "{log}");
    install.cleanup().await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_of_a_node_that_was_stopped_with_a_pod_on_it() {
    let options = ControlPlaneOptions {
        crds: false,
        pods: true,
        ..ControlPlaneOptions::default()
    };
    let firewall = kubelets_chains();
    let plane = ControlPlane::start(options).await.unwrap();
    let node = Node::start(plane, &small_images().unwrap()).await.unwrap();
    let access = node.access().clone();
    let there = with_a_pod(&access, "stopped").await;
    node.stop().await.unwrap();
    assert_eq!(there.left(), Left::default());
    there.assert_no_traces();
    assert_eq!(kubelets_chains(), firewall);
}

/// How many chains of a kubelet the firewall of this machine has: others may run one here, too.
fn kubelets_chains() -> usize {
    let nft = parts::existing(&parts::NFT).unwrap();
    let mut list = std::process::Command::new(nft);
    let output = list.args(["list", "ruleset"]).output().unwrap();
    let rules = String::from_utf8_lossy(&output.stdout).into_owned();
    let chains = rules.lines().filter(|line| line.contains("chain KUBE-"));
    chains.count()
}

/// A node while a pod runs on it. Its berth may be somebody else's as soon as it is gone.
struct Occupied {
    presence: Presence,
    /// Mounts of pods and containers, which have no two the same paths.
    mounts: Vec<String>,
    /// The bridge, and its number, which no other device gets.
    bridge: (PathBuf, String),
    /// Kept, so that it is the cluster's end that takes the pod away.
    _install: Install,
}

/// Runs a pod that would run for long, and looks at what is there then.
async fn with_a_pod(access: &Access, name: &str) -> Occupied {
    let install = Install::new(access, name).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
    pods.create(&PostParams::default(), &pod("a", "sleep 3600"))
        .await
        .unwrap();
    until_phase(&pods, "a", "Running").await;
    let dir = access.dir();
    let berth = dir.file_name().unwrap().to_str().unwrap();
    let bridge = PathBuf::from(format!("/sys/class/net/prbuild{berth}/ifindex"));
    let number = std::fs::read_to_string(&bridge).unwrap();
    let mounts = mounts_in(dir);
    assert!(!mounts.is_empty(), "a pod has mounts");
    Occupied {
        presence: Presence::of(dir),
        mounts,
        bridge: (bridge, number),
        _install: install,
    }
}

impl Occupied {
    fn left(&self) -> Left {
        self.presence.left()
    }

    fn assert_no_traces(&self) {
        let mounts = mounts_in(&self.presence.dir);
        let left: Vec<_> = self
            .mounts
            .iter()
            .filter(|one| mounts.contains(one))
            .collect();
        assert!(left.is_empty(), "{left:?}");
        let (bridge, number) = &self.bridge;
        assert_ne!(std::fs::read_to_string(bridge).ok().as_ref(), Some(number));
    }
}

/// The mounts below a directory.
fn mounts_in(dir: &Path) -> Vec<String> {
    let here = format!(" {}/", dir.display());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(&here));
    mounts.map(str::to_owned).collect()
}

#[tokio::test]
async fn nothing_is_left_of_a_node_with_a_pod_on_it_when_ctrl_c_has_ended_the_program() {
    let holder = Holder::start(&["--node"], NODE_VARIABLE).await;
    let control = Presence::of(holder.access(CONTROL_VARIABLE).dir());
    let there = with_a_pod(&holder.access(NODE_VARIABLE), "interrupted").await;
    assert_eq!(holder.interrupt().await, Some(130));
    assert_eq!(control.left(), Left::default());
    assert_eq!(there.left(), Left::default());
    there.assert_no_traces();
}
