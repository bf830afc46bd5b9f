//! Floors: the same writes and the same answers without PrBuild.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crds::{Builder, BuilderRun, PrBuild};
use futures::future::try_join_all;
use github::Connections;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use operator::build::dispatch::{self, Materials};
use operator::run::job::{self, Setup};
use serde_json::json;
use tests::cluster::Access;
use tests::story::{REPO, Setting, Story};
use tokio::sync::watch;
use tokio::time::Instant;

use super::load::Sample;
use crate::Result;

/// Clients of the concurrent floor.
const CLIENTS: usize = 8;
/// The builder that all runs name.
const BUILDER: &str = "b0";

/// Bare writes, in namespaces of their own, so that PrBuild does not take them up and they can be
/// measured beside it at any time.
pub struct Bare {
    story: Story,
    number: u64,
    hand: Hand,
    made: AtomicUsize,
}

impl Bare {
    /// Namespaces, a forge and a pull request.
    pub async fn begin(access: &Access, setting: Setting) -> Result<Self> {
        let story = Story::begin(access, "bare", setting).await?;
        let number = story
            .open_pull_request("floor", &[("README", "floor")])
            .await;
        story.builder(BUILDER, |_| {}).await;
        let builder = story.api::<Builder>().get(BUILDER).await?;
        let template = story.authorized(number, &[BUILDER]).await;
        story
            .forge
            .remove_label(REPO, number, tests::story::LABEL, tests::story::ADA);
        let hand = Hand::new(&story, template, builder).await;
        let made = AtomicUsize::new(0);
        Ok(Self {
            story,
            number,
            hand,
            made,
        })
    }

    /// Takes its namespaces down.
    pub async fn end(self) {
        self.story.end().await;
    }

    fn name(&self) -> String {
        format!("floor-{}", self.made.fetch_add(1, Ordering::Relaxed))
    }

    /// Seconds of one create of a PrBuild, median, at the pace of the load: a server that does nothing
    /// else meanwhile answers the next one much faster than one after a second of rest.
    pub async fn create(&self, times: usize, pace: Duration) -> Result<f64> {
        let mut took = Vec::new();
        for _ in 0..times {
            tokio::time::sleep(pace).await;
            let began = Instant::now();
            self.hand.build(&self.name()).await?;
            took.push(began.elapsed().as_secs_f64());
        }
        Ok(Sample::from(took).p50())
    }

    /// Seconds of all writes of a build, one after the other, median.
    pub async fn build(&self, times: usize) -> Result<f64> {
        let mut took = Vec::new();
        for _ in 0..times {
            let began = Instant::now();
            self.hand.whole(&self.name()).await?;
            took.push(began.elapsed().as_secs_f64());
        }
        Ok(Sample::from(took).p50())
    }

