//! A gateway for tests: one worker, assignments, logs, and going wrong when asked to.

mod requests;

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
    session::{Nonce, SessionRequest},
    wire::{Decline, Offer, Poll, PollAnswer},
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
