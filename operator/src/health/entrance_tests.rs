//! Webhooks that work, that do not, and of which nothing can be said.

use serde_json::{Value, json};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// The probe is an hour after this time.
const NOW: i64 = 3600;

fn repository(mode: &str) -> Repository {
    let json = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Repository", "metadata": { "name": "n" },
        "spec": { "owner": "o", "name": "n", "connection": "main", "labels": [{ "name": "test" }],
            "reporting": { "mode": mode } },
    });
    serde_json::from_value(json).unwrap()
}

fn delivery(second: i64, status_code: i64) -> Value {
    json!({ "id": 1, "guid": "g", "delivered_at": at(second).to_string(), "status_code": status_code,
        "event": "pull_request" })
}

/// The second webhook of a repository: 7, with these deliveries, newest first.
fn hook(deliveries: &[(i64, i64)]) -> Webhook {
    let deliveries = deliveries
        .iter()
        .map(|(second, code)| delivery(*second, *code));
    Webhook {
        id: Some(7),
        host: "https://hook.example".to_owned(),
        active: true,
        events: vec!["issue_comment".to_owned(), "pull_request".to_owned()],
        unused: deliveries.len() == 0,
        created_at: Some(at(0)),
        deliveries: serde_json::from_value(deliveries.collect()).unwrap(),
    }
}

fn probe(webhooks: Webhooks) -> Probe {
    Probe {
        at: at(NOW),
        webhooks,
        last_change: None,
        forks: Forks::Unknown,
        etag: None,
    }
}

/// Status, reason and message of the condition, and whether it makes the Repository not `Ready`.
fn judged(mode: &str, probe: &Probe) -> (Option<bool>, &'static str, String, bool) {
    let (findings, fault) = judge(&repository(mode), probe);
    let found = findings
        .into_iter()
        .find(|one| one.kind == WEBHOOK)
        .unwrap();
    (found.holds, found.reason, found.message, fault.is_some())
}

fn own(hooks: Vec<Webhook>) -> Probe {
    probe(Webhooks::Own(hooks))
}

#[test]
fn a_webhook_that_delivers_is_well() {
    for deliveries in [
        vec![(100, 202)],
        vec![(200, 200), (100, 401)],
        vec![(200, 0), (100, 202)],
    ] {
        let (holds, reason, _, stops) = judged("Statuses", &own(vec![hook(&deliveries)]));
        assert_eq!((holds, reason, stops), (Some(true), "Delivering", false));
    }
}

#[test]
fn an_outage_is_no_mistake() {
    for deliveries in [vec![(200, 502), (100, 202)], vec![(200, 503)]] {
        let (holds, _, message, _) = judged("Statuses", &own(vec![hook(&deliveries)]));
        assert!(holds == Some(true) && message.contains("50"), "{message}");
    }
}

