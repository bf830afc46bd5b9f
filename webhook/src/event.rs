//! Verified → what happened, as far as it can concern PrBuild. Small structs of our own: whatever
//! else GitHub sends, in whatever shape, is not looked at.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::signature::Verified;

/// Something that may ask for a build.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Numeric id of the repository.
    pub repository: i64,
    /// Its name, for where the id is not known yet.
    pub full_name: String,
    /// Number of the pull request.
    pub number: i64,
    /// Who did it, as the delivery says.
    pub sender: github::User,
    /// What was done.
    pub what: What,
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A label was added.
    Labeled(Labeled),
    /// A comment was written.
    Commented {
        /// Id of the comment.
        id: i64,
        /// Its text.
        body: String,
    },
}

/// A label was added, and what the pull request looked like then.
#[derive(Clone, Debug, PartialEq)]
pub struct Labeled {
    /// The label as it is spelled on GitHub.
    pub label: String,
    /// The head.
    pub head_sha: String,
    /// When the pull request last changed: now, by the labelling.
    pub updated_at: Timestamp,
    /// Repository and branch of the head; absent when the fork is gone.
    pub head: Option<(String, String)>,
}

/// Why a signed delivery concerns nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// GitHub's test of the hook.
    Ping,
    /// An event that starts nothing.
    Event,
    /// An action that starts nothing, as `unlabeled` or `edited`.
    Action,
    /// A comment on an issue.
    Issue,
    /// A body that is not what its header says.
    Shape,
}

impl Ignored {
    /// A word for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Event => "event",
            Self::Action => "action",
            Self::Issue => "issue",
            Self::Shape => "shape",
        }
    }
}

#[derive(Deserialize)]
struct ActionOnly {
    action: String,
}

#[derive(Deserialize)]
struct Repository {
    id: i64,
    full_name: String,
}

#[derive(Deserialize)]
struct PullRequestBody {
    number: i64,
    label: github::Label,
    pull_request: Pull,
    repository: Repository,
    sender: github::User,
}

#[derive(Deserialize)]
struct Pull {
    number: i64,
    updated_at: Timestamp,
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
    #[serde(rename = "ref")]
    branch: String,
    repo: Option<HeadRepo>,
}

#[derive(Deserialize)]
struct HeadRepo {
    full_name: String,
}

#[derive(Deserialize)]
struct CommentBody {
    issue: Issue,
    comment: Comment,
    repository: Repository,
    sender: github::User,
}

