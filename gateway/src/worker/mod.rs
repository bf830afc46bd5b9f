//! The listener for agents of physical workers: sessions, work, results, logs.
//!
//! What is true stands in Worker and Assignment objects and is changed by compare-and-swap before it is answered,
//! so a restart is invisible and several gateways work side by side. In memory is only who was heard of when.
//! What an agent and the operator sign passes through and is checked on the way, so that a mistake is told at
//! once; whoever relies on it checks for himself.

mod alone;
mod assign;
mod heartbeat;
mod keeper;
mod objects;
mod poll;
mod route;
mod seen;
mod session;
mod status;
mod ticket;
mod turns;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Body;
use jiff::Timestamp;
use kube::Client;
use protocol::token::PublicKeys;
use protocol::worker::fault::{Fault, FaultCode};
use protocol::worker::keys::{KeyChain, KeySet};
use protocol::worker::wire::BODY_LIMIT;
use protocol::worker::{CANCEL_HEADER, PROTOCOL, PROTOCOL_HEADER, TIME_HEADER, key};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

pub use ticket::Tickets;

use crate::ingest::answer::{Answer, json};
use crate::ingest::body::{BodyError, Room};
use crate::ingest::chunk::once;
use crate::ingest::{Ingest, IsSigned};
use crate::metrics::Metrics;
use objects::Objects;
use route::{Route, route};
use seen::Seen;
use turns::Turns;

/// What all requests of agents share.
pub struct Workers {
    objects: Arc<Objects>,
    seen: Seen,
    turns: Turns,
    tickets: Tickets,
    chain: KeyChain,
    ingest: Arc<Ingest>,
    room: Room,
    stop: CancellationToken,
}

impl Workers {
    /// The listener of a gateway whose objects live in this namespace.
    pub fn new(
        client: Client,
        namespace: &str,
        tickets: Tickets,
        chain: KeyChain,
        ingest: Arc<Ingest>,
        stop: CancellationToken,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            objects: Arc::new(Objects::new(&client, namespace, metrics)),
            seen: Seen::default(),
            turns: Turns::default(),
            tickets,
            chain,
            ingest,
            room: Room::default(),
            stop,
        }
    }

    /// Follows the objects, and writes down who is there, for ever.
    pub async fn run(self: Arc<Self>) {
        let objects = self.objects.clone();
        tokio::join!(objects.follow(), keeper::run(&self));
    }

    /// Answers one request.
    pub async fn respond<B>(self: Arc<Self>, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let path = request.uri().path().to_owned();
        let mut answer = match route(request.method(), &path) {
            Route::Log(run) => self.log(run, request).await,
            Route::Unknown => fault(&Fault::new(
                FaultCode::Malformed,
                "there is no such address",
            )),
            Route::Keys => json(StatusCode::OK, &self.chain),
            route => {
                let (head, body) = request.into_parts();
                match self.act(route, &head, body).await {
                    Ok(answer) => answer,
                    Err(refused) => fault(&refused),
                }
            }
        };
        let now = HeaderValue::from(Timestamp::now().as_second());
        answer.headers_mut().insert(TIME_HEADER, now);
        answer
    }

    async fn act<B>(&self, route: Route<'_>, head: &Parts, body: B) -> Result<Answer, Fault>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        speaks(head)?;
        if !self.objects.are_read() {
            let why = "the gateway has just started and has not read the cluster yet";
            return Err(Fault::new(FaultCode::Unavailable, why).after(1));
        }
        // It takes its room until it is answered: the cluster may be slow, and many may ask.
        let read = self.room.read(body, BODY_LIMIT).await;
        let read = read.map_err(unread)?;
        let body = &read.bytes;
        match route {
            Route::Nonce => Ok(json(StatusCode::OK, &self.nonce(&parsed(body)?))),
            Route::Open => Ok(json(StatusCode::OK, &self.open(&parsed(body)?).await?)),
            Route::Close => {
                let worker = self.session(head)?;
                Ok(json(StatusCode::OK, &self.close(&worker, parsed(body)?)))
            }
            Route::Poll => {
                let worker = self.session(head)?;
                let said = parsed(body)?;
                // A poll is held for long, and what is held has to be small.
                drop(read);
                Ok(json(StatusCode::OK, &self.poll(worker, said).await?))
            }
            Route::Heartbeat => {
                let worker = self.session(head)?;
                let said = parsed(body)?;
                Ok(json(StatusCode::OK, &self.heartbeat(&worker, said).await?))
            }
            Route::Accept(id) => {
                let worker = self.session(head)?;
                Ok(json(StatusCode::OK, &self.accept(&worker, id).await?))
            }
            Route::Decline(id) => {
                let worker = self.session(head)?;
                let said = parsed(body)?;
                Ok(json(
                    StatusCode::OK,
                    &self.decline(&worker, id, said).await?,
                ))
            }
            Route::Complete(id) => {
                let worker = self.session(head)?;
                let signed = parsed(body)?;
                Ok(json(
                    StatusCode::OK,
                    &self.complete(&worker, id, signed).await?,
                ))
            }
            Route::Keys | Route::Log(_) | Route::Unknown => {
                Err(Fault::new(FaultCode::Malformed, "there is no such address"))
            }
        }
    }

    /// Bytes of a log take the way that those of pods take; the answer also says when to stop.
    async fn log<B>(&self, run: &str, mut request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        request.extensions_mut().insert(IsSigned);
        let mut answer = self.ingest.respond(request).await;
        if self.objects.is_cancelled(run) {
            let stop = HeaderValue::from_static("1");
            answer.headers_mut().insert(CANCEL_HEADER, stop);
        }
        answer
    }
}

