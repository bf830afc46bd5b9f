//! Labels, comments, reactions and commit statuses.

use serde_json::json;
use tests::forge::{Forge, Role, TokenOptions};

use super::client::Client;
use super::{APP, forge, mallory_opens};

fn person(forge: &Forge, login: &str) -> Client {
    Client::with_token(forge, &forge.add_token(login, TokenOptions::default()))
}

#[tokio::test]
async fn a_label_with_an_emoji_is_removed_by_its_encoded_name_and_only_once() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    forge.add_label(APP, number, ":hammer: test-with buildbots", "ada");
    forge.add_label(APP, number, "🔨 a/b", "ada");
    let ada = person(&forge, "ada");
    let path = format!("/repos/octo/app/issues/{number}/labels");
    let left = ada.delete(&format!("{path}/%F0%9F%94%A8%20a%2Fb")).await;
    assert_eq!(left.json()[0]["name"], ":hammer: test-with buildbots");
    assert_eq!(forge.labels(APP, number), [":hammer: test-with buildbots"]);
    let again = ada.delete(&format!("{path}/%F0%9F%94%A8%20a%2Fb")).await;
    assert_eq!(
        (again.status, again.json()["message"].clone()),
        (404, json!("Label does not exist"))
    );
    assert_eq!(
        ada.delete(&format!("{path}/%3Ahammer%3A%20test-with%20buildbots"))
            .await
            .status,
        200
    );
    assert!(forge.labels(APP, number).is_empty());
    forge.finish().await;
}

#[tokio::test]
async fn triagers_label_and_readers_do_not() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    let (path, labels) = (
        format!("/repos/octo/app/issues/{number}/labels"),
        json!({"labels": ["x"]}),
    );
    let mallory = person(&forge, "mallory");
    assert_eq!(mallory.post(&path, labels.clone()).await.status, 403);
    forge.set_permission(APP, "mallory", Role::Triage);
    assert_eq!(mallory.post(&path, labels).await.json()[0]["name"], "x");
    forge.finish().await;
}

#[tokio::test]
async fn comments_are_written_edited_and_paged() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    let (ada, path) = (
        person(&forge, "ada"),
        format!("/repos/octo/app/issues/{number}/comments"),
    );
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        let written = ada.post(&path, json!({"body": text})).await;
        assert_eq!(written.status, 201);
        ids.push(written.json()["id"].as_u64().unwrap());
    }
    forge.clock().advance(std::time::Duration::from_secs(5));
    let edited = ada
        .patch(
            &format!("/repos/octo/app/issues/comments/{}", ids[1]),
            json!({"body": "2"}),
        )
        .await;
    assert_eq!(edited.json()["body"], "2");
    let second = ada.get(&format!("{path}?per_page=2&page=2")).await;
    assert_eq!(
        (second.json()[0]["body"].clone(), second.link("next")),
        (json!("three"), None)
    );
    let read = forge.comments(APP, number);
    assert_eq!(
        read.iter()
            .map(|one| (one.body.as_str(), one.edited))
            .collect::<Vec<_>>(),
        [("one", false), ("2", true), ("three", false)]
    );
    assert_eq!(
        person(&forge, "mallory")
            .patch(
                &format!("/repos/octo/app/issues/comments/{}", ids[1]),
                json!({"body": "x"})
            )
            .await
            .status,
        403
    );
    forge.finish().await;
}

#[tokio::test]
async fn an_empty_or_endless_comment_is_refused() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    let (ada, path) = (
        person(&forge, "ada"),
        format!("/repos/octo/app/issues/{number}/comments"),
    );
    assert_eq!(ada.post(&path, json!({"body": " "})).await.status, 422);
    assert_eq!(
        ada.post(&path, json!({"body": "x".repeat(65_537)}))
            .await
            .status,
        422
    );
    assert!(forge.comments(APP, number).is_empty());
    forge.finish().await;
}

