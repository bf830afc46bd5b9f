//! What a Repository says of itself when GitHub is asked.

use crds::{Builder, Repository, condition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator::health::{
    entrance::{Webhooks, probe, webhooks},
    repository::{check, look},
};
use serde_json::json;
use std::time::Duration;

use tests::forge::{App, AppOptions, ConnectionKind, Fault, Role};

use super::{APP, Scene, receiver, signed};

const SECRET: &str = "a webhook secret of 32 characters";

fn repository(owner: &str, connection: &str) -> Repository {
    let json = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Repository", "metadata": { "name": "app" },
        "spec": { "owner": owner, "name": "app", "connection": connection, "labels": [{ "name": "test" }] },
    });
    serde_json::from_value(json).unwrap()
}

fn builder() -> Builder {
    let json = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Builder", "metadata": { "name": "debian" },
        "spec": { "displayName": "Debian", "steps": [{ "run": "make" }], "kubernetes": { "image": "debian" } },
    });
    serde_json::from_value(json).unwrap()
}

/// Reason and message of `Ready`, and the id that was recorded.
async fn ready(scene: &Scene, repository: &Repository) -> (String, String, Option<i64>) {
    let seen = look(&scene.connections, repository).await;
    let now = Time(scene.forge.clock().now());
    let none: &[Repository] = &[];
    let status = check(repository, &seen, None, None, none, &[builder()], &now)
        .unwrap()
        .status;
    let ready = condition::find(&status.conditions, condition::kind::READY).unwrap();
    (ready.reason.clone(), ready.message.clone(), status.id)
}

