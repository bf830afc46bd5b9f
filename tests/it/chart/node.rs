//! The chart in a real cluster: everything runs in pods.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use crds::{BuildPhase, BuildResult, BuilderRun, PrBuild, RunPhase};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, LogParams, Patch, PatchParams};
use serde_json::{Value, json};
use tests::cluster::{Release, eventually, shared_node};
use tests::images::GCC;
use tests::story::{Setting, Story};

use super::older::{GONE, OLDER, older_chart};
use crate::plugin::prbuild;

/// Images start, Secrets are mounted, probes look: all of it on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
const KEY: &str = "prbuild-signing-key";

/// The cluster has the kinds already, for all tests.
fn values() -> Value {
    json!({ "crds": { "install": false } })
}

/// A story that begins with an older chart.
async fn begin_with_older(name: &str) -> Story {
    let (access, facts) = shared_node();
    let release = Release::new(&access, &facts, name);
    let dir = access.dir().join(release.namespace());
    let release = release.of_chart(older_chart(&dir));
    let (setting, values) = (Setting::default(), values());
    let begun = Story::begin_with_chart(&access, &facts, release, setting, &values);
    begun.await.unwrap()
}

/// What keeps a run from ending: as long as its address takes connections.
fn hold() -> (TcpListener, String) {
    let (_, facts) = shared_node();
    let held = TcpListener::bind((facts.host_address, 0)).unwrap();
    let address = held.local_addr().unwrap();
    let place = format!("/dev/tcp/{}/{}", address.ip(), address.port());
    let script = format!("bash -c 'while (exec 3<>{place}) 2>/dev/null; do sleep 1; done'");
    (held, script)
}

async fn builder(story: &Story, name: &str, script: &str) {
    story
        .builder(name, |spec| {
            spec.steps[0].run = script.to_owned();
            if let Some(machine) = &mut spec.kubernetes {
                machine.image = GCC.to_owned();
            }
        })
        .await;
}

/// Labels a new pull request; the name of the build that comes of it.
async fn label(story: &Story, branch: &str) -> String {
    let number = story.open_pull_request(branch, &[("new", branch)]).await;
    let event = story.label(number);
    story.name_of(number, event)
}

async fn passes(story: &Story, name: &str) {
    let build: PrBuild = story.complete_within(name, PATIENCE).await;
    let status = build.status.unwrap();
    assert_eq!(status.phase, BuildPhase::Complete);
    assert_eq!(status.result, Some(BuildResult::Passed), "{status:?}");
}

async fn pods(story: &Story, component: &str) -> Vec<Pod> {
    let chosen = ListParams::default().labels(&format!("app.kubernetes.io/component={component}"));
    story.api::<Pod>().list(&chosen).await.unwrap().items
}

fn restarts(pod: &Pod) -> i32 {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    containers
        .iter()
        .map(|container| container.restart_count)
        .sum()
}

fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    conditions
        .iter()
        .any(|found| found.type_ == "Ready" && found.status == "True")
}

#[tokio::test]
async fn builds_go_on_while_an_older_release_is_upgraded_and_rolled_back_and_its_key_stays() {
    let story = begin_with_older("upgrade").await;
    assert_eq!(version(&story).await, OLDER);
    let (held, until_released) = hold();
    let script = format!("echo it begins; {until_released}; echo it is over");
    builder(&story, "debian", &script).await;
    let key = || async { story.api::<Secret>().get(KEY).await.unwrap().data };
    let before = key().await;
    let first = label(&story, "first").await;
    let run = format!("{first}-debian-1");
    eventually("there is the run", PATIENCE, async || {
        let run = story.api::<BuilderRun>().get_opt(&run).await;
        run.map_err(|error| error.to_string())?
            .map(drop)
            .ok_or("not yet".to_owned())
    })
    .await;
    let follow = ["logs", "-f", &run];
    let log = prbuild(&story, &follow);
    let upgraded = upgraded_meanwhile(&story, &first, &run, held);
    let (log, ()) = tokio::join!(log, upgraded);
    log.says(&["it begins", "it is over"]);
    assert_eq!(version(&story).await, env!("CARGO_PKG_VERSION"));
    assert_eq!(key().await, before);

    story.release().rollback().await.unwrap();
    assert_eq!(version(&story).await, OLDER);
    builder(&story, "debian", "true").await;
    let second = label(&story, "second").await;
    passes(&story, &second).await;
    assert_eq!(key().await, before);

    story.release().uninstall().await.unwrap();
    assert_eq!(key().await, before, "the key outlives the release");
    assert!(
        story.api::<PrBuild>().get(&second).await.is_ok(),
        "and so do the objects"
    );
    story.end_without_release().await;
}

/// The chart's version, as helm lists it.
async fn version(story: &Story) -> String {
    let listed = story.release().helm(&["list", "--output", "json"]).await;
    let listed: Value = serde_json::from_str(&listed.unwrap()).unwrap();
    let version = listed[0]["app_version"].as_str().unwrap();
    assert_eq!(listed[0]["chart"], format!("prbuild-{version}"));
    version.to_owned()
}

/// In which phase a run is.
async fn is_in(story: &Story, run: &str, phase: RunPhase) -> Result<(), String> {
    let run = story.api::<BuilderRun>().get(run).await;
    let run = run.map_err(|error| error.to_string())?;
    let found = run.status.unwrap_or_default().phase;
    match found == phase {
        true => Ok(()),
        false => Err(found.word().to_owned()),
    }
}

