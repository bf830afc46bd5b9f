//! Asks builds to stop when their pull request changed: told by a delivery, or found by the sweep.
//! What happened is read from the API either way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::{PrBuild, Repository};
use github::{GithubError, PullRequest, Repo};
use jiff::Timestamp;

use crate::builds::Stopped;
use crate::event::{Changed, Event};
use crate::handle::{App, Outcome};
use crate::stop::{self, Now};

/// Between two questions about a change that GitHub's API does not show yet.
const PAUSE: Duration = Duration::from_millis(500);

/// Builds that cannot be asked to stop now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopError {
    /// GitHub does not say how the pull request stands.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// The API server does not list or take it.
    #[error("the API server: {0}")]
    Kube(#[from] kube::Error),
    /// GitHub's API still shows the pull request as it was before.
    #[error("GitHub shows the pull request as it was before the change")]
    Behind,
}

impl App {
    /// Stops what a delivery about a change of a pull request makes pointless.
    pub(crate) async fn stop_as_told(
        &self,
        repository: &Arc<Repository>,
        event: &Event,
        changed: &Changed,
        deadline: Instant,
    ) -> Outcome {
        match self.try_stop(repository, event, changed, deadline).await {
            Ok(0) => Outcome::Ignored("nothing_stops"),
            Ok(_) => Outcome::Stored("stopped"),
            Err(error) => {
                tracing::warn!(
                    %error,
                    repository = event.repository,
                    pull_request = changed.number,
                    "cannot tell which builds stop; the sweep looks again"
                );
                Outcome::Later("not_stopped")
            }
        }
    }

    async fn try_stop(
        &self,
        repository: &Arc<Repository>,
        event: &Event,
        changed: &Changed,
        deadline: Instant,
    ) -> Result<usize, StopError> {
        let live = self
            .builds
            .live_of_pull_request(event.repository, changed.number)
            .await?;
        let Some(repo) = self.repo(repository).filter(|_| !live.is_empty()) else {
            return Ok(0);
        };
        let pull = loop {
            let found = repo.pull_request(changed.number).await?.value;
            if found.updated_at >= changed.updated_at {
                break found;
            }
            if deadline.saturating_duration_since(Instant::now()) < 4 * PAUSE {
                return Err(StopError::Behind);
            }
            tokio::time::sleep(PAUSE).await;
        };
        let who = Doer {
            login: Some(&event.sender.login),
            before: changed.before.as_deref(),
        };
        self.stop_builds(&repo, repository, &pull, &live, who).await
    }

    /// Stops those of these builds of a pull request that its state makes pointless. Returns how many.
    pub(crate) async fn stop_builds(
        &self,
        repo: &Repo,
        repository: &Repository,
        pull: &PullRequest,
        builds: &[PrBuild],
        who: Doer<'_>,
    ) -> Result<usize, StopError> {
        let on = &repository.spec.cancel_on;
        let drafted_at = match on.draft && pull.draft && pull.state == "open" {
            true => drafted_at(repo, pull.number).await?,
            false => None,
        };
        let now = Now {
            pull,
            drafted_at,
            before: who.before,
        };
        let mut stopped = 0;
        for build in builds {
            let Some(cause) = stop::cause(on, &now, &build.spec.request) else {
                continue;
            };
            let name = build.metadata.name.as_deref().unwrap_or_default();
            let cancel = cause.cancel(who.login, pull.updated_at);
            if self.builds.cancel(name, &cancel).await? == Stopped::Now {
                stopped += 1;
                self.metrics.stop(cause.word());
                tracing::info!(build = name, cause = cause.word(), "asked to stop");
            }
        }
        Ok(stopped)
    }
}

/// Who changed a pull request, as far as a delivery told.
#[derive(Clone, Copy, Default)]
pub(crate) struct Doer<'a> {
    /// Their login.
    pub login: Option<&'a str>,
    /// The head before their push.
    pub before: Option<&'a str>,
}

/// When a pull request was last turned into a draft.
async fn drafted_at(repo: &Repo, number: i64) -> Result<Option<Timestamp>, GithubError> {
    let events = repo.label_events(number).await?.value.events;
    let drafted = events.iter().filter(|one| one.event == "convert_to_draft");
    Ok(drafted.map(|one| one.created_at).max())
}
