//! The requests: records and histories go to the gateway and come from it, by HTTP.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::Timestamp;
use protocol::worker::envelope::{Envelope, Payload, SealError};
use protocol::{
    log::Refused,
    token::{Claims, Scope, Signer},
};
use serde::de::DeserializeOwned;

use super::{metrics::RecordMetrics, outage::Outage};
use crate::report::text::one_line;

/// Bytes of an answer that are read; a history has at most a few megabytes.
const ANSWER_LIMIT: usize = 8 << 20;
/// A request without an answer for this long has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds that a token for records is valid.
const TOKEN_SECONDS: i64 = 3600;
/// A token is used until this many seconds before it expires.
const TOKEN_RENEWED: i64 = 600;

/// Why the gateway cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Not an address.
    #[error(
        "`{0}` is no address of a gateway; write it as http://prbuild-gateway.prbuild:8081, inside of the cluster and without TLS"
    )]
    Address(String),
}

/// Why a record is not stored, or a history not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Nobody asked: the gateway did not answer just now.
    #[error("the gateway does not answer; it is asked again in {}", crate::report::text::duration(*.0))]
    Away(Duration),
    /// No answer that helps.
    #[error("the gateway does not answer: {0}")]
    NoAnswer(String),
    /// It takes nothing from this operator.
    #[error(
        "the gateway does not take this operator's token ({0}); does it have the public half of --signing-key?"
    )]
    Token(String),
    /// It does not take this one, and will not take it as it is.
    #[error("the gateway refuses it: {0}")]
    Refused(String),
}

impl RecordError {
    fn word(&self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::NoAnswer(_) => "no_answer",
            Self::Token(_) => "token",
            Self::Refused(_) => "refused",
        }
    }
}

/// Sends and reads records.
pub struct Records {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
    signer: Signer,
    token: Mutex<(String, i64)>,
    outage: Mutex<Outage>,
    metrics: RecordMetrics,
}

impl Records {
    /// For the gateway at this address.
    pub fn new(gateway: &str, signer: Signer) -> Result<Self, GatewayError> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            base: address(gateway)?,
            client: Client::builder(TokioExecutor::new()).build(connector),
            signer,
            token: Mutex::default(),
            outage: Mutex::default(),
            metrics: RecordMetrics::default(),
        })
    }

    /// Stores something. Returns how many bytes it has.
    pub async fn put(
        &self,
        kind: &'static str,
        path: &str,
        body: serde_json::Result<Vec<u8>>,
    ) -> Result<usize, RecordError> {
        let body = body.map_err(|error| RecordError::Refused(error.to_string()))?;
        let bytes = body.len();
        self.ask(kind, Method::PUT, path, body).await.map(|_| bytes)
    }

    /// Reads something, and how many bytes it has; none where there is nothing.
    pub async fn get<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        path: &str,
    ) -> Result<Option<(T, usize)>, RecordError> {
        let Some(body) = self.ask(kind, Method::GET, path, Vec::new()).await? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&body);
        let read =
            read.map_err(|error| RecordError::Refused(format!("it is unreadable: {error}")))?;
        Ok(Some((read, body.len())))
    }

    /// Whether the gateway did not answer lately.
    pub fn is_away(&self) -> bool {
        self.outage().is_under_way()
    }

    /// How long nobody asks, because it did not answer.
    pub fn away_for(&self) -> Option<Duration> {
        self.outage().left(Instant::now())
    }

    /// Whether people should hear that the gateway takes nothing.
    pub fn is_to_be_told(&self) -> bool {
        self.outage().is_to_be_told(Instant::now())
    }

    /// Where the gateway is.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// Signs what the gateway lets somebody do.
    pub fn sign(&self, claims: &Claims) -> Result<String, serde_json::Error> {
        self.signer.token(claims)
    }

    /// Signs what somebody else is to believe of the operator.
    pub fn seal<T: Payload>(&self, payload: &T) -> Result<Envelope, SealError> {
        Envelope::seal(payload, &self.signer)
    }

    /// What is counted of its requests.
    pub fn metrics(&self) -> &RecordMetrics {
        &self.metrics
    }

    /// Makes one request, if it is worth it now. None: there is no such thing.
    async fn ask(
        &self,
        kind: &'static str,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Option<Bytes>, RecordError> {
        let began = Instant::now();
        if let Some(wait) = self.outage().wait(began) {
            return Err(RecordError::Away(wait));
        }
        let word = if method == Method::GET { "get" } else { "put" };
        let answer = match self.request(method, path, body) {
            Ok(request) => tokio::time::timeout(PATIENCE, self.send(request))
                .await
                .unwrap_or_else(|_| Err(RecordError::NoAnswer("it takes too long".to_owned()))),
            Err(error) => Err(error),
        };
        let result = answer.as_ref().map_or_else(RecordError::word, |_| "ok");
        let seconds = began.elapsed().as_secs_f64();
        self.metrics.asked(kind, word, result, seconds);
        match &answer {
            Ok(_) | Err(RecordError::Refused(_)) => self.outage().answered(),
            Err(error) => {
                tracing::warn!(path, %error, "a record could not be sent or read; it is tried again");
                self.outage().failed(Instant::now());
            }
        }
        answer
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, RecordError> {
        let unsendable = |error: &dyn std::fmt::Display| RecordError::Refused(error.to_string());
        let token = self.token().map_err(|error| unsendable(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.base))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)));
        request.map_err(|error| unsendable(&error))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Option<Bytes>, RecordError> {
        let reads = request.method() == Method::GET;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| RecordError::NoAnswer(causes(&error)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_LIMIT)
            .collect()
            .await;
        let body = body.map_err(|error| RecordError::NoAnswer(error.to_string()))?;
        let body = body.to_bytes();
        match status {
            status if status.is_success() => Ok(Some(body)),
            StatusCode::NOT_FOUND if reads => Ok(None),
            status => Err(error(status, &body)),
        }
    }

    /// A token for records that is valid for a while.
    fn token(&self) -> Result<String, serde_json::Error> {
        let now = Timestamp::now().as_second();
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if now + TOKEN_RENEWED >= token.1 {
            let expires = now + TOKEN_SECONDS;
            let scope = Scope::Records;
            *token = (self.signer.token(&Claims { scope, expires })?, expires);
        }
        Ok(token.0.clone())
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address without a slash at its end.
fn address(gateway: &str) -> Result<String, GatewayError> {
    let wrong = || GatewayError::Address(gateway.to_owned());
    let uri: Uri = gateway.parse().map_err(|_| wrong())?;
    // The sidecars of pods go to the same address, and end at once where it is another scheme.
    let scheme = uri.scheme_str() == Some("http");
    if !scheme || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
        return Err(wrong());
    }
    Ok(gateway.trim_end_matches('/').to_owned())
}

