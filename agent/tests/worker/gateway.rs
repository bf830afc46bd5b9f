//! A gateway for tests: one worker, assignments, logs, and going wrong when asked to.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use protocol::worker::{
    completion::Completion,
    envelope::Envelope,
    fault::FaultCode,
    key::PublicKey,
    keys::KeyChain,
    session::{Nonce, SessionOpened, SessionRequest, Timing},
    wire::{
        Accepted, Action, Decline, Heartbeat, HeartbeatAnswer, Instruction, Offer, Poll,
        PollAnswer, RunningState,
    },
};

use crate::{
    answer::{fault, json, ok},
    http::Request,
};

/// What the gateway knows and what it is asked to do.
pub struct Has {
    /// The worker's key; nobody is let in before it is there.
    pub worker: Option<PublicKey>,
    pub chain: KeyChain,
    /// Newest version that is told in answers.
    pub keys: u64,
    pub offers: Vec<Offer>,
    pub accepted: Vec<String>,
    given: BTreeMap<String, Envelope>,
    pub declined: Vec<(String, Decline)>,
    pub completed: BTreeMap<String, Completion>,
    pub cancelled: BTreeSet<String>,
    pub gone: BTreeSet<String>,
    pub sessions: Vec<SessionRequest>,
    pub polls: Vec<Poll>,
    pub beats: usize,
    /// Logs and marks by address.
    pub logs: BTreeMap<String, Vec<u8>>,
    pub ended: BTreeSet<String>,
    pub lease_seconds: i64,
    /// Seconds that its clock is behind this machine's.
    pub behind: i64,
    /// Nothing is answered: connections are closed.
    pub cut_off: bool,
    /// Requests to these paths are carried out, and their answers lost; how many.
    pub lose: Vec<(&'static str, usize)>,
    /// All requests with a session are answered so.
    pub refuse: Option<FaultCode>,
    /// Something else answers in its place, and is content with everything.
    pub is_portal: bool,
    /// It offers again what was declined.
    pub stubborn: bool,
    /// It wants the worker empty.
    pub drain: bool,
    /// It takes no logs.
    pub store_is_full: bool,
    /// Seconds that a poll is held, and that killing takes, as it tells workers.
    pub poll_seconds: u64,
    pub kill_margin_seconds: u64,
    /// Starts so far: connections of an earlier one are closed.
    restarts: usize,
    session: usize,
}

#[derive(Clone)]
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<(Mutex<Has>, Condvar)>,
}

