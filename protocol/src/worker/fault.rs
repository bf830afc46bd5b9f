//! What the gateway answers when it does not do what an agent asks.

use serde::{Deserialize, Serialize};

/// The body of every answer that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// For programs.
    pub code: FaultCode,
    /// For people: what happened, and what to do.
    pub message: String,
    /// Whether the same request can succeed later.
    pub retry: Retry,
    /// Seconds to wait before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

/// Whether asking again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retry {
    /// Not this request.
    Never,
    /// Later, with growing pauses.
    Later,
    /// After a new session was opened.
    Session,
}

/// Why, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// 400: the request is not what it should be.
    Malformed,
    /// 426: the agent speaks a version of the protocol that this gateway does not.
    Protocol,
    /// 403: there is no such worker, or the signature is by no key of it. Keep trying, seldom: the
    /// infrastructure team may be about to write it down.
    Key,
    /// 401: the nonce is too old, was used, or is not this gateway's. Ask for another.
    Nonce,
    /// 401: the session ended, or another one of this worker began. Open a new one.
    Session,
    /// 409: another machine holds the session of this worker. Keep trying, seldom.
    Duplicate,
    /// 404: there is no such assignment (any more). What runs of it has to stop.
    Gone,
    /// 409: another worker took it, or it may not be taken by this one. What runs of it has to stop.
    Taken,
    /// 409: it was cancelled before it was accepted.
    Cancelled,
    /// 409: it has ended with another result.
    Completed,
    /// 413: the body is longer than it may be.
    Long,
    /// 429: too many requests.
    Busy,
    /// 503: the cluster does not answer, or the gateway is about to stop.
    Unavailable,
    /// Written by a newer gateway. Try again later.
    #[serde(other)]
    Unknown,
}

impl FaultCode {
    /// The status of an answer with it.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Protocol => 426,
            Self::Key => 403,
            Self::Nonce | Self::Session => 401,
            Self::Gone => 404,
            Self::Duplicate | Self::Taken | Self::Cancelled | Self::Completed => 409,
            Self::Long => 413,
            Self::Busy => 429,
            Self::Unavailable | Self::Unknown => 503,
        }
    }

    /// Whether asking again helps.
    pub fn retry(self) -> Retry {
        match self {
            Self::Malformed
            | Self::Gone
            | Self::Taken
            | Self::Cancelled
            | Self::Completed
            | Self::Long => Retry::Never,
            Self::Nonce | Self::Session => Retry::Session,
            Self::Protocol
            | Self::Key
            | Self::Duplicate
            | Self::Busy
            | Self::Unavailable
            | Self::Unknown => Retry::Later,
        }
    }
}

impl Fault {
    /// A fault with the words for it.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry: code.retry(),
            retry_after_seconds: None,
        }
    }

    /// The same, with how long to wait.
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}
