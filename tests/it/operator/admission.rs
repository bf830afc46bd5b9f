//! Who gets a slot, and who waits for what.

use std::time::Duration;

use crds::{Builder, BuilderRun, BuilderSpec, RunPhase};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use tests::{
    cluster::{Ending, Fate, eventually},
    story::{PATIENCE, Story},
};

use super::{begin, build_of, jobs_are, phase_is, phase_of, revoke, run_is};

/// What the operator says of a ledger that somebody else wrote first.
const CONFLICT: &str = "somebody else wrote since the ledger was read";
/// What it says of one that the API server does not take.
const NOT_WRITTEN: &str = "the ledger could not be written";

/// How often the operator said this.
fn said(story: &mut Story, words: &str) -> usize {
    let index = story.operator().unwrap();
    let log = story.install.program(index).unwrap().log();
    log.matches(words).count()
}

/// No two runs were running at a time.
async fn assert_one_at_a_time(story: &Story) {
    let runs = story.api::<BuilderRun>().list(&ListParams::default()).await;
    let mut spans: Vec<_> = runs
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
}

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
    assert_one_at_a_time(&story).await;
    story.end().await;
}

/// Waits until the operator has looked at what a Builder asks for now.
async fn is_looked_at(story: &Story, name: &str) {
    story
        .eventually_in("it is looked at", name, |builder: &Builder| {
            let status = builder.status.clone().unwrap_or_default();
            match status.observed_generation == builder.metadata.generation {
                true => Ok(()),
                false => Err(format!("{status:?}")),
            }
        })
        .await;
}

/// Another build waits until the first one, which is under way, is cancelled.
async fn another_waits_for(story: &Story, first: &str) {
    let (_, second) = build_of(story, "two", &["debian"]).await;
    let run = format!("{second}-debian-1");
    run_is(story, &run, "is next", |run| {
        let status = run.status.as_ref();
        let waiting = status.and_then(|status| status.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason == "next on `debian`")
    })
    .await;
    jobs_are(story, 1).await;
    story.cancel(first).await;
    phase_is(story, &run, RunPhase::Running).await;
}

#[tokio::test]
async fn a_limit_counts_what_ran_before_it_was_set() {
    let story = begin("limitlater", Fate::ends(Ending::Never)).await;
    story.builder("debian", |_| {}).await;
    let (_, first) = build_of(&story, "one", &["debian"]).await;
    phase_is(&story, &format!("{first}-debian-1"), RunPhase::Running).await;
    story
        .builder("debian", |spec| spec.max_concurrent = Some(1))
        .await;
    is_looked_at(&story, "debian").await;
    another_waits_for(&story, &first).await;
    story.end().await;
}

#[tokio::test]
async fn a_limit_counts_what_runs_of_a_builder_that_was_made_anew() {
    let story = begin("limitanew", Fate::ends(Ending::Never)).await;
    let limited = |spec: &mut BuilderSpec| spec.max_concurrent = Some(1);
    story.builder("debian", limited).await;
    let (_, first) = build_of(&story, "one", &["debian"]).await;
    phase_is(&story, &format!("{first}-debian-1"), RunPhase::Running).await;
    let builders = story.api::<Builder>();
    let gone = builders.delete("debian", &DeleteParams::default()).await;
    gone.unwrap();
    story.builder("debian", limited).await;
    is_looked_at(&story, "debian").await;
    another_waits_for(&story, &first).await;
    story.end().await;
}

#[tokio::test]
async fn a_paused_builder_starts_nothing_and_says_so_until_it_goes_on() {
    let story = begin("paused", Fate::passes()).await;
    story.builder("debian", |spec| spec.paused = true).await;
    let (_, name) = build_of(&story, "change", &["debian"]).await;
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
    let (number, name) = build_of(&story, "change", &["debian"]).await;
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

#[tokio::test]
async fn a_limit_holds_and_nobody_starves_while_somebody_else_writes_its_builder_all_the_time() {
    let mut story = begin("conflicts", Fate::passes().after(Duration::from_secs(1))).await;
    story
        .builder("debian", |spec| spec.max_concurrent = Some(1))
        .await;
    let builders = story.api::<Builder>();
    let busy = tokio::spawn(async move {
        for n in 0_u64.. {
            let note = json!({ "metadata": { "annotations": { "story": n.to_string() } } });
            builders
                .patch("debian", &PatchParams::default(), &Patch::Merge(note))
                .await
                .unwrap();
            // For as long as these looks take the operator may be the first to write.
            for _ in 0..5 {
                let builder = builders.get("debian").await.unwrap();
                let running = builder.status.unwrap_or_default().running;
                assert!(running.len() <= 1, "{running:?}");
            }
        }
    });
    let mut builds = Vec::new();
    for branch in ["one", "two", "three", "four"] {
        builds.push(build_of(&story, branch, &["debian"]).await);
    }
    for (_, name) in &builds {
        story.complete(name).await;
    }
    // Each grant is a race that the operator may win: more of them, until it has lost one.
    for n in 0..20 {
        if said(&mut story, CONFLICT) > 0 {
            break;
        }
        let more = build_of(&story, &format!("more{n}"), &["debian"]).await;
        story.complete(&more.1).await;
        builds.push(more);
    }
    assert!(said(&mut story, CONFLICT) > 0, "nobody was in its way");
    assert!(!busy.is_finished(), "it was left in peace");
    busy.abort();
    for (number, _) in &builds {
        assert_eq!(story.last_statuses(*number)[0].1, "success");
    }
    assert_one_at_a_time(&story).await;
    story.end().await;
}

#[tokio::test]
async fn nobody_starts_while_a_ledger_cannot_be_written_and_everybody_does_once_it_can() {
    let mut story = begin("noledger", Fate::passes()).await;
    story
        .builder("debian", |spec| spec.max_concurrent = Some(1))
        .await;
    let revoked = revoke(&story, "patch", "builders/status").await;
    let mut builds = Vec::new();
    for branch in ["one", "two"] {
        builds.push(build_of(&story, branch, &["debian"]).await.1);
    }
    // The second time it had all the time between the two to start somebody.
    eventually("it tries twice", PATIENCE, async || {
        match said(&mut story, NOT_WRITTEN) {
            0 | 1 => Err("it has not".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    assert!(story.jobs().await.is_empty());
    for name in &builds {
        for run in story.runs(name).await {
            assert_eq!(phase_of(&run), RunPhase::Queued, "{name}");
        }
    }
    revoked.restore(&story).await;
    for name in &builds {
        story.complete(name).await;
    }
    assert_one_at_a_time(&story).await;
    story.end().await;
}
