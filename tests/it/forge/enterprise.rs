//! A GitHub Enterprise Server: the same API below another path.

use serde_json::json;
use tests::forge::{ForgeOptions, TokenOptions};
use tokio::process::Command;

use super::client::Client;
use super::webhooks::Listener;
use super::{APP, mallory_opens, with};

#[tokio::test]
async fn an_enterprise_server_has_its_api_below_a_path_and_says_its_version() {
    let forge = with(ForgeOptions {
        enterprise: Some("3.17.2".to_owned()),
        ..ForgeOptions::default()
    })
    .await;
    let listener = Listener::of(&forge).await;
    let (number, head) = mallory_opens(&forge).await;
    assert!(forge.api_url().ends_with("/api/v3"));
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    let shown = ada.get(&format!("/repos/octo/app/pulls/{number}")).await;
    assert_eq!(shown.header("x-github-enterprise-version"), "3.17.2");
    let url = shown.json()["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&forge.api_url()), "{url}");
    assert_eq!(ada.get(&url).await.status, 200);
    let id = forge.repository_id(APP);
    assert_eq!(ada.get(&format!("/repositories/{id}")).await.status, 200);
    let graphql = forge.api_url().replace("/api/v3", "/api/graphql");
    let query = json!({"query": "query { viewer { login } }"});
    let told = ada.post(&graphql, query).await.json();
    assert_eq!(told["data"]["viewer"]["login"], "ada");
    for text in ["a", "b"] {
        forge.comment(APP, number, "ada", text);
    }
    let page = format!("/repos/octo/app/issues/{number}/comments?per_page=1");
    let next = ada.get(&page).await.link("next").unwrap();
    assert_eq!(ada.get(&next).await.json()[0]["body"], "b");
    let git = forge.git_url("127.0.0.1".parse().unwrap());
    let listed = Command::new("git")
        .args(["ls-remote", &format!("{git}/octo/app.git")])
        .output()
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains(&head));
    forge.deliveries_settled().await;
    assert_eq!(listener.header("x-github-enterprise-version"), "3.17.2");
    forge.rename_repository(APP, "tool", "maintainer");
    let moved = ada.get("/repos/octo/app").await;
    assert_eq!(
        moved.header("location"),
        format!("{}/repositories/{id}", forge.api_url())
    );
    forge.finish().await;
}

#[tokio::test]
async fn an_enterprise_server_has_no_api_at_its_root() {
    let forge = with(ForgeOptions {
        enterprise: Some("3.17.2".to_owned()),
        validate: false,
        ..ForgeOptions::default()
    })
    .await;
    let root = forge.git_url("127.0.0.1".parse().unwrap());
    let asked = Client::anonymous(&forge)
        .get(&format!("{root}/repos/octo/app"))
        .await;
    assert_eq!(asked.status, 404);
}
