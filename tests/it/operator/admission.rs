//! Who gets a slot, and who waits for what.

use std::time::Duration;

use crds::{Builder, BuilderRun, RunPhase};
use kube::api::ListParams;
use tests::{
    cluster::{Fate, eventually},
    story::PATIENCE,
};

use super::begin;

#[tokio::test]
async fn a_limit_holds_and_everyone_behind_it_knows_their_place() {
    let story = begin("limit", Fate::passes().after(Duration::from_secs(4))).await;
    story
        .builder("debian", |spec| spec.max_concurrent = Some(1))
        .await;
    let mut builds = Vec::new();
    for branch in ["one", "two", "three"] {
        let number = story.open_pull_request(branch, &[("README", branch)]).await;
        builds.push((
            number,
            story
                .authorized(number, &["debian"])
                .await
                .metadata
                .name
                .unwrap(),
        ));
    }
    let runs = story.api::<BuilderRun>();
    let waiting = eventually(
        "the last one waits behind one other",
        PATIENCE,
        async || {
            let all = runs
                .list(&ListParams::default())
                .await
                .map_err(|error| error.to_string())?;
            let waiting: Vec<_> = all
                .items
                .iter()
                .filter_map(|run| run.status.as_ref()?.waiting.clone())
                .collect();
            waiting
                .iter()
                .find(|waiting| waiting.ahead == 1)
                .cloned()
                .ok_or(format!("{waiting:?}"))
        },
    )
    .await;
    assert_eq!(waiting.reason, "1 ahead on `debian`");
    let builder = story.api::<Builder>().get("debian").await.unwrap();
    assert_eq!(builder.status.unwrap().running.len(), 1);
    for (number, name) in &builds {
        story.complete(name).await;
        assert_eq!(story.last_statuses(*number)[0].1, "success");
    }
    let mut spans: Vec<_> = runs
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|run| run.status.unwrap())
        .map(|status| (status.started_at.unwrap().0, status.finished_at.unwrap().0))
        .collect();
    spans.sort();
    assert!(
        spans.windows(2).all(|two| two[0].1 <= two[1].0),
        "two ran at a time: {spans:?}"
    );
    story.end().await;
}

#[tokio::test]
async fn a_paused_builder_starts_nothing_and_says_so_until_it_goes_on() {
    let story = begin("paused", Fate::passes()).await;
    story.builder("debian", |spec| spec.paused = true).await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let name = story
        .authorized(number, &["debian"])
        .await
        .metadata
        .name
        .unwrap();
    let run = format!("{name}-debian-1");
    story
        .eventually_in("it says that it is paused", &run, |run: &BuilderRun| {
            let status = run.status.clone().unwrap_or_default();
            match status.waiting {
                Some(waiting) if waiting.reason == "`debian` is paused" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    story.builder("debian", |_| {}).await;
    story.complete(&name).await;
    story.end().await;
}

#[tokio::test]
async fn a_run_that_waits_longer_than_its_queue_timeout_ends_in_error_with_the_reason() {
    let story = begin("queuetime", Fate::passes()).await;
    story
        .builder("debian", |spec| {
            spec.paused = true;
            spec.timeouts.queue_seconds = 5;
        })
        .await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let name = story
        .authorized(number, &["debian"])
        .await
        .metadata
        .name
        .unwrap();
    story.complete(&name).await;
    let run = story.runs(&name).await.remove(0).status.unwrap();
    assert_eq!(run.phase, RunPhase::Error);
    assert_eq!(
        run.outcome.unwrap().reason,
        "did not start within 5 s: `debian` is paused"
    );
    assert_eq!(story.last_statuses(number)[0].1, "error");
    story.end().await;
}
