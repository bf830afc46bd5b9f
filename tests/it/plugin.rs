//! `kubectl prbuild` as people run it: the real program, which real kubectl finds on PATH.

mod doctor;
mod typing;
mod way;

use std::path::Path;
use std::process::{Command, Output};

use crds::{Builder, BuilderRun, PrBuild, Repository, RunPhase, Worker};
use serde_json::json;
use tests::cluster::{Fate, eventually, shared_control_plane};
use tests::parts;
use tests::story::{LABEL, PATIENCE, REPO, Setting, Story, TRISTAN, apply};
use tests::worker::Driver;

use crate::beside;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Done, with these words.
    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) {
        assert_eq!(self.code, 0, "{self:?}");
        for word in words {
            assert!(
                self.out.contains(word),
                "{word}:\n{}\n{}",
                self.out,
                self.err
            );
        }
    }

    /// Not done, and why.
    #[track_caller]
    pub(crate) fn refuses(&self, words: &[&str]) {
        assert_eq!(self.code, 1, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word}:\n{}", self.err);
        }
    }
}

/// `kubectl prbuild ARGS`.
pub(crate) fn command(kubeconfig: &Path, args: &[&str]) -> Command {
    let kubectl = parts::existing(&parts::KUBECTL).unwrap();
    let ours = beside("kubectl-prbuild");
    let ours = ours.parent().unwrap().to_owned();
    let mut path = std::ffi::OsString::from(&ours);
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(kubectl);
    command.env("KUBECONFIG", kubeconfig).env("PATH", path);
    command.arg("prbuild").args(args);
    command
}

/// Runs `kubectl prbuild ARGS`.
pub(crate) async fn kubectl(kubeconfig: &Path, args: &[&str]) -> Said {
    let mut command = command(kubeconfig, args);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await;
    Said::of(&output.unwrap())
}

/// The same, in the namespace of a story, as its administrator.
pub(crate) async fn prbuild(story: &Story, args: &[&str]) -> Said {
    let kubeconfig = story.install.access().kubeconfig().to_owned();
    let namespace = ["--namespace", story.install.namespace()];
    kubectl(&kubeconfig, &[args, &namespace].concat()).await
}

async fn begin(name: &str) -> Story {
    let access = shared_control_plane();
    let story = Story::begin(&access, name, Setting::default()).await;
    let mut story = story.unwrap();
    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    story
}

/// Waits until a run is in this phase.
async fn run_is(story: &Story, run: &str, phase: RunPhase) {
    let what = format!("{run} is {}", phase.word());
    story
        .eventually_in(&what, run, |run: &BuilderRun| {
            let found = run.status.clone().unwrap_or_default().phase;
            (found == phase)
                .then_some(())
                .ok_or_else(|| found.word().to_owned())
        })
        .await;
}

