//! Webhooks: payloads signed as GitHub signs them, sent once, and every try on record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full, Limited};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

use super::faults::DeliveryFault;
use super::model::{Hook, Id, World};
use super::{Forge, Inner};

/// GitHub gives a receiver so long to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One try to deliver one event to one webhook.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Numeric id of the try.
    pub id: Id,
    /// `X-GitHub-Delivery`: the same for the redelivery of an event.
    pub guid: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// The field `action` of the payload, if it has one.
    pub action: Option<String>,
    /// The webhook.
    pub hook: Id,
    /// The repository that it is about.
    pub repository: Option<Id>,
    /// The installation by which an App hears of it.
    pub installation: Option<Id>,
    /// The bytes that were signed.
    pub payload: Bytes,
    /// When it was sent, by the forge's clock.
    pub delivered_at: Timestamp,
    /// How long the receiver took.
    pub took: Duration,
    /// Whether somebody asked for it again.
    pub redelivery: bool,
    /// What became of it.
    pub outcome: DeliveryOutcome,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Not yet known.
    Waiting,
    /// It never arrived, by a [`DeliveryFault`].
    Lost,
    /// The receiver answered with this status and body.
    Answered(u16, String),
    /// No answer: refused, cut, or later than ten seconds.
    Failed(String),
}

impl DeliveryOutcome {
    /// The status that GitHub records: 0 while it is on its way, 502 when nobody answered.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Waiting => 0,
            Self::Answered(code, _) => *code,
            Self::Lost | Self::Failed(_) => 502,
        }
    }
}

/// `sha256=<hex>` of the bytes, as in `X-Hub-Signature-256`.
#[must_use]
pub fn signature(secret: &str, payload: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(payload);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

impl Forge {
    /// Every delivery that was tried, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.inner.lock().deliveries.clone()
    }

    /// Waits until no delivery is on its way. Held ones count as on their way.
    pub async fn deliveries_settled(&self) {
        let limit = PATIENCE + Duration::from_secs(5);
        self.eventually(limit, "deliveries to end", |forge| {
            let world = forge.inner.lock();
            world
                .deliveries
                .iter()
                .all(|one| one.outcome != DeliveryOutcome::Waiting)
                .then_some(())
        })
        .await;
    }

    /// Sends a delivery again with its GUID and payload, as the button "Redeliver" does. Returns the id
    /// of the new try.
    ///
    /// # Panics
    /// If there is no such delivery.
    pub fn redeliver(&self, id: Id) -> Id {
        match self.inner.redeliver(id) {
            Some(id) => id,
            None => panic!("forge: there is no delivery {id}"),
        }
    }

    /// Signs and sends any payload to the webhooks of a repository, as somebody could who stole the
    /// secret. Nothing else happens, and nothing is validated.
    pub fn deliver_forged(&self, repository: &str, event: &str, payload: &Value) {
        self.inner.edit(|world| {
            let Some(id) = world.repository(repository).map(|found| found.id) else {
                panic!("forge: there is no repository `{repository}`")
            };
            for (hook, installation) in hooks_of(world, id) {
                let about = (Some(id), installation);
                self.inner.send(world, &hook, event, about, payload);
            }
        });
    }
}

impl Inner {
    /// Tells every webhook of a repository of an event. `payload` is built only if somebody listens.
    pub(super) fn emit(
        self: &Arc<Self>,
        world: &mut World,
        event: &str,
        repository: Id,
        payload: impl FnOnce(&World) -> Value,
    ) {
        self.emit_to(world, event, repository, None, payload);
    }

    /// As [`Inner::emit`], of what only one App is told when `only` names it.
    pub(super) fn emit_to(
        self: &Arc<Self>,
        world: &mut World,
        event: &str,
        repository: Id,
        only: Option<Id>,
        payload: impl FnOnce(&World) -> Value,
    ) {
        let mut hooks = hooks_of(world, repository);
        hooks.retain(|(hook, installation)| hears(world, hook, *installation, event, only));
        if hooks.is_empty() && self.contract.is_none() {
            return;
        }
        let bare = payload(world);
        let hold = |payload: &Value| {
            if let Some(contract) = &self.contract {
                contract.webhook(event, payload);
            }
        };
        if hooks.is_empty() {
            hold(&bare);
        }
        for (hook, installation) in hooks {
            let mut payload = bare.clone();
            if let (Some(id), Value::Object(fields)) = (installation, &mut payload) {
                fields.insert(
                    "installation".to_owned(),
                    json!({"id": id, "node_id": format!("MDIzOkluc3RhbGxhdGlvbiMx{id}")}),
                );
            }
            hold(&payload);
            let about = (Some(repository), installation);
            self.send(world, &hook, event, about, &payload);
        }
    }

    /// Sends one payload to one webhook, about a repository and for an installation, with the fault that
    /// is switched on.
    pub(super) fn send(
        self: &Arc<Self>,
        world: &mut World,
        hook: &Hook,
        event: &str,
        (repository, installation): (Option<Id>, Option<Id>),
        payload: &Value,
    ) {
        let fault = self.faults.take_delivery(event);
        if matches!(fault, Some(DeliveryFault::NeverMade)) {
            return;
        }
        let guid = guid(world.id("guid"));
        let mut delivery = Delivery {
            id: world.id("delivery"),
            guid,
            event: event.to_owned(),
            action: payload["action"].as_str().map(str::to_owned),
            hook: hook.id,
            repository,
            installation,
            payload: payload.to_string().into(),
            delivered_at: self.clock.now(),
            took: Duration::ZERO,
            redelivery: false,
            outcome: DeliveryOutcome::Waiting,
        };
        let copies = match fault {
            Some(DeliveryFault::Lost) => {
                delivery.outcome = DeliveryOutcome::Lost;
                world.deliveries.push(delivery);
                return;
            }
            Some(DeliveryFault::Duplicated(more)) => more,
            _ => 0,
        };
        for _ in 0..copies {
            let copy = Delivery {
                id: world.id("delivery"),
                ..delivery.clone()
            };
            world.deliveries.push(copy.clone());
            self.post(hook.clone(), copy, None);
        }
        world.deliveries.push(delivery.clone());
        self.post(hook.clone(), delivery, fault);
    }