#[tokio::test]
async fn a_reaction_counts_once() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    let comment = forge.comment(APP, number, "mallory", "/prbuild run");
    let (ada, path) = (
        person(&forge, "ada"),
        format!("/repos/octo/app/issues/comments/{comment}/reactions"),
    );
    assert_eq!(
        ada.post(&path, json!({"content": "eyes"})).await.status,
        201
    );
    assert_eq!(
        ada.post(&path, json!({"content": "eyes"})).await.status,
        200
    );
    assert_eq!(forge.reactions(APP, comment), ["ada eyes"]);
    assert_eq!(ada.get(&path).await.json()[0]["content"], "eyes");
    let told = ada
        .get(&format!("/repos/octo/app/issues/comments/{comment}"))
        .await
        .json();
    assert_eq!(
        (
            &told["reactions"]["eyes"],
            &told["reactions"]["total_count"]
        ),
        (&json!(1), &json!(1))
    );
    forge.finish().await;
}

#[tokio::test]
async fn statuses_are_kept_in_order_and_the_newest_of_a_context_counts() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let (ada, path) = (
        person(&forge, "ada"),
        format!("/repos/octo/app/statuses/{head}"),
    );
    for (state, context) in [("pending", "a"), ("pending", "b"), ("success", "a")] {
        let body = json!({"state": state, "context": context, "description": "says", "target_url": "https://example.com/1"});
        assert_eq!(ada.post(&path, body).await.status, 201);
    }
    let kept: Vec<_> = forge
        .statuses(APP, &head)
        .into_iter()
        .map(|one| (one.state, one.context))
        .collect();
    let expected = [("pending", "a"), ("pending", "b"), ("success", "a")];
    assert_eq!(
        kept,
        expected.map(|(state, context)| (state.to_owned(), context.to_owned()))
    );
    let listed = ada
        .get(&format!("/repos/octo/app/commits/{head}/statuses"))
        .await
        .json();
    assert_eq!(listed[0]["state"], "success", "newest first");
    let combined = ada
        .get(&format!("/repos/octo/app/commits/{head}/status"))
        .await
        .json();
    assert_eq!(
        (&combined["state"], &combined["total_count"]),
        (&json!("pending"), &json!(2))
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_status_needs_a_commit_a_known_state_and_a_short_description() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let ada = person(&forge, "ada");
    let good = json!({"state": "success"});
    let unknown = ada
        .post(
            &format!("/repos/octo/app/statuses/{}", "1".repeat(40)),
            good.clone(),
        )
        .await;
    assert_eq!(unknown.status, 422);
    assert!(
        unknown.json()["message"]
            .as_str()
            .unwrap()
            .contains("No commit found")
    );
    let path = format!("/repos/octo/app/statuses/{head}");
    assert_eq!(
        ada.post(
            &path,
            json!({"state": "success", "description": "x".repeat(141)})
        )
        .await
        .status,
        422
    );
    let emoji = json!({"state": "success", "description": "passed 🎉"});
    assert_eq!(ada.post(&path, emoji).await.status, 422);
    assert_eq!(
        ada.post(
            &path,
            json!({"state": "success", "target_url": "javascript:alert(1)"})
        )
        .await
        .status,
        422
    );
    assert_eq!(ada.post(&path, good).await.json()["context"], "default");
    forge.finish().await;
}

#[tokio::test]
async fn a_state_that_github_does_not_know_is_refused_and_found_out() {
    let forge = forge().await;
    let (_, head) = mallory_opens(&forge).await;
    let refused = person(&forge, "ada")
        .post(
            &format!("/repos/octo/app/statuses/{head}"),
            json!({"state": "green"}),
        )
        .await;
    assert_eq!(refused.status, 422);
    let found = forge.violations();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].what.starts_with("request POST") && found[0].difference.contains("/state"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_commit_and_context_takes_a_thousand_statuses() {
    let forge = super::lenient().await;
    let (_, head) = mallory_opens(&forge).await;
    let (ada, path) = (
        person(&forge, "ada"),
        format!("/repos/octo/app/statuses/{head}"),
    );
    for _ in 0..1000 {
        assert_eq!(
            ada.post(&path, json!({"state": "pending", "context": "x"}))
                .await
                .status,
            201
        );
    }
    let refused = ada
        .post(&path, json!({"state": "success", "context": "x"}))
        .await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.json()["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("maximum number of statuses")
    );
    assert_eq!(
        ada.post(&path, json!({"state": "success", "context": "y"}))
            .await
            .status,
        201
    );
}
