//! Asks GitHub how the checks of commits stand that builds wait for: one look at a commit for all of
//! them, with the tags of the last answers, so that no news costs nothing. A look comes after half a
//! minute, later where nothing moves, and not at all while few requests are left in the hour.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crds::{PrBuild, Repository};
use github::{Budget, CHECKS_PAGE, CommitCheck, CommitContext, Dated, GithubError, Listing, Repo};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{checks::Said, github_of};
use crate::context::Context;

/// How soon a commit is looked at again after news.
const EVERY: Duration = Duration::from_secs(30);
/// How soon at the latest, where there are none.
const SELDOM: Duration = Duration::from_secs(300);
/// The part of the hour's requests that is left to those who ask for builds.
const LEFT_TO_OTHERS: i64 = 5;
/// How long nobody looks at the most while few requests are left.
const HOUR: Duration = Duration::from_secs(3600);
/// Pages after which a list is not worth more requests.
const MOST_PAGES: usize = 30;

/// A commit as one connection sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit {
    connection: String,
    repository: String,
    sha: String,
    /// What builds wait for.
    names: Vec<String>,
}

/// What is known of a commit.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What its checks said at the last look that succeeded.
    pub said: Option<Arc<Said>>,
    /// Why the last look did not succeed.
    pub trouble: Option<String>,
}

/// All commits that are looked at.
#[derive(Default)]
pub struct Polls(Mutex<HashMap<Commit, Poll>>);

#[derive(Default)]
struct Poll {
    known: Known,
    pages: Pages,
    /// Looks since the last news.
    idle: u32,
    /// The next look; none while one is under way.
    due: Option<Instant>,
}

/// The pages of the last look, each with its tag.
#[derive(Default)]
struct Pages {
    contexts: Vec<Page<CommitContext>>,
    checks: Vec<Page<CommitCheck>>,
}

struct Page<T> {
    etag: Option<String>,
    items: Vec<T>,
}

impl Polls {
    /// What is known of the labelled head of a build, and which commit that is; looks at it if that
    /// is due. None when there is no way to GitHub.
    pub fn look(
        &self,
        ctx: &Arc<Context>,
        build: &PrBuild,
        repository: &Repository,
    ) -> Option<(Commit, Known)> {
        let repo = github_of(ctx, repository)?;
        let commit = Commit {
            connection: repository.spec.connection.clone(),
            repository: repo.full_name(),
            sha: build.spec.request.head_sha.clone(),
            names: build.spec.request.after_checks.clone(),
        };
        let connection = ctx.connections.get(&commit.connection);
        let budget = connection.map(|connection| connection.budget());
        let rest = budget.and_then(|budget| rest(budget, Timestamp::now()));
        let mut all = self.lock();
        let poll = all.entry(commit.clone()).or_insert_with(|| Poll {
            due: Some(Instant::now()),
            ..Poll::default()
        });
        if poll.due.is_some_and(|due| due <= Instant::now()) {
            if let Some(rest) = rest {
                poll.due = Some(Instant::now() + rest);
                poll.known.trouble = Some(FEW_LEFT.to_owned());
            } else {
                let before = Poll {
                    known: poll.known.clone(),
                    pages: std::mem::take(&mut poll.pages),
                    idle: poll.idle,
                    due: poll.due.take(),
                };
                tokio::spawn(look(ctx.clone(), commit.clone(), repo, before));
            }
        }
        Some((commit, poll.known.clone()))
    }

    /// Forgets commits that nobody waits for any more.
    pub fn retain(&self, wanted: &HashSet<Commit>) {
        self.lock()
            .retain(|commit, poll| poll.due.is_none() || wanted.contains(commit));
    }

    /// When the next look is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.lock().values().filter_map(|poll| poll.due).min()
    }

    fn learn(&self, commit: &Commit, poll: Poll) {
        self.lock().insert(commit.clone(), poll);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Commit, Poll>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nobody looks while few requests are left.
const FEW_LEFT: &str = "GitHub takes few more requests in this hour; its commit's checks are looked at when it takes more";

/// How long nobody looks, where few requests of the hour are left.
fn rest(budget: Budget, now: Timestamp) -> Option<Duration> {
    let (limit, remaining) = (budget.limit?, budget.remaining?);
    let left = Duration::try_from(budget.reset?.duration_since(now)).ok()?;
    let few = remaining < limit / LEFT_TO_OTHERS && !left.is_zero();
    few.then(|| left.clamp(EVERY, HOUR))
}

/// When a commit is looked at again after so many looks without news.
fn pause(idle: u32) -> Duration {
    EVERY.saturating_mul(1 << idle.min(8)).min(SELDOM)
}

/// Looks at a commit, notes what was found, and lets admission judge it.
async fn look(ctx: Arc<Context>, commit: Commit, repo: Repo, mut poll: Poll) {
    let wait = match read_all(&repo, &commit, &mut poll.pages).await {
        Ok(said) => {
            let news = poll.known.said.as_deref() != Some(&said);
            poll.idle = if news { 0 } else { poll.idle + 1 };
            poll.known = Known {
                said: Some(Arc::new(said)),
                trouble: None,
            };
            pause(poll.idle)
        }
        Err(error) => {
            tracing::warn!(repository = commit.repository, %error, "the checks of a commit cannot be looked at; builds wait for them");
            poll.known.trouble = Some(trouble(&error).to_owned());
            match &error {
                GithubError::RateLimited { wait, .. } => (*wait).max(EVERY),
                _ => EVERY,
            }
        }
    };
    poll.due = Some(Instant::now() + wait);
    ctx.admission.polls.learn(&commit, poll);
    ctx.admission.wake();
}

/// What waiting people are told of a look that did not succeed.
fn trouble(error: &GithubError) -> &'static str {
    match error {
        GithubError::Forbidden { .. } => {
            "PrBuild may not read its commit's checks; the infrastructure team can grant `checks: read`"
        }
        _ => "GitHub does not tell how its commit's checks stand",
    }
}

