//! A stand-in for scheduler and kubelet: pods of a namespace go through the phases that a script
//! gives them, by their status alone. No container runs, so thousands of pods cost one watch and
//! one to three requests each.

mod fate;
mod status;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::sleep;

pub use fate::{Ending, Fate};
use status::Picture;

/// Requests that are under way at a time; more would only wait in the API server.
const REQUESTS: usize = 32;
/// Name of the node to which pods are bound that a script wants bound.
const NODE: &str = "stand-in";

/// Decides what becomes of a pod, once, when it is first seen.
pub type Script = dyn Fn(&Pod) -> Fate + Send + Sync;

/// A running stand-in. It ends when it is dropped; pods stay as they are.
pub struct StandIn {
    watch: JoinHandle<()>,
    finished: Arc<AtomicU64>,
}

impl StandIn {
    /// Takes care of all pods of a namespace, those that are there and those that come.
    pub fn start(
        client: Client,
        namespace: &str,
        script: impl Fn(&Pod) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let finished = Arc::new(AtomicU64::new(0));
        let hand = Hand {
            pods: Api::namespaced(client.clone(), namespace),
            client,
            permits: Arc::new(Semaphore::new(REQUESTS)),
            finished: finished.clone(),
        };
        let watch = tokio::spawn(hand.watch(Arc::new(script)));
        Self { watch, finished }
    }

    /// Lets every pod pass at once, each with the commit that it was asked for.
    pub fn passing(client: Client, namespace: &str) -> Self {
        Self::start(client, namespace, |_| Fate::passes())
    }

    /// How many pods were given their last status.
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// What is needed to change pods.
#[derive(Clone)]
struct Hand {
    client: Client,
    pods: Api<Pod>,
    permits: Arc<Semaphore>,
    finished: Arc<AtomicU64>,
}

/// A pod under care; dropping it ends the care.
struct Care {
    story: AbortHandle,
    bound: bool,
    terminating: bool,
}

impl Drop for Care {
    fn drop(&mut self) {
        self.story.abort();
    }
}

impl Hand {
    async fn watch(self, script: Arc<Script>) {
        let mut cared: HashMap<String, Care> = HashMap::new();
        let events = watcher(self.pods.clone(), watcher::Config::default()).default_backoff();
        let mut events = std::pin::pin!(events.into_stream());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(pod) | Event::InitApply(pod)) => {
                    self.seen(pod, &mut cared, &script)
                }
                Ok(Event::Delete(pod)) => {
                    cared.remove(&pod.uid().unwrap_or_default());
                }
                // A broken watch is begun again by itself.
                Ok(Event::Init | Event::InitDone) | Err(_) => {}
            }
        }
    }

    fn seen(&self, pod: Pod, cared: &mut HashMap<String, Care>, script: &Arc<Script>) {
        let Some(uid) = pod.uid() else { return };
        let deleted = pod.metadata.deletion_timestamp.is_some();
        if let Some(care) = cared.get_mut(&uid) {
            if deleted && care.bound && !care.terminating {
                care.terminating = true;
                care.story.abort();
                care.story = tokio::spawn(self.clone().terminate(pod)).abort_handle();
            }
            return;
        }
        if status::is_over(&pod) {
            return;
        }
        let fate = script(&pod);
        // Who waits for the end of a lost node's pod waits for ever, as on a real one.
        let bound = fate.bind && !matches!(fate.ending, Ending::NodeLost);
        let story = tokio::spawn(self.clone().tell(pod, fate)).abort_handle();
        cared.insert(
            uid,
            Care {
                story,
                bound,
                terminating: false,
            },
        );
    }

    /// Leads a pod through its phases. Phases without a duration are left out.
    async fn tell(self, pod: Pod, fate: Fate) {
        let picture = Picture::of(&pod);
        pause(fate.schedule_after).await;
        if let Ending::Unschedulable { message } = &fate.ending {
            return self.finish(&pod, picture.unschedulable(message)).await;
        }
        if fate.bind {
            self.bind(&pod).await;
        }
        if !fate.checkout_takes.is_zero() {
            self.show(&pod, picture.checking_out()).await;
            sleep(fate.checkout_takes).await;
        }
        if !fate.build_takes.is_zero() && fate.reaches_the_build() {
            self.show(&pod, picture.building()).await;
            sleep(fate.build_takes).await;
        }
        match picture.ended(&fate.ending) {
            Some(status) => {
                if !fate.ship_takes.is_zero() && picture.has_sidecar() {
                    self.show(&pod, picture.lingering(&status)).await;
                    sleep(fate.ship_takes).await;
                }
                self.finish(&pod, status).await;
            }
            None => self.finish(&pod, picture.building()).await,
        }
    }

    async fn finish(&self, pod: &Pod, status: Value) {
        self.show(pod, status).await;
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    async fn show(&self, pod: &Pod, status: Value) {
        let Ok(_permit) = self.permits.acquire().await else {
            return;
        };
        // The uid keeps it from a pod that has taken the name.
        let patch = serde_json::json!({ "metadata": { "uid": pod.uid() }, "status": status });
        let params = PatchParams::default();
        for _ in 0..3 {
            match self
                .pods
                .patch_status(&pod.name_any(), &params, &Patch::Merge(&patch))
                .await
            {
                // The pod is gone, or another has its name.
                Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                    return;
                }
                Err(_) => sleep(Duration::from_millis(100)).await,
                Ok(_) => return,
            }
        }
    }

    async fn bind(&self, pod: &Pod) {
        let mut node = Node::default();
        node.metadata.name = Some(NODE.to_owned());
        let nodes: Api<Node> = Api::all(self.client.clone());
        // It is there already from the second pod on.
        let _ = nodes.create(&PostParams::default(), &node).await;
        let mut binding = Binding {
            target: ObjectReference {
                name: Some(NODE.to_owned()),
                ..ObjectReference::default()
            },
            ..Binding::default()
        };
        binding.metadata.name = pod.metadata.name.clone();
        let name = pod.name_any();
        // A pod that is gone cannot be bound, and needs not be.
        let _: Result<Value, _> = self
            .pods
            .create_subresource("binding", &name, &PostParams::default(), &binding)
            .await;
    }

    /// What a kubelet does with a pod that is being deleted: ends its containers, then lets it go.
    async fn terminate(self, pod: Pod) {
        if !status::is_over(&pod) {
            self.finish(&pod, Picture::of(&pod).killed()).await;
        }
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: pod.uid(),
                ..Preconditions::default()
            }),
            ..DeleteParams::default()
        };
        // Gone is what was wanted.
        let _ = self.pods.delete(&pod.name_any(), &params).await;
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}
