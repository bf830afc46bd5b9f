//! A story: one repository with people on a forge, an install of PrBuild, and what happens between
//! them. Tests, demo and bench begin with one and change what they are about.

mod acts;
mod calls;
mod chart;
mod gate;
mod gateway;
mod hidden;
mod looks;
mod programs;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use crds::{
    Answer, Builder, BuilderRun, BuilderSpec, Cancel, Evidence, PrBuild, PrBuildSpec, Repository,
    RepositoryRef, RepositorySpec, Request, Trigger, TriggerKind, condition, names,
};
use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    cluster::{Access, Binary, ClusterError, Fate, Install, Release, StandIn, eventually},
    forge::{
        AppOptions, ConnectionKind, Forge, ForgeOptions, Id, PullRequest, Push, Role, TokenOptions,
        UserType,
    },
};

pub use acts::cancellation;
pub use calls::Calls;
pub use gate::as_webhook;
pub use gateway::Gateway;

/// The repository of every story.
pub const REPO: &str = "octo/app";
/// The label of its Repository object.
pub const LABEL: &str = "test-with-buildbots";
/// A core developer: may push.
pub const ADA: &str = "ada";
/// Another one.
pub const GRACE: &str = "grace";
/// A triager: may label, and not push.
pub const TRISTAN: &str = "tristan";
/// Writes pull requests from a fork, and has no rights.
pub const MALLORY: &str = "mallory";
/// Secret of the webhook.
pub const SECRET: &str = "a secret that only the story and its forge know";
/// How long a test waits for something that takes moments on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How a story begins.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Address of this machine that pods reach; loopback where no pods fetch.
    pub host: IpAddr,
    /// Hold every request and answer against GitHub's descriptions.
    pub validate: bool,
    /// Authenticate as an App; else with a personal token.
    pub app: bool,
    /// The App may write checks.
    pub checks: bool,
    /// GitHub is an Enterprise Server of this version.
    pub enterprise: Option<String>,
    /// Image that checks out.
    pub checkout_image: String,
    /// Files of the repository.
    pub files: Vec<(String, String)>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            validate: true,
            app: true,
            checks: false,
            enterprise: None,
            checkout_image: "local/checkout:1".to_owned(),
            files: vec![("README".to_owned(), "An app.\n".to_owned())],
        }
    }
}

/// A story that has begun.
pub struct Story {
    /// GitHub.
    pub forge: Forge,
    /// PrBuild.
    pub install: Install,
    setting: Setting,
    gate: gate::Gate,
    stand_in: Option<StandIn>,
    operator: Option<usize>,
    webhook: Option<usize>,
    gateway: Option<Gateway>,
    /// Where people open pages, when they are served.
    pages: Option<String>,
    release: Option<Release>,
}

