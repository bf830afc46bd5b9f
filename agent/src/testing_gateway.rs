//! A gateway for tests: one run, the offset rules, and going wrong when asked to.

use std::{
    collections::VecDeque,
    io::{BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use protocol::log::{CHUNK_LIMIT, LogEnd, LogTaken, Refusal, RefusalCode, Refused, Stream};
use sha2::{Digest, Sha256};

use crate::testing_http::Request;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is not taken.
    Refuse(RefusalCode),
    /// Something else answers.
    Foreign,
    /// The connection is closed before the request is taken.
    Close,
    /// It is taken, and the connection is closed in the middle of the answer.
    CloseAfter,
    /// The gateway was restarted and has only what was stored. Then the request is taken as ever.
    Restart,
}

/// What the gateway has.
#[derive(Default)]
pub struct Has {
    pub log: Vec<u8>,
    pub marks: Vec<u8>,
    pub end: Option<LogEnd>,
    /// What goes wrong with the next requests.
    pub faults: VecDeque<Option<Fault>>,
    /// Stored bytes of the log and of the marks, where that is not everything.
    pub stored: Option<[usize; 2]>,
    /// Bytes of the log that came again.
    pub twice: usize,
    pub connections: usize,
    pub requests: usize,
    writer: Option<String>,
}

#[derive(Clone)]
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<(Mutex<Has>, Condvar)>,
}

impl Gateway {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gateway = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::default(),
        };
        let this = gateway.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (this, connection) = (this.clone(), connection.unwrap());
                this.has().connections += 1;
                std::thread::spawn(move || this.serve(&connection));
            }
        });
        gateway
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn has(&self) -> MutexGuard<'_, Has> {
        self.shared.0.lock().unwrap()
    }

    /// Waits until the gateway has something.
    pub fn wait(&self, what: &str, is_there: impl Fn(&Has) -> bool) {
        let (_, changed) = &*self.shared;
        let (has, late) = changed
            .wait_timeout_while(self.has(), Duration::from_secs(60), |has| !is_there(has))
            .unwrap();
        assert!(
            !late.timed_out(),
            "no {what}: {} bytes of the log, {} of the marks, end {:?}",
            has.log.len(),
            has.marks.len(),
            has.end
        );
    }

    fn serve(&self, connection: &TcpStream) {
        let mut reader = BufReader::new(connection);
        while let Some(request) = Request::read(&mut reader) {
            let fault = {
                let mut has = self.has();
                has.requests += 1;
                has.faults.pop_front().flatten()
            };
            self.shared.1.notify_all();
            let answer = match fault {
                Some(Fault::Close) => return,
                Some(Fault::Foreign) => (502, "<html>".into()),
                Some(Fault::Refuse(code)) => refused(code, Some(0)),
                Some(Fault::Restart) => {
                    self.has().restart();
                    self.has().take(&request)
                }
                Some(Fault::CloseAfter) | None => self.has().take(&request),
            };
            self.shared.1.notify_all();
            let (status, body) = answer;
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let mut writer = connection;
            if matches!(fault, Some(Fault::CloseAfter)) {
                let _ = writer.write_all(&head.as_bytes()[..20]);
                return;
            }
            let sent = writer.write_all((head + &body).as_bytes());
            if sent.is_err() {
                return;
            }
        }
    }
}

impl Has {
    fn restart(&mut self) {
        if let Some([log, marks]) = self.stored {
            self.log.truncate(log);
            self.marks.truncate(marks);
        }
    }

    fn take(&mut self, request: &Request) -> (u16, String) {
        let named = request.header("prbuild-writer");
        let writer = self.writer.get_or_insert_with(|| named.to_owned());
        if *writer != named {
            return refused(RefusalCode::Writer, None);
        }
        if request.header("authorization") != "Bearer token" {
            return refused(RefusalCode::Token, None);
        }
        match stream_of(request) {
            None => self.take_end(&request.body),
            Some((stream, offset)) => self.take_bytes(stream, offset, request),
        }
    }

    fn take_bytes(&mut self, stream: Stream, offset: usize, request: &Request) -> (u16, String) {
        let bytes = zstd::stream::decode_all(&request.body[..]).unwrap();
        assert!(bytes.len() <= CHUNK_LIMIT);
        let digest = BASE64_STANDARD.encode(Sha256::digest(&request.body));
        let told = request.header("content-digest");
        assert_eq!(told, format!("sha-256=:{digest}:"));
        let (held, stored) = match stream {
            Stream::Log => (&mut self.log, self.stored.map(|stored| stored[0])),
            Stream::Marks => (&mut self.marks, self.stored.map(|stored| stored[1])),
        };
        if offset > held.len() {
            return refused(RefusalCode::Gap, Some(held.len() as u64));
        }
        let known = bytes.len().min(held.len() - offset);
        if self.end.is_some() && known < bytes.len() {
            return refused(RefusalCode::Ended, Some(held.len() as u64));
        }
        held.extend_from_slice(&bytes[known..]);
        let received = held.len() as u64;
        if stream == Stream::Log {
            self.twice += known;
        }
        taken(received, stored.map_or(received, |stored| stored as u64))
    }

    fn take_end(&mut self, body: &[u8]) -> (u16, String) {
        let end: LogEnd = serde_json::from_slice(body).unwrap();
        let (log, marks) = (self.log.len() as u64, self.marks.len() as u64);
        if end.log > log || end.marks > marks {
            return refused(RefusalCode::Gap, Some(log));
        }
        if *self.end.get_or_insert(end) != end {
            return refused(RefusalCode::Ended, Some(log));
        }
        taken(log, log)
    }
}

fn taken(received: u64, durable: u64) -> (u16, String) {
    let answer = LogTaken { received, durable };
    (200, serde_json::to_string(&answer).unwrap())
}

fn refused(code: RefusalCode, received: Option<u64>) -> (u16, String) {
    let status = match code {
        RefusalCode::Token => 401,
        RefusalCode::Malformed => 400,
        RefusalCode::Limit => 413,
        RefusalCode::Store | RefusalCode::Unknown => 503,
        RefusalCode::Writer | RefusalCode::Gap | RefusalCode::Ended => 409,
    };
    let message = "no".to_owned();
    let error = Refusal { code, message };
    let answer = Refused { error, received };
    (status, serde_json::to_string(&answer).unwrap())
}

/// The stream and the offset, or neither for the end.
fn stream_of(request: &Request) -> Option<(Stream, usize)> {
    let rest = request
        .path
        .strip_prefix("/v1/repositories/demo/runs/uid/logs/")
        .unwrap();
    let (name, offset) = rest.split_once("?offset=")?;
    let stream = Stream::ALL.into_iter().find(|stream| stream.name() == name);
    Some((stream.unwrap(), offset.parse().unwrap()))
}
