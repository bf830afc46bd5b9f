//! Runs whose node loses them.

use super::tests::{end_of, ended, pod, task, waiting};
use super::*;

fn end(pod: &PodView) -> Ending {
    end_of(&task(), pod)
}

#[test]
fn a_container_that_its_node_lost_track_of_is_nobodys_failure() {
    let passed = r#"{"verdict":"Passed","exitCode":0}"#;
    for (exit_code, reason, message) in [
        (255, "Unknown", ""),
        (255, "Unknown", passed),
        (
            137,
            "ContainerStatusUnknown",
            "The container could not be located when the pod was terminated",
        ),
    ] {
        let gone = ended(exit_code, reason, message);
        let mut both = pod(gone.clone());
        both.checkout = gone.clone();
        let mut fetching = waiting("PodInitializing", "");
        fetching.checkout = gone.clone();
        for pod in [pod(gone.clone()), both, fetching] {
            let ending = end(&pod);
            assert_eq!(ending.phase, RunPhase::Error, "{pod:?}");
            assert!(ending.outcome.retryable, "{pod:?}");
            assert!(ending.outcome.reason.ends_with(RESTARTED), "{ending:?}");
        }
        let mut deleted = pod(gone);
        deleted.deletion_asked = Some(Timestamp::from_second(15).unwrap());
        assert_eq!(end(&deleted).outcome.reason, DELETED);
    }
}

#[test]
fn a_node_that_gives_up_a_pod_without_a_word_leaves_no_colon() {
    for (reason, expected) in [
        ("Evicted", "was evicted from its node"),
        ("OutOfcpu", "its node gave it up (OutOfcpu)"),
    ] {
        let mut silent = pod(ContainerView::Unknown);
        silent.phase = "Failed".into();
        silent.reason = reason.into();
        let ending = end(&silent);
        assert_eq!(ending.outcome.reason, expected);
        assert!(ending.outcome.retryable, "{expected}");
    }
}

#[test]
fn a_pod_that_is_deleted_during_its_checkout_was_deleted_and_did_not_fail_to_fetch() {
    let mut fetching = waiting("PodInitializing", "");
    fetching.checkout = ended(1, "Error", r#"{"error":"cancelled during the checkout"}"#);
    assert!(end(&fetching).outcome.reason.contains("checked out"));
    fetching.deletion_asked = Some(Timestamp::from_second(15).unwrap());
    let ending = end(&fetching);
    assert_eq!(ending.outcome.reason, DELETED);
    assert!(ending.outcome.retryable);
}

#[test]
fn a_pod_that_was_taken_from_its_node_says_by_whom_and_is_tried_again() {
    let drained = "its node was drained, or somebody evicted its pod";
    let cancelled = r#"{"verdict":"Cancelled","exitCode":143}"#;
    let mut fetching = waiting("PodInitializing", "");
    fetching.checkout = ended(1, "Error", r#"{"error":"cancelled during the checkout"}"#);
    for build in [
        pod(ended(143, "Error", cancelled)),
        pod(ended(137, "Error", "")),
        pod(ended(255, "Unknown", "")),
        fetching,
    ] {
        let taken = PodView {
            deletion_asked: Some(Timestamp::from_second(15).unwrap()),
            disruption: Some(drained),
            ..build
        };
        let ending = end(&taken);
        assert_eq!(ending.outcome.reason, drained, "{taken:?}");
        assert!(ending.outcome.retryable, "{taken:?}");
    }
    // What was decided before counts all the same.
    let mut passed = pod(ended(
        0,
        "Completed",
        r#"{"verdict":"Passed","exitCode":0}"#,
    ));
    passed.disruption = Some(drained);
    assert_eq!(end(&passed).phase, RunPhase::Succeeded);
}

#[test]
fn a_pod_that_is_over_before_its_steps_has_ended_and_says_by_whom() {
    let preempted = "a pod of higher priority took its place";
    let mut between = waiting("PodInitializing", "");
    between.phase = "Failed".into();
    let asked_at = Timestamp::from_second(15).unwrap();
    for (asked, disruption, expected) in [
        (Some(asked_at), Some(preempted), Some(preempted)),
        // Its Job knows whether its time was over.
        (Some(asked_at), None, None),
        (None, Some(preempted), Some(preempted)),
        (None, None, Some(UNFINISHED)),
    ] {
        for build in [
            between.build.clone(),
            ContainerView::Running { since: None },
        ] {
            let taken = PodView {
                deletion_asked: asked,
                disruption,
                build,
                ..between.clone()
            };
            match (progress(&task(), &taken, asked_at), expected) {
                (Progress::Ended(ending), Some(expected)) => {
                    assert_eq!(ending.outcome.reason, expected, "{taken:?}");
                    assert!(ending.outcome.retryable, "{taken:?}");
                }
                (progress, expected) => {
                    let goes_on = !matches!(progress, Progress::Ended(_));
                    assert!(goes_on && expected.is_none(), "{progress:?}");
                }
            }
        }
    }
}

#[test]
fn a_checkout_that_never_began_says_why_and_one_that_outgrew_its_memory_is_not_tried_again() {
    let mut fetching = waiting("PodInitializing", "");
    fetching.checkout = ended(128, "StartError", "exec: \"prbuild-agent\": not found");
    let ending = end(&fetching);
    assert_eq!(
        ending.outcome.reason,
        "the code could not be checked out: its container could not be started: exec: \"prbuild-agent\": not found"
    );
    assert!(ending.outcome.retryable);
    fetching.checkout = ended(137, "OOMKilled", "");
    let ending = end(&fetching);
    assert_eq!(ending.phase, RunPhase::Failed);
    let reason = &ending.outcome.reason;
    assert!(
        reason.starts_with("its checkout ran out of memory (it has "),
        "{reason}"
    );
    assert!(!ending.outcome.retryable);
}
