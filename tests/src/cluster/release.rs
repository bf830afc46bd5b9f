//! The chart, installed with real helm into a cluster with a node: what users do.

use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use serde_json::{Value, json};

use super::access::Access;
use super::node::NodeFacts;
use super::process::without_proxy;
use super::{ClusterError, keys};
use crate::images::{BUSYBOX, REGISTRY, TAG};
use crate::parts;

/// Until everything is ready.
const WAIT: [&str; 3] = ["--wait", "--timeout", "180s"];

/// One release of the chart. Nothing is installed until [`Release::install`].
#[derive(Clone, Debug)]
pub struct Release {
    access: Access,
    router: std::net::Ipv4Addr,
    /// What is installed first. An upgrade is to this checkout's.
    chart: PathBuf,
    name: String,
    namespace: String,
    webhook_port: u16,
    pages_port: u16,
}

impl Release {
    /// A release into the namespace `NAME-xxxxxxxx`, on node ports that nobody else has.
    pub fn new(access: &Access, node: &NodeFacts, name: &str) -> Self {
        let unique = keys::token();
        // Ports of nodes are 30000 to 32767; a collision is refused by the API server.
        let half = u16::from_str_radix(&unique[..4], 16).unwrap_or_default() % 1380;
        Self {
            access: access.clone(),
            router: node.router_address,
            chart: Self::chart(),
            name: "prbuild".to_owned(),
            namespace: format!("{name}-{}", &unique[..8]),
            webhook_port: 30_000 + 2 * half,
            pages_port: 30_001 + 2 * half,
        }
    }

    /// The same release in a namespace with exactly this name.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = namespace.to_owned();
        self
    }

    /// The same release, installed from another chart: it becomes one of this checkout's by an upgrade.
    #[must_use]
    pub fn of_chart(mut self, chart: PathBuf) -> Self {
        self.chart = chart;
        self
    }

    /// Namespace of PrBuild's own pods and objects.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Namespace of the Jobs.
    pub fn builds(&self) -> String {
        format!("{}-builds", self.namespace)
    }

    /// Where deliveries are sent to from this machine.
    pub fn webhook_url(&self) -> String {
        format!("http://{}:{}/webhook", self.router, self.webhook_port)
    }

    /// Where this machine opens the pages.
    pub fn pages_url(&self) -> String {
        format!("http://{}:{}", self.router, self.pages_port)
    }

    /// Address `HOST:PORT` where agents of this machine reach the gateway: the Service's node port for them.
    pub async fn workers(&self) -> Result<String, ClusterError> {
        let services: Api<Service> = Api::namespaced(self.access.client().await?, &self.namespace);
        let service = services.get("prbuild-gateway").await;
        let service = service.map_err(ClusterError::api("the gateway's Service"))?;
        let mut ports = service
            .spec
            .into_iter()
            .flat_map(|spec| spec.ports)
            .flatten();
        let found = ports.find(|port| port.name.as_deref() == Some("workers"));
        let port = found.and_then(|port| port.node_port);
        port.map(|port| format!("{}:{port}", self.router))
            .ok_or_else(|| ClusterError::Command {
                what: "the gateway's Service".to_owned(),
                because: "it has no node port for workers".to_owned(),
            })
    }

    /// The chart of this checkout.
    pub fn chart() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/prbuild")
    }

    /// Values for a cluster of tests: images that are on the node, node ports instead of an Ingress, and
    /// little reserved. Where the node of all stories is full, these pods take the place of builds.
    pub fn values(&self) -> Value {
        let port = |port: u16| json!({ "type": "NodePort", "nodePort": port });
        let little = json!({ "requests": { "cpu": "10m" } });
        json!({
            "host": "prbuild.test",
            "selfTest": { "image": BUSYBOX },
            "image": { "registry": REGISTRY, "tag": TAG, "pullPolicy": "Never" },
            "ingress": { "enabled": false },
            "pagesUrl": self.pages_url(),
            "webhook": { "service": port(self.webhook_port), "sweep": false, "resources": little },
            "operator": { "resources": little },
            "gateway": {
                "service": port(self.pages_port), "resources": little,
                "store": { "directory": "emptyDir", "size": "2Gi" },
            },
        })
    }

    /// `helm install --wait`, with values on top of [`Release::values`].
    pub async fn install(&self, values: &Value) -> Result<String, ClusterError> {
        self.apply(
            &["install", "--create-namespace"],
            &self.chart,
            &WAIT,
            values,
        )
        .await
    }

    /// `helm install` for pods that cannot be ready yet.
    pub async fn install_at_once(&self, values: &Value) -> Result<String, ClusterError> {
        self.apply(&["install", "--create-namespace"], &self.chart, &[], values)
            .await
    }

    /// `helm upgrade --wait`, to the chart of this checkout.
    pub async fn upgrade(&self, values: &Value) -> Result<String, ClusterError> {
        self.apply(&["upgrade"], &Self::chart(), &WAIT, values)
            .await
    }

    /// `helm rollback --wait` to the revision before.
    pub async fn rollback(&self) -> Result<String, ClusterError> {
        self.helm(&["rollback", &self.name, "--wait", "--timeout", "180s"])
            .await
    }

    /// `helm uninstall --wait`.
    pub async fn uninstall(&self) -> Result<String, ClusterError> {
        self.helm(&["uninstall", &self.name, "--wait", "--timeout", "120s"])
            .await
    }

    /// `helm test`: its report, or why it did not pass, with what the test printed.
    pub async fn test(&self) -> Result<String, ClusterError> {
        let args = ["test", &self.name, "--timeout", "400s"];
        let (report, printed) = self.helm_prints(&args).await?;
        Ok(format!("{report}\n{printed}"))
    }

    async fn apply(
        &self,
        verb: &[&str],
        chart: &Path,
        wait: &[&str],
        values: &Value,
    ) -> Result<String, ClusterError> {
        let mut all = self.values();
        merge(&mut all, values);
        let file = self
            .access
            .dir()
            .join(format!("{}-values.json", self.namespace));
        std::fs::write(&file, all.to_string()).map_err(ClusterError::io(&file))?;
        let (chart, file) = (chart.display().to_string(), file.display().to_string());
        let args = [&self.name, chart.as_str(), "--values", &file];
        self.helm(&[verb, &args, wait].concat()).await
    }

    /// Runs helm on this release's namespace, and returns what it printed.
    pub async fn helm(&self, args: &[&str]) -> Result<String, ClusterError> {
        self.helm_prints(args).await.map(|(out, _)| out)
    }

    /// The same, with what it printed beside: among that is what hooks print.
    async fn helm_prints(&self, args: &[&str]) -> Result<(String, String), ClusterError> {
        let mut helm = Command::new(parts::existing(&parts::HELM_CLI)?);
        without_proxy(&mut helm).env("KUBECONFIG", self.access.kubeconfig());
        helm.args(["--namespace", &self.namespace]).args(args);
        let what = format!("helm {}", args.join(" "));
        let run = tokio::task::spawn_blocking(move || helm.output()).await;
        let output = run
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
            .map_err(ClusterError::start("helm"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            return Ok((text(&output.stdout), text(&output.stderr)));
        }
        Err(ClusterError::Command {
            what,
            because: text(&output.stderr),
        })
    }
}

/// Puts values over others, as helm does: field by field, and lists as a whole.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_merged_field_by_field() {
        let mut base = json!({ "a": { "b": 1, "c": [1] }, "d": 2 });
        merge(&mut base, &json!({ "a": { "c": [], "e": 3 } }));
        assert_eq!(base, json!({ "a": { "b": 1, "c": [], "e": 3 }, "d": 2 }));
    }
}
