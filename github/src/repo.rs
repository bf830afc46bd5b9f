//! A repository as seen through a connection: how its calls are sent.

use std::sync::Arc;

use http::Method;
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use crate::budget::Resource;
use crate::connection::{Connection, Credential};
use crate::path::{graphql_url, segment};
use crate::transport::{Answer, Call};
use crate::{Dated, GithubError};

/// A repository as seen through a connection; all calls are methods of it.
#[derive(Clone, Debug)]
pub struct Repo {
    connection: Arc<Connection>,
    owner: String,
    name: String,
}

/// What is sent besides method and path.
#[derive(Default)]
pub(crate) struct Extras<'a> {
    pub body: Option<serde_json::Value>,
    pub etag: Option<&'a str>,
    pub anonymous: bool,
}

impl Repo {
    pub(crate) fn new(connection: Arc<Connection>, owner: &str, name: &str) -> Self {
        Self {
            connection,
            owner: owner.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The connection by which it is reached.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// `owner/name` as it was asked for.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// The permissions that PrBuild needs and the App was not granted here, as `statuses: write`.
    /// Always empty for a personal token: GitHub does not tell what one may do.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] when the App is not installed on the repository.
    pub async fn missing_permissions(&self) -> Result<Vec<String>, GithubError> {
        self.missing_permissions_with(&[]).await
    }

    /// The same, with more that is needed here: `("checks", "write")` where results are check runs.
    ///
    /// # Errors
    /// As [`missing_permissions`](Self::missing_permissions).
    pub async fn missing_permissions_with(
        &self,
        more: &[(&str, &str)],
    ) -> Result<Vec<String>, GithubError> {
        match &self.connection.credential {
            Credential::Token(_) => Ok(Vec::new()),
            Credential::App(app) => app.missing(&self.owner, &self.name, more).await,
        }
    }

    /// Whether check runs can be written here, as far as is known: only by an App that was granted
    /// `checks: write`.
    pub fn writes_checks(&self) -> bool {
        match &self.connection.credential {
            Credential::Token(_) => false,
            Credential::App(app) => app.writes_checks(&self.owner, &self.name) != Some(false),
        }
    }

    /// Has the next call mint a new token, which knows what was granted since.
    pub(crate) fn forget_token(&self) {
        if let Credential::App(app) = &self.connection.credential {
            app.forget(&self.owner, &self.name);
        }
    }

    /// Fetches the credential before it is needed, so that the first delivery does not wait for it.
    ///
    /// # Errors
    /// As any call.
    pub async fn warm_up(&self) -> Result<(), GithubError> {
        self.credential().await.map(drop)
    }

    /// `/repos/owner/name` + rest.
    pub(crate) fn path(&self, rest: &str) -> String {
        let (owner, name) = (segment(&self.owner), segment(&self.name));
        format!("/repos/{owner}/{name}{rest}")
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Dated<T>, GithubError> {
        let answer = self.call(Method::GET, path, Extras::default()).await?;
        parsed(&Method::GET, path, &answer)
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        extras: Extras<'_>,
    ) -> Result<Answer, GithubError> {
        let url = format!("{}{path}", self.connection.api_url);
        self.send(method, url, path, Resource::Rest, extras).await
    }

    pub(crate) async fn graphql(&self, body: serde_json::Value) -> Result<Answer, GithubError> {
        let url = graphql_url(&self.connection.api_url);
        let extras = Extras {
            body: Some(body),
            ..Extras::default()
        };
        self.send(Method::POST, url, "/graphql", Resource::Graphql, extras)
            .await
    }

    /// Sends a call; once more with a new token if an installation token was refused, which means
    /// that nothing was carried out.
    async fn send(
        &self,
        method: Method,
        url: String,
        path: &str,
        resource: Resource,
        extras: Extras<'_>,
    ) -> Result<Answer, GithubError> {
        let body = extras.body.map(|body| body.to_string());
        let attempt = async |credential: Option<&SecretString>| {
            let call = Call {
                method: method.clone(),
                url: url.clone(),
                name: call_name(&method, path),
                credential,
                body: body.as_deref(),
                etag: extras.etag,
                ledger: credential
                    .is_some()
                    .then_some((&self.connection.ledger, resource)),
            };
            self.connection.transport.send(call).await
        };
        if extras.anonymous {
            return attempt(None).await;
        }
        let credential = self.credential().await?;
        match (
            attempt(Some(&credential)).await,
            &self.connection.credential,
        ) {
            (Err(GithubError::Unauthorized { .. }), Credential::App(app)) => {
                app.refused(&self.owner, &self.name, &credential);
                attempt(Some(&self.credential().await?)).await
            }
            (result, _) => result,
        }
    }

    async fn credential(&self) -> Result<SecretString, GithubError> {
        match &self.connection.credential {
            Credential::Token(token) => Ok(token.clone()),
            Credential::App(app) => app.token(&self.owner, &self.name).await,
        }
    }
}

/// How errors name a call: without its query.
fn call_name(method: &Method, path: &str) -> String {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    format!("{method} {path}")
}

/// The JSON of an answer.
pub(crate) fn parsed<T: DeserializeOwned>(
    method: &Method,
    path: &str,
    answer: &Answer,
) -> Result<Dated<T>, GithubError> {
    let value = serde_json::from_slice(&answer.body).map_err(|error| GithubError::Malformed {
        call: call_name(method, path),
        reason: error.to_string(),
    })?;
    Ok(Dated {
        value,
        date: answer.date,
    })
}
