//! Asks GitHub how the checks of commits stand that builds wait for: one look at a commit for all of
//! them, every half minute, with the tags of the last answers, so that no news costs nothing.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crds::{PrBuild, Repository};
use github::{CHECKS_PAGE, CommitCheck, CommitContext, Dated, GithubError, Listing, Repo};
use tokio::time::Instant;

use super::{checks::Said, github_of};
use crate::context::Context;

/// How often a commit is looked at.
const EVERY: Duration = Duration::from_secs(30);
/// Pages after which a list is not worth more requests.
const MOST_PAGES: usize = 30;

/// A commit as one connection sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit {
    connection: String,
    repository: String,
    sha: String,
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
        };
        let mut all = self.lock();
        let poll = all.entry(commit.clone()).or_insert_with(|| Poll {
            due: Some(Instant::now()),
            ..Poll::default()
        });
        if poll.due.is_some_and(|due| due <= Instant::now()) {
            poll.due = None;
            let (pages, said) = (std::mem::take(&mut poll.pages), poll.known.said.clone());
            tokio::spawn(look(ctx.clone(), commit.clone(), repo, pages, said));
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

/// Looks at a commit, notes what was found, and lets admission judge it.
async fn look(
    ctx: Arc<Context>,
    commit: Commit,
    repo: Repo,
    mut pages: Pages,
    before: Option<Arc<Said>>,
) {
    let found = read_all(&repo, &commit.sha, &mut pages).await;
    let (known, wait) = match found {
        Ok(said) => {
            let known = Known {
                said: Some(Arc::new(said)),
                trouble: None,
            };
            (known, EVERY)
        }
        Err(error) => {
            tracing::warn!(repository = commit.repository, %error, "the checks of a commit cannot be looked at; builds wait for them");
            let wait = match &error {
                GithubError::RateLimited { wait, .. } => (*wait).max(EVERY),
                _ => EVERY,
            };
            let known = Known {
                said: before,
                trouble: Some(trouble(&error).to_owned()),
            };
            (known, wait)
        }
    };
    let poll = Poll {
        known,
        pages,
        due: Some(Instant::now() + wait),
    };
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

async fn read_all(repo: &Repo, sha: &str, pages: &mut Pages) -> Result<Said, GithubError> {
    let asked = || (repo.clone(), sha.to_owned());
    let (contexts, checks) = tokio::try_join!(
        read(&mut pages.contexts, |page, etag| {
            let (repo, sha) = asked();
            async move { repo.contexts_of_commit(&sha, page, etag.as_deref()).await }
        }),
        read(&mut pages.checks, |page, etag| {
            let (repo, sha) = asked();
            async move { repo.checks_of_commit(&sha, page, etag.as_deref()).await }
        }),
    )?;
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
}
