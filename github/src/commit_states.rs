//! What other systems say about a commit: statuses and check runs, page by page, each asked for with
//! the tag of its last answer.

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::pages::PAGE;
use crate::path::segment;
use crate::reads::Listing;
use crate::repo::{Extras, Repo, parsed};
use crate::{Dated, GithubError};

/// The most entries that GitHub puts on a page.
pub const CHECKS_PAGE: usize = PAGE;

/// A status of a context.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CommitContext {
    /// The context.
    pub context: String,
    /// `success`, `pending`, `failure`, `error`.
    pub state: String,
}

/// The newest check run of a name in its suite.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CommitCheck {
    /// Greater for what was made later.
    pub id: i64,
    /// The App that made it.
    #[serde(default)]
    pub app: Option<CheckApp>,
    /// When it started; absent where it waits.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// Its name.
    pub name: String,
    /// `completed`, or how far it is.
    pub status: String,
    /// How it ended: `success`, `failure`, `neutral`, `cancelled`, `skipped`, `timed_out`,
    /// `action_required`, `stale`. Absent before its end.
    #[serde(default)]
    pub conclusion: Option<String>,
}

/// The App that made a check run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckApp {
    /// Its number.
    pub id: i64,
}

#[derive(Deserialize)]
struct Statuses {
    statuses: Vec<CommitContext>,
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CommitCheck>,
}

impl Repo {
    /// A page of the newest statuses of a commit, one for each context; pages count from 1.
    ///
    /// # Errors
    /// As any call.
    pub async fn contexts_of_commit(
        &self,
        sha: &str,
        page: usize,
        etag: Option<&str>,
    ) -> Result<Dated<Listing<CommitContext>>, GithubError> {
        let path = self.of_commit(sha, "status", page);
        self.page(&path, etag, |found: Statuses| found.statuses)
            .await
    }

    /// A page of all statuses of a commit, the newest first; pages count from 1.
    ///
    /// # Errors
    /// As any call.
    pub async fn statuses_of_commit(
        &self,
        sha: &str,
        page: usize,
    ) -> Result<Dated<Vec<CommitContext>>, GithubError> {
        self.get(&self.of_commit(sha, "statuses", page)).await
    }

    /// A page of the newest check runs of a commit, of this name if one is given; pages count from 1.
    ///
    /// # Errors
    /// As any call.
    pub async fn checks_of_commit(
        &self,
        sha: &str,
        name: Option<&str>,
        page: usize,
        etag: Option<&str>,
    ) -> Result<Dated<Listing<CommitCheck>>, GithubError> {
        let mut path = self.of_commit(sha, "check-runs", page);
        if let Some(name) = name {
            path.push_str("&check_name=");
            path.push_str(&segment(name));
        }
        self.page(&path, etag, |found: CheckRuns| found.check_runs)
            .await
    }

    fn of_commit(&self, sha: &str, what: &str, page: usize) -> String {
        let sha = segment(sha);
        self.path(&format!(
            "/commits/{sha}/{what}?per_page={CHECKS_PAGE}&page={page}"
        ))
    }

    async fn page<W: DeserializeOwned, T>(
        &self,
        path: &str,
        etag: Option<&str>,
        items: impl FnOnce(W) -> Vec<T>,
    ) -> Result<Dated<Listing<T>>, GithubError> {
        let extras = Extras {
            etag,
            ..Extras::default()
        };
        let answer = self.call(Method::GET, path, extras).await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Dated {
                value: Listing::NotModified,
                date: answer.date,
            });
        }
        let found: Dated<W> = parsed(&Method::GET, path, &answer)?;
        Ok(found.map(|found| Listing::Changed {
            items: items(found),
            etag: answer.etag,
        }))
    }
}
