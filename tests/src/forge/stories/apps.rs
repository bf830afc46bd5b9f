//! Apps, tokens and webhooks.

use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::hooks::{add_hook, subscribed};
use super::people::ensure_user;
use super::{repository, user};
use crate::forge::Forge;
use crate::forge::model::{self, Id, Installation, Permissions, Token, UserType};

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
                next_key: None,
                events: options.events.clone(),
                permissions: options.permissions.clone(),
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

    /// Gives an App one key more, and returns it. The first one is as good, until it is dropped.
    pub fn add_app_key(&self, app: Id) -> String {
        let key = new_key();
        self.inner.edit(|world| {
            if let Some(app) = world.apps.get_mut(&app) {
                app.next_key = Some(key.public_der);
            }
        });
        key.private_pem
    }

    /// Drops an App's first key; the one that was added stays.
    pub fn drop_first_app_key(&self, app: Id) {
        self.inner.edit(|world| {
            if let Some(app) = world.apps.get_mut(&app)
                && let Some(next) = app.next_key.take()
            {
                app.public_key = next;
            }
        });
    }

    /// Installs an App on further repositories, all of one owner who has not installed it yet. Returns
    /// the id of the installation.
    ///
    /// # Panics
    /// If there is no such App or repository.
    pub fn install(&self, app: Id, repositories: &[&str]) -> Id {
        let now = self.inner.clock.now();
        self.inner.edit(|world| {
            let ids: Vec<Id> = repositories
                .iter()
                .map(|name| repository(world, name))
                .collect();
            let installation = Installation {
                id: world.id("installation"),
                app,
                account: world.repositories[&ids[0]].owner,
                repositories: ids,
                permissions: world.apps[&app].permissions.clone(),
                suspended: false,
                created_at: now,
            };
            let id = installation.id;
            world.installations.insert(id, installation);
            id
        })
    }

    /// Lets an installation reach one more repository of its owner.
    ///
    /// # Panics
    /// If there is no such repository.
    pub fn widen_installation(&self, installation: Id, full_name: &str) {
        self.inner.edit(|world| {
            let id = repository(world, full_name);
            if let Some(one) = world.installations.get_mut(&installation) {
                one.repositories.push(id);
            }
        });
    }

    /// The App that a story made and installed on a repository, if there is one: the first.
    #[must_use]
    pub fn app_on(&self, full_name: &str) -> Option<Id> {
        let world = self.inner.lock();
        let id = repository(&world, full_name);
        // Other systems' Apps have no keys here.
        let ours = |app: Id| {
            let app = world.apps.get(&app);
            app.is_some_and(|app| !app.public_key.is_empty())
        };
        world
            .installations
            .values()
            .find(|one| one.repositories.contains(&id) && ours(one.app))
            .map(|one| one.app)
    }

    /// Grants an installation these permissions and no others, as an owner who takes one away, or has
    /// not accepted one that the App asks for since. Tokens lose what is not granted at once.
    pub fn set_granted(&self, installation: Id, permissions: &Permissions) {
        self.inner.edit(|world| {
            if let Some(one) = world.installations.get_mut(&installation) {
                one.permissions.clone_from(permissions);
            }
            for token in world.tokens.values_mut() {
                if let Token::Installation {
                    installation: of,
                    permissions: may,
                    ..
                } = token
                    && *of == installation
                {
                    may.retain(|name, _| permissions.contains_key(name));
                }
            }
        });
    }

    /// Takes one permission from an installation.
    pub fn take_permission(&self, installation: Id, permission: &str) {
        let granted = self.inner.lock().installations.get(&installation).cloned();
        if let Some(mut one) = granted {
            one.permissions.remove(permission);
            self.set_granted(installation, &one.permissions);
        }
    }

    /// Grants an installation one permission more. Tokens that there are do not get it.
    pub fn give_permission(&self, installation: Id, permission: &str, level: &str) {
        self.inner.edit(|world| {
            if let Some(one) = world.installations.get_mut(&installation) {
                let granted = &mut one.permissions;
                granted.insert(permission.to_owned(), level.to_owned());
            }
        });
    }

    /// Judges Apps' JWTs by the forge's own clock from now on: that of whoever makes them may be wrong.
    pub fn judge_jwts_by_its_own_clock(&self) {
        self.inner.edit(|world| world.dates_jwts = true);
    }

    /// All tokens that there are: of installations and of people.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.inner.lock().tokens.keys().cloned().collect()
    }

    /// The installation by which an App sees a repository.
    #[must_use]
    pub fn installation_on(&self, full_name: &str, app: Id) -> Option<Id> {
        let world = self.inner.lock();
        let id = repository(&world, full_name);
        let mut all = world.installations.values();
        let found = all.find(|one| one.app == app && one.repositories.contains(&id));
        found.map(|one| one.id)
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
}

/// A key of an App in the forms in which GitHub has them.
struct Key {
    private_pem: String,
    public_der: Vec<u8>,
}

/// One key for all Apps of the process: making one takes longer than a whole test.
fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(new_key)
}

fn new_key() -> Key {
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
