//! What every reconcile is given: clients, caches, queues, and what is known only in this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use crds::{Answer, Builder, BuilderRun, PrBuild, Repository, RunPhase, Waiting};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Event as CoreEvent, Pod},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder, Reporter as EventSource},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    admission::Admission,
    cache::{Cache, version_of},
    metrics::Metrics,
    queue::Queue,
    report::Reporter,
    run::{job::Setup, pod::PodView},
};

/// Everything that a reconcile needs.
pub struct Context {
    /// Clients for the kinds that the operator touches.
    pub api: Apis,
    /// What the API server told.
    pub cache: Caches,
    /// What to look at next.
    pub queues: Queues,
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
    /// Writes statuses.
    pub reporter: Reporter,
    /// The API server, to write Kubernetes Events.
    pub client: Client,
    /// Reconciles that may wait for GitHub at a time; the others write without its answer.
    pub patience: Semaphore,
    /// Everything was read and reconciles act.
    pub acting: AtomicBool,
    /// Numbers for Prometheus.
    pub metrics: Arc<Metrics>,
}

/// One client a kind.
pub struct Apis {
    /// Repositories.
    pub repositories: Api<Repository>,
    /// Builders.
    pub builders: Api<Builder>,
    /// Builds.
    pub builds: Api<PrBuild>,
    /// Runs.
    pub runs: Api<BuilderRun>,
    /// Answers.
    pub answers: Api<Answer>,
    /// Jobs, in the build namespace.
    pub jobs: Api<Job>,
    /// Pods, in the build namespace.
    pub pods: Api<Pod>,
    /// Events of the Job controller, in the build namespace.
    pub events: Api<CoreEvent>,
}

impl Apis {
    /// Clients for an object namespace and a build namespace.
    pub fn new(client: &Client, objects: &str, builds: &str) -> Self {
        Self {
            repositories: Api::namespaced(client.clone(), objects),
            builders: Api::namespaced(client.clone(), objects),
            builds: Api::namespaced(client.clone(), objects),
            runs: Api::namespaced(client.clone(), objects),
            answers: Api::namespaced(client.clone(), objects),
            jobs: Api::namespaced(client.clone(), builds),
            pods: Api::namespaced(client.clone(), builds),
            events: Api::namespaced(client.clone(), builds),
        }
    }
}

/// One cache a kind.
pub struct Caches {
    /// Repositories.
    pub repositories: Cache<Repository>,
    /// Builders.
    pub builders: Cache<Builder>,
    /// Builds.
    pub builds: Cache<PrBuild>,
    /// Runs, in groups by [`of_build`] and [`of_status`].
    pub runs: Cache<BuilderRun>,
    /// Answers.
    pub answers: Cache<Answer>,
    /// Pods, in groups by the uid of their run.
    pub pods: Cache<PodView>,
}

/// Group of the runs of one build.
pub fn of_build(uid: &str) -> String {
    format!("build {uid}")
}

/// Group of the runs that are queued.
pub const QUEUED: &str = "queued";
/// Group of the runs that have not ended.
pub const LIVE: &str = "live";

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
            builds: Cache::new(|_| Vec::new()),
            runs: Cache::new(|run| {
                let uid = run.metadata.uid.as_deref().unwrap_or_default();
                let mut groups = vec![
                    of_build(&run.spec.pr_build.uid),
                    of_status(run),
                    of_uid(uid),
                ];
                let phase = run
                    .status
                    .as_ref()
                    .map(|status| status.phase)
                    .unwrap_or_default();
                if phase == RunPhase::Queued {
                    groups.push(QUEUED.to_owned());
                }
                if !phase.is_terminal() {
                    groups.push(LIVE.to_owned());
                }
                groups
            }),
            answers: Cache::new(|_| Vec::new()),
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

/// What is known of live runs only in this process, by uid. All of it can be lost.
#[derive(Default)]
pub struct Live(Mutex<HashMap<String, LiveRun>>);

/// What is known of one run.
#[derive(Clone, Debug, Default)]
pub struct LiveRun {
    /// It may have a Job.
    pub granted: bool,
    /// It has a Job, since when.
    pub job_since: Option<Instant>,
    /// A pod of it was seen.
    pub pod_seen: bool,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// When `waiting` was last written down.
    pub waiting_written: Option<Instant>,
    /// GitHub was told a pending state.
    pub pending_told: bool,
    /// When the API server was last asked whether its slot is free.
    pub slot_asked: Option<Instant>,
    /// How telling the final state goes.
    pub telling: Telling,
}

