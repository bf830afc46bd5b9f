//! The way to the gateway: HTTPS with the system's roots, a session that opens by signing the gateway's
//! nonce, and patience. No answer makes the agent give up for good.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::worker::{
    PROTOCOL, PROTOCOL_HEADER, SESSION_HEADER, TIME_HEADER,
    envelope::Envelope,
    fault::{Fault, FaultCode, Retry},
    key::AgentKey,
    keys::KeyChain,
    session::{Nonce, NonceRequest, SessionOpened, SessionRequest, Timing},
};
use serde::{Serialize, de::DeserializeOwned};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{RootCerts, TlsConfig, TlsProvider},
};

use super::clock::{Clock, steady};

/// How long an ordinary request may take.
pub const REQUEST: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 1 << 20;
const LONGEST: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The gateway says why.
    #[error("the gateway says: {}", .0.message)]
    Fault(Fault),
    /// No answer, or not one of a gateway.
    #[error("the gateway cannot be reached: {0}")]
    Unreachable(String),
}

impl CallError {
    /// Whether the same request can never succeed, and why.
    pub fn never(&self) -> Option<FaultCode> {
        match self {
            Self::Fault(fault) if fault.code.retry() == Retry::Never => Some(fault.code),
            _ => None,
        }
    }
}

/// Pauses between tries: full jitter, from a second up to a minute.
#[derive(Debug, Default)]
pub struct Patience {
    failures: u32,
}

impl Patience {
    /// How long to wait after one more failure.
    pub fn after(&mut self, error: &CallError) -> Duration {
        let whole = Duration::from_secs(1 << self.failures.min(6)).min(LONGEST);
        self.failures += 1;
        let random = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
        let jittered = whole.mul_f64(random).max(Duration::from_millis(50));
        match error {
            CallError::Fault(fault) if fault.code.retry() == Retry::Session => {
                Duration::from_millis(50)
            }
            CallError::Fault(fault) => {
                let asked = Duration::from_secs(fault.retry_after_seconds.unwrap_or(0).min(600));
                jittered.max(asked)
            }
            CallError::Unreachable(_) => jittered,
        }
    }

    /// Something worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// What is said of this worker when a session opens, with the gateway's nonce in it.
pub type Introduction = Box<dyn Fn(String) -> SessionRequest + Send + Sync>;
/// Is told what a new session brought, and when it was asked for.
pub type Opened = Box<dyn Fn(u64, SessionOpened) + Send + Sync>;

struct Session {
    text: String,
    /// When the next one is opened, by the clock that counts while the machine sleeps.
    renew_at: u64,
}

/// The way to one gateway.
pub struct Link {
    agent: Agent,
    server: String,
    worker: String,
    key: AgentKey,
    clock: Arc<Clock>,
    session: Mutex<Option<Session>>,
    timing: Mutex<Timing>,
    introduce: Introduction,
    opened: Opened,
    /// Held while an accept is under way: no other session is opened meanwhile.
    accepting: Mutex<()>,
}

/// TLS by the system's roots.
pub fn tls() -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::PlatformVerifier)
        .build()
}

