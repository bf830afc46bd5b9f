//! Apps, tokens and webhooks.

use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::people::ensure_user;
use super::{repository, user};
use crate::forge::Forge;
use crate::forge::clock::iso;
use crate::forge::model::{self, Hook, Id, Installation, Permissions, Token, UserType, World};
use crate::forge::wire::{Wire, merge};

/// An App to be made and installed.
#[derive(Clone, Debug)]
pub struct AppOptions {
    /// The name in URLs; it writes as `<slug>[bot]`.
    pub slug: String,
    /// The repositories that it is installed on, all of one owner.
    pub repositories: Vec<String>,
    /// What was granted.
    pub permissions: Permissions,
    /// The events that it subscribes to.
    pub events: Vec<String>,
    /// Where the App's webhook goes, and its secret.
    pub hook: Option<(String, String)>,
}

impl AppOptions {
    /// With a permission besides, or in place of the one of that name.
    #[must_use]
    pub fn with(mut self, permission: &str, level: &str) -> Self {
        self.permissions
            .insert(permission.to_owned(), level.to_owned());
        self
    }

    /// Without a permission.
    #[must_use]
    pub fn without(mut self, permission: &str) -> Self {
        self.permissions.remove(permission);
        self
    }
}

impl Default for AppOptions {
    /// `prbuild`, installed nowhere, with the permissions that PrBuild asks for.
    fn default() -> Self {
        let granted = [
            ("metadata", "read"),
            ("contents", "read"),
            ("members", "read"),
            ("pull_requests", "write"),
            ("statuses", "write"),
        ];
        Self {
            slug: "prbuild".to_owned(),
            repositories: Vec::new(),
            permissions: granted
                .iter()
                .map(|(name, level)| ((*name).to_owned(), (*level).to_owned()))
                .collect(),
            events: subscribed(),
            hook: None,
        }
    }
}

/// An App that was made.
#[derive(Clone, Debug)]
pub struct App {
    /// Numeric id, the issuer of its JWTs.
    pub id: Id,
    /// The account that it writes as.
    pub bot: String,
    /// Its private key, as GitHub hands it out: PKCS#1.
    pub private_key_pem: String,
    /// Its installation.
    pub installation_id: Id,
}

/// A personal token to be made.
#[derive(Clone, Debug, Default)]
pub struct TokenOptions {
    /// Narrows it to these permissions, as a fine-grained token; a classic one when none.
    pub permissions: Option<Permissions>,
    /// Ends after this time of the forge's clock.
    pub lifetime: Option<Duration>,
}

