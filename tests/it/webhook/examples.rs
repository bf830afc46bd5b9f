//! Every payload that GitHub published as an example is handled or ignored: no error, no panic. Those
//! that ask for something reach the gate when they are about a repository that is configured.

use serde_json::Value;
use sha2::Digest;
use tests::forge::{DeliveryFault, examples};

use super::*;

#[tokio::test]
async fn s04_every_published_example_is_ignored_under_its_own_and_under_every_other_header() {
    let mut town = Town::new("wh-examples").await;
    let all = examples().unwrap();
    assert!(all.len() > 100, "only {} examples", all.len());
    for example in &all {
        let body = serde_json::to_vec(&example.payload).unwrap();
        let signature = signed(&body);
        for event in [
            example.event.as_str(),
            "pull_request",
            "issue_comment",
            "ping",
            "nonsense",
        ] {
            let reply = town.post(&headers(event, &signature), &body).await;
            assert_eq!(
                reply.status, 200,
                "{} as {event}: {}",
                example.event, reply.body
            );
        }
    }
    town.nothing_stored().await;
    assert!(!town.log().contains("panicked"));
    town.end().await;
}

/// The published examples of an action, with the values that matter taken from another payload.
fn retold(event: &str, action: &str, own: &Value, pointers: &[&str]) -> Vec<Vec<u8>> {
    let all = examples().unwrap().into_iter();
    let asking = all.filter(|one| one.event == event && one.payload["action"] == action);
    let retold: Vec<Vec<u8>> = asking
        .map(|mut one| {
            for pointer in pointers {
                let value = own.pointer(pointer).unwrap().clone();
                let place = one.payload.pointer_mut(pointer);
                *place.unwrap_or_else(|| panic!("no {pointer} in the example")) = value;
            }
            serde_json::to_vec(&one.payload).unwrap()
        })
        .collect();
    assert!(!retold.is_empty(), "no example of {event} {action}");
    retold
}

const REPOSITORY_AND_SENDER: [&str; 5] = [
    "/repository/id",
    "/repository/full_name",
    "/sender/id",
    "/sender/login",
    "/sender/type",
];

#[tokio::test]
async fn s02_the_published_labeled_examples_reach_the_gate_and_s04_only_under_their_own_header() {
    let mut town = Town::new("wh-labeled").await;
    let number = town.pull_request().await;
    let event = town.label_meets(number, DeliveryFault::Lost);
    let own = town.story.forge.labeled_payload(REPO, number, LABEL, ADA);
    let mut pointers = vec![
        "/number",
        "/label/name",
        "/pull_request/number",
        "/pull_request/updated_at",
        "/pull_request/head/sha",
        "/pull_request/head/ref",
        "/pull_request/head/repo/full_name",
    ];
    pointers.extend(REPOSITORY_AND_SENDER);
    let bodies = retold("pull_request", "labeled", &own, &pointers);
    for body in &bodies {
        let signature = signed(body);
        for other in ["issues", "issue_comment", "check_run", "ping", "push"] {
            let reply = town.post(&headers(other, &signature), body).await;
            assert_eq!(reply.status, 200, "{other}");
        }
        let unsigned = headers("pull_request", "sha256=00");
        assert_eq!(town.post(&unsigned, body).await.status, 401);
    }
    town.nothing_stored().await;

    for body in &bodies {
        let signature = signed(body);
        let reply = town.post(&headers("pull_request", &signature), body).await;
        assert_eq!(reply.status, 202);
        let digest = hex::encode(Sha256::digest(body));
        assert!(town.log().contains(&digest), "the log names the body");
    }
    let request = town
        .build(&town.story.name_of(number, event))
        .await
        .spec
        .request;
    let head = town.story.forge.pull_request(REPO, number).head_sha;
    assert_eq!(request.head_sha, head);
    assert_eq!(town.builds().await.len(), 1);
    town.end().await;
}

#[tokio::test]
async fn s20_the_published_comment_examples_reach_the_gate_where_they_are_about_a_pull_request() {
    let town = Town::new("wh-comment").await;
    let number = town.pull_request().await;
    let head = town.story.forge.pull_request(REPO, number).head_sha;
    let text = format!("/prbuild run {head}");
    let faults = town.story.forge.faults();
    faults.deliveries(1, Some("issue_comment"), DeliveryFault::Lost);
    let comment = town.story.forge.comment(REPO, number, ADA, &text);
    town.story.forge.deliveries_settled().await;
    let deliveries = town.story.forge.deliveries();
    let told = deliveries
        .iter()
        .rev()
        .find(|one| one.event == "issue_comment");
    let own: Value = serde_json::from_slice(&told.unwrap().payload).unwrap();
    let mut pointers = vec!["/issue/number", "/comment/id", "/comment/body"];
    pointers.extend(REPOSITORY_AND_SENDER);
    for body in retold("issue_comment", "created", &own, &pointers) {
        // The example is about an issue.
        let mut payload: Value = serde_json::from_slice(&body).unwrap();
        payload["issue"]
            .as_object_mut()
            .unwrap()
            .remove("pull_request");
        let on_issue = serde_json::to_vec(&payload).unwrap();
        let reply = town
            .post(&headers("issue_comment", &signed(&on_issue)), &on_issue)
            .await;
        assert_eq!(reply.status, 200);
        assert!(town.answers().await.is_empty());

        payload["issue"]["pull_request"] = own["issue"]["pull_request"].clone();
        let body = serde_json::to_vec(&payload).unwrap();
        let reply = town
            .post(&headers("issue_comment", &signed(&body)), &body)
            .await;
        assert_eq!(reply.status, 202);
    }
    let name = format!("app-{number}-c{comment}");
    assert_eq!(town.build(&name).await.spec.request.head_sha, head);
    assert_eq!(town.builds().await.len(), 1);
    town.end().await;
}
