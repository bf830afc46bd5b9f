//! HTTP request → Delivery. Everything that is cheap to refuse is refused before a byte of the body
//! is read, in constant words: an error message is no place to echo a stranger.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, TRANSFER_ENCODING,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::handle::{App, LIMIT, Outcome, milliseconds};
use crate::signature::{self, Delivery};
use crate::turns::{self, Turns};

/// Bytes of a body. GitHub's `labeled` has 30 kB; it caps its own at 25 MB.
pub const MOST_BYTES: usize = 2 << 20;
/// Bytes of all bodies that are being read.
const MOST_BYTES_TOGETHER: usize = 32 << 20;
/// Bytes of each body that take none of that room: so many have the connections, and strangers with long
/// bodies keep no ordinary delivery out.
const FREE_BYTES: usize = 64 << 10;
/// Time for a body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What all requests share.
pub struct Entrance {
    app: Arc<App>,
    bytes: Arc<Semaphore>,
    turns: Turns,
}

/// Why a request is no delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NotFound,
    Method,
    MediaType,
    Malformed,
    TooLarge,
    Slow,
    Busy,
    Unsigned,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unsigned => StatusCode::UNAUTHORIZED,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::MediaType => "media_type",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Slow => "slow",
            Self::Busy => "busy",
            Self::Unsigned => "unsigned",
        }
    }
}

impl Entrance {
    /// The entrance to this app.
    pub fn new(app: Arc<App>) -> Self {
        Self {
            app,
            bytes: Arc::new(Semaphore::new(MOST_BYTES_TOGETHER)),
            turns: Turns::default(),
        }
    }

    /// Answers one request.
    pub async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        // A proxy that went by a length which hyper has dropped sees another request behind this
        // one. On a connection that ends here there is none.
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let began = Instant::now();
        let (mut response, word) = match self.delivery(request).await {
            // Its bytes count until it is answered: so much may wait for its turn.
            Ok((delivery, _held)) => self.deliver(delivery, began).await,
            Err(refusal) => (refused(refusal), refusal.word()),
        };
        if chunked {
            close(&mut response);
        }
        self.app.metrics.delivery(word);
        response
    }

    async fn delivery(
        &self,
        request: Request<Incoming>,
    ) -> Result<(Delivery, Option<OwnedSemaphorePermit>), Refusal> {
        let (parts, body) = request.into_parts();
        if parts.uri.path() != "/webhook" {
            return Err(Refusal::NotFound);
        }
        if parts.method != Method::POST {
            return Err(Refusal::Method);
        }
        check_headers(&parts.headers)?;
        let event = once(&parts.headers, "x-github-event").ok_or(Refusal::Malformed)?;
        let id = once(&parts.headers, "x-github-delivery").ok_or(Refusal::Malformed)?;
        let signature = once(&parts.headers, "x-hub-signature-256").ok_or(Refusal::Unsigned)?;
        let length = content_length(&parts.headers)?;
        let (body, held) = read(body, length, &self.bytes).await?;
        let delivery = Delivery {
            event: event.to_owned(),
            id: id.chars().take(64).collect(),
            signature: signature.to_owned(),
            body,
        };
        Ok((delivery, held))
    }

    async fn deliver(
        &self,
        delivery: Delivery,
        began: Instant,
    ) -> (Response<Full<Bytes>>, &'static str) {
        let connections = self.app.connections.all();
        let verified = signature::verify(delivery, connections.iter().map(AsRef::as_ref));
        let Ok(verified) = verified else {
            return (refused(Refusal::Unsigned), Refusal::Unsigned.word());
        };
        let deadline = std::time::Instant::now() + LIMIT;
        let event = match self.app.read(&verified) {
            Ok(event) => event,
            Err(outcome) => {
                // Most of them, and they start nothing: the metric counts them by their reason.
                let word = outcome.word();
                tracing::debug!(delivery = verified.id(), outcome = word, "delivery");
                return (answered(outcome), word);
            }
        };
        let Some(_turn) = self.turns.of(&event, turns::PATIENCE).await else {
            tracing::warn!(delivery = verified.id(), "too many at a time");
            return (refused(Refusal::Busy), Refusal::Busy.word());
        };
        // Boxed: most deliveries end before this, and all would carry its many kilobytes.
        let outcome = Box::pin(self.app.act(&verified, &event, deadline)).await;
        tracing::info!(
            delivery = verified.id(),
            body = verified.digest(),
            outcome = outcome.word(),
            took_ms = milliseconds(began.elapsed()),
            "delivery"
        );
        (answered(outcome), outcome.word())
    }
}

