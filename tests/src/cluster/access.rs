//! Who may talk to a cluster, and where: kubeconfig files and clients.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::ClusterError;
use super::keys::write_private;

/// A way into a cluster as its administrator, through a kubeconfig file in the cluster's directory.
#[derive(Clone, Debug)]
pub struct Access {
    kubeconfig: PathBuf,
    /// The cluster ends soon, with all that is in it.
    ends: bool,
}

impl Access {
    /// Access by a kubeconfig file.
    pub fn by(kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            kubeconfig: kubeconfig.into(),
            ends: false,
        }
    }

    /// The same way into a cluster that is taken down soon: what lies in namespaces need not be deleted
    /// before. A namespace that goes costs a cluster some hundred requests, which is several times what a
    /// story makes there.
    #[must_use]
    pub fn that_ends(mut self) -> Self {
        self.ends = true;
        self
    }

    /// Whether the cluster is taken down soon.
    pub(super) fn ends(&self) -> bool {
        self.ends
    }

    /// Writes a kubeconfig for a bearer token.
    pub(super) fn write(
        path: &Path,
        server: &str,
        ca: &Path,
        token: &str,
    ) -> Result<Self, ClusterError> {
        let ca = fs::read(ca).map_err(ClusterError::io(ca))?;
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "prbuild",
            "clusters": [{"name": "prbuild", "cluster": {
                "server": server, "certificate-authority-data": STANDARD.encode(ca)}}],
            "users": [{"name": "prbuild", "user": {"token": token}}],
            "contexts": [{"name": "prbuild", "context": {"cluster": "prbuild", "user": "prbuild"}}],
        });
        write_private(path, config.to_string().as_bytes())?;
        Ok(Self::by(path))
    }

    /// The kubeconfig file.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Directory of the cluster's berth.
    pub fn dir(&self) -> &Path {
        self.kubeconfig.parent().unwrap_or(Path::new("/"))
    }

    /// A client.
    pub async fn client(&self) -> Result<Client, ClusterError> {
        // Installing it twice is refused and harmless: it is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let bad = |because: String| ClusterError::Kubeconfig {
            path: self.kubeconfig.clone(),
            because,
        };
        let file =
            Kubeconfig::read_from(&self.kubeconfig).map_err(|error| bad(error.to_string()))?;
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .map_err(|error| bad(error.to_string()))?;
        // A proxy of the machine is not for a cluster on it.
        config.proxy_url = None;
        Client::try_from(config).map_err(ClusterError::api("cannot make a client"))
    }

    /// The token in the kubeconfig that was written for a service account.
    pub(super) fn token_of(&self, namespace: &str, account: &str) -> Option<String> {
        let path = self.dir().join(format!("{namespace}-{account}.kubeconfig"));
        let config: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        Some(config["users"][0]["user"]["token"].as_str()?.to_owned())
    }

    /// Writes a kubeconfig for a service account, with a token that the API server made for an hour.
    pub async fn kubeconfig_for(
        &self,
        namespace: &str,
        account: &str,
    ) -> Result<PathBuf, ClusterError> {
        let client = self.client().await?;
        self.kubeconfig_by(client, namespace, account).await
    }

    /// The same through a client of the administrator that is there already: a new one would have to be
    /// let in first.
    pub(super) async fn kubeconfig_by(
        &self,
        client: Client,
        namespace: &str,
        account: &str,
    ) -> Result<PathBuf, ClusterError> {
        let what = format!("cannot get a token for the service account {namespace}/{account}");
        let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer: TokenRequest = accounts
            .create_subresource("token", account, &PostParams::default(), &request)
            .await
            .map_err(ClusterError::api(&what))?;
        let token = answer.status.map(|status| status.token).unwrap_or_default();
        let mut config: serde_json::Value = fs::read(&self.kubeconfig)
            .map_err(ClusterError::io(&self.kubeconfig))
            .map(|bytes| serde_json::from_slice(&bytes).unwrap_or_default())?;
        config["users"][0]["user"] = serde_json::json!({ "token": token });
        config["contexts"][0]["context"]["namespace"] = namespace.into();
        let path = self.dir().join(format!("{namespace}-{account}.kubeconfig"));
        write_private(&path, config.to_string().as_bytes())?;
        Ok(path)
    }
}
