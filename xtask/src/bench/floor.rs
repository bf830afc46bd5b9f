//! Floors: the same writes and the same answers without PrBuild.

use std::time::Duration;

use crds::{BuildRef, BuilderRun, BuilderRunSpec, PrBuild, Task};
use futures::future::try_join_all;
use github::{Access, Connections};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use operator::run::job::{self, Setup};
use protocol::{Recipe, Source, Step};
use serde_json::json;
use tests::story::{REPO, Story};
use tokio::sync::watch;
use tokio::time::Instant;

use super::load::Sample;
use crate::Result;

/// Clients of the concurrent floor.
const CLIENTS: usize = 8;

/// What cannot be beaten on this machine, in this run. Seconds.
#[derive(Debug)]
pub struct Floor {
    /// One create of a PrBuild, median.
    pub create: f64,
    /// The slowest answer that the gate waits for, as a client sees it, median.
    pub slowest_answer: f64,
    /// All writes of a build, one after the other, median.
    pub build: f64,
    /// The same from 8 clients: builds a second.
    pub builds_per_second: f64,
}

/// Measures the floors with so many builds.
pub async fn measure(story: &Story, builds: usize) -> Result<Floor> {
    let number = story
        .open_pull_request("floor", &[("README", "floor")])
        .await;
    let template = story.authorized(number, &["b0"]).await;
    story
        .forge
        .remove_label(REPO, number, tests::story::LABEL, tests::story::ADA);
    let hand = Hand::new(story, template);
    let mut create = Vec::new();
    for n in 0..builds {
        let began = Instant::now();
        hand.build(&format!("create-{n}")).await?;
        create.push(began.elapsed().as_secs_f64());
    }
    let mut whole = Vec::new();
    for n in 0..builds {
        let began = Instant::now();
        hand.whole(format!("one-{n}")).await?;
        whole.push(began.elapsed().as_secs_f64());
    }
    let began = Instant::now();
    let clients = (0..CLIENTS).map(|client| {
        let hand = &hand;
        async move {
            for n in 0..builds.div_ceil(4) {
                hand.whole(format!("many-{client}-{n}")).await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        }
    });
    try_join_all(clients).await?;
    let many = (CLIENTS * builds.div_ceil(4)) as f64 / began.elapsed().as_secs_f64();
    let slowest_answer = slowest_answer(story, number, builds).await?;
    hand.forget().await?;
    Ok(Floor {
        create: Sample::from(create).p50(),
        slowest_answer,
        build: Sample::from(whole).p50(),
        builds_per_second: many,
    })
}

/// The gate's calls run side by side; the one that takes longest is its chain.
async fn slowest_answer(story: &Story, number: u64, times: usize) -> Result<f64> {
    let connections = Connections::load(&story.connections()?, Access::Read)?;
    let connection = connections
        .get("github")
        .ok_or("the connection is not there")?;
    let (owner, name) = REPO.split_once('/').unwrap_or_default();
    let repo = connection.repo(owner, name);
    let number = i64::try_from(number)?;
    let (mut merge, mut events, mut pull) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..times {
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

/// Does by hand what webhook and operator do.
struct Hand {
    builds: Api<PrBuild>,
    runs: Api<BuilderRun>,
    jobs: Api<Job>,
    pods: Api<Pod>,
    setup: Setup,
    template: PrBuild,
    made: watch::Receiver<std::collections::HashSet<String>>,
}

impl Hand {
    fn new(story: &Story, mut template: PrBuild) -> Self {
        let client: Client = story.install.client();
        let namespace = story.install.builds();
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        template.metadata = ObjectMeta::default();
        let (sender, made) = watch::channel(std::collections::HashSet::new());
        tokio::spawn(watch_pods(pods.clone(), sender));
        Self {
            builds: story.api(),
            runs: story.api(),
            jobs: Api::namespaced(client, namespace),
            pods,
            setup: Setup {
                namespace: namespace.to_owned(),
                checkout_image: "local/checkout:1".to_owned(),
                service_account: "prbuild-build".to_owned(),
            },
            template,
            made,
        }
    }

    async fn build(&self, name: &str) -> kube::Result<PrBuild> {
        let mut build = self.template.clone();
        build.metadata.name = Some(format!("floor-{name}"));
        self.builds.create(&PostParams::default(), &build).await
    }

    /// All writes of a build with one builder, one after the other.
    async fn whole(&self, name: String) -> Result<()> {
        let build = self.build(&name).await?;
        let run = self
            .runs
            .create(&PostParams::default(), &self.run(&build))
            .await?;
        let job = self
            .jobs
            .create(&PostParams::default(), &job::job(&run, &self.setup)?)
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
        let request = &build.spec.request;
        let name = build.name_any();
        let task = Task {
            builder: "b0".to_owned(),
            display_name: "b0".to_owned(),
            context: "prbuild/b0".to_owned(),
            repository: "app".to_owned(),
            requester: "ada".to_owned(),
            requester_id: 1,
            source: Source {
                repository_id: request.repository.id,
                repository: request.repository.full_name.clone(),
                clone_url: "https://github.com/octo/app.git".to_owned(),
                pull_request: request.number,
                commit: request.head_sha.clone(),
                parents: Vec::new(),
                tree: None,
                head_sha: request.head_sha.clone(),
                base_ref: request.base_ref.clone(),
            },
            recipe: Some(Recipe {
                steps: vec![Step {
                    run: "true".to_owned(),
                    ..Step::default()
                }],
                ..Recipe::default()
            }),
            infra_retries: 0,
            kubernetes: Some(crds::Kubernetes {
                image: "local/gcc:1".to_owned(),
                ..crds::Kubernetes::default()
            }),
            invalid: None,
        };
        BuilderRun {
            metadata: ObjectMeta {
                name: Some(crds::names::run_name(&name, "b0", 1)),
                ..ObjectMeta::default()
            },
            spec: BuilderRunSpec {
                pr_build: BuildRef {
                    uid: build.uid().unwrap_or_default(),
                    name,
                },
                attempt: 1,
                task,
                cancel: None,
            },
            status: None,
        }
    }

    /// Deletes what the floors left, so that PrBuild does not take it up.
    async fn forget(&self) -> kube::Result<()> {
        let (how, all) = (
            kube::api::DeleteParams::background(),
            kube::api::ListParams::default(),
        );
        self.builds.delete_collection(&how, &all).await?;
        self.runs.delete_collection(&how, &all).await?;
        self.jobs.delete_collection(&how, &all).await?;
        Ok(())
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
