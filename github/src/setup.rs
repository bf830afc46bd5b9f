//! How GitHub is set up to tell of a repository: an App's webhook, or webhooks of the repository.

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;

use crate::connection::{Connection, Credential};
use crate::deliveries::Delivery;
use crate::repo::Repo;
use crate::{Dated, GithubError};

/// Deliveries that are looked at.
const DELIVERIES: usize = 50;

/// A webhook as it is set up, and what became of its newest deliveries.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Its id; none for an App's, of which there is one.
    pub id: Option<i64>,
    /// Scheme and host that it goes to. The rest of the address may hold a secret.
    pub host: String,
    /// Whether it is switched on.
    pub active: bool,
    /// The events that it tells of; `*` is all.
    pub events: Vec<String>,
    /// It has never told of anything, as far as GitHub says.
    pub unused: bool,
    /// When it was set up; of an App, when the App was.
    pub created_at: Option<Timestamp>,
    /// Its newest deliveries, newest first. GitHub keeps them for three days.
    pub deliveries: Vec<Delivery>,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    created_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: Option<String>,
}

#[derive(Deserialize)]
struct Hook {
    id: i64,
    active: bool,
    #[serde(default)]
    events: Vec<String>,
    config: Config,
    #[serde(default)]
    created_at: Option<Timestamp>,
    #[serde(default)]
    last_response: Option<LastResponse>,
}

#[derive(Deserialize)]
struct LastResponse {
    #[serde(default)]
    status: Option<String>,
}

impl Connection {
    /// The App's webhook. None: it has none, or this is a personal token.
    ///
    /// # Errors
    /// As any call.
    pub async fn app_webhook(&self) -> Result<Option<Webhook>, GithubError> {
        let Credential::App(app) = &self.credential else {
            return Ok(None);
        };
        let config: Config = match app
            .as_app(Method::GET, "/app/hook/config", None, None)
            .await
        {
            Ok(answer) => read("GET /app/hook/config", &answer.body)?,
            Err(GithubError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(url) = config.url.filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        let answer = app.as_app(Method::GET, "/app", None, None).await?;
        let settings: Settings = read("GET /app", &answer.body)?;
        let path = format!("/app/hook/deliveries?per_page={DELIVERIES}");
        let answer = app.as_app(Method::GET, &path, None, None).await?;
        Ok(Some(Webhook {
            id: None,
            host: host(&url),
            active: true,
            events: settings.events,
            unused: false,
            created_at: settings.created_at,
            deliveries: read("GET /app/hook/deliveries", &answer.body)?,
        }))
    }
}

impl Repo {
    /// The webhooks of the repository.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] or [`GithubError::Forbidden`] for a credential that may not see them.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, GithubError> {
        let found: Dated<Vec<Hook>> = self.get(&self.path("/hooks?per_page=100")).await?;
        let mut hooks = Vec::new();
        for hook in found.value {
            let path = self.path(&format!(
                "/hooks/{}/deliveries?per_page={DELIVERIES}",
                hook.id
            ));
            let deliveries: Dated<Vec<Delivery>> = self.get(&path).await?;
            let response = hook.last_response.and_then(|last| last.status);
            hooks.push(Webhook {
                id: Some(hook.id),
                host: host(hook.config.url.as_deref().unwrap_or_default()),
                active: hook.active,
                events: hook.events,
                unused: response.as_deref() == Some("unused"),
                created_at: hook.created_at,
                deliveries: deliveries.value,
            });
        }
        Ok(hooks)
    }
}

fn read<T: serde::de::DeserializeOwned>(call: &str, body: &[u8]) -> Result<T, GithubError> {
    serde_json::from_slice(body).map_err(|error| GithubError::Malformed {
        call: call.to_owned(),
        reason: error.to_string(),
    })
}

/// `https://prbuild.example` of an address.
fn host(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // What stands before an `@` is a name and a password.
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_the_host_is_kept() {
        for (url, shown) in [
            (
                "https://prbuild.example/hook?token=x",
                "https://prbuild.example",
            ),
            ("http://ada:secret@127.0.0.1:80/", "http://127.0.0.1:80"),
            ("prbuild.example", "https://prbuild.example"),
        ] {
            assert_eq!(host(url), shown);
        }
    }
}
