//! Verified → what happened, as far as it can concern PrBuild. Small structs of our own: whatever
//! else GitHub sends, in whatever shape, is not looked at.

mod changed;
mod press;
mod wire;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

pub use changed::Changed;
pub use press::{Button, Pressed};

use crate::signature::Verified;
use wire::{ActionOnly, CommentBody, PullRequestBody};

/// Something that may ask for a build.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Numeric id of the repository.
    pub repository: i64,
    /// Its name, for where the id is not known yet.
    pub full_name: String,
    /// Number of the pull request; a press of a button does not tell it.
    pub number: Option<i64>,
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
    /// A button was pressed.
    Pressed(Pressed),
    /// Something happened to the pull request that builds may stop for.
    Changed(Changed),
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
    /// Numeric id of the head's repository, and its branch; absent when the fork is gone.
    pub head: Option<(i64, String)>,
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

/// What a delivery tells. The header is not signed, so the body must have the shape of its event.
///
/// # Errors
/// Why it is ignored; never that it is wrong.
pub fn read(verified: &Verified) -> Result<Event, Ignored> {
    match verified.event() {
        "ping" => Err(Ignored::Ping),
        "pull_request" => changed::pull_request(verified.body()),
        "issue_comment" => commented(verified.body()),
        "check_run" => press::check_run(verified.body()),
        "check_suite" => press::check_suite(verified.body()),
        _ => Err(Ignored::Event),
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Ignored> {
    serde_json::from_slice(body).map_err(|_| Ignored::Shape)
}

fn action(body: &[u8]) -> Result<String, Ignored> {
    if let Some(action) = leading_action(body) {
        return Ok(action.to_owned());
    }
    Ok(parsed::<ActionOnly>(body)?.action)
}

/// The action, where the body begins with it. GitHub's do, and most deliveries concern nobody: so the
/// 30 kB behind it are read only where the action may start something, and once.
fn leading_action(body: &[u8]) -> Option<&str> {
    let mut rest = body.trim_ascii_start();
    for token in [&b"{"[..], b"\"action\"", b":", b"\""] {
        rest = rest.strip_prefix(token)?;
        // Within the quotes a space would be the action's own.
        if token != b"\"" {
            rest = rest.trim_ascii_start();
        }
    }
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    match rest[end] {
        b'"' => std::str::from_utf8(&rest[..end]).ok(),
        // With an escape it is no word that we know; whoever reads all of it sees that.
        _ => None,
    }
}

fn expect_action(body: &[u8], expected: &str) -> Result<(), Ignored> {
    match action(body)? == expected {
        true => Ok(()),
        false => Err(Ignored::Action),
    }
}

/// A delivery whose action is `labeled`.
fn labeled(body: &[u8]) -> Result<Event, Ignored> {
    let body: PullRequestBody = parsed(body)?;
    if body.number != body.pull_request.number {
        return Err(Ignored::Shape);
    }
    let head = body.pull_request.head;
    Ok(Event {
        repository: body.repository.id,
        full_name: body.repository.full_name,
        number: Some(body.number),
        sender: body.sender,
        what: What::Labeled(Labeled {
            label: body.label.name,
            head_sha: head.sha,
            updated_at: body.pull_request.updated_at,
            head: head.repo.map(|repo| (repo.id, head.branch)),
        }),
    })
}

fn commented(body: &[u8]) -> Result<Event, Ignored> {
    expect_action(body, "created")?;
    let body: CommentBody = parsed(body)?;
    if body.issue.pull_request.is_none() {
        return Err(Ignored::Issue);
    }
    Ok(Event {
        repository: body.repository.id,
        full_name: body.repository.full_name,
        number: Some(body.issue.number),
        sender: body.sender,
        what: What::Commented {
            id: body.comment.id,
            body: body.comment.body.unwrap_or_default(),
        },
    })
}

#[cfg(test)]
mod tests;
