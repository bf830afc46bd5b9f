//! The clusters themselves: what all other tests stand on.

mod node;
mod parts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tests::cluster::{
    Access, CONTROL_VARIABLE, ControlPlane, ControlPlaneOptions, Ending, Fate, Install, MARK,
    StandIn, eventually, shared_control_plane,
};
use tests::story::PATIENCE;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const BARE: ControlPlaneOptions = ControlPlaneOptions {
    controllers: false,
    fast_controllers: false,
    crds: false,
    pods: false,
};

/// In the directory of a cluster.
const KUBECONFIG: &str = "kubeconfig";

/// Processes of a berth, by what their environment says.
fn processes_of(berth: &Path) -> Vec<u32> {
    let mark = format!("PRBUILD_BERTH={}", berth.display());
    let marked = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(marked).collect()
}

/// A cluster while it is there. Its berth may be somebody else's as soon as it is gone.
struct Presence {
    dir: PathBuf,
    processes: Vec<u32>,
    /// No two clusters have the same.
    kubeconfig: Vec<u8>,
}

/// What of a cluster is still there.
#[derive(Debug, Default, PartialEq)]
struct Left {
    processes: Vec<u32>,
    files: bool,
}

impl Presence {
    fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            processes: processes_of(dir),
            kubeconfig: std::fs::read(dir.join(KUBECONFIG)).unwrap(),
        }
    }

    fn left(&self) -> Left {
        let now = processes_of(&self.dir);
        let ours = |pid: &u32| self.processes.contains(pid);
        let kubeconfig = std::fs::read(self.dir.join(KUBECONFIG)).unwrap_or_default();
        Left {
            processes: now.into_iter().filter(ours).collect(),
            files: kubeconfig == self.kubeconfig,
        }
    }
}

async fn make_namespace(client: Client, name: &str) {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    Api::all(client)
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
}

#[tokio::test]
async fn two_control_planes_run_side_by_side_and_do_not_meet_and_nothing_is_left_of_one_that_stops()
{
    let (one, other) = tokio::join!(ControlPlane::start(BARE), ControlPlane::start(BARE));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.berth().dir(), other.berth().dir());
    make_namespace(one.client().await.unwrap(), "only-here").await;
    let namespaces: Api<Namespace> = Api::all(other.client().await.unwrap());
    assert!(namespaces.get_opt("only-here").await.unwrap().is_none());

    let there = Presence::of(one.berth().dir());
    assert_eq!(there.processes.len(), 2, "etcd and kube-apiserver");
    one.stop().await.unwrap();
    assert_eq!(there.left(), Left::default());
    namespaces.list(&ListParams::default()).await.unwrap();
    other.stop().await.unwrap();
}

/// `cargo xtask cluster`, as a shell starts it: in a process group of its own, on a machine that reaches the Internet
/// by a proxy, which knows no cluster. Dropping it kills it.
struct Holder {
    child: Child,
    /// The kubeconfigs of its clusters, by the variables that lead to them.
    kubeconfigs: BTreeMap<String, PathBuf>,
    /// Kept open: who prints into a closed pipe ends.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    /// Starts it, and waits until it has told of the last of these clusters.
    async fn start(args: &[&str], last: &str) -> Self {
        let mut command = Command::new(crate::beside("xtask"));
        command.arg("cluster").args(args).process_group(0);
        command.env("HTTPS_PROXY", "http://127.0.0.1:1");
        // It ends with the cluster of these tests where nobody is left to drop it.
        command.env(MARK, shared_control_plane().dir());
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut kubeconfigs = BTreeMap::new();
        while !kubeconfigs.contains_key(last) {
            let line = lines.next_line().await.unwrap();
            let line = line.expect("`xtask cluster` prints where its clusters are");
            let export = line.strip_prefix("export ").unwrap_or_default();
            if let Some((name, path)) = export.split_once('=') {
                kubeconfigs.insert(name.to_owned(), PathBuf::from(path));
            }
        }
        Self {
            child,
            kubeconfigs,
            _lines: lines,
        }
    }

    fn access(&self, variable: &str) -> Access {
        Access::by(&self.kubeconfigs[variable])
    }

