//! Builds that people make by hand in the cluster. The chart's policies see whether one repeats the build
//! that it names only where that is there; the operator asks once more.

use crds::{BuildResult, PrBuild, PrBuildSpec, RunPhase, TriggerKind, names};
use kube::ResourceExt;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use tests::cluster::{eventually, shared_control_plane};
use tests::story::{MALLORY, PATIENCE, REPO, Setting, Story};

use super::{Seen, build_of, phase_of, reason_of};

/// Makes a build by hand that says that it repeats `origin`, as `kubectl` would, and returns its name.
/// The policies may still know a build that was deleted a moment ago.
async fn by_hand(
    story: &Story,
    spec: &PrBuildSpec,
    event: i64,
    origin: &str,
    head: &str,
) -> String {
    let mut spec = spec.clone();
    let request = &mut spec.request;
    head.clone_into(&mut request.head_sha);
    request.rerun_of = Some(origin.to_owned());
    request.trigger.kind = TriggerKind::Manual;
    request.trigger.event_id = event;
    request.trigger.label = None;
    "admin".clone_into(&mut request.trigger.user.login);
    let name = names::event_name(&request.repository.name, request.number, &request.trigger);
    let mut build = PrBuild::new(&name, spec);
    let label = ("prbuild.dev/by-hand".to_owned(), "true".to_owned());
    build.labels_mut().extend([label]);
    let builds = story.api::<PrBuild>();
    eventually(format!("{name} is taken"), PATIENCE, async || {
        let made = builds.create(&PostParams::default(), &build).await;
        made.map(drop).map_err(|error| error.to_string())
    })
    .await;
    name
}

/// A build ends in error with these words, and nothing of it has run.
async fn is_refused(story: &Story, name: &str, words: &[&str]) {
    let build = story.complete(name).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Error));
    let runs = story.runs(name).await;
    assert_eq!(
        runs.len(),
        1,
        "an error that is no machine's is not tried again"
    );
    assert_eq!(phase_of(&runs[0]), RunPhase::Error);
    let reason = reason_of(&runs[0]);
    for word in words {
        assert!(reason.contains(word), "{word}: {reason}");
    }
}

#[tokio::test]
async fn a_build_by_hand_of_other_commits_or_of_no_build_is_refused_with_a_sentence_and_not_built()
{
    let access = shared_control_plane();
    let story = Story::begin(&access, "byhand", Setting::default()).await;
    let (mut story, seen) = (story.unwrap(), Seen::default());
    story.builder("debian", |_| {}).await;
    // The origin is made anew below, and a newer build would stop the others before anybody asks.
    story
        .repository(|spec| spec.cancel_on.newer_build = false)
        .await;
    let (number, origin) = build_of(&story, "change", &["debian"]).await;
    let builds = story.api::<PrBuild>();
    let looked_at = builds.get(&origin).await.unwrap().spec;
    let labelled = looked_at.request.head_sha.clone();
    let fork = format!("{MALLORY}/app");
    let pushed = story
        .forge
        .push(&fork, "change", &[("README", "evil")])
        .await;

    // Where the build that it names is not there, policies have nothing to compare a build with.
    let how = DeleteParams::default();
    builds.delete(&origin, &how).await.unwrap();
    let forged = by_hand(&story, &looked_at, 9, &origin, &pushed).await;
    let again = PrBuild {
        metadata: ObjectMeta {
            name: Some(origin.clone()),
            ..ObjectMeta::default()
        },
        spec: looked_at.clone(),
        status: None,
    };
    let gate = story.gate().await;
    gate.create(&PostParams::default(), &again).await.unwrap();
    let unfounded = by_hand(&story, &looked_at, 10, "app-1-l1", &pushed).await;
    let repeated = by_hand(&story, &looked_at, 11, &origin, &labelled).await;

    let counted = seen.clone();
    story.pods_go(move |pod| counted.pass(pod));
    story.start_operator().await.unwrap();
    let differs = format!("it is not of the commits of `{origin}`");
    let remedy = format!("make it with `kubectl prbuild rerun {origin}`");
    is_refused(&story, &forged, &[&differs, &remedy]).await;
    let nothing = "it was made by hand, and there is no build that it repeats";
    is_refused(&story, &unfounded, &[nothing, "add the label again"]).await;
    for name in [&origin, &repeated] {
        let status = story.complete(name).await.status.unwrap();
        assert_eq!(status.result, Some(BuildResult::Passed), "{name}");
    }

    // What nobody has looked at is green nowhere, and had no pod.
    assert_eq!(story.forge.pull_request(REPO, number).head_sha, pushed);
    let statuses = story.forge.statuses(REPO, &pushed);
    assert_eq!(statuses.last().unwrap().state, "error");
    assert!(statuses.iter().all(|status| status.state != "success"));
    let ran = seen.0.lock().unwrap().clone();
    for name in [&forged, &unfounded] {
        let run = story.runs(name).await.remove(0);
        assert!(!ran.contains_key(&run.uid().unwrap()), "{name} has run");
    }
    story.end().await;
}
