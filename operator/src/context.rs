//! What every reconcile is given: clients, caches, queues, and what is known only in this process.

use std::sync::{Arc, atomic::AtomicBool};

use crds::{
    Answer, Assignment, BuildPhase, Builder, BuilderRun, PrBuild, Repository, RunPhase, Worker,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Client, Resource, ResourceExt, runtime::events::EventType};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{
    admission::Admission,
    api,
    build::summary::phase_of,
    cache::{Cache, version_of},
    journal::Subject,
    metrics::{Metrics, Verb},
    pressure::Pressure,
    queue::Queue,
    record::Recorder,
    report::{Pages, Reporter},
    run::{job::Setup, pod::PodView},
    worker::notify::Notifier,
};

pub use crate::{
    api::{Apis, patch_status},
    live::{Live, LiveBuild, LiveBuilds, LiveRun, Said},
};

/// Everything that a reconcile needs.
pub struct Context {
    /// Clients for the kinds that the operator touches.
    pub api: Apis,
    /// What the API server told.
    pub cache: Caches,
    /// What to look at next.
    pub queues: Queues,
    /// How busy the cluster is.
    pub pressure: Pressure,
    /// Who gets a slot.
    pub admission: Admission,
    /// What is known of runs only in this process.
    pub live: Live,
    /// What is known of builds only in this process.
    pub live_builds: LiveBuilds,
    /// How Jobs run here.
    pub setup: Setup,
    /// The ways to GitHub.
    pub connections: Arc<github::Connections>,
    /// What was last seen of each Repository's webhook.
    pub probed: crate::specs::Probed,
    /// Writes statuses.
    pub reporter: Reporter,
    /// Puts on record what has ended; none where there is no gateway.
    pub recorder: Option<Recorder>,
    /// Where people open the pages of runs and builds, if anywhere.
    pub pages: Option<Pages>,
    /// Hears when a worker is left alone, if anybody wants to.
    pub notifier: Option<Arc<Notifier>>,
    /// The API server, to write Kubernetes Events.
    pub client: Client,
    /// Reconciles that may wait for GitHub at a time; the others write without its answer.
    pub patience: Semaphore,
    /// Everything was read and reconciles act.
    pub acting: AtomicBool,
    /// Numbers for Prometheus.
    pub metrics: Arc<Metrics>,
}

/// One cache a kind.
pub struct Caches {
    /// Repositories.
    pub repositories: Cache<Repository>,
    /// Builders.
    pub builders: Cache<Builder>,
    /// Builds, in groups by [`of_pull_request`] and [`of_live_builds`].
    pub builds: Cache<PrBuild>,
    /// Runs, in groups by [`of_build`], [`of_status`] and [`of_builder`].
    pub runs: Cache<BuilderRun>,
    /// Answers.
    pub answers: Cache<Answer>,
    /// Workers.
    pub workers: Cache<Worker>,
    /// Runs handed to workers, in groups by [`of_worker`].
    pub assignments: Cache<Assignment>,
    /// Pods, in groups by the uid of their run.
    pub pods: Cache<PodView>,
}

/// Group of the runs of one build.
pub fn of_build(uid: &str) -> String {
    format!("build {uid}")
}

/// Group of the builds of one pull request.
pub fn of_pull_request(build: &PrBuild) -> String {
    let request = &build.spec.request;
    format!("pull request {} {}", request.repository.id, request.number)
}

/// Group of the builds of a Repository that are not complete.
pub fn of_live_builds(repository: &str) -> String {
    format!("live {repository}")
}

/// Group of the assignments that a worker has, or may take, and that have not ended.
pub fn of_worker(name: &str) -> String {
    format!("worker {name}")
}

/// Group of the assignments that a worker has in hand.
pub fn held_by(name: &str) -> String {
    format!("held by {name}")
}

/// Group of the assignments that nobody has taken.
pub const UNTAKEN: &str = "untaken";

/// Group of the runs that are queued.
pub const QUEUED: &str = "queued";
/// Group of the runs that have not ended.
pub const LIVE: &str = "live";

/// Group of the runs of one builder that have not ended.
pub fn of_builder(name: &str) -> String {
    format!("builder {name}")
}

/// Group of the one run with this uid.
pub fn of_uid(uid: &str) -> String {
    format!("uid {uid}")
}

