//! docs/backup.md, followed word by word: what it saves is restored where everything was lost, and pull
//! requests go on as the page says.

use std::fmt::Debug;

use crds::{
    Answer, Assignment, Builder, BuilderRun, PrBuild, Repository, Worker,
    condition::{self, kind},
};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use tests::cluster::{Ending, Fate, eventually, shared_control_plane};
use tests::story::{PATIENCE, Setting, Story, apply};
use tests::worker::Driver;

use crate::terminal::{Terminal, commands};

/// Secrets that the page saves.
const SECRETS: [&str; 2] = ["prbuild-github", "prbuild-signing-key"];

/// The lines of a block that kubectl runs and that need no release: there is none on a control plane.
fn of_kubectl(block: &str) -> String {
    let lines = block.lines().filter(|line| {
        let needs_release = line.contains("create namespace") || line.contains("doctor");
        line.starts_with("kubectl") && !needs_release
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Deletes all objects of a kind, and waits until they are gone.
async fn lose<K>(api: Api<K>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let all = ListParams::default();
    let how = DeleteParams::background().grace_period(0);
    let what = format!("there is no {}", K::kind(&()));
    eventually(what, PATIENCE, async || {
        let deleted = api.delete_collection(&how, &all).await;
        deleted.map_err(|error| error.to_string())?;
        let left = api.list(&all).await.map_err(|error| error.to_string())?;
        let left: Vec<String> = left.items.iter().map(ResourceExt::name_any).collect();
        left.is_empty().then_some(()).ok_or(format!("{left:?}"))
    })
    .await;
}

/// The cluster is lost with all that PrBuild had in it.
async fn lose_everything(story: &Story) {
    async fn all<K>(story: &Story)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        lose::<K>(story.api()).await;
    }
    lose::<Job>(story.in_builds()).await;
    lose::<Pod>(story.in_builds()).await;
    all::<PrBuild>(story).await;
    all::<BuilderRun>(story).await;
    all::<Assignment>(story).await;
    all::<Answer>(story).await;
    all::<Repository>(story).await;
    all::<Builder>(story).await;
    all::<Worker>(story).await;
    all::<Lease>(story).await;
    all::<Secret>(story).await;
}

async fn make_secret(story: &Story, name: &str) {
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        string_data: Some([("key".to_owned(), format!("the content of {name}"))].into()),
        ..Secret::default()
    };
    let how = PostParams::default();
    story.api::<Secret>().create(&how, &secret).await.unwrap();
}

/// Waits until a build runs, GitHub shows that, and its label is off.
async fn is_in_flight(story: &Story, number: u64, build: &str) {
    story
        .eventually_in("the label is off", build, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            let is_off = condition::is_true(&status.conditions, kind::LABEL_REMOVED);
            is_off.then_some(()).ok_or_else(|| format!("{status:?}"))
        })
        .await;
    eventually("its status is pending", PATIENCE, async || {
        let last = story.last_statuses(number);
        let pending = last.iter().any(|(_, state, _)| state == "pending");
        pending.then_some(()).ok_or_else(|| format!("{last:?}"))
    })
    .await;
}

#[tokio::test]
async fn configuration_and_secrets_are_restored_and_pull_requests_go_on_as_documented() {
    let access = shared_control_plane();
    let story = Story::begin(&access, "backup", Setting::default()).await;
    let mut story = story.unwrap();
    story.pods_go(|_| Fate::ends(Ending::Never));
    story.start_operator().await.unwrap();
    story.start_webhook_with(&["--no-sweep"]).await.unwrap();
    story
        .builder("linux", |spec| spec.tags = vec!["kept".to_owned()])
        .await;
    let key = Driver::new("http://127.0.0.1:9", "mac-1", 1).public_key();
    let spec = json!({ "contact": "Ada <ada@example.org>", "publicKeys": [key] });
    let _: Worker = apply(&story.api(), "mac-1", json!({ "spec": spec })).await;
    for name in SECRETS {
        make_secret(&story, name).await;
    }
    let known: Repository = story.api().get("app").await.unwrap();
    let one = story.open_pull_request("one", &[("new", "1")]).await;
    let build = story.name_of(one, story.label(one));
    is_in_flight(&story, one, &build).await;

    let terminal = Terminal::open(&story);
    let back_up = commands("backup.md", "Back up");
    terminal.run(&of_kubectl(&back_up[0])).await;
    story.kill_operator().await;
    story.kill_webhook();
    lose_everything(&story).await;
    let two = story.open_pull_request("two", &[("new", "2")]).await;
    let found = story.name_of(two, story.label(two));
    let restore = commands("backup.md", "Restore");
    let of_namespace = of_kubectl(&restore[0]);
    let of_namespace = of_namespace
        .lines()
        .filter(|line| !line.contains("prbuild-builds"));
    terminal
        .run(&of_namespace.collect::<Vec<_>>().join("\n"))
        .await;

    for name in SECRETS {
        let secret = story.api::<Secret>().get(name).await.unwrap();
        let data = secret.data.unwrap();
        assert_eq!(data["key"].0, format!("the content of {name}").as_bytes());
    }
    let linux: Builder = story.api().get("linux").await.unwrap();
    assert_eq!(linux.spec.tags, ["kept"]);
    let mac: Worker = story.api().get("mac-1").await.unwrap();
    assert_eq!(mac.spec.public_keys, [key]);
    let repository: Repository = story.api().get("app").await.unwrap();
    assert_eq!(repository.spec, known.spec);

    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    let ids = terminal.run(&restore[1]).await;
    let id = known.status.unwrap().id.unwrap();
    assert!(ids.contains(&format!("app {id}")), "recorded anew: {ids}");
    // A label that is still on is found.
    story
        .start_webhook_with(&["--sweep-seconds", "1"])
        .await
        .unwrap();
    story.complete(&found).await;
    // What had a build before has lost it; its status waits until somebody asks again.
    let builds = story.api::<PrBuild>().list(&ListParams::default()).await;
    let builds: Vec<String> = builds.unwrap().iter().map(ResourceExt::name_any).collect();
    assert_eq!(builds, [found]);
    assert_eq!(story.last_statuses(one)[0].1, "pending");
    story.quiet();
    let again = story.name_of(one, story.label(one));
    story.complete(&again).await;
    let last = story.last_statuses(one);
    assert_eq!(last.len(), 1, "the same status is taken over: {last:?}");
    assert_eq!(last[0].1, "success");
    story.end().await;
}