#[test]
fn a_wrong_secret_is_told_with_its_connection_and_the_delivery() {
    let (holds, reason, message, stops) =
        judged("Statuses", &own(vec![hook(&[(60, 401), (30, 202)])]));
    assert_eq!((holds, reason, stops), (Some(false), "WebhookSecret", true));
    for words in [
        "webhook 7",
        "`https://hook.example`",
        "`main`",
        "`webhook-secret`",
        "1970-01-12 13:47 UTC",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[test]
fn a_webhook_that_never_delivered_is_told_but_not_in_its_first_minute() {
    let silent = hook(&[]);
    let (_, reason, message, stops) = judged("Statuses", &own(vec![silent.clone()]));
    assert!(
        reason == "WebhookSilent" && stops && message.contains("never"),
        "{message}"
    );
    let lost = hook(&[(100, 502), (50, 404)]);
    assert_eq!(judged("Statuses", &own(vec![lost])).1, "WebhookSilent");
    let mut fresh = silent.clone();
    fresh.created_at = Some(at(NOW - 20));
    assert_eq!(judged("Statuses", &own(vec![fresh])).0, None);
}

#[test]
fn an_old_app_is_silent_only_where_it_had_something_to_tell() {
    let mut app = hook(&[]);
    (app.id, app.unused) = (None, false);
    app.created_at = Some(at(NOW - 90 * 86_400));
    let mut quiet = probe(Webhooks::App(Some(app)));
    assert_eq!(judged("Statuses", &quiet).1, "Quiet");
    quiet.last_change = Some(at(NOW - 4 * 86_400));
    assert_eq!(
        judged("Statuses", &quiet).1,
        "Quiet",
        "GitHub forgot that delivery"
    );
    quiet.last_change = Some(at(NOW - 86_400));
    let (_, reason, message, _) = judged("Statuses", &quiet);
    assert!(
        reason == "WebhookSilent" && message.contains("App's webhook"),
        "{message}"
    );
}

#[test]
fn an_event_that_is_not_subscribed_to_is_named() {
    let mut deaf = hook(&[(100, 202)]);
    deaf.events = vec!["pull_request".to_owned()];
    let (_, reason, message, stops) = judged("Statuses", &own(vec![deaf.clone()]));
    assert!(reason == "EventMissing" && stops, "{message}");
    assert!(
        message.contains("does not tell of `issue_comment`;"),
        "{message}"
    );
    deaf.events = vec!["issue_comment".to_owned()];
    let (_, _, message, _) = judged("Statuses", &own(vec![deaf.clone()]));
    assert!(message.contains("`pull_request`"), "{message}");
    let (_, _, message, _) = judged("Checks", &own(vec![hook(&[(100, 202)])]));
    assert!(message.contains("`check_run`, `check_suite`"), "{message}");
    deaf.events = vec!["*".to_owned()];
    assert_eq!(judged("Checks", &own(vec![deaf])).1, "Delivering");
}

#[test]
fn a_webhook_that_is_switched_off_is_told() {
    let mut off = hook(&[(100, 202)]);
    off.active = false;
    assert_eq!(judged("Statuses", &own(vec![off])).1, "WebhookOff");
}

#[test]
fn of_several_webhooks_one_that_works_is_enough() {
    let mut other = hook(&[(100, 401)]);
    other.events = vec!["push".to_owned()];
    let foreign = hook(&[(100, 404)]);
    let ours = hook(&[(100, 202)]);
    assert_eq!(
        judged("Statuses", &own(vec![other.clone(), foreign, ours])).1,
        "Delivering"
    );
    assert_eq!(judged("Statuses", &own(vec![other])).1, "NoWebhook");
}

#[test]
fn no_webhook_may_be_on_purpose_and_one_that_cannot_be_seen_is_not_judged() {
    for (webhooks, holds, reason) in [
        (Webhooks::Own(Vec::new()), Some(false), "NoWebhook"),
        (Webhooks::App(None), Some(false), "NoWebhook"),
        (Webhooks::Hidden, None, "NotVisible"),
        (Webhooks::Unknown("502".to_owned()), None, "NotAsked"),
    ] {
        let (found, why, _, stops) = judged("Statuses", &probe(webhooks));
        assert_eq!((found, why, stops), (holds, reason, false));
    }
}

#[test]
fn whether_a_forks_activity_can_be_read_is_a_condition_of_its_own() {
    let said = |forks| {
        let probe = Probe {
            forks,
            ..probe(Webhooks::Hidden)
        };
        let (findings, fault) = judge(&repository("Statuses"), &probe);
        assert_eq!(fault, None);
        let found = findings.into_iter().find(|one| one.kind == FORK_ACTIVITY);
        found.map(|one| (one.holds, one.reason, one.message))
    };
    assert_eq!(said(Forks::Readable).unwrap().0, Some(true));
    assert_eq!(said(Forks::None).unwrap().0, None);
    assert_eq!(said(Forks::Unknown), None, "what was known stays");
    let (holds, reason, message) = said(Forks::Unreadable(
        "mallory/app".to_owned(),
        "GitHub answers 404".to_owned(),
    ))
    .unwrap();
    assert_eq!((holds, reason), (Some(false), "Unreadable"));
    assert!(
        message.contains("`mallory/app`") && message.contains("404"),
        "{message}"
    );
}