/// Group of the runs that speak for one commit status.
pub fn of_status(run: &BuilderRun) -> String {
    let task = &run.spec.task;
    format!(
        "status {} {} {}",
        task.source.repository_id, task.source.head_sha, task.context
    )
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            repositories: Cache::new(|_| Vec::new()),
            builders: Cache::new(|_| Vec::new()),
            builds: Cache::new(|build| {
                let mut groups = vec![of_pull_request(build)];
                let status = build.status.as_ref();
                if status.is_none_or(|status| status.phase != BuildPhase::Complete) {
                    groups.push(of_live_builds(&build.spec.request.repository.name));
                }
                groups
            }),
            runs: Cache::new(|run| {
                let uid = run.metadata.uid.as_deref().unwrap_or_default();
                let mut groups = vec![
                    of_build(&run.spec.pr_build.uid),
                    of_status(run),
                    of_uid(uid),
                ];
                let phase = phase_of(run);
                if phase == RunPhase::Queued {
                    groups.push(QUEUED.to_owned());
                }
                if !phase.is_terminal() {
                    groups.push(LIVE.to_owned());
                    groups.push(of_builder(&run.spec.task.builder));
                }
                groups
            }),
            answers: Cache::new(|_| Vec::new()),
            workers: Cache::new(|_| Vec::new()),
            assignments: Cache::new(|assignment| {
                let status = assignment.status.clone().unwrap_or_default();
                match &status.worker {
                    Some(_) if status.result.is_some() => Vec::new(),
                    // Nothing of it runs there any more, though its end is not told yet.
                    Some(worker) if status.forgotten.is_some() || status.ended_at.is_some() => {
                        vec![of_worker(worker)]
                    }
                    Some(worker) => vec![of_worker(worker), held_by(worker)],
                    None => {
                        let to = assignment.spec.to.iter().map(|to| of_worker(to));
                        to.chain([UNTAKEN.to_owned()]).collect()
                    }
                }
            }),
            pods: Cache::new(|pod| vec![pod.run_uid.clone()]),
        }
    }
}

/// One queue a reconcile.
#[derive(Default)]
pub struct Queues {
    /// Builds.
    pub builds: Arc<Queue>,
    /// What is said on pull requests about builds: slower, and waited for by nobody.
    pub talks: Arc<Queue>,
    /// Runs.
    pub runs: Arc<Queue>,
    /// Answers.
    pub answers: Arc<Queue>,
    /// Repositories.
    pub repositories: Arc<Queue>,
    /// Builders.
    pub builders: Arc<Queue>,
}

impl Context {
    /// The pod of a run: the one that is still going, else the last one.
    pub fn pod_of(&self, run_uid: &str) -> Option<Arc<PodView>> {
        let mut pods = self.cache.pods.group(run_uid);
        pods.sort_by_key(|pod| (!pod.has_ended(), pod.created));
        pods.pop()
    }

    /// Patches the status of a run, if nobody wrote it since it was read, and learns the answer. A
    /// leader that has lost its lease without knowing must not write over its successor.
    pub async fn patch_run(&self, run: &BuilderRun, status: Value) -> kube::Result<()> {
        let metadata =
            serde_json::json!({ "uid": run.uid(), "resourceVersion": run.resource_version() });
        self.metrics.wrote(Verb::Patch, "builderruns");
        let patch = api::patch(&self.api.runs, run, metadata, status);
        let patched = self.pressure.time(patch).await?;
        let (name, version) = (patched.name_any(), version_of(&patched));
        self.cache.runs.learn(&name, version, trim_run(patched));
        Ok(())
    }

    /// The build of a run; none if it is gone, also where one was made anew under its name.
    pub fn build_of(&self, run: &BuilderRun) -> Option<Arc<PrBuild>> {
        let owner = &run.spec.pr_build;
        let build = self.cache.builds.get(&owner.name);
        build.filter(|build| build.uid().as_ref() == Some(&owner.uid))
    }

    /// When the build of a run was asked for, by GitHub's clock; none if it is gone.
    pub fn asked(&self, run: &BuilderRun) -> Option<Timestamp> {
        let build = self.build_of(run)?;
        Some(build.spec.request.trigger.time.0)
    }

    /// Notes that a run got its Job or Assignment.
    pub fn admitted(&self, run: &BuilderRun) {
        self.metrics.started(run, self.asked(run));
        Subject::of(run).admitted();
    }

    /// Publishes an Event about an object. Events are told, not relied on: a failure is logged.
    pub async fn event<K>(&self, about: &K, kind: EventType, reason: &str, note: String)
    where
        K: Resource<DynamicType = ()>,
    {
        if let Err(error) = api::publish(&self.client, about, kind, reason, note).await {
            tracing::warn!(reason, error = %error, "an Event could not be published");
        }
        self.metrics.wrote(Verb::Create, "events");
    }
}

/// Drops from a run what nobody reads again once it has ended: its steps and its machine.
pub fn trim_run(mut run: BuilderRun) -> BuilderRun {
    if phase_of(&run).is_terminal() {
        run.spec.task.recipe = None;
        run.spec.task.kubernetes = None;
        run.spec.task.worker = None;
    }
    run
}

/// Drops field managers: four fifths of an object's memory.
pub fn trim<K: Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}

/// Now, as Kubernetes writes it.
pub fn now() -> Time {
    Time(Timestamp::now())
}
