//! The story of each build in the log: dispatched, admitted, ended, reported, complete. One line each,
//! with the names of fields that the webhook's lines have, too, so that one search finds everything
//! about a pull request, a commit, a build or a run.

use crds::{BuilderRun, PrBuild, PrBuildStatus};
use kube::ResourceExt;

/// The runs of a build were made.
pub fn dispatched(build: &PrBuild) {
    let request = &build.spec.request;
    tracing::info!(
        repository = request.repository.id,
        pull_request = request.number,
        head_sha = request.head_sha,
        build = build.name_any(),
        builders = request.builders.len(),
        by = request.trigger.user.login,
        "dispatched"
    );
}

/// A run, as lines of the log name it.
#[derive(Clone, Debug)]
pub struct Subject {
    repository: i64,
    pull_request: i64,
    head_sha: String,
    build: String,
    builder: String,
    run: String,
}

impl Subject {
    /// The names of a run.
    pub fn of(run: &BuilderRun) -> Self {
        let (task, source) = (&run.spec.task, &run.spec.task.source);
        Self {
            repository: source.repository_id,
            pull_request: source.pull_request,
            head_sha: source.head_sha.clone(),
            build: run.spec.pr_build.name.clone(),
            builder: task.builder.clone(),
            run: run.name_any(),
        }
    }

    /// It has its slot, and its Job or Assignment was made.
    pub fn admitted(&self) {
        self.line("admitted", More::default());
    }

    /// It has ended so, and that is written down.
    pub fn ended(&self, result: &str, reason: &str) {
        let more = More {
            result: Some(result),
            reason: Some(reason),
            state: None,
        };
        self.line("ended", more);
    }

    /// GitHub took its result as this state, or never will: `settled`.
    pub fn reported(&self, state: &str) {
        let more = More {
            state: Some(state),
            ..More::default()
        };
        self.line("reported", more);
    }

    fn line(&self, what: &str, more: More<'_>) {
        tracing::info!(
            repository = self.repository,
            pull_request = self.pull_request,
            head_sha = self.head_sha,
            build = self.build,
            builder = self.builder,
            run = self.run,
            result = more.result,
            reason = more.reason,
            state = more.state,
            "{what}"
        );
    }
}

/// What only some lines of a run have.
#[derive(Default)]
struct More<'a> {
    result: Option<&'a str>,
    reason: Option<&'a str>,
    state: Option<&'a str>,
}

/// All runs of a build have ended.
pub fn complete(build: &PrBuild, status: &PrBuildStatus) {
    let request = &build.spec.request;
    let result = status.result.map(|result| format!("{result:?}"));
    tracing::info!(
        repository = request.repository.id,
        pull_request = request.number,
        head_sha = request.head_sha,
        build = build.name_any(),
        result = result.as_deref(),
        summary = status.summary,
        "complete"
    );
}
