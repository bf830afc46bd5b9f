//! One connection pool for all connections, and how an answer is sorted. Nothing is sent twice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, LINK,
    LOCATION, USER_AGENT,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use crate::GithubError;
use crate::budget::{Ledger, Resource};
use crate::calls::Calls;
use crate::limit::{Limit, Told, limit};

/// The version of the REST API that every request asks for; GitHub keeps it until at least 2028.
const API_VERSION: &str = "2022-11-28";
/// A full page of pull requests has about 3 MB. What people made larger is read in parts.
const MOST_BYTES: usize = 16 << 20;

/// Time to reach GitHub; the time of a call goes on meanwhile.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// A repository has one new address; that of a new name may have moved on.
const MOST_MOVES: usize = 3;

/// The shared pool. It holds no credential, sends what it is given and nothing else, and follows nobody.
#[derive(Clone)]
pub(crate) struct Transport {
    pool: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    calls: Arc<Calls>,
}

/// One request.
pub(crate) struct Call<'a> {
    pub method: Method,
    /// Absolute URL, from the connection's own base.
    pub url: String,
    /// What errors say: method and path, without query.
    pub name: String,
    pub credential: Option<&'a SecretString>,
    /// JSON.
    pub body: Option<&'a str>,
    pub etag: Option<&'a str>,
    /// Where the answer's rate limits are noted. None for calls without credential.
    pub ledger: Option<(&'a Ledger, Resource)>,
}

/// A successful answer, or 304.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub date: Timestamp,
    pub etag: Option<String>,
    pub last_page: Option<i64>,
    pub next_cursor: Option<String>,
    /// What it says of limits.
    pub told: Told,
    pub body: Bytes,
}

impl Transport {
    pub fn new(timeout: Duration) -> std::io::Result<Self> {
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(CONNECT_TIME));
        http.set_nodelay(true);
        http.enforce_http(false);
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self {
            pool: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(https),
            timeout,
            calls: Arc::default(),
        })
    }

    /// How many requests were sent.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Sends one request, once. Where GitHub says that it was not carried out because the repository
    /// has another name now, it is sent there, within the time of the one call.
    pub async fn send(&self, mut call: Call<'_>) -> Result<Answer, GithubError> {
        if let Some((ledger, resource)) = call.ledger
            && let Some(pause) = ledger.paused(resource)
        {
            return Err(limited(call.name, pause));
        }
        let end = Instant::now() + self.timeout;
        let mut answer = self.timely(&call, end).await?;
        for _ in 0..MOST_MOVES {
            let Some(url) = moved(&call.method, &call.url, answer.0, &answer.1) else {
                break;
            };
            call.url = url;
            answer = self.timely(&call, end).await?;
        }
        let (status, headers, body) = answer;
        if let Some((ledger, resource)) = call.ledger {
            ledger.note(resource, &headers);
        }
        sort(call.name, status, &headers, body, call.ledger)
    }

    async fn timely(
        &self,
        call: &Call<'_>,
        end: Instant,
    ) -> Result<(StatusCode, HeaderMap, Bytes), GithubError> {
        let in_time = tokio::time::timeout_at(end, self.exchange(call)).await;
        let answer = in_time.unwrap_or_else(|_| {
            Err(GithubError::Unavailable {
                call: call.name.clone(),
                reason: format!("no answer within {} s", self.timeout.as_secs()),
            })
        });
        let status = answer.as_ref().ok().map(|(status, ..)| *status);
        self.calls.count(&call.name, status);
        answer
    }

    async fn exchange(
        &self,
        call: &Call<'_>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), GithubError> {
        let unavailable = |reason: String| GithubError::Unavailable {
            call: call.name.clone(),
            reason,
        };
        let request = request(call).map_err(|error| GithubError::Malformed {
            call: call.name.clone(),
            reason: error.to_string(),
        })?;
        let response = self
            .pool
            .request(request)
            .await
            .map_err(|error| unavailable(chain(&error)))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MOST_BYTES)
            .collect()
            .await
            .map_err(|error| match error.is::<LengthLimitError>() {
                true => GithubError::TooLarge {
                    call: call.name.clone(),
                },
                false => unavailable(format!("the answer was cut: {error}")),
            })?
            .to_bytes();
        Ok((parts.status, parts.headers, body))
    }
}