/// What speaks to a gateway.
pub fn http() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT))
        .max_idle_connections(4)
        .user_agent(concat!("prbuild-agent/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls())
        .build()
        .new_agent()
}

impl Link {
    /// Connects to nothing yet.
    pub fn new(
        server: &str,
        worker: &str,
        key: AgentKey,
        clock: Arc<Clock>,
        introduce: Introduction,
        opened: Opened,
    ) -> Self {
        Self {
            agent: http(),
            server: server.trim_end_matches('/').to_owned(),
            worker: worker.to_owned(),
            key,
            clock,
            session: Mutex::default(),
            timing: Mutex::default(),
            introduce,
            opened,
            accepting: Mutex::default(),
        }
    }

    /// How often, and how long, as the newest session says.
    pub fn timing(&self) -> Timing {
        *lock(&self.timing)
    }

    /// The agent's key.
    pub fn key(&self) -> &AgentKey {
        &self.key
    }

    /// Keeps the session as it is, for as long as the guard lives.
    pub fn hold_session(&self) -> MutexGuard<'_, ()> {
        lock(&self.accepting)
    }

    /// Opens a session if there is none, or if it is time for the next one.
    pub fn ensure_session(&self) -> Result<(), CallError> {
        let _guard = lock(&self.accepting);
        let is_good = |session: &Session| steady() < session.renew_at;
        if lock(&self.session).as_ref().is_some_and(is_good) {
            return Ok(());
        }
        let worker = self.worker.clone();
        let Nonce { nonce } = self.post("nonce", &NonceRequest { worker }, None, REQUEST)?;
        let request = (self.introduce)(nonce);
        let sealed = Envelope::seal(&request, &self.key);
        let sealed = sealed.map_err(|error| CallError::Unreachable(error.to_string()))?;
        let sent = steady();
        let opened: SessionOpened = self.post("sessions", &sealed, None, REQUEST)?;
        *lock(&self.timing) = opened.timing;
        let lasts = u64::try_from(opened.seconds).unwrap_or_default();
        *lock(&self.session) = Some(Session {
            text: opened.session.clone(),
            renew_at: sent + lasts * 1000 * 2 / 3,
        });
        (self.opened)(sent, opened);
        Ok(())
    }

    /// Has the next session opened before the next request: it says what is held, and what is not.
    pub fn renew_session(&self) {
        *lock(&self.session) = None;
    }

    /// Asks something in the session; at most that long.
    pub fn ask<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<A, CallError> {
        let text = lock(&self.session)
            .as_ref()
            .map(|session| session.text.clone());
        let Some(text) = text else {
            let words = "there is no session yet";
            return Err(CallError::Fault(Fault::new(FaultCode::Session, words)));
        };
        let answer = self.post(path, body, Some(&text), limit);
        if let Err(CallError::Fault(fault)) = &answer
            && fault.code.retry() == Retry::Session
        {
            // Unless another thread has opened the next one meanwhile.
            lock(&self.session).take_if(|session| session.text == text);
        }
        answer
    }

    /// The operator's keys, as the gateway serves them.
    pub fn keys(&self) -> Result<KeyChain, CallError> {
        let request = self.agent.get(format!("{}/worker/v1/keys", self.server));
        let request = request.header(PROTOCOL_HEADER, PROTOCOL.to_string());
        let limit = Some(REQUEST);
        self.read(request.config().timeout_global(limit).build().call())
    }

    fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        session: Option<&str>,
        limit: Duration,
    ) -> Result<A, CallError> {
        let body = serde_json::to_vec(body);
        let body = body.map_err(|error| CallError::Unreachable(error.to_string()))?;
        let mut request = self
            .agent
            .post(format!("{}/worker/v1/{path}", self.server))
            .content_type("application/json")
            .header(PROTOCOL_HEADER, PROTOCOL.to_string());
        if let Some(session) = session {
            request = request.header(SESSION_HEADER, session);
        }
        let request = request.config().timeout_global(Some(limit)).build();
        self.read(request.send(&body))
    }

    fn read<A: DeserializeOwned>(
        &self,
        response: Result<Response<Body>, ureq::Error>,
    ) -> Result<A, CallError> {
        let unreachable = |error: ureq::Error| CallError::Unreachable(error.to_string());
        let mut response = response.map_err(unreachable)?;
        let status = response.status();
        let time = response.headers().get(TIME_HEADER);
        let time = time.and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.body_mut().with_config().limit(ANSWER_LIMIT);
        let text = body.read_to_vec().map_err(unreachable)?;
        let foreign =
            |_| CallError::Unreachable(format!("something else answers there, with {status}"));
        if status.is_success() {
            let answer = serde_json::from_slice(&text).map_err(foreign)?;
            time.into_iter().for_each(|time| self.clock.told(time));
            return Ok(answer);
        }
        Err(CallError::Fault(
            serde_json::from_slice(&text).map_err(foreign)?,
        ))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_a_gateway_may_ask_for_longer_ones() {
        let mut patience = Patience::default();
        let unreachable = CallError::Unreachable(String::new());
        for _ in 0..200 {
            assert!(patience.after(&unreachable) <= LONGEST);
        }
        let fault = |code, seconds| CallError::Fault(Fault::new(code, "").after(seconds));
        let busy = fault(FaultCode::Busy, 90);
        assert_eq!(patience.after(&busy), Duration::from_secs(90));
        assert_eq!(busy.never(), None);
        assert!(patience.after(&fault(FaultCode::Session, 90)) < Duration::from_secs(1));
        assert_eq!(fault(FaultCode::Gone, 0).never(), Some(FaultCode::Gone));
    }
}
