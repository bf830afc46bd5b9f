//! An agent of a physical worker, reduced to its words: it speaks the protocol exactly, and runs nothing. Tests say
//! what it does with an assignment.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use protocol::worker::assignment::Assignment;
use protocol::worker::completion::{Completion, RunEnd};
use protocol::worker::envelope::{Envelope, SealError};
use protocol::worker::fault::{Fault, FaultCode};
use protocol::worker::key::{AgentKey, PublicKey, Sign as _};
use protocol::worker::keys::KeyChain;
use protocol::worker::session::{Close, Nonce, NonceRequest, SessionOpened, SessionRequest};
use protocol::worker::wire::{
    Accepted, Decline, DeclineCode, Heartbeat, HeartbeatAnswer, Offer, Poll, PollAnswer, Running,
    RunningState, Taken,
};
use protocol::worker::{PROTOCOL, PROTOCOL_HEADER, SESSION_HEADER};
use protocol::{CheckoutReport, ExecReport, Verdict};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

/// How long an answer may take: longer than a poll is held.
const PATIENCE: Duration = Duration::from_secs(80);

/// An agent that does what a test says.
pub struct Driver {
    pub(super) base: String,
    pub(super) client: Client<HttpConnector, Full<Bytes>>,
    key: AgentKey,
    /// Name of its Worker object.
    pub name: String,
    /// Its installation.
    pub instance: String,
    /// The start of its machine.
    pub boot: String,
    /// The text of its session.
    pub session: Option<String>,
    /// What it says to hold.
    pub held: Vec<Running>,
}

