//! A story: one repository with people on a forge, an install of PrBuild, and what happens between
//! them. Tests, demo and bench begin with one and change what they are about.

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
    api::{batch::v1::Job, coordination::v1::Lease, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    cluster::{Access, Binary, ClusterError, Fate, Install, StandIn, eventually},
    forge::{
        AppOptions, ConnectionKind, Forge, ForgeOptions, Id, PullRequest, Push, Role, TokenOptions,
        UserType,
    },
};

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
/// How long a test waits for something that takes moments.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How a story begins.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Address of this machine that pods reach; loopback where no pods fetch.
    pub host: IpAddr,
    /// Hold every request and answer against GitHub's descriptions.
    pub validate: bool,
    /// Authenticate as an App; else with a personal token.
    pub app: bool,
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
    stand_in: Option<StandIn>,
    operator: Option<usize>,
    webhook: Option<usize>,
}

impl Story {
    /// A forge with people and a repository, an install with a connection and a Repository object.
    /// Nothing runs yet.
    pub async fn begin(
        access: &Access,
        name: &str,
        setting: Setting,
    ) -> Result<Self, ClusterError> {
        let bind = if setting.host.is_loopback() {
            setting.host
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        let options = ForgeOptions {
            validate: setting.validate,
            bind,
            ..ForgeOptions::default()
        };
        let (forge, install) = tokio::join!(Forge::start(options), Install::new(access, name));
        let story = Self {
            forge,
            install: install?,
            setting,
            stand_in: None,
            operator: None,
            webhook: None,
        };
        story.people().await;
        story.connect()?;
        story.repository(|_| {}).await;
        Ok(story)
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

    /// Starts the operator, and waits until it has looked at the Repository.
    pub async fn start_operator(&mut self) -> Result<(), ClusterError> {
        self.operator = Some(self.start_another_operator().await?);
        self.eventually_in(
            "the Repository is known",
            "app",
            |repository: &Repository| {
                let status = repository.status.clone().unwrap_or_default();
                status.id.map(drop).ok_or_else(|| format!("{status:?}"))
            },
        )
        .await;
        Ok(())
    }

    /// Starts one more operator, which follows as long as another leads. Returns its index in the
    /// install.
    pub async fn start_another_operator(&mut self) -> Result<usize, ClusterError> {
        let connections = self.connections()?;
        let connections = connections.display().to_string();
        let image = self.setting.checkout_image.clone();
        let args = [
            ["--connections", &connections],
            ["--checkout-image", &image],
            ["--metrics", "127.0.0.1:0"],
        ];
        self.install
            .start(Binary::Operator, args.as_flattened())
            .await
    }

    /// Index of the operator in the install.
    pub fn operator(&self) -> Option<usize> {
        self.operator
    }

    /// Lets the time of a lease pass whose holder was killed.
    pub async fn lease_runs_out(&self) {
        let long_ago = json!({ "spec": { "renewTime": "2020-01-01T00:00:00.000000Z" } });
        let leases = self.api::<Lease>();
        let patched = leases
            .patch(
                "prbuild-operator",
                &PatchParams::default(),
                &Patch::Merge(long_ago),
            )
            .await;
        if let Err(error) = patched {
            panic!("the lease cannot be changed: {error}");
        }
    }

    /// Kills the operator, as a crash would. Its lease has to run out before another one leads.
    pub async fn kill_operator(&mut self) {
        if let Some(program) = self
            .operator
            .take()
            .and_then(|index| self.install.program(index))
        {
            program.kill();
        }
    }

    /// Starts the webhook and hooks it to the forge.
    pub async fn start_webhook(&mut self) -> Result<(), ClusterError> {
        self.start_webhook_with(&[]).await
    }

    /// Starts the webhook with more arguments and hooks it to the forge.
    pub async fn start_webhook_with(&mut self, more: &[&str]) -> Result<(), ClusterError> {
        let connections = self.connections()?.display().to_string();
        let mut args = vec!["--connections", &connections, "--listen", "127.0.0.1:0"];
        args.extend(["--metrics", "127.0.0.1:0"]);
        args.extend(more);
        let index = self.install.start(Binary::Webhook, &args).await?;
        self.webhook = Some(index);
        let address = self.install.listening(index).await?;
        self.forge
            .add_hook(REPO, &format!("http://{address}/webhook"), SECRET);
        Ok(())
    }

    /// Process ids of webhook and operator.
    pub fn pids(&mut self) -> Vec<u32> {
        let indexes = [self.webhook, self.operator];
        let running = indexes.into_iter().flatten();
        running
            .filter_map(|index| self.install.program(index).map(|program| program.pid()))
            .collect()
    }

    /// Writes that PrBuild made since the API server started, by the API server's own count: to its
    /// kinds, to Jobs, and Events.
    pub async fn api_writes(&self) -> Result<f64, ClusterError> {
        let asked = http::Request::get("/metrics").body(Vec::new());
        let asked = asked.map_err(|error| ClusterError::Command {
            what: "the API server's metrics cannot be asked for".to_owned(),
            because: error.to_string(),
        })?;
        let text = self.install.client().request_text(asked).await;
        let text = text.map_err(|source| ClusterError::Api {
            what: "the API server's metrics cannot be read".to_owned(),
            source: Box::new(source),
        })?;
        Ok(text
            .lines()
            .filter(|line| is_our_write(line))
            .filter_map(value_of)
            .sum())
    }

    /// What the operator printed.
    pub fn operator_log(&mut self) -> String {
        let program = self.operator.and_then(|index| self.install.program(index));
        program.map(|program| program.log()).unwrap_or_default()
    }

    /// Mallory pushes to a branch of the fork and opens a pull request. Then the quiet period passes.
    pub async fn open_pull_request(&self, branch: &str, files: &[(&str, &str)]) -> u64 {
        let fork = format!("{MALLORY}/app");
        let push = Push {
            repository: &fork,
            branch,
            files,
            by: MALLORY,
            ..Push::default()
        };
        self.forge.push_with(push).await;
        let head = format!("{MALLORY}:{branch}");
        let new = PullRequest {
            title: "A change",
            author: MALLORY,
            head: &head,
            ..PullRequest::default()
        };
        let number = self.forge.open_pull_request(REPO, new).await;
        self.quiet();
        number
    }

    /// The quiet period passes on GitHub's clock.
    pub fn quiet(&self) {
        self.forge.clock().advance(Duration::from_secs(120));
    }

    /// Ada labels a pull request. Returns the event's id.
    pub fn label(&self, number: u64) -> Id {
        self.forge.add_label(REPO, number, LABEL, ADA)
    }

    /// Name of the object that a labelling becomes.
    pub fn name_of(&self, number: u64, event: Id) -> String {
        format!("app-{number}-l{event}")
    }

    /// Makes a build of a pull request as the gate would, for stories that begin after it.
    pub async fn authorized(&self, number: u64, builders: &[&str]) -> PrBuild {
        self.authorized_with(number, builders, |_| {}).await
    }

    /// The same, with a change.
    pub async fn authorized_with(
        &self,
        number: u64,
        builders: &[&str],
        change: impl FnOnce(&mut PrBuildSpec),
    ) -> PrBuild {
        let event = self.label(number);
        let pull = self.forge.pull_request(REPO, number);
        let now = Time(self.forge.clock().now());
        let request = Request {
            repository: RepositoryRef {
                name: "app".to_owned(),
                id: signed(self.forge.repository_id(REPO)),
                full_name: REPO.to_owned(),
            },
            number: signed(number),
            head_sha: pull.head_sha.clone(),
            merge_sha: None,
            merge_tree: None,
            base_sha: None,
            base_ref: "main".to_owned(),
            flavour: "default".to_owned(),
            builders: builders.iter().map(|name| (*name).to_owned()).collect(),
            left_out: Vec::new(),
            trigger: Trigger {
                kind: TriggerKind::Label,
                event_id: signed(event),
                time: now,
                label: Some(LABEL.to_owned()),
                command: None,
                user: crds::Person {
                    id: signed(self.forge.user_id(ADA)),
                    login: ADA.to_owned(),
                },
                permission: "write".to_owned(),
                evidence: Evidence::Label,
            },
        };
        let mut spec = PrBuildSpec {
            request,
            cancel: None,
        };
        change(&mut spec);
        let request = &spec.request;
        let name = names::event_name(&request.repository.name, request.number, &request.trigger);
        let build = PrBuild {
            metadata: ObjectMeta {
                name: Some(name),
                ..ObjectMeta::default()
            },
            spec,
            status: None,
        };
        match self.api().create(&PostParams::default(), &build).await {
            Ok(build) => build,
            Err(error) => panic!("the build was not taken: {error}"),
        }
    }

    /// Cancels a build as a person would.
    pub async fn cancel(&self, build: &str) {
        let patch = Patch::Merge(json!({ "spec": { "cancel": cancellation() } }));
        let patched = self
            .api::<PrBuild>()
            .patch(build, &PatchParams::default(), &patch)
            .await;
        if let Err(error) = patched {
            panic!("{build} cannot be cancelled: {error}");
        }
    }

    /// Waits until a build is complete and GitHub knows every result.
    pub async fn complete(&self, build: &str) -> PrBuild {
        self.complete_within(build, PATIENCE).await
    }

    /// The same, with another patience.
    pub async fn complete_within(&self, build: &str, patience: Duration) -> PrBuild {
        let api = self.api::<PrBuild>();
        eventually(
            format!("{build} is complete and reported"),
            patience,
            async || {
                let found = api.get(build).await.map_err(|error| error.to_string())?;
                let status = found.status.clone().unwrap_or_default();
                let reported = condition::is_true(&status.conditions, condition::kind::REPORTED);
                let complete = status.phase == crds::BuildPhase::Complete && reported;
                if complete {
                    Ok(found)
                } else {
                    Err(serde_json::to_string(&status).unwrap_or_default())
                }
            },
        )
        .await
    }

    /// Waits until an object looks as it should.
    pub async fn eventually_in<K, T>(
        &self,
        what: &str,
        name: &str,
        look: impl Fn(&K) -> Result<T, String>,
    ) -> T
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api = self.api::<K>();
        eventually(what, PATIENCE, async || {
            let found = api.get(name).await.map_err(|error| error.to_string())?;
            look(&found)
        })
        .await
    }

    /// The runs of a build, by builder and attempt.
    pub async fn runs(&self, build: &str) -> Vec<BuilderRun> {
        let all = self.api::<BuilderRun>().list(&ListParams::default()).await;
        let mut runs = all.map(|all| all.items).unwrap_or_default();
        runs.retain(|run| run.spec.pr_build.name == build);
        runs.sort_by_key(ResourceExt::name_any);
        runs
    }

    /// Waits for the answer to an event.
    pub async fn answered(&self, name: &str) -> Answer {
        self.eventually_in(
            &format!("the answer {name} is given"),
            name,
            |answer: &Answer| {
                let status = answer.status.clone().unwrap_or_default();
                match status.given {
                    Some(_) => Ok(answer.clone()),
                    None => Err(format!("{status:?}")),
                }
            },
        )
        .await
    }

    /// The last status of every context on the head of a pull request, as `context: state`.
    pub fn last_statuses(&self, number: u64) -> Vec<(String, String, String)> {
        let head = self.forge.pull_request(REPO, number).head_sha;
        let mut last: Vec<(String, String, String)> = Vec::new();
        for status in self.forge.statuses(REPO, &head) {
            last.retain(|(context, ..)| *context != status.context);
            let description = status.description.clone().unwrap_or_default();
            last.push((status.context.clone(), status.state.clone(), description));
        }
        last.sort();
        last
    }

    /// The end: nothing of GitHub's contract was broken, and the namespaces go.
    pub async fn end(self) {
        self.forge.finish().await;
        if let Err(error) = self.install.cleanup().await {
            panic!("{error}");
        }
    }
}

/// What a person writes who stops a build.
pub fn cancellation() -> Cancel {
    Cancel {
        by: "infra".to_owned(),
        reason: "not needed any more".to_owned(),
        at: Time(jiff::Timestamp::now()),
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

fn is_our_write(line: &str) -> bool {
    let has = |label: &str| line.contains(label);
    let writes = ["POST", "PUT", "PATCH", "DELETE"]
        .iter()
        .any(|verb| has(&format!("verb=\"{verb}\"")));
    let jobs = has("resource=\"jobs\"")
        && has("subresource=\"\"")
        && (has("verb=\"POST\"") || has("verb=\"DELETE\""));
    let ours = has("group=\"prbuild.dev\"") || has("group=\"events.k8s.io\"") || jobs;
    line.starts_with("apiserver_request_total{") && writes && ours
}

fn value_of(line: &str) -> Option<f64> {
    line.rsplit(' ').next()?.parse().ok()
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    match serde_json::from_value(value) {
        Ok(read) => read,
        Err(error) => panic!("the story's own object cannot be read: {error}"),
    }
}

/// GitHub's numbers are positive and far below 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
