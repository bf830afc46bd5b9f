//! Presses of buttons that did not arrive. They leave nothing behind on GitHub but the delivery, so
//! the App asks for the deliveries that nobody took, and reads what was in them.

use std::collections::HashSet;
use std::sync::Arc;

use github::{Connection, Delivery, GithubError, Listing};
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
        if let Listing::Changed { items, etag } = first.value.listing {
            let since = self.since.unwrap_or(oldest);
            let newest = items.first().map_or(first.date, |one| one.delivered_at);
            let all = read(connection, since, items, first.value.next).await?;
            for press in not_taken(all) {
                if press
                    .repository_id
                    .is_some_and(|id| repositories.contains(&id))
                {
                    due.insert(press.guid.clone(), press);
                }
            }
            self.etag = etag;
            self.since = Some(earlier(newest, OVERLAP));
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

/// Reads pages until what was seen before.
async fn read(
    connection: &Connection,
    since: Timestamp,
    first: Vec<Delivery>,
    mut next: Option<String>,
) -> Result<Vec<Delivery>, GithubError> {
    let mut all = first;
    for _ in 1..MOST_PAGES {
        let ended = all.last().is_none_or(|one| one.delivered_at < since);
        let Some(cursor) = next.take().filter(|_| !ended) else {
            break;
        };
        let Some(page) = connection.deliveries(None, Some(&cursor)).await? else {
            break;
        };
        if let Listing::Changed { items, .. } = page.value.listing {
            all.extend(items);
        }
        next = page.value.next;
    }
    Ok(all)
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
}
