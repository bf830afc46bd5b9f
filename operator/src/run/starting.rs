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
        let why = one_line(why_nowhere(message));
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

/// Why no node takes a pod, without what the scheduler adds of pods that it might have put aside for it.
fn why_nowhere(message: &str) -> &str {
    let why = message.split(" preemption: ").next();
    why.unwrap_or(message)
}

/// Whether what keeps a pod from starting may still pass.
fn is_early(created: Option<Timestamp>, now: Timestamp) -> bool {
    created.is_none_or(|created| now < created + PATIENCE)
}

/// Reasons of the kubelet for an image that is not there (`pkg/kubelet/images/types.go`, and the runtime's own in
/// `k8s.io/cri-api/pkg/errors`).
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
        "ErrImagePull" | "ImagePullBackOff" if is_for_others(message) => Ending::new(
            RunPhase::Error,
            format!("the image `{image}` is not made for the processor of its machine"),
        ),
        "ErrImagePull" | "ImagePullBackOff" if is_missing(message) => Ending::new(
            RunPhase::Error,
            format!("the image `{image}` does not exist"),
        ),
        "SignatureValidationFailed" => Ending::new(
            RunPhase::Error,
            format!("the machine does not accept the signature of the image `{image}`: {why}"),
        ),
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => {
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

/// Whether the image is there for other platforms only. containerd says `not found` of that, too.
fn is_for_others(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let said = ["no match for platform", "no matching manifest for"];
    said.iter().any(|words| message.contains(words))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::outcome::{
        progress,
        tests::{end_of, pod, task, waiting},
    };

    #[test]
    fn an_image_for_another_processor_exists_and_says_so() {
        for message in [
            "failed to pull and unpack image \"gcc:14\": no match for platform in manifest: not found",
            "no matching manifest for linux/s390x in the manifest list entries",
        ] {
            let ending = end_of(&task(), &waiting("ErrImagePull", message));
            assert_eq!(
                ending.outcome.reason,
                "the image `gcc:14` is not made for the processor of its machine"
            );
            assert!(ending.stop && !ending.outcome.retryable);
        }
    }

    #[test]
    fn an_image_that_cannot_be_read_is_waited_for_and_one_that_is_not_trusted_is_not() {
        let unread = waiting("ImageInspectError", "failed to inspect image");
        let now = progress(&task(), &unread, Timestamp::UNIX_EPOCH);
        assert!(matches!(now, Progress::Starting(Some(_))), "{now:?}");
        let untrusted = waiting("SignatureValidationFailed", "policy: no signature exists");
        let reason = end_of(&task(), &untrusted).outcome.reason;
        assert!(
            reason.ends_with("signature of the image `gcc:14`: no signature exists"),
            "{reason}"
        );
    }

    #[test]
    fn why_no_machine_is_free_says_nothing_of_what_might_be_put_aside() {
        let nowhere = PodView {
            unschedulable: Some(
                "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."
                    .to_owned(),
            ),
            ..pod(ContainerView::Unknown)
        };
        assert_eq!(
            progress(&task(), &nowhere, Timestamp::UNIX_EPOCH),
            Progress::Starting(Some(
                "no machine is free for it: 0/3 nodes are available: 3 Insufficient cpu."
                    .to_owned()
            ))
        );
    }
}
