//! The clusters themselves: what all other tests stand on.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tests::cluster::{
    ControlPlane, ControlPlaneOptions, Ending, Fate, Install, StandIn, eventually, shared_control_plane,
};

const BARE: ControlPlaneOptions =
    ControlPlaneOptions { controllers: false, fast_controllers: false, crds: false };

/// Processes of a berth, by what their environment says.
fn processes_of(berth: &Path) -> Vec<u32> {
    let mark = format!("PRBUILD_BERTH={}", berth.display());
    let marked = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(marked).collect()
}

async fn make_namespace(client: Client, name: &str) {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    Api::all(client).create(&PostParams::default(), &namespace).await.unwrap();
}

#[tokio::test]
async fn two_control_planes_run_side_by_side_and_do_not_meet() {
    let (one, other) = tokio::join!(ControlPlane::start(BARE), ControlPlane::start(BARE));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.berth().dir(), other.berth().dir());
    make_namespace(one.client().await.unwrap(), "only-here").await;
    let namespaces: Api<Namespace> = Api::all(other.client().await.unwrap());
    assert!(namespaces.get_opt("only-here").await.unwrap().is_none());

    one.stop().await.unwrap();
    namespaces.list(&ListParams::default()).await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_of_a_control_plane_that_was_stopped() {
    let plane = ControlPlane::start(BARE).await.unwrap();
    let dir = plane.berth().dir().to_owned();
    assert_eq!(processes_of(&dir).len(), 2, "etcd and kube-apiserver");
    plane.stop().await.unwrap();
    assert_eq!(processes_of(&dir), Vec::<u32>::new());
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_control_plane_goes_with_the_program_that_started_it_even_if_that_is_killed() {
    use tokio::io::{AsyncBufReadExt, BufReader};

    let mut command = tokio::process::Command::new(beside("xtask"));
    command.arg("cluster").stdout(std::process::Stdio::piped()).kill_on_drop(true);
    let mut holder = command.spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let kubeconfig = loop {
        let line = lines.next_line().await.unwrap().expect("`xtask cluster` prints its kubeconfig");
        if let Some(path) = line.strip_prefix("export KUBECONFIG=") {
            break path.to_owned();
        }
    };
    let dir = Path::new(&kubeconfig).parent().unwrap();
    assert!(processes_of(dir).len() >= 2);
    holder.kill().await.unwrap();
    eventually("its cluster is gone", Duration::from_secs(20), async || {
        let left = processes_of(dir);
        if left.is_empty() && !dir.exists() { Ok(()) } else { Err(format!("processes {left:?}")) }
    })
    .await;
}

/// A program that was built with this test.
fn beside(name: &str) -> std::path::PathBuf {
    let exe = std::env::current_exe().unwrap();
    let program = exe.parent().unwrap().parent().unwrap().join(name);
    assert!(program.is_file(), "there is no {}: run `cargo xtask test`", program.display());
    program
}

/// A Job as the operator makes them, as far as pods and their endings go.
fn job(name: &str) -> Job {
    let source = json!({
        "repositoryId": 1, "repository": "o/r", "cloneUrl": "http://h/o/r.git", "pullRequest": 7,
        "commit": "a".repeat(40), "headSha": "c".repeat(40), "baseRef": "main",
    });
    let hardened = json!({
        "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
    });
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": { "backoffLimit": 0, "template": { "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" },
            },
            "initContainers": [{ "name": "checkout", "image": "i", "securityContext": hardened,
                "env": [{ "name": "PRBUILD_SOURCE", "value": source.to_string() }] }],
            "containers": [{ "name": "build", "image": "j", "securityContext": hardened }],
        }}},
    }))
    .unwrap()
}

async fn condition_of_job(jobs: &Api<Job>, name: &str) -> String {
    eventually(format!("job {name} ends"), Duration::from_secs(30), async || {
        let job = jobs.get(name).await.map_err(|error| error.to_string())?;
        let conditions = job.status.and_then(|status| status.conditions).unwrap_or_default();
        let ended = conditions.iter().find(|one| matches!(one.type_.as_str(), "Complete" | "Failed"));
        ended.map(|one| one.type_.clone()).ok_or_else(|| format!("{conditions:?}"))
    })
    .await
}

