//! A look at the pull requests of one repository: labels that no delivery told of, and builds that a change
//! makes pointless.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crds::{PrBuild, Repository};
use github::{GithubError, Listing, PullRequest, Repo};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::comments::Comments;
use super::marks::Mark;
use super::undecided::Undecided;
use super::walk::{Rest, Walk};
use super::{FIRST, LIMIT, OVERLAP, count, earlier};
use crate::gate;
use crate::handle::{App, BUILT_BEFORE, Outcome, REFUSED_BEFORE};
use crate::request::{Ask, Request};
use crate::stopping::Doer;

/// How far GitHub's timeline lags behind at most.
const LAG: SignedDuration = SignedDuration::from_mins(1);

/// What is remembered of one repository between two looks.
#[derive(Default)]
pub(super) struct Memory {
    etag: Option<String>,
    /// Changes up to here were seen.
    since: Option<Timestamp>,
    /// Older changes that the last look had no pages left for.
    rest: Option<Rest>,
    /// Pull requests whose labels cannot be decided yet.
    undecided: Undecided<i64, PullRequest>,
    /// Pull requests whose builds could not be stopped yet.
    unstopped: Undecided<i64, PullRequest>,
    /// Labels that were decided, by number and name, and the change that they were decided at.
    settled: HashMap<(i64, String), Timestamp>,
    comments: Comments,
    /// Generation of the Repository by whose spec all of that was looked at.
    generation: Option<i64>,
    /// `owner/name` by which it was looked at.
    name: Option<String>,
}

/// What a look at the list of pull requests brought.
struct Seen {
    /// By number.
    pulls: HashMap<i64, PullRequest>,
    etag: Option<String>,
    since: Option<Timestamp>,
    rest: Option<Rest>,
    changed: bool,
    /// GitHub's time.
    now: Timestamp,
}

impl Memory {
    /// Where comments were read up to here.
    pub(super) fn after(comments: Comments) -> Self {
        Self {
            comments,
            ..Self::default()
        }
    }

    /// Up to where comments were read.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.comments.mark()
    }

    /// Looks at the repository. Returns a word for the metrics.
    pub(super) async fn look(
        &mut self,
        app: &App,
        repository: &Arc<Repository>,
    ) -> Result<&'static str, GithubError> {
        let Some(repo) = app.repo(repository) else {
            return Ok("no_connection");
        };
        let paused = repository.spec.paused;
        self.begin_for(repository.metadata.generation, repo.full_name());
        let seen = self.list(&repo).await?;
        self.etag = seen.etag;
        self.since = seen.since;
        self.rest = seen.rest;
        let stopped = self.stop_builds(app, &repo, repository, &seen.pulls).await;
        if paused {
            return Ok(if stopped { "paused" } else { "not_stopped" });
        }
        // Its labels are older than it is.
        let oldest = earlier(seen.now, FIRST);
        self.undecided.retain(|pull| pull.updated_at >= oldest);
        let mut due = self.undecided.due();
        due.extend(seen.pulls);
        for pull in due.into_values() {
            self.consider(app, repository, pull, seen.now).await;
        }
        let since = self.since.unwrap_or(Timestamp::MIN);
        self.settled.retain(|_, at| *at >= since);
        self.comments
            .look(app, &repo, repository, seen.now, seen.changed)
            .await?;
        Ok(match seen.changed {
            _ if !stopped => "not_stopped",
            true => "changed",
            false => "not_modified",
        })
    }

    /// Begins anew where what was seen was seen by another spec or under another name.
    fn begin_for(&mut self, generation: Option<i64>, name: String) {
        let is_renamed = self.name.as_ref().is_some_and(|before| *before != name);
        if is_renamed {
            // Somebody else may have had the old name already, and what was seen was theirs.
            *self = Self::default();
        } else if self.generation != generation {
            // A label that meant nothing may ask for something now, and what was paused left all aside.
            // Comments were not read meanwhile.
            *self = Self {
                comments: std::mem::take(&mut self.comments),
                unstopped: std::mem::take(&mut self.unstopped),
                ..Self::default()
            };
        }
        self.generation = generation;
        self.name = Some(name);
    }

    /// Stops the builds that these changes, and those of before that could not be told, make pointless.
    /// Returns whether that went well; what did not is tried again and holds up nothing else.
    async fn stop_builds(
        &mut self,
        app: &App,
        repo: &Repo,
        repository: &Arc<Repository>,
        changed: &HashMap<i64, PullRequest>,
    ) -> bool {
        let mut due = self.unstopped.due();
        due.extend(changed.iter().map(|(number, pull)| (*number, pull.clone())));
        let id = repository.status.as_ref().and_then(|status| status.id);
        let Some(id) = id.filter(|_| !due.is_empty()) else {
            return true;
        };
        let builds = match app.builds.live(id).await {
            Ok(builds) => builds,
            Err(error) => {
                tracing::warn!(%error, repository = id, "cannot tell which builds stop");
                for (number, pull) in due {
                    self.unstopped.again(number, pull);
                }
                return false;
            }
        };
        let mut all = true;
        for (number, pull) in due {
            let mut failed = false;
            for build in builds.iter().filter(|build| is_of(build, number)) {
                let build = std::slice::from_ref(build);
                let stopping = app.stop_builds(repo, repository, &pull, build, Doer::default());
                if let Err(error) = stopping.await {
                    let build = build[0].name_any();
                    tracing::warn!(%error, build, "a build cannot be stopped now");
                    failed = true;
                }
            }
            match failed {
                true => self.unstopped.again(number, pull),
                false => self.unstopped.done(&number),
            }
            all &= !failed;
        }
        all
    }

    /// Reads which pull requests changed since the last look.
    async fn list(&self, repo: &Repo) -> Result<Seen, GithubError> {
        let first = repo.changed_pull_requests(self.etag.as_deref(), 1).await?;
        let mut seen = Seen {
            pulls: HashMap::new(),
            etag: self.etag.clone(),
            since: self.since,
            rest: None,
            changed: false,
            now: first.date,
        };
        if let Some(left) = self.rest {
            let (found, still_left) = walk(repo, Walk::going_on(left)).await?;
            seen.pulls.extend(by_number(found));
            seen.rest = still_left;
        }
        if let Listing::Changed { items, etag } = first.value {
            let since = self.since.unwrap_or_else(|| earlier(first.date, FIRST));
            let newest = items.first().map_or(first.date, |pull| pull.updated_at);
            let mut front = Walk::from_the_front(since);
            front.take(items);
            let (found, left) = walk(repo, front).await?;
            seen.pulls.extend(by_number(found));
            seen.rest = Rest::joined(seen.rest, left);
            seen.etag = etag;
            seen.since = Some(earlier(newest, OVERLAP));
            seen.changed = true;
        }
        if seen.rest.is_some() {
            tracing::warn!(repository = %repo.full_name(), "many pull requests changed; the next look goes on");
        }
        Ok(seen)
    }

    /// Asks the gate about each label of a pull request that means something here.
    async fn consider(
        &mut self,
        app: &App,
        repository: &Arc<Repository>,
        pull: PullRequest,
        now: Timestamp,
    ) {
        let mut undecided = false;
        let open = pull.state == "open";
        let labels = Request::of_listed(repository, &pull);
        for request in labels.into_iter().filter(|_| open) {
            let Ask::Label { label, .. } = &request.ask else {
                continue;
            };
            let key = (pull.number, label.clone());
            if self.settled.get(&key) == Some(&pull.updated_at) {
                continue;
            }
            let mut known = gate::Comment::default();
            let deciding = app.decide(&request, &mut known, Instant::now() + LIMIT);
            match deciding.await {
                outcome if settles(outcome, pull.updated_at, now) => {
                    count(app, outcome);
                    self.settled.insert(key, pull.updated_at);
                }
                _ => undecided = true,
            }
        }
        match undecided {
            true => self.undecided.again(pull.number, pull),
            false => self.undecided.done(&pull.number),
        }
    }
}

