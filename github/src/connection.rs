//! The mounted connections.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use http::Method;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::GithubError;
use crate::auth::App;
use crate::budget::{Budget, Ledger};
use crate::calls::Called;
use crate::repo::Repo;
use crate::settings::{self, ConnectionError, Files, Identity, SELF_TEST, Settings};
use crate::transport::{Call, Transport};

/// What installation tokens are minted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only: the webhook.
    Read,
    /// Statuses, comments and labels as well: the operator.
    Report,
}

impl Access {
    /// How long one call may take. The webhook has 8 s for everything.
    fn timeout(self) -> Duration {
        match self {
            Self::Read => Duration::from_secs(5),
            Self::Report => Duration::from_secs(20),
        }
    }
}

/// How often the mounted files are looked at. Kubernetes itself takes up to a minute to update them.
const RELOAD: Duration = Duration::from_secs(2);

/// All mounted connections.
pub struct Connections {
    dir: PathBuf,
    access: Access,
    transport: Transport,
    current: RwLock<BTreeMap<String, Arc<Connection>>>,
    /// What the last look found wrong.
    problem: Mutex<Option<String>>,
}

impl Connections {
    /// Follows a directory with one subdirectory a connection: what can be used is, and the rest as soon
    /// as it can ([`spawn_reload`](Self::spawn_reload)). Needs a Tokio runtime.
    ///
    /// # Errors
    /// Only where HTTPS cannot be set up at all.
    pub fn follow(dir: &Path, access: Access) -> Result<Arc<Self>, ConnectionError> {
        let transport = Transport::new(access.timeout())
            .map_err(|error| ConnectionError::Client(error.to_string()))?;
        let connections = Self {
            dir: dir.to_owned(),
            access,
            transport,
            current: RwLock::default(),
            problem: Mutex::default(),
        };
        connections.note(connections.reload().err());
        Ok(Arc::new(connections))
    }

    /// Why there is no way to GitHub. None: at least one connection can be used.
    pub fn problem(&self) -> Option<String> {
        if self.lasting().next().is_some() {
            return None;
        }
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let none = || format!("no connection is mounted in {}", self.dir.display());
        Some(problem.clone().unwrap_or_else(none))
    }

    fn note(&self, error: Option<ConnectionError>) -> String {
        let problem = error.map(|error| error.to_string());
        let mut known = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone_from(&problem);
        problem.unwrap_or_default()
    }

    /// Asks GitHub, through any connection, whether it is there and takes our credential. Costs nothing
    /// of the budget.
    ///
    /// # Errors
    /// Why there is no way to GitHub, as a sentence.
    pub async fn greet(&self) -> Result<(), String> {
        let mut because = self.problem();
        for connection in self.lasting() {
            match connection.greet().await {
                Ok(()) => return Ok(()),
                Err(error) => because = Some(format!("connection `{}`: {error}", connection.name)),
            }
        }
        Err(because.unwrap_or_default())
    }

    /// Reads a directory with one subdirectory a connection. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The first connection that cannot be used: a program does not start with half of its secrets.
    pub fn load(dir: &Path, access: Access) -> Result<Arc<Self>, ConnectionError> {
        let transport = Transport::new(access.timeout())
            .map_err(|error| ConnectionError::Client(error.to_string()))?;
        let mut current = BTreeMap::new();
        for (name, path) in settings::list(dir)? {
            let settings = settings::check(&name, settings::files(&path)?)?;
            let connection = Connection::new(settings, access, &transport);
            current.insert(name, Arc::new(connection));
        }
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            access,
            transport,
            current: RwLock::new(current),
            problem: Mutex::default(),
        }))
    }

    /// The connection of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Connection>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.get(name).cloned()
    }

    /// All connections, by name.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.values().cloned().collect()
    }

    /// How many requests were sent through all of them, now and before, by what they ask for and how
    /// they were answered.
    pub fn calls(&self) -> Vec<Called> {
        self.transport.calls().all()
    }

    /// Those that are not only there for a test.
    fn lasting(&self) -> impl Iterator<Item = Arc<Connection>> {
        let all = self.all().into_iter();
        all.filter(|connection| connection.name != SELF_TEST)
    }

    /// Reloads connections when their files change, until the token is cancelled. A connection that
    /// is not valid any more keeps working as it was, and an error is logged once.
    pub fn spawn_reload(self: &Arc<Self>, stop: CancellationToken) {
        let connections = self.clone();
        tokio::spawn(async move {
            let mut last_problem = String::new();
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RELOAD) => {}
                }
                let problem = connections.note(connections.reload().err());
                if !problem.is_empty() && problem != last_problem {
                    tracing::error!(error = problem, "a connection was not reloaded");
                }
                last_problem = problem;
            }
        });
    }

    /// Takes over what changed. All that can be taken is, and the first problem is returned.
    fn reload(&self) -> Result<(), ConnectionError> {
        let mut next = BTreeMap::new();
        let mut problem = None;
        for (name, path) in settings::list(&self.dir)? {
            if name == SELF_TEST && settings::files(&path)?.are_none() {
                // It goes at once when its test is over.
                continue;
            }
            let old = self.get(&name);
            match self.renewed(&name, &path, old.as_ref()) {
                Ok(connection) => {
                    next.insert(name, connection);
                }
                Err(error) => {
                    problem.get_or_insert(error);
                    if let Some(old) = old {
                        next.insert(name, old);
                    }
                }
            }
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        problem.map_or(Ok(()), Err)
    }

    /// The connection as its files are now; the old one, with its tokens, if they are the same.
    fn renewed(
        &self,
        name: &str,
        path: &Path,
        old: Option<&Arc<Connection>>,
    ) -> Result<Arc<Connection>, ConnectionError> {
        let files = settings::files(path)?;
        if let Some(old) = old.filter(|old| old.files == files) {
            return Ok(old.clone());
        }
        let settings = settings::check(name, files)?;
        tracing::info!(connection = name, "connection loaded");
        Ok(Arc::new(Connection::new(
            settings,
            self.access,
            &self.transport,
        )))
    }
}

