//! An install of PrBuild for one test: two namespaces, the accounts and rules of the chart, and our
//! own binaries as child processes under those accounts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use tokio::sync::OnceCell;

use super::access::Access;
use super::binary::Binary;
use super::eventually::until;
use super::manifests::{self, ClusterWide};
use super::process::{Process, tail};
use super::{ClusterError, keys};

/// Names in the rendered chart that stand for the namespaces of one install.
const OBJECTS: &str = "prbuild-objects-placeholder";
const BUILDS: &str = "prbuild-builds-placeholder";
static RENDERED: OnceCell<String> = OnceCell::const_new();

/// An install in namespaces of its own. Dropping it ends its programs and deletes the namespaces, unless
/// the cluster ends soon, and what does not go with them; if the test is failing, the programs' logs are
/// printed first.
pub struct Install {
    access: Access,
    client: Client,
    namespace: String,
    builds: String,
    /// Its admission policies, for one. The API server asks each policy that there is about every write
    /// of every test, so those of tests that are over must not stay.
    cluster_wide: Vec<ClusterWide>,
    programs: Vec<Process>,
    /// Nothing is left to delete.
    gone: bool,
}

impl Install {
    /// Makes the namespaces and applies the chart. `name` is part of the namespaces' names, so that a
    /// person who looks at the cluster knows what is what.
    pub async fn new(access: &Access, name: &str) -> Result<Self, ClusterError> {
        let client = access.client().await?;
        let namespace = format!("{name}-{}", &keys::token()[..8]);
        let builds = format!("{namespace}-builds");
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let mut object = Namespace::default();
        object.metadata.name = Some(namespace.clone());
        namespaces
            .create(&PostParams::default(), &object)
            .await
            .map_err(ClusterError::api(format!(
                "cannot make the namespace {namespace}"
            )))?;
        // From here on the namespaces are deleted however it goes on.
        let mut this = Self {
            access: access.clone(),
            client,
            namespace,
            builds,
            cluster_wide: Vec::new(),
            programs: Vec::new(),
            gone: false,
        };
        // Rendered once for all tests of this program: helm takes longer than everything else here.
        let rendered = RENDERED
            .get_or_try_init(async || manifests::render(OBJECTS, BUILDS))
            .await?;
        let objects = rendered
            .replace(OBJECTS, &this.namespace)
            .replace(BUILDS, &this.builds);
        manifests::apply(&this.client, &objects, &mut this.cluster_wide).await?;
        this.default_account(&this.builds).await?;
        Ok(this)
    }

    /// An install that somebody else makes, in these namespaces: helm, for one. They are deleted with it.
    pub async fn around(
        access: &Access,
        namespace: &str,
        builds: &str,
    ) -> Result<Self, ClusterError> {
        Ok(Self {
            access: access.clone(),
            client: access.client().await?,
            namespace: namespace.to_owned(),
            builds: builds.to_owned(),
            cluster_wide: Vec::new(),
            programs: Vec::new(),
            gone: false,
        })
    }

