//! Bodies of deliveries, as far as they are read.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
pub(super) struct ActionOnly {
    pub action: String,
}

#[derive(Deserialize)]
pub(super) struct Repository {
    pub id: i64,
    pub full_name: String,
}

#[derive(Deserialize)]
pub(super) struct PullRequestBody {
    pub number: i64,
    pub label: github::Label,
    pub pull_request: Pull,
    pub repository: Repository,
    pub sender: github::User,
}

#[derive(Deserialize)]
pub(super) struct Pull {
    pub number: i64,
    pub updated_at: Timestamp,
    pub head: Head,
}

#[derive(Deserialize)]
pub(super) struct Head {
    pub sha: String,
    #[serde(rename = "ref")]
    pub branch: String,
    pub repo: Option<HeadRepo>,
}

#[derive(Deserialize)]
pub(super) struct HeadRepo {
    pub id: i64,
}

#[derive(Deserialize)]
pub(super) struct CommentBody {
    pub issue: Issue,
    pub comment: Comment,
    pub repository: Repository,
    pub sender: github::User,
}

#[derive(Deserialize)]
pub(super) struct Issue {
    pub number: i64,
    #[serde(default)]
    pub pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Comment {
    pub id: i64,
    #[serde(default)]
    pub body: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CheckRunBody {
    pub check_run: CheckRun,
    #[serde(default)]
    pub requested_action: Option<RequestedAction>,
    pub repository: Repository,
    pub sender: github::User,
}

#[derive(Deserialize)]
pub(super) struct CheckRun {
    pub id: i64,
    pub head_sha: String,
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    #[serde(default)]
    pub check_suite: Option<SuiteOfRun>,
    #[serde(default)]
    pub external_id: Option<String>,
    pub app: Option<App>,
}

#[derive(Deserialize)]
pub(super) struct SuiteOfRun {
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct RequestedAction {
    pub identifier: String,
}

#[derive(Deserialize)]
pub(super) struct CheckSuiteBody {
    pub check_suite: CheckSuite,
    pub repository: Repository,
    pub sender: github::User,
}

#[derive(Deserialize)]
pub(super) struct CheckSuite {
    pub id: i64,
    pub head_sha: String,
    pub updated_at: Timestamp,
    pub app: Option<App>,
}

#[derive(Deserialize)]
pub(super) struct App {
    pub id: u64,
}
