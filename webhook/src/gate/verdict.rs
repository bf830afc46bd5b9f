//! The verdict: a pure function of the request, the builders and what is known. It either decides
//! or asks for the one fact that it turns on. Cheap and personal reasons come first, so that nobody
//! is told about conflicts who may not build at all.

use std::sync::Arc;

use crds::{
    AnswerReason, AnswerSpec, Builder, Checkout, Evidence, Facts as Found, LabelRule, Manner,
    Movement, Permission, Person, RepositoryRef, Trigger, TriggerKind,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::facts::{Entry, Facts, MovementList, Question, Seen};
use super::movement::{self, Stillness, Window};
use super::people::{self, Right};
use super::{Authorized, Refused, Verdict};
use crate::command::Words;
use crate::request::{Ask, Request};
use crate::resolve::{self, Choice};

/// Events older than this build nothing.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);
/// How long the sweep leaves an event to its delivery.
const FRESH: SignedDuration = SignedDuration::from_secs(15);
/// Times that something is asked for which GitHub is still computing.
const MOST_ASKED: u32 = 8;
/// Reviewers whose rights are looked up.
const MOST_REVIEWERS: usize = 20;

/// A verdict, or what it turns on.
#[derive(Debug)]
pub(crate) enum Step {
    Decided(Verdict),
    Ask(Question),
}

/// Judges what is known.
pub(crate) fn judge(request: &Request, builders: &[Arc<Builder>], facts: &Facts) -> Step {
    match Case::open(request, builders, facts).and_then(|case| case.decide()) {
        Ok(authorized) => Step::Decided(Verdict::Authorized(Box::new(authorized))),
        Err(Stop::Ask(question)) => Step::Ask(question),
        Err(Stop::Nothing(why)) => Step::Decided(Verdict::Nothing(why)),
        Err(Stop::Retry(why)) => Step::Decided(Verdict::Retry(why.to_owned())),
        Err(Stop::Refuse(refused)) => Step::Decided(Verdict::Refused(refused)),
    }
}

/// Why a request does not go on.
enum Stop {
    Ask(Question),
    Nothing(&'static str),
    Retry(&'static str),
    Refuse(Box<Refused>),
}

type Go<T> = Result<T, Stop>;

/// The event on GitHub, of whichever kind.
struct Occurrence<'a> {
    id: i64,
    at: Timestamp,
    actor: Option<&'a github::User>,
    app: Option<&'a github::AppRef>,
}

/// A request whose event was found.
struct Case<'a> {
    request: &'a Request,
    builders: &'a [Arc<Builder>],
    facts: &'a Facts,
    pull: &'a github::PullRequest,
    event: Occurrence<'a>,
    now: Timestamp,
}

impl<'a> Case<'a> {
    fn open(request: &'a Request, builders: &'a [Arc<Builder>], facts: &'a Facts) -> Go<Self> {
        let pull = facts.pull.as_ref().ok_or(Stop::Ask(Question::Pull))?;
        let event = match &request.ask {
            Ask::Label { label, .. } => labelled(label, pull, facts)?,
            Ask::Command { comment, .. } => commented(request, *comment, facts)?,
        };
        Ok(Self {
            request,
            builders,
            facts,
            pull,
            now: facts.now.unwrap_or(event.at),
            event,
        })
    }

    fn decide(self) -> Go<Authorized> {
        self.is_new()?;
        self.is_told_by_its_actor()?;
        let right = self.person()?;
        self.pull_request()?;
        let evidence = self.head(right)?;
        let (rules, flavour) = self.rules(right);
        let evidence = self.strongest(evidence, &rules)?;
        let selection = resolve::select(
            &Choice {
                rules,
                base: &self.pull.base.branch,
                evidence,
                right: right.level().unwrap_or(Permission::Triage),
                prefix: &self.spec().commands.prefix,
            },
            self.builders,
        );
        if selection.builders.is_empty() {
            let reasons = selection.left_out.iter();
            let reasons = reasons.map(|left| format!("`{}`: {}", left.builder, left.reason));
            return Err(self.refuse(
                AnswerReason::NoBuilder,
                Found {
                    detail: Some(bounded(&reasons.collect::<Vec<_>>().join("\n"), 1000)),
                    ..Found::default()
                },
            ));
        }
        let merge = self.merge()?;
        let trigger = self.trigger(evidence);
        Ok(Authorized {
            name: self.name(&trigger),
            request: crds::Request {
                repository: self.repository(),
                number: self.request.number,
                head_sha: self.pull.head.sha.clone(),
                merge_sha: merge.map(|commit| commit.sha.clone()),
                merge_tree: merge.map(|commit| commit.tree.clone()),
                base_sha: merge.and_then(|commit| commit.parents.first().cloned()),
                base_ref: self.pull.base.branch.clone(),
                flavour,
                builders: selection.builders,
                left_out: selection.left_out,
                trigger,
            },
        })
    }

    /// Nobody looked at this event yet, and it is not too old; the sweep leaves new ones to their
    /// delivery, which knows more.
    fn is_new(&self) -> Go<()> {
        let name = self.name(&self.trigger(Evidence::Label));
        match &self.facts.answered {
            Some((of, true)) if *of == name => return Err(Stop::Nothing("answered")),
            Some((of, false)) if *of == name => {}
            _ => return Err(Stop::Ask(Question::Answered(name))),
        }
        let age = self.now.duration_since(self.event.at);
        if age > OLDEST {
            return Err(self.refuse(AnswerReason::TooOld, Found::default()));
        }
        if self.request.told.is_none() && age < FRESH {
            return Err(Stop::Retry("a delivery may still tell of it"));
        }
        Ok(())
    }

    /// A signed delivery that names another person than the API does was not made by GitHub, unless
    /// it is about an earlier event.
    fn is_told_by_its_actor(&self) -> Go<()> {
        let Some(told) = &self.request.told else {
            return Ok(());
        };
        if self.event.actor.map(|actor| actor.id) == Some(told.sender.id) {
            return Ok(());
        }
        self.is_the_told_one()?;
        Err(self.refuse(
            AnswerReason::ActorMismatch,
            Found {
                subject: Some(bounded(&told.sender.login, 300)),
                ..Found::default()
            },
        ))
    }

    /// A delivery that was made before the event is about an earlier one, which is over.
    fn is_the_told_one(&self) -> Go<()> {
        let told = self.request.told.as_ref().and_then(|told| told.updated_at);
        match told {
            Some(updated_at) if updated_at < self.event.at => Err(Stop::Nothing("superseded")),
            _ => Ok(()),
        }
    }

    /// The person may build with this label or command.
    fn person(&self) -> Go<&'a Right> {
        if let Some(app) = self.event.app {
            return Err(self.refuse(
                AnswerReason::ThroughApp,
                Found {
                    subject: Some(bounded(&app.name, 300)),
                    ..Found::default()
                },
            ));
        }
        let minimum = self.minimum();
        let needed = || Found {
            needed: Some(minimum.word().to_owned()),
            ..Found::default()
        };
        // The account is gone, and its rights with it.
        let Some(actor) = self.event.actor else {
            return Err(self.refuse(AnswerReason::Permission, needed()));
        };
        if !actor.is_person() {
            return Err(self.refuse(AnswerReason::Bot, Found::default()));
        }
        if self.is_denied(actor.id) {
            return Err(self.refuse(AnswerReason::Denied, Found::default()));
        }
        let right = self.right(actor)?;
        if !right.covers(minimum) {
            return Err(self.refuse(AnswerReason::Permission, needed()));
        }
        self.team(actor)?;
        Ok(right)
    }

    fn team(&self, actor: &github::User) -> Go<()> {
        let Some(team) = &self.spec().authorization.team else {
            return Ok(());
        };
        let of_actor = self.facts.team.as_ref();
        let of_actor = of_actor.filter(|(login, _)| *login == actor.login);
        match of_actor.map(|(_, member)| *member) {
            Some(true) => Ok(()),
            Some(false) => Err(self.refuse(
                AnswerReason::Team,
                Found {
                    subject: Some(team.clone()),
                    ..Found::default()
                },
            )),
            None => {
                let (organization, slug) = team.split_once('/').unwrap_or_default();
                Err(Stop::Ask(Question::Team {
                    organization: organization.to_owned(),
                    slug: slug.to_owned(),
                    login: actor.login.clone(),
                }))
            }
        }
    }

    /// The pull request can be built at all.
    fn pull_request(&self) -> Go<()> {
        if self.pull.state != "open" {
            return Err(self.refuse(AnswerReason::Closed, Found::default()));
        }
        if self.pull.head.repo.is_none() {
            return Err(self.refuse(AnswerReason::ForkDeleted, Found::default()));
        }
        let base = &self.pull.base.branch;
        if !resolve::branch_fits(&self.spec().guards.base_branches, base) {
            return Err(self.refuse(
                AnswerReason::BaseBranch,
                Found {
                    subject: Some(bounded(base, 300)),
                    ..Found::default()
                },
            ));
        }
        Ok(())
    }

    /// Today's head is the one that the person meant.
    fn head(&self, right: &Right) -> Go<Evidence> {
        match &self.request.ask {
            Ask::Command { command, .. } => match &command.words {
                Words::Run(sha) if *sha == self.pull.head.sha => Ok(Evidence::ExactSha),
                Words::Run(_) | Words::RunWithoutSha => {
                    Err(self.refuse(AnswerReason::WrongSha, Found::default()))
                }
                Words::Unknown => Err(self.refuse(
                    AnswerReason::UnknownCommand,
                    Found {
                        subject: Some(bounded(&command.line, 300)),
                        ..Found::default()
                    },
                )),
            },
            Ask::Label { .. } => self.labelled_head(right),
        }
    }

    fn labelled_head(&self, _right: &Right) -> Go<Evidence> {
        let told = self.request.told.as_ref();
        let sha = told.and_then(|told| told.head_sha.as_ref());
        if let Some(sha) = sha.filter(|sha| **sha != self.pull.head.sha) {
            return Err(self.other_head(sha));
        }
        let window = Window {
            head: &self.pull.head.sha,
            start: self.quiet_since(),
            label: self.event.at,
            told: sha.is_some(),
            pushed_at: self.pull.head.repo.as_ref().and_then(|repo| repo.pushed_at),
        };
        let judged = movement::judge(&window, self.movements()?, |user| self.trusts(user));
        match judged {
            Stillness::Still => Ok(Evidence::Label),
            Stillness::Ask(users) => Err(Stop::Ask(Question::Right(users))),
            _ if self.is_approved()? => Ok(Evidence::Review),
            Stillness::Unknown => Err(self.refuse(AnswerReason::MovementUnknown, Found::default())),
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

    /// The delivery told another head than today's.
    fn other_head(&self, told: &str) -> Stop {
        if let Err(stop) = self.is_the_told_one() {
            return stop;
        }
        let updated_at = self.request.told.as_ref().and_then(|told| told.updated_at);
        if updated_at.is_some_and(|updated_at| self.pull.updated_at < updated_at) {
            return Stop::Retry("GitHub shows the pull request as it was before the label");
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
        let Some(repo) = &self.pull.head.repo else {
            return Err(self.refuse(AnswerReason::ForkDeleted, Found::default()));
        };
        let of = (repo.full_name.clone(), self.pull.head.branch.clone());
        let about = |seen: &'a Option<Seen>| seen.as_ref().filter(|seen| seen.of == of);
        let Some(seen) = about(&self.facts.movements) else {
            let (full_name, branch) = of;
            return Err(Stop::Ask(Question::Movements { full_name, branch }));
        };
        if movement::is_usable(&seen.list, &self.pull.head.sha) {
            return Ok(&seen.list);
        }
        match about(&self.facts.anonymous) {
            Some(seen) => Ok(&seen.list),
            None => {
                let (full_name, branch) = of;
                Err(Stop::Ask(Question::Anonymous { full_name, branch }))
            }
        }
    }

    /// The same person was told of this movement, and then set the label again.
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

    /// Somebody trusted, other than the author, approved exactly this head.
    fn is_approved(&self) -> Go<bool> {
        let reviews = self.facts.reviews.as_ref();
        let reviews = reviews.ok_or(Stop::Ask(Question::Reviews))?;
        let author = self.pull.user.as_ref().map(|user| user.id);
        let mut unknown = Vec::new();
        let approvers = people::approvers(reviews, &self.pull.head.sha, author);
        for approver in approvers.into_iter().take(MOST_REVIEWERS) {
            match self.trusts(approver) {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => unknown.push(approver.clone()),
            }
        }
        match unknown.is_empty() {
            true => Ok(false),
            false => Err(Stop::Ask(Question::Right(unknown))),
        }
    }

    /// The strongest evidence, where a builder asks for more than there is.
    fn strongest(&self, found: Evidence, rules: &[&LabelRule]) -> Go<Evidence> {
        if resolve::evidence_wanted(rules, self.builders) <= found || !self.is_approved()? {
            return Ok(found);
        }
        Ok(Evidence::Review)
    }

    /// The rules that select, and what people call it.
    fn rules(&self, right: &Right) -> (Vec<&'a LabelRule>, String) {
        match &self.request.ask {
            Ask::Label { rule, .. } => (vec![rule], rule.flavour.clone()),
            Ask::Command { .. } => {
                let rules = self.spec().labels.iter();
                let allowed = rules.filter(|rule| rule.minimum.is_none_or(|m| right.covers(m)));
                (allowed.collect(), "custom".to_owned())
            }
        }
    }

    /// GitHub's test merge of exactly this head. None where the bare head is built.
    fn merge(&self) -> Go<Option<&'a github::MergeCommit>> {
        if self.spec().checkout == Checkout::Head {
            return Ok(None);
        }
        let merge = self.facts.merge.as_ref();
        let merge = merge.ok_or(Stop::Ask(Question::Merge))?;
        let head = &self.pull.head.sha;
        if merge.head_sha == *head && merge.base_ref == self.pull.base.branch {
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

    fn spec(&self) -> &'a crds::RepositorySpec {
        &self.request.repository.spec
    }

    fn minimum(&self) -> Permission {
        let general = self.spec().authorization.minimum;
        match &self.request.ask {
            Ask::Label { rule, .. } => rule.minimum.unwrap_or(general),
            Ask::Command { .. } => general,
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

    fn is_denied(&self, user: i64) -> bool {
        self.spec().authorization.denied_user_ids.contains(&user)
    }

    fn right(&self, user: &github::User) -> Go<&'a Right> {
        self.facts
            .rights
            .get(&user.id)
            .ok_or_else(|| Stop::Ask(Question::Right(vec![user.clone()])))
    }

    /// Whether somebody may push here. None where that is not known yet.
    fn trusts(&self, user: &github::User) -> Option<bool> {
        if self.is_denied(user.id) {
            return Some(false);
        }
        let right = self.facts.rights.get(&user.id)?;
        Some(right.covers(Permission::Write))
    }

    fn repository(&self) -> RepositoryRef {
        RepositoryRef {
            name: self.request.repository_name().to_owned(),
            id: self.request.repository_id,
            full_name: self.request.full_name(),
        }
    }

    fn name(&self, trigger: &Trigger) -> String {
        crds::names::event_name(self.request.repository_name(), self.request.number, trigger)
    }

    fn trigger(&self, evidence: Evidence) -> Trigger {
        let (kind, label, command) = match &self.request.ask {
            Ask::Label { label, .. } => (TriggerKind::Label, Some(bounded(label, 200)), None),
            Ask::Command { command, .. } => {
                (TriggerKind::Comment, None, Some(command.line.clone()))
            }
        };
        let actor = self.event.actor;
        let right = actor.and_then(|actor| self.facts.rights.get(&actor.id));
        Trigger {
            kind,
            event_id: self.event.id,
            time: Time(self.event.at),
            label,
            command,
            user: actor.map_or_else(ghost, person),
            permission: right.map_or_else(|| "unknown".to_owned(), Right::word),
            evidence,
        }
    }

    fn refuse(&self, reason: AnswerReason, facts: Found) -> Stop {
        let trigger = self.trigger(Evidence::Label);
        Stop::Refuse(Box::new(Refused {
            name: self.name(&trigger),
            spec: AnswerSpec {
                repository: self.repository(),
                number: self.request.number,
                trigger,
                reason,
                manner: manner(reason, &self.request.ask),
                facts,
            },
        }))
    }
}

/// The newest event of the label, while the label is on.
fn labelled<'a>(label: &str, pull: &github::PullRequest, facts: &'a Facts) -> Go<Occurrence<'a>> {
    if !pull
        .labels
        .iter()
        .any(|on| github::same_label(&on.name, label))
    {
        return Err(Stop::Nothing("label_gone"));
    }
    let events = facts.events.as_ref().ok_or(Stop::Ask(Question::Events))?;
    let newest = events
        .events
        .iter()
        .filter(|event| matches!(event.event.as_str(), "labeled" | "unlabeled"))
        .filter(|event| {
            let name = event.label.as_ref().map(|label| label.name.as_str());
            name.is_some_and(|name| github::same_label(name, label))
        })
        .max_by_key(|event| (event.created_at, event.id));
    match newest.filter(|event| event.event == "labeled") {
        Some(event) => Ok(Occurrence {
            id: event.id,
            at: event.created_at,
            actor: event.actor.as_ref(),
            app: event.performed_via_github_app.as_ref(),
        }),
        // The label is on, so its event must be there; the timeline lags behind.
        None if facts.events_asked < MOST_ASKED => Err(Stop::Ask(Question::EventsAgain)),
        None => Err(Stop::Retry("the label event is not in the timeline")),
    }
}

/// The comment, as long as it says what the delivery said.
fn commented<'a>(request: &Request, id: i64, facts: &'a Facts) -> Go<Occurrence<'a>> {
    let comment = facts.comment.as_ref().ok_or(Stop::Ask(Question::Comment))?;
    let prefix = &request.repository.spec.commands.prefix;
    let Ask::Command { command, .. } = &request.ask else {
        return Err(Stop::Nothing("no_command"));
    };
    let same = crate::command::find(&comment.body, prefix).as_ref() == Some(command);
    let edited = comment.updated_at != comment.created_at;
    if comment.number != Some(request.number) || comment.id != id || edited || !same {
        return Err(Stop::Nothing("comment_changed"));
    }
    Ok(Occurrence {
        id,
        at: comment.created_at,
        actor: comment.user.as_ref(),
        app: comment.through.as_ref(),
    })
}

/// How a refusal is answered: strangers' commands with a reaction, what concerns nobody present not
/// at all, everything else with a sentence.
fn manner(reason: AnswerReason, ask: &Ask) -> Manner {
    use AnswerReason as R;
    match (reason, ask) {
        (R::TooOld | R::ActorMismatch, _) => Manner::Silent,
        (R::Bot | R::ThroughApp, Ask::Command { .. }) => Manner::Silent,
        (R::Permission | R::Denied | R::Team, Ask::Command { .. }) => Manner::Reaction,
        _ => Manner::Comment,
    }
}

fn moved(entry: Option<&Entry>) -> Found {
    Found {
        movement: entry.map(|entry| Movement {
            by: entry.by.as_ref().map(person),
            at: Time(entry.at),
        }),
        ..Found::default()
    }
}

fn person(user: &github::User) -> Person {
    Person {
        id: user.id,
        login: bounded(&user.login, 64),
    }
}

/// How GitHub shows an account that is gone.
fn ghost() -> Person {
    Person {
        id: 0,
        login: "ghost".to_owned(),
    }
}

fn bounded(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
