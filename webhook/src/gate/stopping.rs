//! Stopping builds. Whoever may start builds may stop any; whoever started one through a label that is
//! open to more people may stop that one, for as long as they still have that right.

use std::collections::BTreeSet;

use crds::{AnswerReason, Cancel, Facts as Found, Manner, PrBuild};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::builds::{PRESSED, Target};
use super::facts::Question;
use super::people::Right;
use super::refusal::bounded;
use super::verdict::{Case, Go, Stop};
use super::{Refused, Stopping};
use crate::command::Word;
use crate::request::Press;

impl Case<'_> {
    /// `cancel`, of everything or of builders.
    pub(super) fn cancel(&self, words: &[Word], right: &Right) -> Go<Stopping> {
        let builders = match words {
            [] => BTreeSet::new(),
            words => self.builders_named(words)?,
        };
        let (known, mark) = (self.builds()?, self.mark());
        let targets = known.targets(&builders, &mark, |build| self.may_stop(build, right));
        if targets.is_empty() {
            let (subject, detail) = match (builders.is_empty(), known.is_any_live()) {
                (false, _) => (
                    Some(self.shown(&builders)),
                    "It neither waits nor runs for this pull request.",
                ),
                (true, true) => (None, "What runs here is stopping already."),
                (true, false) => (None, "Nothing waits or runs for this pull request."),
            };
            return Err(self.no_build(subject, detail));
        }
        let others = known.beside(&targets);
        let builders = (!builders.is_empty()).then_some(builders);
        self.stopping(targets, &others, mark, builders)
    }

    /// The button that stops one run.
    pub(super) fn cancel_pressed(&self, press: &Press, right: &Right) -> Go<Stopping> {
        let (known, mark) = (self.builds()?, self.mark());
        let build = self.pressed(&known, press)?;
        let builders = BTreeSet::from([press.builder.clone()]);
        let targets = known.targets(&builders, &mark, |other| {
            std::ptr::eq(other, build) && self.may_stop(other, right)
        });
        if targets.is_empty() {
            let shown = self.shown(&builders);
            return Err(self.no_build(Some(shown), "It neither waits nor runs any more."));
        }
        let others = known.beside(&targets);
        self.stopping(targets, &others, mark, Some(builders))
    }

    fn stopping(
        &self,
        targets: Vec<Target>,
        others: &[&PrBuild],
        cancel: Cancel,
        builders: Option<BTreeSet<String>>,
    ) -> Go<Stopping> {
        let (many, one) = match &builders {
            None => (targets.len(), "build is"),
            Some(_) => (
                targets.iter().map(|t| t.builders.len().max(1)).sum(),
                "run is",
            ),
        };
        let mut detail = match many {
            1 => format!("1 {one} stopping."),
            many => format!("{many} {} stopping.", one.replace(" is", "s are")),
        };
        detail.extend(going_on(others));
        let answer = self.refuse(
            AnswerReason::Cancelled,
            Found {
                subject: builders.map(|builders| self.shown(&builders)),
                detail: Some(detail),
                ..Found::default()
            },
        );
        match answer {
            Stop::Refuse(mut answer) => {
                // Where the button was, a run of another build shows now.
                if !others.is_empty() {
                    answer.spec.manner = Manner::Comment;
                }
                Ok(Stopping {
                    targets,
                    cancel,
                    answer: *answer,
                })
            }
            other => Err(other),
        }
    }

    /// What is written into a build. It is the same when the event is looked at again, and another for
    /// another command of the same second.
    fn mark(&self) -> Cancel {
        let trigger = self.trigger(crds::Evidence::Label);
        let by = match trigger.user.login.is_empty() {
            true => "somebody".to_owned(),
            false => bounded(&trigger.user.login, 100),
        };
        Cancel {
            by,
            reason: match &trigger.command {
                Some(line) if trigger.kind == crds::TriggerKind::Comment => {
                    format!("wrote `{}`", bounded(line, 200))
                }
                _ => PRESSED.to_owned(),
            },
            at: Time(self.event.at),
            waiting_only: false,
        }
    }

    fn may_stop(&self, build: &PrBuild, right: &Right) -> bool {
        right.covers(self.spec().authorization.minimum) || self.is_own(build, right)
    }

    /// The person asked for this build, by a label that they still may set.
    fn is_own(&self, build: &PrBuild, right: &Right) -> bool {
        let trigger = &build.spec.request.trigger;
        let asked = self.event.actor.map(|actor| actor.id) == Some(trigger.user.id);
        asked
            && trigger.label.as_ref().is_some_and(|label| {
                let rule = crate::request::rule_of(&self.request.repository, label);
                rule.and_then(|rule| rule.minimum)
                    .is_some_and(|minimum| right.covers(minimum))
            })
    }

    /// Whether somebody who may not start builds by commands may stop one of their own.
    pub(super) fn stops_own(&self, right: &Right) -> Go<bool> {
        if !self.request.ask.stops() || right.level().is_none() {
            return Ok(false);
        }
        let builds = self.facts.builds.as_ref();
        let builds = builds.ok_or(Stop::Ask(Question::Builds))?;
        Ok(builds.iter().any(|build| self.is_own(build, right)))
    }
}

/// That not all stops which the person may have meant. A run of another build that waited for the one
/// that is stopping runs by itself now.
fn going_on(others: &[&PrBuild]) -> Option<String> {
    let [first, more @ ..] = others else {
        return None;
    };
    let first = format!("`{}`", first.name_any());
    Some(match more {
        [] => format!(" Build {first} asked for the same and runs it by itself now."),
        more => format!(
            " Build {first} and {} more asked for the same and run it by themselves now.",
            more.len()
        ),
    })
}

impl Stopping {
    /// The answer that says so.
    pub fn answer(&self) -> &Refused {
        &self.answer
    }

    /// What stops, how it is written, and what stands for it.
    pub fn into_parts(self) -> (Vec<(String, Vec<String>)>, Cancel, Refused) {
        let targets = self.targets.into_iter();
        let targets = targets.map(|target| (target.build, target.builders));
        (targets.collect(), self.cancel, self.answer)
    }
}
