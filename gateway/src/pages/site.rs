//! What pages are made from, and how it is asked.

use std::{sync::Arc, time::Duration};

use crds::{BuilderRun, PrBuild};
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::timeout;

use super::{
    builders::Histories,
    line::{Line, Pull},
    matrix::Shelves,
    problem::Problem,
    run::line::size,
    words,
};
use crate::{
    app::App,
    cluster::{Cluster, Trouble},
    retention::Keep,
    store::StoreError,
};

/// How long a page waits for the store.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// What pages are made from.
pub struct Site {
    /// Logs and records.
    pub app: Arc<App>,
    /// What is in the cluster now.
    pub cluster: Arc<Cluster>,
    /// Where people see repositories: `https://github.com`.
    pub web: String,
    /// The last results of each builder, as they were read last.
    pub histories: Histories,
}

impl Site {
    /// Pages of these. `web` is where people see repositories: `https://github.com`.
    pub fn new(app: Arc<App>, cluster: Arc<Cluster>, web: &str) -> Self {
        Self {
            app,
            cluster,
            web: web.trim_end_matches('/').to_owned(),
            histories: Histories::default(),
        }
    }

    /// What is kept for how long, as a sentence: a page that is not there says it.
    pub fn keeps(&self) -> String {
        keeps(self.app.keep)
    }

    /// Something that is not known, or not any more.
    pub fn unknown(&self, what: &'static str) -> Problem {
        Problem::Unknown {
            what,
            keeps: self.keeps(),
        }
    }

    /// Why what a page says of now may be wrong, as a sentence.
    pub fn note(&self, now: Timestamp) -> Option<String> {
        match self.cluster.trouble(now)? {
            Trouble::Nowhere => Some(
                "No cluster is followed here: only what is kept of runs that ended is shown."
                    .to_owned(),
            ),
            Trouble::Unread => Some(
                "The cluster has not been read yet: what runs and what waits is missing here."
                    .to_owned(),
            ),
            Trouble::Away(since) => Some(format!(
                "The cluster does not answer since {}: what runs and what waits may have changed.",
                words::utc(since)
            )),
        }
    }

    /// How builders are grouped.
    pub fn shelves(&self) -> Shelves {
        let builders = self.cluster.builders();
        Shelves::of(builders.iter().map(AsRef::as_ref))
    }

    /// The runs of a build that exist.
    pub fn runs_of(&self, build: &PrBuild) -> Vec<Arc<BuilderRun>> {
        self.cluster.runs_of(&build.uid().unwrap_or_default())
    }

    /// The pull request of a build.
    pub fn pull_of(&self, build: &PrBuild) -> Pull {
        let name = &build.spec.request.repository.name;
        let repository = self.cluster.repository(name);
        Pull::of_build(build, repository.as_deref(), &self.web)
    }

    /// A build in a list, with its builders as far as their runs exist.
    pub fn line_of(&self, build: &PrBuild, shelves: &Shelves) -> Line {
        Line::of_build(build, &self.runs_of(build), self.pull_of(build), shelves)
    }
}

fn keeps(keep: Keep) -> String {
    let days = words::count(keep.days as usize, "day");
    let of_one = size(keep.repository);
    let of_all = keep.store.map(|limit| {
        let limit = size(limit);
        format!(", or all together more than {limit}")
    });
    format!(
        "Logs and results are kept for {days} after the end of a run, and the oldest ones for less \
         where those of a repository have more than {of_one}{}.",
        of_all.unwrap_or_default()
    )
}

/// A record of the store, which has some seconds to give it.
pub async fn kept<T>(
    read: impl Future<Output = Result<Option<T>, StoreError>>,
) -> Result<Option<T>, Problem> {
    match timeout(PATIENCE, read).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Problem::of_store(&error)),
        Err(_) => Err(Problem::StoreIsDown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_kept_is_what_every_limit_keeps() {
        let keep = Keep {
            days: 1,
            repository: 20_000_000_000,
            store: None,
        };
        let all = "Logs and results are kept for 1 day after the end of a run, and the oldest ones for less \
                   where those of a repository have more than 20.0 GB";
        assert_eq!(keeps(keep), format!("{all}."));
        let limited = Keep {
            store: Some(500_000_000_000),
            ..keep
        };
        let more = ", or all together more than 500.0 GB.";
        assert_eq!(keeps(limited), format!("{all}{more}"));
    }
}
