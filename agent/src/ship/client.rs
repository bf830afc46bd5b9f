//! What the sidecar says to the gateway, over one connection that is kept open.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use protocol::log::{FRAME, LogEnd, LogTaken, RefusalCode, Refused, Stream, WRITER_HEADER};
use sha2::{Digest, Sha256};
use ureq::{
    Agent, Body, RequestBuilder,
    http::{HeaderValue, Response, Uri, header, uri::Scheme},
    typestate::WithBody,
};
use zstd::zstd_safe::CParameter;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(5);
/// Header of an answer that says that the run is to be stopped: `CANCEL_HEADER` of the workers' protocol.
const CANCEL: &str = "prbuild-cancel";
/// Bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 64 << 10;
/// The fastest of zstd's ordinary levels.
const LEVEL: i32 = 1;

/// Why the gateway cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Something else than plain HTTP.
    #[error("the gateway's address `{0}` begins with something else than http://")]
    Scheme(String),
    /// No address.
    #[error("the gateway's address `{0}` is not a URL with a host")]
    Address(String),
    /// A name that would change the path of the address.
    #[error("`{0}` is not the name of a repository or a run")]
    Name(String),
    /// A token that no header can carry.
    #[error("the token has characters in it that no token has")]
    Token,
    /// No memory.
    #[error("zstd cannot be used: {0}")]
    Compressor(std::io::Error),
}

/// Why something was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The gateway says why.
    #[error("the gateway refuses the log: {message}")]
    Refused {
        /// For us.
        code: RefusalCode,
        /// For people.
        message: String,
    },
    /// No answer, or not one of a gateway.
    #[error("the gateway cannot be reached: {0}")]
    Unreachable(String),
}

/// Whose log is sent, and where to.
#[derive(Clone, Debug, Default)]
pub struct Destination {
    /// The gateway's URL: plain HTTP, or HTTPS where there is a `way`.
    pub gateway: String,
    /// Name of the Repository object.
    pub repository: String,
    /// The run's uid.
    pub run: String,
    /// What speaks to the gateway, for a worker; a pod's sidecar has its own.
    pub way: Option<Agent>,
    /// Is set when the gateway says that the run is to be stopped.
    pub cancelled: Arc<AtomicBool>,
}

/// The gateway, for one run.
pub struct Client {
    agent: Agent,
    base: String,
    bearer: HeaderValue,
    writer: HeaderValue,
    cancelled: Arc<AtomicBool>,
    compressor: zstd::bulk::Compressor<'static>,
}

impl Client {
    /// Connects to nothing yet. `writer` is who sends, for [`WRITER_HEADER`].
    pub fn new(to: &Destination, token: &str, writer: &str) -> Result<Self, ClientError> {
        let header = |text: &str| HeaderValue::from_str(text).map_err(|_| ClientError::Token);
        let mut bearer = header(&format!("Bearer {token}"))?;
        bearer.set_sensitive(true);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The token is for the gateway and for nobody between.
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .max_idle_connections(1)
            .user_agent(concat!("prbuild-agent/", env!("CARGO_PKG_VERSION")));
        let way = to.way.clone();
        Ok(Self {
            agent: way.unwrap_or_else(|| config.build().new_agent()),
            cancelled: to.cancelled.clone(),
            base: base(to)?,
            bearer,
            writer: header(writer)?,
            compressor: compressor().map_err(ClientError::Compressor)?,
        })
    }

    /// Sends bytes of a stream, at most [`CHUNK_LIMIT`](protocol::log::CHUNK_LIMIT), in at most that
    /// time. No bytes at offset 0 ask how much the gateway has.
    pub fn put(
        &mut self,
        stream: Stream,
        offset: u64,
        bytes: &[u8],
        limit: Duration,
    ) -> Result<LogTaken, SendError> {
        let body = self.packed(bytes);
        let body = body.map_err(|error| SendError::Unreachable(error.to_string()))?;
        let digest = BASE64_STANDARD.encode(Sha256::digest(&body));
        let address = format!("{}/{}?offset={offset}", self.base, stream.name());
        let request = self
            .request(self.agent.put(address), limit)
            .header(header::CONTENT_ENCODING, "zstd")
            .header("content-digest", format!("sha-256=:{digest}:"));
        self.answer(request.send(&body))
    }

    /// Frames of these bytes, as the gateway stores them.
    fn packed(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let (first, rest) = bytes.split_at(bytes.len().min(FRAME));
        let mut packed = self.compressor.compress(first)?;
        for part in rest.chunks(FRAME) {
            packed.extend(self.compressor.compress(part)?);
        }
        Ok(packed)
    }

