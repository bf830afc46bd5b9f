//! A story whose PrBuild was installed with the chart: everything runs in pods.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::PostParams;

use super::*;
use crate::cluster::{NodeFacts, Release, merge};

impl Story {
    /// A forge with people and a repository, and a release of the chart that is connected to it and runs.
    pub async fn begin_with_chart(
        access: &Access,
        node: &NodeFacts,
        release: Release,
        setting: Setting,
        values: &Value,
    ) -> Result<Self, ClusterError> {
        let mut story = Self::before_chart(access, node, release, setting).await?;
        // The Secret is there before the first pod: the ordinary way.
        story.secret().await?;
        story.release().install(&story.values(values)).await?;
        story.connect_chart().await;
        Ok(story)
    }

    /// The same, as long as nothing is installed: there is a namespace, and no Secret in it.
    pub async fn before_chart(
        access: &Access,
        node: &NodeFacts,
        release: Release,
        setting: Setting,
    ) -> Result<Self, ClusterError> {
        let setting = Setting {
            host: node.host_address.into(),
            ..setting
        };
        let forge = Forge::start(forge_options(&setting)).await;
        let install = Install::around(access, release.namespace(), &release.builds()).await?;
        let mut story = Self::told(forge, install, setting).await;
        story.connect()?;
        story.pages = Some(release.pages_url());
        let namespaces: Api<Namespace> = Api::all(story.install.client());
        let namespace = read(json!({ "metadata": { "name": release.namespace() } }));
        let made = namespaces.create(&PostParams::default(), &namespace).await;
        made.map_err(refused("the namespace cannot be made"))?;
        story.release = Some(release);
        Ok(story)
    }

    /// Values on top of those that a release on a node has: pods may connect to the forge.
    pub fn values(&self, values: &Value) -> Value {
        let mut all = json!({ "networkPolicy": { "ports": [443, 6443, self.forge_port()] } });
        merge(&mut all, values);
        all
    }

    /// When everything runs: the Repository, and a webhook on the forge that leads to the release.
    pub async fn connect_chart(&mut self) {
        self.repository(|_| {}).await;
        self.eventually_in("the Repository is known", "app", known)
            .await;
        let url = self.release().webhook_url();
        match self.forge.app_on(REPO) {
            Some(app) => self.forge.set_app_hook(app, &url, SECRET),
            None => self.forge.add_hook(REPO, &url, SECRET),
        };
    }

    /// The release of this story.
    #[track_caller]
    pub fn release(&self) -> &Release {
        match &self.release {
            Some(release) => release,
            None => panic!("this story was not begun with the chart"),
        }
    }

    /// Makes the connection's Secret of its directory, as `kubectl create secret --from-file` does.
    pub async fn secret(&self) -> Result<(), ClusterError> {
        let dir = self.connections()?.join("github");
        let mut data = BTreeMap::new();
        let files = std::fs::read_dir(&dir).map_err(ClusterError::io(&dir))?;
        for file in files.flatten() {
            let content = std::fs::read(file.path()).map_err(ClusterError::io(&file.path()))?;
            let name = file.file_name().to_string_lossy().into_owned();
            data.insert(name, ByteString(content));
        }
        // Pods reach the forge by the bridge.
        let api_url = self.forge.api_url_at(self.setting.host);
        data.insert("api-url".to_owned(), ByteString(api_url.into_bytes()));
        let mut secret = Secret {
            data: Some(data),
            ..Secret::default()
        };
        secret.metadata.name = Some("prbuild-github".to_owned());
        let secrets = self.api::<Secret>();
        let made = secrets.create(&PostParams::default(), &secret).await;
        made.map(drop)
            .map_err(refused("the connection's Secret cannot be made"))
    }

    fn forge_port(&self) -> u16 {
        let url = self.forge.api_url_at(self.setting.host);
        let port = url::Url::parse(&url).ok().and_then(|url| url.port());
        port.unwrap_or(80)
    }
}

fn refused(what: &'static str) -> impl FnOnce(kube::Error) -> ClusterError {
    move |source| ClusterError::Api {
        what: what.to_owned(),
        source: Box::new(source),
    }
}

fn known(repository: &Repository) -> Result<(), String> {
    let status = repository.status.clone().unwrap_or_default();
    status.id.map(drop).ok_or_else(|| format!("{status:?}"))
}
