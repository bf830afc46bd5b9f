//! What the ingest answers. Pure.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use protocol::log::{Refusal, RefusalCode, Refused};
use serde::Serialize;

use crate::logs::stream::TakeError;
use crate::records::RecordError;
use crate::store::StoreError;

/// An answer of the ingest.
pub type Answer = Response<Full<Bytes>>;

/// Why a request is refused.
#[derive(Debug)]
pub struct No {
    code: RefusalCode,
    message: String,
    received: Option<u64>,
    /// Its body was not read to the end, so the connection cannot be used again.
    unread: bool,
}

impl No {
    /// No valid token. Always the same words: who has none learns nothing.
    pub fn token() -> Self {
        let message = "no token that is valid for this; ask the operator for another";
        Self::new(RefusalCode::Token, message, None)
    }

    /// What came has not the form that the protocol says.
    pub fn malformed(message: impl Into<String>, received: Option<u64>) -> Self {
        Self::new(RefusalCode::Malformed, message, received)
    }

    /// There is no room now.
    pub fn busy(received: Option<u64>) -> Self {
        let message = "too much at a time is being received; send it again a little later";
        Self::new(RefusalCode::Store, message, received)
    }

    fn new(code: RefusalCode, message: impl Into<String>, received: Option<u64>) -> Self {
        Self {
            code,
            message: message.into(),
            received,
            unread: false,
        }
    }

    /// The body was not read to its end.
    pub fn unread(mut self) -> Self {
        self.unread = true;
        self
    }

    /// Its word in metrics.
    pub fn word(&self) -> &'static str {
        match self.code {
            RefusalCode::Token => "token",
            RefusalCode::Writer => "writer",
            RefusalCode::Gap => "gap",
            RefusalCode::Malformed => "malformed",
            RefusalCode::Ended => "ended",
            RefusalCode::Limit => "limit",
            RefusalCode::Store => "store",
            RefusalCode::Unknown => "unknown",
        }
    }

    /// The refusal as an answer of HTTP.
    pub fn answer(self) -> Answer {
        let status = match self.code {
            RefusalCode::Token => StatusCode::UNAUTHORIZED,
            RefusalCode::Writer | RefusalCode::Gap | RefusalCode::Ended => StatusCode::CONFLICT,
            RefusalCode::Malformed => StatusCode::BAD_REQUEST,
            RefusalCode::Limit => StatusCode::PAYLOAD_TOO_LARGE,
            RefusalCode::Store | RefusalCode::Unknown => StatusCode::SERVICE_UNAVAILABLE,
        };
        let refused = Refused {
            error: Refusal {
                code: self.code,
                message: self.message,
            },
            received: self.received,
        };
        let mut answer = json(status, &refused);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            answer.headers_mut().insert(RETRY_AFTER, soon);
        }
        if self.unread {
            close(&mut answer);
        }
        answer
    }
}

impl From<TakeError> for No {
    fn from(error: TakeError) -> Self {
        let message = error.to_string();
        let (code, received) = match error {
            // What another sender sent is none of this one's business.
            TakeError::Writer => (RefusalCode::Writer, None),
            TakeError::Gap(_, received) => (RefusalCode::Gap, Some(received)),
            TakeError::Short(_, received) => (RefusalCode::Malformed, Some(received)),
            TakeError::Limit { received, .. } => (RefusalCode::Limit, Some(received)),
            TakeError::Ended(received) => (RefusalCode::Ended, Some(received)),
            TakeError::Full(received) => (RefusalCode::Store, Some(received)),
            TakeError::Store(error) => return error.into(),
        };
        Self::new(code, message, received)
    }
}

impl From<StoreError> for No {
    /// The cause is for our own log, not for a build pod.
    fn from(_: StoreError) -> Self {
        let message = "the store does not work now; keep the bytes and send them again later";
        Self::new(RefusalCode::Store, message, None)
    }
}

impl From<RecordError> for No {
    fn from(error: RecordError) -> Self {
        Self::malformed(error.to_string(), None)
    }
}

/// An answer with an object.
pub fn json(status: StatusCode, object: &impl Serialize) -> Answer {
    bytes(
        status,
        serde_json::to_vec(object).unwrap_or_default().into(),
    )
}

/// An answer with JSON that is there already.
pub fn bytes(status: StatusCode, json: Bytes) -> Answer {
    let mut answer = Response::new(Full::from(json));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// An answer that is a status and nothing else.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// An answer to a method that an address does not take: it takes these.
pub fn other_method(allowed: &'static str) -> Answer {
    let mut answer = empty(StatusCode::METHOD_NOT_ALLOWED);
    let allowed = HeaderValue::from_static(allowed);
    answer.headers_mut().insert(ALLOW, allowed);
    answer
}

/// Lets the connection end with this answer.
pub fn close(answer: &mut Answer) {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
}
