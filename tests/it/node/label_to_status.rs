//! From a label on GitHub to a status on the commit.

use std::time::Duration;

use crds::{BuildResult, PrBuild, RunPhase};
use kube::api::{DeleteParams, ListParams};
use tests::{
    images::EmptyRegistry,
    story::{LABEL, REPO},
};

use super::{begin, runs};

const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test]
async fn one_label_builds_the_labelled_code_merged_and_tells_every_result() {
    let story = begin("label").await;
    let registry = EmptyRegistry::start().await.unwrap();
    story
        .builder(
            "passes",
            runs("grep -q changed README && test -f main-only"),
        )
        .await;
    story
        .builder("fails", runs("echo a test failed; exit 3"))
        .await;
    story
        .builder("missing", |spec| {
            spec.kubernetes.as_mut().unwrap().image = registry.image()
        })
        .await;
    let number = story
        .open_pull_request("change", &[("README", "changed\n")])
        .await;
    // The base branch moves on: what is built is the merge with it.
    story
        .forge
        .push(REPO, "main", &[("main-only", "x\n")])
        .await;
    story.quiet();
    let name = story.name_of(number, story.label(number));
    let build = story.complete_within(&name, PATIENCE).await;
    let status = build.status.unwrap();
    assert_eq!(status.result, Some(BuildResult::Failed));
    assert_eq!(status.summary, "1 passed, 1 failed, 1 error");
    let said: Vec<(String, String)> = story
        .last_statuses(number)
        .into_iter()
        .map(|(context, state, _)| (context, state))
        .collect();
    let expected = [
        ("prbuild/fails", "failure"),
        ("prbuild/missing", "error"),
        ("prbuild/passes", "success"),
    ];
    assert_eq!(
        said,
        expected.map(|(context, state)| (context.to_owned(), state.to_owned()))
    );
    let request = build.spec.request;
    let passed = story
        .runs(&name)
        .await
        .into_iter()
        .find(|run| run.spec.task.builder == "passes")
        .unwrap();
    let outcome = passed.status.unwrap().outcome.unwrap();
    assert_eq!(
        outcome.commit, request.merge_sha,
        "the pinned test merge was checked out"
    );
    assert_eq!(outcome.tree, request.merge_tree);
    assert!(!story.forge.labels(REPO, number).contains(&LABEL.to_owned()));
    story.end().await;
}

#[tokio::test]
async fn a_push_after_the_label_builds_nothing_of_it() {
    let story = begin("push-after").await;
    // So that the build goes on, and shows which code it has.
    story.repository(|spec| spec.cancel_on.push = false).await;
    story
        .builder("debian", runs("cat README; grep -q reviewed README"))
        .await;
    let number = story
        .open_pull_request("change", &[("README", "reviewed\n")])
        .await;
    let labelled = story.forge.pull_request(REPO, number).head_sha;
    let name = story.name_of(number, story.label(number));
    story
        .eventually_in("the build exists", &name, |build: &PrBuild| {
            build
                .status
                .clone()
                .map(drop)
                .ok_or_else(|| "no status yet".to_owned())
        })
        .await;
    let pushed = story
        .forge
        .push("mallory/app", "change", &[("README", "evil\n")])
        .await;
    let build = story.complete_within(&name, PATIENCE).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    assert_eq!(build.spec.request.head_sha, labelled);
    assert!(
        story.forge.statuses(REPO, &pushed).is_empty(),
        "nothing is said about the new head"
    );
    let builds = story
        .api::<PrBuild>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(builds.items.len(), 1);
    story.end().await;
}

#[tokio::test]
async fn cancel_kills_the_processes_and_a_deleted_pod_is_tried_again() {
    let story = begin("stops").await;
    story
        .builder("slow", runs("sleep 300 & setsid sleep 300 & wait"))
        .await;
    let number = story
        .open_pull_request("change", &[("README", "x\n")])
        .await;
    let name = story.name_of(number, story.label(number));
    let running = |attempt: i64| {
        move |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            let runs = status.results.iter().any(|one| one.attempt == attempt);
            if runs && status.counts.running == 1 {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        }
    };
    story.eventually_in("it runs", &name, running(1)).await;
    let pods = story.pods();
    let pod = pods
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .remove(0)
        .metadata
        .name
        .unwrap();
    pods.delete(&pod, &DeleteParams::default()).await.unwrap();
    story
        .eventually_in("another attempt runs", &name, running(2))
        .await;
    story.cancel(&name).await;
    story.complete_within(&name, PATIENCE).await;
    let phases: Vec<RunPhase> = story
        .runs(&name)
        .await
        .iter()
        .map(|run| run.status.as_ref().unwrap().phase)
        .collect();
    assert_eq!(phases, [RunPhase::Error, RunPhase::Cancelled]);
    tests::cluster::eventually("the pods are gone", PATIENCE, async || {
        let left = pods
            .list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())?;
        if left.items.is_empty() {
            Ok(())
        } else {
            Err(format!("{} pods", left.items.len()))
        }
    })
    .await;
    story.end().await;
}
