//! GitHub's limits as they are enforced on request, and what was used of them.

use std::time::Duration;

use serde_json::json;
use tests::forge::{Fault, Forge, TokenOptions};

use super::client::Client;
use super::{APP, forge, mallory_opens};

const ADD: &str = "mutation($id: ID!) { a: addComment(input: {subjectId: $id, body: \"x\"}) { clientMutationId } \
b: addComment(input: {subjectId: $id, body: \"y\"}) { clientMutationId } }";

fn ada(forge: &Forge) -> Client {
    Client::with_token(forge, &forge.add_token("ada", TokenOptions::default()))
}

#[tokio::test]
async fn eighty_comments_a_minute_are_enough_and_the_answer_says_when_there_is_room() {
    let forge = forge().await;
    forge.clock().stop();
    let (number, _) = mallory_opens(&forge).await;
    let ada = ada(&forge);
    forge.limits().enforce_secondary(true);
    let path = format!("/repos/octo/app/issues/{number}/comments");
    for _ in 0..80 {
        assert_eq!(ada.post(&path, json!({"body": "x"})).await.status, 201);
    }
    forge.clock().advance(Duration::from_secs(20));
    let refused = ada.post(&path, json!({"body": "x"})).await;
    assert_eq!((refused.status, refused.header("retry-after")), (403, "40"));
    assert!(
        refused.json()["message"]
            .as_str()
            .unwrap()
            .contains("secondary rate limit")
    );
    assert_eq!(ada.get(&path).await.status, 200, "reading goes on");
    forge.clock().advance(Duration::from_secs(40));
    assert_eq!(ada.post(&path, json!({"body": "x"})).await.status, 201);
    forge.finish().await;
}

#[tokio::test]
async fn a_write_is_five_points_of_nine_hundred_a_minute() {
    let forge = forge().await;
    forge.clock().stop();
    let (_, head) = mallory_opens(&forge).await;
    let ada = ada(&forge);
    forge.limits().enforce_secondary(true);
    let path = format!("/repos/octo/app/statuses/{head}");
    let mut taken = 0;
    let refused = loop {
        let reply = ada.post(&path, json!({"state": "success"})).await;
        if reply.status != 201 {
            break reply;
        }
        taken += 1;
    };
    assert_eq!((taken, refused.header("retry-after")), (180, "60"));
    let other = forge.add_token("maintainer", TokenOptions::default());
    let other = Client::with_token(&forge, &other);
    assert_eq!(other.get("/user").await.status, 200, "it counts by caller");
    forge.finish().await;
}

#[tokio::test]
async fn graphql_says_in_its_own_way_that_the_hour_is_used_up() {
    let forge = forge().await;
    let ada = ada(&forge);
    forge.limits().set_hourly(Some(1));
    let query = json!({"query": "query { viewer { login } }"});
    assert_eq!(ada.post("/graphql", query.clone()).await.status, 200);
    let refused = ada.post("/graphql", query).await;
    assert_eq!(
        (refused.status, refused.json()["errors"][0]["type"].clone()),
        (200, json!("RATE_LIMITED"))
    );
    assert_eq!(refused.header("x-ratelimit-remaining"), "0");
    forge.finish().await;
}

#[tokio::test]
async fn every_answer_of_github_itself_tells_of_the_budget() {
    let forge = forge().await;
    let ada = ada(&forge);
    forge.faults().next(1, "GET /user", Fault::Status(404));
    let asked = [
        ada.get("/repos/octo/app").await,
        ada.get("/repos/octo/nothing").await,
        ada.get("/user").await,
        Client::with_token(&forge, "ghp_wrong").get("/user").await,
    ];
    for (index, reply) in asked.iter().enumerate() {
        assert!(!reply.header("x-ratelimit-remaining").is_empty(), "{index}");
    }
}

#[tokio::test]
async fn what_was_used_in_some_time_is_counted_by_route_mutation_and_connection() {
    let forge = forge().await;
    let (number, head) = mallory_opens(&forge).await;
    let ada = ada(&forge);
    ada.get("/user").await;
    let from = forge.age();
    let path = format!("/repos/octo/app/pulls/{number}");
    let first = ada.get(&path).await;
    let conditional = ada.clone().header("if-none-match", first.header("etag"));
    assert_eq!(conditional.get(&path).await.status, 304);
    let body = json!({"state": "success"});
    ada.post(&format!("/repos/octo/app/statuses/{head}"), body)
        .await;
    let query =
        "query { repository(owner: \"octo\", name: \"app\") { pullRequest(number: 1) { id } } }";
    let told = ada.post("/graphql", json!({"query": query})).await.json();
    let id = &told["data"]["repository"]["pullRequest"]["id"];
    let body = json!({"query": ADD, "variables": {"id": id}});
    ada.post("/graphql", body).await;
    Client::anonymous(&forge).get("/users/ada").await;
    let to = forge.age();
    ada.get("/user").await;
    let used = forge.log().usage(from..to);
    assert_eq!(
        used.rest["GET /repos/{owner}/{repo}/pulls/{pull_number}"],
        2
    );
    assert_eq!(used.rest["POST /repos/{owner}/{repo}/statuses/{sha}"], 1);
    assert_eq!(
        (used.rest_calls(), used.writes(), used.rest_points),
        (4, 1, 8)
    );
    assert_eq!((used.graphql, used.graphql_points), (2, 6));
    assert_eq!(used.mutations["addComment"], 2);
    assert_eq!((used.unchanged, used.connections), (1, 1));
    assert_eq!(forge.comments(APP, number).len(), 2);
    forge.finish().await;
}