    /// Sends a recorded delivery again. None if there is no such one.
    pub(super) fn redeliver(self: &Arc<Self>, id: Id) -> Option<Id> {
        self.edit(|world| {
            let old = world.deliveries.iter().find(|one| one.id == id)?.clone();
            let hook = world.hooks.iter().find(|hook| hook.id == old.hook)?.clone();
            let new = Delivery {
                id: world.id("delivery"),
                delivered_at: self.clock.now(),
                took: Duration::ZERO,
                redelivery: true,
                outcome: DeliveryOutcome::Waiting,
                ..old
            };
            world.deliveries.push(new.clone());
            let id = new.id;
            self.post(hook, new, None);
            Some(id)
        })
    }

    /// Posts in the background, and writes down what became of it.
    fn post(self: &Arc<Self>, hook: Hook, delivery: Delivery, fault: Option<DeliveryFault>) {
        let inner = self.clone();
        let released = self.faults.released();
        self.runtime.spawn(async move {
            match fault {
                Some(DeliveryFault::Late(by)) => tokio::time::sleep(by).await,
                Some(DeliveryFault::Held) => released.await,
                _ => {}
            }
            let started = Instant::now();
            let outcome = inner.attempt(&hook, &delivery).await;
            inner.edit(|world| {
                // The newest are looked at first: there may be many.
                if let Some(one) = world
                    .deliveries
                    .iter_mut()
                    .rev()
                    .find(|one| one.id == delivery.id)
                {
                    one.took = started.elapsed();
                    one.outcome = outcome;
                }
            });
        });
    }

    async fn attempt(&self, hook: &Hook, delivery: &Delivery) -> DeliveryOutcome {
        let (target, kind) = match hook.app {
            Some(app) => (app, "integration"),
            None => (hook.repository.unwrap_or_default(), "repository"),
        };
        let mut request = http::Request::post(&hook.url);
        if let Some(version) = &self.enterprise {
            request = request
                .header("x-github-enterprise-version", version)
                .header("x-github-enterprise-host", self.address.ip().to_string());
        }
        let request = request
            .header("content-type", "application/json")
            .header("accept", "*/*")
            .header("user-agent", "GitHub-Hookshot/8e03811")
            .header("x-github-event", &delivery.event)
            .header("x-github-delivery", &delivery.guid)
            .header("x-github-hook-id", hook.id)
            .header("x-github-hook-installation-target-id", target)
            .header("x-github-hook-installation-target-type", kind)
            .header(
                "x-hub-signature-256",
                signature(&hook.secret, &delivery.payload),
            )
            .body(Full::new(delivery.payload.clone()));
        let request = match request {
            Ok(request) => request,
            Err(error) => return DeliveryOutcome::Failed(format!("{}: {error}", hook.url)),
        };
        let exchange = async {
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| error.to_string())?;
            let code = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), 64 << 10)
                .collect()
                .await
                .map_err(|error| error.to_string())?;
            Ok((code, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
        };
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(Ok((code, body))) => DeliveryOutcome::Answered(code, body),
            Ok(Err(error)) => DeliveryOutcome::Failed(error),
            Err(_) => DeliveryOutcome::Failed("timed out".to_owned()),
        }
    }
}

/// The webhooks that hear of a repository: its own, and those of Apps installed on it, with the
/// installation.
fn hooks_of(world: &World, repository: Id) -> Vec<(Hook, Option<Id>)> {
    let mut found = Vec::new();
    for hook in &world.hooks {
        if hook.repository == Some(repository) {
            found.push((hook.clone(), None));
        } else if let Some(app) = hook.app {
            let fits = |one: &&super::model::Installation| {
                one.app == app && !one.suspended && one.repositories.contains(&repository)
            };
            if let Some(installation) = world.installations.values().find(fits) {
                found.push((hook.clone(), Some(installation.id)));
            }
        }
    }
    found
}

/// Whether a webhook is told of an event: it is on and subscribed, and its App has the permission.
/// Repository webhooks are not told what is for one App only.
fn hears(
    world: &World,
    hook: &Hook,
    installation: Option<Id>,
    event: &str,
    only: Option<Id>,
) -> bool {
    let Some(installation) = installation.and_then(|id| world.installations.get(&id)) else {
        let subscribed = |name: &String| name == event || name == "*";
        return hook.active && only.is_none() && hook.events.iter().any(subscribed);
    };
    let subscriptions = world
        .apps
        .get(&installation.app)
        .map(|app| app.subscriptions(&installation.permissions));
    let permitted: &[&str] = match event {
        "check_run" | "check_suite" => &["checks"],
        "pull_request" => &["pull_requests"],
        "issue_comment" => &["issues", "pull_requests"],
        "status" => &["statuses"],
        _ => &["metadata"],
    };
    hook.active
        && only.is_none_or(|app| app == installation.app)
        && subscriptions.is_some_and(|all| all.iter().any(|name| name == event))
        && permitted
            .iter()
            .any(|name| *name == "metadata" || installation.permissions.contains_key(*name))
}

/// Looks like a GUID and never repeats in one forge.
fn guid(number: Id) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-11f1-8{:03x}-{number:012x}",
        mixed >> 32,
        (mixed >> 16) & 0xffff,
        mixed & 0xfff
    )
}
