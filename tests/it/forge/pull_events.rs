//! What becomes of a pull request, and what its timeline and webhooks tell of it.

use serde_json::{Value, json};
use tests::forge::{Elsewhere, Forge};

use super::client::Client;
use super::webhooks::Listener;
use super::{APP, forge, mallory_opens};

async fn pull(forge: &Forge, number: u64) -> Value {
    let path = format!("/repos/octo/app/pulls/{number}");
    Client::anonymous(forge).get(&path).await.json()
}

/// The kinds of all issue events, oldest first.
async fn events(forge: &Forge, number: u64) -> Vec<String> {
    let path = format!("/repos/octo/app/issues/{number}/events");
    let events = Client::anonymous(forge).get(&path).await.json();
    let events = events.as_array().unwrap().iter();
    events
        .map(|event| event["event"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_pull_request_whose_base_changes_says_from_where_and_has_another_test_merge() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    let old = forge.branch(APP, "main").unwrap();
    let (number, _) = mallory_opens(&forge).await;
    let tip = forge.push(APP, "3.14", &[("old.c", "int y;\n")]).await;
    let before = forge.pull_request(APP, number).test_merge.current;
    forge.change_base(APP, number, "3.14", "ada").await;
    forge.deliveries_settled().await;
    let (_, told) = listener.heard().pop().unwrap();
    assert_eq!(told["action"], "edited");
    assert_eq!(
        told["changes"],
        json!({"base": {"ref": {"from": "main"}, "sha": {"from": old}}})
    );
    let shown = pull(&forge, number).await;
    assert_eq!(
        (&shown["base"]["ref"], &shown["base"]["sha"]),
        (&json!("3.14"), &json!(tip))
    );
    assert_ne!(forge.pull_request(APP, number).test_merge.current, before);
    assert_eq!(events(&forge, number).await, ["base_ref_changed"]);
    forge.edit_title(APP, number, "Another", "mallory");
    forge.deliveries_settled().await;
    let (_, told) = listener.heard().pop().unwrap();
    assert_eq!(told["changes"], json!({"title": {"from": "Add x"}}));
    forge.finish().await;
}

#[tokio::test]
async fn a_pull_request_is_merged_with_red_and_pending_contexts() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    let (number, head) = mallory_opens(&forge).await;
    assert_eq!(pull(&forge, number).await["mergeable_state"], "clean");
    forge.other_status(APP, &head, "bot", "prbuild/debian", Elsewhere::Fails);
    forge.other_status(APP, &head, "bot", "prbuild/fedora", Elsewhere::Pending);
    forge.other_check(APP, &head, "ci", "CI / tests", Elsewhere::Fails);
    let shown = pull(&forge, number).await;
    assert_eq!(
        (&shown["mergeable"], &shown["mergeable_state"]),
        (&json!(true), &json!("unstable"))
    );
    let merged = forge.merge(APP, number, "ada").await;
    forge.deliveries_settled().await;
    assert_eq!(forge.branch(APP, "main"), Some(merged));
    let (_, told) = listener.heard().pop().unwrap();
    assert_eq!(
        (&told["action"], &told["pull_request"]["merged"]),
        (&json!("closed"), &json!(true))
    );
    assert_eq!(events(&forge, number).await, ["merged", "closed"]);
    forge.finish().await;
}

#[tokio::test]
async fn every_change_of_state_stands_on_the_timeline_in_its_order() {
    let forge = forge().await;
    let (number, _) = mallory_opens(&forge).await;
    forge.add_label(APP, number, "x", "ada");
    forge.remove_label(APP, number, "x", "ada");
    forge.set_draft(APP, number, true, "mallory");
    forge.set_draft(APP, number, false, "mallory");
    forge
        .force_push("mallory/app", "change", &[("new.c", "int z;\n")])
        .await;
    forge.close(APP, number, "mallory");
    assert_eq!(pull(&forge, number).await["state"], "closed");
    forge.reopen(APP, number, "ada");
    assert_eq!(pull(&forge, number).await["state"], "open");
    let expected = [
        "labeled",
        "unlabeled",
        "convert_to_draft",
        "ready_for_review",
        "head_ref_force_pushed",
        "closed",
        "reopened",
    ];
    assert_eq!(events(&forge, number).await, expected);
    forge.finish().await;
}
