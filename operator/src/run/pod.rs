//! A pod as far as a run needs it: a hundredth of the object, and nothing else is kept in memory.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::ResourceExt;

use super::job::{BUILD, CHECKOUT};

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
    /// When somebody asked to delete it.
    pub deletion_asked: Option<Timestamp>,
    /// When its grace ends, once somebody asked to delete it.
    pub deletion_due: Option<Timestamp>,
    /// The container that fetches and verifies the commit.
    pub checkout: ContainerView,
    /// The container that runs the steps.
    pub build: ContainerView,
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
    pub fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let text = |field: Option<&String>| field.cloned().unwrap_or_default();
        let init = status.and_then(|status| status.init_container_statuses.as_ref());
        let main = status.and_then(|status| status.container_statuses.as_ref());
        let due = pod.metadata.deletion_timestamp.as_ref().map(|time| time.0);
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
        Self {
            name: pod.name_any(),
            run_uid: run_uid(pod),
            phase: text(status.and_then(|status| status.phase.as_ref())),
            reason: text(status.and_then(|status| status.reason.as_ref())),
            message: text(status.and_then(|status| status.message.as_ref())),
            unschedulable: unschedulable(pod),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            deletion_asked: due.map(|due| due - jiff::SignedDuration::from_secs(grace)),
            deletion_due: due,
            checkout: container(init, CHECKOUT),
            build: container(main, BUILD),
        }
    }

    /// Whether the steps can no longer be running: then the slot is free.
    pub fn has_ended(&self) -> bool {
        self.build.is_terminated() || matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }
}

/// The run is named by the pod's owner, the Job; labels are only for selecting.
fn run_uid(pod: &Pod) -> String {
    let owners = pod.metadata.owner_references.iter().flatten();
    let job = owners.filter(|owner| owner.kind == "Job" && owner.controller == Some(true));
    let uid = job
        .filter_map(|job| crds::names::run_uid_of_job(&job.name))
        .next();
    uid.unwrap_or_default().to_owned()
}

fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    Some(condition.message.clone().unwrap_or_default())
}

fn container(statuses: Option<&Vec<ContainerStatus>>, name: &str) -> ContainerView {
    let status = statuses.and_then(|all| all.iter().find(|status| status.name == name));
    match status.and_then(|status| status.state.as_ref()) {
        Some(ContainerState {
            terminated: Some(ended),
            ..
        }) => ContainerView::Terminated {
            exit_code: ended.exit_code,
            reason: ended.reason.clone().unwrap_or_default(),
            message: ended.message.clone().unwrap_or_default(),
            started: ended.started_at.as_ref().map(|time| time.0),
            finished: ended.finished_at.as_ref().map(|time| time.0),
        },
        Some(ContainerState {
            running: Some(running),
            ..
        }) => ContainerView::Running {
            since: running.started_at.as_ref().map(|time| time.0),
        },
        Some(ContainerState {
            waiting: Some(waiting),
            ..
        }) => ContainerView::Waiting {
            reason: waiting.reason.clone().unwrap_or_default(),
            message: waiting.message.clone().unwrap_or_default(),
        },
        _ => ContainerView::Unknown,
    }
}
