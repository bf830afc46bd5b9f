//! How a log travels: from the executor's spool, through whoever ships it, to the gateway.
//!
//! A run has two streams: [`Stream::Log`] is what people read, byte for byte; [`Stream::Marks`] says
//! which byte belongs to which step and when it was printed. Both only grow. They are sent with
//! `PUT <base>/v1/repositories/<repository>/runs/<uid>/logs/<stream>?offset=<offset>`, with
//! `Content-Encoding: zstd` or none and, as RFC 9530 defines it, a `Content-Digest` of the body as it is
//! sent, and ended with a [`LogEnd`] to `POST <base>/v1/repositories/<repository>/runs/<uid>/logs/end`.

use serde::{Deserialize, Serialize};

use crate::StepResult;

/// Header with the random id of the sender, 32 hexadecimal digits: the first sender of a run is its
/// only one.
pub const WRITER_HEADER: &str = "prbuild-writer";
/// Bytes of one `PUT`, before compression.
pub const CHUNK_LIMIT: usize = 1 << 20;
/// Bytes of text that a sender best packs into one zstd frame, with a checksum: the gateway stores such
/// frames as they are, and packs anew what came otherwise.
pub const FRAME: usize = 256 << 10;
/// Bytes of [`Stream::Marks`] of one run.
pub const MARKS_LIMIT: u64 = 1 << 20;
/// Bytes of one line of it.
pub const MARK_LINE_LIMIT: usize = 80 * 1024;
/// Bytes of one step's summary, `GITHUB_STEP_SUMMARY`.
pub const SUMMARY_LIMIT: usize = 64 * 1024;
/// Name of the file in a spool's directory that holds the beginning of the log. Where the log is
/// longer than may be kept, `log.1`, `log.2` and so on hold its last pieces.
pub const SPOOL_LOG: &str = "log";
/// Name of the file in a spool's directory with the marks, a JSON object a line.
pub const SPOOL_MARKS: &str = "marks";
/// Name of the file that says that nothing more comes, a [`SpoolEnd`].
pub const SPOOL_END: &str = "end";
/// Pieces that hold the end of a log that is too long.
pub const TAIL_PIECES: u64 = 4;

/// A stream of a run's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// What people read.
    Log,
    /// Lines of [`Mark`] as JSON.
    Marks,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Log, Self::Marks];

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Marks => "marks",
        }
    }
}

/// What one stream of a log was, as a worker signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LogDigest {
    /// Which.
    pub stream: Stream,
    /// Bytes of it that were sent.
    pub bytes: u64,
    /// Their SHA-256 in hexadecimal.
    pub sha256: String,
}

/// How much of a log is kept: its beginning and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of the beginning.
    pub head: u64,
    /// Bytes of the end, at least; up to a fourth more is kept on disk.
    pub tail: u64,
}

impl LogLimits {
    /// Three quarters for the beginning, one for the end.
    pub fn of(bytes: u64) -> Self {
        Self {
            head: bytes / 4 * 3,
            tail: bytes / 4,
        }
    }

    /// The most that a stream can have: with pieces that are not full yet and with the note between.
    pub fn most(self) -> u64 {
        self.head + self.tail + self.tail / TAIL_PIECES + 1024
    }
}

/// The line that stands where a log was cut.
pub fn cut_note(bytes: u64) -> String {
    format!("\n▲ {bytes} bytes are left out here: the log is longer than may be kept.\n")
}

/// A place in a log that means something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Offset in the log of the first byte that it is about.
    pub at: u64,
    /// When, in milliseconds since 1970, by the clock of the machine that runs the steps.
    pub ms: i64,
    /// What is there.
    #[serde(flatten)]
    pub what: MarkKind,
}

/// What is at a place of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "mark")]
pub enum MarkKind {
    /// Bytes from here on were printed at this time or later: one a second while there is output.
    Time,
    /// A step begins. Steps are counted from 1; the checkout is step 0.
    Step {
        /// Its number.
        n: u32,
        /// Its title.
        name: String,
    },
    /// A step ended.
    End {
        /// Its number.
        n: u32,
        /// How.
        result: StepResult,
        /// Its exit code, where a process ended by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<i32>,
    },
    /// What a step wrote to `GITHUB_STEP_SUMMARY`, Markdown of at most [`SUMMARY_LIMIT`] bytes.
    Summary {
        /// The step's number.
        n: u32,
        /// The Markdown.
        text: String,
    },
}

/// What the executor leaves in the spool when it has written everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolEnd {
    /// Bytes that were printed in all, also those that are not kept.
    pub bytes: u64,
}

/// The gateway's answer to bytes that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTaken {
    /// Bytes of the stream that were received: the offset of the next `PUT`.
    pub received: u64,
    /// Bytes that are stored. A gateway that restarts remembers these and no others, so a sender keeps
    /// what lies behind.
    pub durable: u64,
}

/// All that there is of a log: nothing more comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEnd {
    /// Bytes of [`Stream::Log`].
    pub log: u64,
    /// Bytes of [`Stream::Marks`].
    pub marks: u64,
    /// Bytes that were printed and not sent, because the log was too long.
    #[serde(default)]
    pub left_out: u64,
    /// Nobody said that this is all: whoever printed was stopped, or what followed was lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
}

/// The gateway's answer to bytes that it did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why.
    pub error: Refusal,
    /// Bytes of the stream that were received: where an honest sender goes on. Absent where the sender
    /// has shown no valid token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
}

/// Why something was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people: what happened, and what to do.
    pub message: String,
}

/// Why something was not taken, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// 401: no valid token, or one for another run. Asking again does not help.
    Token,
    /// 409: another sender writes this log. Asking again does not help.
    Writer,
    /// 409: bytes before the offset are missing. Go on at `received`.
    Gap,
    /// 400: digest, encoding, offset or form are wrong. Send again from `received`.
    Malformed,
    /// 409: the log has ended with other bytes. Asking again does not help.
    Ended,
    /// 413: the log is longer than may be kept. Asking again does not help.
    Limit,
    /// 503: the store does not take anything now. Try again later.
    Store,
    /// Written by a newer gateway. Try again later.
    #[serde(other)]
    Unknown,
}

impl RefusalCode {
    /// Whether trying again can help.
    pub fn may_heal(self) -> bool {
        !matches!(self, Self::Token | Self::Writer | Self::Ended | Self::Limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_one_flat_object() {
        let mark = Mark {
            at: 7,
            ms: 1_700_000_000_123,
            what: MarkKind::End {
                n: 2,
                result: StepResult::Failed,
                exit: Some(1),
            },
        };
        let text = serde_json::to_string(&mark).unwrap();
        let expected =
            r#"{"at":7,"ms":1700000000123,"mark":"end","n":2,"result":"Failed","exit":1}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Mark>(&text).unwrap(), mark);
    }

    #[test]
    fn a_code_of_a_newer_gateway_may_heal() {
        let refusal: Refusal = serde_json::from_str(r#"{"code":"new","message":""}"#).unwrap();
        assert!(refusal.code.may_heal());
        assert!(!RefusalCode::Limit.may_heal());
    }
}
