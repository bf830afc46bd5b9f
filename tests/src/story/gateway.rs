//! The gateway of a story: started, killed, started again at the same addresses.

use std::net::SocketAddr;
use std::path::PathBuf;

use hyper_util::rt::TokioExecutor;
use protocol::record::{BuildRecord, BuilderHistory, RunRecord};
use protocol::token::{Claims, LogScope, Scope, Signer};

use super::*;
use crate::cluster::signing_key;

/// A gateway that runs, or did.
#[derive(Clone, Debug)]
pub struct Gateway {
    index: usize,
    /// Where the pages are.
    pub pages: SocketAddr,
    /// Where logs and records are taken.
    pub ingest: SocketAddr,
    /// Where agents of workers talk to it.
    pub workers: SocketAddr,
    /// Where its metrics are.
    pub metrics: SocketAddr,
    /// Where the store lies.
    pub store: PathBuf,
    key: PathBuf,
}

impl Gateway {
    /// Arguments of an operator that works with this gateway.
    pub(super) fn operator_args(&self) -> Vec<String> {
        let key = self.key.display().to_string();
        let (ingest, pages) = (self.ingest_url(), self.pages_url());
        let args = [
            ["--gateway", &ingest],
            ["--pages", &pages],
            ["--signing-key", &key],
        ];
        args.as_flattened()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// A token for the log of one run, as the operator gives it to the run's pod.
    pub fn log_token(&self, run: &str) -> String {
        let scope = LogScope {
            repository: "app".to_owned(),
            run: run.to_owned(),
            attempt: 1,
        };
        self.token(Scope::Log(scope))
    }

    /// Stores the history of a builder, as the operator does.
    pub async fn put_history(&self, history: &BuilderHistory) -> Result<(), ClusterError> {
        let path = format!("/v1/builders/{}/history", history.builder);
        self.put(&path, history).await
    }

    /// Stores the record of a run, as the operator does.
    pub async fn put_run(&self, run: &RunRecord) -> Result<(), ClusterError> {
        let (repository, uid) = (&run.pull.repository, &run.uid);
        let path = format!("/v1/repositories/{repository}/runs/{uid}/record");
        self.put(&path, run).await
    }

    /// Stores the record of a build, as the operator does.
    pub async fn put_build(&self, build: &BuildRecord) -> Result<(), ClusterError> {
        let (repository, name) = (&build.pull.repository, &build.name);
        let path = format!("/v1/repositories/{repository}/builds/{name}/record");
        self.put(&path, build).await
    }

    async fn put(&self, path: &str, record: &impl serde::Serialize) -> Result<(), ClusterError> {
        let failed = |because: String| ClusterError::Command {
            what: format!("PUT {path}"),
            because,
        };
        let body = serde_json::to_vec(record).map_err(|error| failed(error.to_string()))?;
        let request = http::Request::put(format!("{}{path}", self.ingest_url()))
            .header(
                "authorization",
                format!("Bearer {}", self.token(Scope::Records)),
            )
            .header("content-type", "application/json")
            .body(http_body_util::Full::new(bytes::Bytes::from(body)))
            .map_err(|error| failed(error.to_string()))?;
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await;
        let status = answer.map_err(|error| failed(error.to_string()))?.status();
        match status.is_success() {
            true => Ok(()),
            false => Err(failed(status.to_string())),
        }
    }

    fn token(&self, scope: Scope) -> String {
        let signer = std::fs::read_to_string(&self.key)
            .ok()
            .and_then(|pem| Signer::from_pem(&pem).ok());
        let expires = jiff::Timestamp::now().as_second() + 3600;
        let token = signer.and_then(|signer| signer.token(&Claims { scope, expires }).ok());
        token.unwrap_or_else(|| panic!("{} is no key", self.key.display()))
    }

    /// The operator's private key.
    pub(super) fn key(&self) -> &std::path::Path {
        &self.key
    }

    /// Address of the pages.
    pub fn pages_url(&self) -> String {
        format!("http://{}", self.pages)
    }

    /// Address that agents of workers are given.
    pub fn workers_url(&self) -> String {
        format!("http://{}", self.workers)
    }

    /// Fingerprint of the operator's keys, as the infrastructure team reads it for owners of machines.
    pub fn operator_fingerprint(&self) -> Result<String, ClusterError> {
        let mut keys = std::process::Command::new(Binary::Operator.path()?);
        keys.arg("keys").arg("--signing-key").arg(&self.key);
        let what = || "prbuild-operator keys".to_owned();
        let failed = |because| ClusterError::Command {
            what: what(),
            because,
        };
        let output = keys.output().map_err(|error| failed(error.to_string()))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let fingerprint = said.trim().rsplit(": ").next().map(str::to_owned);
        fingerprint
            .filter(|_| output.status.success())
            .ok_or_else(|| failed(said))
    }

    /// The file that lets a gateway know its sessions again after a restart.
    fn session_key(&self) -> Result<String, ClusterError> {
        let file = self.key.with_file_name("session-key");
        std::fs::write(&file, [7; 32]).map_err(ClusterError::io(&file))?;
        Ok(file.display().to_string())
    }

    /// Address where logs and records are taken.
    pub fn ingest_url(&self) -> String {
        format!("http://{}", self.ingest)
    }
}

impl Story {
    /// Starts the gateway with a store and a key of its own. The operator has to be started after it.
    pub async fn start_gateway(&mut self) -> Result<(), ClusterError> {
        self.start_gateway_with(&[]).await
    }