    /// The same from 8 clients: builds a second.
    pub async fn builds_per_second(&self, builds: usize) -> Result<f64> {
        let began = Instant::now();
        let each = builds.div_ceil(CLIENTS);
        let clients = (0..CLIENTS).map(|_| async move {
            for _ in 0..each {
                self.hand.whole(&self.name()).await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
        try_join_all(clients).await?;
        Ok((CLIENTS * each) as f64 / began.elapsed().as_secs_f64())
    }

    /// Seconds of the slowest answer that the gate waits for, median: its calls run side by side, and
    /// the one that takes longest is its chain. At the pace of the load, too.
    pub async fn slowest_answer(&self, times: usize, pace: Duration) -> Result<f64> {
        let connections = Connections::load(&self.story.connections()?, github::Access::Read)?;
        let connection = connections
            .get("github")
            .ok_or("the connection is not there")?;
        let (owner, name) = REPO.split_once('/').unwrap_or_default();
        let repo = connection.repo(owner, name);
        let number = i64::try_from(self.number)?;
        let (mut merge, mut events, mut pull) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..times {
            tokio::time::sleep(pace).await;
            let began = Instant::now();
            repo.test_merge(number).await?;
            merge.push(began.elapsed().as_secs_f64());
            let began = Instant::now();
            repo.label_events(number).await?;
            events.push(began.elapsed().as_secs_f64());
            let began = Instant::now();
            repo.pull_request(number).await?;
            pull.push(began.elapsed().as_secs_f64());
        }
        Ok([merge, events, pull]
            .map(|times| Sample::from(times).p50())
            .into_iter()
            .fold(0.0, f64::max))
    }
}

/// Does by hand what webhook and operator do.
struct Hand {
    builds: Api<PrBuild>,
    runs: Api<BuilderRun>,
    jobs: Api<Job>,
    pods: Api<Pod>,
    setup: Setup,
    template: PrBuild,
    builder: Builder,
    made: watch::Receiver<std::collections::HashSet<String>>,
}

impl Hand {
    async fn new(story: &Story, mut template: PrBuild, builder: Builder) -> Self {
        let client: Client = story.install.client();
        let namespace = story.install.builds();
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        template.metadata = ObjectMeta::default();
        let (sender, made) = watch::channel(std::collections::HashSet::new());
        tokio::spawn(watch_pods(pods.clone(), sender));
        Self {
            builds: story.gate().await,
            runs: story.api(),
            jobs: Api::namespaced(client, namespace),
            pods,
            setup: Setup {
                namespace: namespace.to_owned(),
                checkout_image: "local/checkout:1".to_owned(),
                service_account: "prbuild-build".to_owned(),
                ..Setup::default()
            },
            template,
            builder,
            made,
        }
    }

    async fn build(&self, name: &str) -> kube::Result<PrBuild> {
        let mut build = self.template.clone();
        build.metadata.name = Some(name.to_owned());
        self.builds.create(&PostParams::default(), &build).await
    }

    /// All writes of a build with one builder, one after the other.
    async fn whole(&self, name: &str) -> Result<()> {
        let build = self.build(name).await?;
        let run = self
            .runs
            .create(&PostParams::default(), &self.run(&build))
            .await?;
        let job = self
            .jobs
            .create(&PostParams::default(), &job::job(&run, &self.setup, None)?)
            .await?;
        patch(&self.builds, &build, json!({ "phase": "Running" })).await?;
        let prefix = format!("{}-", job.name_any());
        let mut made = self.made.clone();
        let mine = |pods: &std::collections::HashSet<String>| {
            pods.iter().any(|pod| pod.starts_with(&prefix))
        };
        let pods = tokio::time::timeout(Duration::from_secs(30), made.wait_for(mine)).await??;
        let pod = pods
            .iter()
            .find(|pod| pod.starts_with(&prefix))
            .cloned()
            .unwrap_or_default();
        drop(pods);
        let status = Patch::Merge(json!({ "status": { "phase": "Succeeded" } }));
        self.pods
            .patch_status(&pod, &PatchParams::default(), &status)
            .await?;
        patch(&self.runs, &run, json!({ "phase": "Succeeded" })).await?;
        patch(&self.builds, &build, json!({ "phase": "Complete" })).await?;
        Ok(())
    }

    fn run(&self, build: &PrBuild) -> BuilderRun {
        let materials = Materials {
            build,
            repository: None,
            clone_url: "https://github.com/octo/app.git",
            writes_checks: false,
        };
        dispatch::first_attempt(&materials, BUILDER, Ok(&self.builder))
    }
}

async fn patch<K>(api: &Api<K>, object: &K, status: serde_json::Value) -> kube::Result<K>
where
    K: Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let patch = Patch::Merge(json!({ "status": status }));
    api.patch_status(&object.name_any(), &PatchParams::default(), &patch)
        .await
}

async fn watch_pods(pods: Api<Pod>, made: watch::Sender<std::collections::HashSet<String>>) {
    use futures::{StreamExt, TryStreamExt};
    let stream = watcher(pods, watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let mut stream = std::pin::pin!(stream.into_stream());
    while let Some(next) = stream.next().await {
        if let Ok(pod) = next {
            made.send_if_modified(|known| known.insert(pod.name_any()));
        }
        if made.is_closed() {
            return;
        }
    }
}