/// One mounted connection: an API, a credential, webhook secrets.
pub struct Connection {
    name: String,
    pub(crate) api_url: String,
    git_url: String,
    pub(crate) credential: Credential,
    webhook_secrets: Vec<SecretString>,
    files: Files,
    pub(crate) transport: Transport,
    pub(crate) ledger: Ledger,
}

/// What calls are authenticated with.
pub(crate) enum Credential {
    Token(SecretString),
    App(Arc<App>),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("name", &self.name)
            .field("api_url", &self.api_url)
            .finish_non_exhaustive()
    }
}

impl Connection {
    fn new(settings: Settings, access: Access, transport: &Transport) -> Self {
        let credential = match settings.identity {
            Identity::Token(token) => Credential::Token(token),
            Identity::App {
                id,
                key,
                installation,
            } => Credential::App(Arc::new(App::new(
                id,
                key,
                installation,
                access,
                settings.api_url.clone(),
                transport.clone(),
            ))),
        };
        Self {
            name: settings.name,
            api_url: settings.api_url,
            git_url: settings.git_url,
            credential,
            webhook_secrets: settings.webhook_secrets,
            files: settings.files,
            transport: transport.clone(),
            ledger: Ledger::default(),
        }
    }

    /// Name of its directory; `Repository.spec.connection` names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Base of clone URLs, without a slash at the end.
    pub fn git_url(&self) -> &str {
        &self.git_url
    }

    /// URL that `owner/name` is cloned from.
    pub fn clone_url(&self, full_name: &str) -> String {
        format!("{}/{full_name}.git", self.git_url)
    }

    /// Whether it is a GitHub App. Otherwise it is a personal token.
    pub fn is_app(&self) -> bool {
        matches!(self.credential, Credential::App(_))
    }

    /// The GitHub App's id. None: it is a personal token.
    pub fn app_id(&self) -> Option<u64> {
        match &self.credential {
            Credential::App(app) => Some(app.id()),
            Credential::Token(_) => None,
        }
    }

    async fn greet(&self) -> Result<(), GithubError> {
        match &self.credential {
            Credential::App(app) => app.as_app(Method::GET, "/app", None, None).await.map(drop),
            Credential::Token(token) => {
                let call = Call {
                    method: Method::GET,
                    url: format!("{}/rate_limit", self.api_url),
                    name: "GET /rate_limit".to_owned(),
                    credential: Some(token),
                    body: None,
                    etag: None,
                    ledger: None,
                };
                match self.transport.send(call).await {
                    // An Enterprise Server without limits says so by 404.
                    Ok(_) | Err(GithubError::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// The secrets that a delivery may be signed with, newest first. None: it takes no deliveries.
    pub fn webhook_secrets(&self) -> &[SecretString] {
        &self.webhook_secrets
    }

    /// What is left of the REST limit, by the newest answer.
    pub fn budget(&self) -> Budget {
        self.ledger.budget()
    }

    /// A repository as seen through this connection.
    pub fn repo(self: &Arc<Self>, owner: &str, name: &str) -> Repo {
        Repo::new(self.clone(), owner, name)
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
