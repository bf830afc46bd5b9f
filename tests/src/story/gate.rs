//! The webhook's name, for who makes builds as the gate would.

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::OnceCell;

use super::*;

/// A client of the administrator under the name of the webhook: the chart's policies let nobody else
/// record what was asked for on GitHub. Its rights are the administrator's, which need no time to spread.
pub async fn as_webhook(install: &Install) -> Result<Client, ClusterError> {
    let path = install.access().kubeconfig();
    let bad = |because: String| ClusterError::Kubeconfig {
        path: path.to_owned(),
        because,
    };
    let file = Kubeconfig::read_from(path).map_err(|error| bad(error.to_string()))?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| bad(error.to_string()))?;
    // A proxy of the machine is not for a cluster on it.
    config.proxy_url = None;
    let (namespace, account) = (install.namespace(), Binary::Webhook.name());
    config.auth_info.impersonate = Some(format!("system:serviceaccount:{namespace}:{account}"));
    config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    Client::try_from(config).map_err(|source| ClusterError::Api {
        what: "cannot make a client in the webhook's name".to_owned(),
        source: Box::new(source),
    })
}

/// The client of a story, made when it is needed first.
#[derive(Default)]
pub(super) struct Gate(OnceCell<Client>);

impl Story {
    /// A client for whoever makes builds as the gate would.
    pub async fn gate(&self) -> Api<PrBuild> {
        let client = self.gate.0.get_or_try_init(|| as_webhook(&self.install));
        match client.await {
            Ok(client) => Api::namespaced(client.clone(), self.install.namespace()),
            Err(error) => panic!("{error}"),
        }
    }
}
