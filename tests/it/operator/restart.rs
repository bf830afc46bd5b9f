//! The operator is killed between any two steps, and the next one goes on from there.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crds::{BuildResult, Builder, PrBuild, RunPhase, condition::kind};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use tests::{
    cluster::{Ending, Fate, eventually},
    forge::Fault,
    story::{ADA, LABEL, PATIENCE, REPO, Story},
};

use super::{
    Seen, begin, begin_without_kubelet, build_of, builder_of, crash, holds, jobs_are, pause,
    phase_is, phase_of, pods_are, revoke, run_is,
};

const COMMENTS: &str = "mutation addComment";

/// A story whose pods pass, and are counted.
async fn begin_counting(name: &str) -> (Story, Seen) {
    let mut story = begin_without_kubelet(name).await;
    let seen = Seen::default();
    let counts = seen.clone();
    story.pods_go(move |pod| counts.pass(pod));
    (story, seen)
}

/// The build passed, one comment stands, the label is off, and every status is green for good.
async fn assert_whole(story: &Story, number: u64, name: &str) -> PrBuild {
    let build = story.complete(name).await;
    assert_eq!(
        build.status.as_ref().unwrap().result,
        Some(BuildResult::Passed)
    );
    let build = story
        .eventually_in(
            "it is announced and its label is off",
            name,
            |build: &PrBuild| {
                let said = holds(build, kind::ANNOUNCED) && holds(build, kind::LABEL_REMOVED);
                if said {
                    Ok(build.clone())
                } else {
                    Err(format!("{:?}", build.status))
                }
            },
        )
        .await;
    assert_eq!(
        story.forge.comments(REPO, number).len(),
        1,
        "one comment, whatever was killed"
    );
    assert_eq!(story.forge.labels(REPO, number), Vec::<String>::new());
    let last = story.last_statuses(number);
    assert_eq!(last.len(), build.spec.request.builders.len(), "{last:?}");
    assert!(
        last.iter().all(|(_, state, _)| state == "success"),
        "{last:?}"
    );
    build
}

/// A green status stays: nothing is told of its context afterwards but that it is green.
fn assert_green_stays(story: &Story, number: u64, context: &str) {
    let head = story.forge.pull_request(REPO, number).head_sha;
    let told = story
        .forge
        .statuses(REPO, &head)
        .into_iter()
        .filter(|status| status.context == context);
    let states: Vec<String> = told
        .map(|status| status.state)
        .skip_while(|state| state != "success")
        .collect();
    assert!(
        !states.is_empty() && states.iter().all(|state| state == "success"),
        "{states:?}"
    );
}

#[tokio::test]
async fn runs_without_jobs_get_them_from_the_next_operator() {
    let (mut story, seen) = begin_counting("nojobs").await;
    for builder in ["a", "b"] {
        story.builder(builder, |spec| spec.paused = true).await;
    }
    let (number, name) = build_of(&story, "change", &["a", "b"]).await;
    for builder in ["a", "b"] {
        run_is(&story, &format!("{name}-{builder}-1"), "exists", |_| true).await;
    }
    crash(&mut story).await;
    jobs_are(&story, 0).await;
    for builder in ["a", "b"] {
        pause(&story, builder, false).await;
    }
    story.start_operator().await.unwrap();
    assert_whole(&story, number, &name).await;
    seen.assert_once_each(2);
    story.end().await;
}

