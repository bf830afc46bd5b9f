//! Physical workers: a label becomes a signed assignment, and a signed result a status. The agent is a driver that
//! speaks the protocol and runs nothing, but for `real`.

mod attack;
mod fleet;
mod gateways;
mod lifecycle;
mod logs;
mod quarantine;
mod real;
mod trouble;

use crds::{Assignment, BuilderRun, BuilderSpec, RunPhase, Worker, condition};
use kube::ResourceExt;
use serde_json::json;
use tests::cluster::{eventually, shared_control_plane};
use tests::story::{PATIENCE, Setting, Story, apply};
use tests::worker::Driver;

/// A story with webhook, operator and gateway.
async fn begin(name: &str) -> Story {
    let access = shared_control_plane();
    let mut story = Story::begin(&access, name, Setting::default())
        .await
        .unwrap();
    story.start_gateway().await.unwrap();
    story.start_operator().await.unwrap();
    story.start_webhook().await.unwrap();
    story
}

/// A Worker with the label `os: mac`, and its agent, which has said nothing yet.
async fn lend(story: &Story, name: &str, key: u32) -> Driver {
    let driver = Driver::new(&story.gateway().workers_url(), name, key);
    let spec = json!({
        "contact": "Ada <ada@example.org>",
        "labels": { "os": "mac" },
        "publicKeys": [driver.public_key()],
    });
    let _: Worker = apply(&story.api(), name, json!({ "spec": spec })).await;
    driver
}

/// The same, whose agent has a session: the object says that it takes runs.
async fn online(story: &Story, name: &str, key: u32) -> Driver {
    let mut driver = lend(story, name, key).await;
    comes_in(&mut driver).await;
    eventually_ready(story, name, "True", "Online").await;
    driver
}

/// Opens a session, as soon as the gateway knows the worker.
async fn comes_in(driver: &mut Driver) {
    eventually("the agent comes in", PATIENCE, async || {
        driver
            .open()
            .await
            .map(drop)
            .map_err(|fault| format!("{fault:?}"))
    })
    .await;
}

/// Waits until the condition Ready of a worker says this.
async fn eventually_ready(story: &Story, name: &str, status: &str, reason: &str) -> String {
    let what = format!("{name} is {reason}");
    story
        .eventually_in(&what, name, |worker: &Worker| {
            let known = worker.status.clone().unwrap_or_default();
            let ready = condition::find(&known.conditions, condition::kind::READY);
            match ready {
                Some(ready) if ready.status == status && ready.reason == reason => {
                    Ok(ready.message.clone())
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await
}

/// A builder that is pinned to a worker.
fn on(worker: &str) -> impl FnOnce(&mut BuilderSpec) {
    let worker = worker.to_owned();
    move |spec| {
        spec.kubernetes = None;
        spec.worker = serde_json::from_value(json!({ "name": worker })).unwrap();
    }
}

/// A builder for any worker with the label `os: mac`.
fn on_any_mac(spec: &mut BuilderSpec) {
    spec.kubernetes = None;
    spec.worker = serde_json::from_value(json!({ "selector": { "os": "mac" } })).unwrap();
}

/// A labelled pull request: its number, and the name of its build.
async fn labelled(story: &Story) -> (u64, String) {
    labelled_on(story, "change").await
}

/// The same, of a branch of its own.
async fn labelled_on(story: &Story, branch: &str) -> (u64, String) {
    let number = story.open_pull_request(branch, &[("README", branch)]).await;
    (number, story.name_of(number, story.label(number)))
}

/// A worker `mac` that takes runs, and a build whose only builder is pinned to it: the story, the agent and the
/// name of the build.
async fn build_for_mac(name: &str) -> (Story, Driver, String) {
    let story = begin(name).await;
    let mac = online(&story, "mac", 1).await;
    story.builder("macos", on("mac")).await;
    let (_, build) = labelled(&story).await;
    (story, mac, build)
}

/// Waits until the first run of a build is as `looks` says.
async fn eventually_run<T>(
    story: &Story,
    build: &str,
    what: &str,
    looks: impl Fn(&BuilderRun) -> Result<T, String>,
) -> T {
    eventually(what, PATIENCE, async || {
        let mut runs = story.runs(build).await;
        runs.sort_by_key(|run| run.spec.attempt);
        let run = runs.first().ok_or("no run yet")?;
        looks(run).map_err(|why| format!("{why}; {:?}", run.status))
    })
    .await
}

/// Waits until the first run of a build has this phase.
async fn eventually_phase(story: &Story, build: &str, phase: RunPhase) -> BuilderRun {
    let what = format!("its run is {phase:?}");
    eventually_run(story, build, &what, |run| {
        match run.status.clone().unwrap_or_default().phase == phase {
            true => Ok(run.clone()),
            false => Err("another phase".to_owned()),
        }
    })
    .await
}

/// Waits until the first run of a build waits for this.
async fn eventually_waits(story: &Story, build: &str, why: &str) {
    let what = format!("its run says: {why}");
    eventually_run(story, build, &what, |run| {
        let waiting = run
            .status
            .as_ref()
            .and_then(|status| status.waiting.clone());
        match waiting {
            Some(waiting) if waiting.reason.contains(why) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// The Assignment of a run.
async fn assignment_of(story: &Story, run: &BuilderRun) -> Assignment {
    let name = crds::names::assignment_name(&run.uid().unwrap());
    story.api::<Assignment>().get(&name).await.unwrap()
}
