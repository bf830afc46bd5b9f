//! The verdict: a pure function of the request, the builders and what is known. It either decides
//! or asks for the one fact that it turns on. Cheap and personal reasons come first, so that nobody
//! is told about conflicts who may not build at all, and strangers' commands cost next to nothing.

use std::sync::Arc;

use crds::{AnswerReason, Builder, Evidence, Facts as Found, Permission};
use jiff::{SignedDuration, Timestamp};

use super::facts::{Facts, Question};
use super::occurrence::{self, Occurrence};
use super::people::Right;
use super::refusal::bounded;
use super::{Authorized, Refused, Stopping, Verdict};
use crate::command::Says;
use crate::event::Button;
use crate::request::{Ask, Request, Told};
use crate::resolve;

/// Why nothing is done where an Answer stands for the event.
pub const ANSWERED: &str = "answered";
/// Events older than this build nothing.
pub(super) const OLDEST: SignedDuration = SignedDuration::from_hours(24);
/// How long the sweep leaves an event to its delivery.
const FRESH: SignedDuration = SignedDuration::from_secs(15);
/// Times that something is asked for which GitHub is still computing.
pub(super) const MOST_ASKED: u32 = 8;

/// A verdict, or what it turns on.
#[derive(Debug)]
pub(crate) enum Step {
    Decided(Verdict),
    Ask(Question),
}

/// Judges what is known.
pub(crate) fn judge(request: &Request, builders: &[Arc<Builder>], facts: &Facts) -> Step {
    match Case::open(request, builders, facts).and_then(|case| case.decide()) {
        Ok(Granted::Build(authorized)) => Step::Decided(Verdict::Authorized(Box::new(authorized))),
        Ok(Granted::Stop(stopping)) => Step::Decided(Verdict::Stop(Box::new(stopping))),
        Err(Stop::Ask(question)) => Step::Ask(question),
        Err(Stop::Nothing(why)) => Step::Decided(Verdict::Nothing(why)),
        Err(Stop::Retry(why)) => Step::Decided(Verdict::Retry(why.to_owned())),
        Err(Stop::Refuse(refused)) => Step::Decided(Verdict::Refused(refused)),
    }
}

/// Why a request does not go on.
pub(super) enum Stop {
    Ask(Question),
    Nothing(&'static str),
    Retry(&'static str),
    Refuse(Box<Refused>),
}

/// What a person gets.
enum Granted {
    Build(Authorized),
    Stop(Stopping),
}

pub(super) type Go<T> = Result<T, Stop>;

/// A request whose event was found.
pub(super) struct Case<'a> {
    pub request: &'a Request,
    pub builders: &'a [Arc<Builder>],
    pub facts: &'a Facts,
    pub event: Occurrence<'a>,
    pub now: Timestamp,
}

impl<'a> Case<'a> {
    fn open(request: &'a Request, builders: &'a [Arc<Builder>], facts: &'a Facts) -> Go<Self> {
        facts.are_of(request.repository_id)?;
        let event = match &request.ask {
            Ask::Label { label, .. } => occurrence::labelled(request, label, facts)?,
            Ask::Command { comment, .. } => occurrence::commented(request, *comment, facts)?,
            Ask::Button(press) => occurrence::pressed(request, press.id, facts)?,
        };
        Ok(Self {
            request,
            builders,
            facts,
            now: facts.now.unwrap_or(event.at),
            event,
        })
    }

    fn decide(self) -> Go<Granted> {
        self.is_new()?;
        self.is_told_by_its_actor()?;
        let right = self.person()?;
        match &self.request.ask {
            Ask::Label { rule, .. } => self.label(rule, right).map(Granted::Build),
            Ask::Command { command, .. } => self.command(&command.says, right),
            Ask::Button(press) if press.button == Button::Cancel => {
                self.cancel_pressed(press, right).map(Granted::Stop)
            }
            Ask::Button(press) => {
                self.is_open_for_builds()?;
                self.press(press, right).map(Granted::Build)
            }
        }
    }

    /// Stopping, asking and mistakes need no pull request that could be built.
    fn command(&self, says: &Says, right: &Right) -> Go<Granted> {
        if self.request.told.is_none() {
            // A delivery says by its id which repository it is about; what the sweep finds, its pull request.
            self.pull()?;
        }
        match says {
            Says::Help => Err(self.refuse(AnswerReason::Help, Found::default())),
            Says::Status => Err(self.refuse(AnswerReason::Status, Found::default())),
            Says::Unknown(meant) => Err(self.unknown_command(meant.as_deref())),
            Says::OneTooMany => Err(self.one_command_too_many()),
            Says::Cancel(words) => self.cancel(words, right).map(Granted::Stop),
            Says::Run { sha, what } => self.run(sha.as_deref(), what, right).map(Granted::Build),
            Says::Pattern(pattern) => self.pattern(pattern, right).map(Granted::Build),
            Says::RerunFailed => {
                self.is_open_for_builds()?;
                self.rerun_failed(right).map(Granted::Build)
            }
            Says::Rerun(words) => {
                self.is_open_for_builds()?;
                self.rerun(words, right).map(Granted::Build)
            }
        }
    }

