//! Pods that ended in every way, and whose doing it was.

use crds::Kubernetes;
use protocol::{Recipe, StepReport, StepResult};

use super::*;

const COMMIT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub fn task() -> Task {
    Task {
        builder: "debian".into(),
        display_name: "Debian".into(),
        report_mode: crds::ReportMode::Statuses,
        context: "prbuild/Debian".into(),
        repository: "app".into(),
        requester: "ada".into(),
        requester_id: 1,
        source: Source {
            repository_id: 1,
            repository: "octo/app".into(),
            clone_url: "https://github.com/octo/app.git".into(),
            pull_request: 7,
            commit: COMMIT.into(),
            parents: vec!["b".repeat(40), "c".repeat(40)],
            tree: Some("d".repeat(40)),
            head_sha: "c".repeat(40),
            base_ref: "main".into(),
        },
        recipe: Some(Recipe::default()),
        infra_retries: 2,
        worker: None,
        evidence: crds::Evidence::Label,
        kubernetes: Some(Kubernetes {
            image: "gcc:14".into(),
            ..Kubernetes::default()
        }),
        invalid: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub fn ended(exit_code: i32, reason: &str, message: &str) -> ContainerView {
    ContainerView::Terminated {
        exit_code,
        reason: reason.into(),
        message: message.into(),
        started: Some(at(10)),
        finished: Some(at(20)),
    }
}

fn checkout() -> ContainerView {
    let report = CheckoutReport {
        commit: COMMIT.into(),
        parents: vec!["b".repeat(40), "c".repeat(40)],
        tree: "d".repeat(40),
        error: None,
    };
    ended(0, "Completed", &serde_json::to_string(&report).unwrap())
}

fn report(verdict: Verdict, exit_code: i32) -> String {
    let steps = vec![StepReport {
        name: "te\u{1b}st".into(),
        result: StepResult::Failed,
        exit_code: Some(exit_code),
        seconds: 1.0,
    }];
    let reason = Some("step `test` failed".into());
    ExecReport {
        reason,
        warning: true,
        steps,
        ..ExecReport::new(verdict, exit_code)
    }
    .to_message()
}

pub fn pod(build: ContainerView) -> PodView {
    PodView {
        checkout: checkout(),
        build,
        created: Some(at(0)),
        ..PodView::default()
    }
}

fn end(pod: &PodView) -> Ending {
    end_of(&task(), pod)
}

pub fn end_of(task: &Task, pod: &PodView) -> Ending {
    match progress(task, pod, at(100)) {
        Progress::Ended(ending) => ending,
        other => panic!("has not ended: {other:?}"),
    }
}

#[test]
fn green_needs_exit_0_a_valid_message_and_the_right_commit() {
    let good = pod(ended(0, "Completed", &report(Verdict::Passed, 0)));
    let ending = end(&good);
    assert_eq!(ending.phase, RunPhase::Succeeded);
    assert_eq!(ending.outcome.commit.as_deref(), Some(COMMIT));
    assert!(ending.outcome.warning);

    let claims = end(&pod(ended(1, "Error", &report(Verdict::Passed, 0))));
    assert_eq!(
        claims.phase,
        RunPhase::Failed,
        "a message alone is not green"
    );

    for message in ["", "ok", "{}"] {
        let silent = end(&pod(ended(0, "Completed", message)));
        assert_eq!(silent.phase, RunPhase::Failed, "exit 0 alone is not green");
        assert!(!silent.outcome.retryable, "broken messages earn no retries");
    }

    let mut other = good.clone();
    other.checkout = ended(
        0,
        "Completed",
        r#"{"commit":"eeee","parents":[],"tree":""}"#,
    );
    assert_eq!(
        end(&other).phase,
        RunPhase::Error,
        "another commit is not green"
    );
    other.checkout = ContainerView::Unknown;
    assert_eq!(
        end(&other).phase,
        RunPhase::Error,
        "an unknown commit is not green"
    );
}

#[test]
fn a_merge_with_other_parents_or_another_tree_is_another_commit() {
    for report in [
        format!(
            r#"{{"commit":"{COMMIT}","parents":["x","y"],"tree":"{}"}}"#,
            "d".repeat(40)
        ),
        format!(
            r#"{{"commit":"{COMMIT}","parents":["{}","{}"],"tree":"z"}}"#,
            "b".repeat(40),
            "c".repeat(40)
        ),
    ] {
        let mut pod = pod(ended(0, "Completed", &self::report(Verdict::Passed, 0)));
        pod.checkout = ended(0, "Completed", &report);
        assert_eq!(end(&pod).phase, RunPhase::Error);
    }
}

#[test]
fn what_the_code_does_to_itself_is_failed_and_earns_no_retry() {
    let cases = [
        ended(2, "Error", &report(Verdict::Failed, 2)),
        ended(0, "Completed", &report(Verdict::Failed, 2)),
        ended(137, "OOMKilled", ""),
        ended(137, "Error", ""),
        ended(143, "Error", &report(Verdict::Cancelled, 143)),
        ended(1, "Error", "{\"verdict\":\"Error\"}"),
    ];
    for build in cases {
        let ending = end(&pod(build.clone()));
        assert_eq!(ending.phase, RunPhase::Failed, "{build:?}");
        assert!(!ending.outcome.retryable, "{build:?}");
        assert!(!ending.outcome.reason.is_empty(), "{build:?}");
    }
    let mut evicted = pod(ContainerView::Unknown);
    evicted.phase = "Failed".into();
    evicted.reason = "Evicted".into();
    evicted.message = "Usage of EmptyDir volume \"build\" exceeds the limit \"10Gi\". ".into();
    assert_eq!(end(&evicted).phase, RunPhase::Failed);
}

#[test]
fn an_error_that_the_executor_claims_is_never_retried() {
    let ending = end(&pod(ended(125, "Error", &report(Verdict::Error, 125))));
    assert_eq!(ending.phase, RunPhase::Error);
    assert!(!ending.outcome.retryable);
}

#[test]
fn what_the_infrastructure_does_is_an_error_and_retried() {
    let mut evicted = pod(ended(137, "Error", ""));
    evicted.phase = "Failed".into();
    evicted.reason = "Evicted".into();
    evicted.message = "The node was low on resource: memory.".into();
    let mut deleted = pod(ended(143, "Error", &report(Verdict::Cancelled, 143)));
    deleted.deletion_asked = Some(at(15));
    let mut lost = pod(ContainerView::Running {
        since: Some(at(10)),
    });
    lost.deletion_asked = Some(at(20));
    lost.deletion_due = Some(at(30));
    let mut fetch = pod(ContainerView::Waiting {
        reason: "PodInitializing".into(),
        message: String::new(),
    });
    fetch.checkout = ended(1, "Error", r#"{"error":"the network failed"}"#);
    for pod in [evicted, deleted, lost, fetch] {
        let ending = end(&pod);
        assert_eq!(ending.phase, RunPhase::Error, "{pod:?}");
        assert!(ending.outcome.retryable, "{pod:?}");
    }
}

#[test]
fn a_pod_that_is_deleted_at_the_deadline_of_its_job_was_too_slow() {
    let mut task = task();
    task.recipe.as_mut().unwrap().timeouts.run_seconds = 60;
    for (asked, phase) in [(60, RunPhase::Error), (80, RunPhase::TimedOut)] {
        let mut pod = pod(ended(143, "Error", &report(Verdict::Cancelled, 143)));
        pod.deletion_asked = Some(at(asked));
        let ending = end_of(&task, &pod);
        assert_eq!(ending.phase, phase, "{asked} s");
        assert_eq!(ending.outcome.retryable, phase == RunPhase::Error);
    }
}

#[test]
fn a_result_that_was_written_before_the_pod_was_deleted_counts() {
    let mut passed = pod(ended(0, "Completed", &report(Verdict::Passed, 0)));
    passed.deletion_asked = Some(at(20));
    assert_eq!(end(&passed).phase, RunPhase::Succeeded);
}

/// A pod whose build container waits.
pub fn waiting(reason: &str, message: &str) -> PodView {
    pod(ContainerView::Waiting {
        reason: reason.into(),
        message: message.into(),
    })
}

#[test]
fn an_image_that_does_not_exist_ends_the_run_and_a_registry_that_is_down_is_waited_for() {
    let missing = end(&waiting(
        "ErrImagePull",
        "failed to resolve: gcc:14: not found",
    ));
    assert_eq!(missing.phase, RunPhase::Error);
    assert!(
        missing
            .outcome
            .reason
            .contains("the image `gcc:14` does not exist")
    );
    assert!(missing.stop && !missing.outcome.retryable);

    let down = waiting(
        "ErrImagePull",
        "dial tcp: lookup registry: no such host: not found",
    );
    let now = progress(&task(), &down, at(100));
    assert!(matches!(now, Progress::Starting(Some(_))), "{now:?}");
    let later = progress(&task(), &down, at(400));
    assert!(
        matches!(&later, Progress::Ended(ending) if ending.outcome.retryable),
        "{later:?}"
    );
}

#[test]
fn a_container_that_cannot_be_made_now_is_waited_for_and_then_tried_elsewhere() {
    for reason in ["CreateContainerError", "RunContainerError"] {
        let slow = waiting(reason, "context deadline exceeded");
        let now = progress(&task(), &slow, at(100));
        assert!(matches!(now, Progress::Starting(Some(_))), "{now:?}");
        let later = progress(&task(), &slow, at(400));
        assert!(
            matches!(&later, Progress::Ended(ending) if ending.outcome.retryable && ending.stop),
            "{later:?}"
        );
    }
    let wrong = end(&waiting(
        "CreateContainerConfigError",
        "container has runAsNonRoot and image will run as root",
    ));
    assert_eq!(
        (wrong.phase, wrong.outcome.retryable),
        (RunPhase::Error, false)
    );
}

#[test]
fn a_pod_that_outlives_its_limit_is_stopped() {
    let mut task = task();
    task.recipe.as_mut().unwrap().timeouts.run_seconds = 60;
    let pod = pod(ContainerView::Running { since: Some(at(0)) });
    assert!(matches!(
        progress(&task, &pod, at(170)),
        Progress::Running { .. }
    ));
    let Progress::Ended(ending) = progress(&task, &pod, at(181)) else {
        panic!()
    };
    assert_eq!((ending.phase, ending.stop), (RunPhase::TimedOut, true));
}

#[test]
fn a_sidecar_that_does_not_start_keeps_the_pod_from_starting_and_decides_nothing_later() {
    let waits = |reason: &str, message: &str| ContainerView::Waiting {
        reason: reason.into(),
        message: message.into(),
    };
    let first = |ship: ContainerView| PodView {
        ship,
        checkout: waits("PodInitializing", ""),
        build: waits("PodInitializing", ""),
        created: Some(at(0)),
        ..PodView::default()
    };
    let missing = end(&first(waits("ErrImagePull", "agent:1: not found")));
    assert_eq!((missing.phase, missing.stop), (RunPhase::Error, true));
    assert!(missing.outcome.reason.contains("the checkout image"));

    let crashes = first(waits("CrashLoopBackOff", "back-off 10s"));
    let soon = progress(&task(), &crashes, at(100));
    assert!(matches!(soon, Progress::Starting(Some(_))), "{soon:?}");
    let later = progress(&task(), &crashes, at(400));
    assert!(
        matches!(&later, Progress::Ended(ending) if ending.outcome.retryable && ending.stop),
        "{later:?}"
    );

    for (build, over) in [
        (
            ContainerView::Running {
                since: Some(at(390)),
            },
            false,
        ),
        (waits("PodInitializing", ""), false),
        (ended(0, "Completed", &report(Verdict::Passed, 0)), true),
    ] {
        let begun = PodView {
            ship: crashes.ship.clone(),
            ..pod(build)
        };
        let progress = progress(&task(), &begun, at(400));
        assert_eq!(
            matches!(&progress, Progress::Ended(_)),
            over,
            "{progress:?}"
        );
        assert!(
            !matches!(&progress, Progress::Ended(ending) if ending.phase != RunPhase::Succeeded)
        );
    }
}

#[test]
fn a_pod_that_is_evicted_while_only_its_log_is_sent_keeps_its_result() {
    for verdict in [Verdict::Passed, Verdict::Failed] {
        let code = i32::from(verdict != Verdict::Passed);
        let mut evicted = pod(ended(code, "Completed", &report(verdict, code)));
        evicted.phase = "Failed".into();
        evicted.reason = "Evicted".into();
        evicted.message = "The node was low on resource: memory.".into();
        assert!(!end(&evicted).outcome.retryable, "{verdict:?}");
        evicted.build = ended(143, "Error", &report(Verdict::Cancelled, 143));
        assert!(end(&evicted).outcome.retryable, "its steps were stopped");
    }
}

#[test]
fn the_image_of_a_run_is_kept_by_its_digest() {
    let mut passed = pod(ended(0, "Completed", &report(Verdict::Passed, 0)));
    passed.image_digest = Some("docker.io/library/gcc@sha256:00ff".into());
    assert_eq!(end(&passed).outcome.image_digest, passed.image_digest);
}

#[test]
fn nobody_free_is_waiting_and_not_an_end() {
    let pod = PodView {
        unschedulable: Some("0/3 nodes".into()),
        ..PodView::default()
    };
    let now = progress(&task(), &pod, at(0));
    assert_eq!(
        now,
        Progress::Starting(Some("no machine is free for it: 0/3 nodes".into()))
    );
}
