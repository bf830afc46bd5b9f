//! The listener for build pods and the operator: logs and records come in here.
//!
//! Nothing is read, looked up or answered for whoever shows no valid token.

pub mod answer;
pub mod body;
pub mod chunk;
pub mod route;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use hyper::body::Body;
use protocol::log::{CHUNK_LIMIT, LogEnd, Stream, WRITER_HEADER};
use protocol::token::{PublicKeys, Scope};

use self::answer::{Answer, No, bytes, close, empty, json, other_method};
use self::body::{BodyError, Read, Room};
use self::chunk::{ChunkHead, once};
use self::route::{Route, RunNames, route};
use crate::app::App;
use crate::logs::frames::Arrived;
use crate::logs::live::{OpenRun, now};
use crate::logs::stream::TakeError;
use crate::names::{RunKey, is_writer};
use crate::records::{RECORD_LIMIT, RecordKey, without_tokens};

/// Bytes of a chunk's body: text that does not shrink grows a little.
const BODY_LIMIT: usize = CHUNK_LIMIT + (16 << 10);
/// Bytes of a [`LogEnd`].
const END_LIMIT: usize = 4 << 10;

/// Stands among the extensions of a request whose sender signs at the end what it sent: an agent of a worker.
#[derive(Clone, Copy, Debug)]
pub struct IsSigned;

/// What all requests share.
pub struct Ingest {
    app: Arc<App>,
    keys: PublicKeys,
    room: Room,
}

impl Ingest {
    /// The ingest of this gateway, for tokens that one of these keys signed.
    pub fn new(app: Arc<App>, keys: PublicKeys) -> Self {
        Self {
            app,
            keys,
            room: Room::default(),
        }
    }

    /// Answers one request.
    pub async fn respond<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let answer = match route(&head.method, &path) {
            Route::Log(run, stream) => self.log(run, stream, &head, body).await,
            Route::End(run) => self.end(run, &head, body).await,
            Route::PutRecord(key) => self.put_record(key, &head, body).await,
            Route::GetRecord(key) => self.get_record(key, &head).await,
            Route::OtherMethod(allowed) => Ok(unread(other_method(allowed))),
            Route::Unknown => Ok(unread(empty(StatusCode::NOT_FOUND))),
        };
        answer.unwrap_or_else(|no| {
            self.app.metrics.refused(no.word());
            no.answer()
        })
    }

    async fn log<B>(
        &self,
        names: RunNames<'_>,
        stream: Stream,
        head: &Parts,
        body: B,
    ) -> Result<Answer, No>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let run = self.run(names, head).await.map_err(No::unread)?;
        let received = || Some(run.stream(stream).taken().received);
        let chunk = ChunkHead::of(head.uri.query(), &head.headers)
            .map_err(|what| No::malformed(what, received()).unread())?;
        if head.extensions.get::<IsSigned>().is_some() {
            run.keep_digests();
        }
        run.room(stream)
            .await
            .map_err(|error| No::from(error).unread())?;
        let read = self.room.read(body, BODY_LIMIT).await;
        let read = read.map_err(|error| unread_body(error, received()))?;
        let limit = self.app.logs.limit(stream);
        let take = |arrived: Arrived<'_>| run.take(stream, chunk.offset, arrived, limit);
        let opened = chunk.open(&read.bytes, take);
        let taken = match opened.map_err(|what| No::malformed(what, received()))? {
            Err(TakeError::Gap(..)) => {
                // Another gateway may have taken in what is missing here.
                run.stream(stream).catch_up().await?;
                chunk
                    .open(&read.bytes, take)
                    .map_err(|what| No::malformed(what, received()))?
            }
            taken => taken,
        };
        Ok(json(StatusCode::OK, &taken?))
    }

    async fn end<B>(&self, names: RunNames<'_>, head: &Parts, body: B) -> Result<Answer, No>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let run = self.run(names, head).await.map_err(No::unread)?;
        let received = || Some(run.stream(Stream::Log).taken().received);
        let read = self.room.read(body, END_LIMIT).await;
        let read = read.map_err(|error| unread_body(error, received()))?;
        let end: LogEnd = serde_json::from_slice(&read.bytes)
            .map_err(|error| No::malformed(format!("no end of a log: {error}"), received()))?;
        let taken = match self.app.logs.end(&run, end).await {
            Err(TakeError::Gap(stream, _)) => {
                run.stream(stream).catch_up().await?;
                self.app.logs.end(&run, end).await
            }
            taken => taken,
        };
        Ok(json(StatusCode::OK, &taken?))
    }

    /// The run that this request may write.
    async fn run(&self, names: RunNames<'_>, head: &Parts) -> Result<Arc<OpenRun>, No> {
        match self.scope(head)? {
            Scope::Log(scope) if scope.repository == names.repository && scope.run == names.run => {
            }
            _ => return Err(No::token()),
        }
        let key = RunKey::new(names.repository, names.run)
            .ok_or_else(|| No::malformed("a name in the address has the wrong shape", None))?;
        let writer = once(&head.headers, WRITER_HEADER);
        let writer = writer
            .ok()
            .flatten()
            .filter(|writer| is_writer(writer))
            .ok_or_else(|| {
                No::malformed(
                    format!("the header {WRITER_HEADER} needs 32 hexadecimal digits"),
                    None,
                )
            })?;
        Ok(self.app.logs.writer(&key, writer).await?)
    }

    async fn put_record<B>(
        &self,
        key: Option<RecordKey>,
        head: &Parts,
        body: B,
    ) -> Result<Answer, No>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let key = self.record(key, head).map_err(No::unread)?;
        let read = self.room.read(body, RECORD_LIMIT).await;
        let Read { bytes, .. } = read.map_err(|error| unread_body(error, None))?;
        key.check(&bytes)?;
        self.app.records.put(&key, without_tokens(bytes)).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    async fn get_record(&self, key: Option<RecordKey>, head: &Parts) -> Result<Answer, No> {
        let key = self.record(key, head)?;
        Ok(match self.app.records.bytes(&key).await? {
            Some(record) => bytes(StatusCode::OK, record),
            None => empty(StatusCode::NOT_FOUND),
        })
    }

    fn record(&self, key: Option<RecordKey>, head: &Parts) -> Result<RecordKey, No> {
        match self.scope(head)? {
            Scope::Records => {}
            Scope::Log(_) => return Err(No::token()),
        }
        key.ok_or_else(|| No::malformed("a name in the address has the wrong shape", None))
    }

    fn scope(&self, head: &Parts) -> Result<Scope, No> {
        let header = once(&head.headers, "authorization").ok().flatten();
        let token = header.and_then(|text| text.strip_prefix("Bearer "));
        let claims = token.and_then(|token| self.keys.check(token.trim(), now()).ok());
        claims.map(|claims| claims.scope).ok_or_else(No::token)
    }
}

fn unread(mut answer: Answer) -> Answer {
    close(&mut answer);
    answer
}

fn unread_body(error: BodyError, received: Option<u64>) -> No {
    match error {
        BodyError::Long => No::malformed("the body is longer than it may be", received),
        BodyError::Cut => No::malformed("the body did not arrive whole, or in time", received),
        BodyError::Busy => No::busy(received),
    }
    .unread()
}

#[cfg(test)]
mod signed_tests;
#[cfg(test)]
mod tests;