    /// Ctrl-C, which a terminal tells the whole process group. Returns the exit code.
    async fn interrupt(mut self) -> Option<i32> {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process_group(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends").unwrap().code()
    }
}

#[tokio::test]
async fn a_control_plane_goes_with_the_program_that_started_it_even_if_that_is_killed() {
    let mut holder = Holder::start(&[], CONTROL_VARIABLE).await;
    let there = Presence::of(holder.access(CONTROL_VARIABLE).dir());
    assert!(there.processes.len() >= 2, "{:?}", there.processes);
    holder.child.kill().await.unwrap();
    eventually("its cluster is gone", PATIENCE, async || {
        let left = there.left();
        if left == Left::default() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_is_left_of_a_control_plane_when_ctrl_c_has_ended_the_program() {
    let holder = Holder::start(&[], CONTROL_VARIABLE).await;
    let there = Presence::of(holder.access(CONTROL_VARIABLE).dir());
    assert!(there.processes.len() >= 2, "{:?}", there.processes);
    assert_eq!(holder.interrupt().await, Some(130));
    assert_eq!(there.left(), Left::default());
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
    eventually(
        format!("Job {name} ends"),
        Duration::from_secs(30),
        async || {
            let job = jobs.get(name).await.map_err(|error| error.to_string())?;
            let conditions = job
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            let ended = conditions
                .iter()
                .find(|one| matches!(one.type_.as_str(), "Complete" | "Failed"));
            ended
                .map(|one| one.type_.clone())
                .ok_or_else(|| format!("{conditions:?}"))
        },
    )
    .await
}

#[tokio::test]
async fn the_stand_in_ends_jobs_as_its_script_says() {
    let install = Install::new(&shared_control_plane(), "stand-in")
        .await
        .unwrap();
    let _kubelet = StandIn::start(install.client(), install.builds(), |pod| {
        if pod.name_any().starts_with("good") {
            Fate::passes().after(Duration::from_millis(50))
        } else {
            Fate::ends(Ending::OutOfMemory)
        }
    });
    let jobs: Api<Job> = Api::namespaced(install.client(), install.builds());
    for name in ["good", "bad"] {
        jobs.create(&PostParams::default(), &job(name))
            .await
            .unwrap();
    }
    assert_eq!(condition_of_job(&jobs, "good").await, "Complete");
    assert_eq!(condition_of_job(&jobs, "bad").await, "Failed");

    let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
    let pod = pods
        .list(&ListParams::default().labels("job-name=good"))
        .await
        .unwrap()
        .items
        .remove(0);
    let status = pod.status.unwrap();
    let checkout = status.init_container_statuses.unwrap()[0]
        .state
        .clone()
        .unwrap();
    let report = checkout.terminated.unwrap().message.unwrap();
    assert!(report.contains(&"a".repeat(40)), "{report}");
    install.cleanup().await.unwrap();
}

#[tokio::test]
async fn what_lies_in_no_namespace_goes_with_its_install() {
    let install = Install::new(&shared_control_plane(), "whole")
        .await
        .unwrap();
    let namespace = install.namespace().to_owned();
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(install.client());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(install.client());
    let there = async || {
        let all = ListParams::default();
        let policies = policies.list(&all).await.unwrap().items;
        let bindings = bindings.list(&all).await.unwrap().items;
        let policies = policies.iter().map(ResourceExt::name_any);
        let names = policies.chain(bindings.iter().map(ResourceExt::name_any));
        names.filter(|name| name.ends_with(&namespace)).count()
    };
    assert!(there().await >= 2, "the chart's policies are in force");
    install.cleanup().await.unwrap();
    assert_eq!(there().await, 0);

    let install = Install::new(&shared_control_plane(), "whole")
        .await
        .unwrap();
    let dropped = install.namespace().to_owned();
    drop(install);
    let left = policies.list(&ListParams::default()).await.unwrap().items;
    let left = left.iter().map(ResourceExt::name_any);
    assert_eq!(left.filter(|name| name.ends_with(&dropped)).count(), 0);
}

#[tokio::test]
async fn namespaces_go_with_their_install_unless_the_cluster_ends_soon() {
    let lasting = Access::by(shared_control_plane().kubeconfig());
    for (access, goes) in [(lasting.clone(), true), (lasting.that_ends(), false)] {
        let install = Install::new(&access, "going").await.unwrap();
        let namespaces: Api<Namespace> = Api::all(install.client());
        let names = [install.namespace(), install.builds()].map(str::to_owned);
        install.cleanup().await.unwrap();
        for name in names {
            let found = namespaces.get_opt(&name).await.unwrap();
            let stays = found.is_some_and(|one| one.metadata.deletion_timestamp.is_none());
            assert_eq!(stays, !goes, "{name}");
        }
    }
}

#[tokio::test]
async fn the_stand_in_copes_with_a_thousand_pods() {
    const PODS: usize = 1000;
    let install = Install::new(&shared_control_plane(), "many").await.unwrap();
    let kubelet = StandIn::passing(install.client(), install.builds());
    let template = job("a").spec.unwrap().template;
    let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
    let create = |n: usize| {
        let mut pod = Pod {
            spec: template.spec.clone(),
            ..Pod::default()
        };
        pod.metadata.name = Some(format!("a{n}"));
        let pods = pods.clone();
        async move { pods.create(&PostParams::default(), &pod).await.unwrap() }
    };
    futures::stream::iter((0..PODS).map(create))
        .buffer_unordered(16)
        .for_each(async |_| ())
        .await;
    eventually("all pods have ended", Duration::from_secs(60), async || {
        let finished = kubelet.finished();
        if finished == PODS as u64 {
            Ok(())
        } else {
            Err(format!("{finished} of {PODS}"))
        }
    })
    .await;
    install.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_bound_pod_is_let_go_after_its_containers_ended() {
    let install = Install::new(&shared_control_plane(), "bound")
        .await
        .unwrap();
    let _kubelet = StandIn::start(install.client(), install.builds(), |_| {
        let fate = Fate::ends(Ending::Never).after(Duration::from_millis(1));
        Fate { bind: true, ..fate }
    });
    let jobs: Api<Job> = Api::namespaced(install.client(), install.builds());
    jobs.create(&PostParams::default(), &job("endless"))
        .await
        .unwrap();
    let pods: Api<Pod> = Api::namespaced(install.client(), install.builds());
    let name = eventually("the pod runs", Duration::from_secs(60), async || {
        let pods = pods
            .list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())?;
        let pod = pods.items.first().ok_or("no pod")?;
        let status = pod.status.as_ref().ok_or("no status")?;
        let bound = pod
            .spec
            .as_ref()
            .is_some_and(|spec| spec.node_name.is_some());
        let running = bound && status.phase.as_deref() == Some("Running");
        if running {
            Ok(pod.name_any())
        } else {
            Err(format!("{:?}", status.phase))
        }
    })
    .await;
    jobs.delete("endless", &kube::api::DeleteParams::background())
        .await
        .unwrap();
    eventually(
        "the pod is gone",
        Duration::from_secs(60),
        async || match pods
            .get_opt(&name)
            .await
            .map_err(|error| error.to_string())?
        {
            None => Ok(()),
            Some(pod) => Err(format!("{:?}", pod.metadata)),
        },
    )
    .await;
    install.cleanup().await.unwrap();
}