#[tokio::test]
async fn a_build_is_shown_explained_stopped_and_repeated_from_the_terminal() {
    let story = begin("plugin-build").await;
    for name in ["linux", "slow"] {
        story.builder(name, |_| {}).await;
    }
    let said = prbuild(&story, &["pause", "slow"]).await;
    said.says(&["builder slow is paused"]);
    let number = story.open_pull_request("change", &[("new", "1")]).await;
    let build = story.authorized(number, &["linux", "slow"]).await;
    let build = build.metadata.name.unwrap();
    let (linux, slow) = (format!("{build}-linux-1"), format!("{build}-slow-1"));
    run_is(&story, &linux, RunPhase::Succeeded).await;

    eventually("the list shows that it runs", PATIENCE, async || {
        let said = prbuild(&story, &["status"]).await;
        let all = ["NAME", "RESULT", &build, "ada", "Running"];
        match all.iter().all(|word| said.out.contains(word)) {
            true => Ok(()),
            false => Err(said.out),
        }
    })
    .await;
    let said = prbuild(&story, &["status", &format!("#{number}")]).await;
    said.says(&[&build]);
    let said = prbuild(&story, &["status", "9999"]).await;
    assert!(!said.out.contains(&build), "{said:?}");
    let waits = "paused";
    eventually(
        "the slow run says what it waits for",
        PATIENCE,
        async || {
            let said = prbuild(&story, &["status", &build]).await;
            let all = [&*linux, &*slow, "passed", waits];
            match all.iter().all(|word| said.out.contains(word)) {
                true => Ok(()),
                false => Err(format!("{said:?}")),
            }
        },
    )
    .await;
    let said = prbuild(&story, &["explain", &slow]).await;
    said.says(&["is attempt 1 of `slow`", waits]);
    let said = prbuild(&story, &["explain", &build]).await;
    said.says(&["is a build of", "@ada asked", "Running"]);
    said.says(&[&format!("{slow} waiting: "), waits]);
    assert!(!said.out.contains(&linux), "it passed: {said:?}");
    let said = prbuild(&story, &["explain", "nothing"]).await;
    said.refuses(&[
        "error: there is no build, run or answer nothing",
        "try: kubectl prbuild status",
    ]);

    let said = prbuild(&story, &["cancel", &build, "--builder", "solaris"]).await;
    said.refuses(&["there is no builder solaris in", "try: one of linux, slow"]);
    let stop = [
        "cancel",
        &build,
        "--builder",
        "slow",
        "--reason",
        "wrong machine",
    ];
    prbuild(&story, &stop)
        .await
        .says(&["is asked to stop: wrong machine"]);
    story.complete(&build).await;
    run_is(&story, &slow, RunPhase::Cancelled).await;
    let said = prbuild(&story, &["cancel", &build]).await;
    said.refuses(&["has ended"]);
    let said = prbuild(&story, &["explain", &slow]).await;
    said.says(&["cancelled", "wrong machine"]);

    prbuild(&story, &["resume", "slow"])
        .await
        .says(&["builder slow is not paused"]);
    let said = prbuild(&story, &["rerun", &build, "--builder", "solaris"]).await;
    said.refuses(&["there is no builder solaris in"]);
    let said = prbuild(&story, &["rerun", &build, "--builder", "slow"]).await;
    said.says(&["builds the same commits again"]);
    let again = said.out.split_whitespace().next().unwrap().to_owned();
    let again: PrBuild = story.complete(&again).await;
    assert_eq!(again.spec.request.builders, ["slow"]);
    assert_eq!(again.spec.request.rerun_of.as_deref(), Some(&*build));
    assert_eq!(again.status.unwrap().summary, "1 passed");
    story.end().await;
}

