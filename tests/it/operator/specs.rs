//! What is wrong with a Builder or a Repository is said by itself, and by the runs that need it.

use std::{fmt::Debug, time::Duration};

use crds::{BuildResult, Builder, PrBuild, Repository, RunPhase, condition};
use k8s_openapi::{api::events::v1::Event, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;
use serde_json::json;
use tests::{
    cluster::{Fate, eventually, shared_control_plane},
    story::{ADA, LABEL, PATIENCE, REPO, SECRET, Setting, Story, apply},
};

use super::{begin, build_of, phase_of, reason_of};
use crate::report::receiver;

/// Waits until an object's condition is false for this reason, and an Event says so too. Returns
/// the sentence.
async fn complains<K>(
    story: &Story,
    name: &str,
    kind: &str,
    reason: &str,
    conditions: impl Fn(&K) -> Vec<Condition>,
) -> String
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug,
{
    let sentence = story
        .eventually_in(&format!("{name} says {reason}"), name, |object: &K| {
            let conditions = conditions(object);
            match condition::find(&conditions, kind) {
                Some(found) if found.status == "False" && found.reason == reason => {
                    Ok(found.message.clone())
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    eventually(
        format!("an Event about {name} says {reason}"),
        PATIENCE,
        async || {
            let all = story
                .api::<Event>()
                .list(&ListParams::default())
                .await
                .map_err(|error| error.to_string())?;
            let about = |event: &&Event| {
                event
                    .regarding
                    .as_ref()
                    .and_then(|about| about.name.as_deref())
                    == Some(name)
            };
            let told: Vec<(Option<&str>, Option<&str>, Option<&str>)> = all
                .items
                .iter()
                .filter(about)
                .map(|event| {
                    (
                        event.type_.as_deref(),
                        event.reason.as_deref(),
                        event.note.as_deref(),
                    )
                })
                .collect();
            let wanted = (Some("Warning"), Some(reason), Some(sentence.as_str()));
            if told.contains(&wanted) {
                Ok(())
            } else {
                Err(format!("{told:?}"))
            }
        },
    )
    .await;
    sentence
}

async fn builder_complains(story: &Story, name: &str, reason: &str) -> String {
    let conditions = |builder: &Builder| builder.status.clone().unwrap_or_default().conditions;
    complains(story, name, condition::kind::READY, reason, conditions).await
}

async fn repository_complains(story: &Story, name: &str, reason: &str) -> String {
    let conditions =
        |repository: &Repository| repository.status.clone().unwrap_or_default().conditions;
    complains(story, name, condition::kind::READY, reason, conditions).await
}

/// The build's only run ends in error, for a reason with these words.
async fn errs(story: &Story, name: &str, words: &str) {
    story
        .eventually_in("it ends in error", name, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            if status.result == Some(BuildResult::Error) {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await;
    let run = story.runs(name).await.remove(0);
    let reason = reason_of(&run);
    assert_eq!(phase_of(&run), RunPhase::Error, "{reason}");
    assert!(reason.contains(words), "{reason}");
    assert!(story.jobs().await.is_empty(), "nothing was started for it");
}

#[tokio::test]
async fn a_builder_with_a_bad_image_name_says_so_and_so_does_its_run() {
    let story = begin("badimage", Fate::passes()).await;
    story
        .builder("debian", |spec| {
            spec.kubernetes.as_mut().unwrap().image = "GCC Latest!".into()
        })
        .await;
    let sentence = builder_complains(&story, "debian", "InvalidImage").await;
    assert!(
        sentence.contains("`GCC Latest!` is not the name of an image"),
        "{sentence}"
    );
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    errs(&story, &name, "`GCC Latest!` is not the name of an image").await;
    story.complete(&name).await;
    let last = story.last_statuses(number);
    assert_eq!(last[0].1, "error");
    assert!(
        last[0]
            .2
            .starts_with("Error: `GCC Latest!` is not the name of an image"),
        "{last:?}"
    );
    // Once it is right, it is said to be right.
    story.builder("debian", |_| {}).await;
    let (number, name) = build_of(&story, "second", &["debian"]).await;
    story.complete(&name).await;
    assert_eq!(story.last_statuses(number)[0].1, "success");
    story.end().await;
}

#[tokio::test]
async fn of_two_builders_with_one_display_name_the_older_keeps_it_and_its_status() {
    let story = begin("samename", Fate::passes()).await;
    for builder in ["older", "younger"] {
        story
            .builder(builder, |spec| spec.display_name = "Debian".into())
            .await;
    }
    let sentence = builder_complains(&story, "younger", "DuplicateDisplayName").await;
    assert!(sentence.contains("`older`"), "{sentence}");
    let (number, name) = build_of(&story, "change", &["older", "younger"]).await;
    let build = story.complete(&name).await;
    assert_eq!(build.status.unwrap().summary, "1 passed, 1 error");
    let last = story.last_statuses(number);
    let debian = last
        .iter()
        .find(|(context, ..)| context == "prbuild/Debian")
        .unwrap();
    assert_eq!(
        debian.1, "success",
        "the younger one does not overwrite the older one's status: {last:?}"
    );
    story.end().await;
}

#[tokio::test]
async fn a_repository_without_its_connection_says_so_and_so_does_its_run() {
    let story = begin("noconn", Fate::passes()).await;
    story.builder("debian", |_| {}).await;
    story
        .repository(|spec| spec.connection = "nowhere".into())
        .await;
    let sentence = repository_complains(&story, "app", "NoConnection").await;
    assert!(sentence.contains("`nowhere`"), "{sentence}");
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    errs(&story, &name, "there is no valid connection `nowhere`").await;
    assert!(story.last_statuses(number).is_empty(), "nobody can tell");
    is_told_once_it_is_back(&story, number, &name).await;
    story.end().await;
}

#[tokio::test]
async fn a_connection_that_comes_after_its_repository_is_found_at_once() {
    let story = begin("lateconn", Fate::passes()).await;
    story
        .repository(|spec| spec.connection = "later".into())
        .await;
    repository_complains(&story, "app", "NoConnection").await;
    let connections = story.connections().unwrap();
    let later = connections.join("later");
    std::fs::create_dir(&later).unwrap();
    for file in std::fs::read_dir(connections.join("github")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), later.join(file.file_name())).unwrap();
    }
    story
        .eventually_in("it is ready", "app", |repository: &Repository| {
            let status = repository.status.clone().unwrap_or_default();
            match condition::builds(&status.conditions) {
                true => Ok(()),
                false => Err(format!("{status:?}")),
            }
        })
        .await;
    story.end().await;
}

/// A story whose App has a webhook that is answered with this status. No operator runs yet.
async fn hooked(name: &str, status: u16) -> Story {
    let access = shared_control_plane();
    let story = Story::begin(&access, name, Setting::default())
        .await
        .unwrap();
    story.builder("debian", |_| {}).await;
    let app = story.forge.app_on(REPO).unwrap();
    let url = receiver(status).await;
    story.forge.set_app_hook(app, &url, SECRET);
    story
}

#[tokio::test]
async fn a_webhook_that_signs_with_another_secret_is_seen_by_the_operator_and_builds_go_on() {
    let mut story = hooked("badsecret", 401).await;
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    story.forge.comment(REPO, number, ADA, "Looks good.");
    story.forge.deliveries_settled().await;
    story.pods_go(|_| Fate::passes());
    story.start_operator().await.unwrap();
    let sentence = repository_complains(&story, "app", "WebhookSecret").await;
    assert!(sentence.contains("with 401"), "{sentence}");
    let build = story.authorized(number, &["debian"]).await.name_any();
    let build = story.complete(&build).await;
    assert_eq!(build.status.unwrap().result, Some(BuildResult::Passed));
    story.end().await;
}

#[tokio::test]
async fn a_webhook_that_never_delivered_is_seen_by_the_operator() {
    let mut story = hooked("silent", 202).await;
    story.forge.clock().advance(Duration::from_secs(120));
    story.start_operator().await.unwrap();
    let sentence = repository_complains(&story, "app", "WebhookSilent").await;
    assert!(sentence.contains("never delivered"), "{sentence}");
    story.end().await;
}

#[tokio::test]
async fn a_private_repository_is_not_built() {
    let story = begin("private", Fate::passes()).await;
    story.builder("debian", |_| {}).await;
    story.forge.set_private(REPO, true);
    // Any change lets it be looked at anew.
    story
        .repository(|spec| spec.guards.quiet_period_seconds = 61)
        .await;
    let sentence = repository_complains(&story, "app", "Private").await;
    assert!(
        sentence.contains("only public repositories are built"),
        "{sentence}"
    );
    let (_, name) = build_of(&story, "change", &["debian"]).await;
    errs(&story, &name, "private").await;
    story.end().await;
}

#[tokio::test]
async fn of_two_repositories_for_one_the_older_stays() {
    let story = begin("twice", Fate::passes()).await;
    story.builder("debian", |_| {}).await;
    let (owner, name) = REPO.split_once('/').unwrap();
    let spec = json!({
        "owner": owner, "name": name, "connection": "github", "labels": [{ "name": LABEL }],
    });
    apply(
        &story.api::<Repository>(),
        "zweite",
        json!({ "spec": spec }),
    )
    .await;
    let sentence = repository_complains(&story, "zweite", "Duplicate").await;
    assert!(sentence.contains("`app`"), "{sentence}");
    let number = story.open_pull_request("change", &[("README", "x")]).await;
    let through = |name: &'static str| {
        move |spec: &mut crds::PrBuildSpec| spec.request.repository.name = name.into()
    };
    let build = story
        .authorized_with(number, &["debian"], through("zweite"))
        .await;
    errs(&story, &build.name_any(), "`app`").await;
    let (number, name) = build_of(&story, "second", &["debian"]).await;
    story.complete(&name).await;
    assert_eq!(story.last_statuses(number)[0].1, "success");
    story.end().await;
}

#[tokio::test]
async fn a_label_that_selects_nothing_is_named() {
    let story = begin("selects", Fate::passes()).await;
    story.builder("debian", |_| {}).await;
    story
        .eventually_in("every label selects", "app", |repository: &Repository| {
            let conditions = repository.status.clone().unwrap_or_default().conditions;
            if condition::is_true(&conditions, "LabelsSelect") {
                Ok(())
            } else {
                Err(format!("{conditions:?}"))
            }
        })
        .await;
    story
        .repository(|spec| {
            let mut other = spec.labels[0].clone();
            other.name = "test-refleaks".into();
            other.flavour = "refleak".into();
            spec.labels.push(other);
        })
        .await;
    let conditions =
        |repository: &Repository| repository.status.clone().unwrap_or_default().conditions;
    let sentence = complains(
        &story,
        "app",
        "LabelsSelect",
        "ImpossibleSelector",
        conditions,
    )
    .await;
    assert!(
        sentence.contains("`test-refleaks`") && sentence.contains("`refleak`"),
        "{sentence}"
    );
    // The other label is as good as before.
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    story.complete(&name).await;
    assert_eq!(story.last_statuses(number)[0].1, "success");
    // No label is left that selects anything: the whole is not ready.
    story
        .repository(|spec| spec.labels[0].flavour = "refleak".into())
        .await;
    repository_complains(&story, "app", "ImpossibleSelector").await;
    story.end().await;
}

#[tokio::test]
async fn a_repository_that_is_deleted_ends_what_needs_it_in_error() {
    let story = begin("norepo", Fate::passes()).await;
    story.builder("debian", |_| {}).await;
    story
        .api::<Repository>()
        .delete("app", &Default::default())
        .await
        .unwrap();
    eventually("it is gone", PATIENCE, async || {
        let found = story
            .api::<Repository>()
            .get_opt("app")
            .await
            .map_err(|error| error.to_string())?;
        found.map_or(Ok(()), |found| Err(format!("{found:?}")))
    })
    .await;
    let (number, name) = build_of(&story, "change", &["debian"]).await;
    errs(&story, &name, "the Repository `app`").await;
    is_told_once_it_is_back(&story, number, &name).await;
    story.end().await;
}

/// The build says that its result is not told yet, until its Repository is as it was.
async fn is_told_once_it_is_back(story: &Story, number: u64, name: &str) {
    story
        .eventually_in("it says what is not told", name, |build: &PrBuild| {
            let status = build.status.clone().unwrap_or_default();
            let reported = condition::find(&status.conditions, condition::kind::REPORTED);
            let says = reported
                .is_some_and(|found| found.status == "False" && found.message.contains("`app`"));
            if says {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await;
    story.repository(|_| {}).await;
    // Whoever waits for a Repository looks again every half minute.
    story.complete_within(name, Duration::from_secs(75)).await;
    assert_eq!(story.last_statuses(number)[0].1, "error");
    story
        .forge
        .eventually(PATIENCE, "the label to go", |forge| {
            forge.labels(REPO, number).is_empty().then_some(())
        })
        .await;
    assert_eq!(story.forge.comments(REPO, number).len(), 1);
}
