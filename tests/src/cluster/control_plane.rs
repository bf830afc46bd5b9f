//! etcd and kube-apiserver, and the controllers where Jobs are wanted. Ready in about 3 s.
//!
//! All default admission plugins are on, so Pod Security, quotas, admission policies and service
//! accounts are the real ones. Nothing listens beyond 127.0.0.1 and the bridge of its own pods.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kube::Client;

use super::access::Access;
use super::berth::Berth;
use super::eventually::until;
use super::process::{Process, tail};
use super::{ClusterError, keys, manifests, network};
use crate::parts::{self, Part};

/// What runs beside the API server, and how.
#[derive(Clone, Copy, Debug)]
pub struct ControlPlaneOptions {
    /// Run the controllers: Jobs make pods, namespaces and garbage are collected.
    pub controllers: bool,
    /// Let the controllers work as fast as they can. By default they make 20 requests a second, which
    /// is 4 Jobs a second; a benchmark would measure that and not us.
    pub fast_controllers: bool,
    /// Apply the custom resource definitions.
    pub crds: bool,
    /// Pods reach it: there is a network for them, on whose bridge the API server listens instead of on
    /// 127.0.0.1. Needs root.
    pub pods: bool,
}

impl Default for ControlPlaneOptions {
    /// With controllers at their usual pace, and with our kinds.
    fn default() -> Self {
        Self {
            controllers: true,
            fast_controllers: false,
            crds: true,
            pods: false,
        }
    }
}

/// A cluster of tests is short of processors and not of memory: Go collects garbage a quarter as often as
/// it would by itself, unless a program has much memory in use.
const GARBAGE: [(&str, &str); 2] = [("GOGC", "400"), ("GOMEMLIMIT", "1GiB")];

/// A running control plane. Dropping it takes it down, with everything that was started on it.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped first: its reaper takes the processes down in the right order.
    berth: Berth,
    /// Where the API server listens.
    host: String,
    access: Access,
    processes: Vec<Process>,
}

impl ControlPlane {
    /// Starts it and waits until it answers. The parts must be there: `cargo xtask` obtains them.
    pub async fn start(options: ControlPlaneOptions) -> Result<Self, ClusterError> {
        // It may have to clean up after others first.
        let berth = blocking(Berth::take).await?;
        let dir = berth.dir().to_owned();
        let admin = keys::token();
        let kubelet = keys::token();
        // The kubelet's own user and group, so that it has a node's rights and no more.
        let tokens = format!(
            "{admin},admin,admin,\"system:masters\"\n{kubelet},system:node:127.0.0.1,node,\"system:nodes\"\n"
        );
        keys::write_private(&dir.join("tokens.csv"), tokens.as_bytes())?;
        keys::write_signing_key(&dir.join("sa.key"))?;

        let host = match options.pods {
            true if !rustix::process::geteuid().is_root() => return Err(ClusterError::NotRoot),
            true => {
                network::make(&berth)?;
                network::host(&berth.subnet())
            }
            false => "127.0.0.1".to_owned(),
        };
        let etcd = Process::start(&dir, "etcd", &etcd(&berth)?)?;
        let mut apiserver = Process::start(&dir, "kube-apiserver", &apiserver(&berth, &host)?)?;
        let server = format!("https://{host}:{}", berth.port(2));
        let ca = dir.join("pki/apiserver.crt");
        let client = ready(&mut apiserver, || {
            let access = Access::write(&dir.join("kubeconfig"), &server, &ca, &admin)?;
            Access::write(&dir.join("kubelet.kubeconfig"), &server, &ca, &kubelet)?;
            Ok(access)
        })
        .await?;
        let access = Access::by(dir.join("kubeconfig"));
        let mut this = Self {
            berth,
            host,
            access,
            processes: vec![etcd, apiserver],
        };
        if options.controllers {
            let command = controllers(&this.berth, options.fast_controllers)?;
            this.start_process("kube-controller-manager", &command)?;
        }
        if options.crds {
            manifests::apply_crds(&client, &crds::all()).await?;
        }
        Ok(this)
    }

    /// How to talk to it.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// A kubeconfig file for its administrator.
    pub fn kubeconfig(&self) -> &Path {
        self.access.kubeconfig()
    }

    /// A client for its administrator.
    pub async fn client(&self) -> Result<Client, ClusterError> {
        self.access.client().await
    }

    /// Writes a kubeconfig for a service account.
    pub async fn kubeconfig_for(
        &self,
        namespace: &str,
        account: &str,
    ) -> Result<PathBuf, ClusterError> {
        self.access.kubeconfig_for(namespace, account).await
    }

    /// Its place on this machine.
    pub fn berth(&self) -> &Berth {
        &self.berth
    }

    /// One of its programs, for tests of what happens when it ends.
    pub fn process(&mut self, name: &str) -> Option<&mut Process> {
        self.processes
            .iter_mut()
            .find(|process| process.name() == name)
    }

    /// The API server crashes, and another one stands in its place with what etcd holds. What changed before
    /// is not known to it: watches that would go on from there are refused (410), as after a compaction.
    pub async fn restart_api_server(&mut self) -> Result<(), ClusterError> {
        const NAME: &str = "kube-apiserver";
        // Gone before the next one starts: it takes the file with its process id along.
        self.processes.retain(|process| process.name() != NAME);
        let command = apiserver(&self.berth, &self.host)?;
        let mut started = Process::start(self.berth.dir(), NAME, &command)?;
        ready(&mut started, || Ok(self.access.clone())).await?;
        self.processes.push(started);
        Ok(())
    }

    /// Takes it down and waits until it is gone.
    pub async fn stop(self) -> Result<(), ClusterError> {
        let Self {
            berth, processes, ..
        } = self;
        blocking(move || {
            let cleared = berth.clear();
            drop(processes);
            cleared
        })
        .await
    }

