//! Whether today's head is the commit that the person meant, how sure that is, and the test merge
//! that is made of exactly it.

use crds::{AnswerReason, Checkout, Evidence, Facts as Found};
use jiff::{SignedDuration, Timestamp};

use super::facts::{Entry, MovementList, Question, Seen};
use super::movement::{self, Stillness, Window};
use super::occurrence;
use super::people;
use super::refusal::{bounded, moved};
use super::verdict::{Case, Go, MOST_ASKED, Stop};
use crate::resolve::{self, Reach, Wanted};

/// Reviewers whose rights are looked up. Anybody can approve, and hides nobody by that.
const MOST_REVIEWERS: usize = 100;
/// Of these, at a time.
const AT_ONCE: usize = 20;

impl<'a> Case<'a> {
    /// Today's head is the one that was typed in full.
    pub(super) fn typed_head(&self, sha: &str) -> Go<Evidence> {
        match sha == self.pull()?.head.sha {
            true => Ok(Evidence::ExactSha),
            false => Err(self.refuse(AnswerReason::WrongSha, Found::default())),
        }
    }

    /// Today's head stood still around the label or command.
    pub(super) fn still_head(&self) -> Go<Evidence> {
        let pull = self.pull()?;
        let told = self.request.told.as_ref();
        let sha = told.and_then(|told| told.head_sha.as_ref());
        if let Some(sha) = sha.filter(|sha| **sha != pull.head.sha) {
            return Err(self.other_head(pull, sha));
        }
        let window = Window {
            head: &pull.head.sha,
            start: self.quiet_since(),
            label: self.event.at,
            told: sha.is_some(),
            pushed_at: pull.head.repo.as_ref().and_then(|repo| repo.pushed_at),
        };
        let judged = movement::judge(&window, self.movements()?, |user| self.trusts(user));
        match judged {
            Stillness::Still => Ok(Evidence::Label),
            Stillness::Ask(users) => Err(Stop::Ask(Question::Right(users))),
            _ if self.is_approved(&pull.head.sha)? => Ok(Evidence::Review),
            Stillness::Unknown => Err(self.movement_unknown()),
            Stillness::Moved(entry) if self.is_confirmed(&entry)? => Ok(Evidence::Label),
            Stillness::Moved(entry) => {
                let reason = match entry.at > self.event.at {
                    true => AnswerReason::HeadMovedAfter,
                    false => AnswerReason::HeadMovedBefore,
                };
                Err(self.refuse(reason, moved(Some(&entry))))
            }
        }
    }

    /// Nobody can see when the head last moved, and nobody approved it; or it cannot be seen who did.
    fn movement_unknown(&self) -> Stop {
        let mut found = Found::default();
        if self.has_unread_reviews() {
            let why =
                "This pull request has more reviews than are read, so no approval counts here.";
            found.detail = Some(why.to_owned());
        }
        self.refuse(AnswerReason::MovementUnknown, found)
    }

    /// The delivery told another head than today's.
    fn other_head(&self, pull: &github::PullRequest, told: &str) -> Stop {
        if let Err(stop) = self.is_the_told_one() {
            return stop;
        }
        if let Err(stop) = occurrence::is_up_to_date(self.request, pull) {
            return stop;
        }
        match self.movements() {
            Ok(list) => {
                let newest = list.entries.first().filter(|entry| entry.after != told);
                self.refuse(AnswerReason::HeadMovedAfter, moved(newest))
            }
            Err(stop) => stop,
        }
    }

