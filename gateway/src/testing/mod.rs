//! What tests share: a store that goes wrong where it is told to, gateways on it, and senders.

pub mod faulty;

use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use protocol::log::{LogEnd, LogTaken, RefusalCode, Refused, Stream, WRITER_HEADER};
use protocol::token::{Claims, LogScope, PublicKeys, Scope, Signer};

use self::faulty::Faulty;
use crate::app::App;
use crate::ingest::Ingest;
use crate::logs::frames;
use crate::logs::live::now;
use crate::logs::{LogOptions, LogReader, Logs};
use crate::metrics::Metrics;
use crate::names::RunKey;
use crate::records::Records;
use crate::retention::Keep;
use crate::store::Store;

/// Name of the Repository in tests.
pub const REPOSITORY: &str = "app";
/// Uid of the run.
pub const RUN: &str = "0b1c5d0e-7a55-4bb2-9d11-ab12cd34ef56";
/// The sender's id.
pub const WRITER: &str = "00112233445566778899aabbccddeeff";
/// What is kept, and for how long.
pub const KEEP: Keep = Keep {
    days: 90,
    repository: 20 << 30,
    store: None,
};
/// Bytes of a log that are kept.
pub const LOG_LIMIT: u64 = 4 << 20;

/// A gateway, as a process has it: dropped, all that it knew is gone.
pub struct Gateway {
    pub app: Arc<App>,
    pub store: Store,
    pub ingest: Ingest,
}

/// The operator.
pub fn operator() -> Signer {
    Signer::from_seed(&[7; 32])
}

impl Gateway {
    pub fn on(objects: &Faulty) -> Self {
        let metrics = Arc::new(Metrics::default());
        let store = Store::around(Arc::new(objects.clone()), metrics.clone());
        Self::with(store, metrics)
    }

    pub fn with(store: Store, metrics: Arc<Metrics>) -> Self {
        let options = LogOptions {
            log_limit: LOG_LIMIT,
        };
        let app = Arc::new(App {
            logs: Logs::new(store.clone(), options, metrics.clone()),
            records: Records::new(store.clone()),
            metrics,
            keep: KEEP,
        });
        let keys = PublicKeys::from_pem(&operator().public_pem().unwrap()).unwrap();
        let ingest = Ingest::new(app.clone(), keys);
        Self { app, store, ingest }
    }

    pub async fn answer(&self, request: Request<Full<Bytes>>) -> (StatusCode, Bytes) {
        let (head, body) = self.ingest.respond(request).await.into_parts();
        (head.status, body.collect().await.unwrap().to_bytes())
    }

    pub async fn reader(&self, stream: Stream) -> Option<LogReader> {
        self.app.logs.open(REPOSITORY, RUN, stream).await.unwrap()
    }

    /// All of a log, read as a page reads it.
    pub async fn text(&self, stream: Stream) -> Vec<u8> {
        let reader = self.reader(stream).await.unwrap();
        let mut text = Vec::new();
        loop {
            let part = reader.read(text.len() as u64..u64::MAX).await.unwrap();
            if part.is_empty() {
                return text;
            }
            text.extend_from_slice(&part);
        }
    }

    /// Waits until a log that has ended is one file.
    pub async fn archived(&self) {
        let run = self.app.logs.in_memory(&key()).unwrap();
        while Stream::ALL
            .iter()
            .any(|stream| run.stream(*stream).archive().is_none())
        {
            tokio::task::yield_now().await;
        }
    }
}

/// The run in tests.
pub fn key() -> RunKey {
    RunKey::new(REPOSITORY, RUN).unwrap()
}

pub fn log_scope() -> Scope {
    Scope::Log(LogScope {
        repository: REPOSITORY.to_owned(),
        run: RUN.to_owned(),
        attempt: 1,
    })
}

pub fn token_of(signer: &Signer, scope: Scope, expires: i64) -> String {
    signer.token(&Claims { scope, expires }).unwrap()
}

/// The token of the run's sender. Signing takes most of the time of a small test.
static LOG_TOKEN: LazyLock<String> = LazyLock::new(|| token(log_scope()));

pub fn token(scope: Scope) -> String {
    token_of(&operator(), scope, now() + 3600)
}

pub fn digest_header(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest(&SHA256, body)))
}

pub fn sha256(text: &[u8]) -> String {
    hex::encode(digest(&SHA256, text))
}

/// A PUT of this body, as an honest sender makes it.
pub fn put(stream: Stream, offset: u64, sent: &[u8]) -> http::request::Builder {
    let path = format!(
        "/v1/repositories/{REPOSITORY}/runs/{RUN}/logs/{}?offset={offset}",
        stream.name()
    );
    Request::put(path)
        .header("authorization", format!("Bearer {}", *LOG_TOKEN))
        .header(WRITER_HEADER, WRITER)
        .header("content-digest", digest_header(sent))
}

pub fn zstd_put(stream: Stream, offset: u64, text: &[u8]) -> Request<Full<Bytes>> {
    let body = frames::encode(text).unwrap();
    let request = put(stream, offset, &body).header("content-encoding", "zstd");
    request.body(Full::from(body)).unwrap()
}

pub fn end_post(end: &LogEnd) -> Request<Full<Bytes>> {
    Request::post(format!("/v1/repositories/{REPOSITORY}/runs/{RUN}/logs/end"))
        .header("authorization", format!("Bearer {}", *LOG_TOKEN))
        .header(WRITER_HEADER, WRITER)
        .body(Full::from(serde_json::to_vec(end).unwrap()))
        .unwrap()
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    Taken(LogTaken),
    Refused(RefusalCode, Option<u64>),
}

pub fn came(status: StatusCode, body: &[u8]) -> Came {
    match status {
        StatusCode::OK => Came::Taken(serde_json::from_slice(body).unwrap()),
        _ => {
            let refused: Refused = serde_json::from_slice(body).unwrap();
            Came::Refused(refused.error.code, refused.received)
        }
    }
}

impl Gateway {
    pub async fn put(&self, stream: Stream, offset: u64, text: &[u8]) -> Came {
        let (status, body) = self.answer(zstd_put(stream, offset, text)).await;
        came(status, &body)
    }

    pub async fn end(&self, end: LogEnd) -> Came {
        let (status, body) = self.answer(end_post(&end)).await;
        came(status, &body)
    }
}

/// Random numbers that are the same each time.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

/// A log of about this many bytes.
pub fn sample(bytes: usize) -> Vec<u8> {
    let mut random = Random(bytes as u64);
    let mut text = Vec::new();
    while text.len() < bytes {
        let words = [
            "test_ssl",
            "ok",
            "FAILED",
            "\r 50 %",
            "\u{1b}[31mred",
            "\0",
            "ü",
            "\n",
        ];
        text.extend_from_slice(words[random.below(words.len())].as_bytes());
        text.extend_from_slice(format!(" {:x} ", random.below(1 << 30)).as_bytes());
        if random.below(3) == 0 {
            text.push(b'\n');
        }
    }
    text
}
