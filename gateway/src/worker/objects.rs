//! Worker and Assignment objects: followed, and written by compare-and-swap.

use std::sync::Arc;

use crds::{Assignment, Worker, names};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use protocol::worker::assignment::Audience;
use protocol::worker::server::View;
use protocol::worker::wire::is_assignment_id;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::cluster::cache::{Cache, Group};
use crate::cluster::follow::follow;
use crate::metrics::Metrics;

/// How often a write is tried again after somebody else wrote first.
const TRIES: usize = 6;

/// What agents are served from.
pub struct Objects {
    workers: Cache<Worker>,
    assignments: Cache<Assignment>,
    worker_api: Api<Worker>,
    assignment_api: Api<Assignment>,
    follow: (Client, String),
    metrics: Arc<Metrics>,
    /// Names of workers that something changed for.
    pub changed: broadcast::Sender<String>,
}

/// An assignment with what decides about it.
pub struct Known {
    /// The object.
    pub object: Arc<Assignment>,
    audience: Audience,
    completion: Option<String>,
}

impl Known {
    /// An assignment as it was last told.
    pub fn of(object: Arc<Assignment>) -> Self {
        let audience = match object.spec.pool {
            true => Audience::Pool(object.spec.to.clone()),
            false => Audience::Worker(object.spec.to.first().cloned().unwrap_or_default()),
        };
        let status = object.status.as_ref();
        let completion = status.and_then(|status| status.result.as_ref());
        Self {
            completion: completion.map(|result| result.digest()),
            audience,
            object,
        }
    }

    /// When it was heard that nothing of it runs any more.
    pub fn ended_at(&self) -> Option<Timestamp> {
        let status = self.object.status.as_ref();
        status.and_then(|status| status.ended_at.as_ref().map(|ended| ended.0))
    }

    /// What decides about it.
    pub fn view(&self) -> View<'_> {
        let status = self.object.status.as_ref();
        View {
            to: &self.audience,
            holder: status.and_then(|status| status.worker.as_deref()),
            cancelled: self.object.spec.cancel.is_some(),
            completion: self.completion.as_deref(),
        }
    }
}

/// What a write does with an object as it is now.
pub enum Write<T> {
    /// Nothing: the answer is known.
    Known(T),
    /// This patch of the status, and then the answer.
    Patch(Value, T),
}

impl Objects {
    /// Those of one namespace, not read yet.
    pub fn new(client: &Client, namespace: &str, metrics: Arc<Metrics>) -> Self {
        Self {
            workers: Cache::new(|_| Vec::new()),
            assignments: Cache::new(groups_of),
            worker_api: Api::namespaced(client.clone(), namespace),
            assignment_api: Api::namespaced(client.clone(), namespace),
            follow: (client.clone(), namespace.to_owned()),
            metrics,
            changed: broadcast::channel(4096).0,
        }
    }

    /// Follows the objects, for ever.
    pub async fn follow(&self) {
        let (client, namespace) = &self.follow;
        let ring = |name: &str| {
            let _ = self.changed.send(name.to_owned());
        };
        // What is taken is nothing to ask for.
        let is_open = |assignment: &Assignment| {
            let status = assignment.status.as_ref();
            status.is_none_or(|status| status.worker.is_none())
        };
        let assigned = |name: &str| {
            if let Some(assignment) = self.assignments.get(name).filter(|one| is_open(one)) {
                assignment.spec.to.iter().for_each(|to| ring(to));
            }
        };
        tokio::join!(
            follow(api(client, namespace), &self.workers, lean, ring),
            follow(api(client, namespace), &self.assignments, lean, assigned),
        );
    }

    /// Everything was read once.
    pub fn are_read(&self) -> bool {
        self.workers.sign().is_read && self.assignments.sign().is_read
    }

    /// A worker, as it was last told.
    pub fn worker(&self, name: &str) -> Option<Arc<Worker>> {
        self.workers.get(name)
    }

    /// Every worker.
    pub fn workers(&self) -> Vec<Arc<Worker>> {
        self.workers.all()
    }

    /// What may be offered to a worker, oldest first.
    pub fn offered_to(&self, worker: &str) -> Vec<Arc<Assignment>> {
        let group = Group::OfferedTo(worker.to_owned());
        let mut found = self.assignments.newest(&group, usize::MAX);
        found.reverse();
        found
    }

    /// What a worker has taken and not ended.
    pub fn held_by(&self, worker: &str) -> Vec<Arc<Assignment>> {
        let group = Group::HeldBy(worker.to_owned());
        self.assignments.newest(&group, usize::MAX)
    }

    /// Whether the run of this uid is to be stopped.
    pub fn is_cancelled(&self, run: &str) -> bool {
        let found = self.assignments.get(&names::assignment_name(run));
        found.is_some_and(|found| found.spec.cancel.is_some())
    }

