//! What the webhook keeps of the cluster: Repositories, Builders without their steps, and which
//! Answers exist. A watch each, so that a delivery costs the API server one create.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use crds::{Answer, Builder, Repository, condition};
use futures::{Stream, StreamExt};
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

/// The watched objects.
#[derive(Clone)]
pub struct Cache {
    repositories: Store<Repository>,
    builders: Store<Builder>,
    answers: Store<PartialObjectMeta<Answer>>,
    namespace: String,
}

/// What a body's repository is to us.
#[derive(Clone, Debug)]
pub enum Known {
    /// Configured, and ready.
    Ready(Arc<Repository>),
    /// Configured, but its id is not known yet, or something is wrong with it.
    NotReady,
    /// Not ours.
    Unknown,
}

impl Cache {
    /// Starts the watches; they end with the token.
    pub fn start(client: &Client, namespace: &str, stop: &CancellationToken) -> Self {
        let config = || watcher::Config::default().any_semantic();
        let repositories: Api<Repository> = Api::namespaced(client.clone(), namespace);
        let builders: Api<Builder> = Api::namespaced(client.clone(), namespace);
        let answers: Api<PartialObjectMeta<Answer>> = Api::namespaced(client.clone(), namespace);
        Self {
            repositories: keep(watcher(repositories, config()), |_| {}, stop),
            // Steps are most of a Builder, and nothing here reads them.
            builders: keep(
                watcher(builders, config()),
                |builder: &mut Builder| builder.spec.steps = Vec::new(),
                stop,
            ),
            answers: keep(watcher(answers, config()), |_| {}, stop),
            namespace: namespace.to_owned(),
        }
    }

    /// Waits until every watch has its first list.
    pub async fn ready(&self) {
        // An error means that the watch ended, and with it the program.
        let _ = self.repositories.wait_until_ready().await;
        let _ = self.builders.wait_until_ready().await;
        let _ = self.answers.wait_until_ready().await;
    }

    /// The repository that a body names, among those of the connections that signed it.
    pub fn find(&self, id: i64, full_name: &str, is_by: impl Fn(&str) -> bool) -> Known {
        let mut known = Known::Unknown;
        for repository in self.repositories() {
            let ours = match repository.status.as_ref().and_then(|status| status.id) {
                Some(found) => found == id,
                None => same_name(&repository, full_name),
            };
            if !ours || !is_by(&repository.spec.connection) {
                continue;
            }
            if is_ready(&repository) {
                return Known::Ready(repository);
            }
            known = Known::NotReady;
        }
        known
    }

    /// All Repositories, by name.
    pub fn repositories(&self) -> Vec<Arc<Repository>> {
        let mut all = self.repositories.state();
        all.sort_by_key(|repository| repository.name_any());
        all
    }

    /// All Builders.
    pub fn builders(&self) -> Vec<Arc<Builder>> {
        self.builders.state()
    }

    /// Whether an Answer of that name exists.
    pub fn is_answered(&self, name: &str) -> bool {
        let answer = ObjectRef::new(name).within(&self.namespace);
        self.answers.get(&answer).is_some()
    }
}

/// Whether builds of a repository can be started: the operator found it, and nothing that is wrong
/// keeps it from building.
pub fn is_ready(repository: &Repository) -> bool {
    let Some(status) = &repository.status else {
        return false;
    };
    status.id.is_some() && condition::builds(&status.conditions)
}

fn same_name(repository: &Repository, full_name: &str) -> bool {
    full_name.split_once('/').is_some_and(|(owner, name)| {
        repository.spec.owner.eq_ignore_ascii_case(owner)
            && repository.spec.name.eq_ignore_ascii_case(name)
    })
}

/// Keeps what a watch sees, without the managed fields: they are most of an object.
fn keep<K>(
    watch: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    trim: impl Fn(&mut K) + Send + Sync + 'static,
    stop: &CancellationToken,
) -> Store<K>
where
    K: Resource<DynamicType: Eq + Hash + Clone + Default> + Clone + Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let watch = watch.default_backoff().modify(move |object| {
        object.meta_mut().managed_fields = None;
        trim(object);
    });
    let stop = stop.clone();
    tokio::spawn(async move {
        let watch = reflector::reflector(writer, watch).take_until(stop.cancelled_owned());
        futures::pin_mut!(watch);
        while let Some(event) = watch.next().await {
            if let Err(error) = event {
                tracing::warn!(%error, "a watch broke off and starts again");
            }
        }
    });
    store
}
