//! Check runs and check suites.

use serde_json::{Value, json};

use super::Wire;
use crate::forge::clock::iso;
use crate::forge::model::{CheckRun, CheckSuite, Id, PullState, Repository};

impl Wire<'_> {
    /// A check run as the API answers it.
    #[must_use]
    pub fn check_run(&self, repository: &Repository, run: &CheckRun) -> Value {
        let mut value = self.check_run_core(repository, run);
        value["check_suite"] = json!({"id": run.suite});
        value
    }

    /// A check run as webhooks tell of it, with its suite.
    #[must_use]
    pub fn hook_check_run(&self, repository: &Repository, run: &CheckRun) -> Value {
        let mut value = self.check_run_core(repository, run);
        value["check_suite"] = match repository.checks.suites.get(&run.suite) {
            Some(suite) => self.check_suite_core(repository, suite),
            None => Value::Null,
        };
        value
    }

    fn check_run_core(&self, repository: &Repository, run: &CheckRun) -> Value {
        let url = format!("{}/check-runs/{}", self.repository_url(repository), run.id);
        let html = format!(
            "{}/{}/runs/{}",
            self.base,
            self.world.full_name(repository),
            run.id
        );
        let app = self.via_app(Some(run.app));
        json!({
            "id": run.id,
            "node_id": format!("CR_kwDO{}", run.id),
            "head_sha": run.head_sha,
            "external_id": run.external_id,
            "url": url,
            "html_url": html,
            // Without one, the page of the App.
            "details_url": run.details_url.as_deref().or(app["external_url"].as_str()),
            "status": run.status,
            "conclusion": run.conclusion,
            "started_at": iso(run.started_at),
            "completed_at": run.completed_at.map(iso),
            "output": {
                "title": run.output.title,
                "summary": run.output.summary,
                "text": run.output.text,
                "annotations_count": run.output.annotations.len(),
                "annotations_url": format!("{url}/annotations"),
            },
            "name": run.name,
            "app": app,
            "pull_requests": self.pulls_of(repository, &run.head_sha),
        })
    }

    /// A check suite as the API answers it.
    #[must_use]
    pub fn check_suite(&self, repository: &Repository, suite: &CheckSuite) -> Value {
        let mut value = self.hook_check_suite(repository, suite);
        value["repository"] = self.minimal_repository(repository);
        value["rerequestable"] = json!(true);
        value["runs_rerequestable"] = json!(true);
        value
    }

    /// A check suite as webhooks tell of it.
    #[must_use]
    pub fn hook_check_suite(&self, repository: &Repository, suite: &CheckSuite) -> Value {
        let mut value = self.check_suite_core(repository, suite);
        let person = json!({"name": "GitHub", "email": "noreply@github.com"});
        value["latest_check_runs_count"] = json!(repository.checks.latest(suite.id).len());
        value["check_runs_url"] = json!(format!(
            "{}/check-suites/{}/check-runs",
            self.repository_url(repository),
            suite.id
        ));
        value["head_commit"] = json!({
            "id": suite.head_sha,
            "tree_id": suite.head_sha,
            "message": "Change",
            "timestamp": iso(suite.created_at),
            "author": person,
            "committer": person,
        });
        value
    }

    fn check_suite_core(&self, repository: &Repository, suite: &CheckSuite) -> Value {
        let (status, conclusion) = repository.checks.state(suite);
        let branch = repository
            .branches
            .iter()
            .find(|(_, tip)| **tip == suite.head_sha)
            .map(|(name, _)| name);
        json!({
            "id": suite.id,
            "node_id": format!("CS_kwDO{}", suite.id),
            "head_branch": branch,
            "head_sha": suite.head_sha,
            "status": status,
            // The webhook schemas know no suite that was skipped.
            "conclusion": if conclusion == Some("skipped") { Some("neutral") } else { conclusion },
            "url": format!("{}/check-suites/{}", self.repository_url(repository), suite.id),
            "before": null,
            "after": suite.head_sha,
            "pull_requests": self.pulls_of(repository, &suite.head_sha),
            "app": self.via_app(Some(suite.app)),
            "created_at": iso(suite.created_at),
            "updated_at": iso(suite.updated_at),
        })
    }

    /// The open pull requests of a head, from branches of the repository itself: the Checks API does
    /// not look into forks, so that for their pull requests the list is empty.
    fn pulls_of(&self, repository: &Repository, sha: &str) -> Vec<Value> {
        let short = |one: &Repository| json!({"id": one.id, "url": self.repository_url(one), "name": one.name});
        let own = |head: Option<Id>| head == Some(repository.id);
        repository
            .pulls
            .values()
            .filter(|pull| {
                pull.state == PullState::Open && pull.head_sha == sha && own(pull.head_repository)
            })
            .map(|pull| {
                json!({
                    "url": format!("{}/pulls/{}", self.repository_url(repository), pull.number),
                    "id": pull.id,
                    "number": pull.number,
                    "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": short(repository)},
                    "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": short(repository)},
                })
            })
            .collect()
    }

    /// An annotation as the API lists it.
    #[must_use]
    pub fn annotation(&self, repository: &Repository, run: &CheckRun, sent: &Value) -> Value {
        let path = sent["path"].as_str().unwrap_or_default();
        json!({
            "path": path,
            "start_line": sent["start_line"],
            "end_line": sent["end_line"],
            "start_column": sent["start_column"],
            "end_column": sent["end_column"],
            "annotation_level": sent["annotation_level"],
            "title": sent["title"],
            "message": sent["message"],
            "raw_details": sent["raw_details"],
            "blob_href": format!(
                "{}/{}/blob/{}/{}",
                self.base,
                self.world.full_name(repository),
                run.head_sha,
                super::repositories::encode(path)
            ),
        })
    }
}
