//! A pod as far as a run needs it: a hundredth of the object, and nothing else is kept in memory.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ContainerState;
use kube::{ResourceExt, api::ObjectMeta};

use super::{
    job::{BUILD, CHECKOUT, SHIP},
    slim::{Condition, Container, SlimPod},
};

/// Bytes of an image's name with its digest.
const IMAGE_DIGEST_LIMIT: usize = 600;

/// What the kubelet told about the pod of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodView {
    /// Name of the pod.
    pub name: String,
    /// uid of the BuilderRun that its Job executes.
    pub run_uid: String,
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    pub phase: String,
    /// Why the pod as a whole ended: `Evicted`, `DeadlineExceeded`, `NodeLost`…
    pub reason: String,
    /// The kubelet's words about that.
    pub message: String,
    /// What the scheduler says while it finds no node.
    pub unschedulable: Option<String>,
    /// When the pod was made.
    pub created: Option<Timestamp>,
    /// Who took it from its node, where Kubernetes says.
    pub disruption: Option<&'static str>,
    /// When somebody asked to delete it.
    pub deletion_asked: Option<Timestamp>,
    /// When its grace ends, once somebody asked to delete it.
    pub deletion_due: Option<Timestamp>,
    /// The sidecar that sends the log, where there is one.
    pub ship: ContainerView,
    /// The container that fetches and verifies the commit.
    pub checkout: ContainerView,
    /// The container that runs the steps.
    pub build: ContainerView,
    /// The image of the latter by its digest, as the node found it.
    pub image_digest: Option<String>,
}

