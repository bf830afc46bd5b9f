//! Apps, their installations, tokens and webhooks.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Id;

/// Permission → `read` or `write`, as GitHub names them: `statuses`, `pull_requests`, ….
pub type Permissions = BTreeMap<String, String>;

/// A GitHub App.
#[derive(Clone, Debug)]
pub struct App {
    /// Numeric id, the issuer of its JWTs.
    pub id: Id,
    /// The name in URLs.
    pub slug: String,
    /// Who owns it.
    pub owner: Id,
    /// The account under which it writes, `<slug>[bot]`.
    pub bot: Id,
    /// The public key that its JWTs are checked with: PKCS#1 DER.
    pub public_key: Vec<u8>,
    /// A second one, while its owner changes from one to the other.
    pub next_key: Option<Vec<u8>>,
    /// What it asks for; an installation may have granted less.
    pub permissions: Permissions,
    /// The events that it subscribes to, besides those that its permissions bring.
    pub events: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An App on the repositories of one account.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Numeric id.
    pub id: Id,
    /// The App.
    pub app: Id,
    /// The account that it is installed on.
    pub account: Id,
    /// The repositories that were chosen.
    pub repositories: Vec<Id>,
    /// What the account granted.
    pub permissions: Permissions,
    /// Whether the account suspended it.
    pub suspended: bool,
    /// When it was installed.
    pub created_at: Timestamp,
}

/// A token and whom it speaks for.
#[derive(Clone, Debug)]
pub enum Token {
    /// A person's token. `permissions` are those of a fine-grained one; a classic one may do all
    /// that its user may.
    Personal {
        /// Its user.
        user: Id,
        /// What it was narrowed to.
        permissions: Option<Permissions>,
        /// When it ends.
        expires_at: Option<Timestamp>,
    },
    /// An installation's token.
    Installation {
        /// The installation.
        installation: Id,
        /// What it was narrowed to.
        permissions: Permissions,
        /// The repositories it was narrowed to.
        repositories: Vec<Id>,
        /// When it ends.
        expires_at: Timestamp,
    },
}

impl App {
    /// All events that it is told of with these permissions: who may write checks is told of them.
    #[must_use]
    pub fn subscriptions(&self, permissions: &Permissions) -> Vec<String> {
        let mut all = self.events.clone();
        if permissions.get("checks").map(String::as_str) == Some("write") {
            all.extend(["check_run", "check_suite"].map(str::to_owned));
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// A webhook of a repository, or of an App.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Numeric id.
    pub id: Id,
    /// The repository, for a repository's webhook.
    pub repository: Option<Id>,
    /// The App, for an App's webhook.
    pub app: Option<Id>,
    /// Where deliveries go.
    pub url: String,
    /// What they are signed with.
    pub secret: String,
    /// The events that it subscribes to, for a repository's webhook.
    pub events: Vec<String>,
    /// Whether it is switched on.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}