    /// Starts the gateway with more arguments.
    pub async fn start_gateway_with(&mut self, more: &[&str]) -> Result<(), ClusterError> {
        let dir = self.install.dir()?;
        let (key, public) = (dir.join("signing-key.pem"), dir.join("signing-key.pub"));
        let pem = signing_key();
        let signer = Signer::from_pem(&pem).and_then(|signer| signer.public_pem());
        let signer = signer.map_err(|error| ClusterError::Command {
            what: "cannot make the operator's key".to_owned(),
            because: error.to_string(),
        })?;
        std::fs::write(&key, pem).map_err(ClusterError::io(&key))?;
        std::fs::write(&public, signer).map_err(ClusterError::io(&public))?;
        let gateway = Gateway {
            index: 0,
            pages: SocketAddr::new(self.setting.host, 0),
            ingest: SocketAddr::new(self.setting.host, 0),
            workers: SocketAddr::new(self.setting.host, 0),
            metrics: SocketAddr::from(([127, 0, 0, 1], 0)),
            store: dir.join("store"),
            key,
        };
        self.run_gateway(gateway, more).await
    }

    async fn run_gateway(
        &mut self,
        mut gateway: Gateway,
        more: &[&str],
    ) -> Result<(), ClusterError> {
        let (pages, ingest) = (gateway.pages.to_string(), gateway.ingest.to_string());
        let store = gateway.store.display().to_string();
        let public = gateway.key.with_extension("pub").display().to_string();
        let mut args = vec!["--listen", &pages, "--ingest", &ingest, "--store", &store];
        args.extend(["--operator-key", &public, "--metrics", "127.0.0.1:0"]);
        let (workers, session) = (gateway.workers.to_string(), gateway.session_key()?);
        args.extend(["--workers", &workers, "--session-key", &session]);
        args.extend(more);
        gateway.index = self.install.start(Binary::Gateway, &args).await?;
        gateway.pages = self.install.address(gateway.index, "pages on ").await?;
        gateway.ingest = self.install.address(gateway.index, "ingest on ").await?;
        gateway.workers = self.install.address(gateway.index, "workers on ").await?;
        gateway.metrics = self.install.address(gateway.index, "metrics on ").await?;
        self.pages = Some(gateway.pages_url());
        self.gateway = Some(gateway);
        Ok(())
    }

    /// Starts one more gateway beside the first, with a store of its own.
    pub async fn start_another_gateway(&mut self) -> Result<Gateway, ClusterError> {
        let first = self.gateway().clone();
        let free = SocketAddr::new(self.setting.host, 0);
        let another = Gateway {
            pages: free,
            ingest: free,
            workers: free,
            store: first.store.with_extension("of-another"),
            ..first.clone()
        };
        self.run_gateway(another, &[]).await?;
        self.pages = Some(first.pages_url());
        let another = self.gateway.replace(first.clone());
        Ok(another.unwrap_or(first))
    }

    /// The gateway of this story.
    #[track_caller]
    pub fn gateway(&self) -> &Gateway {
        match &self.gateway {
            Some(gateway) => gateway,
            None => panic!("this story has no gateway"),
        }
    }

    /// Kills the gateway, as a crash would.
    pub fn kill_gateway(&mut self) {
        let index = self.gateway().index;
        if let Some(program) = self.install.program(index) {
            program.kill();
        }
    }

    /// Starts the gateway again, with the same store at the same addresses.
    pub async fn restart_gateway(&mut self) -> Result<(), ClusterError> {
        let gateway = self.gateway().clone();
        self.run_gateway(gateway, &[]).await
    }

    /// Process id of the gateway.
    pub fn gateway_pid(&mut self) -> Option<u32> {
        let index = self.gateway().index;
        self.install.program(index).map(|program| program.pid())
    }

    /// What the gateway printed.
    pub fn gateway_log(&mut self) -> String {
        let index = self.gateway().index;
        let program = self.install.program(index);
        program.map(|program| program.log()).unwrap_or_default()
    }
}
