//! A repository that is renamed or transferred: its id stays, and its old name leads on.

use serde_json::{Value, json};
use tests::forge::{AppOptions, Forge, TokenOptions, UserType};
use tokio::process::Command;

use super::apps::token_of;
use super::client::{Client, Reply};
use super::webhooks::Listener;
use super::{APP, forge, mallory_opens};

/// A repository webhook that hears of renames.
async fn listener(forge: &Forge) -> Listener {
    let listener = Listener::of(forge).await;
    let hook = forge.hooks(APP)[0];
    forge.set_hook_events(hook, &["repository", "issue_comment"]);
    listener
}

fn led_on(reply: &Reply) -> (u16, String) {
    (reply.status, reply.header("location").to_owned())
}

#[tokio::test]
async fn the_old_name_of_a_renamed_repository_leads_to_its_id() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let (id, listener) = (forge.repository_id(APP), listener(&forge).await);
    forge.rename_repository(APP, "tool", "maintainer");
    forge.deliveries_settled().await;
    let (event, told) = listener.heard().pop().unwrap();
    assert_eq!(
        (event.as_str(), &told["action"]),
        ("repository", &json!("renamed"))
    );
    assert_eq!(told["changes"]["repository"]["name"]["from"], "app");
    assert_eq!(
        (&told["repository"]["id"], &told["repository"]["full_name"]),
        (&json!(id), &json!("octo/tool"))
    );
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    let reply = ada
        .get(&format!("/repos/octo/app/pulls/{number}?x=y"))
        .await;
    let by_id = format!("{}/repositories/{id}", forge.api_url());
    assert_eq!(led_on(&reply), (301, format!("{by_id}/pulls/{number}?x=y")));
    assert_eq!(reply.json()["message"], "Moved Permanently");
    let body = json!({"state": "success", "context": "c"});
    let reply = ada
        .post(&format!("/repos/octo/app/statuses/{head}"), body.clone())
        .await;
    assert_eq!(led_on(&reply), (307, format!("{by_id}/statuses/{head}")));
    assert_eq!(ada.post(reply.header("location"), body).await.status, 201);
    assert_eq!(ada.get(&by_id).await.json()["full_name"], "octo/tool");
    assert_eq!(ada.get("/repos/octo/tool").await.json()["id"], json!(id));
    let old = ada.get("/repositories/1").await;
    assert_eq!(old.status, 404);
    let found: Vec<String> = forge
        .violations()
        .into_iter()
        .map(|one| one.difference)
        .collect();
    assert_eq!(
        found.len(),
        1,
        "only the query that nobody knows: {found:?}"
    );
}

#[tokio::test]
async fn git_and_graphql_follow_a_rename() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    forge.rename_repository(APP, "tool", "maintainer");
    let url = format!("{}/octo/app.git", forge.api_url());
    let listed = Command::new("git")
        .args(["ls-remote", &url, &format!("refs/pull/{number}/head")])
        .output()
        .await
        .unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.starts_with(&head), "{listed}");
    let query = "query { repository(owner: \"octo\", name: \"app\") { nameWithOwner } }";
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    let told = ada.post("/graphql", json!({"query": query})).await.json();
    assert_eq!(told["data"]["repository"]["nameWithOwner"], "octo/tool");
    forge.finish().await;
}

#[tokio::test]
async fn a_transferred_repository_keeps_its_webhooks_and_leaves_its_installations() {
    let forge = forge().await;
    mallory_opens(&forge).await;
    let (id, listener) = (forge.repository_id(APP), listener(&forge).await);
    let app = forge.add_app(AppOptions {
        repositories: vec![APP.to_owned()],
        ..AppOptions::default()
    });
    let before = token_of(&forge, &app).await;
    forge.add_user("newcorp", UserType::Organization);
    forge.transfer_repository(APP, "newcorp", "maintainer");
    forge.deliveries_settled().await;
    let (_, told) = listener.heard().pop().unwrap();
    assert_eq!(
        (
            &told["action"],
            &told["changes"]["owner"]["from"]["user"]["login"]
        ),
        (&json!("transferred"), &json!("octo"))
    );
    let labels = |name: &str| format!("/repos/{name}/issues/1/labels");
    let refused = before
        .post(&labels("newcorp/app"), json!({"labels": ["x"]}))
        .await;
    assert_eq!(refused.status, 403, "the App is not installed there");
    let moved = before.get("/repos/octo/app").await;
    assert_eq!(moved.status, 301);
    let again = forge.install(app.id, &["newcorp/app"]);
    let app = tests::forge::App {
        installation_id: again,
        ..app
    };
    let after = token_of(&forge, &app).await;
    let set = after
        .post(&labels("newcorp/app"), json!({"labels": ["x"]}))
        .await;
    assert_eq!(set.status, 200);
    assert_eq!(forge.repository_id("newcorp/app"), id);
    forge.finish().await;
}

#[tokio::test]
async fn somebody_who_takes_the_old_name_is_not_the_old_repository() {
    let forge = forge().await;
    let id = forge.repository_id(APP);
    forge.rename_repository(APP, "tool", "maintainer");
    forge.add_repository(APP, &[("README", "Another.\n")]).await;
    let shown = Client::anonymous(&forge).get("/repos/octo/app").await;
    assert_eq!(shown.status, 200);
    assert_ne!(shown.json()["id"], json!(id));
    forge.finish().await;
}

#[tokio::test]
async fn a_pull_request_outlives_the_fork_that_it_came_from() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    forge.delete_fork("mallory/app");
    let client = Client::anonymous(&forge);
    let shown = client
        .get(&format!("/repos/octo/app/pulls/{number}"))
        .await
        .json();
    assert_eq!(shown["head"]["repo"], Value::Null);
    assert_eq!(shown["head"]["sha"], json!(head));
    assert_eq!(client.get("/repos/mallory/app/activity").await.status, 404);
    forge.finish().await;
}
