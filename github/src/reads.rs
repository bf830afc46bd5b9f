//! What the gate reads. Pages are counted here and asked for by relative paths: an absolute `next`
//! link would lose the credential on every API but github.com's, or carry it away.

use futures::future::try_join_all;
use http::{Method, StatusCode};
use serde::Deserialize;

use crate::pages::{Order, PAGE, whole};
use crate::path::segment;
use crate::repo::{Extras, Repo, parsed};
use crate::wire::{Activity, Collaborator, IssueEvent, PullRequest, RepositoryInfo, Review, User};
use crate::{Dated, GithubError};

/// Reviews of a pull request that are read: a list that is longer is not worth more requests.
const MOST_REVIEWS: usize = 3000;

/// The newest events of a pull request.
#[derive(Clone, Debug, Default)]
pub struct LabelEvents {
    /// Oldest first.
    pub events: Vec<IssueEvent>,
    /// These are all events that there are. Otherwise older ones were not read.
    pub complete: bool,
}

/// The newest movements of a branch.
#[derive(Clone, Debug, Default)]
pub struct Movements {
    /// Newest first.
    pub entries: Vec<Activity>,
    /// The page was full: there may be more movements than these.
    pub full: bool,
}

/// The reviews of a pull request.
#[derive(Clone, Debug, Default)]
pub struct Reviews {
    /// Oldest first.
    pub reviews: Vec<Review>,
    /// These are all reviews that there are. Otherwise newer ones were not read, and anybody may have
    /// taken back there what these say.
    pub complete: bool,
}

/// A page of a list that was asked for with the tag of the last answer.
#[derive(Clone, Debug)]
pub enum Listing<T> {
    /// As it was; costs nothing of the rate limit.
    NotModified,
    /// What it is now.
    Changed {
        /// The entries.
        items: Vec<T>,
        /// Tag for the next time.
        etag: Option<String>,
    },
}

impl Repo {
    /// The repository itself.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] when it does not exist or is not visible.
    pub async fn repository(&self) -> Result<Dated<RepositoryInfo>, GithubError> {
        self.get(&self.path("")).await
    }

    /// A pull request as it is now.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] for an issue or nothing.
    pub async fn pull_request(&self, n: i64) -> Result<Dated<PullRequest>, GithubError> {
        self.get(&self.path(&format!("/pulls/{n}"))).await
    }

    /// The newest events of a pull request: those of the last two pages. One request, or two
    /// round trips when there are more than a hundred.
    ///
    /// # Errors
    /// As any call.
    pub async fn label_events(&self, n: i64) -> Result<Dated<LabelEvents>, GithubError> {
        let path =
            |page: i64| self.path(&format!("/issues/{n}/events?per_page={PAGE}&page={page}"));
        let first = self.call(Method::GET, &path(1), Extras::default()).await?;
        let last = first.last_page.unwrap_or(1);
        if last <= 1 {
            let events = parsed(&Method::GET, &path(1), &first)?;
            return Ok(events.map(|events| LabelEvents {
                events,
                complete: true,
            }));
        }
        let mut events = Vec::new();
        if last == 2 {
            events.extend(parsed::<Vec<IssueEvent>>(&Method::GET, &path(1), &first)?.value);
        }
        let rest = (last - 1).max(2)..=last;
        let pages = rest.map(|page| async move { self.get(&path(page)).await });
        let mut date = first.date;
        for page in try_join_all(pages).await? {
            let page: Dated<Vec<IssueEvent>> = page;
            events.extend(page.value);
            date = page.date;
        }
        Ok(Dated {
            value: LabelEvents {
                events,
                complete: last == 2,
            },
            date,
        })
    }

    /// A person's right on the repository. Everybody has `read` on a public one.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] for an account that does not exist.
    pub async fn permission(&self, login: &str) -> Result<Dated<Collaborator>, GithubError> {
        let login = segment(login);
        self.get(&self.path(&format!("/collaborators/{login}/permission")))
            .await
    }

