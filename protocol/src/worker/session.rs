//! How an agent shows who it is: it signs a nonce of the gateway. No clock of its own is needed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{envelope::Payload, wire::Running};

/// Seconds that a session lasts.
pub const SESSION_SECONDS: i64 = 900;
/// Seconds that a nonce is good for.
pub const NONCE_SECONDS: i64 = 60;

/// Asks for a nonce: `POST /worker/v1/nonce`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NonceRequest {
    /// Name of the Worker object.
    pub worker: String,
}

/// A nonce, good for one session and [`NONCE_SECONDS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nonce {
    /// To be signed as it is.
    pub nonce: String,
}

/// Opens a session: `POST /worker/v1/sessions`, in an [`Envelope`](super::envelope::Envelope) that the
/// agent's key signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRequest {
    /// Name of the Worker object.
    pub worker: String,
    /// The gateway's nonce.
    pub nonce: String,
    /// A random id that the agent made once and keeps in its state directory.
    pub instance: String,
    /// What names this start of the machine: another one after each boot.
    pub boot: String,
    /// The agent's version.
    pub agent: String,
    /// Facts about the machine, for people: `os`, `arch`, `cpus`, `memory`, `git`. At most 32 of at most
    /// 200 characters.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
    /// Builds run as another user than the agent, so that they can neither read its key nor outlive it.
    #[serde(default)]
    pub isolated: bool,
    /// What the owner's own policy takes, as a sentence, for people.
    #[serde(default)]
    pub policy: String,
    /// All that the agent has accepted and that the gateway has not taken the end of.
    #[serde(default)]
    pub running: Vec<Running>,
}

impl Payload for SessionRequest {
    const PURPOSE: &'static str = "prbuild session v1\n";
    const LIMIT: usize = 32 << 10;
}

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionOpened {
    /// Its text, for [`SESSION_HEADER`](super::SESSION_HEADER).
    pub session: String,
    /// Seconds that it lasts. The agent opens the next one when two thirds of it are over.
    pub seconds: i64,
    /// How often, and how long.
    pub timing: Timing,
    /// What is to become of each of `running`.
    #[serde(default)]
    pub verdicts: Vec<super::wire::Instruction>,
    /// Version of the newest key set. An agent that pins an older one asks for the chain.
    #[serde(default)]
    pub keys: u64,
}

/// How often an agent says something, and how long it may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timing {
    /// Seconds that a poll is held at most. The agent waits 30 s longer before it gives an answer up.
    pub poll_seconds: u64,
    /// Seconds between heartbeats while something runs.
    pub heartbeat_seconds: u64,
    /// Seconds before the end of its lease at which an agent stops a run of a pool, counted from when
    /// it *sent* the request that the lease came with.
    pub kill_margin_seconds: u64,
}

impl Default for Timing {
    /// 50 s and 10 s keep the table of a home router alive and are below every proxy's patience.
    fn default() -> Self {
        Self {
            poll_seconds: 50,
            heartbeat_seconds: 10,
            kill_margin_seconds: 90,
        }
    }
}

/// Ends a session: `POST /worker/v1/sessions/close`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Close {
    /// Why, as a sentence: `the machine shuts down`.
    pub reason: String,
}
