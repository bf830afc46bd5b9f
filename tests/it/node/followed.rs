//! `kubectl prbuild logs -f` of a real pod, over a line to the cluster that is cut.

use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crds::RunPhase;
use kube::ResourceExt;
use serde_json::Value;
use tests::cluster::eventually;
use tests::line::Line;
use tests::story::Story;
use tokio::process::{Child, Command};

use super::logs::{as_kubernetes_knows_it, labelled};
use super::with_pages;
use crate::plugin::command;

const PATIENCE: Duration = Duration::from_secs(120);

/// Prints slowly enough for two cuts, with an empty line and one that is long.
const SCRIPT: &str = "echo; head -c 40000 /dev/zero | tr '\\0' x; echo
for i in $(seq 1 300); do echo line $i; sleep 0.1; done";

/// A way to the cluster over a line of its own.
async fn over_a_line(story: &Story) -> (Line, PathBuf) {
    let file = read_to_string(story.install.access().kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&file).unwrap();
    let cluster = &mut config["clusters"][0]["cluster"];
    let server = cluster["server"].as_str().unwrap();
    let line = Line::to(server.trim_start_matches("https://")).await;
    let line = line.unwrap();
    cluster["server"] = line.url().replace("http://", "https://").into();
    // The certificate is for the address at the far end.
    cluster["tls-server-name"] = "kubernetes.default.svc".into();
    let path = story.install.dir().unwrap().join("line.kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    (line, path)
}

/// Somebody who follows a run; what is printed goes to files.
struct Follower {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Follower {
    fn start(story: &Story, kubeconfig: &Path, run: &str) -> Self {
        let namespace = story.install.namespace();
        let args = ["logs", "-f", run, "--namespace", namespace];
        let dir = story.install.dir().unwrap();
        let (out, err) = (dir.join("followed.out"), dir.join("followed.err"));
        let mut command = Command::from(command(kubeconfig, &args));
        command.stdout(File::create(&out).unwrap());
        command.stderr(File::create(&err).unwrap());
        let child = command.kill_on_drop(true).spawn().unwrap();
        Self { child, out, err }
    }

    async fn eventually_prints(&self, line: &str) {
        eventually(format!("`{line}` is printed"), PATIENCE, async || {
            let out = read_to_string(&self.out).unwrap();
            let found = out.lines().any(|printed| printed == line);
            let said = || read_to_string(&self.err).unwrap();
            found.then_some(()).ok_or_else(said)
        })
        .await;
    }

    async fn ends(&mut self) -> (ExitStatus, String, String) {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let ended = ended.expect("it ends after its run").unwrap();
        let read = |path: &Path| read_to_string(path).unwrap();
        (ended, read(&self.out), read(&self.err))
    }
}

#[tokio::test]
async fn a_log_that_is_followed_comes_whole_and_once_over_a_line_that_is_cut_twice() {
    let story = with_pages("cut-twice").await;
    let (name, run) = labelled(&story, SCRIPT).await;
    let (line, kubeconfig) = over_a_line(&story).await;
    let mut follower = Follower::start(&story, &kubeconfig, &run.name_any());
    for (cut_at, mended_at) in [("line 10", "line 60"), ("line 100", "line 160")] {
        follower.eventually_prints(cut_at).await;
        line.cut();
        eventually(format!("`{mended_at}` is missed"), PATIENCE, async || {
            let all = as_kubernetes_knows_it(&story, &run).await;
            let printed = all.lines().any(|printed| printed == mended_at);
            printed.then_some(()).ok_or("not yet".to_owned())
        })
        .await;
        line.mend();
    }
    let (ended, out, err) = follower.ends().await;
    assert!(ended.success(), "{err}");
    assert_eq!(out, as_kubernetes_knows_it(&story, &run).await, "{err}");
    assert!(out.contains("line 299\nline 300\n"), "{err}");
    assert!(err.contains("it is tried again"), "{err}");
    let last = err.lines().last().unwrap_or_default();
    assert!(
        last.starts_with(&format!("{} passed", run.name_any())),
        "{err}"
    );
    let status = story.api::<crds::BuilderRun>().get(&run.name_any()).await;
    let phase = status.unwrap().status.unwrap().phase;
    assert_eq!(phase, RunPhase::Succeeded, "it ended after its run had");
    story.complete_within(&name, PATIENCE).await;
    story.end().await;
}
