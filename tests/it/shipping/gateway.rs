//! A gateway as a program: killed, and started again at the same addresses.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use protocol::token::Signer;
use tests::cluster::Binary;

use super::store::Store;

/// The operator, whose tokens the gateway believes.
pub fn operator() -> Signer {
    Signer::from_seed(&[7; 32])
}

/// A gateway, which ends with the test.
pub struct Gateway {
    key: PathBuf,
    store: Store,
    process: Child,
    pages: SocketAddr,
    /// Where logs are taken.
    pub ingest: SocketAddr,
}

impl Gateway {
    /// Starts one with this store, and with a directory for its files.
    pub fn start(root: &Path, store: Store) -> Self {
        let key = root.join("key");
        let public = operator().public_pem().expect("a public key");
        std::fs::write(&key, public).expect("the key's file");
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let (process, pages, ingest) = started(&key, &store, free, free);
        Self {
            key,
            store,
            process,
            pages,
            ingest,
        }
    }

    pub fn kill_and_start(&mut self) {
        self.kill();
        let (process, ..) = started(&self.key, &self.store, self.pages, self.ingest);
        self.process = process;
    }

    fn kill(&mut self) {
        self.process.kill().expect("a gateway to kill");
        self.process.wait().expect("its end");
    }

    /// Calls `look` with another gateway on the same store.
    pub fn beside<T>(&self, look: impl FnOnce(&Beside) -> T) -> T {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let (process, pages, _) = started(&self.key, &self.store, free, free);
        look(&Beside { process, pages })
    }

    /// What the page's link to plain text gives.
    pub fn text(&self, run: &str) -> Vec<u8> {
        text(self.pages, run)
    }

    /// How many bytes that has.
    pub fn size(&self, run: &str) -> u64 {
        let answer = ask(self.pages, run, "range: bytes=-1\r\n");
        let size = answer.and_then(|(head, _)| {
            let place = head
                .lines()
                .find_map(|line| line.strip_prefix("content-range: "))?;
            place.rsplit('/').next()?.trim().parse().ok()
        });
        size.unwrap_or(0)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have been killed, or have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Another gateway on the same store.
pub struct Beside {
    process: Child,
    pages: SocketAddr,
}

impl Beside {
    /// What the page's link to plain text gives.
    pub fn text(&self, run: &str) -> Vec<u8> {
        text(self.pages, run)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(pages: SocketAddr, run: &str) -> Vec<u8> {
    let answer = ask(pages, run, "");
    let found = answer.filter(|(head, _)| head.starts_with("HTTP/1.0 200"));
    found.map(|(_, body)| body).unwrap_or_default()
}

/// Asks for the plain text of a log, with another header; none where nobody answers.
fn ask(pages: SocketAddr, run: &str, header: &str) -> Option<(String, Vec<u8>)> {
    let request = format!("GET /r/demo/runs/{run}.txt HTTP/1.0\r\nhost: {pages}\r\n{header}\r\n");
    let mut answer = Vec::new();
    let asked = TcpStream::connect(pages).and_then(|mut stream| {
        stream.write_all(request.as_bytes())?;
        stream.read_to_end(&mut answer)
    });
    asked.ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let body = answer.split_off(end + 4);
    Some((String::from_utf8_lossy(&answer).into_owned(), body))
}

/// Starts a gateway, and reads where it listens from what it prints.
fn started(
    key: &Path,
    store: &Store,
    pages: SocketAddr,
    ingest: SocketAddr,
) -> (Child, SocketAddr, SocketAddr) {
    let mut child = Command::new(Binary::Gateway.path().unwrap())
        .args(["--store", &store.place])
        .envs(store.environment.iter().cloned())
        .arg("--operator-key")
        .arg(key)
        .args(["--listen", &pages.to_string()])
        .args(["--ingest", &ingest.to_string()])
        .args(["--metrics", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("a gateway");
    let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
    let mut address_of = |name: &str| {
        let word = format!("{name} on ");
        let mut addresses = lines.by_ref().map_while(Result::ok).filter_map(|line| {
            let (_, rest) = line.split_once(&word)?;
            rest.split('"').next()?.parse().ok()
        });
        addresses.next().expect("an address in the gateway's log")
    };
    let (ingest, pages) = (address_of("ingest"), address_of("pages"));
    std::thread::spawn(move || lines.for_each(drop));
    (child, pages, ingest)
}
