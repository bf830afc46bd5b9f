//! Presses of buttons that did not arrive. They leave nothing behind on GitHub but the delivery, so
//! the App asks for the deliveries that nobody took, and reads what was in them.

use std::collections::HashSet;
use std::sync::Arc;

use github::{Connection, Delivery, DeliveryPage, GithubError, Listing};
use jiff::{SignedDuration, Timestamp};

use super::undecided::Undecided;
use super::{FIRST, OVERLAP, count, earlier};
use crate::done::Deed;
use crate::handle::{App, Outcome};
use crate::signature::Verified;

/// Pages of one look.
const MOST_PAGES: u32 = 30;
/// A delivery this young may still be on its way.
const YOUNG: SignedDuration = SignedDuration::from_secs(15);

/// What is remembered of the deliveries to one App.
#[derive(Default)]
pub(super) struct Buttons {
    etag: Option<String>,
    /// Deliveries up to here were seen.
    since: Option<Timestamp>,
    /// Older ones that the last look had no pages left for.
    rest: Option<Rest>,
    undecided: Undecided<String, Delivery>,
}

impl Buttons {
    /// Looks for presses of buttons in these repositories that no delivery brought.
    pub async fn look(
        &mut self,
        app: &App,
        connection: &Arc<Connection>,
        repositories: &HashSet<i64>,
    ) -> Result<(), GithubError> {
        let mut due = self.undecided.due();
        let Some(first) = connection.deliveries(self.etag.as_deref(), None).await? else {
            return Ok(());
        };
        let oldest = earlier(first.date, FIRST);
        let (mut all, mut rest) = self.left_over(connection).await?;
        if let Listing::Changed { items, etag } = first.value.listing {
            let since = self.since.unwrap_or(oldest);
            let newest = items.first().map_or(first.date, |one| one.delivered_at);
            let front = Back::from_the_front(since, items, first.value.next);
            let (found, left) = read(connection, front).await?;
            all.extend(found);
            rest = Rest::joined(left, rest);
            self.etag = etag;
            self.since = Some(earlier(newest, OVERLAP));
        }
        if rest.is_some() {
            let connection = connection.name();
            tracing::warn!(connection, "many deliveries; the next look goes on");
        }
        self.rest = rest;
        for press in not_taken(all) {
            let here = press.repository_id;
            if here.is_some_and(|id| repositories.contains(&id)) {
                due.insert(press.guid.clone(), press);
            }
        }
        for (guid, press) in due {
            let told = press.delivered_at;
            if told < oldest || app.done.knows(Deed::Pressed(&guid)) {
                self.undecided.done(&guid);
            } else if earlier(first.date, YOUNG) < told {
                self.undecided.again(guid, press);
            } else {
                self.bring(app, connection, press).await;
            }
        }
        Ok(())
    }

    /// Reads what the last look had no pages left for.
    async fn left_over(
        &self,
        connection: &Connection,
    ) -> Result<(Vec<Delivery>, Option<Rest>), GithubError> {
        let Some(rest) = self.rest.clone() else {
            return Ok((Vec::new(), None));
        };
        match read(connection, Back::going_on(rest)).await {
            Err(error) if !error.is_transient() => {
                tracing::warn!(%error, connection = connection.name(), "older deliveries are not to be had");
                Ok((Vec::new(), None))
            }
            other => other,
        }
    }

    /// Reads a press and decides it as if it had been delivered.
    async fn bring(&mut self, app: &App, connection: &Arc<Connection>, press: Delivery) {
        let outcome = match connection.delivered(press.id).await {
            Ok(Some(delivered)) => {
                let told = Verified::told_by(connection, &delivered, press.delivered_at);
                app.deliver(&told).await
            }
            Ok(None) => Outcome::Ignored("no_app"),
            Err(error) if error.is_transient() => Outcome::Later("not_read"),
            Err(error) => {
                tracing::warn!(%error, delivery = press.guid, "a press of a button is lost");
                Outcome::Ignored("not_kept")
            }
        };
        if let Outcome::Later(_) = outcome {
            self.undecided.again(press.guid.clone(), press);
            return;
        }
        count(app, outcome);
        self.undecided.done(&press.guid);
        app.done
            .note(Deed::Pressed(&press.guid), press.delivered_at);
    }
}

/// Where a look back stopped because it had read enough.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rest {
    /// Where the next page begins.
    cursor: String,
    /// Deliveries back to here are to be seen.
    since: Timestamp,
}

impl Rest {
    /// What is left of a look from the front and of an older one: from where the first stopped, back to where
    /// the second was to end.
    fn joined(front: Option<Self>, older: Option<Self>) -> Option<Self> {
        match (front, older) {
            (Some(front), Some(older)) => Some(Self {
                since: front.since.min(older.since),
                ..front
            }),
            (front, older) => front.or(older),
        }
    }
}

/// One look back through the deliveries, until what was seen before.
struct Back {
    since: Timestamp,
    cursor: Option<String>,
    left: u32,
    found: Vec<Delivery>,
    ended: bool,
}

impl Back {
    /// From the first page, which was read.
    fn from_the_front(since: Timestamp, first: Vec<Delivery>, next: Option<String>) -> Self {
        let mut back = Self::at(None, since);
        back.take(first, next);
        back
    }

    /// From where another one stopped.
    fn going_on(rest: Rest) -> Self {
        Self::at(Some(rest.cursor), rest.since)
    }

    fn at(cursor: Option<String>, since: Timestamp) -> Self {
        Self {
            since,
            cursor,
            left: MOST_PAGES,
            found: Vec::new(),
            ended: false,
        }
    }

