//! docs/rotation.md, followed word by word: its commands are run as they stand there, by a shell, with
//! real kubectl, helm and openssl.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crds::{Worker, condition};
use serde_json::json;
use tests::cluster::{Binary, Release, eventually, shared_control_plane};
use tests::parts;
use tests::story::{PATIENCE, Setting, Story, apply};
use tests::worker::Driver;

/// The blocks of commands below a heading of the page.
fn commands(heading: &str) -> Vec<String> {
    let page = Release::chart().join("../../docs/rotation.md");
    let page = std::fs::read_to_string(page).unwrap();
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```console\n").skip(1);
    let blocks = blocks.map(|block| block.split("\n```").next().unwrap());
    blocks
        .map(|block| {
            let lines = block
                .lines()
                .map(|line| line.strip_prefix("$ ").unwrap_or(line));
            lines.collect::<Vec<_>>().join("\n")
        })
        .collect()
}

/// Somebody's terminal: a directory, a cluster, variables that last.
struct Terminal {
    dir: PathBuf,
    kubeconfig: PathBuf,
    namespace: String,
    words: BTreeMap<&'static str, String>,
}

impl Terminal {
    fn open(story: &Story) -> Self {
        let dir = story.install.dir().unwrap().join("terminal");
        std::fs::create_dir_all(&dir).unwrap();
        let charts = Release::chart().join("..").canonicalize().unwrap();
        std::os::unix::fs::symlink(charts, dir.join("charts")).unwrap();
        Self {
            dir,
            kubeconfig: story.install.access().kubeconfig().to_owned(),
            namespace: story.install.namespace().to_owned(),
            words: BTreeMap::new(),
        }
    }

    /// Runs a block, in the namespace of the story; variables are those of the blocks before.
    async fn run(&self, block: &str) -> String {
        let mut block = block
            .replace("-n prbuild ", &format!("-n {} ", self.namespace))
            .replace(
                "--namespace prbuild ",
                &format!("--namespace {} ", self.namespace),
            );
        for (word, is) in &self.words {
            block = block.replace(word, is);
        }
        let script = format!(
            "set -euo pipefail\n[ -f kept ] && . ./kept\n{block}\necho \"NEW=${{NEW:-}}\" >kept\n"
        );
        let mut shell = Command::new("bash");
        shell.args(["-c", &script]).current_dir(&self.dir);
        shell
            .env("KUBECONFIG", &self.kubeconfig)
            .env("PATH", path());
        let output = tokio::task::spawn_blocking(move || shell.output().unwrap());
        let output = output.await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{block}\n{}", text(&output.stderr));
        text(&output.stdout) + &text(&output.stderr)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.dir.join(file), text).unwrap();
    }

    /// What the variable `NEW` is.
    fn new_secret(&self) -> String {
        let kept = std::fs::read_to_string(self.dir.join("kept")).unwrap();
        kept.trim().strip_prefix("NEW=").unwrap().to_owned()
    }
}

/// PATH of a person who has installed what the page needs.
fn path() -> std::ffi::OsString {
    let ours = Binary::Operator.path().unwrap();
    let kubectl = parts::existing(&parts::KUBECTL).unwrap();
    let helm = parts::existing(&parts::HELM_CLI).unwrap();
    let folders = [&ours, &kubectl, &helm].map(|program| folder(program));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = folders.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(all).unwrap()
}

fn folder(program: &Path) -> PathBuf {
    program.parent().unwrap().to_owned()
}

/// Opens a session of an agent, as soon as it may.
async fn comes_in(driver: &mut Driver) {
    eventually("the agent comes in", PATIENCE, async || {
        let opened = driver.open().await;
        opened.map(drop).map_err(|fault| format!("{fault:?}"))
    })
    .await;
}

#[tokio::test]
async fn the_key_of_a_worker_changes_by_the_documented_commands_while_it_is_on_line() {
    let access = shared_control_plane();
    let story = Story::begin(&access, "rotate-worker", Setting::default()).await;
    let mut story = story.unwrap();
    story.start_gateway().await.unwrap();
    let url = story.gateway().workers_url();
    let (mut old, mut new) = (Driver::new(&url, "mac-1", 1), Driver::new(&url, "mac-1", 2));
    // It is the same machine.
    new.instance.clone_from(&old.instance);
    let spec = json!({ "contact": "Ada <ada@example.org>", "publicKeys": [old.public_key()] });
    let _: Worker = apply(&story.api(), "mac-1", json!({ "spec": spec })).await;
    comes_in(&mut old).await;
    assert!(new.open().await.is_err(), "its key is not there yet");

    let [add, remove] = commands("Key of a worker").try_into().unwrap();
    let mut terminal = Terminal::open(&story);
    terminal.words.insert("NAME", "mac-1".to_owned());
    terminal.words.insert("NEW_KEY", new.public_key());
    terminal.run(&add).await;
    old.heartbeat().await.unwrap();
    comes_in(&mut new).await;
    terminal.run(&remove).await;
    let mac: Worker = story.api().get("mac-1").await.unwrap();
    assert_eq!(mac.spec.public_keys, [new.public_key()]);
    new.heartbeat().await.unwrap();
    eventually("the old key opens nothing", PATIENCE, async || {
        let opened = old.open().await;
        opened
            .err()
            .map(drop)
            .ok_or_else(|| "it is let in".to_owned())
    })
    .await;
    story
        .eventually_in("the worker is on-line", "mac-1", |worker: &Worker| {
            let status = worker.status.clone().unwrap_or_default();
            match condition::is_true(&status.conditions, condition::kind::READY) {
                true => Ok(()),
                false => Err(format!("{status:?}")),
            }
        })
        .await;
    story.end().await;
}

