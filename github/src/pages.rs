//! Pages of lists in which strangers write. A text has up to 256 KiB, and whoever writes enough of them makes
//! a page too large to be read: it is read in parts then, so that nobody hides what others wrote.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::repo::Repo;
use crate::{Dated, GithubError};

/// The most entries that GitHub puts on a page.
pub(crate) const PAGE: usize = 100;
/// Entries of a part. So many can be read whatever is written in them: JSON makes 1.5 MiB of a text at most.
const PART: i64 = 10;
/// Parts of a page.
const PARTS: i64 = 10;

/// In which order the parts of a page are read, so that what moves meanwhile is seen twice and not never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Of a list in which entries move to the front: others come behind where they were.
    FromTheFront,
    /// Of a list out of which entries are taken: others come before where they were.
    FromTheBack,
}

impl Order {
    /// The numbers of the parts of a page, as pages of [`PART`] entries.
    fn parts(self, page: i64) -> Vec<i64> {
        let first = (page - 1) * PARTS + 1;
        let parts = first..first + PARTS;
        match self {
            Self::FromTheFront => parts.collect(),
            Self::FromTheBack => parts.rev().collect(),
        }
    }
}

impl Repo {
    /// A page of a list, in parts if it is too large. `list` is its path up to where the query goes on.
    pub(crate) async fn page_of<T: DeserializeOwned>(
        &self,
        list: &str,
        page: i64,
        order: Order,
    ) -> Result<Dated<Vec<T>>, GithubError> {
        match self.get(&whole(list, page)).await {
            Err(GithubError::TooLarge { .. }) => self.in_parts(list, page, order).await,
            other => other,
        }
    }

    /// A page of a list that is too large to be read at once.
    pub(crate) async fn in_parts<T: DeserializeOwned>(
        &self,
        list: &str,
        page: i64,
        order: Order,
    ) -> Result<Dated<Vec<T>>, GithubError> {
        let mut parts = Vec::new();
        let mut date = Timestamp::MIN;
        for part in order.parts(page) {
            let path = format!("{list}per_page={PART}&page={part}");
            let found: Dated<Vec<T>> = self.get(&path).await?;
            date = date.max(found.date);
            parts.push((part, found.value));
        }
        parts.sort_by_key(|(part, _)| *part);
        let entries = parts.into_iter().flat_map(|(_, entries)| entries);
        Ok(Dated {
            value: entries.collect(),
            date,
        })
    }
}

/// The path of a page of a list.
pub(crate) fn whole(list: &str, page: i64) -> String {
    format!("{list}per_page={PAGE}&page={page}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_page_are_its_entries_in_either_order() {
        assert_eq!(PART * PARTS, i64::try_from(PAGE).expect("a number"));
        let first: Vec<i64> = (1..=10).collect();
        assert_eq!(Order::FromTheFront.parts(1), first);
        let mut third = Order::FromTheBack.parts(3);
        assert_eq!((third[0], third[9]), (30, 21));
        third.reverse();
        assert_eq!(third, Order::FromTheFront.parts(3));
    }
}
