//! Webhooks: where deliveries go, what they are signed with, and what they tell of.

use serde_json::{Value, json};

use super::repository;
use crate::forge::Forge;
use crate::forge::model::{Hook, Id, World};
use crate::forge::wire::{Wire, merge};

/// What PrBuild subscribes to.
pub(super) fn subscribed() -> Vec<String> {
    ["issue_comment", "pull_request"]
        .map(str::to_owned)
        .to_vec()
}

impl Forge {
    /// Adds a webhook to a repository. Returns its id. [`Forge::ping`] tries it.
    pub fn add_hook(&self, full_name: &str, url: &str, secret: &str) -> Id {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let id = repository(world, full_name);
            add_hook(world, Some(id), None, url, secret, now)
        })
    }

    /// Sets the webhook of an App. It has only one, which keeps its deliveries when it points elsewhere.
    pub fn set_app_hook(&self, app: Id, url: &str, secret: &str) -> Id {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let known = world.hooks.iter_mut().find(|hook| hook.app == Some(app));
            let Some(hook) = known else {
                return add_hook(world, None, Some(app), url, secret, now);
            };
            url.clone_into(&mut hook.url);
            secret.clone_into(&mut hook.secret);
            hook.id
        })
    }

    /// Removes a webhook.
    pub fn remove_hook(&self, hook: Id) {
        self.inner
            .edit(|world| world.hooks.retain(|one| one.id != hook));
    }

    /// Signs deliveries of a webhook with another secret from now on.
    pub fn set_hook_secret(&self, hook: Id, secret: &str) {
        self.change_hook(hook, |one| one.secret = secret.to_owned());
    }

    /// Sends deliveries of a webhook to another address from now on.
    pub fn set_hook_url(&self, hook: Id, url: &str) {
        self.change_hook(hook, |one| one.url = url.to_owned());
    }

    /// Switches a webhook on or off.
    pub fn set_hook_active(&self, hook: Id, active: bool) {
        self.change_hook(hook, |one| one.active = active);
    }

    /// Subscribes a webhook to these events and no others; an App's, the App.
    pub fn set_hook_events(&self, hook: Id, events: &[&str]) {
        let events: Vec<String> = events.iter().map(|&name| name.to_owned()).collect();
        self.change_hook(hook, |one| one.events.clone_from(&events));
        self.inner.edit(|world| {
            let app = world.hooks.iter().find(|one| one.id == hook);
            let app = app.and_then(|one| one.app);
            if let Some(app) = app.and_then(|app| world.apps.get_mut(&app)) {
                app.events = events;
            }
        });
    }

    /// The ids of the webhooks of a repository, oldest first.
    #[must_use]
    pub fn hooks(&self, full_name: &str) -> Vec<Id> {
        let world = self.inner.lock();
        let id = repository(&world, full_name);
        let own = world.hooks.iter();
        own.filter(|hook| hook.repository == Some(id))
            .map(|hook| hook.id)
            .collect()
    }

    /// The id of the webhook of an App.
    #[must_use]
    pub fn app_hook(&self, app: Id) -> Option<Id> {
        let world = self.inner.lock();
        let hook = world.hooks.iter().find(|hook| hook.app == Some(app));
        hook.map(|hook| hook.id)
    }

    fn change_hook(&self, hook: Id, change: impl FnOnce(&mut Hook)) {
        self.inner.edit(
            |world| match world.hooks.iter_mut().find(|one| one.id == hook) {
                Some(one) => change(one),
                None => panic!("forge: there is no webhook {hook}"),
            },
        );
    }

    /// Sends the `ping` that GitHub sends when a webhook is made.
    ///
    /// # Panics
    /// If there is no such webhook.
    pub fn ping(&self, hook: Id) {
        self.inner.edit(|world| {
            let Some(hook) = world.hooks.iter().find(|one| one.id == hook).cloned() else {
                panic!("forge: there is no webhook {hook}")
            };
            let payload = ping(&self.inner.wire(world), &hook);
            if let Some(contract) = &self.inner.contract {
                contract.webhook("ping", &payload);
            }
            let about = (hook.repository, None);
            self.inner.send(world, &hook, "ping", about, &payload);
        });
    }
}

pub(super) fn add_hook(
    world: &mut World,
    repository: Option<Id>,
    app: Option<Id>,
    url: &str,
    secret: &str,
    now: jiff::Timestamp,
) -> Id {
    let id = world.id("hook");
    world.hooks.push(Hook {
        id,
        repository,
        app,
        url: url.to_owned(),
        secret: secret.to_owned(),
        events: subscribed(),
        active: true,
        created_at: now,
    });
    id
}

fn ping(wire: &Wire<'_>, hook: &Hook) -> Value {
    let mut value = json!({
        "zen": "Keep it logically awesome.",
        "hook_id": hook.id,
        "hook": wire.hook(hook),
    });
    if let Some(app) = hook.app {
        value["hook"]["app_id"] = json!(app);
    }
    if let Some(repository) = hook
        .repository
        .and_then(|id| wire.world.repositories.get(&id))
    {
        merge(&mut value, wire.surroundings(repository, repository.owner));
    }
    value
}
