//! Windows: a Job object for the process tree, threads for what Unix waits for.

mod files;
mod tree;

use std::{
    fs::File,
    io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write},
    os::windows::io::AsHandle,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, TryRecvError, sync_channel},
    },
    time::Duration,
};

pub use files::{Directory, Kind, open_overwrite, open_regular, read_at};
pub use tree::{
    Tree, adopt_orphans, ask_to_end, descendants, hide_memory, kill, left_in, process, subtree,
};

use super::wishes::{Listener, Wishes};

/// What a step sees as `RUNNER_OS`.
pub const RUNNER_OS: &str = "Windows";

/// The file that is always empty.
pub const NULL_FILE: &str = "NUL";

/// Where programs are looked for when nothing else is known.
pub const DEFAULT_PATH: &str = r"C:\Program Files\Git\bin;C:\Windows\System32;C:\Windows";

/// Variables that programs of the system itself need, and nothing else of this process's own.
pub const BASE_VARS: &[&str] = &[
    "PATH",
    "PATHEXT",
    "SystemRoot",
    "SystemDrive",
    "ComSpec",
    "ProgramData",
    "ProgramFiles",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE",
    "TEMP",
    "TMP",
];

/// Bytes that are written at once.
pub const WRITE_AT_ONCE: usize = 4096;

/// Time between two looks, where Unix waits for several things at once.
const LOOK: Duration = Duration::from_millis(10);

/// Whether somebody wants the executor to stop.
#[derive(Debug)]
pub struct Signals(Listener);

impl Signals {
    /// Listens for Ctrl-C, Ctrl-Break and the end of the session.
    pub fn of_this_process() -> io::Result<Self> {
        // A process can set one handler, once.
        static HANDLER: Mutex<Option<Wishes>> = Mutex::new(None);
        let mut handler = HANDLER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wishes) = &*handler {
            return Ok(Self(wishes.listen()));
        }
        let wishes = Wishes::default();
        let heard = wishes.clone();
        ctrlc::set_handler(move || heard.wish()).map_err(io::Error::other)?;
        Ok(Self(handler.insert(wishes).listen()))
    }

    /// Reads an order from standard input, at most that many bytes, and takes what comes after it, or
    /// its end, as the wish to stop. Standard input is a [`Leash`]'s other end.
    pub fn with_order(limit: u32) -> io::Result<(Vec<u8>, Self)> {
        let order = super::read_order(&mut io::stdin(), limit)?;
        let wishes = Wishes::default();
        let listener = wishes.listen();
        std::thread::Builder::new().spawn(move || {
            // A byte, the end or an error: all of them say that nobody wants the result any more.
            let _ = io::stdin().read(&mut [0; 1]);
            wishes.wish();
        })?;
        Ok((order, Self(listener)))
    }

    /// Whether somebody asked to stop, now or before.
    pub fn stopping(&mut self) -> bool {
        self.0.has_heard()
    }
}

/// Tells [`Signals`] of this very process to stop.
#[derive(Debug)]
pub struct Stopper(Wishes);

impl Stopper {
    /// Both ends.
    pub fn new() -> io::Result<(Self, Signals)> {
        let wishes = Wishes::default();
        let listener = wishes.listen();
        Ok((Self(wishes), Signals(listener)))
    }

    /// Asks to stop.
    pub fn stop(&self) {
        self.0.wish();
    }
}

/// The end of a pipe that a command's output is read from; reads of it return at once.
#[derive(Debug)]
pub struct Output {
    chunks: Receiver<Vec<u8>>,
    rest: Vec<u8>,
}

impl Output {
    /// A pipe for a command's output.
    pub fn pipe() -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        // One chunk waits: a command that prints faster than it is read waits as on Unix.
        let (sender, chunks) = sync_channel(1);
        std::thread::Builder::new()
            .spawn(move || pump(reader, |chunk| sender.send(chunk).is_ok()))?;
        let rest = Vec::new();
        Ok((Self { chunks, rest }, writer))
    }
}

fn pump(mut reader: PipeReader, mut send: impl FnMut(Vec<u8>) -> bool) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        if !send(buffer[..count].to_vec()) {
            return;
        }
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = match self.chunks.try_recv() {
                Ok(chunk) => chunk,
                Err(TryRecvError::Empty) => return Err(ErrorKind::WouldBlock.into()),
                Err(TryRecvError::Disconnected) => return Ok(0),
            };
        }
        let count = self.rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }
}

/// Holds a process: it stops when this is dropped, or when its holder is gone.
#[derive(Debug)]
pub struct Leash(PipeWriter);

impl Leash {
    /// A leash, and the end of it that becomes a process's standard input.
    pub fn new() -> io::Result<(Self, PipeReader)> {
        let (other, own) = io::pipe()?;
        Ok((Self(own), other))
    }

    /// Tells the process what to do.
    pub fn order(&mut self, order: &[u8]) -> io::Result<()> {
        super::write_order(&mut self.0, order)
    }
}

/// A place that bytes are written to. Writing waits here, where on Unix one waits before it.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a>(std::marker::PhantomData<&'a File>);

impl<'a> Room<'a> {
    /// Of an open file or pipe.
    pub fn of(_: &'a File) -> Self {
        Self(std::marker::PhantomData)
    }

    /// Whether it takes bytes.
    pub fn is_there(self) -> bool {
        true
    }
}

/// This process's standard output, to be written to by itself.
pub fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}

/// Waits a little, at most `timeout`: whoever calls finds out by trying what has happened.
pub fn wait(
    _: &mut Signals,
    _: Option<&Output>,
    _: Option<Room<'_>>,
    timeout: Duration,
) -> io::Result<()> {
    std::thread::sleep(timeout.min(LOOK));
    Ok(())
}

/// Fills `bytes` with randomness of the system.
pub fn random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(io::Error::other)
}

/// Copies the program that is running to `path`.
pub fn install_self(path: &std::path::Path) -> io::Result<()> {
    let mut from = File::open(std::env::current_exe()?)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut to = File::create_new(path)?;
    io::copy(&mut from, &mut to)?;
    to.flush()?;
    to.sync_all()
}

/// The first program of that name in a `PATH`.
pub fn find_program(name: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(format!("{name}.exe")))
        .find(|file| file.is_file())
}