fn forge_options(setting: &Setting) -> ForgeOptions {
    let bind = if setting.host.is_loopback() {
        setting.host
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    ForgeOptions {
        validate: setting.validate,
        enterprise: setting.enterprise.clone(),
        bind,
        ..ForgeOptions::default()
    }
}

impl Story {
    /// A forge with people and a repository, an install with a connection and a Repository object.
    /// Nothing runs yet.
    pub async fn begin(
        access: &Access,
        name: &str,
        setting: Setting,
    ) -> Result<Self, ClusterError> {
        let options = forge_options(&setting);
        let (forge, install) = tokio::join!(Forge::start(options), Install::new(access, name));
        let story = Self::told(forge, install?, setting).await;
        story.connect()?;
        story.repository(|_| {}).await;
        Ok(story)
    }

    /// People and a repository on a forge, and an install that knows nothing of it yet.
    async fn told(forge: Forge, install: Install, setting: Setting) -> Self {
        let story = Self {
            forge,
            install,
            setting,
            gate: gate::Gate::default(),
            stand_in: None,
            operator: None,
            webhook: None,
            gateway: None,
            pages: None,
            release: None,
        };
        story.people().await;
        story
    }

    async fn people(&self) {
        for login in [ADA, GRACE, TRISTAN, MALLORY] {
            self.forge.add_user(login, UserType::User);
        }
        let files: Vec<(&str, &str)> = self
            .setting
            .files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        self.forge.add_repository(REPO, &files).await;
        self.forge.set_permission(REPO, ADA, Role::Write);
        self.forge.set_permission(REPO, GRACE, Role::Maintain);
        self.forge.set_permission(REPO, TRISTAN, Role::Triage);
        self.forge.fork(REPO, MALLORY).await;
    }

    fn connect(&self) -> Result<(), ClusterError> {
        let kind = if self.setting.app {
            let options = AppOptions {
                repositories: vec![REPO.to_owned()],
                ..AppOptions::default()
            };
            let options = match self.setting.checks {
                true => options.with("checks", "write"),
                false => options,
            };
            ConnectionKind::App(self.forge.add_app(options))
        } else {
            self.forge.add_user("prbuild-bot", UserType::User);
            self.forge.set_permission(REPO, "prbuild-bot", Role::Write);
            ConnectionKind::Token(self.forge.add_token("prbuild-bot", TokenOptions::default()))
        };
        let dir = self.connections()?;
        let written =
            self.forge
                .write_connection(&dir, "github", &kind, &[SECRET], self.setting.host);
        written
            .map(drop)
            .map_err(|source| ClusterError::Io { path: dir, source })
    }

    /// Directory of the connections.
    pub fn connections(&self) -> Result<PathBuf, ClusterError> {
        Ok(self.install.dir()?.join("connections"))
    }

    /// A client for the administrator, in the namespace of the objects.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.install.client(), self.install.namespace())
    }

    /// A client for the administrator, in the namespace of the Jobs.
    pub fn in_builds<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.install.client(), self.install.builds())
    }

    /// Pods of the builds.
    pub fn pods(&self) -> Api<Pod> {
        self.in_builds()
    }

    /// The Jobs that are there.
    pub async fn jobs(&self) -> Vec<Job> {
        match self.in_builds().list(&ListParams::default()).await {
            Ok(all) => all.items,
            Err(error) => panic!("the Jobs cannot be listed: {error}"),
        }
    }

    /// Makes or changes the Repository object `app`.
    pub async fn repository(&self, change: impl FnOnce(&mut RepositorySpec)) -> Repository {
        let (owner, name) = REPO.split_once('/').unwrap_or_default();
        let spec = json!({
            "owner": owner, "name": name, "connection": "github",
            "labels": [{ "name": LABEL }],
        });
        let mut spec: RepositorySpec = read(spec);
        change(&mut spec);
        apply(&self.api(), "app", json!({ "spec": spec })).await
    }

    /// Makes or changes a Builder: one step that passes, unless `change` says otherwise.
    pub async fn builder(&self, name: &str, change: impl FnOnce(&mut BuilderSpec)) -> Builder {
        let spec = json!({
            "displayName": name,
            "steps": [{ "name": "test", "run": "true" }],
            "kubernetes": { "image": "local/gcc:1", "resources": { "cpu": "100m", "memory": "256Mi", "disk": "1Gi" } },
        });
        let mut spec: BuilderSpec = read(spec);
        change(&mut spec);
        apply(&self.api(), name, json!({ "spec": spec })).await
    }

    /// Lets pods go through the phases that `script` gives them.
    pub fn pods_go(&mut self, script: impl Fn(&Pod) -> Fate + Send + Sync + 'static) {
        self.stand_in = Some(StandIn::start(
            self.install.client(),
            self.install.builds(),
            script,
        ));
    }

    /// Where people open the pages.
    #[track_caller]
    pub fn pages_url(&self) -> &str {
        match &self.pages {
            Some(pages) => pages,
            None => panic!("this story serves no pages"),
        }
    }

    /// The end: nothing of GitHub's contract was broken, nothing secret was printed, and the namespaces go.
    pub async fn end(self) {
        self.nothing_secret_was_printed().await;
        self.forge.finish().await;
        // Not all of a release lies in its namespaces.
        if let Some(release) = &self.release
            && let Err(error) = release.uninstall().await
        {
            panic!("{error}");
        }
        self.clear().await;
    }

    /// The end of a story whose release was uninstalled.
    pub async fn end_without_release(self) {
        self.nothing_secret_was_printed().await;
        self.forge.finish().await;
        self.clear().await;
    }

    async fn clear(self) {
        if let Err(error) = self.install.cleanup().await {
            panic!("{error}");
        }
    }
}

/// Server-side apply, as GitOps would.
pub async fn apply<K>(api: &Api<K>, name: &str, mut object: Value) -> K
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    object["metadata"] = json!({ "name": name });
    let how = PatchParams::apply("story").force();
    match api.patch(name, &how, &Patch::Apply(object)).await {
        Ok(applied) => applied,
        Err(error) => panic!("{name} was not taken: {error}"),
    }
}

/// A client of its own for somebody who must not share the story's connection pool.
pub async fn client_of(access: &Access) -> Client {
    match access.client().await {
        Ok(client) => client,
        Err(error) => panic!("{error}"),
    }
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    match serde_json::from_value(value) {
        Ok(read) => read,
        Err(error) => panic!("the story's own object cannot be read: {error}"),
    }
}
