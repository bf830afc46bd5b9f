//! What happened to a pull request that its builds may stop for: a push, its end, another base, a
//! conversion to a draft.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::wire::Repository;
use super::{Event, Ignored, What, action, labeled, parsed};

/// A pull request was pushed to, closed, sent to another branch or turned into a draft.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// Its number.
    pub number: i64,
    /// When it changed.
    pub updated_at: Timestamp,
    /// Its head before the push.
    pub before: Option<String>,
}

#[derive(Deserialize)]
struct Edited {
    #[serde(default)]
    changes: Option<Changes>,
}

#[derive(Deserialize)]
struct Changes {
    #[serde(default)]
    base: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Body {
    number: i64,
    pull_request: Pull,
    #[serde(default)]
    before: Option<String>,
    repository: Repository,
    sender: github::User,
}

#[derive(Deserialize)]
struct Pull {
    updated_at: Timestamp,
}

/// A delivery about a pull request.
pub(super) fn pull_request(body: &[u8]) -> Result<Event, Ignored> {
    match action(body)?.as_str() {
        "labeled" => labeled(body),
        "synchronize" | "closed" | "converted_to_draft" => changed(body),
        "edited" if is_retargeted(body)? => changed(body),
        _ => Err(Ignored::Action),
    }
}

fn is_retargeted(body: &[u8]) -> Result<bool, Ignored> {
    let changes = parsed::<Edited>(body)?.changes;
    Ok(changes.is_some_and(|changes| changes.base.is_some()))
}

fn changed(body: &[u8]) -> Result<Event, Ignored> {
    let body: Body = parsed(body)?;
    Ok(Event {
        repository: body.repository.id,
        full_name: body.repository.full_name,
        number: Some(body.number),
        sender: body.sender,
        what: What::Changed(Changed {
            number: body.number,
            updated_at: body.pull_request.updated_at,
            before: body.before,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::read;
    use crate::signature::tests::verified;

    const PUSHED: &str = r#"{"action":"synchronize","number":7,"before":"abc","after":"def",
        "pull_request":{"number":7,"updated_at":"2026-01-01T00:00:00Z"},
        "repository":{"id":1,"full_name":"o/r"},"sender":{"id":2,"login":"core","type":"User"}}"#;

    #[test]
    fn what_builds_may_stop_for_is_read_and_the_rest_ignored() {
        for action in ["synchronize", "closed", "converted_to_draft"] {
            let body = PUSHED.replace("synchronize", action);
            let event = read(&verified("pull_request", &body)).expect("an event");
            let What::Changed(changed) = event.what else {
                panic!("{action}")
            };
            assert_eq!(
                (changed.number, changed.before.as_deref()),
                (7, Some("abc"))
            );
        }
        let edited = |changes: &str| {
            let action = format!(r#"edited","changes":{{{changes}}},"x":""#);
            read(&verified(
                "pull_request",
                &PUSHED.replace("synchronize", &action),
            ))
        };
        let base = edited(r#""base":{"ref":{"from":"main"}}"#).expect("an event");
        assert!(matches!(base.what, What::Changed(_)));
        assert_eq!(edited(r#""title":{"from":"x"}"#), Err(Ignored::Action));
        for action in [
            "opened",
            "unlabeled",
            "reopened",
            "ready_for_review",
            "labeled2",
        ] {
            let body = PUSHED.replace("synchronize", action);
            let found = read(&verified("pull_request", &body));
            assert_eq!(found, Err(Ignored::Action), "{action}");
        }
    }
}
