//! What is in the cluster now: Repositories, Builders, Workers, builds and runs of one namespace, read and never
//! written. Pages are made from this while objects exist, and from records afterwards.

pub(crate) mod cache;
pub(crate) mod follow;
mod trim;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crds::{BuildPhase, Builder, BuilderRun, PrBuild, Repository, RunPhase, Worker};
use jiff::Timestamp;
use kube::{Api, Client, ResourceExt};

use cache::{Cache, Group};

/// How long the API server may be away before pages say so: a watch that is set up again is no trouble.
const PATIENCE: Duration = Duration::from_secs(5);

/// The objects of one namespace, trimmed to what pages show.
pub struct Cluster {
    repositories: Cache<Repository>,
    builders: Cache<Builder>,
    workers: Cache<Worker>,
    builds: Cache<PrBuild>,
    runs: Cache<BuilderRun>,
    is_followed: AtomicBool,
}

/// Why what is known of the cluster may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no cluster to read: pages are made of records alone.
    Nowhere,
    /// It has not been read yet.
    Unread,
    /// It does not answer since then; what is known is of that time.
    Away(Timestamp),
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            repositories: Cache::new(|_| Vec::new()),
            builders: Cache::new(|_| Vec::new()),
            workers: Cache::new(|_| Vec::new()),
            builds: Cache::new(groups_of_build),
            runs: Cache::new(groups_of_run),
            is_followed: AtomicBool::new(false),
        }
    }
}

fn groups_of_build(build: &PrBuild) -> Vec<Group> {
    let request = &build.spec.request;
    let status = build.status.as_ref();
    let is_complete = status.is_some_and(|status| status.phase == BuildPhase::Complete);
    vec![
        Group::Pull(request.repository.name.clone(), request.number),
        if is_complete {
            Group::Ended
        } else {
            Group::Live
        },
    ]
}

fn groups_of_run(run: &BuilderRun) -> Vec<Group> {
    let mut groups = vec![
        Group::Build(run.spec.pr_build.uid.clone()),
        Group::Uid(run.uid().unwrap_or_default()),
    ];
    if !phase_of(run).is_terminal() {
        groups.push(Group::Live);
        groups.push(Group::LiveOf(run.spec.task.builder.clone()));
    }
    groups
}

/// Where a run stands.
pub fn phase_of(run: &BuilderRun) -> RunPhase {
    let status = run.status.as_ref();
    status.map(|status| status.phase).unwrap_or_default()
}

impl Cluster {
    /// Reads the namespace and follows its changes, for ever.
    pub async fn follow(&self, client: Client, namespace: &str) {
        self.is_followed.store(true, Ordering::Relaxed);
        tokio::join!(
            follow::follow(
                api(&client, namespace),
                &self.repositories,
                trim::repository,
                |_| {}
            ),
            follow::follow(
                api(&client, namespace),
                &self.builders,
                trim::builder,
                |_| {}
            ),
            follow::follow(api(&client, namespace), &self.workers, trim::worker, |_| {}),
            follow::follow(api(&client, namespace), &self.builds, trim::build, |_| {}),
            follow::follow(api(&client, namespace), &self.runs, trim::run, |_| {}),
        );
    }

    /// Whether everything was read once.
    pub fn is_read(&self) -> bool {
        let signs = self.signs();
        signs.iter().all(|sign| sign.is_read)
    }

    /// What is wrong with what is known, if anything is.
    pub fn trouble(&self, now: Timestamp) -> Option<Trouble> {
        if !self.is_followed.load(Ordering::Relaxed) {
            return Some(Trouble::Nowhere);
        }
        if !self.is_read() {
            return Some(Trouble::Unread);
        }
        let signs = self.signs();
        let away = signs.iter().filter_map(|sign| sign.away_since).min()?;
        let is_long = now.duration_since(away).unsigned_abs() >= PATIENCE;
        is_long.then_some(Trouble::Away(away))
    }

