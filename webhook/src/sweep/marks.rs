//! Up to where comments were seen, in words that outlive a replica. A comment stays where it is, so
//! whoever sweeps next must not take one for new whose build was deleted meanwhile.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Comments that one mark names at most.
const MOST_DONE: usize = 200;

/// How far each repository's comments were decided, by GitHub's id of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<i64, Mark>);

/// How far the comments of a repository were decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Up to here. Looks go back to it.
    pub at: Timestamp,
    /// Those since then whose commands were decided, too, and when they were written.
    #[serde(default)]
    pub done: BTreeMap<i64, Timestamp>,
}

impl Mark {
    /// A mark that names as many of these comments as it may, the newest first.
    pub fn new(at: Timestamp, done: impl Iterator<Item = (i64, Timestamp)>) -> Self {
        let mut done: BTreeMap<i64, Timestamp> =
            done.filter(|(_, written)| *written >= at).collect();
        while done.len() > MOST_DONE {
            done.pop_first();
        }
        Self { at, done }
    }
}

impl Marks {
    /// As somebody wrote them. What cannot be read is as if it were not there: everything is looked at
    /// once more.
    pub fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    /// As they are written.
    pub fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// The mark of a repository.
    pub fn of(&self, repository: i64) -> Option<&Mark> {
        self.0.get(&repository)
    }

    /// A repository's comments were decided so far.
    pub fn set(&mut self, repository: i64, mark: Mark) {
        self.0.insert(repository, mark);
    }

    /// Forgets marks that are older than any look goes back.
    pub fn forget_before(&mut self, oldest: Timestamp) {
        self.0.retain(|_, mark| mark.at >= oldest);
    }

    /// How far a look goes back that has no memory: to the mark, and never further than `most`.
    pub fn bounded(mark: Option<Timestamp>, now: Timestamp, most: SignedDuration) -> Timestamp {
        let oldest = super::earlier(now, most);
        mark.map_or(oldest, |mark| mark.max(oldest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn marks_are_read_as_they_were_written() {
        let mut marks = Marks::default();
        let later = Mark::new(at(200), [(5, at(210)), (4, at(199))].into_iter());
        assert_eq!(later.done, [(5, at(210))].into());
        marks.set(7, Mark::new(at(100), std::iter::empty()));
        marks.set(8, later.clone());
        assert_eq!(Marks::read(&marks.text()), marks);
        marks.forget_before(at(150));
        assert_eq!((marks.of(7), marks.of(8)), (None, Some(&later)));
    }

    #[test]
    fn a_mark_names_the_newest_comments_and_not_without_end() {
        let many = (0..1000).map(|id| (id, at(100)));
        let mark = Mark::new(at(100), many);
        assert_eq!(mark.done.len(), MOST_DONE);
        assert!(mark.done.contains_key(&999));
        let mut marks = Marks::default();
        marks.set(7, mark);
        assert!(marks.text().len() < 10_000);
    }

    #[test]
    fn what_nobody_can_read_marks_nothing() {
        for text in [
            "",
            "no JSON",
            "[1]",
            r#"{"7":"yesterday"}"#,
            r#"{"7":{"at":1}}"#,
        ] {
            assert_eq!(Marks::read(text), Marks::default(), "{text}");
        }
    }

    #[test]
    fn no_look_goes_further_back_than_events_count() {
        let hour = SignedDuration::from_secs(3600);
        let bounded = |mark| Marks::bounded(mark, at(10_000), hour);
        assert_eq!(bounded(None), at(6400));
        assert_eq!(bounded(Some(at(5))), at(6400));
        assert_eq!(bounded(Some(at(9000))), at(9000));
    }
}