#[tokio::test]
async fn a_public_repository_with_an_app_that_may_write_is_ready() {
    let scene = Scene::new().await;
    let (reason, _, id) = ready(&scene, &repository("octo", "main")).await;
    assert_eq!(
        (reason.as_str(), id),
        ("Valid", Some(signed(scene.forge.repository_id(APP))))
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let scene = Scene::new().await;
    assert_eq!(
        ready(&scene, &repository("octo", "other")).await.0,
        "NoConnection"
    );
    assert_eq!(
        ready(&scene, &repository("nobody", "main")).await.0,
        "NotFound"
    );
    scene.forge.set_private(APP, true);
    assert_eq!(
        ready(&scene, &repository("octo", "main")).await.0,
        "Private"
    );
    scene.forge.set_private(APP, false);
    scene
        .forge
        .faults()
        .next(1, "GET /repos/octo/app", Fault::Status(502));
    assert_eq!(
        ready(&scene, &repository("octo", "main")).await.0,
        "GitHubUnreachable"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_permission_that_the_app_was_not_granted_is_named() {
    let scene = Scene::granted("statuses", "read").await;
    let (reason, message, _) = ready(&scene, &repository("octo", "main")).await;
    assert!(
        reason == "PermissionMissing" && message.contains("statuses"),
        "{reason}: {message}"
    );
}

/// With an App whose webhook is answered with this status.
async fn with_app(status: u16) -> (Scene, App) {
    let url = receiver(status).await;
    let mut made = None;
    let scene = Scene::with(|forge| {
        let app = forge.add_app(AppOptions {
            repositories: vec![APP.to_owned()],
            hook: Some((url, SECRET.to_owned())),
            ..AppOptions::default()
        });
        made = Some(app.clone());
        (app.bot.clone(), ConnectionKind::App(app))
    })
    .await;
    (scene, made.unwrap())
}

/// Status, reason and message of a condition after everything was looked at.
async fn says(scene: &Scene, repository: &Repository, kind: &str) -> (String, String, String) {
    let seen = look(&scene.connections, repository).await;
    let spec = &repository.spec;
    let connection = scene.connections.get(&spec.connection).unwrap();
    let repo = connection.repo(&spec.owner, &spec.name);
    let probe = probe(&repo, webhooks(&repo).await, None).await;
    let now = Time(scene.forge.clock().now());
    let none: &[Repository] = &[];
    let change = check(
        repository,
        &seen,
        None,
        Some(&probe),
        none,
        &[builder()],
        &now,
    );
    let conditions = change.unwrap().status.conditions;
    let found = condition::find(&conditions, kind).unwrap().clone();
    (found.status, found.reason, found.message)
}

#[tokio::test]
async fn a_webhook_whose_deliveries_are_taken_is_well_and_one_with_another_secret_is_not() {
    for (status, expected) in [
        (202, ("True", "Delivering")),
        (401, ("False", "WebhookSecret")),
    ] {
        let (scene, _) = with_app(status).await;
        scene.forge.comment(APP, scene.number, "ada", "Looks good.");
        scene.forge.deliveries_settled().await;
        let repository = repository("octo", "main");
        let (holds, reason, message) = says(&scene, &repository, "Webhook").await;
        assert_eq!((holds.as_str(), reason.as_str()), expected, "{message}");
        let (ready, why, _) = says(&scene, &repository, condition::kind::READY).await;
        assert_eq!(
            (ready.as_str(), why == "WebhookSecret"),
            (expected.0, status == 401)
        );
        scene.forge.finish().await;
    }
}

#[tokio::test]
async fn a_webhook_that_never_delivered_is_found_after_its_first_minute() {
    let (scene, _) = with_app(202).await;
    let repository = repository("octo", "main");
    assert_eq!(says(&scene, &repository, "Webhook").await.0, "Unknown");
    scene.forge.clock().advance(Duration::from_secs(120));
    let (ready, reason, message) = says(&scene, &repository, condition::kind::READY).await;
    assert_eq!(
        (ready.as_str(), reason.as_str()),
        ("False", "WebhookSilent")
    );
    assert!(message.contains("never delivered"), "{message}");
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_event_that_the_app_is_not_subscribed_to_is_named() {
    let (scene, app) = with_app(202).await;
    let hook = scene.forge.app_hook(app.id).unwrap();
    scene.forge.set_hook_events(hook, &["pull_request"]);
    let repository = repository("octo", "main");
    let (_, reason, message) = says(&scene, &repository, condition::kind::READY).await;
    assert_eq!(reason, "EventMissing");
    assert!(message.contains("`issue_comment`"), "{message}");
    scene.forge.finish().await;
}

#[tokio::test]
async fn the_webhook_of_a_repository_is_judged_where_the_token_may_see_it() {
    let scene = Scene::new().await;
    let repository = repository("octo", "main");
    let hook = scene.forge.add_hook(APP, &receiver(404).await, SECRET);
    let (holds, reason, message) = says(&scene, &repository, "Webhook").await;
    assert_eq!(
        (holds.as_str(), reason.as_str()),
        ("Unknown", "NotVisible"),
        "{message}"
    );
    scene.forge.set_permission(APP, &scene.bot, Role::Admin);
    scene.forge.ping(hook);
    scene.forge.deliveries_settled().await;
    let (_, reason, message) = says(&scene, &repository, condition::kind::READY).await;
    assert!(
        reason == "WebhookSilent" && message.contains("404"),
        "{reason}: {message}"
    );
    scene.forge.remove_hook(hook);
    assert_eq!(says(&scene, &repository, "Webhook").await.1, "NoWebhook");
    scene.forge.finish().await;
}

#[tokio::test]
async fn the_permission_that_a_setting_asks_for_is_named() {
    let (scene, _) = with_app(202).await;
    let mut checks = repository("octo", "main");
    checks.spec.reporting.mode = crds::ReportMode::Checks;
    let (_, reason, message) = says(&scene, &checks, condition::kind::READY).await;
    assert!(
        reason == "PermissionMissing" && message.contains("checks: write"),
        "{reason}: {message}"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_probe_shows_whether_a_forks_activity_can_be_read() {
    let scene = Scene::new().await;
    let repository = repository("octo", "main");
    let (holds, reason, message) = says(&scene, &repository, "ForkActivity").await;
    assert_eq!(
        (holds.as_str(), reason.as_str()),
        ("True", "Readable"),
        "{message}"
    );
    let fork = scene.forge.repository_id("mallory/app");
    let asked = format!("GET /repositories/{fork}/activity");
    scene.forge.faults().next(1, &asked, Fault::Status(404));
    let (holds, _, message) = says(&scene, &repository, "ForkActivity").await;
    assert!(
        holds == "False" && message.contains("`mallory/app`"),
        "{message}"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_second_probe_of_pull_requests_that_did_not_change_costs_nothing_of_the_budget() {
    let scene = Scene::new().await;
    let connection = scene.connections.get("main").unwrap();
    let repo = connection.repo("octo", "app");
    let first = probe(&repo, Webhooks::Hidden, None).await;
    scene.forge.log().clear();
    let second = probe(&repo, Webhooks::Hidden, Some(first.clone())).await;
    let asked = scene.forge.log().matching("GET /**");
    let answers: Vec<u16> = asked.iter().map(|one| one.status).collect();
    assert_eq!(answers, [304], "{asked:?}");
    assert_eq!(
        (second.last_change, second.forks),
        (first.last_change, first.forks)
    );
    scene.forge.finish().await;
}