impl Forge {
    /// Makes an App and installs it.
    ///
    /// # Panics
    /// If a repository is not there, or they have several owners.
    pub fn add_app(&self, options: AppOptions) -> App {
        let key = key();
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let repositories: Vec<Id> = options
                .repositories
                .iter()
                .map(|name| repository(world, name))
                .collect();
            let owners: Vec<Id> = repositories
                .iter()
                .map(|id| world.repositories[id].owner)
                .collect();
            assert!(
                owners.windows(2).all(|pair| pair[0] == pair[1]),
                "forge: an installation has one owner"
            );
            let owner = ensure_user(world, "app-owner", UserType::User);
            let bot = format!("{}[bot]", options.slug);
            let app = model::App {
                id: world.id("app"),
                slug: options.slug.clone(),
                owner,
                bot: ensure_user(world, &bot, UserType::Bot),
                public_key: key.public_der.clone(),
                events: options.events.clone(),
                created_at: now,
            };
            let installation = Installation {
                id: world.id("installation"),
                app: app.id,
                account: owners.first().copied().unwrap_or(owner),
                repositories,
                permissions: options.permissions.clone(),
                suspended: false,
                created_at: now,
            };
            let (id, installation_id) = (app.id, installation.id);
            world.apps.insert(id, app);
            world.installations.insert(installation_id, installation);
            if let Some((url, secret)) = &options.hook {
                add_hook(world, None, Some(id), url, secret, now);
            }
            App {
                id,
                bot,
                private_key_pem: key.private_pem.clone(),
                installation_id,
            }
        })
    }

    /// Sets the webhook of an App, in place of the one it had.
    pub fn set_app_hook(&self, app: Id, url: &str, secret: &str) -> Id {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            world.hooks.retain(|hook| hook.app != Some(app));
            add_hook(world, None, Some(app), url, secret, now)
        })
    }

    /// Suspends an installation, or ends that.
    pub fn suspend_installation(&self, installation: Id, suspended: bool) {
        self.inner.edit(|world| {
            if let Some(one) = world.installations.get_mut(&installation) {
                one.suspended = suspended;
            }
        });
    }

    /// Makes a personal token of a user. Returns its secret text.
    pub fn add_token(&self, login: &str, options: TokenOptions) -> String {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let (user, number) = (user(world, login), world.id("token"));
            let secret = format!("ghp_{number:036}");
            let expires_at = options.lifetime.map(|lifetime| now + lifetime);
            world.tokens.insert(
                secret.clone(),
                Token::Personal {
                    user,
                    permissions: options.permissions,
                    expires_at,
                },
            );
            secret
        })
    }

    /// Makes a token invalid at once.
    pub fn revoke_token(&self, secret: &str) {
        self.inner.edit(|world| world.tokens.remove(secret));
    }

    /// Makes every installation token invalid at once; they can be minted again.
    pub fn revoke_installation_tokens(&self) {
        self.inner.edit(|world| {
            world
                .tokens
                .retain(|_, token| matches!(token, Token::Personal { .. }))
        });
    }

    /// Adds a webhook to a repository. Returns its id. [`Forge::ping`] tries it.
    pub fn add_hook(&self, full_name: &str, url: &str, secret: &str) -> Id {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let id = repository(world, full_name);
            add_hook(world, Some(id), None, url, secret, now)
        })
    }

    /// Removes a webhook.
    pub fn remove_hook(&self, hook: Id) {
        self.inner
            .edit(|world| world.hooks.retain(|one| one.id != hook));
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
            let payload = ping(
                &Wire {
                    world,
                    base: &self.inner.base,
                },
                &hook,
            );
            if let Some(contract) = &self.inner.contract {
                contract.webhook("ping", &payload);
            }
            self.inner
                .send(world, &hook, "ping", hook.repository, &payload);
        });
    }
}

/// What PrBuild subscribes to.
fn subscribed() -> Vec<String> {
    ["issue_comment", "pull_request"]
        .map(str::to_owned)
        .to_vec()
}

fn add_hook(
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

fn ping(wire: &Wire<'_>, hook: &Hook) -> serde_json::Value {
    let api = format!("{}/hooks/{}", wire.base, hook.id);
    let mut value = json!({
        "zen": "Keep it logically awesome.",
        "hook_id": hook.id,
        "hook": {
            "type": if hook.app.is_some() { "App" } else { "Repository" },
            "id": hook.id,
            "name": "web",
            "active": true,
            "events": hook.events,
            "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": hook.url},
            "updated_at": iso(hook.created_at),
            "created_at": iso(hook.created_at),
            "url": api,
            "ping_url": format!("{api}/pings"),
            "deliveries_url": format!("{api}/deliveries"),
        },
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

/// A key of an App in the forms in which GitHub has them.
struct Key {
    private_pem: String,
    public_der: Vec<u8>,
}

/// One key for all Apps of the process: making one takes longer than a whole test.
fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| {
        let made = KeyPair::generate(KeySize::Rsa2048).ok().and_then(|pair| {
            let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).ok()?;
            // PKCS#8 of a 2048 bit key wraps the PKCS#1 key in a header of 26 bytes.
            let pkcs1 = pkcs8
                .as_ref()
                .get(26..)
                .filter(|der| der.first() == Some(&0x30))?
                .to_vec();
            Some(Key {
                private_pem: pem(&pkcs1),
                public_der: pair.public_key().as_ref().to_vec(),
            })
        });
        match made {
            Some(key) => key,
            None => panic!("forge: cannot make an RSA key"),
        }
    })
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut out = String::from("-----BEGIN RSA PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out + "-----END RSA PRIVATE KEY-----\n"
}
