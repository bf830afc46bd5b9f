//! What can go wrong with a call to GitHub, sorted by what the caller can do about it.

use std::time::Duration;

use jiff::Timestamp;

/// A call to GitHub that did not succeed. Every variant names the call (`GET /repos/o/r/pulls/1`);
/// none contains a token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GithubError {
    /// 404 or 410: it is not there, or this credential may not know of it.
    #[error("{call}: not found, or not visible to this connection")]
    NotFound {
        /// The call.
        call: String,
    },
    /// 401, also with a fresh installation token: the credential is wrong, expired or revoked.
    #[error("{call}: GitHub does not accept this connection's credential")]
    Unauthorized {
        /// The call.
        call: String,
        /// When, by GitHub's clock.
        date: Option<Timestamp>,
    },
    /// 403 that is no rate limit: a permission is missing.
    #[error("{call}: not permitted: {message}")]
    Forbidden {
        /// The call.
        call: String,
        /// GitHub's words.
        message: String,
    },
    /// 403 or 429 that is a rate limit, primary or secondary.
    #[error("{call}: rate limited until {until}")]
    RateLimited {
        /// The call.
        call: String,
        /// When to try again, by GitHub's clock.
        until: Timestamp,
        /// The same as time from now, for who waits by a clock of their own.
        wait: Duration,
    },
    /// 4xx that says the request itself cannot be carried out: 422, and 400, 409.
    #[error("{call}: refused: {message}")]
    Unprocessable {
        /// The call.
        call: String,
        /// GitHub's words.
        message: String,
    },
    /// No answer: connection, timeout, 5xx, cut answer. It may or may not have been carried out.
    #[error("{call}: no answer: {reason}")]
    Unavailable {
        /// The call.
        call: String,
        /// What happened.
        reason: String,
    },
    /// An answer with more bytes than are read. People wrote much into what it lists.
    #[error("{call}: the answer is too large to be read")]
    TooLarge {
        /// The call.
        call: String,
    },
    /// An answer that is not what GitHub documents.
    #[error("{call}: unexpected answer: {reason}")]
    Malformed {
        /// The call.
        call: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl GithubError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable { .. })
    }

    /// Whether it was a call of GraphQL, which has limits of its own.
    pub fn is_of_graphql(&self) -> bool {
        let (Self::NotFound { call }
        | Self::Unauthorized { call, .. }
        | Self::Forbidden { call, .. }
        | Self::RateLimited { call, .. }
        | Self::Unprocessable { call, .. }
        | Self::Unavailable { call, .. }
        | Self::TooLarge { call }
        | Self::Malformed { call, .. }) = self;
        call.starts_with("POST /graphql")
    }

    /// Whether GitHub says that the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// A word for metrics: bounded, stable.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unprocessable { .. } => "unprocessable",
            Self::Unavailable { .. } => "unavailable",
            Self::TooLarge { .. } => "too_large",
            Self::Malformed { .. } => "malformed",
        }
    }
}