impl Gateway {
    pub fn new(chain: KeyChain) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let has = Has {
            worker: None,
            keys: chain.first.version,
            chain,
            offers: Vec::new(),
            accepted: Vec::new(),
            given: BTreeMap::new(),
            declined: Vec::new(),
            completed: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            gone: BTreeSet::new(),
            sessions: Vec::new(),
            polls: Vec::new(),
            beats: 0,
            logs: BTreeMap::new(),
            ended: BTreeSet::new(),
            lease_seconds: 900,
            behind: 0,
            cut_off: false,
            lose: Vec::new(),
            refuse: None,
            is_portal: false,
            stubborn: false,
            drain: false,
            store_is_full: false,
            poll_seconds: 2,
            kill_margin_seconds: 1,
            restarts: 0,
            session: 0,
        };
        let gateway = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::new((Mutex::new(has), Condvar::new())),
        };
        let this = gateway.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (this, connection) = (this.clone(), connection.unwrap());
                std::thread::spawn(move || this.serve(&connection));
            }
        });
        gateway
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As after a restart: it knows no session any more, and connections are gone. What it was told is in the
    /// cluster.
    pub fn restart(&self) {
        self.change(|has| {
            has.session += 1;
            has.restarts += 1;
        });
    }

    pub fn has(&self) -> MutexGuard<'_, Has> {
        self.shared.0.lock().unwrap()
    }

    /// Changes something, and wakes whoever waits for it.
    pub fn change(&self, change: impl FnOnce(&mut Has)) {
        change(&mut self.has());
        self.shared.1.notify_all();
    }

    /// Waits until something is so; answers what was asked for.
    pub fn wait<T>(&self, what: &str, find: impl Fn(&Has) -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(90);
        let mut has = self.has();
        loop {
            if let Some(found) = find(&has) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what}; declined: {:?}", has.declined);
            has = self.shared.1.wait_timeout(has, left).unwrap().0;
        }
    }

    fn serve(&self, connection: &TcpStream) {
        let mut reader = BufReader::new(connection);
        let start = self.has().restarts;
        let is_gone = || {
            let has = self.has();
            has.cut_off || has.restarts != start
        };
        while let Some(request) = Request::read(&mut reader) {
            if is_gone() {
                return;
            }
            let answer = self.answer(&request);
            self.shared.1.notify_all();
            let lost = self.has().loses(&request.path);
            if lost || is_gone() {
                return;
            }
            let (status, body) = answer;
            let time = agent::worker::clock::own() - self.has().behind;
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nprbuild-time: {time}\r\n\r\n",
                body.len()
            );
            let mut writer = connection;
            if writer.write_all((head + &body).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> (u16, String) {
        if self.has().is_portal {
            return (200, "<html>Please log in</html>".into());
        }
        if request.path.starts_with("/v1/repositories/") {
            return self.has().take_log(request);
        }
        let path = request.path.strip_prefix("/worker/v1/").unwrap();
        match path {
            "keys" => return ok(&self.has().chain),
            "nonce" => {
                return ok(&Nonce {
                    nonce: "nonce".into(),
                });
            }
            "sessions" => return self.has().open(request),
            _ => {}
        }
        if let Some(code) = self.has().refuse {
            return fault(code);
        }
        if request.header("prbuild-session") != format!("s{}", self.has().session) {
            return fault(FaultCode::Session);
        }
        match path {
            "poll" => self.poll(&json(request)),
            "heartbeat" => self.has().beat(&json(request)),
            "sessions/close" => ok(&serde_json::json!({})),
            _ => {
                let (id, what) = path
                    .strip_prefix("assignments/")
                    .unwrap()
                    .split_once('/')
                    .unwrap();
                self.has().assignment(id, what, request)
            }
        }
    }

    fn poll(&self, poll: &Poll) -> (u16, String) {
        let mut has = self.has();
        let start = has.restarts;
        let end = Instant::now() + Duration::from_secs(has.poll_seconds);
        has.polls.push(poll.clone());
        self.shared.1.notify_all();
        loop {
            let offer = has.offers.first().filter(|_| poll.free_slots > 0).cloned();
            let left = end.saturating_duration_since(Instant::now());
            let is_gone = has.cut_off || has.restarts != start;
            if offer.is_some() || left.is_zero() || is_gone {
                let (drain, keys) = (has.drain, has.keys);
                return ok(&PollAnswer { offer, drain, keys });
            }
            has = self.shared.1.wait_timeout(has, left).unwrap().0;
        }
    }
}

impl Has {
    fn loses(&mut self, path: &str) -> bool {
        let rule = self
            .lose
            .iter_mut()
            .find(|(end, left)| path.ends_with(end) && *left > 0);
        rule.map(|(_, left)| *left -= 1).is_some()
    }

    fn open(&mut self, request: &Request) -> (u16, String) {
        let Some(key) = &self.worker else {
            return fault(FaultCode::Key);
        };
        let Ok(opened) =
            json::<Envelope>(request).open::<SessionRequest>(std::slice::from_ref(key))
        else {
            return fault(FaultCode::Key);
        };
        assert_eq!(opened.nonce, "nonce");
        self.session += 1;
        let running: Vec<_> = opened
            .running
            .iter()
            .map(|one| (one.id.clone(), one.state))
            .collect();
        self.sessions.push(opened);
        let verdicts = running
            .into_iter()
            .map(|(id, state)| self.verdict(id, state))
            .collect();
        ok(&SessionOpened {
            session: format!("s{}", self.session),
            seconds: 900,
            timing: Timing {
                poll_seconds: self.poll_seconds,
                heartbeat_seconds: 1,
                kill_margin_seconds: self.kill_margin_seconds,
            },
            verdicts,
            keys: self.keys,
        })
    }

    fn verdict(&self, id: String, state: RunningState) -> Instruction {
        let action = match state {
            _ if self.gone.contains(&id) => Action::Kill,
            RunningState::Running if self.cancelled.contains(&id) => Action::Cancel,
            _ => Action::Continue,
        };
        let lease_seconds = Some(self.lease_seconds).filter(|_| action == Action::Continue);
        let reason = None;
        Instruction {
            id,
            action,
            lease_seconds,
            reason,
        }
    }

    fn beat(&mut self, beat: &Heartbeat) -> (u16, String) {
        self.beats += 1;
        let all = beat.running.iter();
        let verdicts = all
            .map(|one| self.verdict(one.id.clone(), one.state))
            .collect();
        let (drain, keys) = (self.drain, self.keys);
        ok(&HeartbeatAnswer {
            verdicts,
            drain,
            keys,
        })
    }

    fn assignment(&mut self, id: &str, what: &str, request: &Request) -> (u16, String) {
        let offered = self.offers.iter().position(|offer| offer.id == id);
        match what {
            "decline" => {
                if let Some(at) = offered {
                    if !self.stubborn {
                        self.offers.remove(at);
                    }
                    self.declined.push((id.to_owned(), json(request)));
                }
                ok(&serde_json::json!({}))
            }
            "accept" => {
                // As often as it asks: the answer may have been lost.
                let signed = match (offered, self.given.get(id)) {
                    (Some(at), _) => self.offers[at].signed.clone(),
                    (None, Some(signed)) => signed.clone(),
                    (None, None) => return fault(FaultCode::Gone),
                };
                if let Some(at) = offered {
                    if !self.loses("/accept") {
                        self.offers.remove(at);
                        self.given.insert(id.to_owned(), signed.clone());
                    }
                    self.accepted.push(id.to_owned());
                }
                ok(&Accepted {
                    id: id.to_owned(),
                    signed,
                    lease_seconds: self.lease_seconds,
                    log_token: Some("token".into()),
                })
            }
            _ => {
                let key = self.worker.clone().unwrap();
                let envelope: Envelope = json(request);
                let completion: Completion = envelope.open(&[key]).unwrap();
                assert_eq!(completion.assignment, id);
                if self.gone.contains(id) {
                    return fault(FaultCode::Gone);
                }
                match self.completed.get(id) {
                    Some(known) if *known != completion => return fault(FaultCode::Completed),
                    _ => self.completed.insert(id.to_owned(), completion),
                };
                ok(&serde_json::json!({}))
            }
        }
    }
}
