//! Verified → what happened, as far as it can concern PrBuild. Small structs of our own: whatever
//! else GitHub sends, in whatever shape, is not looked at.

mod changed;
mod wire;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

pub use changed::Changed;

use crate::signature::Verified;
use wire::{ActionOnly, CheckRunBody, CheckSuiteBody, CommentBody, PullRequestBody};

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
    /// Repository and branch of the head; absent when the fork is gone.
    pub head: Option<(String, String)>,
}

/// A button of a check run or of all of a commit's was pressed.
#[derive(Clone, Debug, PartialEq)]
pub struct Pressed {
    /// Made of the id of the delivery, which stays the same when it is delivered again.
    pub id: i64,
    /// Which button.
    pub button: Button,
    /// The App whose check runs they are.
    pub app: u64,
    /// The commit.
    pub head_sha: String,
    /// What the App remembers by the check run: the name of the BuilderRun. Empty where the button is
    /// that of all check runs.
    pub run: String,
}

/// The buttons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    /// GitHub's own "Re-run" of a check run.
    Rerun,
    /// GitHub's own "Re-run all checks".
    RerunAll,
    /// Ours: "Re-run failed".
    RerunFailed,
    /// Ours: "Cancel".
    Cancel,
}

impl Button {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rerun, Self::RerunAll, Self::RerunFailed, Self::Cancel];

    /// What stands on it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Rerun => "Re-run",
            Self::RerunAll => "Re-run all checks",
            Self::RerunFailed => "Re-run failed",
            Self::Cancel => "Cancel",
        }
    }

    /// What GitHub tells us when one of ours was pressed. None: it is GitHub's own.
    pub fn identifier(self) -> Option<&'static str> {
        match self {
            Self::Rerun | Self::RerunAll => None,
            Self::RerunFailed => Some("rerun-failed"),
            Self::Cancel => Some("cancel"),
        }
    }
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
        "check_run" => check_run(verified),
        "check_suite" => check_suite(verified),
        _ => Err(Ignored::Event),
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Ignored> {
    serde_json::from_slice(body).map_err(|_| Ignored::Shape)
}

fn action(body: &[u8]) -> Result<String, Ignored> {
    Ok(parsed::<ActionOnly>(body)?.action)
}

fn expect_action(body: &[u8], expected: &str) -> Result<(), Ignored> {
    match action(body)? == expected {
        true => Ok(()),
        false => Err(Ignored::Action),
    }
}

fn labeled(body: &[u8]) -> Result<Event, Ignored> {
    expect_action(body, "labeled")?;
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
            head: head.repo.map(|repo| (repo.full_name, head.branch)),
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

fn check_run(verified: &Verified) -> Result<Event, Ignored> {
    let action = action(verified.body())?;
    if !matches!(action.as_str(), "rerequested" | "requested_action") {
        return Err(Ignored::Action);
    }
    let body: CheckRunBody = parsed(verified.body())?;
    let pressed = body.requested_action.map(|pressed| pressed.identifier);
    let button = match action.as_str() {
        "rerequested" => Some(Button::Rerun),
        _ => Button::ALL
            .into_iter()
            .find(|button| pressed.is_some() && button.identifier() == pressed.as_deref()),
    };
    let button = button.ok_or(Ignored::Action)?;
    let run = body.check_run;
    Ok(Event {
        repository: body.repository.id,
        full_name: body.repository.full_name,
        number: None,
        sender: body.sender,
        what: What::Pressed(Pressed {
            id: press_id(verified.id()),
            button,
            app: run.app.ok_or(Ignored::Shape)?.id,
            head_sha: run.head_sha,
            run: run.external_id.unwrap_or_default(),
        }),
    })
}

fn check_suite(verified: &Verified) -> Result<Event, Ignored> {
    expect_action(verified.body(), "rerequested")?;
    let body: CheckSuiteBody = parsed(verified.body())?;
    let suite = body.check_suite;
    Ok(Event {
        repository: body.repository.id,
        full_name: body.repository.full_name,
        number: None,
        sender: body.sender,
        what: What::Pressed(Pressed {
            id: press_id(verified.id()),
            button: Button::RerunAll,
            app: suite.app.ok_or(Ignored::Shape)?.id,
            head_sha: suite.head_sha,
            run: String::new(),
        }),
    })
}

/// The id of a press: 60 bits of the digest of its delivery's id.
fn press_id(delivery: &str) -> i64 {
    let digest = hex::encode(Sha256::digest(delivery.as_bytes()));
    // Fifteen hexadecimal digits are 60 bits; ids begin with 1.
    i64::from_str_radix(&digest[..15], 16)
        .unwrap_or_default()
        .max(1)
}

#[cfg(test)]
mod tests;
