//! Credentials. An installation token is minted for one repository with the least permissions, kept
//! once for all callers, and refreshed by one of them while the others go on with the old one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::EncodingKey;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::jwt::{self, Clock};
use crate::path::segment;
use crate::permissions::{CHECKS, asked, covers, needed};
use crate::transport::{Answer, Call, Transport};
use crate::{Access, GithubError};

/// Before a token ends, by this much, one caller fetches the next; the others use the old one.
const REFRESH: Duration = Duration::from_secs(600);
/// A token this close to its end is not used any more.
const MARGIN: Duration = Duration::from_secs(60);

/// An App's key and the tokens that were minted with it.
pub(crate) struct App {
    id: u64,
    key: EncodingKey,
    installation: Option<u64>,
    access: Access,
    api_url: String,
    transport: Transport,
    tokens: Mutex<HashMap<String, Arc<Slot>>>,
    clock: Clock,
}

/// The token of one repository.
#[derive(Default)]
struct Slot {
    held: Mutex<Option<Held>>,
    /// Whether the App may write check runs, as it was when the last token was minted.
    checks: Mutex<Option<bool>>,
    /// Held by the one caller that mints.
    minting: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Held {
    token: SecretString,
    ends: Instant,
}

/// An installation: where a token is minted, and what the App was granted there.
#[derive(Clone, Debug, Deserialize)]
struct Installation {
    id: u64,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Minted {
    token: String,
    expires_at: Timestamp,
}

impl App {
    pub fn new(
        id: u64,
        key: EncodingKey,
        installation: Option<u64>,
        access: Access,
        api_url: String,
        transport: Transport,
    ) -> Self {
        Self {
            id,
            key,
            installation,
            access,
            api_url,
            transport,
            tokens: Mutex::default(),
            clock: Clock::default(),
        }
    }

    /// The App's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    fn slot(&self, owner: &str, name: &str) -> Arc<Slot> {
        let key = format!("{owner}/{name}").to_ascii_lowercase();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.entry(key).or_default().clone()
    }

    /// The token for one repository, minted at most once at a time.
    pub async fn token(
        self: &Arc<Self>,
        owner: &str,
        name: &str,
    ) -> Result<SecretString, GithubError> {
        let slot = self.slot(owner, name);
        if let Some((token, left)) = slot.usable() {
            if left < REFRESH {
                self.refresh_behind(&slot, owner, name);
            }
            return Ok(token);
        }
        let _minting = slot.minting.lock().await;
        if let Some((token, _)) = slot.usable() {
            return Ok(token);
        }
        self.mint(&slot, owner, name).await
    }

    /// Mints the next token in the background, unless somebody does already.
    fn refresh_behind(self: &Arc<Self>, slot: &Arc<Slot>, owner: &str, name: &str) {
        let (app, slot) = (self.clone(), slot.clone());
        let (owner, name) = (owner.to_owned(), name.to_owned());
        tokio::spawn(async move {
            let Ok(_minting) = slot.minting.try_lock() else {
                return;
            };
            if slot.usable().is_some_and(|(_, left)| left >= REFRESH) {
                return;
            }
            if let Err(error) = app.mint(&slot, &owner, &name).await {
                tracing::warn!(%error, "the installation token was not refreshed; the old one is still good");
            }
        });
    }

    /// Forgets the token, whatever it is.
    pub fn forget(&self, owner: &str, name: &str) {
        self.slot(owner, name).set(None);
    }

    /// Forgets a token that GitHub did not accept. One that took its place meanwhile stays: others asked
    /// with the same token, and one of them was told sooner.
    pub fn refused(&self, owner: &str, name: &str, token: &SecretString) {
        self.slot(owner, name).refused(token);
    }