    pub(super) fn start_process(
        &mut self,
        name: &str,
        command: &Command,
    ) -> Result<(), ClusterError> {
        self.processes
            .push(Process::start(self.berth.dir(), name, command)?);
        Ok(())
    }
}

/// Does what waits for processes and files on a thread for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Waits for the certificate that the API server writes, then for its readiness.
async fn ready(
    apiserver: &mut Process,
    access: impl Fn() -> Result<Access, ClusterError>,
) -> Result<Client, ClusterError> {
    const SECONDS: u64 = 60;
    let mut died = None;
    let mut client = None;
    let result = until(Duration::from_secs(SECONDS), async || {
        if let Err(error) = apiserver.must_live() {
            died = Some(error);
            return Ok(());
        }
        if client.is_none() {
            let access = access().map_err(|error| error.to_string())?;
            client = Some(access.client().await.map_err(|error| error.to_string())?);
        }
        let Some(client) = &client else {
            return Err("no client".to_owned());
        };
        let request = http::Request::get("/readyz").body(Vec::new());
        let request = request.map_err(|error| error.to_string())?;
        let looked = tokio::time::timeout(Duration::from_secs(2), client.request_text(request));
        match looked.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it does not answer".to_owned()),
        }
    })
    .await;
    match (died, result, client) {
        (Some(error), _, _) => Err(error),
        (None, Ok(()), Some(client)) => Ok(client),
        (None, result, _) => Err(ClusterError::NotReady {
            what: "kube-apiserver".to_owned(),
            seconds: SECONDS,
            last: result.err().unwrap_or_default(),
            log: tail(&apiserver.log(), 15),
        }),
    }
}

pub(super) fn command(part: &'static Part) -> Result<Command, ClusterError> {
    Ok(Command::new(parts::existing(part)?))
}

fn etcd(berth: &Berth) -> Result<Command, ClusterError> {
    let client = format!("http://127.0.0.1:{}", berth.port(0));
    let peer = format!("http://127.0.0.1:{}", berth.port(1));
    let mut etcd = command(&parts::ETCD_SERVER)?;
    etcd.envs(GARBAGE);
    etcd.arg("--data-dir").arg(berth.dir().join("etcd"));
    etcd.args([
        "--listen-client-urls",
        &client,
        "--advertise-client-urls",
        &client,
    ]);
    etcd.args([
        "--listen-peer-urls",
        &peer,
        "--initial-advertise-peer-urls",
        &peer,
    ]);
    etcd.args(["--initial-cluster", &format!("default={peer}")]);
    // What is lost when the machine loses power is lost with the test.
    etcd.args(["--unsafe-no-fsync", "--log-level", "warn"]);
    Ok(etcd)
}

fn apiserver(berth: &Berth, address: &str) -> Result<Command, ClusterError> {
    let dir = berth.dir();
    let mut apiserver = command(&parts::KUBE_APISERVER)?;
    apiserver.envs(GARBAGE);
    apiserver.arg(format!("--etcd-servers=http://127.0.0.1:{}", berth.port(0)));
    apiserver.arg(format!("--secure-port={}", berth.port(2)));
    apiserver.arg(format!("--bind-address={address}"));
    apiserver.arg(format!("--advertise-address={address}"));
    apiserver.arg("--authorization-mode=Node,RBAC");
    if address == "127.0.0.1" {
        apiserver.arg("--endpoint-reconciler-type=none");
    }
    apiserver.args([
        "--service-cluster-ip-range=10.0.0.0/24",
        "--allow-privileged=true",
    ]);
    apiserver.args([
        "--service-account-issuer=https://kubernetes.default.svc",
        "--kubelet-preferred-address-types=Hostname",
    ]);
    apiserver.arg("--cert-dir").arg(dir.join("pki"));
    apiserver
        .arg("--token-auth-file")
        .arg(dir.join("tokens.csv"));
    apiserver
        .arg("--service-account-key-file")
        .arg(dir.join("sa.key"));
    apiserver
        .arg("--service-account-signing-key-file")
        .arg(dir.join("sa.key"));
    Ok(apiserver)
}

fn controllers(berth: &Berth, fast: bool) -> Result<Command, ClusterError> {
    let dir = berth.dir();
    let mut controllers = command(&parts::KUBE_CONTROLLER_MANAGER)?;
    controllers.envs(GARBAGE);
    as_admin(&mut controllers, dir, berth.port(3));
    controllers
        .arg("--service-account-private-key-file")
        .arg(dir.join("sa.key"));
    controllers
        .arg("--root-ca-file")
        .arg(dir.join("pki/apiserver.crt"));
    // For each admission policy it fetches the description of the kinds that the policy is about, and
    // what it writes into the policy's status, which nobody here reads, lets the API server compile the
    // policy once more. Every test has five of them.
    controllers.arg("--controllers=*,-validatingadmissionpolicy-status-controller");
    if fast {
        controllers.args(["--kube-api-qps=5000", "--kube-api-burst=5000"]);
        controllers.args(["--concurrent-job-syncs=20", "--concurrent-gc-syncs=40"]);
    }
    Ok(controllers)
}

/// Flags that controllers and scheduler have in common.
pub(super) fn as_admin(command: &mut Command, dir: &Path, port: u16) {
    for flag in [
        "--kubeconfig",
        "--authentication-kubeconfig",
        "--authorization-kubeconfig",
    ] {
        command.arg(flag).arg(dir.join("kubeconfig"));
    }
    command.args(["--bind-address=127.0.0.1", "--leader-elect=false"]);
    command.arg(format!("--secure-port={port}"));
    command.arg("--cert-dir").arg(dir.join("pki"));
}
