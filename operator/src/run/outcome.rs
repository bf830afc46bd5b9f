//! Pure: what a pod's state means for its run.
//!
//! Two rules hold everywhere. *Green* needs a container that ended with 0, a valid message, and a
//! checkout that verified the right commit. *Error*, and with it another attempt, is concluded only
//! from what the kubelet, the checkout or the API server say: whatever the code of a pull request
//! does to its own process, disk or message is `Failed`.

use crds::{Outcome, RunPhase, Task};
use jiff::{SignedDuration, Timestamp};
use protocol::{CheckoutReport, ExecReport, Parse, Source, Verdict};

use super::{
    claims,
    pod::{ContainerView, PodView},
    starting::starting,
};
use crate::report::text;

/// How long after its grace a pod that was deleted may stay silent before its node counts as lost.
pub const NODE_SILENCE: SignedDuration = SignedDuration::from_secs(30);
/// How much longer than its steps may take a pod may run: the agent stops them itself.
const AGENT_SLACK: SignedDuration = SignedDuration::from_secs(120);

/// Why a run ended whose pod was deleted, and why one did that had its Job's deadline.
pub(super) const DELETED: &str = "its pod was deleted before it ended";
pub(super) const LATE: &str = "took longer than its deadline";

/// Why a run ended whose pod is over, although nobody deleted it and its steps did not end.
const UNFINISHED: &str = "its pod ended before its steps did";

/// Reasons of the kubelet and of containerd for a container of which they know only that it is gone, as
/// after a restart of the node. No code in the container can bring them about.
const UNTRACED: [&str; 2] = ["ContainerStatusUnknown", "Unknown"];
/// Why a run ended whose container is gone so.
const RESTARTED: &str = "its node restarted, or lost track of it";

/// The kubelet's reason for a container that the kernel killed for its memory, and those for one that
/// never began.
const OUT_OF_MEMORY: &str = "OOMKilled";
const NOT_STARTED: [&str; 3] = ["StartError", "ContainerCannotRun", "CreateContainerError"];

/// How far a run with a Job is.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// The steps have not begun; for people, what it waits for.
    Starting(Option<String>),
    /// The steps run.
    Running {
        /// Since when, by the kubelet's clock.
        since: Option<Timestamp>,
    },
    /// It has ended.
    Ended(Ending),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// A terminal phase.
    pub phase: RunPhase,
    /// What is recorded.
    pub outcome: Outcome,
    /// When the steps began, where they did.
    pub started: Option<Timestamp>,
    /// When they ended, by the kubelet's clock.
    pub finished: Option<Timestamp>,
    /// The pod still runs and its Job has to be deleted.
    pub stop: bool,
}

impl Ending {
    /// An end without a result of the steps.
    pub fn new(phase: RunPhase, reason: impl Into<String>) -> Self {
        let outcome = Outcome {
            reason: reason.into(),
            ..Outcome::default()
        };
        Self {
            phase,
            outcome,
            started: None,
            finished: None,
            stop: false,
        }
    }

    /// A failure of the infrastructure that another attempt may heal.
    pub fn infrastructure(reason: impl Into<String>) -> Self {
        let mut ending = Self::new(RunPhase::Error, reason);
        ending.outcome.retryable = true;
        ending
    }

    /// The same, of a run whose Job has to be deleted.
    pub fn stopping(mut self) -> Self {
        self.stop = true;
        self
    }
}

/// What the pod's state means, at this moment.
pub fn progress(task: &Task, pod: &PodView, now: Timestamp) -> Progress {
    if let Some(ending) = pod_ended(task, pod) {
        return Progress::Ended(ending);
    }
    if let ContainerView::Terminated { .. } = pod.build {
        return Progress::Ended(build_ended(task, pod));
    }
    if let Some(ending) = checkout_failed(task, pod).or_else(|| without_result(pod)) {
        return Progress::Ended(ending);
    }
    if pod.deletion_due.is_some_and(|due| now > due + NODE_SILENCE) {
        let reason = "the node that it ran on does not answer any more";
        return Progress::Ended(Ending::infrastructure(reason).stopping());
    }
    match &pod.build {
        ContainerView::Running { since } => running(task, *since, now),
        build => starting(task, pod, build, now),
    }
}

/// How long all steps together may take.
fn limit(task: &Task) -> SignedDuration {
    let seconds = |recipe: &protocol::Recipe| recipe.timeouts.run_seconds;
    SignedDuration::from_secs(task.recipe.as_ref().map_or(0, seconds))
}

fn running(task: &Task, since: Option<Timestamp>, now: Timestamp) -> Progress {
    match since {
        Some(since) if now > since + limit(task) + AGENT_SLACK => {
            let reason = "the steps took longer than they may, and did not stop when told";
            let mut ending = Ending::new(RunPhase::TimedOut, reason).stopping();
            ending.started = Some(since);
            Progress::Ended(ending)
        }
        since => Progress::Running { since },
    }
}

