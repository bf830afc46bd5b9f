//! What the operating system does: signals, the process tree, files that an attacker may have
//! prepared. Linux; another system is another body for the same functions.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, ErrorKind, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            fs::{OpenOptionsExt, PermissionsExt},
            net::UnixStream,
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, pidfd_send_signal},
};
use signal_hook::{SigId, consts, low_level};

/// What a step sees as `RUNNER_OS`.
pub const RUNNER_OS: &str = "Linux";

/// Where programs are looked for when the image sets no `PATH`: what container runtimes set.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes that a pipe with room takes without blocking (`PIPE_BUF` on Linux).
pub const WRITE_AT_ONCE: usize = 4096;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exit(i32),
    /// Killed by this signal.
    Signal(i32),
}

/// What is sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Please end (`SIGTERM`); a stopped process is woken up to hear it.
    End,
    /// Freeze (`SIGSTOP`): it can fork no more.
    Freeze,
    /// End now (`SIGKILL`).
    Kill,
}

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

/// Becomes the parent of every orphan below this process, so that a process that daemonized is
/// still found. A process with id 1 is that already.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(
        rustix::process::getpid(),
    ))?)
}

/// Forbids other processes of the same user to look into this one's memory and environment.
pub fn hide_memory() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Gives a command a process group of its own, so that no signal for ours reaches it.
pub fn detach(command: &mut Command) {
    command.process_group(0);
}

/// Collects one child that ended, ours or adopted.
pub fn reap() -> Option<(u32, Ended)> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let ended = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Ended::Exit(code),
                    (None, Some(signal)) => Ended::Signal(signal),
                    (None, None) => continue,
                };
                return Some((pid.as_raw_pid().unsigned_abs(), ended));
            }
            Err(rustix::io::Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

/// A process that was seen, told apart from a later one with the same id by when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// When it began, in the system's own ticks since boot.
    pub began: u64,
}

/// All processes below this one, also those that are dead and not collected yet: the main thread
/// of a process can be dead while others run.
pub fn descendants() -> io::Result<Vec<Process>> {
    let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that ended meanwhile has no file any more.
        if let Some((parent, began)) = stat_of(id) {
            children
                .entry(parent)
                .or_default()
                .push(Process { id, began });
        }
    }
    Ok(below(std::process::id(), &children))
}

/// Parent and begin of a process, if there is one with that id.
fn stat_of(id: u32) -> Option<(u32, u64)> {
    parse_stat(&std::fs::read(format!("/proc/{id}/stat")).ok()?)
}

/// Parent and begin out of `/proc/<pid>/stat`: the fields 4 and 22 of proc(5). The name in
/// parentheses, field 2, is the process's own choice.
fn parse_stat(stat: &[u8]) -> Option<(u32, u64)> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    Some((parent, fields.nth(17)?.parse().ok()?))
}

/// All that hang below `root`, each once: the list was not made in one moment, and an id that was
/// used twice meanwhile could close a circle.
fn below(root: u32, children: &HashMap<u32, Vec<Process>>) -> Vec<Process> {
    let mut seen = HashSet::from([root]);
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if seen.insert(child.id) {
                found.push(*child);
                parents.push(child.id);
            }
        }
    }
    found
}

/// Sends an order to one process. A process that is gone is no error, and another one that has its
/// id by now is left alone.
pub fn send(process: Process, order: Order) {
    let Some(pid) = i32::try_from(process.id).ok().and_then(Pid::from_raw) else {
        return;
    };
    // The handle stays with the process that has the id now; whether that is ours is asked after.
    // Where there are no handles (gVisor), the sandbox has nobody else's processes.
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => Some(handle),
        Err(rustix::io::Errno::SRCH) => return,
        Err(_) => None,
    };
    if stat_of(process.id).is_none_or(|(_, began)| began != process.began) {
        return;
    }
    let signals: &[Signal] = match order {
        Order::End => &[Signal::TERM, Signal::CONT],
        Order::Freeze => &[Signal::STOP],
        Order::Kill => &[Signal::KILL],
    };
    for signal in signals {
        // What can fail is a process of another user, which the caller finds still there.
        let _ = match &handle {
            Some(handle) => pidfd_send_signal(handle, *signal),
            None => kill_process(pid, *signal),
        };
    }
}

/// Opens a file for reading if it is a regular file and no link. Never blocks, as a named pipe would.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY)
}

/// Opens a file to write it anew: created if absent, emptied if it is a regular file and no link.
pub fn open_overwrite(path: &Path) -> io::Result<File> {
    let file = open(path, OFlags::WRONLY | OFlags::CREATE)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of `/proc/<pid>/stat` up to the fields that are read.
    fn stat(id: u32, name: &str, parent: u32, began: u64) -> Vec<u8> {
        format!("{id} ({name}) S {parent}{} {began} 0 0", " 0".repeat(17)).into_bytes()
    }

    #[test]
    fn a_process_that_calls_itself_like_a_stat_line_has_its_own_parent() {
        for name in ["sh", "a) R 1 (b", "\n", ""] {
            assert_eq!(parse_stat(&stat(7, name, 3, 99)), Some((3, 99)), "{name}");
        }
        assert_eq!(parse_stat(b"7 (sh) S 3 0"), None);
        assert_eq!(parse_stat(b"broken"), None);
        let own = stat_of(std::process::id()).unwrap();
        assert_eq!(own.0, std::os::unix::process::parent_id());
        assert!(own.1 > 0);
    }

    #[test]
    fn everything_below_is_found_once_and_nothing_beside() {
        let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
        let pairs = [
            (1, 0),
            (5, 1),
            (9, 5),
            (3, 9),
            (4, 5),
            (8, 1),
            (7, 8),
            (5, 3),
        ];
        for (id, parent) in pairs {
            children
                .entry(parent)
                .or_default()
                .push(Process { id, began: 1 });
        }
        let mut found: Vec<u32> = below(5, &children)
            .iter()
            .map(|process| process.id)
            .collect();
        found.sort_unstable();
        assert_eq!(found, [3, 4, 9]);
        assert!(below(7, &children).is_empty());
    }

    #[test]
    fn a_process_that_has_the_id_of_an_earlier_one_is_left_alone() {
        let id = std::process::id();
        let (_, began) = stat_of(id).unwrap();
        // A signal for this very process, had it begun earlier, would end the test.
        let earlier = Process {
            id,
            began: began - 1,
        };
        send(earlier, Order::Kill);
    }
}
