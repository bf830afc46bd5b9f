//! Three lent machines beside the cluster, each with the real agent: a labelled pull request is built on all of them,
//! while the line of one is cut and the agent of another is killed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crds::{BuildResult, BuilderRun, BuilderSpec, RunPhase};
use kube::ResourceExt;
use serde_json::json;
use tests::cluster::{Binary, eventually};
use tests::line::Line;
use tests::story::Story;
use tests::worker::{Lent, Machine};

use super::logs::eventually_reads;
use super::{runs, with_pages};

const PATIENCE: Duration = Duration::from_secs(120);
/// Numbers that each build prints when it is let go.
const LINES: usize = 20_000;

/// A directory that every build and the test see.
struct Meeting(PathBuf);

impl Meeting {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("prbuild-it-meeting-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// A build that says when it begins, waits, prints much, and says when it is done.
    fn script(&self, builder: &str) -> String {
        let dir = self.0.display();
        format!(
            "echo $$ >>{dir}/{builder}.began\n\
             echo began\n\
             for i in $(seq 1200); do test -e {dir}/go && break; sleep 0.1; done\n\
             seq {LINES}\n\
             touch {dir}/{builder}.done\n"
        )
    }

    /// Process ids of the shells that began builds of a builder.
    fn began(&self, builder: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.join(format!("{builder}.began")));
        let lines = text.unwrap_or_default();
        lines.lines().map(str::to_owned).collect()
    }

    async fn eventually_began(&self, story: &Story, build: &str, builder: &str, times: usize) {
        let what = format!("{builder} began {times} times");
        eventually(what, PATIENCE, async || {
            let began = self.began(builder);
            if began.len() == times {
                return Ok(());
            }
            let runs = attempts(story, build, builder).await;
            let last = runs.last().and_then(|run| run.status.clone());
            Err(format!("{began:?}, {last:?}"))
        })
        .await;
    }

