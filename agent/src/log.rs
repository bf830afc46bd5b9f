//! Where output goes: to the log of the run, or into memory for output that is read by us.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Write},
    path::Path,
    time::{Duration, Instant},
};

use protocol::log::{LogLimits, MarkKind};

use crate::{
    frames,
    os::{self, Room, Signals},
    spool::{Spool, SpoolError},
};

/// Takes what a process prints.
pub trait Sink {
    /// Takes bytes. Called only when [`Sink::is_clear`], but for the last ones of a process that has ended.
    fn push(&mut self, bytes: &[u8]);
    /// Whether everything so far is where it belongs.
    fn is_clear(&self) -> bool {
        true
    }
    /// Passes on as much as goes without blocking; whether anything went.
    fn pass_on(&mut self) -> bool {
        false
    }
    /// What to wait for when there is something to pass on.
    fn waits_for(&self) -> Option<Room<'_>> {
        None
    }
}

/// The log of the run: the executor's own standard output. It never blocks, so that a reader that
/// hangs cannot stop the clocks, and it holds no more than one read of a pipe, what was left in that of a
/// step that ended, and our own lines.
/// What goes there is also kept in a spool, where there is one.
#[derive(Debug)]
pub struct Log {
    out: Option<File>,
    pending: VecDeque<u8>,
    line_is_open: bool,
    spool: Option<Spool>,
    /// It goes to an agent, as frames.
    framed: bool,
}

impl Log {
    /// Writes to standard output.
    pub fn stdout() -> io::Result<Self> {
        Ok(Self::to(os::standard_output()?))
    }

    /// Writes to a file or pipe.
    pub fn to(out: File) -> Self {
        Self {
            out: Some(out),
            pending: VecDeque::new(),
            line_is_open: false,
            spool: None,
            framed: false,
        }
    }

    /// Writes frames to standard output, for the agent that started this executor.
    pub fn framed() -> io::Result<Self> {
        let framed = true;
        Ok(Self {
            framed,
            ..Self::stdout()?
        })
    }

    /// Says one more thing to the agent, where there is one.
    pub fn say(&mut self, frame: &[u8]) {
        if self.framed {
            self.pending.extend(frame);
            while self.pass_on() {}
        }
    }

    /// Keeps what comes from here on in a spool as well. No build is failed for its log: a spool that
    /// cannot be written is told in a line, and not used any more.
    pub fn keep_in(&mut self, directory: &Path, limits: LogLimits) {
        let spool = Spool::new(directory, limits);
        self.settle(spool.map(Some));
    }

    /// Notes in the spool what is at this place of the log.
    pub fn mark(&mut self, what: MarkKind) {
        self.say(&frames::mark(&what));
        self.spooled(|spool| spool.mark(what));
    }

    /// Says in the spool that nothing more comes.
    pub fn end(&mut self) {
        let ended = self.spool.take().map_or(Ok(()), Spool::end);
        self.settle(ended.map(|()| None));
    }

    fn spooled(&mut self, write: impl FnOnce(&mut Spool) -> Result<(), SpoolError>) {
        if let Some(mut spool) = self.spool.take() {
            let written = write(&mut spool);
            self.settle(written.map(|()| Some(spool)));
        }
    }

    fn settle(&mut self, spool: Result<Option<Spool>, SpoolError>) {
        match spool {
            Ok(spool) => self.spool = spool,
            Err(error) => self.line(&format!("▲ the log is not kept from here on: {error}")),
        }
    }

    /// Writes a line of our own, on a line of its own.
    pub fn line(&mut self, text: &str) {
        if self.line_is_open {
            self.push(b"\n");
        }
        self.push(text.as_bytes());
        self.push(b"\n");
        while self.pass_on() {}
    }

    /// Waits until all is written, at most that long.
    pub fn flush(&mut self, signals: &mut Signals, limit: Duration) {
        let end = Instant::now() + limit;
        while !self.is_clear() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || os::wait(signals, None, self.waits_for(), left).is_err() {
                return;
            }
            self.pass_on();
        }
    }
}

impl Sink for Log {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.line_is_open = *last != b'\n';
        }
        match (&self.out, self.framed) {
            (None, _) => {}
            (Some(_), false) => self.pending.extend(bytes),
            // Frame by frame, and not byte by byte: builds print much.
            (Some(_), true) => {
                frames::log(bytes).for_each(|frame| self.pending.extend(frame.as_slice()));
            }
        }
        self.spooled(|spool| spool.write(bytes));
    }

    fn is_clear(&self) -> bool {
        self.pending.is_empty()
    }

    fn pass_on(&mut self) -> bool {
        let Some(out) = &mut self.out else {
            return false;
        };
        if self.pending.is_empty() || !Room::of(out).is_there() {
            return false;
        }
        let (bytes, _) = self.pending.as_slices();
        match out.write(&bytes[..bytes.len().min(os::WRITE_AT_ONCE)]) {
            Ok(count) => {
                self.pending.drain(..count);
                true
            }
            Err(error) if is_transient(&error) => false,
            Err(_) => {
                // Nobody reads the log any more. The steps go on: their result is asked for elsewhere.
                self.out = None;
                self.pending.clear();
                true
            }
        }
    }

    fn waits_for(&self) -> Option<Room<'_>> {
        let out = self.out.as_ref().filter(|_| !self.pending.is_empty())?;
        Some(Room::of(out))
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

/// Output that is kept: its first bytes, up to a limit.
#[derive(Debug)]
pub struct Capture {
    limit: usize,
    bytes: Vec<u8>,
}

impl Capture {
    /// Keeps the first `limit` bytes.
    pub fn up_to(limit: usize) -> Self {
        Self {
            limit,
            bytes: Vec::new(),
        }
    }

    /// What came.
    pub fn into_text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Sink for Capture {
    fn push(&mut self, bytes: &[u8]) {
        let room = self.limit - self.bytes.len();
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