/// Where a request is to be sent instead, if GitHub says so and it is the same server: the credential
/// goes along. Of a write only where that means that it was not carried out.
fn moved(method: &Method, from: &str, status: StatusCode, headers: &HeaderMap) -> Option<String> {
    let is_moved = match status {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::GET,
        _ => false,
    };
    let to = text(headers, &LOCATION).filter(|_| is_moved)?;
    let origin = |url: &str| {
        let uri: http::Uri = url.parse().ok()?;
        Some((uri.scheme_str()?.to_owned(), uri.authority()?.to_string()))
    };
    let same = origin(from).is_some_and(|from| origin(&to) == Some(from));
    same.then_some(to)
}

fn request(call: &Call<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut builder = Request::builder()
        .method(&call.method)
        .uri(&call.url)
        .header(USER_AGENT, HeaderValue::from_static("prbuild"))
        .header(
            ACCEPT,
            HeaderValue::from_static("application/vnd.github+json"),
        )
        .header(
            HeaderName::from_static("x-github-api-version"),
            HeaderValue::from_static(API_VERSION),
        );
    if let Some(credential) = call.credential {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", credential.expose_secret()))?;
        value.set_sensitive(true);
        builder = builder.header(AUTHORIZATION, value);
    }
    if let Some(etag) = call.etag {
        builder = builder.header(IF_NONE_MATCH, etag);
    }
    if call.body.is_some() {
        builder = builder.header(CONTENT_TYPE, "application/json");
    }
    let body = call.body.unwrap_or_default().as_bytes();
    builder.body(Full::new(Bytes::copy_from_slice(body)))
}

/// Sorts an answer by what the caller can do about it.
fn sort(
    call: String,
    status: StatusCode,
    headers: &HeaderMap,
    body: Bytes,
    ledger: Option<(&Ledger, Resource)>,
) -> Result<Answer, GithubError> {
    let date = headers
        .get(DATE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| jiff::fmt::rfc2822::parse(value).ok())
        .map(|zoned| zoned.timestamp());
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        let Some(date) = date else {
            return Err(GithubError::Malformed {
                call,
                reason: "the answer has no Date".to_owned(),
            });
        };
        // Whether GraphQL did what was asked stands in the body.
        if let Some((ledger, Resource::Rest)) = ledger {
            ledger.went_well(Resource::Rest);
        }
        let link = text(headers, &LINK).unwrap_or_default();
        return Ok(Answer {
            status,
            date,
            etag: text(headers, &ETAG),
            last_page: crate::path::last_page(&link),
            next_cursor: crate::path::next_cursor(&link),
            told: Told::by(headers),
            body,
        });
    }
    let message = message(&body);
    let asked = date.unwrap_or_else(Timestamp::now);
    if let Some(limit) = limit(status.as_u16(), headers, &message, asked) {
        let limit = match ledger {
            Some((ledger, resource)) => ledger.pause(resource, limit),
            None => limit,
        };
        return Err(limited(call, limit));
    }
    Err(match status.as_u16() {
        401 => GithubError::Unauthorized { call, date },
        403 | 451 => GithubError::Forbidden { call, message },
        404 | 410 => GithubError::NotFound { call },
        400..500 => GithubError::Unprocessable { call, message },
        500.. => GithubError::Unavailable {
            call,
            reason: format!("status {}", status.as_u16()),
        },
        other => GithubError::Malformed {
            call,
            reason: format!("status {other}"),
        },
    })
}

fn limited(call: String, limit: Limit) -> GithubError {
    GithubError::RateLimited {
        call,
        until: limit.until,
        wait: limit.wait,
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// GitHub's own words for an error, shortened: they end in logs and conditions.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        message: String,
        #[serde(default)]
        errors: Vec<serde_json::Value>,
    }
    let Ok(wire) = serde_json::from_slice::<Wire>(body) else {
        return String::new();
    };
    let details = wire.errors.iter().filter_map(|error| {
        error
            .as_str()
            .or_else(|| error.get("message").and_then(|message| message.as_str()))
    });
    let mut all = vec![wire.message.as_str()];
    all.extend(details);
    all.join(": ")
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect()
}

/// An error with its causes: hyper's own text is a word or two.
fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !out.ends_with(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = cause.source();
    }
    out.chars().take(300).collect()
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
