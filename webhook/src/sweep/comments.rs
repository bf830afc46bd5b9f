//! Commands that no delivery told of. A comment changes its pull request, so a repository whose pull
//! requests are as they were has no new ones, and nothing is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crds::{Repository, TriggerKind, names};
use github::{Comment, GithubError, Place, Repo};
use jiff::Timestamp;

use super::marks::{Mark, Marks};
use super::undecided::Undecided;
use super::{FIRST, LIMIT, OVERLAP, count, earlier};
use crate::done::Deed;
use crate::gate;
use crate::handle::{App, Outcome};
use crate::request::{Ask, Request};

/// Pages of one look.
const MOST_PAGES: i64 = 30;
/// Looks after a change: GitHub's list of comments may show it later than that of pull requests.
const LOOKS: u8 = 2;

/// What is remembered of the comments of one repository.
#[derive(Default)]
pub(super) struct Comments {
    /// Changes up to here were seen.
    since: Option<Timestamp>,
    /// Looks that are still to come without another change.
    looks: u8,
    /// Comments that were decided.
    settled: HashMap<i64, Settled>,
    undecided: Undecided<i64, Comment>,
}

/// A comment that was decided.
struct Settled {
    written: Timestamp,
    /// It commanded something.
    commands: bool,
}

impl Comments {
    /// Of a repository whose comments were decided up to a mark.
    pub fn since(mark: Option<&Mark>) -> Self {
        let done = mark.iter().flat_map(|mark| &mark.done);
        let commanded = |(id, written): (&i64, &Timestamp)| {
            let settled = Settled {
                written: *written,
                commands: true,
            };
            (*id, settled)
        };
        Self {
            since: mark.map(|mark| mark.at),
            settled: done.map(commanded).collect(),
            ..Self::default()
        }
    }

    /// Up to where everything is decided, and what is decided beyond.
    pub fn mark(&self) -> Option<Mark> {
        let since = self.since?;
        let undecided = self.undecided.waiting().map(|comment| comment.created_at);
        let at = undecided.min().map_or(since, |oldest| oldest.min(since));
        let settled = self.settled.iter().filter(|(_, one)| one.commands);
        let done = settled.map(|(id, one)| (*id, one.written));
        Some(Mark::new(at, done))
    }

    /// Looks for commands if something changed, and at those that could not be decided.
    pub async fn look(
        &mut self,
        app: &App,
        repo: &Repo,
        repository: &Arc<Repository>,
        now: Timestamp,
        changed: bool,
    ) -> Result<(), GithubError> {
        if changed {
            self.looks = LOOKS;
        }
        let oldest = earlier(now, FIRST);
        self.undecided
            .retain(|comment| is_candidate(comment, oldest));
        let mut due = self.undecided.due();
        if self.looks > 0 {
            let read = self.read(repo, now).await?;
            self.looks -= 1;
            due.extend(read.into_iter().map(|comment| (comment.id, comment)));
        } else {
            // No comment is newer than what was read.
            self.since = self.since.map(|since| since.max(earlier(now, OVERLAP)));
        }
        self.settled.retain(|_, one| one.written >= oldest);
        let mut due: Vec<Comment> = due.into_values().collect();
        due.sort_by_key(|comment| comment.id);
        for comment in due {
            if is_candidate(&comment, oldest) && !self.settled.contains_key(&comment.id) {
                self.consider(app, repository, comment, now).await;
            }
        }
        Ok(())
    }

    async fn read(&mut self, repo: &Repo, now: Timestamp) -> Result<Vec<Comment>, GithubError> {
        let since = Marks::bounded(self.since, now, FIRST);
        let mut all = Vec::new();
        let mut place = Place::at(since);
        for _ in 0..MOST_PAGES {
            let found = repo.changed_comments(place).await?.value;
            let reached = found.last().map(|comment| comment.updated_at);
            let next = place.after(found.len(), reached);
            all.extend(found);
            let Some(next) = next else {
                let newest = all.iter().map(|comment| comment.updated_at).max();
                self.since = Some(earlier(newest.unwrap_or(now), OVERLAP).max(since));
                return Ok(all);
            };
            place = next;
        }
        // The next look goes on where this one has no pages left.
        self.since = Some(place.since);
        self.looks = self.looks.max(2);
        Ok(all)
    }