/// Whether a label that was listed needs no other look. Where it is not on the pull request, one of the two
/// answers is of before: if it came off, the next list says so, too. And where an answer or a build stands
/// for it already, moments after a change, it may have been set once more: the timeline lags behind.
fn settles(outcome: Outcome, changed: Timestamp, now: Timestamp) -> bool {
    match outcome {
        Outcome::Later(_) | Outcome::Ignored(gate::LABEL_GONE) => false,
        Outcome::Ignored(gate::ANSWERED) | BUILT_BEFORE | REFUSED_BEFORE => {
            changed <= earlier(now, LAG)
        }
        _ => true,
    }
}

fn is_of(build: &PrBuild, number: i64) -> bool {
    build.spec.request.number == number
}

/// Reads the pages that a walk asks for.
async fn walk(
    repo: &Repo,
    mut walk: Walk,
) -> Result<(Vec<PullRequest>, Option<Rest>), GithubError> {
    while let Some(page) = walk.next() {
        walk.take(match repo.changed_pull_requests(None, page).await?.value {
            Listing::Changed { items, .. } => items,
            Listing::NotModified => Vec::new(),
        });
    }
    Ok(walk.end())
}

fn by_number(pulls: Vec<PullRequest>) -> impl Iterator<Item = (i64, PullRequest)> {
    pulls.into_iter().map(|pull| (pull.number, pull))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_is_listed_and_not_on_the_pull_request_is_looked_at_again() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let now = at(1_000);
        for changed in [at(1_000), at(0)] {
            assert!(!settles(Outcome::Ignored(gate::LABEL_GONE), changed, now));
            assert!(!settles(Outcome::Later("undecided"), changed, now));
            for outcome in [Outcome::Stored("build"), Outcome::Taken] {
                assert!(settles(outcome, changed, now), "{outcome:?}");
            }
        }
        // A second labelling may not be in the timeline yet.
        for outcome in [
            Outcome::Ignored(gate::ANSWERED),
            BUILT_BEFORE,
            REFUSED_BEFORE,
        ] {
            assert!(!settles(outcome, at(990), now), "{outcome:?}");
            assert!(settles(outcome, at(900), now), "{outcome:?}");
        }
    }

    #[test]
    fn a_look_begins_anew_by_another_spec_and_all_the_more_under_another_name() {
        let seen = Timestamp::from_second(1000).ok();
        let mark = Mark::new(Timestamp::UNIX_EPOCH, std::iter::empty());
        let mut memory = Memory::after(Comments::since(Some(&mark)));
        let mut about = |generation, name: &str| {
            memory.begin_for(Some(generation), name.to_owned());
            let known = (memory.since.is_some(), memory.mark().is_some());
            memory.since = seen;
            known
        };
        assert_eq!(about(1, "o/r"), (false, true), "what another one marked");
        assert_eq!(about(1, "o/r"), (true, true));
        assert_eq!(about(2, "o/r"), (false, true), "comments stay seen");
        assert_eq!(about(2, "p/r"), (false, false));
        assert_eq!(about(2, "p/r"), (true, false));
    }
}