#[tokio::test]
async fn a_slot_that_was_written_before_the_crash_is_used_and_the_limit_holds() {
    let mut story = begin_without_kubelet("slot").await;
    let order: Arc<Mutex<Vec<String>>> = Arc::default();
    let pods = order.clone();
    story.pods_go(move |pod| {
        let run = pod.labels()["prbuild.dev/run"].clone();
        pods.lock().unwrap().push(run);
        Fate::passes().after(Duration::from_secs(1))
    });
    story
        .builder("debian", |spec| {
            spec.paused = true;
            spec.max_concurrent = Some(1);
        })
        .await;
    let mut builds = Vec::new();
    for branch in ["one", "two", "three"] {
        let (number, name) = build_of(&story, branch, &["debian"]).await;
        run_is(&story, &format!("{name}-debian-1"), "exists", |_| true).await;
        builds.push((number, name));
    }
    crash(&mut story).await;
    // The second in line holds the slot: an operator wrote it, and died before it made the Job.
    let run = phase_is(
        &story,
        &format!("{}-debian-1", builds[1].1),
        RunPhase::Queued,
    )
    .await;
    let slot = json!({ "run": run.name_any(), "uid": run.uid(), "since": Timestamp::now() });
    let ledger = Patch::Merge(json!({ "status": { "running": [slot] } }));
    story
        .api::<Builder>()
        .patch_status("debian", &PatchParams::default(), &ledger)
        .await
        .unwrap();
    pause(&story, "debian", false).await;
    story.start_operator().await.unwrap();
    let mut spans = Vec::new();
    for (number, name) in &builds {
        assert_whole(&story, *number, name).await;
        let status = story.runs(name).await.remove(0).status.unwrap();
        spans.push((status.started_at.unwrap().0, status.finished_at.unwrap().0));
    }
    spans.sort();
    assert!(
        spans.windows(2).all(|two| two[0].1 <= two[1].0),
        "two ran at a time: {spans:?}"
    );
    let order = order.lock().unwrap().clone();
    assert_eq!(order.len(), 3, "each ran once: {order:?}");
    assert_eq!(
        Some(&order[0]),
        run.uid().as_ref(),
        "the holder of the slot goes first"
    );
    story.end().await;
}

#[tokio::test]
async fn a_job_that_was_made_before_the_crash_is_the_only_one() {
    let mut story = begin_without_kubelet("onejob").await;
    story
        .builder("debian", |spec| spec.max_concurrent = Some(1))
        .await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    jobs_are(&story, 1).await;
    crash(&mut story).await;
    let made = story.jobs().await[0].uid();
    let seen = Seen::default();
    let counts = seen.clone();
    story.pods_go(move |pod| counts.pass(pod));
    story.start_operator().await.unwrap();
    assert_whole(&story, number, &name).await;
    let jobs = story.jobs().await;
    assert_eq!((jobs.len(), jobs[0].uid()), (1, made));
    seen.assert_once_each(1);
    story.end().await;
}

#[tokio::test]
async fn a_result_that_only_github_knows_is_written_down_by_the_next_operator() {
    let (mut story, seen) = begin_counting("onlyhub").await;
    story.builder("debian", |_| {}).await;
    let revoked = revoke(&story, "patch", "builderruns/status").await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    story
        .forge
        .eventually(PATIENCE, "the result to be told", |_| {
            story
                .last_statuses(number)
                .iter()
                .any(|(_, state, _)| state == "success")
                .then_some(())
        })
        .await;
    crash(&mut story).await;
    assert_eq!(phase_of(&story.runs(&name).await[0]), RunPhase::Queued);
    revoked.restore(&story).await;
    story.start_operator().await.unwrap();
    assert_whole(&story, number, &name).await;
    assert_green_stays(&story, number, "prbuild/debian");
    seen.assert_once_each(1);
    story.end().await;
}

#[tokio::test]
async fn a_comment_whose_answer_is_lost_is_not_written_twice() {
    let (story, _) = begin_counting("lost").await;
    story.builder("debian", |_| {}).await;
    story
        .forge
        .faults()
        .next(1, COMMENTS, Fault::AnswerLost(502));
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    assert_whole(&story, number, &name).await;
    story.end().await;
}

#[tokio::test]
async fn a_comment_that_stands_before_the_crash_is_not_written_twice() {
    let (mut story, _) = begin_counting("comment").await;
    story.builder("debian", |_| {}).await;
    // What was done, nobody wrote down.
    let fault = story.forge.faults().on(COMMENTS, Fault::AnswerLost(502));
    let revoked = revoke(&story, "patch", "prbuilds/status").await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    story
        .forge
        .eventually(PATIENCE, "the comment to stand", |forge| {
            (!forge.comments(REPO, number).is_empty()).then_some(())
        })
        .await;
    crash(&mut story).await;
    story.forge.faults().off(fault);
    revoked.restore(&story).await;
    story.start_operator().await.unwrap();
    assert_whole(&story, number, &name).await;
    story.end().await;
}

#[tokio::test]
async fn a_label_that_is_off_before_the_crash_is_known_to_be_off() {
    let (mut story, _) = begin_counting("label").await;
    story.builder("debian", |_| {}).await;
    let revoked = revoke(&story, "patch", "prbuilds/status").await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    story
        .forge
        .eventually(PATIENCE, "the label to go", |forge| {
            forge.labels(REPO, number).is_empty().then_some(())
        })
        .await;
    crash(&mut story).await;
    revoked.restore(&story).await;
    story.start_operator().await.unwrap();
    let build = assert_whole(&story, number, &name).await;
    let head = build.spec.request.head_sha;
    assert!(
        story
            .forge
            .statuses(REPO, &head)
            .iter()
            .all(|status| status.state != "error")
    );
    story.end().await;
}

