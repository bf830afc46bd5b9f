//! Users, roles, teams and personal tokens.

use std::time::Duration;

use serde_json::json;
use tests::forge::{Permissions, Role, TokenOptions, UserType};

use super::client::Client;
use super::{APP, forge, mallory_opens};

#[tokio::test]
async fn a_role_is_told_in_the_old_words_and_by_its_name() {
    let forge = forge().await;
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    for (role, old, name) in [
        (Role::Admin, "admin", "admin"),
        (Role::Maintain, "write", "maintain"),
        (Role::Write, "write", "write"),
        (Role::Triage, "read", "triage"),
        (Role::Read, "read", "read"),
        (Role::None, "none", "none"),
    ] {
        forge.add_user("grace", UserType::User);
        forge.set_permission(APP, "grace", role);
        let told = ada
            .get("/repos/octo/app/collaborators/grace/permission")
            .await
            .json();
        assert_eq!(
            (&told["permission"], &told["role_name"]),
            (&json!(old), &json!(name))
        );
        assert_eq!(
            told["user"]["permissions"]["push"],
            json!(role >= Role::Write)
        );
    }
    forge.finish().await;
}

#[tokio::test]
async fn a_custom_role_shows_what_it_builds_on() {
    let forge = forge().await;
    forge.set_custom_role(APP, "mallory", Role::Write, "docs-writer");
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    let told = ada
        .get("/repos/octo/app/collaborators/mallory/permission")
        .await
        .json();
    assert_eq!(
        (&told["permission"], &told["role_name"]),
        (&json!("write"), &json!("docs-writer"))
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_renamed_user_keeps_the_id_and_leaves_the_name_to_others() {
    let forge = forge().await;
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    let id = forge.user_id("mallory");
    forge.rename_user("mallory", "mal");
    assert_eq!(
        ada.get("/repos/octo/app/collaborators/mallory/permission")
            .await
            .status,
        404
    );
    let other = forge.add_user("mallory", UserType::User);
    let told = ada
        .get("/repos/octo/app/collaborators/mallory/permission")
        .await
        .json();
    assert_eq!(told["user"]["id"], json!(other));
    assert_ne!(other, id);
    assert_eq!(
        ada.get("/repos/octo/app/collaborators/mal/permission")
            .await
            .json()["user"]["id"],
        json!(id)
    );
    forge.finish().await;
}

#[tokio::test]
async fn strangers_read_and_may_neither_write_nor_see_roles() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let anybody = Client::anonymous(&forge);
    assert_eq!(
        anybody
            .get(&format!("/repos/octo/app/pulls/{number}"))
            .await
            .status,
        200
    );
    assert_eq!(
        anybody
            .get("/repos/octo/app/collaborators/ada/permission")
            .await
            .status,
        401
    );
    let status = json!({"state": "success", "context": "x"});
    assert_eq!(
        anybody
            .post(&format!("/repos/octo/app/statuses/{head}"), status.clone())
            .await
            .status,
        401
    );
    let mallory = Client::with_token(&forge, &forge.add_token("mallory", TokenOptions::default()));
    assert_eq!(
        mallory
            .post(&format!("/repos/octo/app/statuses/{head}"), status)
            .await
            .status,
        403
    );
    assert_eq!(
        mallory
            .get("/repos/octo/app/collaborators/ada/permission")
            .await
            .status,
        403
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_personal_token_ends_by_the_clock_of_the_forge_and_when_it_is_revoked() {
    let forge = forge().await;
    let lifetime = Some(Duration::from_secs(3600));
    let first = forge.add_token(
        "ada",
        TokenOptions {
            lifetime,
            ..TokenOptions::default()
        },
    );
    let second = forge.add_token("ada", TokenOptions::default());
    let (first, kept) = (Client::with_token(&forge, &first), second.clone());
    let second = Client::with_token(&forge, &second);
    assert_eq!(first.get("/user").await.json()["login"], "ada");
    forge.clock().advance(Duration::from_secs(3601));
    assert_eq!(first.get("/user").await.status, 401);
    assert_eq!(second.get("/user").await.status, 200);
    forge.revoke_token(&kept);
    assert_eq!(
        second.get("/user").await.json()["message"],
        "Bad credentials"
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_fine_grained_token_does_only_what_it_was_made_for() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let permissions = Permissions::from([("pull_requests".to_owned(), "write".to_owned())]);
    let token = forge.add_token(
        "ada",
        TokenOptions {
            permissions: Some(permissions),
            lifetime: None,
        },
    );
    let ada = Client::with_token(&forge, &token);
    let status = ada
        .post(
            &format!("/repos/octo/app/statuses/{head}"),
            json!({"state": "success"}),
        )
        .await;
    assert_eq!(
        (status.status, status.json()["message"].clone()),
        (
            403,
            json!("Resource not accessible by personal access token")
        )
    );
    let labelled = ada
        .post(
            &format!("/repos/octo/app/issues/{number}/labels"),
            json!({"labels": ["x"]}),
        )
        .await;
    assert_eq!(labelled.status, 200);
    forge.finish().await;
}

#[tokio::test]
async fn a_team_knows_members_invited_ones_and_nobody_else() {
    let forge = forge().await;
    forge.add_to_team("octo", "core", "ada", true);
    forge.add_to_team("octo", "core", "mallory", false);
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    assert_eq!(
        ada.get("/orgs/octo/teams/core/memberships/ada")
            .await
            .json()["state"],
        "active"
    );
    assert_eq!(
        ada.get("/orgs/octo/teams/core/memberships/mallory")
            .await
            .json()["state"],
        "pending"
    );
    assert_eq!(
        ada.get("/orgs/octo/teams/core/memberships/maintainer")
            .await
            .status,
        404
    );
    assert_eq!(
        ada.get("/orgs/octo/teams/other/memberships/ada")
            .await
            .status,
        404
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_private_repository_is_not_there_for_strangers() {
    let forge = forge().await;
    forge.set_private(APP, true);
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    assert_eq!(ada.get("/repos/octo/app").await.json()["private"], true);
    assert_eq!(
        Client::anonymous(&forge)
            .get("/repos/octo/app")
            .await
            .status,
        404
    );
    forge.finish().await;
}