    fn signs(&self) -> [cache::Sign; 5] {
        [
            self.repositories.sign(),
            self.builders.sign(),
            self.workers.sign(),
            self.builds.sign(),
            self.runs.sign(),
        ]
    }

    /// The Repository of this name.
    pub fn repository(&self, name: &str) -> Option<Arc<Repository>> {
        self.repositories.get(name)
    }

    /// The Builder of this name.
    pub fn builder(&self, name: &str) -> Option<Arc<Builder>> {
        self.builders.get(name)
    }

    /// Every Builder, by name.
    pub fn builders(&self) -> Vec<Arc<Builder>> {
        let mut builders = self.builders.all();
        builders.sort_by_key(|builder| builder.name_any());
        builders
    }

    /// Every Worker.
    pub fn workers(&self) -> Vec<Arc<Worker>> {
        self.workers.all()
    }

    /// The build of this name.
    pub fn build(&self, name: &str) -> Option<Arc<PrBuild>> {
        self.builds.get(name)
    }

    /// Builds of a pull request, newest first.
    pub fn builds_of_pull(&self, repository: &str, number: i64) -> Vec<Arc<PrBuild>> {
        let pull = Group::Pull(repository.to_owned(), number);
        self.builds.newest(&pull, usize::MAX)
    }

    /// Builds that are not complete, newest first.
    pub fn live_builds(&self, limit: usize) -> Vec<Arc<PrBuild>> {
        self.builds.newest(&Group::Live, limit)
    }

    /// How many builds are not complete.
    pub fn count_live_builds(&self) -> usize {
        self.builds.count(&Group::Live)
    }

    /// The builds that are complete, those asked for last first.
    pub fn ended_builds(&self, limit: usize) -> Vec<Arc<PrBuild>> {
        self.builds.newest(&Group::Ended, limit)
    }

    /// The run of this uid.
    pub fn run(&self, uid: &str) -> Option<Arc<BuilderRun>> {
        let found = self.runs.newest(&Group::Uid(uid.to_owned()), 1);
        found.into_iter().next()
    }

    /// The runs of a build, all attempts.
    pub fn runs_of(&self, build_uid: &str) -> Vec<Arc<BuilderRun>> {
        let build = Group::Build(build_uid.to_owned());
        self.runs.newest(&build, usize::MAX)
    }

    /// Runs that have not ended.
    pub fn live_runs(&self) -> Vec<Arc<BuilderRun>> {
        self.runs.newest(&Group::Live, usize::MAX)
    }

    /// Runs of a builder that have not ended, those that were made last first.
    pub fn live_runs_of(&self, builder: &str) -> Vec<Arc<BuilderRun>> {
        let builder = Group::LiveOf(builder.to_owned());
        self.runs.newest(&builder, usize::MAX)
    }
}

fn api<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}

#[cfg(test)]
impl Cluster {
    /// A cluster that was read whole and holds these objects, as the API server writes them.
    pub fn holding(objects: &[serde_json::Value]) -> Self {
        use serde_json::from_value;

        let cluster = Self::default();
        for object in objects.iter().cloned() {
            match object["kind"].as_str().unwrap() {
                "Repository" => cluster.repositories.put(from_value(object).unwrap()),
                "Builder" => cluster.builders.put(from_value(object).unwrap()),
                "Worker" => cluster.workers.put(from_value(object).unwrap()),
                "PrBuild" => cluster.builds.put(from_value(object).unwrap()),
                "BuilderRun" => cluster.runs.put(from_value(object).unwrap()),
                other => panic!("{other} is no kind that pages show"),
            }
        }
        cluster.is_followed.store(true, Ordering::Relaxed);
        cluster.repositories.was_read();
        cluster.builders.was_read();
        cluster.workers.was_read();
        cluster.builds.was_read();
        cluster.runs.was_read();
        cluster
    }
    /// The API server does not answer since then.
    pub fn is_away(&self, since: Timestamp) {
        self.builds.is_away(since);
    }
}
