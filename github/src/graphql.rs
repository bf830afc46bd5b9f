//! How GraphQL answers, and what only it tells: GitHub's test merge with its parents and tree.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::budget::Resource;
use crate::repo::Repo;
use crate::transport::Answer;
use crate::wire::{MergeCommit, Mergeable, TestMerge};
use crate::{Dated, GithubError};

const TEST_MERGE: &str = "query($owner: String!, $name: String!, $number: Int!) { \
repository(owner: $owner, name: $name) { pullRequest(number: $number) { \
headRefOid baseRefName mergeable \
potentialMergeCommit { oid tree { oid } parents(first: 3) { nodes { oid } } } } } }";

/// What every answer is wrapped in.
#[derive(Deserialize)]
pub(crate) struct Envelope<T> {
    pub data: Option<T>,
    #[serde(default = "Vec::new")]
    pub errors: Vec<Problem>,
}

/// Something that GraphQL did not do or tell.
#[derive(Deserialize)]
pub(crate) struct Problem {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
    /// The part of the request that it is about; empty when it is about all of it.
    #[serde(default)]
    pub path: Vec<Value>,
}

#[derive(Deserialize)]
struct Data<P> {
    repository: Option<Repository<P>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository<P> {
    pull_request: Option<P>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    head_ref_oid: String,
    base_ref_name: String,
    mergeable: Mergeable,
    potential_merge_commit: Option<Commit>,
}

#[derive(Deserialize)]
struct Commit {
    oid: String,
    tree: Object,
    parents: Parents,
}

#[derive(Deserialize)]
struct Parents {
    nodes: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
}

impl Repo {
    /// GitHub's test merge of a pull request. Asking for it makes GitHub compute it, which takes a
    /// second: ask again when it is unknown or belongs to an older head.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] when there is no such pull request.
    pub async fn test_merge(&self, n: i64) -> Result<Dated<TestMerge>, GithubError> {
        let found = self.of_pull_request::<PullRequest>(n, TEST_MERGE, "test merge");
        Ok(found.await?.map(TestMerge::from))
    }

    /// What a query tells of a pull request. `what` is for whoever reads of an error.
    pub(crate) async fn of_pull_request<P: DeserializeOwned>(
        &self,
        n: i64,
        query: &str,
        what: &str,
    ) -> Result<Dated<P>, GithubError> {
        let full_name = self.full_name();
        let (owner, name) = full_name.split_once('/').unwrap_or_default();
        let body = serde_json::json!({
            "query": query,
            "variables": { "owner": owner, "name": name, "number": n },
        });
        let call = format!("POST /graphql ({what} of {full_name}#{n})");
        let answer = self.graphql(body).await?;
        let found = self.envelope::<Data<P>>(&call, &answer)?;
        if let Some(problem) = found.errors.first() {
            return Err(self.refused(problem, call, &answer));
        }
        let pull = found
            .data
            .and_then(|data| data.repository)
            .and_then(|repository| repository.pull_request)
            .ok_or(GithubError::NotFound { call })?;
        Ok(Dated {
            value: pull,
            date: answer.date,
        })
    }

    /// The JSON of an answer.
    pub(crate) fn envelope<T: DeserializeOwned>(
        &self,
        call: &str,
        answer: &Answer,
    ) -> Result<Envelope<T>, GithubError> {
        let found: Envelope<T> =
            serde_json::from_slice(&answer.body).map_err(|error| GithubError::Malformed {
                call: call.to_owned(),
                reason: error.to_string(),
            })?;
        if found.errors.is_empty() {
            self.connection().ledger.went_well(Resource::Graphql);
        }
        Ok(found)
    }

    /// GraphQL answers 200 and says in the body what REST says with a status.
    pub(crate) fn refused(&self, problem: &Problem, call: String, answer: &Answer) -> GithubError {
        let kind = problem.kind.as_str();
        if let Some(limit) = answer.told.in_words(kind, &problem.message, answer.date) {
            let limit = self.connection().ledger.pause(Resource::Graphql, limit);
            return GithubError::RateLimited {
                call,
                until: limit.until,
                wait: limit.wait,
            };
        }
        let message: String = problem.message.chars().take(300).collect();
        match kind {
            "NOT_FOUND" => GithubError::NotFound { call },
            "FORBIDDEN" | "INSUFFICIENT_SCOPES" => GithubError::Forbidden { call, message },
            "UNPROCESSABLE" => GithubError::Unprocessable { call, message },
            _ => GithubError::Unavailable {
                call,
                reason: message,
            },
        }
    }
}

impl From<PullRequest> for TestMerge {
    fn from(pull: PullRequest) -> Self {
        Self {
            head_sha: pull.head_ref_oid,
            base_ref: pull.base_ref_name,
            mergeable: pull.mergeable,
            commit: pull.potential_merge_commit.map(|commit| MergeCommit {
                sha: commit.oid,
                tree: commit.tree.oid,
                parents: commit.parents.nodes.into_iter().map(|p| p.oid).collect(),
            }),
        }
    }
}
