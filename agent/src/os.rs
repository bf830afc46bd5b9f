//! What the operating system does: signals, the process tree, files that an attacker may have
//! prepared. Linux; another system is another body for the same functions.

mod beneath;
mod tree;

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::{
        fd::{AsFd, BorrowedFd},
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

pub use beneath::{Directory, Kind};
pub use tree::{Ended, Process, adopt_orphans, ask_to_end, descendants, detach, kill, reap};

/// What a step sees as `RUNNER_OS`.
pub const RUNNER_OS: &str = "Linux";

/// Where programs are looked for when the image sets no `PATH`: what container runtimes set.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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

/// Waits until `input` has bytes or is at its end, `output` has room, a child ended, somebody asked
/// to stop (unless that is known already), or `timeout` is over. Which of them it was, the caller
/// finds out by trying.
pub fn wait(
    signals: &mut Signals,
    input: Option<BorrowedFd<'_>>,
    output: Option<BorrowedFd<'_>>,
    timeout: Duration,
) -> io::Result<()> {
    let mut fds = vec![PollFd::new(&signals.child, PollFlags::IN)];
    if !signals.stopping {
        fds.push(PollFd::new(&signals.stop, PollFlags::IN));
    }
    fds.extend(input.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    fds.extend(output.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)));
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

/// Whether `output` takes [`WRITE_AT_ONCE`] bytes without blocking, now.
pub fn has_room(output: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(output, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    matches!(poll(&mut fds, Some(&now)), Ok(ready) if ready > 0)
}

/// Makes reads of `file` return at once.
pub fn set_nonblocking(file: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&file)?;
    Ok(rustix::fs::fcntl_setfl(&file, flags | OFlags::NONBLOCK)?)
}

/// Forbids other processes of the same user to look into this one's memory and environment.
pub fn hide_memory() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Fills `bytes` with randomness of the system.
pub fn random(bytes: &mut [u8; 16]) -> io::Result<()> {
    rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(())
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
    let mut from = File::open("/proc/self/exe")?;
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