    /// The person who has this number, by today's login.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] for an account that does not exist any more.
    pub async fn user(&self, id: i64) -> Result<Dated<User>, GithubError> {
        self.get(&format!("/user/{id}")).await
    }

    /// The state of a person's membership in a team: `active` or `pending`.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] for no member, no such team, or no permission to know.
    pub async fn team_membership(
        &self,
        organization: &str,
        slug: &str,
        login: &str,
    ) -> Result<Dated<String>, GithubError> {
        #[derive(Deserialize)]
        struct Membership {
            state: String,
        }
        let path = format!(
            "/orgs/{}/teams/{}/memberships/{}",
            segment(organization),
            segment(slug),
            segment(login)
        );
        let found: Dated<Membership> = self.get(&path).await?;
        Ok(found.map(|membership| membership.state))
    }

    /// The newest movements of a branch, by whoever's repository it is in. It is asked for by its numeric
    /// id: its owner may give the name to another one between two requests.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] where this credential may not see them, as in many a fork.
    pub async fn activity(
        &self,
        repository: i64,
        branch: &str,
    ) -> Result<Dated<Movements>, GithubError> {
        self.movements(repository, branch, false).await
    }

    /// The same without a credential: what everybody may see. It has a small limit of its own.
    ///
    /// # Errors
    /// As any call; [`GithubError::RateLimited`] soon.
    pub async fn activity_anonymous(
        &self,
        repository: i64,
        branch: &str,
    ) -> Result<Dated<Movements>, GithubError> {
        self.movements(repository, branch, true).await
    }

    async fn movements(
        &self,
        repository: i64,
        branch: &str,
        anonymous: bool,
    ) -> Result<Dated<Movements>, GithubError> {
        let path = format!(
            "/repositories/{repository}/activity?ref={}&per_page={PAGE}",
            segment(&format!("refs/heads/{branch}"))
        );
        let extras = Extras {
            anonymous,
            ..Extras::default()
        };
        let answer = self.call(Method::GET, &path, extras).await?;
        let entries: Dated<Vec<Activity>> = parsed(&Method::GET, &path, &answer)?;
        Ok(entries.map(|entries| Movements {
            full: entries.len() >= PAGE,
            entries,
        }))
    }

    /// The reviews of a pull request, up to 3,000.
    ///
    /// # Errors
    /// As any call.
    pub async fn reviews(&self, n: i64) -> Result<Dated<Reviews>, GithubError> {
        let list = self.path(&format!("/pulls/{n}/reviews?"));
        let mut reviews = Vec::new();
        let mut page = 1_i64;
        loop {
            let found: Dated<Vec<Review>> = self.page_of(&list, page, Order::FromTheFront).await?;
            let complete = found.value.len() < PAGE;
            reviews.extend(found.value);
            if complete || reviews.len() >= MOST_REVIEWS {
                return Ok(Dated {
                    value: Reviews { reviews, complete },
                    date: found.date,
                });
            }
            page += 1;
        }
    }

    /// One page of all pull requests, open and closed, the last changed first.
    ///
    /// # Errors
    /// As any call.
    pub async fn changed_pull_requests(
        &self,
        etag: Option<&str>,
        page: i64,
    ) -> Result<Dated<Listing<PullRequest>>, GithubError> {
        let list = self.path("/pulls?state=all&sort=updated&direction=desc&");
        let path = whole(&list, page);
        let extras = Extras {
            etag,
            ..Extras::default()
        };
        let answer = match self.call(Method::GET, &path, extras).await {
            Err(GithubError::TooLarge { .. }) => {
                let items = self.in_parts(&list, page, Order::FromTheFront).await?;
                return Ok(items.map(|items| Listing::Changed { items, etag: None }));
            }
            answer => answer?,
        };
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Dated {
                value: Listing::NotModified,
                date: answer.date,
            });
        }
        let items: Dated<Vec<PullRequest>> = parsed(&Method::GET, &path, &answer)?;
        Ok(items.map(|items| Listing::Changed {
            items,
            etag: answer.etag,
        }))
    }
}
