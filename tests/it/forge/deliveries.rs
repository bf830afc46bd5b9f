//! What GitHub remembers of its deliveries, and what it tells of webhooks and permissions.

use std::time::Duration;

use serde_json::{Value, json};
use tests::forge::{App, AppOptions, DeliveryFault, Forge, Role, TokenOptions};

use super::apps::{jwt, token_of};
use super::client::Client;
use super::webhooks::{Listener, SECRET};
use super::{APP, forge, mallory_opens};

/// An App with a webhook, the App by its JWT, and whoever hears.
async fn app(forge: &Forge) -> (App, Client, Listener) {
    let (listener, url) = Listener::new().await;
    let app = forge.add_app(AppOptions {
        repositories: vec![APP.to_owned()],
        hook: Some((url, SECRET.to_owned())),
        ..AppOptions::default()
    });
    let client = Client::with_token(forge, &jwt(&app, -60, 540));
    (app, client, listener)
}

fn guids(list: &Value) -> Vec<String> {
    let all = list.as_array().unwrap().iter();
    all.map(|one| one["guid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_in_pages_by_cursor() {
    let forge = forge().await;
    let (app, client, _) = app(&forge).await;
    let (number, _) = mallory_opens(&forge).await;
    for text in ["a", "b", "c", "d"] {
        forge.comment(APP, number, "ada", text);
    }
    forge.deliveries_settled().await;
    let mut page = client.get("/app/hook/deliveries?per_page=2").await;
    assert_eq!(
        page.json()[0]["installation_id"],
        json!(app.installation_id)
    );
    assert_eq!(
        page.json()[0]["repository_id"],
        json!(forge.repository_id(APP))
    );
    let mut seen = guids(&page.json());
    while let Some(next) = page.link("next") {
        page = client.get(&next).await;
        seen.extend(guids(&page.json()));
    }
    let mut made: Vec<String> = forge.deliveries().into_iter().map(|one| one.guid).collect();
    made.reverse();
    assert_eq!(seen, made);
    assert_eq!(made.len(), 5);
    forge.finish().await;
}

#[tokio::test]
async fn a_failed_delivery_is_found_and_sent_again_with_its_guid_and_payload() {
    let forge = forge().await;
    let (_, client, listener) = app(&forge).await;
    let (number, _) = mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    listener.answers(503);
    forge.comment(APP, number, "ada", "/prbuild run");
    forge.deliveries_settled().await;
    listener.answers(202);
    let failed = client.get("/app/hook/deliveries?status=failure").await;
    let failed = failed.json()[0].clone();
    assert_eq!(
        (&failed["event"], &failed["action"], &failed["status"]),
        (
            &json!("issue_comment"),
            &json!("created"),
            &json!("Invalid HTTP Response: 503")
        )
    );
    let path = format!("/app/hook/deliveries/{}", failed["id"]);
    let whole = client.get(&path).await.json();
    assert_eq!(
        whole["request"]["payload"]["comment"]["body"],
        "/prbuild run"
    );
    assert_eq!(
        whole["request"]["headers"]["X-GitHub-Delivery"],
        failed["guid"]
    );
    let asked = client.post_nothing(&format!("{path}/attempts")).await;
    assert_eq!(asked.status, 202);
    forge.deliveries_settled().await;
    let newest = client.get("/app/hook/deliveries").await.json()[0].clone();
    assert_eq!(
        (
            &newest["guid"],
            &newest["redelivery"],
            &newest["status_code"]
        ),
        (&failed["guid"], &json!(true), &json!(202))
    );
    let heard = listener.heard();
    assert_eq!(heard[heard.len() - 1], heard[heard.len() - 2]);
    forge.finish().await;
}

#[tokio::test]
async fn deliveries_are_forgotten_after_three_days() {
    let forge = forge().await;
    let hook = {
        let listener = Listener::of(&forge).await;
        listener.answers(503);
        forge.set_permission(APP, "ada", Role::Admin);
        forge.hooks(APP)[0]
    };
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    let list = format!("/repos/octo/app/hooks/{hook}/deliveries");
    let id = ada.get(&list).await.json()[0]["id"].clone();
    forge.clock().advance(Duration::from_secs(72 * 3600 + 1));
    assert_eq!(ada.get(&list).await.json(), json!([]));
    let again = ada.post_nothing(&format!("{list}/{id}/attempts")).await;
    assert_eq!(again.status, 404);
    forge.finish().await;
}

#[tokio::test]
async fn the_hooks_of_a_repository_say_whether_they_ever_delivered_and_how_it_went() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    forge.set_permission(APP, "ada", Role::Admin);
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    let hooks = "/repos/octo/app/hooks";
    let fresh = ada.get(hooks).await.json()[0].clone();
    assert_eq!(
        fresh["last_response"],
        json!({"code": null, "status": "unused", "message": null})
    );
    assert_eq!(fresh["events"], json!(["issue_comment", "pull_request"]));
    let hook = forge.hooks(APP)[0];
    listener.answers(401);
    forge.set_hook_secret(hook, "not the secret that the webhook expects");
    let (number, _) = mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    let told = ada.get(&format!("{hooks}/{hook}")).await.json();
    assert_eq!(
        (
            &told["last_response"]["code"],
            &told["last_response"]["message"]
        ),
        (&json!(401), &json!("Invalid HTTP Response: 401"))
    );
    let deliveries = ada.get(&format!("{hooks}/{hook}/deliveries")).await.json();
    assert_eq!(deliveries[0]["installation_id"], Value::Null);
    listener.answers(202);
    let id = &deliveries[0]["id"];
    let asked = ada
        .post_nothing(&format!("{hooks}/{hook}/deliveries/{id}/attempts"))
        .await;
    assert_eq!(asked.status, 202);
    forge.deliveries_settled().await;
    let told = ada.get(&format!("{hooks}/{hook}")).await.json();
    assert_eq!(told["last_response"]["status"], "active");
    let heard = listener.heard().len();
    forge.set_hook_active(hook, false);
    forge.comment(APP, number, "ada", "nobody hears this");
    forge.set_hook_active(hook, true);
    forge.set_hook_events(hook, &["pull_request"]);
    forge.comment(APP, number, "ada", "nor this");
    forge.deliveries_settled().await;
    assert_eq!(listener.heard().len(), heard);
    forge.finish().await;
}

#[tokio::test]
async fn hooks_show_only_to_those_who_manage_them() {
    let forge = forge().await;
    Listener::of(&forge).await;
    let hooks = "/repos/octo/app/hooks";
    let ada = Client::with_token(&forge, &forge.add_token("ada", TokenOptions::default()));
    assert_eq!(ada.get(hooks).await.status, 404);
    let options = AppOptions {
        repositories: vec![APP.to_owned()],
        ..AppOptions::default()
    };
    let without = token_of(&forge, &forge.add_app(options.clone())).await;
    let refused = without.get(hooks).await;
    assert_eq!(
        (refused.status, refused.json()["message"].clone()),
        (403, json!("Resource not accessible by integration"))
    );
    let options = AppOptions {
        slug: "other".to_owned(),
        ..options.with("repository_hooks", "read")
    };
    let with = token_of(&forge, &forge.add_app(options)).await;
    assert_eq!(with.get(hooks).await.status, 200);
    forge.finish().await;
}

#[tokio::test]
async fn an_app_tells_what_it_asks_for_and_its_installation_what_was_granted() {
    let forge = forge().await;
    let (app, client, _) = app(&forge).await;
    let token = token_of(&forge, &app).await;
    forge.take_permission(app.installation_id, "statuses");
    let whole = client.get("/app").await.json();
    assert_eq!(whole["permissions"]["statuses"], "write");
    assert_eq!(whole["events"], json!(["issue_comment", "pull_request"]));
    let installed = client.get("/repos/octo/app/installation").await.json();
    assert_eq!(installed["permissions"]["statuses"], Value::Null);
    assert_eq!(installed["permissions"]["pull_requests"], "write");
    assert_eq!(
        installed["events"],
        json!(["issue_comment", "pull_request"])
    );
    let config = client.get("/app/hook/config").await.json();
    assert_eq!(config["secret"], "********");
    let (_, head) = mallory_opens(&forge).await;
    let refused = token
        .post(
            &format!("/repos/octo/app/statuses/{head}"),
            json!({"state": "success"}),
        )
        .await;
    assert_eq!(
        (refused.status, refused.json()["message"].clone()),
        (403, json!("Resource not accessible by integration"))
    );
    forge.finish().await;
}

#[tokio::test]
async fn a_delivery_that_was_never_made_is_on_no_record() {
    let forge = forge().await;
    let (_, client, listener) = app(&forge).await;
    forge.faults().deliveries(1, None, DeliveryFault::NeverMade);
    mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    assert!(listener.heard().is_empty());
    assert_eq!(client.get("/app/hook/deliveries").await.json(), json!([]));
    forge.finish().await;
}

#[tokio::test]
async fn an_outage_answers_nobody_and_what_it_kept_can_be_asked_for_afterwards() {
    let forge = forge().await;
    let (_, client, listener) = app(&forge).await;
    let (number, _) = mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    forge.faults().outage();
    assert_eq!(client.get("/app").await.status, 503);
    forge.comment(APP, number, "ada", "/prbuild run");
    forge.deliveries_settled().await;
    assert_eq!(listener.heard().len(), 1);
    forge.faults().clear();
    let newest = client.get("/app/hook/deliveries").await.json()[0].clone();
    assert_eq!(
        (&newest["status"], &newest["status_code"]),
        (&json!("failed to connect to host"), &json!(502))
    );
    let path = format!("/app/hook/deliveries/{}/attempts", newest["id"]);
    assert_eq!(client.post_nothing(&path).await.status, 202);
    forge.deliveries_settled().await;
    let (_, told) = listener.heard().pop().unwrap();
    assert_eq!(told["comment"]["body"], "/prbuild run");
    forge.finish().await;
}
