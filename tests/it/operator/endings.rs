//! Each way a pod or a Job can end: phase, sentence and final status.

use std::time::Duration;

use crds::RunPhase::{self, Error, Failed, Succeeded};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{ResourceExt, api::DeleteParams};
use protocol::CheckoutReport;
use tests::{
    cluster::{Ending, Fate},
    story::Story,
};

use super::{Seen, begin_without_kubelet, build_of, builder_of, phase_is, reason_of};

/// A builder, the attempt that decides, how it ends, the reason that is recorded, and the status.
pub(super) struct End {
    builder: &'static str,
    attempt: i64,
    phase: RunPhase,
    reason: &'static str,
    status: (&'static str, &'static str),
}

/// A builder's end with the one reason in both places: `status` is what stands around it.
pub(super) fn end(
    builder: &'static str,
    attempt: i64,
    phase: RunPhase,
    reason: &'static str,
    state: &'static str,
    says: &'static str,
) -> End {
    End {
        builder,
        attempt,
        phase,
        reason,
        status: (state, says),
    }
}

/// Builders whose pods end by themselves.
fn by_themselves() -> Vec<End> {
    let lost = "the code could not be checked out: the remote hung up";
    let other = "another commit was checked out than the one that was authorized";
    vec![
        end(
            "own-disk",
            1,
            Failed,
            "used more disk than its 1Gi",
            "failure",
            "Failed: used more disk than its 1Gi",
        ),
        end("full-node", 2, Succeeded, "", "success", "Passed"),
        end("restarts", 2, Succeeded, "", "success", "Passed"),
        end(
            "restarts-often",
            3,
            Error,
            "its node restarted, or lost track of it",
            "error",
            "Error: its node restarted, or lost track of it; this was attempt 3, the last",
        ),
        end(
            "preempted",
            3,
            Error,
            "a pod of higher priority took its place",
            "error",
            "Error: a pod of higher priority took its place; this was attempt 3, the last",
        ),
        end(
            "no-checkout",
            3,
            Error,
            lost,
            "error",
            "Error: the code could not be checked out: the remote hung up; this was attempt 3, the last",
        ),
        end(
            "other-commit",
            3,
            Error,
            other,
            "error",
            "Error: another commit was checked out than the one that was authorized; this was attempt 3, the last",
        ),
        end(
            "memory",
            1,
            Failed,
            "ran out of memory (it has 256Mi)",
            "failure",
            "Failed: ran out of memory (it has 256Mi)",
        ),
        end(
            "lies-green",
            1,
            Failed,
            "its message says Passed, but it ended with exit code 1",
            "failure",
            "Failed: its message says Passed, but it ended with exit code 1",
        ),
        end(
            "lies-red",
            1,
            Failed,
            "its message says Failed, but it ended with exit code 0",
            "failure",
            "Failed: its message says Failed, but it ended with exit code 0",
        ),
        end(
            "babbles",
            1,
            Failed,
            "ended with exit code 0, but ",
            "failure",
            "Failed: ended with exit code 0, but ",
        ),
        end(
            "killed",
            1,
            Failed,
            "was killed before it could tell its result",
            "failure",
            "Failed: was killed before it could tell its result",
        ),
    ]
}

