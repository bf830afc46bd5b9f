//! macOS and the BSDs: a command's process group and all that descends from it, as `ps` lists them.
//! What leaves its group and outlives its parent is not found; there a build user of its own is what
//! finds it.

use std::{
    collections::HashSet,
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Ended, Process};

/// A command and what it starts.
#[derive(Debug)]
pub struct Tree {
    child: Child,
    ended: Option<Ended>,
}

impl Tree {
    /// Starts a command.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self {
            child: command.process_group(0).spawn()?,
            ended: None,
        })
    }

    /// Collects the command if it ended; whether it had.
    pub fn collect(&mut self) -> bool {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            let signal = status.signal().map(Ended::Signal);
            self.ended = signal.or(status.code().map(Ended::Exit));
            return true;
        }
        false
    }

    /// How the command itself ended, once that was collected.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Everything of it that is left.
    pub fn members(&self) -> io::Result<Vec<Process>> {
        let (group, lines) = (self.child.id(), list()?);
        let mut members = below(std::process::id(), &lines);
        members.extend(
            lines
                .iter()
                .filter(|one| one.group == group)
                .map(Line::process),
        );
        Ok(members.into_iter().collect())
    }
}

/// One line of `ps`.
struct Line {
    id: u32,
    parent: u32,
    group: u32,
    began: u64,
}

impl Line {
    fn process(&self) -> Process {
        let Self { id, began, .. } = *self;
        Process { id, began }
    }
}

fn list() -> io::Result<Vec<Line>> {
    let mut ps = Command::new("ps");
    ps.args(["-axo", "pid=,ppid=,pgid=,state=,lstart="])
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    let child = ps.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let own = child.id();
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let mut number = || fields.next()?.parse().ok();
        let (id, parent, group) = (number()?, number()?, number()?);
        let is_dead = fields.next()?.starts_with('Z');
        let began = began(fields);
        (id != own && !is_dead).then_some(Line {
            id,
            parent,
            group,
            began,
        })
    });
    Ok(lines.collect())
}

/// A number for when a process began, out of the words that `ps` says it in: `Sat Nov 29 07:06:40 2025`. It only
/// has to differ where they do.
fn began<'a>(words: impl Iterator<Item = &'a str>) -> u64 {
    let bytes = words.flat_map(str::bytes);
    bytes.fold(0, |number: u64, byte| {
        number.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}

fn below(root: u32, lines: &[Line]) -> HashSet<Process> {
    let mut found = HashSet::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for line in lines.iter().filter(|line| line.parent == parent) {
            if found.insert(line.process()) {
                parents.push(line.id);
            }
        }
    }
    found
}

/// All processes below this one.
pub fn descendants() -> io::Result<Vec<Process>> {
    Ok(below(std::process::id(), &list()?).into_iter().collect())
}

/// The process with this id, if there is one.
pub fn process(id: u32) -> Option<Process> {
    let lines = list().ok()?;
    let found = lines.iter().find(|line| line.id == id);
    found.map(Line::process)
}

/// A process and all below it; nothing where another process has its id by now.
pub fn subtree(root: Process) -> io::Result<Vec<Process>> {
    let lines = list()?;
    if !lines.iter().any(|line| line.process() == root) {
        return Ok(Vec::new());
    }
    let mut found = below(root.id, &lines);
    found.insert(root);
    Ok(found.into_iter().collect())
}

/// These systems do not tell where another process works.
pub fn left_in(_: &std::path::Path) -> io::Result<Vec<Process>> {
    Ok(Vec::new())
}

/// These systems give orphans to their first process.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(())
}

/// Nothing to do: these systems let only root look into the memory of a process that they trace.
pub fn hide_memory() -> io::Result<()> {
    Ok(())
}

/// Asks processes to end (`SIGTERM`); stopped ones are woken up to hear it.
pub fn ask_to_end(processes: &[Process]) {
    for process in processes {
        send(process.id, Signal::TERM);
        send(process.id, Signal::CONT);
    }
}

/// Kills processes.
pub fn kill(processes: &[Process]) {
    for process in processes {
        send(process.id, Signal::KILL);
    }
}

fn send(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // A process that is gone is no error.
        let _ = kill_process(pid, signal);
    }
}