/// State of one container.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ContainerView {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// Not started.
    Waiting {
        /// `ContainerCreating`, `ErrImagePull`, `ImagePullBackOff`…
        reason: String,
        /// The kubelet's words.
        message: String,
    },
    /// Running.
    Running {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// Ended.
    Terminated {
        /// Exit code; 128 + signal when killed.
        exit_code: i32,
        /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerCannotRun`…
        reason: String,
        /// The termination message: written by the container, trusted by nobody.
        message: String,
        /// When it started.
        started: Option<Timestamp>,
        /// When it ended.
        finished: Option<Timestamp>,
    },
}

impl ContainerView {
    /// Whether it has ended.
    pub fn is_terminated(&self) -> bool {
        matches!(self, Self::Terminated { .. })
    }
}

impl ContainerView {
    /// Whether it runs, or did.
    pub fn has_started(&self) -> bool {
        matches!(self, Self::Running { .. } | Self::Terminated { .. })
    }
}

impl PodView {
    /// Takes from a pod what a run needs. A pod that belongs to no run has an empty `run_uid`.
    pub fn of(pod: SlimPod) -> Self {
        let (name, run_uid) = (pod.name_any(), run_uid(&pod.metadata));
        let SlimPod {
            metadata,
            mut status,
        } = pod;
        let due = metadata.deletion_timestamp.map(|time| time.0);
        let grace = metadata.deletion_grace_period_seconds.unwrap_or(0);
        let init = status.init_container_statuses.as_deref_mut();
        let init = init.unwrap_or_default();
        let main = status.container_statuses.as_deref_mut();
        let main = main.unwrap_or_default();
        let conditions = status.conditions.as_deref().unwrap_or_default();
        Self {
            name,
            run_uid,
            unschedulable: unschedulable(conditions),
            disruption: disruption(conditions),
            created: metadata.creation_timestamp.map(|time| time.0),
            deletion_asked: due.map(|due| due - jiff::SignedDuration::from_secs(grace)),
            deletion_due: due,
            ship: container(init, SHIP),
            checkout: container(init, CHECKOUT),
            image_digest: image_digest(main, BUILD),
            build: container(main, BUILD),
            phase: status.phase.unwrap_or_default(),
            reason: status.reason.unwrap_or_default(),
            message: status.message.unwrap_or_default(),
        }
    }

    /// Whether the steps can no longer be running: then the slot is free. The pod itself may go on for
    /// a while, until its log is sent.
    pub fn has_ended(&self) -> bool {
        // No build follows a checkout that failed.
        let never_begins =
            matches!(self.checkout, ContainerView::Terminated { exit_code, .. } if exit_code != 0);
        let over = matches!(self.phase.as_str(), "Succeeded" | "Failed");
        self.build.is_terminated() || never_begins || over
    }
}

/// The run is named by the pod's owner, the Job; labels are only for selecting.
fn run_uid(metadata: &ObjectMeta) -> String {
    let owners = metadata.owner_references.iter().flatten();
    let job = owners.filter(|owner| owner.kind == "Job" && owner.controller == Some(true));
    let uid = job
        .filter_map(|job| crds::names::run_uid_of_job(&job.name))
        .next();
    uid.unwrap_or_default().to_owned()
}

fn unschedulable(conditions: &[Condition]) -> Option<String> {
    let condition = condition(conditions, "PodScheduled", "False")?;
    Some(condition.message.clone().unwrap_or_default())
}

/// Who took a pod from its node, by the reasons that Kubernetes gives
/// (<https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions>). What a
/// kubelet does itself is told by the reason of the whole pod.
fn disruption(conditions: &[Condition]) -> Option<&'static str> {
    let condition = condition(conditions, "DisruptionTarget", "True")?;
    Some(match condition.reason.as_deref()? {
        "PreemptionByScheduler" => "a pod of higher priority took its place",
        "EvictionByEvictionAPI" => "its node was drained, or somebody evicted its pod",
        "DeletionByTaintManager" => "its node was lost, or is not to be used any more",
        "DeletionByPodGC" => "its node was removed from the cluster",
        _ => return None,
    })
}

fn condition<'a>(all: &'a [Condition], kind: &str, status: &str) -> Option<&'a Condition> {
    all.iter()
        .find(|condition| condition.kind == kind && condition.status == status)
}

/// `docker.io/library/gcc@sha256:…`, or `sha256:…` alone where the image came from no registry.
fn image_digest(statuses: &[Container], name: &str) -> Option<String> {
    let status = statuses.iter().find(|status| status.name == name)?;
    // Older runtimes say by what way the image came.
    let image = status.image_id.rsplit("://").next()?;
    let fits = image.contains("sha256:") && image.len() <= IMAGE_DIGEST_LIMIT;
    fits.then(|| image.to_owned())
}

/// Takes what is told of one container.
fn container(statuses: &mut [Container], name: &str) -> ContainerView {
    let status = statuses.iter_mut().find(|status| status.name == name);
    match status.and_then(|status| status.state.take()) {
        Some(ContainerState {
            terminated: Some(ended),
            ..
        }) => ContainerView::Terminated {
            exit_code: ended.exit_code,
            reason: ended.reason.unwrap_or_default(),
            message: ended.message.unwrap_or_default(),
            started: ended.started_at.map(|time| time.0),
            finished: ended.finished_at.map(|time| time.0),
        },
        Some(ContainerState {
            running: Some(running),
            ..
        }) => ContainerView::Running {
            since: running.started_at.map(|time| time.0),
        },
        Some(ContainerState {
            waiting: Some(waiting),
            ..
        }) => ContainerView::Waiting {
            reason: waiting.reason.unwrap_or_default(),
            message: waiting.message.unwrap_or_default(),
        },
        _ => ContainerView::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(status: serde_json::Value) -> PodView {
        let pod = json!({ "metadata": { "name": "p" }, "status": status });
        PodView::of(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn a_sidecar_that_still_sends_does_not_hold_the_slot() {
        let pod = view(json!({
            "phase": "Running",
            "initContainerStatuses": [
                { "name": "ship", "state": { "running": {} } },
                { "name": "checkout", "state": { "terminated": { "exitCode": 0 } } },
            ],
            "containerStatuses": [{ "name": "build", "state": { "terminated": { "exitCode": 1 } } }],
        }));
        assert!(pod.has_ended());
        assert!(pod.ship.has_started() && pod.checkout.is_terminated());

        let stopped = |exit_code: i32| {
            let checkout = json!({ "terminated": { "exitCode": exit_code } });
            view(json!({
                "phase": "Pending",
                "initContainerStatuses": [
                    { "name": "ship", "state": { "running": {} } },
                    { "name": "checkout", "state": checkout },
                ],
                "containerStatuses": [{ "name": "build", "state": { "waiting": {} } }],
            }))
        };
        assert!(stopped(143).has_ended(), "no build follows");
        assert!(!stopped(0).has_ended(), "the build is about to start");
    }

    #[test]
    fn who_took_a_pod_from_its_node_is_told_as_far_as_kubernetes_says() {
        let taken = |kind: &str, status: &str, reason: &str| {
            let one = json!({ "type": kind, "status": status, "reason": reason });
            let scheduled = json!({ "type": "PodScheduled", "status": "True" });
            view(json!({ "conditions": [scheduled, one] })).disruption
        };
        let preempted = taken("DisruptionTarget", "True", "PreemptionByScheduler");
        assert_eq!(preempted, Some("a pod of higher priority took its place"));
        for reason in [
            "EvictionByEvictionAPI",
            "DeletionByTaintManager",
            "DeletionByPodGC",
        ] {
            assert!(
                taken("DisruptionTarget", "True", reason).is_some(),
                "{reason}"
            );
        }
        assert_eq!(taken("DisruptionTarget", "False", "DeletionByPodGC"), None);
        assert_eq!(taken("DisruptionTarget", "True", "Another"), None);
        assert_eq!(taken("Ready", "True", "DeletionByPodGC"), None);
        assert_eq!(view(json!({})).disruption, None);
    }

    #[test]
    fn the_image_is_known_by_its_digest_and_by_nothing_else() {
        let digest = |image: &str| {
            view(json!({ "containerStatuses": [{ "name": "build", "imageID": image }] }))
                .image_digest
        };
        let pulled = "docker.io/library/gcc@sha256:00ff";
        assert_eq!(digest(pulled).as_deref(), Some(pulled));
        let older = format!("docker-pullable://{pulled}");
        assert_eq!(digest(&older).as_deref(), Some(pulled));
        assert_eq!(digest("sha256:00ff").as_deref(), Some("sha256:00ff"));
        for none in ["", "gcc:14", &format!("a@sha256:{}", "0".repeat(1000))] {
            assert_eq!(digest(none), None, "{none}");
        }
    }
}