    async fn eventually_done(&self, builder: &str) {
        let done = self.0.join(format!("{builder}.done"));
        eventually(format!("{builder} is done"), PATIENCE, async || {
            done.exists().then_some(()).ok_or("it runs".to_owned())
        })
        .await;
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A machine that is reached at this address of the gateway.
async fn lend(story: &Story, dir: &Path, name: &str, server: &str, pool: bool) -> Machine {
    let lent = Lent {
        program: &Binary::Agent.path().unwrap(),
        dir: dir.join(name),
        server,
        name,
        operator: &story.gateway().operator_fingerprint().unwrap(),
        labels: if pool { &[("pool", "bsd")] } else { &[] },
    };
    Machine::lend(story, lent).await.unwrap()
}

fn on(worker: serde_json::Value, script: String) -> impl FnOnce(&mut BuilderSpec) {
    move |spec| {
        spec.kubernetes = None;
        spec.worker = serde_json::from_value(worker).unwrap();
        spec.steps[0].run = script;
    }
}

/// The attempts of a builder, in order.
async fn attempts(story: &Story, build: &str, builder: &str) -> Vec<BuilderRun> {
    let mut runs = story.runs(build).await;
    runs.retain(|run| run.spec.task.builder == builder);
    runs.sort_by_key(|run| run.spec.attempt);
    runs
}

/// The worker of a builder's first attempt, once the run says it.
async fn worker_of(story: &Story, build: &str, builder: &str) -> String {
    eventually(
        format!("{builder} says where it runs"),
        PATIENCE,
        async || {
            let run = attempts(story, build, builder).await.remove(0);
            let status = run.status.unwrap_or_default();
            let phase = status.phase;
            status.worker.ok_or_else(|| format!("{phase:?}"))
        },
    )
    .await
}

fn phase(run: &BuilderRun) -> RunPhase {
    run.status.clone().unwrap_or_default().phase
}

#[tokio::test]
async fn three_machines_and_the_cluster_build_one_pull_request_through_a_cut_line_and_a_killed_agent()
 {
    let story = with_pages("machines").await;
    let meeting = Meeting::new();
    let gateway = story.gateway().workers.to_string();
    // Each to this very machine: without TLS an agent speaks with no other.
    let line = Line::to(&gateway).await.unwrap();
    let first_line = Line::to(&gateway).await.unwrap();
    let second_line = Line::to(&gateway).await.unwrap();
    let mac = lend(&story, &meeting.0, "mac", &line.url(), false).await;
    let first = lend(&story, &meeting.0, "bsd-1", &first_line.url(), true).await;
    let second = lend(&story, &meeting.0, "bsd-2", &second_line.url(), true).await;
    story.builder("linux", runs(&format!("seq {LINES}"))).await;
    let pinned = json!({ "name": "mac", "allowShared": true });
    story
        .builder("macos", on(pinned, meeting.script("macos")))
        .await;
    for builder in ["freebsd", "openbsd"] {
        let pooled = json!({ "selector": { "pool": "bsd" }, "allowShared": true });
        story
            .builder(builder, on(pooled, meeting.script(builder)))
            .await;
    }
    let number = story
        .open_pull_request("change", &[("README", "x\n")])
        .await;
    let build = story.name_of(number, story.label(number));
    for builder in ["macos", "freebsd", "openbsd"] {
        meeting.eventually_began(&story, &build, builder, 1).await;
    }

    line.cut();
    let at = worker_of(&story, &build, "freebsd").await;
    let mut pool = [("bsd-1", first), ("bsd-2", second)];
    let killed = pool.iter_mut().find(|(name, _)| *name == at).unwrap();
    killed.1.restart().unwrap();
    meeting.eventually_began(&story, &build, "freebsd", 2).await;
    let orphan = meeting.began("freebsd").remove(0);
    assert!(
        !Path::new("/proc").join(&orphan).exists(),
        "{orphan} still runs"
    );

    std::fs::write(meeting.0.join("go"), "").unwrap();
    for builder in ["macos", "freebsd", "openbsd"] {
        meeting.eventually_done(builder).await;
    }
    eventually(
        "all but the one that is cut off have ended",
        PATIENCE,
        async || {
            let runs = story.runs(&build).await;
            let live = runs.iter().filter(|run| phase(run) == RunPhase::Running);
            let live: Vec<&str> = live.map(|run| run.spec.task.builder.as_str()).collect();
            (live == ["macos"]).then_some(()).ok_or(format!("{live:?}"))
        },
    )
    .await;
    line.mend();

    let built = story.complete_within(&build, PATIENCE).await;
    assert_eq!(built.status.unwrap().result, Some(BuildResult::Passed));
    let said = story.last_statuses(number);
    let states: Vec<(&str, &str)> = said
        .iter()
        .map(|said| (said.0.as_str(), said.1.as_str()))
        .collect();
    let all = ["freebsd", "linux", "macos", "openbsd"];
    let contexts = all.map(|builder| format!("prbuild/{builder}"));
    let expected: Vec<(&str, &str)> = contexts
        .iter()
        .map(|context| (context.as_str(), "success"))
        .collect();
    assert_eq!(states, expected);

    let begun = ["macos", "freebsd", "openbsd"].map(|builder| meeting.began(builder).len());
    assert_eq!(begun, [1, 2, 1], "no attempt began twice");
    let numbers: String = (1..=LINES).map(|line| format!("{line}\n")).collect();
    for builder in all {
        let runs = attempts(&story, &build, builder).await;
        assert_eq!(runs.len(), if builder == "freebsd" { 2 } else { 1 });
        let last = runs.last().unwrap();
        assert_eq!(phase(last), RunPhase::Succeeded);
        let uid = last.uid().unwrap();
        let url = format!("{}/r/app/runs/{uid}.txt", story.gateway().pages_url());
        let what = format!("the log of {builder} is whole");
        eventually_reads(&url, &what, |text| text.contains(&numbers)).await;
    }
    mac.end().await;
    for (_, machine) in pool {
        machine.end().await;
    }
    story.end().await;
}