/// The pod as a whole ended, before or above what its containers say.
fn pod_ended(task: &Task, pod: &PodView) -> Option<Ending> {
    if pod.phase != "Failed" || pod.reason.is_empty() || has_verdict(&pod.build) {
        return None;
    }
    let why = match one_line(&pod.message) {
        none if none.is_empty() => none,
        message => format!(": {message}"),
    };
    Some(match pod.reason.as_str() {
        "Evicted" if own_storage(&pod.message) => {
            let disk = task
                .kubernetes
                .as_ref()
                .map_or("its share", |machine| &machine.resources.disk);
            Ending::new(RunPhase::Failed, format!("used more disk than its {disk}"))
        }
        "Evicted" => Ending::infrastructure(format!("was evicted from its node{why}")),
        "DeadlineExceeded" => Ending::new(RunPhase::TimedOut, LATE),
        // Also set beside containers that ended by themselves; then they tell more.
        "Completed" | "Error" => return None,
        reason => Ending::infrastructure(format!("its node gave it up ({reason}){why}")),
    })
}

/// Whether the steps had come to a verdict when the pod was ended: it lives on for a while, until its
/// log is sent, and may be evicted meanwhile.
fn has_verdict(build: &ContainerView) -> bool {
    let ContainerView::Terminated { message, .. } = build else {
        return false;
    };
    ExecReport::parse(message).is_ok_and(|report| report.verdict != Verdict::Cancelled)
}

/// The kubelet's words when a pod outgrew its own limits, as opposed to a node that ran full
/// (kubelet, `pkg/kubelet/eviction/helpers.go`).
fn own_storage(message: &str) -> bool {
    message.contains("exceeds the limit")
        || message.contains("exceeds the total limit")
        || message.contains("exceeded its local ephemeral storage limit")
        || message.contains("ephemeral local storage usage exceeds")
}

fn checkout_failed(task: &Task, pod: &PodView) -> Option<Ending> {
    let ContainerView::Terminated {
        exit_code,
        reason,
        message,
        ..
    } = &pod.checkout
    else {
        return None;
    };
    if *exit_code == 0 {
        return None;
    }
    if pod.deletion_asked.is_some() {
        return Some(Ending::infrastructure(why_deleted(pod)));
    }
    let why = match CheckoutReport::parse(message) {
        Ok(CheckoutReport {
            error: Some(error), ..
        }) => one_line(&error),
        _ if is_untraced(reason) => RESTARTED.to_owned(),
        // How large a commit is, is its author's doing, and no other attempt makes it smaller.
        _ if reason == OUT_OF_MEMORY => {
            let memory = memory(task);
            let reason = format!("its checkout ran out of memory (it has {memory})");
            return Some(Ending::new(RunPhase::Failed, reason));
        }
        _ if NOT_STARTED.contains(&reason.as_str()) => {
            format!("its container could not be started: {}", one_line(message))
        }
        _ => format!("it ended with exit code {exit_code} ({reason})"),
    };
    Some(Ending::infrastructure(format!(
        "the code could not be checked out: {why}"
    )))
}

/// The pod is over and its steps have not ended: it was taken from its node between checkout and build,
/// or its node is gone, and nobody will hear more of it. Of one that goes without saying who wanted that, the
/// Job tells when it is gone: its deadline may be over.
fn without_result(pod: &PodView) -> Option<Ending> {
    let untold = || pod.deletion_asked.is_none().then_some(UNFINISHED);
    let why = pod.disruption.or_else(untold)?;
    (pod.phase == "Failed").then(|| Ending::infrastructure(why))
}

fn build_ended(task: &Task, pod: &PodView) -> Ending {
    let ContainerView::Terminated {
        exit_code,
        reason,
        message,
        started,
        finished,
    } = &pod.build
    else {
        return Ending::infrastructure("the build has no result");
    };
    let mut ending = match verified_checkout(&task.source, &pod.checkout) {
        // Whatever else is known: nobody saw how the steps ended.
        _ if is_untraced(reason) => untraced(task, pod),
        Err(why) => Ending::infrastructure(why),
        Ok(checkout) => {
            let mut ending = verdict(task, pod, *exit_code, reason, message);
            ending.outcome.commit = Some(checkout.commit);
            ending.outcome.tree = Some(checkout.tree);
            ending.outcome.image_digest = pod.image_digest.clone();
            ending
        }
    };
    ending.started = *started;
    ending.finished = *finished;
    ending
}