    /// The page to read next; none when it is over.
    fn next(&self) -> Option<&str> {
        let goes_on = !self.ended && self.left > 0;
        self.cursor.as_deref().filter(|_| goes_on)
    }

    /// Takes the page that was asked for, and where the one behind it begins.
    fn take(&mut self, items: Vec<Delivery>, next: Option<String>) {
        let reaches_back = |one: &Delivery| one.delivered_at < self.since;
        self.ended = next.is_none() || items.last().is_none_or(reaches_back);
        self.cursor = next;
        self.left = self.left.saturating_sub(1);
        self.found.extend(items);
    }

    /// What was found, and what is left for the next look.
    fn end(self) -> (Vec<Delivery>, Option<Rest>) {
        let since = self.since;
        let rest = self.cursor.filter(|_| !self.ended);
        (self.found, rest.map(|cursor| Rest { cursor, since }))
    }
}

/// Reads the pages that a look back asks for.
async fn read(
    connection: &Connection,
    mut back: Back,
) -> Result<(Vec<Delivery>, Option<Rest>), GithubError> {
    while let Some(cursor) = back.next() {
        let Some(page) = connection.deliveries(None, Some(cursor)).await? else {
            break;
        };
        let DeliveryPage { listing, next } = page.value;
        let items = match listing {
            Listing::Changed { items, .. } => items,
            Listing::NotModified => Vec::new(),
        };
        back.take(items, next);
    }
    Ok(back.end())
}

/// The presses of which no try was taken, each once.
fn not_taken(deliveries: Vec<Delivery>) -> Vec<Delivery> {
    let taken: HashSet<String> = deliveries
        .iter()
        .filter(|one| one.was_taken())
        .map(|one| one.guid.clone())
        .collect();
    let mut known = taken;
    deliveries
        .into_iter()
        .filter(is_press)
        .filter(|one| known.insert(one.guid.clone()))
        .collect()
}

fn is_press(delivery: &Delivery) -> bool {
    matches!(
        (delivery.event.as_str(), delivery.action.as_deref()),
        ("check_run", Some("rerequested" | "requested_action"))
            | ("check_suite", Some("rerequested"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(guid: &str, event: &str, action: &str, status_code: i64) -> Delivery {
        Delivery {
            id: 1,
            guid: guid.to_owned(),
            delivered_at: Timestamp::UNIX_EPOCH,
            status_code,
            event: event.to_owned(),
            action: Some(action.to_owned()),
            repository_id: Some(1),
        }
    }

    #[test]
    fn a_press_that_nobody_took_is_found_once() {
        let all = vec![
            tried("again", "check_run", "rerequested", 200),
            tried("twice", "check_run", "requested_action", 503),
            tried("twice", "check_run", "requested_action", 0),
            tried("suite", "check_suite", "rerequested", 502),
            tried("done", "check_run", "completed", 502),
            tried("label", "pull_request", "labeled", 502),
            tried("again", "check_run", "rerequested", 502),
        ];
        let found = not_taken(all);
        let guids: Vec<&str> = found.iter().map(|one| one.guid.as_str()).collect();
        assert_eq!(guids, ["twice", "suite"]);
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// Looks back through deliveries of which one was made a second, the last one first. Returns the seconds
    /// that were seen, and what is left.
    fn looked(mut back: Back, last: i64) -> (Vec<i64>, Option<Rest>) {
        let page = |from: i64| {
            let seconds = (1..=from).rev().take(100);
            let made = seconds.clone().map(|second| Delivery {
                delivered_at: at(second),
                ..tried("a", "check_run", "completed", 200)
            });
            let made: Vec<Delivery> = made.collect();
            let next = seconds.last().filter(|second| *second > 1);
            (made, next.map(|second| (second - 1).to_string()))
        };
        if back.cursor.is_none() {
            let (items, next) = page(last);
            back.take(items, next);
        }
        while let Some(cursor) = back.next() {
            let (items, next) = page(cursor.parse().expect("a second"));
            back.take(items, next);
        }
        let (found, rest) = back.end();
        let seconds = found.iter().map(|one| one.delivered_at.as_second());
        (seconds.collect(), rest)
    }

    #[test]
    fn a_look_back_ends_where_the_last_one_did_or_with_the_list() {
        let (seen, rest) = looked(Back::at(None, at(850)), 1000);
        assert_eq!((seen.len(), rest), (200, None));
        let (seen, rest) = looked(Back::at(None, at(0)), 150);
        assert_eq!((seen.len(), rest), (150, None));
        let nothing = Back::from_the_front(at(0), Vec::new(), None);
        assert_eq!(nothing.next(), None);
    }

    #[test]
    fn deliveries_that_one_look_has_no_pages_for_the_next_ones_read() {
        let (mut seen, mut rest) = looked(Back::at(None, at(1)), 7000);
        assert_eq!(seen.len(), 3000);
        let mut looks = 1;
        while let Some(left) = rest {
            looks += 1;
            let (more, next) = looked(Back::going_on(left), 7000);
            seen.extend(more);
            rest = next;
        }
        assert_eq!(seen, (1..=7000).rev().collect::<Vec<_>>());
        assert_eq!(looks, 3);
    }

    #[test]
    fn two_looks_that_stopped_are_gone_on_with_as_one() {
        let rest = |cursor: &str, since| {
            let cursor = cursor.to_owned();
            let since = at(since);
            Some(Rest { cursor, since })
        };
        let (front, older) = (rest("900", 800), rest("500", 100));
        assert_eq!(Rest::joined(front.clone(), older.clone()), rest("900", 100));
        assert_eq!(Rest::joined(None, older.clone()), older);
        assert_eq!(Rest::joined(front.clone(), None), front);
    }
}