    /// Asks the gate about each command of a comment, in their order.
    async fn consider(
        &mut self,
        app: &App,
        repository: &Arc<Repository>,
        comment: Comment,
        now: Timestamp,
    ) {
        let mut known = gate::Comment::default();
        let requests = Request::of_comment(repository, &comment);
        for request in &requests {
            match decide(app, request, &mut known).await {
                outcome if !settles(outcome, comment.created_at, now) => {
                    self.undecided.again(comment.id, comment);
                    return;
                }
                outcome => count(app, outcome),
            }
        }
        self.undecided.done(&comment.id);
        let settled = Settled {
            written: comment.created_at,
            commands: !requests.is_empty(),
        };
        self.settled.insert(comment.id, settled);
    }
}

/// Decides a command, unless something stands for it already.
async fn decide(app: &App, request: &Request, known: &mut gate::Comment) -> Outcome {
    if let Ask::Command { comment, command } = &request.ask {
        let event = names::command_event(*comment, command.ordinal);
        let object = request.repository_name();
        let name = names::name_of(object, request.number, TriggerKind::Comment, event);
        if app.is_answered(&name) {
            return Outcome::Ignored(gate::ANSWERED);
        }
        match app.submit.is_built(&name).await {
            Ok(true) => return Outcome::Ignored("built"),
            Ok(false) if app.done.knows(Deed::Built(&name)) => return Outcome::Ignored("deleted"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot tell whether a command was built");
                return Outcome::Later("not_stored");
            }
        }
    }
    app.decide(request, known, Instant::now() + LIMIT).await
}

/// Whether a command that was listed needs no other look. Where GitHub shows no such comment, or none of its
/// pull request, its answer may be of before; of a comment that stays away for long it is not.
fn settles(outcome: Outcome, written: Timestamp, now: Timestamp) -> bool {
    match outcome {
        Outcome::Later(_) => false,
        Outcome::Ignored(gate::COMMENT_GONE | gate::PULL_REQUEST_GONE) => {
            written < earlier(now, OVERLAP)
        }
        _ => true,
    }
}

/// Whether a comment may command something: it is not old, and it was not edited.
fn is_candidate(comment: &Comment, oldest: Timestamp) -> bool {
    comment.created_at >= oldest && comment.updated_at == comment.created_at
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_comment_that_is_listed_and_not_there_is_looked_at_again_until_it_is_gone_for_good() {
        let now = at(1_000);
        for gone in [gate::COMMENT_GONE, gate::PULL_REQUEST_GONE] {
            assert!(!settles(Outcome::Ignored(gone), at(999), now), "{gone}");
            assert!(settles(Outcome::Ignored(gone), at(600), now), "{gone}");
        }
        assert!(!settles(Outcome::Later("undecided"), at(0), now));
        assert!(settles(Outcome::Stored("build"), at(999), now));
    }

    /// Entries of a full page on GitHub.
    const PAGE: usize = 100;

    /// Reads a list of (change, comment) as GitHub pages it. After the first page somebody edits a comment
    /// of it. Returns all comments that were seen.
    fn read(mut list: Vec<(i64, usize)>, edited: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut place = Place::at(at(0));
        for look in 0..20 {
            list.sort_unstable();
            let since = list.iter().filter(|(change, _)| at(*change) >= place.since);
            let skipped = usize::try_from(place.page - 1).expect("a page") * PAGE;
            let found: Vec<_> = since.skip(skipped).take(PAGE).copied().collect();
            seen.extend(found.iter().map(|(_, comment)| *comment));
            let reached = found.last().map(|(change, _)| at(*change));
            match place.after(found.len(), reached) {
                Some(next) => place = next,
                None => return seen,
            }
            if look == 0 {
                list.retain(|(_, comment)| *comment != edited);
                list.push((9_999, edited));
            }
        }
        panic!("the list has no end: {place:?}");
    }

    #[test]
    fn an_edit_while_pages_are_read_hides_no_comment() {
        let spread = (0..350_usize).map(|n| (i64::try_from(n).expect("a second"), n));
        assert_eq!(read(spread.collect(), 7).len(), 350);
        let at_once = (0..350).map(|n| (5, n));
        assert_eq!(read(at_once.collect(), 7).len(), 350);
        let soon = (0..350).map(|n| (0, n));
        assert_eq!(read(soon.collect(), 7).len(), 350);
    }
}
