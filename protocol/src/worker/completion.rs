//! How a run on a worker ended, signed by its agent and verified by the operator.

use serde::{Deserialize, Serialize};

use super::envelope::Payload;
pub use crate::log::LogDigest;
use crate::{CheckoutReport, ExecReport};

/// How a run ended. The first one that the gateway takes is the only one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    /// Id of the assignment, as the offer gave it.
    pub assignment: String,
    /// Uid of the run.
    pub run: String,
    /// Number of the attempt.
    pub attempt: i64,
    /// Name of the worker.
    pub worker: String,
    /// How it ended.
    pub result: RunEnd,
    /// The log as it was printed and is kept on the machine, by stream.
    #[serde(default)]
    pub logs: Vec<LogDigest>,
    /// Milliseconds from accepting to the first step; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared_ms: Option<u64>,
    /// Milliseconds from the first step to the end of the last process.
    #[serde(default)]
    pub ran_ms: u64,
}

impl Payload for Completion {
    const PURPOSE: &'static str = "prbuild completion v1\n";
    const LIMIT: usize = 128 << 10;
}

/// How a run ended on a worker.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum RunEnd {
    /// The steps were begun, and no process of them is left.
    Ran {
        /// What was checked out: no code of the pull request had run by then.
        checkout: CheckoutReport,
        /// What the executor says of the steps; of one that was killed beside them, that it was.
        report: ExecReport,
    },
    /// No step was begun: the owner, the disk, the network or the agent were against it, and another attempt
    /// may be made at once; or no machine could.
    NotRun {
        /// Why, as a sentence.
        reason: String,
        /// It is this machine's doing. Where it is not (the commit is gone, or is not what was authorized),
        /// another attempt ends in the same way. Absent: true, as agents said it that knew no difference.
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        machine: bool,
    },
    /// The steps were begun, and the machine's doing ended them: a crash, a reboot, a full disk, an
    /// expired lease. No process of them is left.
    Broken {
        /// Why, as a sentence.
        reason: String,
    },
    /// It was stopped because the operator asked, before or after its steps began; no process of it is left.
    Cancelled,
}

fn yes() -> bool {
    true
}

fn is_yes(said: &bool) -> bool {
    *said
}
