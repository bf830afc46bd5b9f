//! Webhooks: signed, sent once, on record, and faulty on request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use tests::forge::{AppOptions, DeliveryFault, DeliveryOutcome, Forge, State as Said, examples};

use super::client::Client;
use super::{APP, forge, mallory_opens};

pub const SECRET: &str = "a secret of at least thirty-two bytes";

/// Somebody whom the forge tells.
#[derive(Clone, Default)]
pub struct Listener {
    heard: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answer: Arc<Mutex<u16>>,
}

impl Listener {
    /// Listens for the webhook of the repository.
    pub async fn of(forge: &Forge) -> Self {
        let (listener, url) = Self::new().await;
        forge.add_hook(APP, &url, SECRET);
        listener
    }

    pub async fn new() -> (Self, String) {
        let listener = Self::default();
        listener.answers(202);
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", socket.local_addr().unwrap());
        let router = Router::new()
            .route("/hook", post(hear))
            .with_state(listener.clone());
        tokio::spawn(async move { axum::serve(socket, router).await });
        (listener, url)
    }

    pub fn answers(&self, status: u16) {
        *self.answer.lock().unwrap() = status;
    }

    pub fn heard(&self) -> Vec<(String, Value)> {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .map(|(headers, body)| {
                (
                    headers["x-github-event"].to_str().unwrap().to_owned(),
                    serde_json::from_slice(body).unwrap(),
                )
            })
            .collect()
    }

    /// A header of the newest delivery.
    pub fn header(&self, name: &str) -> String {
        let heard = self.heard.lock().unwrap();
        let (headers, _) = heard.last().unwrap();
        headers[name].to_str().unwrap().to_owned()
    }

    pub fn actions(&self) -> Vec<String> {
        self.heard()
            .into_iter()
            .map(|(event, body)| format!("{event} {}", body["action"].as_str().unwrap_or_default()))
            .collect()
    }
}

async fn hear(State(listener): State<Listener>, headers: HeaderMap, body: Bytes) -> StatusCode {
    listener.heard.lock().unwrap().push((headers, body));
    StatusCode::from_u16(*listener.answer.lock().unwrap()).unwrap()
}

#[tokio::test]
async fn every_webhook_that_a_pull_request_causes_is_what_github_published() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    let (number, head) = mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    forge
        .push("mallory/app", "change", &[("new.c", "int y;\n")])
        .await;
    forge.deliveries_settled().await;
    forge.add_label(APP, number, "x", "ada");
    forge.deliveries_settled().await;
    forge.remove_label(APP, number, "x", "ada");
    forge.deliveries_settled().await;
    let comment = forge.comment(APP, number, "mallory", "/prbuild run");
    forge.deliveries_settled().await;
    forge.edit_comment(APP, comment, "mallory", "never mind");
    forge.deliveries_settled().await;
    forge.review(APP, number, "ada", Said::Approved, &head);
    forge.set_draft(APP, number, true, "mallory");
    forge.deliveries_settled().await;
    forge.set_draft(APP, number, false, "mallory");
    forge.deliveries_settled().await;
    forge.delete_fork("mallory/app");
    forge.close(APP, number, "ada");
    forge.deliveries_settled().await;
    forge.reopen(APP, number, "ada");
    forge.deliveries_settled().await;
    let expected = [
        "pull_request opened",
        "pull_request synchronize",
        "pull_request labeled",
        "pull_request unlabeled",
        "issue_comment created",
        "issue_comment edited",
        "pull_request converted_to_draft",
        "pull_request ready_for_review",
        "pull_request closed",
        "pull_request reopened",
    ];
    assert_eq!(listener.actions(), expected);
    let heard = listener.heard();
    assert_eq!(
        (&heard[1].1["before"], &heard[1].1["after"]),
        (&json!(head), &heard[1].1["pull_request"]["head"]["sha"])
    );
    assert_eq!(
        (&heard[2].1["label"]["name"], &heard[2].1["sender"]["login"]),
        (&json!("x"), &json!("ada"))
    );
    assert_eq!(heard[8].1["pull_request"]["head"]["repo"], Value::Null);
    forge.finish().await;
}

#[tokio::test]
async fn a_delivery_is_signed_over_its_bytes_and_says_what_it_is() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    let (number, _) = mallory_opens(&forge).await;
    forge.add_label(APP, number, "x", "ada");
    forge.deliveries_settled().await;
    for (headers, body) in listener.heard.lock().unwrap().iter() {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body);
        let signature = headers["x-hub-signature-256"]
            .to_str()
            .unwrap()
            .strip_prefix("sha256=")
            .unwrap();
        mac.verify_slice(&hex::decode(signature).unwrap()).unwrap();
        assert!(
            headers["user-agent"]
                .to_str()
                .unwrap()
                .starts_with("GitHub-Hookshot/")
        );
        assert_eq!(headers["content-type"], "application/json");
    }
    let deliveries = forge.deliveries();
    assert_eq!(deliveries.len(), 2);
    assert_ne!(deliveries[0].guid, deliveries[1].guid);
    assert!(deliveries.iter().all(|one| one.outcome.code() == 202));
    forge.finish().await;
}

