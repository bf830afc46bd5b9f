//! Sends the log of one held assignment to the gateway, by the same code as a pod's sidecar, from a
//! spool that only the agent writes to. It goes on until all is stored, also after the run's end was
//! delivered and after a restart.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use protocol::{
    log::{CHUNK_LIMIT, LogLimits, Stream},
    worker::completion::LogDigest,
};
use sha2::{Digest, Sha256};

use super::{bell::Bell, files, files::FileError, held::Record, layout::Layout, link};
use crate::{
    os::Stopper,
    ship::{self, Shipment, client::Destination, collect::Collector, reader::SpoolReader},
};

/// How long a log is tried to be sent after its run ended.
const GRACE: Duration = Duration::from_secs(7 * 86_400);
/// How long the end of a run waits for its log.
const WAIT: Duration = Duration::from_secs(600);

/// The two spools of one assignment, and what the sidecar's code remembers.
#[derive(Clone, Debug)]
pub struct Spools {
    /// The checkout's.
    pub checkout: PathBuf,
    /// The build's.
    pub build: PathBuf,
    state: PathBuf,
}

impl Spools {
    /// Of an assignment.
    pub fn of(layout: &Layout, id: &str) -> Self {
        let root = layout.spool(id);
        Self {
            checkout: root.join("checkout"),
            build: root.join("build"),
            state: root.join("state"),
        }
    }

    /// Makes their directories.
    pub fn make(&self) -> Result<(), FileError> {
        [&self.checkout, &self.build, &self.state]
            .into_iter()
            .try_for_each(|path| files::private_directory(path))
    }

    /// What both streams are, byte for byte as they are sent.
    pub fn digests(&self, limits: LogLimits) -> Vec<LogDigest> {
        let reader = |path: &Path| SpoolReader::new(path.into());
        let (checkout, build) = (reader(&self.checkout), reader(&self.build));
        let mut collector = Collector::new(checkout, build, limits, None);
        let end = Instant::now() + Duration::from_secs(3);
        // A spool that a crash cut off says no end; the collector waits a second for one.
        loop {
            collector.look(0, true);
            if collector.ended().is_some() || Instant::now() >= end {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let marks = collector.marks();
        let marks = digest(Stream::Marks, marks.len() as u64, &Sha256::digest(marks));
        let (log, mut hash, mut at) = (collector.log(), Sha256::new(), 0);
        loop {
            let bytes = log.read(at, CHUNK_LIMIT);
            if bytes.is_empty() {
                return vec![digest(Stream::Log, at, &hash.finalize()), marks];
            }
            hash.update(&bytes);
            at += bytes.len() as u64;
        }
    }
}

fn digest(stream: Stream, bytes: u64, hash: &[u8]) -> LogDigest {
    let sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    LogDigest {
        stream,
        bytes,
        sha256,
    }
}

/// A log on its way.
pub struct Shipping {
    stop: Stopper,
    thread: Mutex<Option<JoinHandle<()>>>,
    done: Arc<AtomicBool>,
    bell: Arc<Bell>,
}

impl Shipping {
    /// Begins to send. Without a token there is nothing to send, and it is done at once.
    pub fn begin(
        layout: &Layout,
        server: &str,
        record: &Record,
        limits: LogLimits,
        cancelled: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let (stopper, mut signals) = Stopper::new()?;
        let (done, bell) = (Arc::new(AtomicBool::new(false)), Arc::new(Bell::default()));
        let spools = Spools::of(layout, &record.id);
        let shipment = record.log_token.clone().map(|token| Shipment {
            checkout: spools.checkout,
            build: spools.build,
            state: spools.state,
            to: Destination {
                gateway: server.trim_end_matches('/').to_owned(),
                repository: record.assignment.repository.clone(),
                run: record.assignment.run.uid.clone(),
                way: Some(link::http()),
                cancelled,
            },
            token,
            limits,
            grace: GRACE,
        });
        let (is_done, ring) = (done.clone(), bell.clone());
        let thread = std::thread::spawn(move || {
            let sent = shipment.map(|shipment| ship::send_all(shipment, &mut signals));
            if let Some(Err(error)) = sent {
                eprintln!("▲ a log is not sent: {error}");
            }
            is_done.store(true, Ordering::SeqCst);
            ring.ring();
        });
        Ok(Self {
            stop: stopper,
            thread: Mutex::new(Some(thread)),
            done,
            bell,
        })
    }

    /// Nothing more is printed.
    pub fn ended(&self) {
        self.stop.stop();
    }

    /// Waits until all is sent, but not for ever.
    pub fn wait(&self) {
        let end = Instant::now() + WAIT;
        while !self.done.load(Ordering::SeqCst) && Instant::now() < end {
            self.bell
                .wait(end.saturating_duration_since(Instant::now()));
        }
    }

    /// Waits until the thread is gone.
    pub fn join(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
