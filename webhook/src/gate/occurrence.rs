//! Finding the event on GitHub that a request is about.

use jiff::Timestamp;

use super::facts::{Facts, Question};
use super::verdict::{Go, MOST_ASKED, Stop};
use crate::request::{Ask, Request};

/// Why nothing is done where GitHub shows the pull request without the label.
pub const LABEL_GONE: &str = "label_gone";

/// Why nothing is done where GitHub shows no such comment.
pub const COMMENT_GONE: &str = "comment_gone";

/// The event on GitHub, of whichever kind.
pub(super) struct Occurrence<'a> {
    pub id: i64,
    pub at: Timestamp,
    pub actor: Option<&'a github::User>,
    pub app: Option<&'a github::AppRef>,
}

/// The newest event of the label, while the label is on.
pub(super) fn labelled<'a>(request: &Request, label: &str, facts: &'a Facts) -> Go<Occurrence<'a>> {
    let pull = facts.pull()?;
    let mut labels = pull.labels.iter();
    if !labels.any(|on| github::same_label(&on.name, label)) {
        is_up_to_date(request, pull)?;
        return Err(Stop::Nothing(LABEL_GONE));
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

/// The pull request is not shown as it was before the delivery.
pub(super) fn is_up_to_date(request: &Request, pull: &github::PullRequest) -> Go<()> {
    let updated_at = request.told.as_ref().and_then(|told| told.updated_at);
    match updated_at.is_some_and(|updated_at| pull.updated_at < updated_at) {
        true => Err(Stop::Retry(
            "GitHub shows the pull request as it was before the label",
        )),
        false => Ok(()),
    }
}

/// Each time that the label was set.
pub(super) fn labellings<'a>(
    label: &'a str,
    events: &'a github::LabelEvents,
) -> impl Iterator<Item = &'a github::IssueEvent> {
    events.events.iter().filter(move |event| {
        let name = event.label.as_ref().map(|label| label.name.as_str());
        event.event == "labeled" && name.is_some_and(|name| github::same_label(name, label))
    })
}

/// The press of a button, of which nothing but its delivery tells. What it can do is bounded by that: it
/// repeats or stops a build that there is, and only for somebody who may do that by a command. Whether
/// an App pressed for them is not told.
pub(super) fn pressed<'a>(request: &'a Request, id: i64, facts: &Facts) -> Go<Occurrence<'a>> {
    let told = request.told.as_ref();
    let told = told.ok_or(Stop::Nothing("not_told"))?;
    let at = match (told.at, facts.now) {
        (Some(at), _) | (None, Some(at)) => at,
        (None, None) => return Err(facts.pull().err().unwrap_or(Stop::Ask(Question::Pull))),
    };
    Ok(Occurrence {
        id,
        at,
        actor: Some(&told.sender),
        app: None,
    })
}

/// The comment, as long as it says what the delivery said.
pub(super) fn commented<'a>(request: &Request, id: i64, facts: &'a Facts) -> Go<Occurrence<'a>> {
    if facts.comment_gone {
        return Err(Stop::Nothing(COMMENT_GONE));
    }
    let heard = facts.comment.as_ref().ok_or(Stop::Ask(Question::Comment))?;
    let (comment, said) = (&heard.comment, &heard.said);
    let Ask::Command { command, .. } = &request.ask else {
        return Err(Stop::Nothing("no_command"));
    };
    let same = said.get(usize::from(command.ordinal)) == Some(command);
    let edited = comment.updated_at != comment.created_at;
    if comment.number != Some(request.number) || comment.id != id || edited || !same {
        return Err(Stop::Nothing("comment_changed"));
    }
    Ok(Occurrence {
        id: crds::names::command_event(id, command.ordinal),
        at: comment.created_at,
        actor: comment.user.as_ref(),
        app: comment.through.as_ref(),
    })
}
