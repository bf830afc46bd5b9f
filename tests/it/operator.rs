//! From a PrBuild to Jobs to statuses, with a stand-in for the kubelet.

mod admission;
mod after_checks;
mod bounded;
mod by_hand;
mod cancel;
mod cancel_builders;
mod deletion;
mod endings;
mod forgotten;
mod leadership;
mod lifecycle;
mod limits;
mod newer_build;
mod overtaking;
mod paused;
mod permission;
mod refused;
mod replies;
mod restart;
mod same_as;
mod specs;
mod starting;
mod told;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use crds::{BuilderRun, PrBuild, RunPhase};
use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use protocol::{ExecReport, StepReport, StepResult, Verdict};
use serde_json::json;
use tests::{
    cluster::{Fate, eventually, shared_control_plane},
    story::{PATIENCE, Setting, Story},
};

use crate::rights::{self, Revoked};

/// A story with an operator, whose pods do what `fate` says.
async fn begin(name: &str, fate: Fate) -> Story {
    let mut story = begin_without_kubelet(name).await;
    story.pods_go(move |_| fate.clone());
    story
}

/// A story with an operator, in which pods stay as the Job controller made them.
async fn begin_without_kubelet(name: &str) -> Story {
    let access = shared_control_plane();
    let mut story = Story::begin(&access, name, Setting::default())
        .await
        .unwrap();
    story.start_operator().await.unwrap();
    story
}

/// A pod whose step `test` fails with 2.
fn failing() -> Fate {
    let step = StepReport {
        name: "test".into(),
        result: StepResult::Failed,
        exit_code: Some(2),
        seconds: 1.0,
    };
    Fate::reports(&ExecReport {
        reason: Some("step `test` failed with exit code 2".into()),
        steps: vec![step],
        ..ExecReport::new(Verdict::Failed, 2)
    })
}

/// The builder that a pod is for.
fn builder_of(pod: &Pod) -> String {
    pod.labels()["prbuild.dev/builder"].clone()
}

/// How many pods there have been of each kind, as a stand-in saw them.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, u32>>>);

impl Seen {
    /// Counts one more. Returns how many there were before it.
    fn note(&self, kind: &str) -> u32 {
        let mut seen = self.0.lock().unwrap();
        let count = seen.entry(kind.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    /// Counts a pod for its run, and passes.
    fn pass(&self, pod: &Pod) -> Fate {
        self.note(&pod.labels()["prbuild.dev/run"]);
        Fate::passes()
    }

    /// Every run has had exactly one pod, and there are this many.
    fn assert_once_each(&self, runs: usize) {
        let seen = self.0.lock().unwrap();
        assert_eq!(seen.len(), runs, "{seen:?}");
        assert!(
            seen.values().all(|count| *count == 1),
            "a run has run twice: {seen:?}"
        );
    }
}

/// Opens a pull request and authorizes a build of it. Returns its number and the build's name.
async fn build_of(story: &Story, branch: &str, builders: &[&str]) -> (u64, String) {
    let number = story.open_pull_request(branch, &[("README", branch)]).await;
    let build = story.authorized(number, builders).await;
    (number, build.name_any())
}

/// Waits until the run of this name is there and looks as it should.
async fn run_is(
    story: &Story,
    run: &str,
    what: &str,
    look: impl Fn(&BuilderRun) -> bool,
) -> BuilderRun {
    story
        .eventually_in(&format!("{run} {what}"), run, |run: &BuilderRun| {
            if look(run) {
                Ok(run.clone())
            } else {
                Err(format!("{:?}", run.status))
            }
        })
        .await
}

/// Waits until a run is in a phase.
async fn phase_is(story: &Story, run: &str, phase: RunPhase) -> BuilderRun {
    run_is(story, run, &format!("is {phase:?}"), |run| {
        phase_of(run) == phase
    })
    .await
}

fn phase_of(run: &BuilderRun) -> RunPhase {
    run.status
        .as_ref()
        .map(|status| status.phase)
        .unwrap_or_default()
}

/// Why a run ended as it did.
fn reason_of(run: &BuilderRun) -> String {
    let outcome = run
        .status
        .as_ref()
        .and_then(|status| status.outcome.clone());
    outcome.map(|outcome| outcome.reason).unwrap_or_default()
}

/// Waits until there are so many Jobs.
async fn jobs_are(story: &Story, count: usize) {
    eventually(format!("there are {count} Jobs"), PATIENCE, async || {
        let names: Vec<String> = story
            .jobs()
            .await
            .iter()
            .map(ResourceExt::name_any)
            .collect();
        if names.len() == count {
            Ok(())
        } else {
            Err(format!("{names:?}"))
        }
    })
    .await;
}

/// Waits until there are so many pods.
async fn pods_are(story: &Story, count: usize) -> Vec<Pod> {
    eventually(format!("there are {count} pods"), PATIENCE, async || {
        let pods = story
            .pods()
            .list(&Default::default())
            .await
            .map_err(|error| error.to_string())?;
        let names: Vec<String> = pods.items.iter().map(ResourceExt::name_any).collect();
        if names.len() == count {
            Ok(pods.items)
        } else {
            Err(format!("{names:?}"))
        }
    })
    .await
}

/// Waits until the last status of every context is a final one, and returns them.
async fn nothing_is_pending(
    story: &Story,
    number: u64,
    contexts: usize,
) -> Vec<(String, String, String)> {
    eventually("every status is final", PATIENCE, async || {
        let last = story.last_statuses(number);
        let pending = last.iter().any(|(_, state, _)| state == "pending");
        if last.len() == contexts && !pending {
            Ok(last)
        } else {
            Err(format!("{last:?}"))
        }
    })
    .await
}

/// Pauses a builder, or lets it go on.
async fn pause(story: &Story, builder: &str, paused: bool) {
    let patch = Patch::Merge(json!({ "spec": { "paused": paused } }));
    let builders = story.api::<crds::Builder>();
    builders
        .patch(builder, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// The operator crashes, and the time of its lease passes.
async fn crash(story: &mut Story) {
    story.kill_operator().await;
    story.lease_runs_out().await;
}

/// Takes the right to `verb` a `resource` of prbuild.dev away from the operator.
async fn revoke(story: &Story, verb: &str, resource: &str) -> Revoked {
    rights::revoke(story, "prbuild-operator", verb, resource).await
}

/// Waits for an Event about a build, and returns what it says.
async fn told(story: &Story, build: &str, reason: &str) -> String {
    let events = story.api::<Event>();
    let what = format!("an Event tells of {build}: {reason}");
    eventually(what, PATIENCE, async || {
        let all = events.list(&Default::default()).await;
        let mut all = all.map_err(|error| error.to_string())?.items;
        all.retain(|event| {
            let about = event
                .regarding
                .as_ref()
                .and_then(|about| about.name.as_deref());
            about == Some(build)
        });
        let found = all
            .iter()
            .find(|event| event.reason.as_deref() == Some(reason));
        let reasons: Vec<_> = all.iter().map(|event| event.reason.clone()).collect();
        found
            .map(|event| event.note.clone().unwrap_or_default())
            .ok_or_else(|| format!("{reasons:?}"))
    })
    .await
}

/// Whether a condition of a build holds.
fn holds(build: &PrBuild, kind: &str) -> bool {
    build
        .status
        .as_ref()
        .is_some_and(|status| crds::condition::is_true(&status.conditions, kind))
}