#[derive(Deserialize)]
struct Issue {
    number: i64,
    #[serde(default)]
    pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Comment {
    id: i64,
    #[serde(default)]
    body: Option<String>,
}

/// What a delivery tells. The header is not signed, so the body must have the shape of its event.
///
/// # Errors
/// Why it is ignored; never that it is wrong.
pub fn read(verified: &Verified) -> Result<Event, Ignored> {
    match verified.event() {
        "ping" => Err(Ignored::Ping),
        "pull_request" => labeled(verified.body()),
        "issue_comment" => commented(verified.body()),
        _ => Err(Ignored::Event),
    }
}

fn action(body: &[u8], expected: &str) -> Result<(), Ignored> {
    match serde_json::from_slice::<ActionOnly>(body) {
        Ok(found) if found.action == expected => Ok(()),
        Ok(_) => Err(Ignored::Action),
        Err(_) => Err(Ignored::Shape),
    }
}

fn labeled(body: &[u8]) -> Result<Event, Ignored> {
    action(body, "labeled")?;
    let body: PullRequestBody = serde_json::from_slice(body).map_err(|_| Ignored::Shape)?;
    if body.number != body.pull_request.number {
        return Err(Ignored::Shape);
    }
    let head = body.pull_request.head;
    Ok(Event {
        repository: body.repository.id,
        full_name: body.repository.full_name,
        number: body.number,
        sender: body.sender,
        what: What::Labeled(Labeled {
            label: body.label.name,
            head_sha: head.sha,
            updated_at: body.pull_request.updated_at,
            head: head.repo.map(|repo| (repo.full_name, head.branch)),
        }),
    })
}

fn commented(body: &[u8]) -> Result<Event, Ignored> {
    action(body, "created")?;
    let body: CommentBody = serde_json::from_slice(body).map_err(|_| Ignored::Shape)?;
    if body.issue.pull_request.is_none() {
        return Err(Ignored::Issue);
    }
    Ok(Event {
        repository: body.repository.id,
        full_name: body.repository.full_name,
        number: body.issue.number,
        sender: body.sender,
        what: What::Commented {
            id: body.comment.id,
            body: body.comment.body.unwrap_or_default(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::tests::verified;

    const LABELED: &str = r#"{"action":"labeled","number":7,"label":{"name":"test"},
        "pull_request":{"number":7,"updated_at":"2026-01-01T00:00:00Z",
            "head":{"sha":"abc","ref":"topic","repo":{"full_name":"a/fork"}}},
        "repository":{"id":1,"full_name":"o/r"},"sender":{"id":2,"login":"core","type":"User"}}"#;
    const COMMENT: &str = r#"{"action":"created","issue":{"number":7,"pull_request":{}},
        "comment":{"id":9,"body":"hi"},
        "repository":{"id":1,"full_name":"o/r"},"sender":{"id":2,"login":"core","type":"User"}}"#;

    #[test]
    fn a_label_and_a_comment_are_read() {
        let event = read(&verified("pull_request", LABELED)).expect("an event");
        assert_eq!((event.repository, event.number, event.sender.id), (1, 7, 2));
        let What::Labeled(labeled) = event.what else {
            panic!("not a label")
        };
        assert_eq!(labeled.label, "test");
        assert_eq!(
            labeled.head,
            Some(("a/fork".to_owned(), "topic".to_owned()))
        );

        let event = read(&verified("issue_comment", COMMENT)).expect("an event");
        assert!(matches!(event.what, What::Commented { id: 9, .. }));
    }

    #[test]
    fn s04_a_body_under_another_events_header_is_ignored() {
        for header in [
            "issues",
            "check_run",
            "push",
            "issue_comment",
            "Pull_Request",
            "",
        ] {
            assert!(read(&verified(header, LABELED)).is_err(), "{header}");
        }
        for header in ["pull_request", "issues"] {
            assert!(read(&verified(header, COMMENT)).is_err(), "{header}");
            assert!(read(&verified(header, r#"{"zen":"x","hook_id":1}"#)).is_err());
        }
    }

    #[test]
    fn whatever_else_is_ignored_and_never_an_error() {
        for (event, body, expected) in [
            ("ping", "{}", Ignored::Ping),
            ("star", "{}", Ignored::Event),
            (
                "pull_request",
                r#"{"action":"synchronize"}"#,
                Ignored::Action,
            ),
            ("pull_request", r#"{"action":"labeled"}"#, Ignored::Shape),
            ("pull_request", "[]", Ignored::Shape),
            ("pull_request", "", Ignored::Shape),
            ("pull_request", "\u{0}\u{1}", Ignored::Shape),
            ("issue_comment", r#"{"action":"edited"}"#, Ignored::Action),
        ] {
            assert_eq!(
                read(&verified(event, body)),
                Err(expected),
                "{event} {body}"
            );
        }
        let other = LABELED.replace(
            "\"pull_request\":{\"number\":7",
            "\"pull_request\":{\"number\":8",
        );
        assert_eq!(read(&verified("pull_request", &other)), Err(Ignored::Shape));
        for issue in [r#""number":7"#, r#""number":7,"pull_request":null"#] {
            let body = COMMENT.replace(r#""number":7,"pull_request":{}"#, issue);
            assert_eq!(read(&verified("issue_comment", &body)), Err(Ignored::Issue));
        }
    }

    #[test]
    fn s21_a_deleted_fork_is_read() {
        let body = LABELED.replace(r#"{"full_name":"a/fork"}"#, "null");
        let event = read(&verified("pull_request", &body)).expect("an event");
        assert!(matches!(
            event.what,
            What::Labeled(Labeled { head: None, .. })
        ));
    }
}