/// How telling a final state goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// Nobody was told.
    #[default]
    Not,
    /// The reporter was told, GitHub has not answered yet.
    Asked,
    /// What is to be recorded as `report.sent`.
    Done(String),
}

impl Live {
    /// What is known of a run.
    pub fn get(&self, uid: &str) -> LiveRun {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(uid).cloned().unwrap_or_default()
    }

    /// Changes what is known of a run.
    pub fn update<R>(&self, uid: &str, change: impl FnOnce(&mut LiveRun) -> R) -> R {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(uid.to_owned()).or_default())
    }

    /// Forgets a run that is over.
    pub fn forget(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}

/// What is known of builds only in this process, by uid. All of it can be lost.
#[derive(Default)]
pub struct LiveBuilds(Mutex<HashMap<String, LiveBuild>>);

/// What is known of one build.
#[derive(Clone, Debug)]
pub struct LiveBuild {
    /// When this process saw it first.
    pub seen: Instant,
    /// Its first attempts exist.
    pub dispatched: bool,
    /// What is to be said at its start was said.
    pub talked: bool,
    /// A comment of ours may stand already: look before writing one.
    pub maybe_posted: bool,
    /// The highest attempt that was made for a builder: one that is missing was deleted.
    pub attempts: HashMap<String, i64>,
    /// Builders whose runs are missing, and whether GitHub knows.
    pub missing_told: HashMap<String, bool>,
    /// Conditions that come from talking to GitHub.
    pub said: Vec<Said>,
    /// When its status was last written.
    pub written: Option<Instant>,
}

/// A condition that comes from talking to GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Type of the condition.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

impl Default for LiveBuild {
    fn default() -> Self {
        Self {
            seen: Instant::now(),
            dispatched: false,
            talked: false,
            maybe_posted: true,
            attempts: HashMap::new(),
            missing_told: HashMap::new(),
            said: Vec::new(),
            written: None,
        }
    }
}

impl LiveBuilds {
    /// Changes, or just reads, what is known of a build.
    pub fn update<R>(&self, uid: &str, change: impl FnOnce(&mut LiveBuild) -> R) -> R {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(uid.to_owned()).or_default())
    }

    /// Forgets a build that is over.
    pub fn forget(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}

/// Who writes Events.
fn event_source() -> EventSource {
    EventSource {
        controller: "prbuild-operator".to_owned(),
        instance: None,
    }
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
        let patch = serde_json::json!({
            "metadata": { "uid": run.uid(), "resourceVersion": run.resource_version() },
            "status": status,
        });
        let how = PatchParams::default();
        let patched = self
            .api
            .runs
            .patch_status(&run.name_any(), &how, &Patch::Merge(patch))
            .await?;
        let (name, version) = (patched.name_any(), version_of(&patched));
        self.cache.runs.learn(&name, version, trim_run(patched));
        self.metrics.wrote("builderruns");
        Ok(())
    }

    /// Publishes an Event about an object. Events are told, not relied on: a failure is logged.
    pub async fn event<K>(&self, about: &K, kind: EventType, reason: &str, note: String)
    where
        K: Resource<DynamicType = ()>,
    {
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(note.chars().take(1000).collect()),
            action: reason.to_owned(),
            secondary: None,
        };
        // A recorder of its own: a shared one takes a second Event of the same reason for a repetition
        // of the first, and keeps the first one's words.
        let recorder = Recorder::new(self.client.clone(), event_source());
        if let Err(error) = recorder.publish(&event, &about.object_ref(&())).await {
            tracing::warn!(reason, error = %error, "an Event could not be published");
        }
        self.metrics.wrote("events");
    }
}

/// A JSON merge patch of a status. It names the uid, so that an object which was made anew under
/// the same name is not written to.
pub async fn patch_status<K>(api: &Api<K>, object: &K, status: Value) -> kube::Result<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let patch = serde_json::json!({
        "metadata": { "uid": object.uid() },
        "status": status,
    });
    api.patch_status(
        &object.name_any(),
        &PatchParams::default(),
        &Patch::Merge(patch),
    )
    .await
}

/// Drops from a run what nobody reads again: field managers always, the steps once it has ended.
pub fn trim_run(mut run: BuilderRun) -> BuilderRun {
    run.metadata.managed_fields = None;
    if run
        .status
        .as_ref()
        .is_some_and(|status| status.phase.is_terminal())
    {
        run.spec.task.recipe = None;
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
