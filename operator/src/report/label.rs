//! Taking the label off, after one last look at the timeline.
//!
//! The label is the queue: as long as it is there, somebody has asked for something. If it was added
//! again meanwhile, it stays for the gate.
//!
//! The look comes by GraphQL, together with what else has to be known. That does not tell events'
//! numbers, so it only proves the ordinary case: the newest labelling is the one that asked, by time
//! and person. In any other case the events themselves are read, by REST.

use crds::Trigger;
use github::{Conversation, IssueEvent, Repo, same_label};

use super::talk::{TalkError, while_doing};

/// What became of the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelOutcome {
    /// It is off the pull request.
    Removed,
    /// It stays: this newer event has no object yet.
    LeftFor(i64),
}

impl LabelOutcome {
    /// Reason and message for the condition `LabelRemoved`.
    pub fn condition(self, label: &str) -> (&'static str, String) {
        match self {
            Self::Removed => (
                "Removed",
                format!("the label `{label}` is off the pull request"),
            ),
            Self::LeftFor(event) => (
                "AddedAgain",
                format!(
                    "the label `{label}` was added again (event {event}) and stays for that request"
                ),
            ),
        }
    }
}

/// What a look at a pull request tells of the label of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is off.
    Off,
    /// Its newest labelling is the one that asked; the label's id in GraphQL.
    Ours(String),
    /// Another labelling may be newer.
    Unclear,
}

/// Looks for the label that asked for a build.
pub fn look(seen: &Conversation, label: &str, trigger: &Trigger) -> Look {
    let set = seen.labels.iter().find(|set| same_label(&set.name, label));
    let Some(set) = set else {
        // A pull request has at most a hundred labels.
        return Look::Off;
    };
    let same = || {
        let all = seen.labellings.iter();
        all.filter(|one| same_label(&one.label, label))
    };
    let Some(newest) = same().map(|one| one.at).max() else {
        return Look::Unclear;
    };
    let mut last = same().filter(|one| one.at == newest);
    let by = last.next().and_then(|one| one.by.as_ref());
    let asked = by.is_some_and(|by| by.eq_ignore_ascii_case(&trigger.user.login));
    // Two within a second cannot be told apart.
    match last.next().is_none() && newest == trigger.time.0 && asked {
        true => Look::Ours(set.id.clone()),
        false => Look::Unclear,
    }
}

/// Takes a label off a pull request if every labelling that the timeline knows was handled, that is:
/// has an object. A label that is off already is success.
///
/// # Errors
/// A call that GitHub did not take; 403 names the missing permission. Safe to repeat.
pub async fn settle_label(
    repo: &Repo,
    number: i64,
    label: &str,
    handled: impl Fn(i64) -> bool,
) -> Result<LabelOutcome, TalkError> {
    let reading = while_doing("reading the timeline of", repo, number);
    let found = repo.label_events(number).await.map_err(reading)?.value;
    match newest(&found.events, label) {
        Some(event) if !handled(event) => Ok(LabelOutcome::LeftFor(event)),
        // Handled; or so long ago that it is not on the last pages.
        _ => {
            let removing = while_doing("taking the label off", repo, number);
            repo.remove_label(number, label).await.map_err(removing)?;
            Ok(LabelOutcome::Removed)
        }
    }
}

/// The newest event that added this label.
fn newest(events: &[IssueEvent], label: &str) -> Option<i64> {
    let added = events.iter().filter(|event| {
        let named = event
            .label
            .as_ref()
            .is_some_and(|found| same_label(&found.name, label));
        event.event == "labeled" && named
    });
    added.map(|event| event.id).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{Evidence, Person, TriggerKind};
    use github::{Labelling, NamedLabel};
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seen(labels: &[&str], labellings: &[(i64, &str, &str)]) -> Conversation {
        Conversation {
            id: "PR_1".to_owned(),
            labels: labels
                .iter()
                .map(|name| NamedLabel {
                    id: format!("LA_{name}"),
                    name: (*name).to_owned(),
                })
                .collect(),
            labellings: labellings
                .iter()
                .map(|(second, by, label)| Labelling {
                    at: at(*second),
                    by: Some((*by).to_owned()),
                    label: (*label).to_owned(),
                })
                .collect(),
        }
    }

    #[test]
    fn a_label_comes_off_by_a_look_only_when_the_newest_labelling_is_surely_the_one_that_asked() {
        let trigger = Trigger {
            kind: TriggerKind::Label,
            event_id: 1,
            time: Time(at(10)),
            label: Some("test".to_owned()),
            command: None,
            user: Person {
                id: 1,
                login: "ada".to_owned(),
            },
            permission: "write".to_owned(),
            evidence: Evidence::Label,
        };
        let ours = Look::Ours("LA_test".to_owned());
        let table = [
            (seen(&["test"], &[(10, "Ada", "test")]), ours.clone()),
            (
                seen(
                    &["test"],
                    &[(5, "eve", "test"), (10, "ada", "test"), (11, "eve", "docs")],
                ),
                ours,
            ),
            (seen(&["docs"], &[(10, "ada", "test")]), Look::Off),
            (
                seen(&["test"], &[(10, "ada", "test"), (11, "ada", "test")]),
                Look::Unclear,
            ),
            (
                seen(&["test"], &[(10, "ada", "test"), (10, "ada", "test")]),
                Look::Unclear,
            ),
            (seen(&["test"], &[(10, "eve", "test")]), Look::Unclear),
            (seen(&["test"], &[]), Look::Unclear),
        ];
        for (seen, expected) in table {
            assert_eq!(look(&seen, "test", &trigger), expected, "{seen:?}");
        }
    }

    fn event(id: i64, kind: &str, label: &str) -> IssueEvent {
        let json = serde_json::json!({
            "id": id, "event": kind, "actor": null,
            "created_at": "2026-01-01T00:00:00Z", "label": { "name": label },
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_newest_labelling_counts_in_every_spelling() {
        let events = [
            event(1, "labeled", "🔨 test"),
            event(7, "labeled", ":hammer: test"),
            event(8, "unlabeled", ":hammer: test"),
            event(9, "labeled", "docs"),
        ];
        assert_eq!(newest(&events, ":hammer: test"), Some(7));
        assert_eq!(newest(&events, "docs"), Some(9));
        assert_eq!(newest(&events, "other"), None);
    }
}