fn by_itself(pod: &Pod, seen: &Seen) -> Fate {
    let builder = builder_of(pod);
    let tried = seen.note(&builder);
    let exit = |code, message: &str| Ending::Exit {
        code,
        message: message.to_owned(),
    };
    let report = |commit: &str, error: Option<&str>| {
        let error = error.map(str::to_owned);
        let report = CheckoutReport {
            commit: commit.to_owned(),
            parents: Vec::new(),
            tree: "0".repeat(40),
            error,
        };
        serde_json::to_string(&report).unwrap()
    };
    Fate::ends(match (builder.as_str(), tried) {
        ("own-disk", _) => {
            let message =
                "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ";
            Ending::Evicted {
                message: message.into(),
            }
        }
        ("full-node", 0) => Ending::Evicted {
            message: "The node was low on resource: ephemeral-storage. ".into(),
        },
        ("preempted", _) => Ending::Preempted,
        ("restarts", 0) | ("restarts-often", _) => Ending::NodeRestarts,
        ("no-checkout", _) => Ending::CheckoutFails {
            code: 1,
            message: report("", Some("the remote hung up")),
        },
        ("other-commit", _) => Ending::CheckoutSays {
            message: report(&"f".repeat(40), None),
        },
        ("memory", _) => Ending::OutOfMemory,
        ("lies-green", _) => exit(1, r#"{"verdict":"Passed","exitCode":0}"#),
        ("lies-red", _) => exit(0, r#"{"verdict":"Failed","exitCode":2}"#),
        ("babbles", _) => exit(0, "all is well, believe me"),
        ("killed", _) => exit(137, ""),
        _ => return Fate::passes(),
    })
}

#[tokio::test]
async fn each_way_a_pod_ends_is_told_in_its_own_words() {
    let mut story = begin_without_kubelet("endings").await;
    let seen = Seen::default();
    story.pods_go(move |pod| by_itself(pod, &seen));
    assert_ends(&story, &by_themselves()).await;
    story.end().await;
}

#[tokio::test]
async fn a_pod_or_a_job_that_somebody_deletes_is_tried_again() {
    let mut story = begin_without_kubelet("deleted").await;
    let seen = Seen::default();
    story.pods_go(move |pod| match seen.note(&builder_of(pod)) {
        0 => Fate::ends(Ending::Never),
        _ => Fate::passes(),
    });
    for builder in ["job", "pod"] {
        story.builder(builder, |_| {}).await;
    }
    let (number, name) = build_of(&story, "change", &["job", "pod"]).await;
    let delete = DeleteParams::background();
    let run = phase_is(&story, &format!("{name}-job-1"), RunPhase::Running).await;
    story
        .in_builds::<Job>()
        .delete(&format!("run-{}", run.uid().unwrap()), &delete)
        .await
        .unwrap();
    let run = phase_is(&story, &format!("{name}-pod-1"), RunPhase::Running).await;
    let pod = pod_of(&story, &run.uid().unwrap()).await;
    story.pods().delete(&pod, &delete).await.unwrap();
    story.complete(&name).await;
    let runs = story.runs(&name).await;
    let told: Vec<(RunPhase, String)> = runs
        .iter()
        .map(|run| (super::phase_of(run), reason_of(run)))
        .collect();
    let expected = [
        (Error, "its Job was deleted".to_owned()),
        (Succeeded, String::new()),
        (Error, "its pod was deleted before it ended".to_owned()),
        (Succeeded, String::new()),
    ];
    assert_eq!(told, expected);
    assert!(
        story
            .last_statuses(number)
            .iter()
            .all(|(_, state, _)| state == "success")
    );
    story.end().await;
}

#[tokio::test]
async fn a_node_that_is_lost_costs_an_attempt_and_not_the_result() {
    let mut story = begin_without_kubelet("nodelost").await;
    let seen = Seen::default();
    story.pods_go(move |pod| match seen.note(&builder_of(pod)) {
        0 => Fate::ends(Ending::NodeLost),
        _ => Fate::passes(),
    });
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    let run = phase_is(&story, &format!("{name}-debian-1"), RunPhase::Running).await;
    // The control plane gives the node up; no kubelet answers.
    let pod = pod_of(&story, &run.uid().unwrap()).await;
    story
        .pods()
        .delete(&pod, &DeleteParams::default().grace_period(1))
        .await
        .unwrap();
    // After the pod's grace a silent node is given 30 s.
    story.complete_within(&name, Duration::from_secs(50)).await;
    let first = story.runs(&name).await.remove(0);
    assert_eq!(
        reason_of(&first),
        "the node that it ran on does not answer any more"
    );
    assert_eq!(story.last_statuses(number)[0].1, "success");
    // Nobody else lets go of a pod on a node that is gone.
    story
        .pods()
        .delete(&pod, &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    story.end().await;
}

/// Makes the builders that are not there yet, builds with all, and holds each against its end.
async fn assert_ends(story: &Story, ends: &[End]) {
    for end in ends {
        story.builder(end.builder, |_| {}).await;
    }
    reach_ends(story, ends).await;
}

/// Builds with all, and holds each against its end. Returns the reasons.
pub(super) async fn reach_ends(story: &Story, ends: &[End]) -> Vec<String> {
    let builders: Vec<&str> = ends.iter().map(|end| end.builder).collect();
    let (number, name) = build_of(story, "change", &builders).await;
    story.complete(&name).await;
    let (runs, statuses) = (story.runs(&name).await, story.last_statuses(number));
    assert_eq!(statuses.len(), ends.len(), "{statuses:?}");
    let mut reasons = Vec::new();
    for End {
        builder,
        attempt,
        phase,
        reason,
        status: (state, says),
    } in ends
    {
        let of_builder = runs.iter().filter(|run| run.spec.task.builder == *builder);
        let last = of_builder.max_by_key(|run| run.spec.attempt).unwrap();
        assert_eq!(
            (last.spec.attempt, super::phase_of(last)),
            (*attempt, *phase),
            "{builder}: {:?}",
            last.status
        );
        let why = reason_of(last);
        assert!(why.contains(reason), "{builder}: {why}");
        let context = format!("prbuild/{builder}");
        let (_, told, description) = statuses
            .iter()
            .find(|(found, ..)| *found == context)
            .unwrap();
        assert_eq!(told, state, "{builder}: {description}");
        assert!(description.starts_with(says), "{builder}: {description}");
        reasons.push(why);
    }
    reasons
}

/// The pod of a run.
async fn pod_of(story: &Story, uid: &str) -> String {
    let pods = story.pods().list(&Default::default()).await.unwrap();
    let ours = pods
        .items
        .iter()
        .find(|pod| pod.labels()["prbuild.dev/run"] == uid);
    ours.unwrap().name_any()
}