impl Driver {
    /// An agent of this worker, with key number `key`, for a gateway at this address. It has said nothing yet.
    pub fn new(base: &str, name: &str, key: u32) -> Self {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&key.to_le_bytes());
        Self {
            base: base.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            key: AgentKey::from_seed(&seed),
            name: name.to_owned(),
            instance: format!("instance-{key}"),
            boot: "boot-1".to_owned(),
            session: None,
            held: Vec::new(),
        }
    }

    /// From now on it is led to the gateway at this address.
    pub fn speak_to(&mut self, base: &str) {
        base.clone_into(&mut self.base);
    }

    /// Its public key, as `spec.publicKeys` has it.
    pub fn public_key(&self) -> String {
        self.key.public().to_string()
    }

    /// The operator's keys, as the gateway tells them.
    pub async fn operator_keys(&self) -> Result<Vec<PublicKey>, Fault> {
        let chain: KeyChain = self.ask(Method::GET, "keys", &json!({})).await?;
        let newest = chain.pin(&chain.first.fingerprint());
        let keys = newest.and_then(|set| set.public_keys());
        keys.map_err(|error| Fault::new(FaultCode::Malformed, error.to_string()))
    }

    /// The request for a session, signed: with a nonce of the gateway.
    pub async fn signed_request(&self) -> Result<Envelope, Fault> {
        let asked = NonceRequest {
            worker: self.name.clone(),
        };
        let Nonce { nonce } = self.post("nonce", &asked).await?;
        let request = SessionRequest {
            worker: self.name.clone(),
            nonce,
            instance: self.instance.clone(),
            boot: self.boot.clone(),
            agent: "0.0.1-driver".to_owned(),
            facts: [("os".to_owned(), "freebsd".to_owned())].into(),
            isolated: true,
            policy: "takes what a test says".to_owned(),
            running: self.held.clone(),
        };
        self.seal(&request)
    }

    /// Opens a session.
    pub async fn open(&mut self) -> Result<SessionOpened, Fault> {
        let signed = self.signed_request().await?;
        let opened: SessionOpened = self.post("sessions", &signed).await?;
        self.session = Some(opened.session.clone());
        Ok(opened)
    }

    /// Sends a request for a session as it is.
    pub async fn deliver_session(&self, signed: Envelope) -> Result<SessionOpened, Fault> {
        self.post("sessions", &signed).await
    }

    /// Asks for work.
    pub async fn poll(&self, said: &Poll) -> Result<PollAnswer, Fault> {
        self.post("poll", said).await
    }

    /// Asks for work until there is some.
    pub async fn offer(&self) -> Result<Offer, Fault> {
        let said = Poll {
            free_slots: 1,
            ..Poll::default()
        };
        loop {
            if let Some(offer) = self.poll(&said).await?.offer {
                return Ok(offer);
            }
        }
    }

    /// What is ordered, if the operator signed it.
    pub async fn verified(&self, offer: &Offer) -> Result<Assignment, SealError> {
        let keys = self.operator_keys().await.unwrap_or_default();
        offer.signed.open(&keys)
    }

    /// Takes what is offered.
    pub async fn accept(&mut self, id: &str) -> Result<Accepted, Fault> {
        let accepted: Accepted = self
            .post(&format!("assignments/{id}/accept"), &json!({}))
            .await?;
        if !self.held.iter().any(|held| held.id == id) {
            self.held.push(Running {
                id: id.to_owned(),
                state: RunningState::Running,
            });
        }
        Ok(accepted)
    }

    /// Refuses what is offered.
    pub async fn decline(&self, id: &str, reason: &str) -> Result<Taken, Fault> {
        self.decline_as(id, DeclineCode::Policy, reason).await
    }

    /// Refuses what is offered, with this code.
    pub async fn decline_as(
        &self,
        id: &str,
        code: DeclineCode,
        reason: &str,
    ) -> Result<Taken, Fault> {
        let said = Decline {
            code,
            reason: reason.to_owned(),
        };
        self.post(&format!("assignments/{id}/decline"), &said).await
    }

    /// Says what it holds.
    pub async fn heartbeat(&self) -> Result<HeartbeatAnswer, Fault> {
        let said = Heartbeat {
            running: self.held.clone(),
            disk_full: false,
        };
        self.post("heartbeat", &said).await
    }

    /// Delivers the end of a run, signed.
    pub async fn complete(&mut self, completion: &Completion) -> Result<Taken, Fault> {
        let signed = self.seal(completion)?;
        let taken = self.deliver(&completion.assignment, &signed).await?;
        self.held.retain(|held| held.id != completion.assignment);
        Ok(taken)
    }

    /// Delivers something as the end of a run.
    pub async fn deliver(&self, id: &str, signed: &Envelope) -> Result<Taken, Fault> {
        self.post(&format!("assignments/{id}/complete"), signed)
            .await
    }

    /// Says good-bye.
    pub async fn close(&self, reason: &str) -> Result<Taken, Fault> {
        let reason = reason.to_owned();
        self.post("sessions/close", &Close { reason }).await
    }

    /// Signs with its key.
    pub fn seal<T: protocol::worker::envelope::Payload>(
        &self,
        payload: &T,
    ) -> Result<Envelope, Fault> {
        Envelope::seal(payload, &self.key)
            .map_err(|error| Fault::new(FaultCode::Malformed, error.to_string()))
    }

    /// The end of a run whose steps came to this verdict, on the commit that was ordered.
    pub fn ran(
        &self,
        id: &str,
        ordered: &Assignment,
        verdict: Verdict,
        exit_code: i32,
    ) -> Completion {
        let source = &ordered.work.source;
        let checkout = CheckoutReport {
            commit: source.commit.clone(),
            parents: source.parents.clone(),
            tree: source.tree.clone().unwrap_or_else(|| "0".repeat(40)),
            error: None,
        };
        let report = ExecReport::new(verdict, exit_code);
        self.ended(id, ordered, RunEnd::Ran { checkout, report })
    }

    /// The end of a run.
    pub fn ended(&self, id: &str, ordered: &Assignment, result: RunEnd) -> Completion {
        Completion {
            assignment: id.to_owned(),
            run: ordered.run.uid.clone(),
            attempt: ordered.run.attempt,
            worker: self.name.clone(),
            result,
            logs: Vec::new(),
            prepared_ms: Some(10),
            ran_ms: 1_000,
        }
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Fault> {
        self.ask(Method::POST, path, body).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Fault> {
        let away = |why: String| Fault::new(FaultCode::Unavailable, why);
        let body = serde_json::to_vec(body).map_err(|error| away(error.to_string()))?;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/worker/v1/{path}", self.base))
            .header(PROTOCOL_HEADER, PROTOCOL.to_string())
            .header(SESSION_HEADER, self.session.as_deref().unwrap_or_default())
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| away(error.to_string()))?;
        let answer = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        let answer = answer.map_err(|_| away("no answer".to_owned()))?;
        let answer = answer.map_err(|error| away(format!("{error:?}")))?;
        let good = answer.status().is_success();
        let bytes = answer.into_body().collect().await;
        let bytes = bytes.map_err(|error| away(error.to_string()))?.to_bytes();
        let odd = |error: serde_json::Error| away(format!("{error}: {bytes:?}"));
        match good {
            true => serde_json::from_slice(&bytes).map_err(odd),
            false => Err(serde_json::from_slice(&bytes).unwrap_or_else(odd)),
        }
    }
}
