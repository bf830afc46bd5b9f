//! Unix: signals, waiting, files that an attacker may have prepared.

use std::{
    fs::File,
    io::{self, ErrorKind, PipeReader, PipeWriter, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            fs::{FileExt, OpenOptionsExt, PermissionsExt},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
};
use signal_hook::{SigId, consts, low_level};

/// What a step sees as `RUNNER_OS`.
pub const RUNNER_OS: &str = match std::env::consts::OS.as_bytes() {
    b"linux" => "Linux",
    b"macos" => "macOS",
    b"freebsd" => "FreeBSD",
    _ => std::env::consts::OS,
};

/// The file that is always empty.
pub const NULL_FILE: &str = "/dev/null";

/// Where programs are looked for when the image sets no `PATH`: what container runtimes set.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that programs of the system itself need, and nothing else of this process's own.
pub const BASE_VARS: &[&str] = &["PATH"];

/// Bytes that a pipe with room takes without blocking (`PIPE_BUF` on Linux).
pub const WRITE_AT_ONCE: usize = 4096;

/// The signals that wake the executor: somebody wants it to stop, a child ended.
#[derive(Debug)]
pub struct Signals {
    stop: UnixStream,
    stopping: bool,
    child: UnixStream,
    registered: Vec<SigId>,
}

impl Signals {
    /// Listens for `SIGTERM` and `SIGINT` to this process, and for the ends of children.
    pub fn of_this_process() -> io::Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        let mut signals = Self::stopped_by(receiver)?;
        for signal in [consts::SIGTERM, consts::SIGINT] {
            let id = low_level::pipe::register(signal, sender.try_clone()?)?;
            signals.registered.push(id);
        }
        Ok(signals)
    }

    /// Listens for the ends of children, and takes a byte (or the end) of `stop` as the wish to stop.
    pub fn stopped_by(stop: UnixStream) -> io::Result<Self> {
        let (child, sender) = UnixStream::pair()?;
        child.set_nonblocking(true)?;
        stop.set_nonblocking(true)?;
        let id = low_level::pipe::register(consts::SIGCHLD, sender)?;
        Ok(Self {
            stop,
            stopping: false,
            child,
            registered: vec![id],
        })
    }

    /// Reads an order from standard input, at most that many bytes, and takes what comes after it, or
    /// its end, as the wish to stop. Standard input is a [`Leash`]'s other end.
    pub fn with_order(limit: u32) -> io::Result<(Vec<u8>, Self)> {
        let mut stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let order = super::read_order(&mut stream, limit)?;
        Ok((order, Self::stopped_by(stream)?))
    }

    /// Whether somebody asked to stop, now or before.
    pub fn stopping(&mut self) -> bool {
        self.stopping |= has_bytes(&mut self.stop);
        self.stopping
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
    }
}

/// Empties a wake-up pipe; says whether there was anything in it, or its other end is gone.
fn has_bytes(pipe: &mut UnixStream) -> bool {
    let mut buffer = [0; 64];
    let mut found = false;
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => found = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return found,
        }
    }
}

/// Tells [`Signals`] of this very process to stop.
#[derive(Debug)]
pub struct Stopper(UnixStream);

impl Stopper {
    /// Both ends.
    pub fn new() -> io::Result<(Self, Signals)> {
        let (stop, stopped) = UnixStream::pair()?;
        Ok((Self(stop), Signals::stopped_by(stopped)?))
    }

    /// Asks to stop.
    pub fn stop(&self) {
        // Its other end is gone when there is nothing to stop any more.
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }
}

/// The end of a pipe that a command's output is read from; reads of it return at once.
#[derive(Debug)]
pub struct Output(PipeReader);

impl Output {
    /// A pipe for a command's output.
    pub fn pipe() -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let flags = rustix::fs::fcntl_getfl(&reader)?;
        rustix::fs::fcntl_setfl(&reader, flags | OFlags::NONBLOCK)?;
        Ok((Self(reader), writer))
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Holds a process: it stops when this is dropped, or when its holder is gone.
#[derive(Debug)]
pub struct Leash(UnixStream);

impl Leash {
    /// A leash, and the end of it that becomes a process's standard input.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (own, other) = UnixStream::pair()?;
        Ok((Self(own), other.into()))
    }

    /// Tells the process what to do.
    pub fn order(&mut self, order: &[u8]) -> io::Result<()> {
        super::write_order(&mut self.0, order)
    }
}

/// A place that bytes are written to, to wait for until it has room.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a>(BorrowedFd<'a>);

impl<'a> Room<'a> {
    /// Of an open file or pipe.
    pub fn of(file: &'a File) -> Self {
        Self(file.as_fd())
    }

    /// Whether it takes [`WRITE_AT_ONCE`] bytes without blocking, now.
    pub fn is_there(self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.0, PollFlags::OUT)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(poll(&mut fds, Some(&now)), Ok(ready) if ready > 0)
    }
}

/// This process's standard output, to be written to by itself.
pub fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Waits until `input` has bytes or is at its end, `output` has room, a child ended, somebody asked
/// to stop (unless that is known already), or `timeout` is over. Which of them it was, the caller
/// finds out by trying.
pub fn wait(
    signals: &mut Signals,
    input: Option<&Output>,
    output: Option<Room<'_>>,
    timeout: Duration,
) -> io::Result<()> {
    let mut fds = vec![PollFd::new(&signals.child, PollFlags::IN)];
    if !signals.stopping {
        fds.push(PollFd::new(&signals.stop, PollFlags::IN));
    }
    fds.extend(input.map(|pipe| PollFd::new(&pipe.0, PollFlags::IN)));
    fds.extend(output.map(|room| PollFd::from_borrowed_fd(room.0, PollFlags::OUT)));
    let timeout = Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    drop(fds);
    has_bytes(&mut signals.child);
    signals.stopping();
    Ok(())
}

/// Fills `bytes` with randomness of the system.
pub fn random(bytes: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}

/// Reads from a place of a file; fewer bytes than fit only at its end.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read_at(&mut buffer[count..], offset + count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Opens a file for reading if it is a regular file and no link. Never blocks, as a named pipe would.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY)
}

/// Opens a file to write it anew: created if absent, emptied if it is a regular file and no link.
pub fn open_overwrite(path: &Path) -> io::Result<File> {
    // Without `O_CREAT` first: Linux refuses that flag for another user's file in a directory like
    // /tmp (`fs.protected_regular`), and the message of a container belongs to root.
    let file = match open(path, OFlags::WRONLY) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            open(path, OFlags::WRONLY | OFlags::CREATE)?
        }
        opened => opened?,
    };
    file.set_len(0)?;
    Ok(file)
}

fn open(path: &Path, how: OFlags) -> io::Result<File> {
    let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(
        path,
        how | safe,
        Mode::from_raw_mode(0o644),
    )?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            ErrorKind::InvalidInput,
            "not a regular file",
        ))
    }
}

/// Copies the program that is running to `path`, for everybody to run and nobody to write.
pub fn install_self(path: &Path) -> io::Result<()> {
    let mut from = File::open(std::env::current_exe()?)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut to = File::options()
        .write(true)
        .create_new(true)
        .mode(0o555)
        .open(path)?;
    io::copy(&mut from, &mut to)?;
    // The mask of this process took bits away.
    to.set_permissions(PermissionsExt::from_mode(0o555))?;
    to.sync_all()
}

/// The first program of that name in a `PATH`.
pub fn find_program(name: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| {
            file.metadata()
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}