/// Names of all pods of PrBuild's own.
async fn all_pods(story: &Story) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for component in ["webhook", "operator", "gateway"] {
        let pods = pods(story, component).await;
        all.extend(pods.into_iter().filter_map(|pod| pod.metadata.name));
    }
    all
}

/// Upgrades the release while a run goes on, and sees its build end when it is let go.
async fn upgraded_meanwhile(story: &Story, build: &str, run: &str, held: TcpListener) {
    eventually("the run has begun", PATIENCE, async || {
        is_in(story, run, RunPhase::Running).await
    })
    .await;
    let older = all_pods(story).await;
    let mut changed = story.values(&values());
    changed["operator"] = json!({ "resources": { "requests": { "cpu": "90m" } } });
    changed["webhook"] = json!({ "replicas": 1 });
    story.release().upgrade(&changed).await.unwrap();
    eventually(
        "all pods of the older version are gone",
        PATIENCE,
        async || {
            let left = all_pods(story).await;
            let left: Vec<&String> = left.intersection(&older).collect();
            match left.is_empty() {
                true => Ok(()),
                false => Err(format!("{left:?}")),
            }
        },
    )
    .await;
    let maps = story.api::<ConfigMap>();
    assert!(maps.get_opt(GONE).await.unwrap().is_none());
    assert_eq!(is_in(story, run, RunPhase::Running).await, Ok(()));
    drop(held);
    passes(story, build).await;
    eventually("one webhook is left", PATIENCE, async || {
        let all = pods(story, "webhook").await;
        match all.iter().filter(|pod| is_ready(pod)).count() {
            1 => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn pods_without_a_secret_start_say_what_is_missing_and_heal_without_a_restart() {
    let (access, facts) = shared_node();
    let release = Release::new(&access, &facts, "healing");
    let begun = Story::before_chart(&access, &facts, release, Setting::default());
    let mut story = begun.await.unwrap();
    let all = story.values(&values());
    story.release().install_at_once(&all).await.unwrap();
    for component in ["webhook", "operator"] {
        let sentence = "a way to GitHub: connection `github`: it is empty; make its Secret";
        let log: Api<Pod> = story.api();
        eventually(format!("the {component} says so"), PATIENCE, async || {
            let pods = pods(&story, component).await;
            let pod = pods.first().ok_or("there is no pod")?;
            let name = pod.metadata.name.clone().unwrap_or_default();
            let said = log.logs(&name, &LogParams::default()).await;
            let said = said.map_err(|error| error.to_string())?;
            let told = said.contains(sentence.split_once(": ").unwrap().1);
            match told && !is_ready(pod) {
                true => Ok(()),
                false => Err(said),
            }
        })
        .await;
        let events: Api<Event> = story.api();
        eventually(
            format!("an Event of the {component} says so"),
            PATIENCE,
            async || {
                let all = events.list(&ListParams::default()).await;
                let all = all.map_err(|error| error.to_string())?.items;
                let notes: Vec<String> = all
                    .into_iter()
                    .filter(|event| {
                        event.reporting_controller == Some(format!("prbuild-{component}"))
                    })
                    .filter_map(|event| event.note)
                    .collect();
                match notes.iter().any(|note| note.contains(sentence)) {
                    true => Ok(()),
                    false => Err(notes.join("\n")),
                }
            },
        )
        .await;
    }
    story.secret().await.unwrap();
    for component in ["webhook", "operator", "gateway"] {
        eventually(format!("the {component} is ready"), PATIENCE, async || {
            let pods = pods(&story, component).await;
            match !pods.is_empty() && pods.iter().all(is_ready) {
                true => Ok(()),
                false => Err(format!(
                    "{:?}",
                    pods.iter().map(is_ready).collect::<Vec<_>>()
                )),
            }
        })
        .await;
        let restarted: i32 = pods(&story, component).await.iter().map(restarts).sum();
        assert_eq!(restarted, 0, "{component}");
    }
    // A log level that is changed is heard of by pods that run.
    let louder = Patch::Merge(json!({ "data": { "filter": "debug" } }));
    let maps = story.api::<ConfigMap>();
    maps.patch("prbuild-log", &PatchParams::default(), &louder)
        .await
        .unwrap();
    let operators = pods(&story, "operator").await;
    let name = operators[0].metadata.name.clone().unwrap_or_default();
    let log: Api<Pod> = story.api();
    eventually("the operator is louder", PATIENCE, async || {
        let said = log.logs(&name, &LogParams::default()).await;
        let said = said.map_err(|error| error.to_string())?;
        match said.contains("\"filter\":\"debug\"") {
            true => Ok(()),
            false => Err("it is as it was".to_owned()),
        }
    })
    .await;
    story.connect_chart().await;
    builder(&story, "debian", "true").await;
    let build = label(&story, "healed").await;
    passes(&story, &build).await;
    // GitHub's hook was made after the operator had looked for one, and it looks every hour.
    let said = prbuild(&story, &["doctor"]).await;
    let wrong: Vec<&str> = said
        .out
        .lines()
        .filter(|line| line.starts_with('✕'))
        .collect();
    let webhook = "✕ Repository app: Webhook";
    assert!(wrong.iter().all(|line| *line == webhook), "{said:?}");
    story.end().await;
}