    /// The movements of the head branch: what the connection may see, else what everybody may.
    fn movements(&self) -> Go<&'a MovementList> {
        let pull = self.pull()?;
        let Some(repo) = &pull.head.repo else {
            return Err(self.refuse(AnswerReason::ForkDeleted, Found::default()));
        };
        let of = (repo.id, pull.head.branch.clone());
        let about = |seen: &'a Option<Seen>| seen.as_ref().filter(|seen| seen.of == of);
        let Some(seen) = about(&self.facts.movements) else {
            let (repository, branch) = of;
            return Err(Stop::Ask(Question::Movements { repository, branch }));
        };
        if movement::is_usable(&seen.list, &pull.head.sha) {
            return Ok(&seen.list);
        }
        match about(&self.facts.anonymous) {
            Some(seen) => Ok(&seen.list),
            None => {
                let (repository, branch) = of;
                Err(Stop::Ask(Question::Anonymous { repository, branch }))
            }
        }
    }

    /// The same person was told of this movement, and then asked again.
    fn is_confirmed(&self, entry: &Entry) -> Go<bool> {
        let refusals = self.facts.refusals.as_ref();
        let refusals = refusals.ok_or(Stop::Ask(Question::Refusals))?;
        let actor = self.event.actor.map(|actor| actor.id);
        Ok(refusals.iter().any(|refusal| {
            let reasons = [AnswerReason::HeadMovedBefore, AnswerReason::HeadMovedAfter];
            reasons.contains(&refusal.reason)
                && Some(refusal.user) == actor
                && refusal.given_at < self.event.at
                // In one second a second push could hide.
                && refusal.movement.at.0 < refusal.given_at
                && entry.at <= refusal.movement.at.0
        }))
    }

    /// There are more reviews than were read: whoever approved may have taken that back in one of them.
    pub(super) fn has_unread_reviews(&self) -> bool {
        let reviews = self.facts.reviews.as_ref();
        reviews.is_some_and(|reviews| !reviews.complete)
    }

    /// Somebody trusted, other than the author, approves exactly this head, as the reviews stand now.
    pub(super) fn is_approved(&self, head: &str) -> Go<bool> {
        let pull = self.pull()?;
        let reviews = self.facts.reviews.as_ref();
        let reviews = reviews.ok_or(Stop::Ask(Question::Reviews))?;
        if self.has_unread_reviews() {
            return Ok(false);
        }
        let author = pull.user.as_ref().map(|user| user.id);
        let approvers = people::approvers(&reviews.reviews, head, author);
        if approvers.iter().any(|user| self.trusts(user) == Some(true)) {
            return Ok(true);
        }
        let looked_up = approvers.into_iter().take(MOST_REVIEWERS);
        let unknown = looked_up.filter(|user| self.trusts(user).is_none());
        let unknown: Vec<github::User> = unknown.take(AT_ONCE).cloned().collect();
        match unknown.is_empty() {
            true => Ok(false),
            false => Err(Stop::Ask(Question::Right(unknown))),
        }
    }

    /// The strongest evidence, where a builder asks for more than there is.
    pub(super) fn strongest(
        &self,
        found: Evidence,
        wanted: &Wanted<'_>,
        reach: Option<&Reach<'_>>,
    ) -> Go<Evidence> {
        let most = resolve::evidence_wanted(wanted, reach, self.builders);
        if most <= found || !self.is_approved(&self.pull()?.head.sha)? {
            return Ok(found);
        }
        Ok(Evidence::Review)
    }

    /// GitHub's test merge of exactly this head. None where the bare head is built.
    pub(super) fn merge(&self) -> Go<Option<&'a github::MergeCommit>> {
        if self.spec().checkout == Checkout::Head {
            return Ok(None);
        }
        let merge = self.facts.merge.as_ref();
        let merge = merge.ok_or(Stop::Ask(Question::Merge))?;
        let pull = self.pull()?;
        let head = &pull.head.sha;
        if merge.head_sha == *head && merge.base_ref == pull.base.branch {
            if merge.mergeable == github::Mergeable::Conflicting {
                return Err(self.refuse(
                    AnswerReason::Conflict,
                    Found {
                        subject: Some(bounded(&merge.base_ref, 300)),
                        ..Found::default()
                    },
                ));
            }
            let fresh = merge
                .commit
                .as_ref()
                .filter(|commit| commit.parents.len() == 2 && commit.parents[1] == *head)
                .filter(|_| merge.mergeable == github::Mergeable::Mergeable);
            if fresh.is_some() {
                return Ok(fresh);
            }
        }
        match self.facts.merge_asked < MOST_ASKED {
            true => Err(Stop::Ask(Question::MergeAgain)),
            false => Err(Stop::Retry("GitHub has no test merge of this head yet")),
        }
    }

    fn quiet_since(&self) -> Timestamp {
        // The schema says at least 10; an object from before it must not open the window.
        let quiet = self.spec().guards.quiet_period_seconds.max(10);
        self.event
            .at
            .saturating_sub(SignedDuration::from_secs(quiet))
            .unwrap_or(Timestamp::MIN)
    }
}