    /// Pods are refused until the controllers have made a namespace's default account.
    async fn default_account(&self, namespace: &str) -> Result<(), ClusterError> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let made = until(Duration::from_secs(20), async || {
            accounts
                .get("default")
                .await
                .map(drop)
                .map_err(|error| error.to_string())
        });
        made.await.map_err(|last| ClusterError::NotReady {
            what: format!("the account of namespace {namespace}, which the controllers make"),
            seconds: 20,
            last,
            log: String::new(),
        })
    }

    /// Namespace of PrBuild's objects.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Namespace of the Jobs.
    pub fn builds(&self) -> &str {
        &self.builds
    }

    /// A client for the administrator.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// How to talk to the cluster.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// A kubeconfig for one of our programs' service accounts, with the rights that the chart gives it.
    pub async fn kubeconfig_for(&self, account: &str) -> Result<PathBuf, ClusterError> {
        let client = self.client();
        let kubeconfig = self.access.kubeconfig_by(client, &self.namespace, account);
        kubeconfig.await
    }

    /// A directory of this install's own, for example for connections. It is gone with the cluster.
    pub fn dir(&self) -> Result<PathBuf, ClusterError> {
        let dir = self.access.dir().join("installs").join(&self.namespace);
        std::fs::create_dir_all(&dir).map_err(ClusterError::io(&dir))?;
        Ok(dir)
    }

    /// Starts one of our programs under its own account, with `--namespace` and, for the operator,
    /// `--build-namespace`. Returns its index for [`Self::program`].
    pub async fn start(&mut self, binary: Binary, args: &[&str]) -> Result<usize, ClusterError> {
        let mut command = Command::new(binary.path()?);
        command.env("KUBECONFIG", self.kubeconfig_for(binary.name()).await?);
        self.run(binary, command, args)
    }

    /// The same by another kubeconfig, and as if it ran in a pod of this name.
    pub fn start_in_pod(
        &mut self,
        binary: Binary,
        args: &[&str],
        kubeconfig: &Path,
        pod: &str,
    ) -> Result<usize, ClusterError> {
        let mut command = Command::new(binary.path()?);
        command.env("KUBECONFIG", kubeconfig);
        command.envs([("POD_NAME", pod), ("POD_UID", "no-pod-has-this-uid")]);
        command.env("POD_NAMESPACE", &self.namespace);
        self.run(binary, command, args)
    }

    fn run(
        &mut self,
        binary: Binary,
        mut command: Command,
        args: &[&str],
    ) -> Result<usize, ClusterError> {
        command.args(["--namespace", &self.namespace]);
        if binary == Binary::Operator {
            command.args(["--build-namespace", &self.builds]);
        }
        command.args(args);
        let index = self.programs.len();
        let name = format!("{}-{index}-{}", self.namespace, binary.name());
        self.programs
            .push(Process::start(self.access.dir(), &name, &command)?);
        Ok(index)
    }

    /// The namespaces that go with it.
    fn namespaces(&self) -> Vec<String> {
        match self.access.ends() {
            true => Vec::new(),
            false => vec![self.builds.clone(), self.namespace.clone()],
        }
    }

    /// A program that was started.
    pub fn program(&mut self, index: usize) -> Option<&mut Process> {
        self.programs.get_mut(index)
    }

    /// What each program wrote so far, with where it stands.
    pub fn printed(&self) -> Vec<(String, String)> {
        let programs = self.programs.iter();
        programs
            .map(|program| (format!("the log of {}", program.name()), program.log()))
            .collect()
    }

    /// Tokens of the service accounts that our programs run as here.
    pub fn account_tokens(&self) -> Vec<String> {
        let accounts = [Binary::Webhook, Binary::Operator, Binary::Gateway];
        let tokens = accounts.map(|account| self.access.token_of(&self.namespace, account.name()));
        tokens.into_iter().flatten().collect()
    }

    /// The address that a program says it listens on (`listening on ADDR:PORT` in its log).
    pub async fn listening(&mut self, index: usize) -> Result<std::net::SocketAddr, ClusterError> {
        self.address(index, "listening on ").await
    }

    /// The address that stands behind these words in a program's log.
    pub async fn address(
        &mut self,
        index: usize,
        words: &str,
    ) -> Result<std::net::SocketAddr, ClusterError> {
        let Some(program) = self.programs.get_mut(index) else {
            return Err(ClusterError::Command {
                what: format!("program {index} was not started"),
                because: "there are fewer".to_owned(),
            });
        };
        let mut died = None;
        let found = until(Duration::from_secs(20), async || {
            if let Err(error) = program.must_live() {
                died = Some(error);
                return Ok(None);
            }
            address_after(words, &program.log())
                .map(Some)
                .ok_or_else(|| "no such line yet".to_owned())
        })
        .await;
        match (died, found) {
            (Some(error), _) => Err(error),
            (None, Ok(Some(address))) => Ok(address),
            (None, other) => Err(ClusterError::NotReady {
                what: format!("the address of {}", program.name()),
                seconds: 20,
                last: other.err().unwrap_or_default(),
                log: tail(&program.log(), 15),
            }),
        }
    }

    /// Ends the programs and deletes the namespaces, which the controllers empty in the background. Where
    /// the cluster ends soon, namespaces stay: see [`Access::that_ends`].
    pub async fn cleanup(mut self) -> Result<(), ClusterError> {
        self.programs.clear();
        delete(&self.client, &self.namespaces(), &self.cluster_wide).await?;
        self.gone = true;
        Ok(())
    }
}

impl Drop for Install {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for program in &self.programs {
                eprintln!("--- {}\n{}", program.name(), tail(&program.log(), 200));
            }
        }
        self.programs.clear();
        if self.gone {
            return;
        }
        let access = self.access.clone();
        let names = self.namespaces();
        let cluster_wide = std::mem::take(&mut self.cluster_wide);
        // A thread and a runtime of its own: `drop` may run within a runtime, and must not wait in it.
        let deletion = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let _ = runtime.map(|runtime| {
                runtime.block_on(async {
                    let client = access.client().await?;
                    let deleted = delete(&client, &names, &cluster_wide);
                    // A cluster that is gone needs no cleaning.
                    let _ = tokio::time::timeout(Duration::from_secs(5), deleted).await;
                    Ok::<_, ClusterError>(())
                })
            });
        });
        let _ = deletion.join();
    }
}

async fn delete(
    client: &Client,
    names: &[String],
    cluster_wide: &[ClusterWide],
) -> Result<(), ClusterError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in names {
        match namespaces.delete(name, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(ClusterError::api(format!("cannot delete {name}"))(error)),
            Ok(_) => {}
        }
    }
    for object in cluster_wide {
        object.delete(client).await?;
    }
    Ok(())
}

/// The address behind these words, in plain text or in JSON.
fn address_after(words: &str, log: &str) -> Option<std::net::SocketAddr> {
    let found = log.lines().filter_map(|line| line.split_once(words));
    found
        .filter_map(|(_, rest)| {
            rest.split(|c: char| c.is_whitespace() || c == '"')
                .next()?
                .parse()
                .ok()
        })
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_plain_and_in_json_logs() {
        let address = Some("127.0.0.1:4711".parse().unwrap());
        let listening = |log: &str| address_after("listening on ", log);
        assert_eq!(
            listening("INFO start\nINFO listening on 127.0.0.1:4711\n"),
            address
        );
        let json = r#"{"level":"INFO","message":"listening on 127.0.0.1:4711"}"#;
        assert_eq!(listening(json), address);
        assert_eq!(listening("listening on nothing"), None);
    }
}
