//! Comments: one, those of a pull request, those of a repository. A list of them changes while its pages
//! are read, so it is read on by time and not by the number of a page.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::pages::{Order, PAGE};
use crate::path::segment;
use crate::repo::Repo;
use crate::wire::Comment;
use crate::{Dated, GithubError};

/// Pages after which a list is not worth more requests.
const MOST_PAGES: i64 = 30;

impl Repo {
    /// A comment on an issue or pull request as it is now.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] when it was deleted.
    pub async fn comment(&self, id: i64) -> Result<Dated<Comment>, GithubError> {
        self.get(&self.path(&format!("/issues/comments/{id}")))
            .await
    }

    /// All comments of an issue or pull request that changed since then, oldest first. None is hidden by
    /// what is deleted or edited while they are read.
    ///
    /// # Errors
    /// As any call.
    pub async fn comments_since(
        &self,
        n: i64,
        since: Timestamp,
    ) -> Result<Vec<Comment>, GithubError> {
        let mut all = BTreeMap::new();
        let mut place = Some(Place::at(since));
        for _ in 0..MOST_PAGES {
            let Some(Place { since, page, .. }) = place else {
                break;
            };
            let since = written(since);
            let list = self.path(&format!("/issues/{n}/comments?since={since}&"));
            let found: Dated<Vec<Comment>> = self.page_of(&list, page, Order::FromTheBack).await?;
            let found = found.value;
            let reached = found.last().map(|comment| comment.created_at);
            place = place.and_then(|place| place.after(found.len(), reached));
            all.extend(found.into_iter().map(|comment| (comment.id, comment)));
        }
        Ok(all.into_values().collect())
    }

    /// One page of the comments on all issues and pull requests, the oldest change first.
    ///
    /// # Errors
    /// As any call.
    pub async fn changed_comments(
        &self,
        Place { since, page, .. }: Place,
    ) -> Result<Dated<Vec<Comment>>, GithubError> {
        let since = written(since);
        let list = self.path(&format!(
            "/issues/comments?sort=updated&direction=asc&since={since}&"
        ));
        self.page_of(&list, page, Order::FromTheBack).await
    }
}

/// A time as a query has it.
fn written(time: Timestamp) -> String {
    segment(&time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Where a list of comments that changed since a time is read on. It is ordered by a time: that of the last
/// change, or of the writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Only what changed since then is listed.
    pub since: Timestamp,
    /// The page of that list, from 1.
    pub page: i64,
    /// This page was read before; what follows it.
    again: Option<Onward>,
}

/// How a list is read on after a look back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Onward {
    /// It has ended.
    End,
    /// From a later time.
    Since(Timestamp),
    /// At this page.
    Page(i64),
}

impl Place {
    /// The begin of what changed since then.
    pub fn at(since: Timestamp) -> Self {
        Self::page(since, 1)
    }

    fn page(since: Timestamp, page: i64) -> Self {
        Self {
            since,
            page,
            again: None,
        }
    }

    /// After a page with so many comments, which came to this time; none at the end of the list. Whoever
    /// deletes a comment, or moves it to the end by an edit, moves all behind it a place forward, past whoever
    /// counts pages. What was not seen yet is not older than the end of this page, so the next one begins at
    /// its time, which is read once more. Where that is no later, pages are counted, and after each the one
    /// before it is read once more: what has moved out of the one is in the other.
    #[must_use]
    pub fn after(self, count: usize, reached: Option<Timestamp>) -> Option<Self> {
        let next = match self.again {
            Some(onward) => return self.onward(onward),
            None => self.next(count, reached),
        };
        match self.page {
            ..=1 => self.onward(next),
            page => Some(Self {
                page: page - 1,
                again: Some(next),
                ..self
            }),
        }
    }

    fn onward(self, onward: Onward) -> Option<Self> {
        match onward {
            Onward::End => None,
            Onward::Since(since) => Some(Self::at(since)),
            Onward::Page(page) => Some(Self::page(self.since, page)),
        }
    }