/// Runs containers.
mod node {
    use std::time::Duration;

    use crds::{BuildResult, PrBuild};
    use k8s_openapi::api::core::v1::Pod;
    use kube::ResourceExt;
    use kube::api::{ListParams, LogParams};
    use tests::cluster::shared_node;
    use tests::images::GCC;
    use tests::story::REPO;

    use super::*;

    /// A mounted Secret follows within 90 s, and containers start.
    const PATIENCE: Duration = Duration::from_secs(180);

    /// A labelled pull request becomes a build that passes and is on record.
    async fn builds(story: &Story, branch: &str) {
        let number = story.open_pull_request(branch, &[("new", branch)]).await;
        let name = story.name_of(number, story.label(number));
        let build: PrBuild = story.complete_within(&name, PATIENCE).await;
        let status = build.status.unwrap();
        assert_eq!(
            status.result,
            Some(BuildResult::Passed),
            "{}",
            status.summary
        );
        eventually("it is on record", PATIENCE, async || {
            let build: PrBuild = story.api().get(&name).await.unwrap();
            let status = build.status.unwrap_or_default();
            match condition::is_true(&status.conditions, condition::kind::RECORDED) {
                true => Ok(()),
                false => Err(format!("{:?}", status.conditions)),
            }
        })
        .await;
    }

    /// How often webhook and operator have read the connection, together.
    async fn loads(story: &Story) -> usize {
        let pods = story.api::<Pod>();
        let mut loads = 0;
        for component in ["webhook", "operator"] {
            let label = format!("app.kubernetes.io/component={component}");
            let chosen = ListParams::default().labels(&label);
            for pod in pods.list(&chosen).await.unwrap().items {
                let log = pods.logs(&pod.name_any(), &LogParams::default()).await;
                loads += log.unwrap_or_default().matches("connection loaded").count();
            }
        }
        loads
    }

    /// Runs a block, and waits until webhook and operator have read what it changed.
    async fn changes(story: &Story, terminal: &Terminal, block: &str) {
        let before = loads(story).await;
        terminal.run(block).await;
        eventually(
            "webhook and operator have read it",
            PATIENCE,
            async || match loads(story).await - before {
                2 => Ok(()),
                count => Err(format!("{count} of 2")),
            },
        )
        .await;
    }

    #[tokio::test]
    async fn secrets_and_keys_of_a_release_change_by_the_documented_commands_and_nothing_is_lost() {
        let (access, facts) = shared_node();
        let release = Release::new(&access, &facts, "rotation");
        let values = json!({
            "crds": { "install": false },
            "webhook": { "replicas": 1 }, "operator": { "replicas": 1 },
        });
        let begun = Story::begin_with_chart(&access, &facts, release, Setting::default(), &values);
        let story = begun.await.unwrap();
        story
            .builder("debian", |spec| {
                if let Some(machine) = &mut spec.kubernetes {
                    machine.image = GCC.to_owned();
                }
            })
            .await;
        let terminal = Terminal::open(&story);
        builds(&story, "before").await;

        let [both, one] = commands("Webhook secret").try_into().unwrap();
        changes(&story, &terminal, &both).await;
        builds(&story, "old-secret").await;
        let app = story.forge.app_on(REPO).unwrap();
        let url = story.release().webhook_url();
        story.forge.set_app_hook(app, &url, &terminal.new_secret());
        builds(&story, "new-secret").await;
        changes(&story, &terminal, &one).await;
        builds(&story, "one-secret").await;

        let [patch] = commands("Key of the GitHub App").try_into().unwrap();
        terminal.write("new.pem", &story.forge.add_app_key(app));
        changes(&story, &terminal, &patch).await;
        story.forge.drop_first_app_key(app);
        builds(&story, "new-app-key").await;

        let [make, chain, roll] = commands("Signing key").try_into().unwrap();
        terminal.run(&make).await;
        let said = terminal.run(&chain).await;
        assert!(said.contains("fingerprint of key set 2"), "{said}");
        terminal.run(&roll).await;
        builds(&story, "new-signing-key").await;
        story.end().await;
    }
}