    /// The assignment of this id. That there is none is believed only from the cluster itself.
    pub async fn find(&self, id: &str) -> kube::Result<Option<Known>> {
        let Some((run, uid)) = id.split_once('.').filter(|_| is_assignment_id(id)) else {
            return Ok(None);
        };
        let name = names::assignment_name(run);
        let right = |found: &Assignment| found.metadata.uid.as_deref() == Some(uid);
        if let Some(found) = self.assignments.get(&name).filter(|found| right(found)) {
            return Ok(Some(Known::of(found)));
        }
        let found = self.assignment_api.get_opt(&name).await?;
        let found = found.filter(right).map(|found| Known::of(Arc::new(found)));
        Ok(found)
    }

    /// Changes an assignment, if it is still there: what to do is decided anew whenever somebody else wrote
    /// meanwhile.
    pub async fn change<T>(
        &self,
        id: &str,
        decide: impl Fn(Option<&Known>) -> Write<T>,
    ) -> kube::Result<T> {
        let mut known = self.find(id).await?;
        for _ in 0..TRIES {
            let (status, answer) = match decide(known.as_ref()) {
                Write::Known(answer) => return Ok(answer),
                Write::Patch(status, answer) => (status, answer),
            };
            let Some(object) = known.as_ref().map(|known| known.object.clone()) else {
                return Ok(answer);
            };
            self.metrics.patched("assignments");
            match patch(&self.assignment_api, object.as_ref(), status).await {
                Ok(mut written) => {
                    lean(&mut written);
                    self.assignments.learn(written);
                    return Ok(answer);
                }
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                    let name = object.name_any();
                    let fresh = self.assignment_api.get_opt(&name).await?;
                    let same = fresh.filter(|fresh| fresh.uid() == object.uid());
                    known = same.map(|fresh| Known::of(Arc::new(fresh)));
                }
                Err(error) => return Err(error),
            }
        }
        Err(busy())
    }

    /// Changes the status of a worker, in the same way.
    pub async fn change_worker<T>(
        &self,
        name: &str,
        decide: impl Fn(Option<&Worker>) -> Write<T>,
    ) -> kube::Result<T> {
        let mut known = match self.workers.get(name) {
            Some(known) => Some(known),
            None => self.worker_api.get_opt(name).await?.map(Arc::new),
        };
        for _ in 0..TRIES {
            let (status, answer) = match decide(known.as_deref()) {
                Write::Known(answer) => return Ok(answer),
                Write::Patch(status, answer) => (status, answer),
            };
            let Some(object) = known.clone() else {
                return Ok(answer);
            };
            self.metrics.patched("workers");
            match patch(&self.worker_api, object.as_ref(), status).await {
                Ok(mut written) => {
                    lean(&mut written);
                    self.workers.learn(written);
                    return Ok(answer);
                }
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                    known = self.worker_api.get_opt(name).await?.map(Arc::new);
                }
                Err(error) => return Err(error),
            }
        }
        Err(busy())
    }
}

/// Too many others write the same object.
fn busy() -> kube::Error {
    let status = kube::core::Status::failure("others write it all the time", "Conflict");
    kube::Error::Api(status.with_code(409).boxed())
}

/// The id by which an agent knows an assignment: the run leads to the object, and the uid is the fence.
pub fn id_of(assignment: &Assignment) -> String {
    let uid = assignment.metadata.uid.as_deref().unwrap_or_default();
    format!("{}.{uid}", assignment.spec.run.uid)
}

fn groups_of(assignment: &Assignment) -> Vec<Group> {
    let status = assignment.status.clone().unwrap_or_default();
    match status.worker {
        Some(worker) if status.result.is_none() => vec![Group::HeldBy(worker)],
        Some(_) => Vec::new(),
        None => {
            let to = assignment.spec.to.iter();
            to.cloned().map(Group::OfferedTo).collect()
        }
    }
}

async fn patch<K>(api: &Api<K>, object: &K, status: Value) -> kube::Result<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let metadata = json!({ "uid": object.uid(), "resourceVersion": object.resource_version() });
    let patch = Patch::Merge(json!({ "metadata": metadata, "status": status }));
    let name = object.name_any();
    api.patch_status(&name, &PatchParams::default(), &patch)
        .await
}

fn lean<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

fn api<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}

#[cfg(test)]
impl Objects {
    /// Takes objects in as if they had been told, and all were read.
    pub fn hold(&self, worker: Worker, assignments: impl IntoIterator<Item = Assignment>) {
        self.workers.put(worker);
        assignments
            .into_iter()
            .for_each(|one| self.assignments.put(one));
        self.workers.was_read();
        self.assignments.was_read();
    }
}
