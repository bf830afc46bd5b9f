//! A sender of logs as `prbuild-agent ship` is one, without a spool: prepared bytes, sent as fast as
//! the gateway takes them or at a pace.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use protocol::log::{FRAME, LogEnd, WRITER_HEADER};
use sha2::{Digest, Sha256};
use tests::story::Gateway;
use zstd::zstd_safe::CParameter;

use crate::Result;

/// A client that keeps its connections.
pub type Http = Client<HttpConnector, Full<Bytes>>;

/// A client that keeps its connections.
pub fn client() -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// A piece of log, ready to be sent.
#[derive(Clone)]
pub struct Chunk {
    /// Bytes before compression.
    pub size: u64,
    /// What is sent.
    pub body: Bytes,
    digest: String,
}

impl Chunk {
    /// Compresses as the agent does.
    pub fn of(text: &[u8]) -> Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(1)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        let mut body = Vec::new();
        for part in text.chunks(FRAME) {
            body.extend(compressor.compress(part)?);
        }
        let digest = STANDARD.encode(Sha256::digest(&body));
        Ok(Self {
            size: text.len() as u64,
            body: body.into(),
            digest: format!("sha-256=:{digest}:"),
        })
    }
}

/// Lines as a test program prints them, each another one.
pub fn lines(from: usize, bytes: usize) -> Vec<u8> {
    let mut text = String::with_capacity(bytes + 128);
    let mut n = from;
    while text.len() < bytes {
        let spent = n.wrapping_mul(2_654_435_761) % 100_000;
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            "0:{:02}:{:02} load avg: {}.{:02} [{n}] test_module_{spent}.TestCase_{}.test_{n:x} ... ok",
            n / 60 % 60,
            n % 60,
            spent % 9,
            spent % 100,
            n % 97,
        );
        n += 1;
    }
    text.truncate(bytes);
    text.into_bytes()
}

/// Sends the log of one run.
pub struct Sender {
    http: Http,
    base: String,
    token: String,
    writer: String,
    offset: u64,
}

impl Sender {
    /// A sender for a run that nobody has heard of yet.
    pub fn new(http: &Http, gateway: &Gateway, run: &str) -> Self {
        Self {
            http: http.clone(),
            base: format!(
                "{}/v1/repositories/app/runs/{run}/logs",
                gateway.ingest_url()
            ),
            token: gateway.log_token(run),
            writer: hex::encode(&Sha256::digest(run)[..16]),
            offset: 0,
        }
    }

    /// Sends the next bytes, and waits until they are received.
    pub async fn send(&mut self, chunk: &Chunk) -> Result<()> {
        let uri = format!("{}/log?offset={}", self.base, self.offset);
        let request = self
            .request(Method::PUT, &uri)
            .header("content-encoding", "zstd")
            .header("content-digest", &chunk.digest)
            .body(Full::new(chunk.body.clone()))?;
        self.answered(request).await?;
        self.offset += chunk.size;
        Ok(())
    }

    /// Says that nothing more comes.
    pub async fn end(&mut self) -> Result<()> {
        let end = LogEnd {
            log: self.offset,
            marks: 0,
            left_out: 0,
            unfinished: false,
        };
        let uri = format!("{}/end", self.base);
        let request = self
            .request(Method::POST, &uri)
            .header("content-type", "application/json");
        let request = request.body(Full::from(serde_json::to_vec(&end)?))?;
        self.answered(request).await
    }

    fn request(&self, method: Method, uri: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", format!("Bearer {}", self.token))
            .header(WRITER_HEADER, &self.writer)
    }

    async fn answered(&self, request: Request<Full<Bytes>>) -> Result<()> {
        let answer = self.http.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        match status {
            StatusCode::OK => Ok(()),
            _ => Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into()),
        }
    }
}
