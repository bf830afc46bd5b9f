//! `kubectl prbuild` while it is typed: what kubectl offers, by the program that people put on PATH.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crds::Worker;
use serde_json::json;
use tests::cluster::{eventually, shared_control_plane};
use tests::story::{PATIENCE, Setting, Story, apply};

use super::{command, kubectl, prbuild};

/// A directory with the program that kubectl looks for.
async fn completer(name: &str) -> PathBuf {
    let directory = format!("prbuild-{name}-{}", std::process::id());
    let directory = std::env::temp_dir().join(directory);
    std::fs::create_dir_all(&directory).unwrap();
    let program = directory.join("kubectl_complete-prbuild");
    let said = kubectl(Path::new("/dev/null"), &["completion", "kubectl"]).await;
    std::fs::write(&program, said.out).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// What kubectl offers for the last word.
async fn offered(completer: &Path, kubeconfig: &Path, words: &[&str]) -> Vec<String> {
    let plain = command(kubeconfig, &[]);
    let path = plain.get_envs().find(|(name, _)| *name == "PATH");
    let path = path.and_then(|(_, value)| value).unwrap();
    let mut all = completer.as_os_str().to_owned();
    all.push(":");
    all.push(path);
    let mut asks = std::process::Command::new(plain.get_program());
    asks.env("KUBECONFIG", kubeconfig).env("PATH", all);
    asks.args(["__complete", "prbuild"]).args(words);
    let output = tokio::task::spawn_blocking(move || asks.output().unwrap()).await;
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn kubectl_offers_the_names_that_the_cluster_has() {
    let access = shared_control_plane();
    let story = Story::begin(&access, "plugin-typing", Setting::default()).await;
    let story = story.unwrap();
    for name in ["linux", "linux-arm", "mac"] {
        story.builder(name, |_| {}).await;
    }
    let spec = json!({ "contact": "Ada <ada@example.org>", "publicKeys": [] });
    let _: Worker = apply(&story.api(), "mini-1", json!({ "spec": spec })).await;
    let number = story.open_pull_request("change", &[("new", "1")]).await;
    let build = story.authorized(number, &["linux"]).await;
    let build = build.metadata.name.unwrap();

    let completer = completer("typing").await;
    let kubeconfig = story.install.access().kubeconfig().to_owned();
    let namespace = ["--namespace", story.install.namespace()];
    let rerun: &[&str] = &["rerun", &build, "--builder", "m"];
    let cases: [(&[&str], &[&str]); 7] = [
        (&["pause", ""], &["linux", "linux-arm", "mac"]),
        (&["pause", "li"], &["linux", "linux-arm"]),
        (&["status", ""], &[&build]),
        (rerun, &["mac"]),
        (&["worker", "drain", ""], &["mini-1"]),
        (&["resume", "--repository", ""], &["app"]),
        (&["wor"], &["worker"]),
    ];
    for (words, names) in cases {
        let words = [&namespace[..], words].concat();
        // A cluster that is busy answers too late now and then, and then nothing is offered.
        eventually("the names are offered", PATIENCE, async || {
            let found = offered(&completer, &kubeconfig, &words).await;
            let right = found == [names, &[":4"]].concat();
            right
                .then_some(())
                .ok_or_else(|| format!("{words:?}: {found:?}"))
        })
        .await;
    }

    let nowhere = Path::new("/dev/null");
    let silent = offered(&completer, nowhere, &["pause", ""]).await;
    assert_eq!(silent, [":4"], "who types is not told of errors");
    let file = kubeconfig.display().to_string();
    let there = ["--kubeconfig", &*file, "logs", "--fol"];
    assert_eq!(
        offered(&completer, nowhere, &there).await,
        ["--follow", ":4"]
    );
    let contexts = ["--kubeconfig", &*file, "--context", ""];
    let offered = offered(&completer, nowhere, &contexts).await;
    assert_eq!(offered, ["prbuild", ":4"]);
    std::fs::remove_dir_all(completer).unwrap();
    story.end().await;
}

#[tokio::test]
async fn a_kubeconfig_that_is_named_is_used_and_no_other() {
    let access = shared_control_plane();
    let story = Story::begin(&access, "plugin-kubeconfig", Setting::default()).await;
    let story = story.unwrap();
    story.builder("linux", |_| {}).await;
    let kubeconfig = story.install.access().kubeconfig().display().to_string();
    let nowhere = std::env::temp_dir().join("prbuild-no-such-kubeconfig");
    let namespace = ["pause", "linux", "--namespace", story.install.namespace()];
    let named = [&namespace[..], &["--kubeconfig", &*kubeconfig]].concat();
    kubectl(&nowhere, &named)
        .await
        .says(&["builder linux is paused"]);

    let missing = nowhere.display().to_string();
    let said = prbuild(&story, &["status", "--kubeconfig", &missing]).await;
    said.refuses(&["there is no way to the cluster", &missing]);
    let said = prbuild(&story, &["status", "--context", "no-such-context"]).await;
    said.refuses(&["there is no way to the cluster", "no-such-context"]);
    story.end().await;
}
