//! Taking the label off, after one last look at the timeline.
//!
//! The label is the queue: as long as it is there, somebody has asked for something. If it was added
//! again meanwhile, it stays for the gate.

use github::{IssueEvent, Repo, same_label};

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
