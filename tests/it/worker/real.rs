//! The real agent beside the real gateway and operator, while programs die.

use std::time::Duration;

use crds::BuildResult;
use tests::cluster::{Binary, MARK};
use tests::worker::{Lent, Machine};

use super::*;
use crate::http_get;

/// Numbers that each build prints, a hundred at a time.
const LINES: usize = 5_000;
/// Builds that one machine runs one after the other.
const BUILDS: usize = 10;
/// How often the gateway is killed meanwhile, in the middle of whatever it does.
const KILLS: usize = 20;

/// T2, at full size.
#[tokio::test]
async fn t2_a_gateway_that_is_killed_again_and_again_loses_no_run_and_no_line_of_a_real_machine() {
    let mut story = begin("worker-real-t2").await;
    let dir = std::env::temp_dir().join(format!("prbuild-it-real-t2-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let lent = Lent {
        program: &Binary::Agent.path().unwrap(),
        dir: dir.join("machine"),
        server: &story.gateway().workers_url(),
        name: "mac",
        operator: &story.gateway().operator_fingerprint().unwrap(),
        labels: &[],
    };
    let machine = Machine::lend(&story, lent).await.unwrap();
    // A test that is killed leaves it to the cluster's reaper. A program that begins shows nothing yet.
    let mark = format!("{MARK}={}", story.install.access().dir().display());
    let environment = format!("/proc/{}/environ", machine.pid());
    eventually(&mark, PATIENCE, async || {
        let text = std::fs::read(&environment).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let is_there = text.split('\0').any(|one| one == mark);
        is_there.then_some(()).ok_or(text)
    })
    .await;
    let builders: Vec<String> = (0..BUILDS).map(|n| format!("mac-{n}")).collect();
    for builder in &builders {
        let began = dir.join(builder);
        let script = format!(
            "echo $$ >>{}\n\
             for i in $(seq {}); do seq $((i * 100 - 99)) $((i * 100)); sleep 0.02; done\n",
            began.display(),
            LINES / 100
        );
        let on_mac = |spec: &mut BuilderSpec| {
            let worker = json!({ "name": "mac", "allowShared": true });
            spec.kubernetes = None;
            spec.worker = serde_json::from_value(worker).unwrap();
            spec.steps[0].run = script;
        };
        story.builder(builder, on_mac).await;
    }
    let (_, build) = labelled(&story).await;
    for kill in 0..KILLS {
        let wanted = kill * BUILDS / KILLS + 1;
        let what = format!("{wanted} builds have begun");
        eventually(what, Duration::from_secs(90), async || {
            let begun = builders.iter().filter(|name| dir.join(name).exists());
            let count = begun.count();
            (count >= wanted).then_some(()).ok_or(count.to_string())
        })
        .await;
        story.kill_gateway();
        story.restart_gateway().await.unwrap();
    }
    let built = story
        .complete_within(&build, Duration::from_secs(180))
        .await;
    assert_eq!(built.status.unwrap().result, Some(BuildResult::Passed));
    let runs = story.runs(&build).await;
    assert_eq!(runs.len(), builders.len(), "none was tried twice");
    let numbers: String = (1..=LINES).map(|line| format!("{line}\n")).collect();
    for run in runs {
        let builder = &run.spec.task.builder;
        let began = std::fs::read_to_string(dir.join(builder)).unwrap();
        assert_eq!(began.lines().count(), 1, "{builder}");
        let uid = run.uid().unwrap();
        let url = format!("{}/r/app/runs/{uid}.txt", story.gateway().pages_url());
        let what = format!("the log of {builder} is whole");
        eventually(what, PATIENCE, async || {
            let (status, text) = http_get(&url).await?;
            let is_whole = status == 200 && text.contains(&numbers);
            let bytes = text.len();
            is_whole
                .then_some(())
                .ok_or(format!("{status}, {bytes} bytes"))
        })
        .await;
    }
    machine.end().await;
    // Nobody else has it.
    let _ = std::fs::remove_dir_all(&dir);
    story.end().await;
}