    /// Whether the App may write check runs on a repository; none before its first token.
    pub fn writes_checks(&self, owner: &str, name: &str) -> Option<bool> {
        *self
            .slot(owner, name)
            .checks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The permissions that PrBuild needs, with `more`, and the App was not granted, as `name: level`.
    pub async fn missing(
        &self,
        owner: &str,
        name: &str,
        more: &[(&str, &str)],
    ) -> Result<Vec<String>, GithubError> {
        let granted = self.installation(owner, name).await?.permissions;
        Ok(needed(self.access)
            .iter()
            .chain(more)
            .filter(|(name, level)| !covers(granted.get(*name), level))
            .map(|(name, level)| format!("{name}: {level}"))
            .collect())
    }

    async fn installation(&self, owner: &str, name: &str) -> Result<Installation, GithubError> {
        let path = match self.installation {
            Some(id) => format!("/app/installations/{id}"),
            None => format!("/repos/{}/{}/installation", segment(owner), segment(name)),
        };
        let (found, _) = self.app_call(Method::GET, &path, None).await?;
        Ok(found)
    }

    async fn mint(
        &self,
        slot: &Slot,
        owner: &str,
        name: &str,
    ) -> Result<SecretString, GithubError> {
        let installation = self.installation(owner, name).await?;
        let permissions = asked(self.access, &installation.permissions);
        let by_name = serde_json::json!({ "repositories": [name], "permissions": permissions });
        let (minted, date) = match self.minted(installation.id, &by_name).await {
            // No repository has this name any more; it may have another one.
            Err(refused @ GithubError::Unprocessable { .. }) => {
                let Ok(id) = self.renamed(installation.id, owner, name).await else {
                    return Err(refused);
                };
                let by_id =
                    serde_json::json!({ "repository_ids": [id], "permissions": permissions });
                self.minted(installation.id, &by_id).await?
            }
            other => other?,
        };
        // How long it lives is a difference of two of GitHub's times, so our clock may be wrong.
        let life = minted.expires_at.duration_since(date);
        let life = Duration::try_from(life).unwrap_or_default();
        let token = SecretString::from(minted.token);
        let checks = covers(installation.permissions.get(CHECKS.0), CHECKS.1);
        *slot.checks.lock().unwrap_or_else(PoisonError::into_inner) = Some(checks);
        slot.set(Some(Held {
            token: token.clone(),
            ends: Instant::now() + life,
        }));
        Ok(token)
    }

    async fn minted(
        &self,
        installation: u64,
        body: &serde_json::Value,
    ) -> Result<(Minted, Timestamp), GithubError> {
        let path = format!("/app/installations/{installation}/access_tokens");
        let body = body.to_string();
        self.app_call(Method::POST, &path, Some(&body)).await
    }

    /// Numeric id of the repository that had this name, to which GitHub leads on. It is asked with a
    /// token that may see no more than names.
    async fn renamed(
        &self,
        installation: u64,
        owner: &str,
        name: &str,
    ) -> Result<i64, GithubError> {
        #[derive(Deserialize)]
        struct Known {
            id: i64,
        }
        let body = serde_json::json!({ "permissions": { "metadata": "read" } });
        let (minted, _) = self.minted(installation, &body).await?;
        let path = format!("/repos/{}/{}", segment(owner), segment(name));
        let call = format!("GET {path}");
        let answer = self
            .transport
            .send(Call {
                method: Method::GET,
                url: format!("{}{path}", self.api_url),
                name: call.clone(),
                credential: Some(&SecretString::from(minted.token)),
                body: None,
                etag: None,
                ledger: None,
            })
            .await?;
        let known: Known =
            serde_json::from_slice(&answer.body).map_err(|error| GithubError::Malformed {
                call,
                reason: error.to_string(),
            })?;
        Ok(known.id)
    }

    async fn app_call<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
    ) -> Result<(T, Timestamp), GithubError> {
        let name = format!("{method} {path}");
        let answer = self.as_app(method, path, body, None).await?;
        // The error of serde_json may quote the answer, and with it a token: it is not shown.
        let value = serde_json::from_slice(&answer.body).map_err(|_| GithubError::Malformed {
            call: name,
            reason: "not the JSON that is documented".to_owned(),
        })?;
        Ok((value, answer.date))
    }

    /// Sends a call as the App itself, which no installation has a part in. Where GitHub refuses it and its
    /// clock is not ours, once more by GitHub's, unless that was no use a moment ago.
    pub async fn as_app(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
        etag: Option<&str>,
    ) -> Result<Answer, GithubError> {
        let known = self.clock.ahead();
        let answer = self.dated(known, &method, path, body, etag).await;
        let Err(GithubError::Unauthorized {
            date: Some(date), ..
        }) = &answer
        else {
            return answer;
        };
        let (ours, now) = (Timestamp::now(), Instant::now());
        let Some(ahead) = self.clock.instead_of(known, *date, ours, now) else {
            return answer;
        };
        let again = self.dated(ahead, &method, path, body, etag).await;
        if matches!(again, Err(GithubError::Unauthorized { .. })) {
            self.clock.does_not_fit(ahead, Instant::now());
        } else {
            self.clock.fits(ahead);
            tracing::warn!(
                ahead,
                "GitHub's clock is so many seconds ahead of this machine's; its time is used"
            );
        }
        again
    }

    /// Sends a call with a JWT that is dated so many seconds ahead of our clock.
    async fn dated(
        &self,
        ahead: i64,
        method: &Method,
        path: &str,
        body: Option<&str>,
        etag: Option<&str>,
    ) -> Result<Answer, GithubError> {
        let path_alone = path.split_once('?').map_or(path, |(path, _)| path);
        let name = format!("{method} {path_alone}");
        let now = Timestamp::now();
        let now = now
            .saturating_add(SignedDuration::from_secs(ahead))
            .unwrap_or(now);
        let jwt = jwt::jwt(self.id, &self.key, now).map_err(|error| GithubError::Malformed {
            call: name.clone(),
            reason: format!("the App's key does not sign: {error}"),
        })?;
        self.transport
            .send(Call {
                method: method.clone(),
                url: format!("{}{path}", self.api_url),
                name,
                credential: Some(&jwt),
                body,
                etag,
                ledger: None,
            })
            .await
    }
}

impl Slot {
    /// The token and how long it lives, if it can still be used.
    fn usable(&self) -> Option<(SecretString, Duration)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref()?;
        let left = held.ends.saturating_duration_since(Instant::now());
        (left > MARGIN).then(|| (held.token.clone(), left))
    }

    fn set(&self, held: Option<Held>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    fn refused(&self, token: &SecretString) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.take_if(|held| held.token.expose_secret() == token.expose_secret());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(token: &str, life: Duration) -> Option<Held> {
        Some(Held {
            token: SecretString::from(token),
            ends: Instant::now() + life,
        })
    }

    #[test]
    fn a_late_refusal_of_an_old_token_does_not_take_the_new_one() {
        let slot = Slot::default();
        slot.set(held("new", REFRESH * 2));
        slot.refused(&SecretString::from("old"));
        assert!(slot.usable().is_some());
        slot.refused(&SecretString::from("new"));
        assert!(slot.usable().is_none());
    }

    #[test]
    fn a_token_about_to_end_is_not_used_and_one_near_its_end_is() {
        let slot = Slot::default();
        slot.set(held("a", MARGIN));
        assert!(slot.usable().is_none());
        slot.set(held("a", MARGIN + Duration::from_secs(60)));
        let (_, left) = slot.usable().expect("it is good for a while");
        assert!(left < REFRESH, "the next one is fetched");
    }
}