/// Runs containers.
mod node {
    use k8s_openapi::api::core::v1::Namespace;

    use super::*;
    use crate::plugin::prbuild;
    use crate::release::{PATIENCE, begin, builds};

    /// Both namespaces go, with all that is in them.
    async fn lose_namespaces(story: &Story) {
        story.release().uninstall().await.unwrap();
        let namespaces: Api<Namespace> = Api::all(story.install.client());
        let ours = [story.install.namespace(), story.install.builds()];
        eventually("the namespaces are gone", PATIENCE, async || {
            let mut left = Vec::new();
            for name in ours {
                let deleted = namespaces.delete(name, &DeleteParams::background()).await;
                match deleted {
                    Err(kube::Error::Api(status)) if status.is_not_found() => {}
                    // It is being deleted already.
                    Err(kube::Error::Api(status)) if status.is_conflict() => left.push(name),
                    Err(error) => return Err(error.to_string()),
                    Ok(_) => left.push(name),
                }
            }
            left.is_empty().then_some(()).ok_or(format!("{left:?}"))
        })
        .await;
    }

    #[tokio::test]
    async fn a_release_is_restored_into_an_empty_cluster_by_the_documented_commands() {
        let more = json!({ "builds": { "pullSecrets": ["registry"] } });
        let story = begin("restored", &more).await;
        builds(&story, "before").await;
        let registry = json!({
            "metadata": { "name": "registry" },
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": { ".dockerconfigjson": r#"{"auths":{}}"# },
        });
        let registry: Secret = serde_json::from_value(registry).unwrap();
        let how = PostParams::default();
        let made = story.in_builds::<Secret>().create(&how, &registry).await;
        made.unwrap();
        let key = async || {
            let key = story.api::<Secret>().get("prbuild-signing-key").await;
            key.unwrap().data
        };
        let before = key().await;

        let terminal = Terminal::open(&story);
        let back_up = commands("backup.md", "Back up");
        terminal.run(&back_up[0]).await;
        terminal.run(&back_up[1]).await;
        lose_namespaces(&story).await;
        let [restore, ids] = commands("backup.md", "Restore").try_into().unwrap();
        let (restore, doctor) = restore.rsplit_once('\n').unwrap();
        assert!(doctor.contains("prbuild doctor"), "{doctor}");
        terminal.run(restore).await;

        assert_eq!(key().await, before, "the hook left the key that it found");
        assert!(story.in_builds::<Secret>().get("registry").await.is_ok());
        eventually("the doctor is content", PATIENCE, async || {
            let said = prbuild(&story, &["doctor"]).await;
            let mut wrong = said.out.lines().filter(|line| line.starts_with('✕'));
            // Whether GitHub's hook arrives here is looked at every hour.
            match wrong.all(|line| line.contains("Webhook")) && !said.out.is_empty() {
                true => Ok(()),
                false => Err(format!("{said:?}")),
            }
        })
        .await;
        assert!(terminal.run(&ids).await.starts_with("app "));
        builds(&story, "after").await;
        story.end().await;
    }

    #[tokio::test]
    async fn a_signing_key_that_is_lost_is_made_anew_by_the_documented_commands() {
        let story = begin("lost-key", &json!({})).await;
        let key = async || {
            let key = story.api::<Secret>().get("prbuild-signing-key").await;
            key.unwrap().data.unwrap()["public.pem"].0.clone()
        };
        let before = key().await;
        let terminal = Terminal::open(&story);
        let [renew, owners] = commands("backup.md", "The signing key is lost")
            .try_into()
            .unwrap();
        let said = terminal.run(&renew).await;
        assert!(said.contains("fingerprint of key set 1: "), "{said}");
        assert_ne!(key().await, before);
        terminal.run(&owners).await;
        builds(&story, "new-key").await;
        story.end().await;
    }
}
