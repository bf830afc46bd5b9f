//! Real agents, set up as docs/workers.md tells an owner to do it, from `init` to the status on GitHub.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crds::BuildResult;
use protocol::Step;
use protocol::worker::keys::KeySet;

use super::*;
use crate::agent::program;
use crate::http_get;

/// The agent of one worker, as a process.
struct Agent {
    dir: PathBuf,
    child: Child,
}

impl Agent {
    /// Sets a machine up, writes its Worker down, and starts its agent.
    async fn lent(story: &Story, name: &str) -> Self {
        let server = story.gateway().workers_url();
        let keys = Driver::new(&server, name, 1).operator_keys().await.unwrap();
        let keys = keys.iter().map(ToString::to_string).collect();
        let fingerprint = KeySet { version: 1, keys }.fingerprint();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("prbuild-it-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&dir).unwrap();
        let mut init = Command::new(program("prbuild-agent"));
        init.args([
            "init",
            "--server",
            &server,
            "--name",
            name,
            "--operator",
            &fingerprint,
        ]);
        init.arg("--config")
            .arg(dir.join("agent.toml"))
            .arg("--state")
            .arg(dir.join("state"));
        let printed = init.output().unwrap();
        assert!(printed.status.success(), "{printed:?}");
        let mut manifest: serde_json::Value =
            serde_saphyr::from_str(&String::from_utf8(printed.stdout).unwrap()).unwrap();
        manifest["spec"]["contact"] = json!("Ada <ada@example.org>");
        let _: Worker = apply(&story.api(), name, manifest).await;
        let config = std::fs::read_to_string(dir.join("agent.toml")).unwrap();
        let opened = config
            .replace("events = []", "events = [\"pull_request\"]")
            .replace("min_free_disk = \"10GiB\"", "min_free_disk = \"1MiB\"");
        std::fs::write(dir.join("agent.toml"), opened).unwrap();
        let child = start(&dir);
        Self { dir, child }
    }

    /// Kills it in the middle of whatever it does, and starts it again.
    fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = start(&self.dir);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn start(dir: &std::path::Path) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"));
    let mut run = Command::new(program("prbuild-agent"));
    run.arg("run").arg("--config").arg(dir.join("agent.toml"));
    run.stdin(Stdio::null())
        .stderr(log.unwrap())
        .spawn()
        .unwrap()
}

/// A builder on a worker whose builds are not kept apart from its agent, with this script.
fn script(worker: &str, text: String) -> impl FnOnce(&mut BuilderSpec) {
    let worker = worker.to_owned();
    move |spec| {
        spec.kubernetes = None;
        spec.worker =
            serde_json::from_value(json!({ "name": worker, "allowShared": true })).unwrap();
        spec.steps = vec![Step {
            run: text,
            ..Step::default()
        }];
    }
}

#[tokio::test]
async fn a_real_agent_builds_a_labelled_pull_request_and_its_log_is_a_page() {
    let story = begin("agent-green").await;
    let agent = Agent::lent(&story, "mac").await;
    story
        .builder(
            "macos",
            script("mac", "cat README; echo built here".to_owned()),
        )
        .await;
    let (_, build) = labelled(&story).await;
    let built = story.complete(&build).await;
    assert_eq!(built.status.unwrap().result, Some(BuildResult::Passed));
    let run = eventually_phase(&story, &build, RunPhase::Succeeded).await;
    let page = format!(
        "{}/r/app/runs/{}",
        story.gateway().pages_url(),
        run.uid().unwrap()
    );
    eventually("its log is there", PATIENCE, async || {
        let (status, text) = http_get(&page).await?;
        (status == 200 && text.contains("built here"))
            .then_some(())
            .ok_or(text)
    })
    .await;
    drop(agent);
    story.end().await;
}

#[tokio::test]
async fn an_agent_that_is_killed_in_a_build_tells_so_and_the_next_attempt_passes() {
    let story = begin("agent-killed").await;
    let mut agent = Agent::lent(&story, "mac").await;
    let (began, go) = (agent.dir.join("began"), agent.dir.join("go"));
    let text = format!(
        "echo $$ >> {}; until test -e {}; do sleep 0.1; done",
        began.display(),
        go.display()
    );
    story.builder("macos", script("mac", text)).await;
    let (_, build) = labelled(&story).await;
    let begun = || std::fs::read_to_string(&began).unwrap_or_default();
    eventually("the build began", PATIENCE, async || {
        (!begun().is_empty())
            .then_some(())
            .ok_or("not yet".to_owned())
    })
    .await;
    agent.restart();
    eventually_phase(&story, &build, RunPhase::Error).await;
    eventually("the next attempt began", PATIENCE, async || {
        (begun().lines().count() == 2).then_some(()).ok_or(begun())
    })
    .await;
    let first = begun().lines().next().unwrap_or_default().to_owned();
    assert!(!std::path::Path::new(&format!("/proc/{first}")).exists());
    std::fs::write(&go, "").unwrap();
    let built = story.complete(&build).await;
    assert_eq!(built.status.unwrap().result, Some(BuildResult::Passed));
    assert_eq!(begun().lines().count(), 2);
    drop(agent);
    story.end().await;
}