/// Reads a body, as long as it is neither long nor slow, and all bodies together fit. What it holds of their
/// room is one permit, however many pieces it comes in: a stranger chooses how small they are.
async fn read<B: Body<Data = Bytes> + Unpin>(
    mut body: B,
    length: Option<usize>,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    let end = Instant::now() + BODY_TIME;
    let mut read = BytesMut::with_capacity(length.unwrap_or(0).min(FREE_BYTES));
    let mut held: Option<OwnedSemaphorePermit> = None;
    loop {
        let frame = tokio::time::timeout_at(end, body.frame()).await;
        let frame = match frame.map_err(|_| Refusal::Slow)? {
            Some(frame) => frame.map_err(|_| Refusal::Malformed)?,
            None => return Ok((read.freeze(), held)),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > MOST_BYTES {
            return Err(Refusal::TooLarge);
        }
        let beyond = |bytes: usize| bytes.saturating_sub(FREE_BYTES);
        let bytes = beyond(read.len() + data.len()) - beyond(read.len());
        if bytes > 0 {
            let bytes = u32::try_from(bytes).map_err(|_| Refusal::TooLarge)?;
            let more = room.clone().try_acquire_many_owned(bytes);
            let more = more.map_err(|_| Refusal::Busy)?;
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
        }
        read.extend_from_slice(&data);
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    let json = once(headers, "content-type").ok_or(Refusal::MediaType)?;
    let kind = json.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") || headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::MediaType);
    }
    Ok(())
}

fn content_length(headers: &HeaderMap) -> Result<Option<usize>, Refusal> {
    if !headers.contains_key(CONTENT_LENGTH) {
        return Ok(None);
    }
    let length = once(headers, "content-length").and_then(|text| text.parse().ok());
    match length {
        Some(length) if length <= MOST_BYTES => Ok(Some(length)),
        Some(_) => Err(Refusal::TooLarge),
        None => Err(Refusal::Malformed),
    }
}

/// The value of a header that is there exactly once and is ASCII.
fn once<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn refused(refusal: Refusal) -> Response<Full<Bytes>> {
    let mut response = response(refusal.status());
    if refusal == Refusal::Method {
        let post = HeaderValue::from_static("POST");
        response.headers_mut().insert(ALLOW, post);
    }
    // The body was not read to its end: the connection cannot be used again.
    close(&mut response);
    response
}

fn close(response: &mut Response<Full<Bytes>>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

fn answered(outcome: Outcome) -> Response<Full<Bytes>> {
    response(match outcome {
        Outcome::Stored(_) => StatusCode::ACCEPTED,
        Outcome::Ignored(_) => StatusCode::OK,
        Outcome::Foreign => StatusCode::UNAUTHORIZED,
        Outcome::Later(_) => StatusCode::SERVICE_UNAVAILABLE,
        Outcome::Taken => StatusCode::CONFLICT,
    })
}

/// A response whose body is the status in words, and nothing else.
fn response(status: StatusCode) -> Response<Full<Bytes>> {
    let words = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Full::from(words));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    /// A body that comes byte by byte.
    fn in_pieces(bytes: usize) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let piece = |_| Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"a")));
        StreamBody::new(stream::iter((0..bytes).map(piece)))
    }

    #[tokio::test]
    async fn s08_a_body_in_many_small_pieces_holds_its_bytes_of_the_room_and_no_memory_beside() {
        let room = Arc::new(Semaphore::new(10_000));
        let long = |beyond| in_pieces(FREE_BYTES + beyond);
        let (body, held) = read(long(9_000), None, &room).await.expect("a body");
        let (read_bytes, left) = (body.len() - FREE_BYTES, room.available_permits());
        assert_eq!((read_bytes, left), (9_000, 1_000));
        let permits: Vec<usize> = held.iter().map(|held| held.num_permits()).collect();
        assert_eq!(permits, [9_000], "one permit for all of it");
        let crowded = read(long(1_001), None, &room).await;
        assert_eq!(crowded.map(|(body, _)| body.len()), Err(Refusal::Busy));
        assert_eq!(room.available_permits(), 1_000);
        drop(held);
        assert_eq!(room.available_permits(), 10_000);
    }

    #[tokio::test]
    async fn s08_bodies_that_take_all_the_room_keep_no_ordinary_delivery_out() {
        let room = Arc::new(Semaphore::new(0));
        let ordinary = read(in_pieces(30_000), None, &room).await;
        assert_eq!(ordinary.map(|(body, _)| body.len()), Ok(30_000));
        let long = read(in_pieces(FREE_BYTES + 1), None, &room).await;
        assert_eq!(long.map(|(body, _)| body.len()), Err(Refusal::Busy));
    }

    #[tokio::test]
    async fn s08_a_body_without_a_length_is_refused_where_it_gets_too_long() {
        let room = Arc::new(Semaphore::new(2 * MOST_BYTES));
        let long = Full::new(Bytes::from(vec![b'a'; MOST_BYTES + 1]));
        let refused = read(long, None, &room).await;
        assert_eq!(refused.map(|(body, _)| body.len()), Err(Refusal::TooLarge));
        let empty = read(in_pieces(0), Some(0), &room).await;
        assert_eq!(empty.map(|(body, _)| body.len()), Ok(0));
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn s09_only_plain_json_is_read() {
        for (pairs, expected) in [
            (&[("content-type", "application/json")][..], Ok(())),
            (
                &[("content-type", "application/json; charset=utf-8")][..],
                Ok(()),
            ),
            (&[][..], Err(Refusal::MediaType)),
            (
                &[("content-type", "application/x-www-form-urlencoded")][..],
                Err(Refusal::MediaType),
            ),
            (
                &[
                    ("content-type", "application/json"),
                    ("content-encoding", "gzip"),
                ][..],
                Err(Refusal::MediaType),
            ),
        ] {
            assert_eq!(check_headers(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn s03_a_header_that_is_there_twice_is_not_there() {
        let twice = headers(&[("x-hub-signature-256", "a"), ("x-hub-signature-256", "a")]);
        assert_eq!(once(&twice, "x-hub-signature-256"), None);
        let mut latin = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"sha256=\xe4").expect("a header value");
        latin.insert("x-hub-signature-256", value);
        assert_eq!(once(&latin, "x-hub-signature-256"), None);
    }

    #[test]
    fn s08_a_length_over_the_limit_is_refused_before_the_body() {
        let over = headers(&[("content-length", "2097153")]);
        assert_eq!(content_length(&over), Err(Refusal::TooLarge));
        let at = headers(&[("content-length", "2097152")]);
        assert_eq!(content_length(&at), Ok(Some(MOST_BYTES)));
        let odd = headers(&[("content-length", "-1")]);
        assert_eq!(content_length(&odd), Err(Refusal::Malformed));
    }

    #[test]
    fn a_refusal_says_only_its_status() {
        let response = refused(Refusal::Unsigned);
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[CONNECTION], "close");
    }
}
