//! How many statuses a commit has. GitHub takes a thousand for a commit and context, from whomever, and
//! a process knows only those that it sent itself: where others may have sent some, GitHub is asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use github::{CHECKS_PAGE, GithubError, Repo};
use tokio::sync::OnceCell;

use super::{plan::REMEMBER, target::Target};

/// Pages that are counted. A commit with more has so many statuses that each context may be full.
const PAGES: usize = 30;

/// A count is good for as long as a target is remembered.
const GOOD: Duration = REMEMBER;

/// Counts of commits, each asked for once.
#[derive(Default)]
pub(super) struct Census(Mutex<HashMap<Commit, Asked>>);

/// Connection, repository and SHA.
type Commit = (String, String, String);

struct Asked {
    at: Instant,
    count: Arc<OnceCell<Count>>,
}

struct Count {
    by_context: HashMap<String, u32>,
    /// There are more than were looked at.
    more: bool,
}

impl Census {
    /// How many statuses the context of a target has; none when GitHub does not tell.
    pub async fn of(&self, repo: &Repo, target: &Target) -> Option<u32> {
        let commit = (
            target.connection.clone(),
            repo.full_name(),
            target.sha.clone(),
        );
        let count = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, asked| asked.at.elapsed() < GOOD);
            let asked = all.entry(commit).or_insert_with(|| Asked {
                at: Instant::now(),
                count: Arc::default(),
            });
            Arc::clone(&asked.count)
        };
        let count = count
            .get_or_try_init(|| count_all(repo, &target.sha))
            .await
            .ok()?;
        match count.more {
            true => Some(u32::MAX),
            false => Some(count.by_context.get(&target.context).copied().unwrap_or(0)),
        }
    }
}

async fn count_all(repo: &Repo, sha: &str) -> Result<Count, GithubError> {
    let mut by_context: HashMap<String, u32> = HashMap::new();
    for page in 1..=PAGES {
        let statuses = repo.statuses_of_commit(sha, page).await?.value;
        let is_last = statuses.len() < CHECKS_PAGE;
        for status in statuses {
            *by_context.entry(status.context).or_default() += 1;
        }
        if is_last {
            return Ok(Count {
                by_context,
                more: false,
            });
        }
    }
    Ok(Count {
        by_context,
        more: true,
    })
}