#[tokio::test]
async fn builders_and_repositories_are_paused_one_by_one_and_all_together() {
    let story = begin("plugin-pause").await;
    for name in ["linux", "mac"] {
        story.builder(name, |_| {}).await;
    }
    let paused = async |name: &str| {
        let builder: Builder = story.api().get(name).await.unwrap();
        builder.spec.paused
    };
    let said = prbuild(&story, &["pause", "--all"]).await;
    said.says(&["builder linux is paused", "builder mac is paused"]);
    assert!(paused("linux").await && paused("mac").await);
    prbuild(&story, &["resume", "mac"])
        .await
        .says(&["builder mac is not paused"]);
    assert!(paused("linux").await && !paused("mac").await);
    prbuild(&story, &["resume", "--all"])
        .await
        .says(&["builder linux is not paused"]);
    assert!(!paused("linux").await);
    let said = prbuild(&story, &["pause", "--repository", "app"]).await;
    said.says(&["repository app is paused"]);
    let app: Repository = story.api().get("app").await.unwrap();
    assert!(app.spec.paused);
    prbuild(&story, &["resume", "--repository", "app"])
        .await
        .says(&["is not paused"]);
    let said = prbuild(&story, &["pause", "windows"]).await;
    said.refuses(&["windows cannot be changed", "not found"]);
    let said = prbuild(&story, &["pause"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    story.end().await;
}

#[tokio::test]
async fn a_refusal_is_explained_and_a_run_without_a_pod_says_where_its_log_is() {
    let access = shared_control_plane();
    let story = Story::begin(&access, "plugin-logs", Setting::default()).await;
    let mut story = story.unwrap();
    story.pods_go(|_| Fate::passes());
    story.start_gateway().await.unwrap();
    story.start_operator().await.unwrap();
    story.start_webhook().await.unwrap();
    story.builder("linux", |_| {}).await;
    let number = story.open_pull_request("change", &[("new", "1")]).await;
    let event = story.forge.add_label(REPO, number, LABEL, TRISTAN);
    let answer = story.name_of(number, event);
    story.answered(&answer).await;
    let said = prbuild(&story, &["explain", &answer]).await;
    said.says(&[
        "is an answer to @tristan",
        "Permission",
        "This label needs write access",
        "try: let somebody with write access ask for it",
        "docs/refusals.md",
    ]);
    let of_pull_request = prbuild(&story, &["explain", &format!("#{number}")]).await;
    assert_eq!(of_pull_request.out, said.out);
    let said = prbuild(&story, &["explain", "#9999"]).await;
    said.refuses(&["there is no build or answer of #9999"]);

    let number = story.open_pull_request("another", &[("new", "2")]).await;
    let build = story.name_of(number, story.label(number));
    story.complete(&build).await;
    let run = format!("{build}-linux-1");
    let of_run = kube::api::ListParams::default();
    let pods = story.pods().list(&of_run).await.unwrap().items;
    for pod in pods {
        let name = pod.metadata.name.unwrap();
        story
            .pods()
            .delete(&name, &Default::default())
            .await
            .unwrap();
    }
    eventually("its pod is gone", PATIENCE, async || {
        let said = prbuild(&story, &["logs", "-f", &run]).await;
        let told = said
            .out
            .contains("its pod is gone; the log is kept at http");
        told.then_some(()).ok_or_else(|| format!("{said:?}"))
    })
    .await;
    let said = prbuild(&story, &["logs", "nothing"]).await;
    said.refuses(&[
        "there is no run nothing",
        "try: kubectl prbuild status BUILD",
    ]);
    story.end().await;
}

#[tokio::test]
async fn workers_are_listed_and_sent_home() {
    let story = begin("plugin-workers").await;
    let driver = Driver::new("http://127.0.0.1:9", "mac-1", 1);
    let spec = json!({
        "contact": "Ada <ada@example.org>", "publicKeys": [driver.public_key()],
    });
    let _: Worker = apply(&story.api(), "mac-1", json!({ "spec": spec })).await;
    let said = prbuild(&story, &["worker", "list"]).await;
    said.says(&["NAME", "READY", "DRAINED", "mac-1", "no"]);
    let said = prbuild(&story, &["worker", "drain", "mac-1"]).await;
    said.says(&["mac-1 gets nothing new; what it runs goes on"]);
    prbuild(&story, &["worker", "list"]).await.says(&["yes"]);
    let said = prbuild(&story, &["worker", "drain", "mac-1", "--undo"]).await;
    said.says(&["mac-1 gets work again"]);
    let mac: Worker = story.api().get("mac-1").await.unwrap();
    assert!(!mac.spec.drain);
    let said = prbuild(&story, &["worker", "drain", "mac-2"]).await;
    said.refuses(&["mac-2 cannot be changed", "not found"]);
    story.end().await;
}

#[tokio::test]
async fn without_a_cluster_it_says_so_and_completes_all_the_same() {
    let nowhere = std::env::temp_dir().join("prbuild-no-such-kubeconfig");
    let said = kubectl(&nowhere, &["status"]).await;
    said.refuses(&["error: ", "because"]);
    for (shell, word) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef kubectl-prbuild"),
        ("fish", "complete -c kubectl-prbuild"),
    ] {
        let said = kubectl(&nowhere, &["completion", shell]).await;
        said.says(&[word, "worker", "doctor"]);
    }
    let said = kubectl(&nowhere, &["completion", "kubectl"]).await;
    said.says(&["#!/bin/sh", "kubectl_complete-prbuild"]);
    let said = kubectl(&nowhere, &["dance"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.err.contains("unrecognized subcommand 'dance'"),
        "{said:?}"
    );
}

#[test]
fn whoever_reads_only_the_first_lines_sees_no_error() {
    // Longer than a pipe is, and the pipe is closed by then.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = Command::new(beside("kubectl-prbuild"));
    command.args(["completion", "zsh"]).stdout(writer);
    drop(reader);
    let output = command.stderr(std::process::Stdio::piped()).output();
    let output = output.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(1));
}
