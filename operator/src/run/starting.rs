//! Pure: what a pod whose steps have not begun waits for, and when there is nothing to wait for: images
//! that are not there, a sidecar that does not start.

use crds::{RunPhase, Task};
use jiff::{SignedDuration, Timestamp};

use super::{
    outcome::{Ending, Progress, one_line},
    pod::{ContainerView, PodView},
};

/// How long a reason that may pass keeps a pod from starting.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// Where a pod stands that waits for its build to begin.
pub(super) fn starting(
    task: &Task,
    pod: &PodView,
    build: &ContainerView,
    now: Timestamp,
) -> Progress {
    if let Some(message) = &pod.unschedulable {
        let why = one_line(message);
        return Progress::Starting(Some(format!("no machine is free for it: {why}")));
    }
    let image = task
        .kubernetes
        .as_ref()
        .map_or("", |machine| &machine.image);
    if let Some(progress) = sidecar_trouble(pod, now) {
        return progress;
    }
    for (view, image) in [(&pod.checkout, "the checkout image"), (build, image)] {
        if let ContainerView::Waiting { reason, message } = view
            && let Some(progress) = image_trouble(image, reason, message, pod.created, now)
        {
            return progress;
        }
    }
    Progress::Starting(None)
}

/// The sidecar that sends the log starts before all others. Where it cannot, nothing can; once another
/// container has begun, whatever becomes of it is nobody's result.
fn sidecar_trouble(pod: &PodView, now: Timestamp) -> Option<Progress> {
    let ContainerView::Waiting { reason, message } = &pod.ship else {
        return None;
    };
    if pod.checkout.has_started() {
        return None;
    }
    if reason != "CrashLoopBackOff" {
        return image_trouble("the checkout image", reason, message, pod.created, now);
    }
    let what = "the program that sends the log does not start";
    Some(match is_early(pod.created, now) {
        true => Progress::Starting(Some(what.to_owned())),
        false => Progress::Ended(Ending::infrastructure(what).stopping()),
    })
}

/// Whether what keeps a pod from starting may still pass.
fn is_early(created: Option<Timestamp>, now: Timestamp) -> bool {
    created.is_none_or(|created| now < created + PATIENCE)
}

/// Reasons of the kubelet for an image that is not there (`pkg/kubelet/images/types.go`).
fn image_trouble(
    image: &str,
    reason: &str,
    message: &str,
    created: Option<Timestamp>,
    now: Timestamp,
) -> Option<Progress> {
    let why = cause(message);
    let ending = match reason {
        "InvalidImageName" => Ending::new(
            RunPhase::Error,
            format!("`{image}` is not the name of an image"),
        ),
        "ErrImageNeverPull" => Ending::new(
            RunPhase::Error,
            format!(
                "the image `{image}` is not on the machine, and its Builder says never to pull it"
            ),
        ),
        "ErrImagePull" | "ImagePullBackOff" if is_missing(message) => Ending::new(
            RunPhase::Error,
            format!("the image `{image}` does not exist"),
        ),
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => {
            if is_early(created, now) {
                return Some(Progress::Starting(Some(format!(
                    "the image `{image}` cannot be pulled yet"
                ))));
            }
            Ending::infrastructure(format!("the image `{image}` cannot be pulled: {why}"))
        }
        "CreateContainerConfigError" => Ending::new(
            RunPhase::Error,
            format!("its container could not be made: {why}"),
        ),
        // The container runtime was slow, or in the way of itself: the kubelet tries again by itself.
        "CreateContainerError" | "RunContainerError" => {
            if is_early(created, now) {
                return Some(Progress::Starting(Some(format!(
                    "its container cannot be made yet: {why}"
                ))));
            }
            Ending::infrastructure(format!("its container could not be made: {why}"))
        }
        _ => return None,
    };
    Some(Progress::Ended(ending.stopping()))
}

/// The innermost of the causes that the kubelet strings together.
fn cause(message: &str) -> String {
    one_line(message.rsplit(": ").next().unwrap_or(message))
}

/// Whether a registry said that there is no such image, as opposed to not answering.
fn is_missing(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let said = [
        "not found",
        "manifest unknown",
        "does not exist",
        "name unknown",
        "pull access denied",
    ];
    // The same words about the registry itself: its name does not resolve.
    let unreachable = ["no such host", "server misbehaving", "dial tcp"];
    said.iter().any(|words| message.contains(words))
        && !unreachable.iter().any(|words| message.contains(words))
}