/// The first characters of what somebody else wrote.
fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// Whether the agent speaks this version of the protocol.
fn speaks(head: &Parts) -> Result<(), Fault> {
    let said = once(&head.headers, PROTOCOL_HEADER).ok().flatten();
    match said.and_then(|text| text.parse::<u32>().ok()) {
        Some(PROTOCOL) => Ok(()),
        _ => {
            let why = format!(
                "this gateway speaks version {PROTOCOL} of the protocol of workers; install the agent of the same release"
            );
            Err(Fault::new(FaultCode::Protocol, why).after(300))
        }
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let parsed = serde_json::from_slice(body);
    parsed.map_err(|error| {
        Fault::new(
            FaultCode::Malformed,
            format!("the body is not what it should be: {error}"),
        )
    })
}

fn unread(error: BodyError) -> Fault {
    match error {
        BodyError::Long => Fault::new(FaultCode::Long, "the body is longer than it may be"),
        BodyError::Cut => Fault::new(FaultCode::Busy, "the body did not arrive whole, or in time"),
        BodyError::Busy => Fault::new(FaultCode::Busy, "too many requests at a time").after(5),
    }
}

fn fault(fault: &Fault) -> Answer {
    let status = StatusCode::from_u16(fault.code.status());
    json(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), fault)
}

/// What a gateway answers when the cluster does not do what it is asked.
fn away(error: &kube::Error) -> Fault {
    tracing::warn!(%error, "the cluster did not do what an agent's request needs");
    Fault::new(FaultCode::Unavailable, "the cluster does not answer now").after(5)
}

/// The chain of key sets: the file, or one set of the operator's public keys.
pub fn key_chain(file: Option<&Path>, keys: &PublicKeys) -> Result<KeyChain, String> {
    let Some(file) = file else {
        let keys = key::from_pem(keys);
        return Ok(KeyChain {
            first: KeySet {
                version: 1,
                keys: keys.iter().map(ToString::to_string).collect(),
            },
            next: Vec::new(),
        });
    };
    let say = |error: &dyn std::fmt::Display| format!("the key chain {}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| say(&error))?;
    let chain: KeyChain = serde_json::from_str(&text).map_err(|error| say(&error))?;
    let newest = chain.pin(&chain.first.fingerprint());
    newest.map_err(|error| say(&error))?;
    Ok(chain)
}

#[cfg(test)]
mod cost_tests;
#[cfg(test)]
mod odd_tests;
