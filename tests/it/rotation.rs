//! docs/rotation.md, followed word by word: its commands are run as they stand there, by a shell, with
//! real kubectl, helm and openssl.

use crds::{Worker, condition};
use serde_json::json;
use tests::cluster::{eventually, shared_control_plane};
use tests::story::{PATIENCE, Setting, Story, apply};
use tests::worker::Driver;

use crate::terminal::{self, Terminal};

fn commands(heading: &str) -> Vec<String> {
    terminal::commands("rotation.md", heading)
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
    terminal.says("NAME", "mac-1");
    terminal.says("NEW_KEY", &new.public_key());
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
    use crds::PrBuild;
    use k8s_openapi::api::core::v1::Pod;
    use kube::ResourceExt;
    use kube::api::{ListParams, LogParams};
    use tests::story::REPO;

    use super::*;
    use crate::release::{self, PATIENCE};

    /// A labelled pull request becomes a build that passes and is on record.
    async fn builds(story: &Story, branch: &str) {
        let name = release::builds(story, branch).await;
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
        let story = release::begin("rotation", &json!({})).await;
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
