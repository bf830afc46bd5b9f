//! Presses of the buttons of check runs.
//!
//! GitHub gives a press no id and no time of its own: there is one only in a header, which is not signed.
//! So a press is what the signed body tells: who pressed which button, of which check run, as it was
//! then. The same body is the same press, whatever header it comes under, and as long as nothing about
//! the check run or its suite has changed, pressing once more is, too.

use aws_lc_rs::digest::{SHA256, digest};
use crds::names;
use jiff::Timestamp;

use super::wire::{CheckRunBody, CheckSuiteBody, Repository};
use super::{Event, Ignored, What, action, expect_action, parsed};

/// A button of a check run or of all of a commit's was pressed.
#[derive(Clone, Debug, PartialEq)]
pub struct Pressed {
    /// Made of what the signed body tells of the press.
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
    /// When what was pressed had last changed: the press is later.
    pub changed_at: Timestamp,
}

impl Pressed {
    /// The id of this press for one of several builds that it is about.
    pub fn id_for(&self, build: &str) -> i64 {
        id_of(&[&self.id.to_string(), build])
    }
}

/// What can be pressed at a check run.
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
            Self::RerunFailed => Some(names::RERUN_FAILED),
            Self::Cancel => Some(names::CANCEL),
        }
    }
}

/// A press of a button of one check run.
pub(super) fn check_run(body: &[u8]) -> Result<Event, Ignored> {
    let action = action(body)?;
    if !matches!(action.as_str(), "rerequested" | "requested_action") {
        return Err(Ignored::Action);
    }
    let body: CheckRunBody = parsed(body)?;
    let pressed = body.requested_action.map(|pressed| pressed.identifier);
    let button = match action.as_str() {
        "rerequested" => Some(Button::Rerun),
        _ => Button::ALL
            .into_iter()
            .find(|button| pressed.is_some() && button.identifier() == pressed.as_deref()),
    };
    let button = button.ok_or(Ignored::Action)?;
    let run = body.check_run;
    let suite = run.check_suite.and_then(|suite| suite.updated_at);
    let times = [run.started_at, run.completed_at, suite];
    let changed_at = times.into_iter().flatten().max().ok_or(Ignored::Shape)?;
    let name = run.external_id.unwrap_or_default();
    let id = id_of(&[
        button.label(),
        &body.repository.id.to_string(),
        &body.sender.id.to_string(),
        &run.id.to_string(),
        &name,
        run.status.as_deref().unwrap_or_default(),
        &times.map(second).join(" "),
    ]);
    let pressed = Pressed {
        id,
        button,
        app: run.app.ok_or(Ignored::Shape)?.id,
        head_sha: run.head_sha,
        run: name,
        changed_at,
    };
    Ok(event(body.repository, body.sender, pressed))
}

/// A press of the button of all check runs of a commit.
pub(super) fn check_suite(body: &[u8]) -> Result<Event, Ignored> {
    expect_action(body, "rerequested")?;
    let body: CheckSuiteBody = parsed(body)?;
    let suite = body.check_suite;
    let id = id_of(&[
        Button::RerunAll.label(),
        &body.repository.id.to_string(),
        &body.sender.id.to_string(),
        &suite.id.to_string(),
        &second(Some(suite.updated_at)),
    ]);
    let pressed = Pressed {
        id,
        button: Button::RerunAll,
        app: suite.app.ok_or(Ignored::Shape)?.id,
        head_sha: suite.head_sha,
        run: String::new(),
        changed_at: suite.updated_at,
    };
    Ok(event(body.repository, body.sender, pressed))
}

fn event(repository: Repository, sender: github::User, pressed: Pressed) -> Event {
    Event {
        repository: repository.id,
        full_name: repository.full_name,
        number: None,
        sender,
        what: What::Pressed(pressed),
    }
}

fn second(time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, |time| time.as_second().to_string())
}

/// 60 bits of the digest of these parts.
fn id_of(parts: &[&str]) -> i64 {
    let digest = hex::encode(digest(&SHA256, parts.join("\n").as_bytes()));
    // Fifteen hexadecimal digits are 60 bits; ids begin with 1.
    i64::from_str_radix(&digest[..15], 16)
        .unwrap_or_default()
        .max(1)
}
