//! What an event is called, and what is kept of a refusal. Never a SHA: an answer must not teach which
//! commit to approve.

use crds::{
    AnswerReason, AnswerSpec, Evidence, Facts as Found, Manner, Movement, Person, RepositoryRef,
    Trigger, TriggerKind,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Refused;
use super::facts::Entry;
use super::people::Right;
use super::verdict::{Case, Stop};
use crate::request::Ask;

impl Case<'_> {
    pub(super) fn repository(&self) -> RepositoryRef {
        RepositoryRef {
            name: self.request.repository_name().to_owned(),
            id: self.request.repository_id,
            full_name: self.request.full_name(),
        }
    }

    pub(super) fn name(&self, trigger: &Trigger) -> String {
        crds::names::event_name(self.request.repository_name(), self.request.number, trigger)
    }

    pub(super) fn trigger(&self, evidence: Evidence) -> Trigger {
        let (kind, label, command) = match &self.request.ask {
            Ask::Label { label, .. } => (TriggerKind::Label, Some(bounded(label, 200)), None),
            Ask::Command { command, .. } => {
                (TriggerKind::Comment, None, Some(command.line.clone()))
            }
            Ask::Button(press) => (TriggerKind::Button, None, Some(press.as_command())),
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

    pub(super) fn refuse(&self, reason: AnswerReason, facts: Found) -> Stop {
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

/// How a refusal is answered: strangers' commands with a reaction, what concerns nobody present and
/// strangers' buttons not at all, everything else with a sentence.
fn manner(reason: AnswerReason, ask: &Ask) -> Manner {
    use AnswerReason as R;
    match (reason, ask) {
        (R::TooOld | R::ActorMismatch, _) => Manner::Silent,
        (R::Bot | R::ThroughApp, Ask::Command { .. }) => Manner::Silent,
        (R::Permission | R::Denied | R::Team, Ask::Command { .. }) => Manner::Reaction,
        // There is nothing to react to; and what was cancelled shows where the button was.
        (R::Bot | R::Permission | R::Denied | R::Team | R::Cancelled, Ask::Button(_)) => {
            Manner::Silent
        }
        _ => Manner::Comment,
    }
}

pub(super) fn moved(entry: Option<&Entry>) -> Found {
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

pub(super) fn bounded(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