#[tokio::test]
async fn the_stand_in_ends_jobs_as_its_script_says() {
    let install = Install::new(&shared_control_plane(), "stand-in").await.unwrap();
    let _kubelet = StandIn::start(install.client(), install.builds(), |pod| {
        if pod.name_any().starts_with("good") {
            Fate::passes().after(Duration::from_millis(50))
        } else {
            Fate::ends(Ending::OutOfMemory)
        }
    });
    let jobs: Api<Job> = Api::namespaced(install.client(), install.builds());
    for name in ["good", "bad"] {
        jobs.create(&PostParams::default(), &job(name)).await.unwrap();
    }
    assert_eq!(condition_of_job(&jobs, "good").await, "Complete");
    assert_eq!(condition_of_job(&jobs, "bad").await, "Failed");

    let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
    let pod = pods.list(&ListParams::default().labels("job-name=good")).await.unwrap().items.remove(0);
    let status = pod.status.unwrap();
    let checkout = status.init_container_statuses.unwrap()[0].state.clone().unwrap();
    let report = checkout.terminated.unwrap().message.unwrap();
    assert!(report.contains(&"a".repeat(40)), "{report}");
    install.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_bound_pod_is_let_go_after_its_containers_ended() {
    let install = Install::new(&shared_control_plane(), "bound").await.unwrap();
    let _kubelet = StandIn::start(install.client(), install.builds(), |_| {
        let fate = Fate::ends(Ending::Never).after(Duration::from_millis(1));
        Fate { bind: true, ..fate }
    });
    let jobs: Api<Job> = Api::namespaced(install.client(), install.builds());
    jobs.create(&PostParams::default(), &job("endless")).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
    let name = eventually("the pod runs", Duration::from_secs(20), async || {
        let pods = pods.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let pod = pods.items.first().ok_or("no pod")?;
        let status = pod.status.as_ref().ok_or("no status")?;
        let bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        let running = bound && status.phase.as_deref() == Some("Running");
        if running { Ok(pod.name_any()) } else { Err(format!("{:?}", status.phase)) }
    })
    .await;
    jobs.delete("endless", &kube::api::DeleteParams::background()).await.unwrap();
    eventually("the pod is gone", Duration::from_secs(20), async || {
        match pods.get_opt(&name).await.map_err(|error| error.to_string())? {
            None => Ok(()),
            Some(pod) => Err(format!("{:?}", pod.metadata)),
        }
    })
    .await;
    install.cleanup().await.unwrap();
}

mod node {
    use k8s_openapi::api::core::v1::Pod;
    use kube::api::LogParams;
    use tests::cluster::{Node, shared_node};
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
        let pod = eventually(format!("pod {name} is {wanted}"), Duration::from_secs(60), async || {
            let pod = pods.get(name).await.map_err(|error| error.to_string())?;
            let status = pod.status.clone().unwrap_or_default();
            let phase = status.phase.clone().unwrap_or_default();
            let over = phase == wanted || phase == "Succeeded" || phase == "Failed";
            if over { Ok(pod) } else { Err(format!("{status:?}")) }
        })
        .await;
        if pod.status.as_ref().and_then(|status| status.phase.as_deref()) != Some(wanted) {
            panic!("pod {name} is not {wanted}: {:?}", pods.logs(name, &LogParams::default()).await);
        }
        pod
    }

    #[tokio::test]
    async fn a_pod_runs_under_restricted_and_reaches_this_machine_at_the_bridge() {
        let (access, facts) = shared_node();
        let listener = tokio::net::TcpListener::bind((facts.host_address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"hello from the machine\n").await.unwrap();
        });
        let install = Install::new(&access, "restricted").await.unwrap();
        let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
        let script = format!("nc {} {} > /dev/termination-log < /dev/null", address.ip(), address.port());
        pods.create(&PostParams::default(), &pod("a", &script)).await.unwrap();
        let ended = until_phase(&pods, "a", "Succeeded").await;
        let state = ended.status.unwrap().container_statuses.unwrap()[0].state.clone().unwrap();
        assert_eq!(state.terminated.unwrap().message.unwrap(), "hello from the machine\n");
        server.await.unwrap();

        let mut root = pod("b", "true");
        root.spec.as_mut().unwrap().security_context = None;
        let refused = pods.create(&PostParams::default(), &root).await.unwrap_err();
        assert!(refused.to_string().contains("violates PodSecurity \"restricted"), "{refused}");
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
        container.command = Some(["git", "ls-remote", "http://127.0.0.1:1/a.git"].map(str::to_owned).to_vec());
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
        let options = ControlPlaneOptions { crds: false, ..ControlPlaneOptions::default() };
        let plane = ControlPlane::start(options).await.unwrap();
        let dir = plane.berth().dir().to_owned();
        let bridge = format!("/sys/class/net/{}", plane.berth().bridge());
        let node = Node::start(plane, &small_images().unwrap()).await.unwrap();
        let install = Install::new(node.access(), "stopped").await.unwrap();
        let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
        pods.create(&PostParams::default(), &pod("a", "sleep 3600")).await.unwrap();
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
}