/// What is said of the names that builds wait for. One name is all that is asked for; of several, all
/// check runs are.
async fn read_all(repo: &Repo, commit: &Commit, pages: &mut Pages) -> Result<Said, GithubError> {
    let only = match commit.names.as_slice() {
        [name] => Some(name.clone()),
        _ => None,
    };
    let asked = || (repo.clone(), commit.sha.clone(), only.clone());
    let (mut contexts, mut checks) = tokio::try_join!(
        read(&mut pages.contexts, |page, etag| {
            let (repo, sha, _) = asked();
            async move { repo.contexts_of_commit(&sha, page, etag.as_deref()).await }
        }),
        read(&mut pages.checks, |page, etag| {
            let (repo, sha, only) = asked();
            async move {
                let found = repo.checks_of_commit(&sha, only.as_deref(), page, etag.as_deref());
                found.await
            }
        }),
    )?;
    contexts.retain(|one| commit.names.contains(&one.context));
    checks.retain(|one| commit.names.contains(&one.name));
    Ok(Said { contexts, checks })
}

/// Reads all pages of a list. Those that did not change stay as they were.
async fn read<T: Clone, F>(
    pages: &mut Vec<Page<T>>,
    ask: impl Fn(usize, Option<String>) -> F,
) -> Result<Vec<T>, GithubError>
where
    F: Future<Output = Result<Dated<Listing<T>>, GithubError>>,
{
    for number in 0..MOST_PAGES {
        let etag = pages.get(number).and_then(|page| page.etag.clone());
        if let Listing::Changed { items, etag } = ask(number + 1, etag).await?.value {
            pages.truncate(number + 1);
            let page = Page { etag, items };
            match pages.get_mut(number) {
                Some(old) => *old = page,
                None => pages.push(page),
            }
        }
        if pages
            .get(number)
            .is_none_or(|page| page.items.len() < CHECKS_PAGE)
        {
            pages.truncate(number + 1);
            break;
        }
    }
    let items = pages.iter().flat_map(|page| page.items.iter().cloned());
    Ok(items.collect())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn changed(from: usize, count: usize, etag: &str) -> Listing<usize> {
        Listing::Changed {
            items: (from..from + count).collect(),
            etag: Some(etag.to_owned()),
        }
    }

    /// Reads what these answers bring, one for each page. Returns the items and the tags that were sent.
    async fn round(
        pages: &mut Vec<Page<usize>>,
        answers: Vec<Listing<usize>>,
    ) -> (Vec<usize>, Vec<Option<String>>) {
        let (answers, sent) = (RefCell::new(answers.into_iter()), RefCell::new(Vec::new()));
        let items = read(pages, |_, etag| {
            sent.borrow_mut().push(etag);
            let value = answers.borrow_mut().next().unwrap();
            let date = jiff::Timestamp::UNIX_EPOCH;
            std::future::ready(Ok(Dated { value, date }))
        })
        .await;
        (items.unwrap(), sent.into_inner())
    }

    #[tokio::test]
    async fn all_pages_are_read_and_those_without_news_are_kept() {
        let mut pages = Vec::new();
        let first = vec![changed(0, 100, "a"), changed(100, 7, "b")];
        let (items, sent) = round(&mut pages, first).await;
        assert_eq!((items.len(), sent), (107, vec![None, None]));
        let second = vec![Listing::NotModified, changed(100, 8, "c")];
        let (items, sent) = round(&mut pages, second).await;
        let tags = vec![Some("a".to_owned()), Some("b".to_owned())];
        assert_eq!((items.len(), sent), (108, tags));
        let (items, _) = round(&mut pages, vec![changed(0, 5, "d")]).await;
        assert_eq!(items.len(), 5, "the second page is gone");
    }

    #[test]
    fn a_commit_without_news_is_looked_at_less_and_less() {
        let seconds: Vec<u64> = (0..6).map(|idle| pause(idle).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 300, 300]);
        assert_eq!(pause(u32::MAX), SELDOM);
    }

    #[test]
    fn nobody_looks_while_few_requests_of_the_hour_are_left() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let budget = |remaining, reset| Budget {
            limit: Some(5000),
            remaining: Some(remaining),
            reset: Some(at(reset)),
        };
        let rest = |budget| rest(budget, at(1000)).map(|left| left.as_secs());
        assert_eq!(rest(Budget::default()), None);
        assert_eq!(rest(budget(1000, 1600)), None);
        assert_eq!(rest(budget(999, 1600)), Some(600));
        assert_eq!(rest(budget(0, 1001)), Some(30), "a moment is rounded up");
        assert_eq!(rest(budget(0, 900)), None, "that hour is over");
    }
}
