//! Webhooks and their deliveries.

use serde_json::{Value, json};

use super::Wire;
use crate::forge::clock::iso;
use crate::forge::hooks::{Delivery, DeliveryOutcome, signature};
use crate::forge::model::Hook;

/// What shows of a secret.
const STARS: &str = "********";

impl Wire<'_> {
    /// The part of a webhook that a `ping` shows too.
    #[must_use]
    pub fn hook(&self, hook: &Hook) -> Value {
        let api = match hook
            .repository
            .and_then(|id| self.world.repositories.get(&id))
        {
            Some(repository) => format!("{}/hooks/{}", self.repository_url(repository), hook.id),
            None => format!("{}/app/hook", self.api()),
        };
        json!({
            "type": if hook.app.is_some() { "App" } else { "Repository" },
            "id": hook.id,
            "name": "web",
            "active": hook.active,
            "events": hook.events,
            "config": self.hook_config(hook),
            "updated_at": iso(hook.created_at),
            "created_at": iso(hook.created_at),
            "url": api,
            "ping_url": format!("{api}/pings"),
            "deliveries_url": format!("{api}/deliveries"),
        })
    }

    /// A webhook as the list of a repository shows it, with what became of its newest delivery.
    #[must_use]
    pub fn repository_hook(&self, hook: &Hook) -> Value {
        let mut value = self.hook(hook);
        let url = value["url"].as_str().unwrap_or_default().to_owned();
        value["test_url"] = json!(format!("{url}/test"));
        let newest = self.world.deliveries.iter().rev();
        let newest = newest
            .filter(|one| one.hook == hook.id)
            .find(|one| one.outcome != DeliveryOutcome::Waiting);
        value["last_response"] = match newest.map(|one| &one.outcome) {
            None => json!({"code": null, "status": "unused", "message": null}),
            Some(outcome) => {
                let status = match outcome.code() {
                    200..400 => "active",
                    404 => "missing",
                    _ if *outcome == DeliveryOutcome::Failed("timed out".to_owned()) => "timeout",
                    502 => "connection_error",
                    _ => "misconfigured",
                };
                json!({"code": outcome.code(), "status": status, "message": words(outcome)})
            }
        };
        value
    }

    /// Where a webhook goes.
    #[must_use]
    pub fn hook_config(&self, hook: &Hook) -> Value {
        json!({"content_type": "json", "insecure_ssl": "0", "secret": STARS, "url": hook.url})
    }

    /// A delivery as lists show it.
    #[must_use]
    pub fn delivery_item(&self, one: &Delivery) -> Value {
        json!({
            "id": one.id,
            "guid": one.guid,
            "delivered_at": iso(one.delivered_at),
            "redelivery": one.redelivery,
            "duration": one.took.as_secs_f64(),
            "status": words(&one.outcome),
            "status_code": one.outcome.code(),
            "event": one.event,
            "action": one.action,
            "installation_id": one.installation,
            "repository_id": one.repository,
            "throttled_at": null,
        })
    }

    /// A delivery with what was sent and answered.
    #[must_use]
    pub fn delivery(&self, hook: &Hook, one: &Delivery) -> Value {
        let mut value = self.delivery_item(one);
        let body = match &one.outcome {
            DeliveryOutcome::Answered(_, body) => json!(body),
            _ => Value::Null,
        };
        value["url"] = json!(hook.url);
        value["request"] = json!({
            "headers": {
                "Content-Type": "application/json",
                "User-Agent": "GitHub-Hookshot/8e03811",
                "X-GitHub-Event": one.event,
                "X-GitHub-Delivery": one.guid,
                "X-GitHub-Hook-ID": hook.id.to_string(),
                "X-Hub-Signature-256": signature(&hook.secret, &one.payload),
            },
            "payload": serde_json::from_slice::<Value>(&one.payload).unwrap_or_default(),
        });
        value["response"] = json!({"headers": {}, "payload": body});
        value
    }
}

/// GitHub's words for what became of a delivery.
fn words(outcome: &DeliveryOutcome) -> String {
    match outcome {
        DeliveryOutcome::Waiting => "pending".to_owned(),
        DeliveryOutcome::Answered(code, _) if *code < 400 => "OK".to_owned(),
        DeliveryOutcome::Answered(code, _) => format!("Invalid HTTP Response: {code}"),
        DeliveryOutcome::Failed(error) if error == "timed out" => error.clone(),
        DeliveryOutcome::Lost | DeliveryOutcome::Failed(_) => {
            "failed to connect to host".to_owned()
        }
    }
}