/// The checkout's own report, if it is about exactly the commit that was authorized.
fn verified_checkout(source: &Source, checkout: &ContainerView) -> Result<CheckoutReport, String> {
    let ContainerView::Terminated {
        exit_code: 0,
        message,
        ..
    } = checkout
    else {
        return Err("the build ended although its checkout did not".to_owned());
    };
    let report = CheckoutReport::parse(message).map_err(|error| format!("checkout: {error}"))?;
    match same_commit(source, &report) {
        true => Ok(report),
        false => Err("another commit was checked out than the one that was authorized".to_owned()),
    }
}

/// Whether exactly the commit that was authorized was checked out.
pub fn same_commit(source: &Source, report: &CheckoutReport) -> bool {
    let parents = source.parents.is_empty() || report.parents == source.parents;
    let tree = source.tree.as_ref().is_none_or(|tree| *tree == report.tree);
    report.commit == source.commit && parents && tree
}

/// The verdict over the steps: the executor's message, believed only as far as the kubelet agrees.
fn verdict(task: &Task, pod: &PodView, exit_code: i32, reason: &str, message: &str) -> Ending {
    match reason {
        OUT_OF_MEMORY => {
            let reason = format!("ran out of memory (it has {})", memory(task));
            let mut ending = Ending::new(RunPhase::Failed, reason);
            ending.outcome.exit_code = Some(exit_code);
            return ending;
        }
        reason if NOT_STARTED.contains(&reason) => {
            let why = one_line(message);
            return Ending::new(
                RunPhase::Error,
                format!("its container could not be started: {why}"),
            );
        }
        _ => {}
    }
    let mut ending = match ExecReport::parse(message) {
        Ok(report) => reported(task, pod, exit_code, report),
        Err(_) if pod.deletion_asked.is_some() => deleted(task, pod),
        Err(_) if exit_code == 137 => Ending::new(
            RunPhase::Failed,
            "was killed before it could tell its result",
        ),
        Err(error) => Ending::new(
            RunPhase::Failed,
            format!("ended with exit code {exit_code}, but {error}"),
        ),
    };
    ending.outcome.exit_code.get_or_insert(exit_code);
    ending
}

fn reported(task: &Task, pod: &PodView, exit_code: i32, report: ExecReport) -> Ending {
    let says = one_line(report.reason.as_deref().unwrap_or_default());
    let mut ending = match (report.verdict, exit_code) {
        (Verdict::Passed, 0) => Ending::new(RunPhase::Succeeded, says),
        (Verdict::Failed, code) if code != 0 => Ending::new(RunPhase::Failed, says),
        (Verdict::TimedOut, code) if code != 0 => Ending::new(RunPhase::TimedOut, says),
        (Verdict::Cancelled, _) if pod.deletion_asked.is_some() => return deleted(task, pod),
        (Verdict::Cancelled, _) => Ending::new(RunPhase::Failed, "stopped itself"),
        (Verdict::Error, code) if code != 0 => Ending::new(RunPhase::Error, says),
        (verdict, code) => {
            let reason =
                format!("its message says {verdict:?}, but it ended with exit code {code}");
            Ending::new(RunPhase::Failed, reason)
        }
    };
    if ending.outcome.reason.is_empty() && ending.phase != RunPhase::Succeeded {
        ending.outcome.reason = format!("ended with exit code {exit_code}");
    }
    ending.outcome.exit_code = Some(report.exit_code);
    ending.outcome.warning = report.warning && ending.phase == RunPhase::Succeeded;
    claims::copy(report, &mut ending.outcome);
    ending
}

/// How much memory each container of a run may take.
fn memory(task: &Task) -> &str {
    let machine = task.kubernetes.as_ref();
    machine.map_or("its share", |machine| &machine.resources.memory)
}

fn is_untraced(reason: &str) -> bool {
    UNTRACED.contains(&reason)
}

/// The container is gone, and nobody knows how it ended.
fn untraced(task: &Task, pod: &PodView) -> Ending {
    match pod.deletion_asked {
        Some(_) => deleted(task, pod),
        None => Ending::infrastructure(RESTARTED),
    }
}

/// Somebody deleted the pod, or its node was drained: not the code's doing. When its time was over, it was
/// the Job controller, at the Job's deadline.
fn deleted(task: &Task, pod: &PodView) -> Ending {
    let ContainerView::Terminated { started, .. } = &pod.build else {
        return Ending::infrastructure(why_deleted(pod));
    };
    match (started, pod.deletion_asked) {
        (Some(started), Some(asked)) if asked > *started + limit(task) => {
            Ending::new(RunPhase::TimedOut, LATE)
        }
        _ => Ending::infrastructure(why_deleted(pod)),
    }
}

/// Why a pod was deleted, as far as it says.
fn why_deleted(pod: &PodView) -> &'static str {
    pod.disruption.unwrap_or(DELETED)
}

/// The words of others end up in statuses: one plain line of them.
pub(crate) fn one_line(text: &str) -> String {
    text::one_line(text, 300)
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "outcome_node_tests.rs"]
mod node_tests;
