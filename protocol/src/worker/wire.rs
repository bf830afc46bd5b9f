//! What an agent and the gateway say to each other in a session.
//!
//! All of it is `POST` with a JSON body below `/worker/v1`, answered with 200 and a JSON body, or with a
//! [`Fault`](super::fault::Fault). Every request may be sent again.

use serde::{Deserialize, Serialize};

use super::envelope::Envelope;

/// Seconds that a lease lasts when it is renewed.
pub const LEASE_SECONDS: i64 = 900;
/// Bytes of a request.
pub const BODY_LIMIT: usize = 256 << 10;
/// Assignments that one request may name.
pub const RUNNING_LIMIT: usize = 64;
/// Characters of a reason that is passed on.
pub const REASON_LIMIT: usize = 300;

/// Asks for work, and says that the worker is there: `POST /poll`. It is held until there is something to
/// say, at most [`Timing::poll_seconds`](super::session::Timing::poll_seconds).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Poll {
    /// Runs that the agent would take now. 0 asks for none and is held all the same.
    pub free_slots: u32,
    /// Why it takes none, as a sentence, where that is the machine's or its owner's will: `its owner
    /// paused it until 18:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// Mebibytes free where builds run: shown where the disk is too full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_mb: Option<u64>,
    /// The disk is too full to take runs.
    pub disk_full: bool,
}

/// The answer to a [`Poll`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PollAnswer {
    /// Work. The same offer comes again until it is accepted, declined or withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// The infrastructure team wants the worker empty: nothing is offered until that changes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
    /// Version of the newest key set.
    pub keys: u64,
}

/// Whether a text can be the id of an assignment: it becomes part of addresses on both sides, and leads nowhere else.
pub fn is_assignment_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=128).contains(&text.len())
        && text.bytes().all(is_plain)
        && !text.starts_with('.')
        && !text.contains("..")
}

/// An assignment that the agent may accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// Its id: opaque, and another one each time that the run is handed out.
    pub id: String,
    /// The [`Assignment`](super::assignment::Assignment), signed by the operator. The agent verifies it
    /// before it answers.
    pub signed: Envelope,
}

/// The answer to `POST /assignments/<id>/accept`, which has an empty object as its body. Accepting again
/// gives the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// Its id.
    pub id: String,
    /// The assignment once more: what the agent runs is this, verified again.
    pub signed: Envelope,
    /// Seconds that the lease lasts from now.
    pub lease_seconds: i64,
    /// Lets its bearer write the log of this run, and nothing else, as [`log`](crate::log) says: at the
    /// same address as this. Absent where no log is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_token: Option<String>,
}

/// Refuses an offer: `POST /assignments/<id>/decline`. It is offered to others, or waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decline {
    /// For programs.
    pub code: DeclineCode,
    /// For the owner and for who asked for the run, a sentence without a name in front: `its owner takes no pull
    /// requests`.
    pub reason: String,
}

/// Why an offer is refused, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeclineCode {
    /// The owner's policy does not allow this run, today or tomorrow.
    Policy,
    /// It is a quiet hour, or the machine is used by something else.
    Busy,
    /// Too little disk.
    Disk,
    /// The agent is about to stop.
    Draining,
    /// The assignment is not signed by a pinned key, was altered, expired, or is not for this worker.
    Invalid,
    /// The agent's journal says that this run was started before.
    Repeated,
    /// Something else.
    #[serde(other)]
    Other,
}

/// Says that the worker is there and what runs on it: `POST /heartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Heartbeat {
    /// All that the agent has accepted and that the gateway has not taken the end of.
    pub running: Vec<Running>,
    /// The disk is too full to take more.
    pub disk_full: bool,
}

/// One assignment that an agent has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// Its id.
    pub id: String,
    /// How far it is. Which step runs stands in the log's marks.
    pub state: RunningState,
}

/// How far an accepted assignment is on its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunningState {
    /// Its processes are there, or are about to be.
    Running,
    /// It has ended, and its [`Completion`](super::completion::Completion) is still to be delivered.
    Done,
}

/// The answer to a [`Heartbeat`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeartbeatAnswer {
    /// One for each of `running`.
    pub verdicts: Vec<Instruction>,
    /// The infrastructure team wants the worker empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
    /// Version of the newest key set.
    pub keys: u64,
}

/// What is to become of one assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instruction {
    /// Its id.
    pub id: String,
    /// What to do.
    pub action: Action,
    /// Seconds that the lease lasts from now; only with `continue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<i64>,
    /// Why, with `cancel`, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What an agent does with an assignment that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Go on; deliver the completion when it has ended.
    Continue,
    /// Stop its processes, and deliver a completion that says `cancelled`; or the result, if it had ended.
    Cancel,
    /// It is no longer this worker's: stop its processes, deliver nothing, forget it.
    Kill,
    /// Its completion was taken: forget it.
    Forget,
    /// Written by a newer gateway: go on as before.
    #[serde(other)]
    Unknown,
}

/// The answer to `POST /assignments/<id>/complete` with an [`Envelope`] of a
/// [`Completion`](super::completion::Completion). The same completion again gives the same answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_run_and_a_uid_and_never_a_path() {
        let uid = "0b7c64f6-5dd2-4f0c-9d3c-1d7a9f4f7a10";
        assert!(is_assignment_id(&format!("{uid}.{uid}")));
        for id in [
            "",
            ".",
            "..",
            "a/b",
            "a..b",
            ".a",
            "a?b",
            "a b",
            "ä",
            &"a".repeat(129),
        ] {
            assert!(!is_assignment_id(id), "{id}");
        }
    }
}