#[tokio::test]
async fn a_label_that_was_added_again_during_the_crash_stays_for_its_own_request() {
    let (mut story, _) = begin_counting("again").await;
    story.builder("debian", |_| {}).await;
    let down = story.forge.faults().on("* /**", Fault::Status(502));
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    phase_is(&story, &format!("{name}-debian-1"), RunPhase::Succeeded).await;
    crash(&mut story).await;
    story.forge.remove_label(REPO, number, LABEL, ADA);
    story.label(number);
    story.forge.faults().off(down);
    story.start_operator().await.unwrap();
    story.complete(&name).await;
    story
        .eventually_in("the label is left", &name, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            let label = crds::condition::find(&status.conditions, kind::LABEL_REMOVED);
            if label.is_some_and(|label| label.reason == "AddedAgain") {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await;
    assert_eq!(story.forge.labels(REPO, number), [LABEL]);
    assert_eq!(story.forge.comments(REPO, number).len(), 1);
    story.end().await;
}

#[tokio::test]
async fn a_crash_while_github_is_down_loses_nothing() {
    let (mut story, seen) = begin_counting("downcrash").await;
    for builder in ["a", "b"] {
        story
            .builder(builder, |spec| spec.max_concurrent = Some(1))
            .await;
    }
    let down = story.forge.faults().on("* /**", Fault::Status(502));
    let (number, name) = build_of(&story, "change", &["a", "b"]).await;
    phase_is(&story, &format!("{name}-a-1"), RunPhase::Succeeded).await;
    crash(&mut story).await;
    story.start_operator().await.unwrap();
    phase_is(&story, &format!("{name}-b-1"), RunPhase::Succeeded).await;
    crash(&mut story).await;
    assert!(story.last_statuses(number).is_empty());
    story.forge.faults().off(down);
    story.start_operator().await.unwrap();
    assert_whole(&story, number, &name).await;
    seen.assert_once_each(2);
    story.end().await;
}

#[tokio::test]
async fn a_run_that_goes_on_while_no_operator_lives_is_taken_up_where_it_is() {
    let mut story = begin("goeson", Fate::passes().after(Duration::from_secs(3))).await;
    story
        .builder("debian", |spec| spec.max_concurrent = Some(1))
        .await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    phase_is(&story, &format!("{name}-debian-1"), RunPhase::Running).await;
    crash(&mut story).await;
    let (second, after) = build_of(&story, "second", &["debian"]).await;
    eventually("its pod ends while nobody looks", PATIENCE, async || {
        let jobs = story.jobs().await;
        let done = jobs.iter().any(|job| {
            job.status
                .as_ref()
                .is_some_and(|status| status.succeeded == Some(1))
        });
        if done {
            Ok(())
        } else {
            Err(format!("{} Jobs", jobs.len()))
        }
    })
    .await;
    story.start_operator().await.unwrap();
    assert_whole(&story, number, &name).await;
    assert_whole(&story, second, &after).await;
    assert_eq!(story.jobs().await.len(), 2);
    story.end().await;
}

#[tokio::test]
async fn an_attempt_that_was_due_before_the_crash_is_made_once() {
    let mut story = begin_without_kubelet("nextone").await;
    let seen = Seen::default();
    story.pods_go(move |pod| match seen.note(&builder_of(pod)) {
        0 => Fate::ends(Ending::Never),
        _ => Fate::passes(),
    });
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    phase_is(&story, &format!("{name}-debian-1"), RunPhase::Running).await;
    let revoked = revoke(&story, "create", "builderruns").await;
    let pods = pods_are(&story, 1).await;
    story
        .pods()
        .delete(&pods[0].name_any(), &DeleteParams::default())
        .await
        .unwrap();
    phase_is(&story, &format!("{name}-debian-1"), RunPhase::Error).await;
    crash(&mut story).await;
    revoked.restore(&story).await;
    story.start_operator().await.unwrap();
    assert_whole(&story, number, &name).await;
    assert_eq!(story.runs(&name).await.len(), 2);
    assert_eq!(story.jobs().await.len(), 2);
    story.end().await;
}