#[tokio::test]
async fn a_delivery_that_fails_is_not_tried_again_but_can_be_asked_for() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    listener.answers(503);
    let (number, _) = mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    let failed = forge.deliveries().pop().unwrap();
    assert_eq!(
        (failed.outcome.code(), listener.heard().len()),
        (503, 1),
        "{number}"
    );
    listener.answers(202);
    forge.redeliver(failed.id);
    forge.deliveries_settled().await;
    let again = forge.deliveries().pop().unwrap();
    assert_eq!(
        (again.outcome.code(), again.redelivery, again.guid),
        (202, true, failed.guid)
    );
    assert_eq!(again.payload, failed.payload, "the payload is the old one");
    forge.finish().await;
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_on_record_as_failed() {
    let forge = forge().await;
    forge.add_hook(APP, "http://127.0.0.1:1/hook", SECRET);
    mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    let outcome = forge.deliveries().pop().unwrap().outcome;
    assert!(
        matches!(outcome, DeliveryOutcome::Failed(_)) && outcome.code() == 502,
        "{outcome:?}"
    );
    forge.finish().await;
}

#[tokio::test]
async fn deliveries_get_lost_doubled_and_late_on_request() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    forge
        .faults()
        .deliveries(1, Some("pull_request"), DeliveryFault::Lost);
    let (number, _) = mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    assert_eq!(forge.deliveries()[0].outcome, DeliveryOutcome::Lost);
    assert!(listener.heard().is_empty());

    forge
        .faults()
        .deliveries(1, None, DeliveryFault::Duplicated(2));
    forge.add_label(APP, number, "x", "ada");
    forge.deliveries_settled().await;
    let guids: Vec<String> = forge.deliveries()[1..]
        .iter()
        .map(|one| one.guid.clone())
        .collect();
    assert_eq!((listener.heard().len(), guids.len()), (3, 3));
    assert!(
        guids.iter().all(|guid| *guid == guids[0]),
        "the same delivery three times"
    );

    forge.faults().deliveries(1, None, DeliveryFault::Held);
    forge.remove_label(APP, number, "x", "ada");
    forge.add_label(APP, number, "y", "ada");
    let second = forge
        .eventually(Duration::from_secs(60), "the newer delivery", |_| {
            listener.actions().get(3).cloned()
        })
        .await;
    assert_eq!(second, "pull_request labeled", "the newer came first");
    forge.faults().release_deliveries();
    forge.deliveries_settled().await;
    assert_eq!(listener.actions()[4], "pull_request unlabeled");

    forge
        .faults()
        .deliveries(1, None, DeliveryFault::Late(Duration::from_millis(50)));
    forge.remove_label(APP, number, "y", "ada");
    forge.deliveries_settled().await;
    assert_eq!(listener.heard().len(), 6);
    forge.finish().await;
}

#[tokio::test]
async fn a_ping_says_which_webhook_it_is() {
    let forge = forge().await;
    let (listener, url) = Listener::new().await;
    let hook = forge.add_hook(APP, &url, SECRET);
    forge.ping(hook);
    let app = forge.add_app(AppOptions {
        repositories: vec![APP.to_owned()],
        ..AppOptions::default()
    });
    forge.ping(forge.set_app_hook(app.id, &url, SECRET));
    forge.deliveries_settled().await;
    let heard = listener.heard();
    assert!(heard.iter().all(|(event, _)| event == "ping"));
    assert!(
        heard
            .iter()
            .any(|(_, body)| body["hook_id"] == json!(hook)
                && body["repository"]["full_name"] == APP)
    );
    assert!(
        heard
            .iter()
            .any(|(_, body)| body["hook"]["app_id"] == json!(app.id))
    );
    forge.finish().await;
}

#[tokio::test]
async fn the_webhook_of_an_app_names_the_installation_and_its_deliveries_can_be_listed() {
    let forge = forge().await;
    let (listener, url) = Listener::new().await;
    let hook = Some((url, SECRET.to_owned()));
    let app = forge.add_app(AppOptions {
        repositories: vec![APP.to_owned()],
        hook,
        ..AppOptions::default()
    });
    mallory_opens(&forge).await;
    forge.deliveries_settled().await;
    assert_eq!(
        listener.heard()[0].1["installation"]["id"],
        json!(app.installation_id)
    );
    let client = Client::with_token(&forge, &super::apps::jwt(&app, -60, 540));
    let listed = client.get("/app/hook/deliveries?per_page=10").await.json();
    assert_eq!(
        (&listed[0]["status_code"], &listed[0]["event"]),
        (&json!(202), &json!("pull_request"))
    );
    let path = format!("/app/hook/deliveries/{}", listed[0]["id"]);
    assert_eq!(
        client.get(&path).await.json()["request"]["payload"]["action"],
        "opened"
    );
    assert_eq!(
        client
            .post(&format!("{path}/attempts"), json!({}))
            .await
            .status,
        202
    );
    forge.deliveries_settled().await;
    assert_eq!(listener.heard().len(), 2);
}

#[tokio::test]
async fn somebody_with_the_secret_can_forge_a_delivery_that_never_happened() {
    let forge = forge().await;
    let listener = Listener::of(&forge).await;
    let (number, _) = mallory_opens(&forge).await;
    let payload = forge.labeled_payload(APP, number, "x", "ada");
    forge.deliver_forged(APP, "pull_request", &payload);
    forge.deliveries_settled().await;
    assert_eq!(listener.actions()[1], "pull_request labeled");
    assert!(forge.labels(APP, number).is_empty());
    forge.finish().await;
}

#[tokio::test]
async fn github_published_examples_of_what_prbuild_listens_to() {
    let all = tokio::task::spawn_blocking(examples)
        .await
        .unwrap()
        .unwrap();
    for event in [
        "pull_request",
        "issue_comment",
        "ping",
        "installation",
        "push",
    ] {
        assert!(all.iter().any(|one| one.event == event), "{event}");
    }
    assert!(all.len() > 100, "{}", all.len());
}
