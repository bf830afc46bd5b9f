//! Tells what happens as it happens: objects in the cluster, and what people see on GitHub.

use std::time::Instant;

use crds::{BuilderRun, PrBuild, RunPhase};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tests::forge::Forge;
use tests::story::{REPO, Story};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Watches and prints until it is dropped.
pub struct Narrator {
    tasks: Vec<JoinHandle<()>>,
    lines: mpsc::UnboundedSender<String>,
}

impl Narrator {
    /// Begins to watch.
    pub fn begin(story: &Story, number: u64) -> Self {
        let (lines, printed) = mpsc::unbounded_channel();
        let tasks = vec![
            tokio::spawn(print(printed)),
            tokio::spawn(watch(story.api(), lines.clone(), build)),
            tokio::spawn(watch(story.api(), lines.clone(), run)),
            tokio::spawn(watch(story.api(), lines.clone(), live_page(story))),
            tokio::spawn(watch(story.pods(), lines.clone(), pod)),
            tokio::spawn(github(story.forge.clone(), number, lines.clone())),
        ];
        Self { tasks, lines }
    }

    /// Ends when the label is off: the last thing that people see.
    pub async fn end(mut self, story: &Story, number: u64) {
        let off = |forge: &Forge| forge.labels(REPO, number).is_empty().then_some(());
        story
            .forge
            .eventually(tests::story::PATIENCE, "the label to go", off)
            .await;
        let printer = self.tasks.remove(0);
        for task in self.tasks.drain(..) {
            task.abort();
            // Aborted, it lets go of its end of the channel.
            let _ = task.await;
        }
        drop(self.lines);
        let _ = printer.await;
    }
}

async fn print(mut lines: mpsc::UnboundedReceiver<String>) {
    let began = Instant::now();
    while let Some(line) = lines.recv().await {
        println!("  {:>5.1} s  {line}", began.elapsed().as_secs_f32());
    }
}

/// Prints the line of every object whenever it reads differently.
async fn watch<K>(
    api: Api<K>,
    lines: mpsc::UnboundedSender<String>,
    line: impl Fn(&K) -> Option<String>,
) where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut last = std::collections::HashMap::new();
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let mut stream = std::pin::pin!(stream.into_stream());
    while let Some(next) = stream.next().await {
        let Ok(object) = next else { continue };
        let Some(text) = line(&object) else { continue };
        if last.insert(object.name_any(), text.clone()).as_ref() != Some(&text) {
            let _ = lines.send(text);
        }
    }
}

fn build(build: &PrBuild) -> Option<String> {
    let (name, request) = (build.name_any(), &build.spec.request);
    Some(match &build.status {
        None => format!(
            "gate       {name} is authorized: @{} asked, {} builders, head {}, merge {}",
            request.trigger.user.login,
            request.builders.len(),
            crds::names::short_sha(&request.head_sha),
            request
                .merge_sha
                .as_deref()
                .map(crds::names::short_sha)
                .unwrap_or_default(),
        ),
        Some(status) => format!("PrBuild    {name} {:?}: {}", status.phase, status.summary),
    })
}

fn run(run: &BuilderRun) -> Option<String> {
    let name = &run.spec.task.display_name;
    let status = run.status.as_ref()?;
    let why = match (&status.outcome, &status.waiting) {
        (Some(outcome), _) => &outcome.reason,
        (None, Some(waiting)) => &waiting.reason,
        (None, None) => return Some(format!("run        {name}: {}", status.phase.word())),
    };
    let colon = if why.is_empty() { "" } else { ": " };
    Some(format!(
        "run        {name}: {}{colon}{why}",
        status.phase.word()
    ))
}

/// Tells where a log can be read as soon as it is written.
fn live_page(story: &Story) -> impl Fn(&BuilderRun) -> Option<String> + use<> {
    let pages = story.pages_url().to_owned();
    move |run| {
        let begun = run.status.as_ref()?.phase == RunPhase::Running;
        let (name, uid) = (&run.spec.task.display_name, run.uid()?);
        begun.then(|| format!("log        {name}, live: {pages}/r/app/runs/{uid}"))
    }
}

fn pod(pod: &Pod) -> Option<String> {
    let builder = pod.labels().get("prbuild.dev/builder")?;
    let status = pod.status.as_ref()?;
    let now = |container: &k8s_openapi::api::core::v1::ContainerStatus| {
        let state = container.state.as_ref()?;
        Some(match (&state.running, &state.terminated, &state.waiting) {
            (Some(_), ..) => "runs".to_owned(),
            (_, Some(ended), _) => format!("ended with {}", ended.exit_code),
            (.., Some(waiting)) => waiting.reason.clone().unwrap_or_default(),
            _ => return None,
        })
    };
    let both = [&status.init_container_statuses, &status.container_statuses];
    let said: Vec<String> = both
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|container| Some(format!("{} {}", container.name, now(container)?)))
        .filter(|text| !text.ends_with("PodInitializing"))
        .collect();
    (!said.is_empty()).then(|| format!("pod        {builder}: {}", said.join(", ")))
}

/// Statuses, comments and labels, as they appear.
async fn github(forge: Forge, number: u64, lines: mpsc::UnboundedSender<String>) {
    let head = forge.pull_request(REPO, number).head_sha;
    let mut changes = forge.changed();
    let (mut statuses, mut comments, mut labels) = (0, 0, 0);
    loop {
        for status in forge.statuses(REPO, &head).iter().skip(statuses) {
            let text = status.description.as_deref().unwrap_or_default();
            let _ = lines.send(format!(
                "GitHub     {} {}: {text}",
                status.state, status.context
            ));
            statuses += 1;
        }
        let now = forge.comments(REPO, number).len();
        if now > comments {
            comments = now;
            let _ = lines.send("GitHub     a comment announces the build".to_owned());
        }
        let now = forge.labels(REPO, number).len();
        if now < labels {
            let _ = lines.send("GitHub     the label is off".to_owned());
        }
        labels = now;
        if changes.changed().await.is_err() {
            return;
        }
    }
}
