//! The clusters of a test run. They are two, because a real scheduler would take the pods that are the
//! stand-in's.

use std::path::Path;

use tests::cluster::{CONTROL_VARIABLE, ControlPlane, ControlPlaneOptions, NODE_VARIABLE, Node};
use tests::images;

use crate::Result;
use crate::cargo::workspace;

/// A control plane without a node, and one with a node where containers are wanted.
pub struct Clusters {
    /// Where the stand-in plays the kubelet.
    pub control: ControlPlane,
    /// Where containers run.
    pub node: Option<Node>,
}

impl Clusters {
    /// Starts them, both at once.
    pub async fn start(with_node: bool) -> Result<Self> {
        let options = ControlPlaneOptions::default();
        if !with_node {
            return Ok(Self {
                control: ControlPlane::start(options).await?,
                node: None,
            });
        }
        let node = async {
            let options = ControlPlaneOptions {
                pods: true,
                ..ControlPlaneOptions::default()
            };
            let plane = ControlPlane::start(options).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
                Node::start(plane, &images::small_images()?).await?,
            )
        };
        let (control, node) = tokio::join!(ControlPlane::start(options), node);
        Ok(Self {
            control: control?,
            node: Some(node?),
        })
    }

    /// The variables by which tests find them.
    pub fn environment(&self) -> Vec<(&'static str, &Path)> {
        let node = self
            .node
            .as_ref()
            .map(|node| (NODE_VARIABLE, node.access().kubeconfig()));
        [Some((CONTROL_VARIABLE, self.control.kubeconfig())), node]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Copies the logs of the clusters' programs to where a person or CI finds them.
    pub fn keep_logs(&self) {
        let logs = workspace().join("target/cluster-logs");
        let node = self.node.as_ref().map(|node| ("node", node.access().dir()));
        for (name, dir) in [Some(("control", self.control.access().dir())), node]
            .into_iter()
            .flatten()
        {
            let to = logs.join(name);
            // What a failing test needs is in its own output; these are beyond it.
            let _ = std::fs::remove_dir_all(&to);
            let _ = std::fs::create_dir_all(&logs);
            let _ = std::process::Command::new("cp")
                .arg("-r")
                .arg(dir.join("logs"))
                .arg(&to)
                .status();
        }
        eprintln!("the clusters' logs are in {}", logs.display());
    }

    /// Takes them down.
    pub async fn stop(self) -> Result<()> {
        if let Some(node) = self.node {
            node.stop().await?;
        }
        Ok(self.control.stop().await?)
    }
}