    fn next(self, count: usize, reached: Option<Timestamp>) -> Onward {
        if count < PAGE {
            return Onward::End;
        }
        let reached = reached.map(|reached| reached.saturating_sub(SignedDuration::from_secs(1)));
        match reached.and_then(Result::ok) {
            Some(since) if since > self.since => Onward::Since(since),
            // A whole page within a second, or of older comments that were edited since.
            _ => Onward::Page(self.page + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A comment as the list knows it: when it was written, and last changed.
    #[derive(Clone, Copy)]
    struct Noted {
        written: i64,
        changed: i64,
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// Reads all comments that changed since second 1000, as GitHub pages them. After each page somebody
    /// does something with the comments. Returns the ids that were seen.
    fn read(
        mut all: BTreeMap<usize, Noted>,
        mut meanwhile: impl FnMut(&mut BTreeMap<usize, Noted>),
    ) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let mut place = Place::at(at(1000));
        for _ in 0..MOST_PAGES {
            let since = all.iter().filter(|(_, one)| at(one.changed) >= place.since);
            let skipped = usize::try_from(place.page - 1).expect("a page") * PAGE;
            let found: Vec<_> = since.skip(skipped).take(PAGE).collect();
            let next = place.after(found.len(), found.last().map(|(_, one)| at(one.written)));
            seen.extend(found.into_iter().map(|(id, _)| *id));
            match next {
                Some(next) => place = next,
                None => return seen.into_iter().collect(),
            }
            meanwhile(&mut all);
        }
        panic!("the list has no end: {place:?}");
    }

    /// So many comments, three of them a second; the first 200 are older than what is asked for.
    fn comments(count: usize) -> BTreeMap<usize, Noted> {
        let noted = |id: usize| {
            let written = 1000 + (i64::try_from(id).expect("a second") - 200).div_euclid(3);
            let changed = written;
            (id, Noted { written, changed })
        };
        (0..count).map(noted).collect()
    }

    #[test]
    fn an_edit_or_deletion_while_pages_are_read_hides_no_comment() {
        let still = read(comments(550), |_| {});
        assert_eq!(still, (200..550).collect::<Vec<_>>());

        let mut next = 200;
        let deleted = read(comments(550), |all| {
            for _ in 0..20 {
                all.remove(&next);
                next += 1;
            }
        });
        assert_eq!(deleted, still);

        // Old ones come into the list, before all others.
        let mut next = 0;
        let edited = read(comments(550), |all| {
            for _ in 0..20 {
                let one = all.get_mut(&next).expect("an old comment");
                one.changed = 9_999;
                next += 1;
            }
        });
        let new: Vec<_> = edited.into_iter().filter(|id| *id >= 200).collect();
        assert_eq!(new, still);
    }

    #[test]
    fn a_page_that_brings_no_later_time_is_followed_by_the_next_one() {
        let mut all = comments(550);
        for one in all.values_mut() {
            (one.written, one.changed) = (1000, 1000);
        }
        assert_eq!(read(all, |_| {}).len(), 550);
        // All old ones were edited at the end: two pages of nothing new at each time.
        let mut all = comments(550);
        for one in all.values_mut().take(200) {
            one.changed = 9_999;
        }
        assert_eq!(read(all, |_| {}).len(), 550);
    }

    #[test]
    fn a_deletion_while_pages_of_one_second_are_counted_hides_no_comment() {
        let at_once = |count| {
            let mut all = comments(count);
            for one in all.values_mut() {
                (one.written, one.changed) = (1000, 1000);
            }
            all
        };
        for count in [150, 200, 250, 550] {
            // After each page one that was on the first is gone.
            let mut gone = 0;
            let seen = read(at_once(count), |all| {
                all.remove(&gone);
                gone += 1;
            });
            assert_eq!(seen, (0..count).collect::<Vec<_>>(), "{count}");
        }
        // And old ones that were edited, of which the first are gone when the next page is read.
        let mut all = comments(450);
        for one in all.values_mut().take(200) {
            one.changed = 9_999;
        }
        let mut gone = 0;
        let seen = read(all, |all| {
            for _ in 0..20 {
                all.remove(&gone);
                gone += 1;
            }
        });
        assert!((200..450).all(|id| seen.contains(&id)), "{seen:?}");
    }
}
