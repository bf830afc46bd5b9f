//! A node, and what runs on it.

use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use tests::cluster::{NODE_VARIABLE, Node, shared_node};
use tests::images::{BUSYBOX, CHECKOUT, GCC, small_images};
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
    let plane = ControlPlane::start(options).await.unwrap();
    let dir = plane.berth().dir().to_owned();
    let bridge = format!("/sys/class/net/{}", plane.berth().bridge());
    let node = Node::start(plane, &small_images().unwrap()).await.unwrap();
    let install = Install::new(node.access(), "stopped").await.unwrap();
    let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
    pods.create(&PostParams::default(), &pod("a", "sleep 3600"))
        .await
        .unwrap();
    until_phase(&pods, "a", "Running").await;
    let mounts = || std::fs::read_to_string("/proc/mounts").unwrap();
    let here = format!(" {}/", dir.display());
    assert!(mounts().contains(&here));
    assert!(Path::new(&bridge).exists());

    node.stop().await.unwrap();
    assert_eq!(processes_of(&dir), Vec::<u32>::new());
    assert!(!mounts().contains(&here), "{}", mounts());
    assert!(!Path::new(&bridge).exists());
    assert!(!dir.exists());
}

/// The mounts below a directory. No two of containers and pods have the same paths.
fn mounts_in(dir: &Path) -> Vec<String> {
    let here = format!(" {}/", dir.display());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(&here));
    mounts.map(str::to_owned).collect()
}

#[tokio::test]
async fn nothing_is_left_of_a_node_with_a_pod_on_it_when_ctrl_c_has_ended_the_program() {
    let holder = Holder::start(&["--node"], NODE_VARIABLE).await;
    let clusters = [CONTROL_VARIABLE, NODE_VARIABLE].map(|variable| holder.access(variable));
    let [control, node] = &clusters;
    let install = Install::new(node, "interrupted").await.unwrap();
    let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
    pods.create(&PostParams::default(), &pod("a", "sleep 3600"))
        .await
        .unwrap();
    until_phase(&pods, "a", "Running").await;
    let there = [control, node].map(|cluster| Presence::of(cluster.dir()));
    let mounted = mounts_in(node.dir());
    assert!(!mounted.is_empty(), "a pod has mounts");
    // The number of a network device, which is given to no other one.
    let number = node.dir().file_name().unwrap().to_str().unwrap();
    let device = format!("/sys/class/net/prbuild{number}/ifindex");
    let bridge = std::fs::read_to_string(&device).unwrap();

    assert_eq!(holder.interrupt().await, Some(130));
    for cluster in &there {
        assert_eq!(cluster.left(), Left::default(), "{:?}", cluster.dir);
    }
    let left = mounts_in(node.dir());
    assert!(
        mounted.iter().all(|mount| !left.contains(mount)),
        "{left:?}"
    );
    assert_ne!(std::fs::read_to_string(&device).ok(), Some(bridge));
}
