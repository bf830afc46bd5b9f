//! How far a look goes back through the list of pull requests, newest change first. What one
//! look has no pages left for, the next ones read, so that nothing since the last look is left out.

use github::PullRequest;
use jiff::Timestamp;

/// Entries of a full page.
const PAGE: usize = 100;
/// Pages of one walk.
const MOST_PAGES: u32 = 30;

/// Where a walk stopped because it had read enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The page to read next.
    page: i64,
    /// Changes back to here are to be seen.
    since: Timestamp,
}

impl Rest {
    /// What is left after two walks. Newer changes only push others back, so whoever goes on at the
    /// earlier page meets everything that either has left out.
    pub fn joined(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(Self {
                page: one.page.min(other.page),
                since: one.since.min(other.since),
            }),
            (one, other) => one.or(other),
        }
    }
}

/// One walk through the list.
pub struct Walk {
    page: i64,
    since: Timestamp,
    left: u32,
    found: Vec<PullRequest>,
    ended: bool,
}

impl Walk {
    /// From the newest change back to `since`.
    pub fn from_the_front(since: Timestamp) -> Self {
        Self::starting(1, since)
    }

    /// From where another one stopped. A page earlier: a pull request that is gone since then lets
    /// those behind it move up.
    pub fn going_on(rest: Rest) -> Self {
        Self::starting((rest.page - 1).max(1), rest.since)
    }

    fn starting(page: i64, since: Timestamp) -> Self {
        Self {
            page,
            since,
            left: MOST_PAGES,
            found: Vec::new(),
            ended: false,
        }
    }

    /// The page to read next; none when it is over.
    pub fn next(&self) -> Option<i64> {
        (!self.ended && self.left > 0).then_some(self.page)
    }

    /// Takes the page that was asked for.
    pub fn take(&mut self, items: Vec<PullRequest>) {
        let reaches_back = items.iter().any(|pull| pull.updated_at < self.since);
        self.ended = items.len() < PAGE || reaches_back;
        self.left = self.left.saturating_sub(1);
        self.page += 1;
        let new = items
            .into_iter()
            .filter(|pull| pull.updated_at >= self.since);
        self.found.extend(new);
    }

    /// What was found, and what is left for the next look.
    pub fn end(self) -> (Vec<PullRequest>, Option<Rest>) {
        let rest = Rest {
            page: self.page,
            since: self.since,
        };
        (self.found, (!self.ended).then_some(rest))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// Pull request n changed at second n.
    fn pull(n: i64) -> PullRequest {
        let value = serde_json::json!({
            "number": n, "state": "open", "user": null, "updated_at": at(n),
            "head": { "sha": "a", "ref": "topic", "repo": null },
            "base": { "ref": "main", "repo": { "id": 1, "full_name": "o/r" } },
        });
        serde_json::from_value(value).expect("a pull request")
    }

    /// Walks through a list whose newest change is first. Returns the numbers and what is left.
    fn walked(mut walk: Walk, list: &[i64]) -> (BTreeSet<i64>, Option<Rest>) {
        let mut pages = 0;
        while let Some(page) = walk.next() {
            pages += 1;
            assert!(pages <= MOST_PAGES, "a walk has an end");
            let first = (usize::try_from(page).expect("a page") - 1) * PAGE;
            let items = list.iter().skip(first).take(PAGE);
            walk.take(items.map(|n| pull(*n)).collect());
        }
        let (found, rest) = walk.end();
        (found.iter().map(|pull| pull.number).collect(), rest)
    }

    #[test]
    fn a_walk_ends_where_the_last_look_did() {
        let list: Vec<i64> = (1..=500).rev().collect();
        let (found, rest) = walked(Walk::from_the_front(at(290)), &list);
        assert_eq!(found, (290..=500).collect());
        assert_eq!(rest, None);
        let (found, rest) = walked(Walk::from_the_front(at(0)), &list[..150]);
        assert_eq!(
            (found.len(), rest),
            (150, None),
            "or at the end of the list"
        );
    }

    #[test]
    fn what_one_look_has_no_pages_for_the_next_ones_read() {
        let list: Vec<i64> = (1..=7000).rev().collect();
        let (mut found, mut rest) = walked(Walk::from_the_front(at(1)), &list);
        assert_eq!(found.len(), 3000);
        let mut looks = 1;
        while let Some(left) = rest {
            looks += 1;
            let (more, next) = walked(Walk::going_on(left), &list);
            found.extend(more);
            rest = next;
        }
        assert_eq!(found, (1..=7000).collect());
        assert_eq!(looks, 3);
    }

    #[test]
    fn what_changes_or_closes_in_between_hides_nothing() {
        let list: Vec<i64> = (1..=4000).rev().collect();
        let (mut found, rest) = walked(Walk::from_the_front(at(1)), &list);
        // Ninety are closed, ten others change: they are first now.
        let mut later: Vec<i64> = list
            .iter()
            .copied()
            .filter(|n| !(3901..=3990).contains(n))
            .collect();
        later.splice(0..0, 5001..=5010);
        let (more, rest) = walked(Walk::going_on(rest.expect("something is left")), &later);
        found.extend(more);
        assert_eq!(rest, None);
        assert!((1..=4000).all(|n| found.contains(&n)));
    }

    #[test]
    fn two_rests_are_one_that_covers_both() {
        let (near, far) = (
            Rest {
                page: 31,
                since: at(500),
            },
            Rest {
                page: 61,
                since: at(100),
            },
        );
        let both = Rest {
            page: 31,
            since: at(100),
        };
        assert_eq!(Rest::joined(Some(near), Some(far)), Some(both));
        assert_eq!(Rest::joined(Some(far), Some(near)), Some(both));
        assert_eq!(Rest::joined(None, Some(far)), Some(far));
        assert_eq!(Rest::joined(None, None), None);
    }
}
