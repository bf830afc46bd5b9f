//! What a Repository says of itself when GitHub is asked.

use crds::{Builder, Repository, condition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator::health::repository::{check, look};
use serde_json::json;
use tests::forge::Fault;

use super::{APP, Scene, signed};

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