fn error(status: StatusCode, body: &[u8]) -> RecordError {
    let said: Option<Refused> = serde_json::from_slice(body).ok();
    let why = said.map_or_else(String::new, |said| one_line(&said.error.message, 300));
    let why = match why {
        none if none.is_empty() => status.to_string(),
        why => format!("{status}: {why}"),
    };
    match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => RecordError::NoAnswer(format!(
            "{why}; is --gateway the address that it takes logs at (its --ingest)?"
        )),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RecordError::Token(why),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => RecordError::NoAnswer(why),
        status if status.is_client_error() => RecordError::Refused(why),
        _ => RecordError::NoAnswer(why),
    }
}

/// An error with what caused it: the innermost says what happened.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    one_line(&text, 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_gateway_is_http_and_names_a_host() {
        for (given, kept) in [
            ("http://gateway:8081", "http://gateway:8081"),
            ("http://gateway/ingest/", "http://gateway/ingest"),
        ] {
            assert_eq!(address(given).unwrap(), kept);
        }
        for wrong in [
            "",
            "gateway:8081",
            "ftp://gateway",
            "https://gateway",
            "http://",
            "http://a/?b",
            "/v1",
        ] {
            let error = address(wrong).unwrap_err().to_string();
            assert!(error.contains("is no address of a gateway"), "{error}");
        }
    }

    #[test]
    fn an_answer_says_whether_it_is_about_this_record_or_about_all() {
        let refused = br#"{"error":{"code":"malformed","message":"no uid"}}"#;
        let code = |code: u16, body: &[u8]| error(StatusCode::from_u16(code).unwrap(), body);
        let this = code(400, refused);
        assert_eq!(
            this,
            RecordError::Refused("400 Bad Request: no uid".to_owned())
        );
        assert!(matches!(code(401, b""), RecordError::Token(_)));
        for all in [404, 408, 429, 500, 502, 503] {
            assert!(
                matches!(code(all, b"<html>"), RecordError::NoAnswer(_)),
                "{all}"
            );
        }
    }
}