    /// Says that nothing more comes.
    pub fn end(&mut self, end: LogEnd, limit: Duration) -> Result<LogTaken, SendError> {
        let body = serde_json::to_vec(&end);
        let body = body.map_err(|error| SendError::Unreachable(error.to_string()))?;
        let request = self.agent.post(format!("{}/end", self.base));
        let request = self.request(request, limit);
        self.answer(request.content_type("application/json").send(&body))
    }

    /// Reads an answer, and what its head says of the run.
    fn answer(&self, response: Result<Response<Body>, ureq::Error>) -> Result<LogTaken, SendError> {
        let is_to_stop = |response: &Response<Body>| response.headers().contains_key(CANCEL);
        if response.as_ref().is_ok_and(is_to_stop) {
            self.cancelled.store(true, Ordering::SeqCst);
        }
        answer(response)
    }

    fn request(
        &self,
        request: RequestBuilder<WithBody>,
        limit: Duration,
    ) -> RequestBuilder<WithBody> {
        request
            .header(header::AUTHORIZATION, &self.bearer)
            .header(WRITER_HEADER, &self.writer)
            .config()
            .timeout_global(Some(limit.min(REQUEST)))
            .build()
    }
}

/// A compressor whose frames tell of a damage.
fn compressor() -> io::Result<zstd::bulk::Compressor<'static>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

/// The address of a run's logs.
fn base(to: &Destination) -> Result<String, ClientError> {
    let wrong = || ClientError::Address(to.gateway.clone());
    let uri: Uri = to.gateway.parse().map_err(|_| wrong())?;
    let scheme = uri.scheme().ok_or_else(wrong)?;
    if scheme != &Scheme::HTTP && (scheme != &Scheme::HTTPS || to.way.is_none()) {
        return Err(ClientError::Scheme(to.gateway.clone()));
    }
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    if !has_host || uri.query().is_some() {
        return Err(wrong());
    }
    for name in [&to.repository, &to.run] {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_plain) {
            return Err(ClientError::Name(name.clone()));
        }
    }
    Ok(format!(
        "{}/v1/repositories/{}/runs/{}/logs",
        to.gateway.trim_end_matches('/'),
        to.repository,
        to.run
    ))
}

fn answer(response: Result<Response<Body>, ureq::Error>) -> Result<LogTaken, SendError> {
    let unreachable = |error: ureq::Error| SendError::Unreachable(error.to_string());
    let mut response = response.map_err(unreachable)?;
    let status = response.status();
    let body = response.body_mut().with_config().limit(ANSWER_LIMIT);
    let text = body.read_to_vec().map_err(unreachable)?;
    let foreign = |_| SendError::Unreachable(format!("something else answers, with {status}"));
    if status.is_success() {
        return serde_json::from_slice(&text).map_err(foreign);
    }
    let Refused { error, .. } = serde_json::from_slice(&text).map_err(foreign)?;
    Err(SendError::Refused {
        code: error.code,
        message: error.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(gateway: &str, repository: &str, run: &str, token: &str) -> String {
        let to = Destination {
            gateway: gateway.into(),
            repository: repository.into(),
            run: run.into(),
            ..Destination::default()
        };
        match Client::new(&to, token, "0") {
            Ok(client) => client.base,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_plain_http_is_spoken() {
        assert_eq!(
            refusal("https://gateway", "r", "u", "t"),
            "the gateway's address `https://gateway` begins with something else than http://"
        );
        for gateway in [
            "",
            "gateway",
            "/gateway",
            "http://",
            "http://g?x=1",
            "http://a b",
        ] {
            assert!(
                refusal(gateway, "r", "u", "t").contains("is not a URL with a host"),
                "{gateway}"
            );
        }
        assert_eq!(
            refusal("http://gateway:8081/", "r", "u", "t"),
            "http://gateway:8081/v1/repositories/r/runs/u/logs"
        );
    }

    #[test]
    fn no_name_leads_elsewhere_and_no_token_makes_a_header() {
        for name in ["", "..", "a/b", "a?b", "a%2fb", "a b", "a\r\nb"] {
            assert!(refusal("http://g", name, "u", "t").contains("is not the name"));
            assert!(refusal("http://g", "r", name, "t").contains("is not the name"));
        }
        assert!(refusal("http://g", "r", "u", "a\r\nb").contains("the token has"));
    }
}
