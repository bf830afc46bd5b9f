//! Check runs: what an App writes in place of commit statuses. Each call is sent once; whoever is not
//! sure whether it was carried out looks with [`Repo::check_runs`] first.

use http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::connection::Credential;
use crate::pages::PAGE;
use crate::path::segment;
use crate::repo::{Extras, Repo, parsed};
use crate::{Dated, GithubError};

/// Annotations that GitHub takes with one request.
pub const ANNOTATIONS: usize = 50;

/// A check run as it should stand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckRun {
    /// What tells the check runs of a commit apart; of one name the newest counts.
    pub name: String,
    /// What we find it again by; buttons send it back.
    pub external_id: String,
    /// Where it stands.
    #[serde(flatten)]
    pub state: CheckState,
    /// Where its log is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details_url: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    pub completed_at: Option<Timestamp>,
    /// What people read.
    pub output: CheckOutput,
    /// Its buttons, at most three.
    pub actions: Vec<CheckAction>,
}

/// Where a check run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "conclusion", rename_all = "snake_case")]
pub enum CheckState {
    /// It waits.
    Queued,
    /// It runs.
    InProgress,
    /// It has ended.
    Completed(Conclusion),
}

/// How a check run ended. `neutral` and `skipped` are not here: GitHub takes them for passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Passed.
    Success,
    /// Failed.
    Failure,
    /// Took too long.
    TimedOut,
    /// Stopped on request.
    Cancelled,
}

/// What people read of a check run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CheckOutput {
    /// One line.
    pub title: String,
    /// Markdown, at most 65,535 characters.
    pub summary: String,
    /// Remarks beside lines of files, at most [`ANNOTATIONS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<CheckAnnotation>,
}

/// A remark beside lines of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckAnnotation {
    /// Path in the repository.
    pub path: String,
    /// First line, from 1.
    pub start_line: i64,
    /// Last line.
    pub end_line: i64,
    /// How grave it is.
    pub annotation_level: AnnotationLevel,
    /// Plain text.
    pub message: String,
    /// One line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// How grave an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationLevel {
    /// For information.
    Notice,
    /// May be wrong.
    Warning,
    /// Is wrong.
    Failure,
}

/// A button of a check run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckAction {
    /// What stands on it, at most 20 characters.
    pub label: String,
    /// What it does, at most 40 characters.
    pub description: String,
    /// What we are told when it is pressed, at most 20 characters.
    pub identifier: String,
}

/// A check run that stands on a commit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StandingCheck {
    /// GitHub's id.
    pub id: i64,
    /// What whoever made it finds it again by.
    #[serde(default)]
    pub external_id: Option<String>,
    /// `queued`, `in_progress`, `completed`.
    pub status: String,
}

impl StandingCheck {
    /// Whether it has ended.
    pub fn is_completed(&self) -> bool {
        self.status == "completed"
    }
}

impl Repo {
    /// Puts a check run on a commit and answers with its id.
    ///
    /// # Errors
    /// [`GithubError::Forbidden`] without the permission `checks: write`, and for a personal token;
    /// [`GithubError::Unprocessable`] when the commit is gone.
    pub async fn create_check_run(&self, sha: &str, run: &CheckRun) -> Result<i64, GithubError> {
        let mut body = json(run)?;
        body["head_sha"] = sha.into();
        self.write_check_run(Method::POST, &self.path("/check-runs"), body)
            .await
    }

    /// Changes a check run and answers with its id.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] when it is gone.
    pub async fn update_check_run(&self, id: i64, run: &CheckRun) -> Result<i64, GithubError> {
        let path = self.path(&format!("/check-runs/{id}"));
        self.write_check_run(Method::PATCH, &path, json(run)?).await
    }

    /// The check runs of a name that this App put on a commit, the newest first.
    ///
    /// # Errors
    /// As any call.
    pub async fn check_runs(
        &self,
        sha: &str,
        name: &str,
    ) -> Result<Dated<Vec<StandingCheck>>, GithubError> {
        #[derive(Deserialize)]
        struct Page {
            check_runs: Vec<StandingCheck>,
        }
        let app = match &self.connection().credential {
            Credential::App(app) => format!("&app_id={}", app.id()),
            Credential::Token(_) => String::new(),
        };
        let (sha, name) = (segment(sha), segment(name));
        let path = self.path(&format!(
            "/commits/{sha}/check-runs?check_name={name}&filter=all&per_page={PAGE}{app}"
        ));
        let page: Dated<Page> = self.get(&path).await?;
        Ok(page.map(|page| {
            let mut runs = page.check_runs;
            runs.sort_by_key(|run| std::cmp::Reverse(run.id));
            runs
        }))
    }

    async fn write_check_run(
        &self,
        method: Method,
        path: &str,
        body: serde_json::Value,
    ) -> Result<i64, GithubError> {
        let extras = Extras {
            body: Some(body),
            ..Extras::default()
        };
        let answer = self.call(method.clone(), path, extras).await;
        if let Err(GithubError::Forbidden { .. }) = &answer {
            // Once a person has granted it, the token that we hold still does not know.
            self.forget_token();
        }
        let answer = answer?;
        let written: Dated<StandingCheck> = parsed(&method, path, &answer)?;
        Ok(written.value.id)
    }
}

fn json(run: &CheckRun) -> Result<serde_json::Value, GithubError> {
    serde_json::to_value(run).map_err(|error| GithubError::Malformed {
        call: format!("the check run {}", run.external_id),
        reason: error.to_string(),
    })
}

/// A time as GitHub writes it: whole seconds.
fn seconds<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&time.strftime("%Y-%m-%dT%H:%M:%SZ")),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_run_is_written_as_github_reads_it() {
        let mut run = CheckRun {
            name: "prbuild/Debian".to_owned(),
            external_id: "app-1-l2-debian-1".to_owned(),
            state: CheckState::Queued,
            details_url: None,
            started_at: None,
            completed_at: None,
            output: CheckOutput::default(),
            actions: Vec::new(),
        };
        let queued = json(&run).expect("JSON");
        assert_eq!(queued["status"], "queued");
        assert!(queued.get("conclusion").is_none() && queued.get("started_at").is_none());
        run.state = CheckState::Completed(Conclusion::TimedOut);
        run.completed_at = Timestamp::from_millisecond(1_500).ok();
        let ended = json(&run).expect("JSON");
        assert_eq!(ended["status"], "completed");
        assert_eq!(ended["conclusion"], "timed_out");
        assert_eq!(ended["completed_at"], "1970-01-01T00:00:01Z");
    }
}