    /// Nobody looked at this event yet, and it is not too old; the sweep leaves new ones to their
    /// delivery, which knows more.
    fn is_new(&self) -> Go<()> {
        let name = self.name(&self.trigger(Evidence::Label));
        match &self.facts.answered {
            Some((of, true)) if *of == name => return Err(Stop::Nothing(ANSWERED)),
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
    /// it is about another event.
    fn is_told_by_its_actor(&self) -> Go<()> {
        let Some(told) = &self.request.told else {
            return Ok(());
        };
        if self.event.actor.map(|actor| actor.id) == Some(told.sender.id) {
            return Ok(());
        }
        self.is_the_told_one()?;
        self.is_told_of_no_other_label(told)?;
        Err(self.refuse(
            AnswerReason::ActorMismatch,
            Found {
                subject: Some(bounded(&told.sender.login, 300)),
                ..Found::default()
            },
        ))
    }

    /// Labels are set, taken off and set again by several people, within a second, too. GitHub may have
    /// made the delivery about another time than the newest that it shows: about a later one that is not in
    /// the timeline yet, or about an earlier one, and a while after it.
    fn is_told_of_no_other_label(&self, told: &Told) -> Go<()> {
        let (Ask::Label { label, .. }, Some(events)) = (&self.request.ask, &self.facts.events)
        else {
            return Ok(());
        };
        let is_later = told.updated_at.is_some_and(|at| at > self.event.at);
        if is_later && self.facts.events_asked < MOST_ASKED {
            return Err(Stop::Ask(Question::EventsAgain));
        }
        let sender = Some(told.sender.id);
        match occurrence::labellings(label, events)
            .any(|event| event.actor.as_ref().map(|actor| actor.id) == sender)
        {
            true => Err(Stop::Nothing("superseded")),
            false => Ok(()),
        }
    }

    /// A delivery that was made before the event is about an earlier one, which is over.
    pub(super) fn is_the_told_one(&self) -> Go<()> {
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
        if !right.covers(minimum) && !self.stops_own(right)? {
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

    /// Builds are taken in, and the pull request can be built at all.
    pub(super) fn is_open_for_builds(&self) -> Go<()> {
        if self.spec().paused {
            return Err(self.refuse(AnswerReason::Paused, Found::default()));
        }
        let pull = self.pull()?;
        // What is refused is refused for good, and GitHub's API may lag behind what it told.
        self.can_be_built(pull).map_err(|refused| {
            occurrence::is_up_to_date(self.request, pull)
                .err()
                .unwrap_or(refused)
        })
    }

    fn can_be_built(&self, pull: &github::PullRequest) -> Go<()> {
        if pull.state != "open" {
            return Err(self.refuse(AnswerReason::Closed, Found::default()));
        }
        if pull.head.repo.is_none() {
            return Err(self.refuse(AnswerReason::ForkDeleted, Found::default()));
        }
        self.is_built_branch(&pull.base.branch)
    }

    pub(super) fn is_built_branch(&self, base: &str) -> Go<()> {
        if resolve::branch_fits(&self.spec().guards.base_branches, base) {
            return Ok(());
        }
        Err(self.refuse(
            AnswerReason::BaseBranch,
            Found {
                subject: Some(bounded(base, 300)),
                ..Found::default()
            },
        ))
    }

    /// The pull request, which commands ask for only when their person may command.
    pub(super) fn pull(&self) -> Go<&'a github::PullRequest> {
        self.facts.pull()
    }

    pub(super) fn spec(&self) -> &'a crds::RepositorySpec {
        &self.request.repository.spec
    }

    fn minimum(&self) -> Permission {
        let general = self.spec().authorization.minimum;
        match &self.request.ask {
            Ask::Label { rule, .. } => rule.minimum.unwrap_or(general),
            Ask::Command { .. } | Ask::Button(_) => general,
        }
    }

    pub(super) fn is_denied(&self, user: i64) -> bool {
        self.spec().authorization.denied_user_ids.contains(&user)
    }

    fn right(&self, user: &github::User) -> Go<&'a Right> {
        self.facts
            .rights
            .get(&user.id)
            .ok_or_else(|| Stop::Ask(Question::Right(vec![user.clone()])))
    }

    /// Whether somebody may push here. None where that is not known yet.
    pub(super) fn trusts(&self, user: &github::User) -> Option<bool> {
        if self.is_denied(user.id) {
            return Some(false);
        }
        let right = self.facts.rights.get(&user.id)?;
        Some(right.covers(Permission::Write))
    }
}
