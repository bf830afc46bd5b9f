//! The start of an operator that finds thousands of objects.

use crds::{Builder, BuilderRun, PrBuild};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use operator::build::dispatch::{self, Materials};
use serde_json::{Value, json};
use tests::story::Story;
use tokio::time::Instant;

use super::says;
use crate::Result;

/// Runs of a build.
const RUNS: usize = 9;
/// Builds that are made at a time.
const AT_A_TIME: usize = 16;

/// Seconds from starting an operator to the moment at which it has read so many objects and acts.
pub(super) async fn start(story: &mut Story, finished: usize, live: usize) -> Result<f64> {
    println!("{finished} finished and {live} live objects …");
    let shelf = Shelf::new(story).await?;
    for (state, objects) in [(State::Finished, finished), (State::Live, live)] {
        let builds = objects.div_ceil(RUNS + 1);
        stream::iter(0..builds)
            .map(|number| shelf.build(state, number))
            .buffer_unordered(AT_A_TIME)
            .try_collect::<()>()
            .await?;
    }
    let began = Instant::now();
    story.start_operator_at_once().await?;
    let operator = story.operator().ok_or("there is no operator")?;
    let acts = says(story, operator, "everything is read").await?;
    Ok((acts - began).as_secs_f64())
}

/// How far the objects are.
#[derive(Clone, Copy, Debug)]
enum State {
    Finished,
    Live,
}

/// Makes objects as an operator left them.
struct Shelf {
    gate: Api<PrBuild>,
    builds: Api<PrBuild>,
    runs: Api<BuilderRun>,
    template: PrBuild,
    builders: Vec<Builder>,
}

impl Shelf {
    async fn new(story: &Story) -> Result<Self> {
        let names: Vec<String> = (0..RUNS).map(|n| format!("b{n}")).collect();
        let mut builders = Vec::new();
        for name in &names {
            // Their runs wait: nothing but reading is measured.
            builders.push(story.builder(name, |spec| spec.paused = true).await);
        }
        let number = story.open_pull_request("cold", &[("README", "cold")]).await;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut template = story.authorized(number, &names).await;
        template.metadata = ObjectMeta::default();
        Ok(Self {
            gate: story.gate().await,
            builds: story.api(),
            runs: story.api(),
            template,
            builders,
        })
    }

    async fn build(&self, state: State, number: usize) -> Result<()> {
        let mut build = self.template.clone();
        build.metadata.name = Some(match state {
            State::Finished => format!("finished-{number}"),
            State::Live => format!("live-{number}"),
        });
        let build = self.gate.create(&PostParams::default(), &build).await?;
        for builder in &self.builders {
            let materials = Materials {
                build: &build,
                repository: None,
                clone_url: "https://github.com/octo/app.git",
                writes_checks: false,
            };
            let run = dispatch::first_attempt(&materials, &builder.name_any(), Ok(builder));
            let run = self.runs.create(&PostParams::default(), &run).await?;
            if matches!(state, State::Finished) {
                patch(&self.runs, &run.name_any(), ended()).await?;
            }
        }
        patch(&self.builds, &build.name_any(), standing(state)).await?;
        Ok(())
    }
}

/// The status of a run that passed, which everybody knows of.
fn ended() -> Value {
    let now = Timestamp::now().to_string();
    json!({
        "phase": "Succeeded", "startedAt": now, "finishedAt": now, "recorded": true,
        "outcome": { "exitCode": 0, "reason": "" }, "report": { "sent": "success" },
    })
}

/// The status of a build.
fn standing(state: State) -> Value {
    let now = Timestamp::now().to_string();
    let condition = |kind: &str, reason: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": "",
            "lastTransitionTime": now,
        })
    };
    let begun = [
        condition("Dispatched", "RunsExist"),
        condition("Announced", "Announced"),
        condition("LabelRemoved", "Removed"),
    ];
    let ended = [
        condition("Reported", "Reported"),
        condition("Recorded", "Recorded"),
    ];
    let all = [&begun[..], &ended[..]].concat();
    match state {
        State::Live => json!({ "phase": "Running", "conditions": begun }),
        State::Finished => json!({
            "phase": "Complete", "result": "Passed", "summary": "9 passed", "completedAt": now,
            "conditions": all,
        }),
    }
}

async fn patch<K>(api: &Api<K>, name: &str, status: Value) -> Result<()>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let patch = Patch::Merge(json!({ "status": status }));
    api.patch_status(name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}
