//! Linux: the processes below this one, found in `/proc`, told to end, collected.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::Path,
    process::Command,
};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, kill_process_group, pidfd_open,
    pidfd_send_signal,
};

use super::{Ended, Process};

/// A command and everything that it starts. Every child of this process is taken for the command's:
/// one at a time.
#[derive(Debug)]
pub struct Tree {
    main: u32,
    ended: Option<Ended>,
}

impl Tree {
    /// Starts a command.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        // No signal for our own process group reaches it.
        let child = command.process_group(0).spawn()?;
        Ok(Self {
            main: child.id(),
            ended: None,
        })
    }

    /// Collects what ended; whether anything had.
    pub fn collect(&mut self) -> bool {
        let mut any = false;
        while let Some((pid, ended)) = reap() {
            any = true;
            if pid == self.main {
                self.ended = Some(ended);
            }
        }
        any
    }

    /// How the command itself ended, once that was collected.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Everything of it that is left.
    pub fn members(&self) -> io::Result<Vec<Process>> {
        descendants()
    }
}

/// Forbids other processes of the same user to look into this one's memory and environment.
pub fn hide_memory() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Becomes the parent of every orphan below this process, so that a process that daemonized is
/// still found. A process with id 1 is that already.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(
        rustix::process::getpid(),
    ))?)
}

/// Collects one child that ended, ours or adopted.
fn reap() -> Option<(u32, Ended)> {
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

/// All processes below this one, also those that are dead and not collected yet: the main thread
/// of a process can be dead while others run.
pub fn descendants() -> io::Result<Vec<Process>> {
    Ok(below(std::process::id(), &children()?))
}

/// All processes, by their parent.
fn children() -> io::Result<HashMap<u32, Vec<Process>>> {
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
    Ok(children)
}

/// A process and all below it; nothing where another process has its id by now.
pub fn subtree(root: Process) -> io::Result<Vec<Process>> {
    if process(root.id) != Some(root) {
        return Ok(Vec::new());
    }
    let mut all = below(root.id, &children()?);
    all.push(root);
    Ok(all)
}

/// The process with this id, if there is one that is not dead.
pub fn process(id: u32) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{id}/stat")).ok()?;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let is_dead = matches!(stat.get(end + 2), Some(b'Z' | b'X'));
    let (_, began) = parse_stat(&stat)?;
    (!is_dead).then_some(Process { id, began })
}

/// Processes that work in a directory, or whose environment says that it is their workspace: what a
/// build there left behind, when nobody is there any more who started it.
pub fn left_in(directory: &Path) -> io::Result<Vec<Process>> {
    let workspace = [b"GITHUB_WORKSPACE=", directory.as_os_str().as_bytes()].concat();
    let is_of_it = |id: u32| {
        let works_there = std::fs::read_link(format!("/proc/{id}/cwd"))
            .is_ok_and(|place| place.starts_with(directory));
        works_there || {
            let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            let mut vars = environment.split(|byte| *byte == 0);
            vars.any(|var| var.starts_with(&workspace))
        }
    };
    let own = std::process::id();
    let ids = std::fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(ids
        .filter(|id| *id != own && is_of_it(*id))
        .filter_map(process)
        .collect())
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

/// Asks processes to end (`SIGTERM`); stopped ones are woken up to hear it.
pub fn ask_to_end(processes: &[Process]) {
    for process in processes {
        send(*process, &[Signal::TERM, Signal::CONT]);
    }
}

/// Kills processes. In a container, where this process is the first one and all others are below
/// it, the system kills all of them in one moment: also those that fork faster than one can look.
pub fn kill(processes: &[Process]) {
    if std::process::id() == 1 {
        // kill(2) with -1: every process of the namespace but the first.
        let _ = kill_process_group(Pid::INIT, Signal::KILL);
        return;
    }
    for process in processes {
        send(*process, &[Signal::KILL]);
    }
}

/// Sends signals to one process. A process that is gone is no error, and another one that has its
/// id by now is left alone.
fn send(process: Process, signals: &[Signal]) {
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
    for signal in signals {
        // What can fail is a process of another user, which the caller finds still there.
        let _ = match &handle {
            Some(handle) => pidfd_send_signal(handle, *signal),
            None => kill_process(pid, *signal),
        };
    }
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
        kill(&[earlier]);
    }
}
