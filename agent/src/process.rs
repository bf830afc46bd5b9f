//! One command with everything it starts: run, timed, and gone at the end.

use std::{
    collections::BTreeSet,
    io::{self, ErrorKind, Read},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    log::Sink,
    os::{self, Ended, Output, Signals, Tree},
};

/// Time that processes get to end after `SIGTERM`. Less than the grace of a pod, so that the result
/// is written before the executor itself is killed.
pub const GRACE: Duration = Duration::from_secs(5);

/// Time that what a command started gets to print its last lines after the command ended, as
/// `exec > >(tee log)` does. It is not used when nobody holds the output open.
const LINGER: Duration = Duration::from_secs(1);

/// Reads of what a pipe still holds when nobody writes any more: as many as the largest has that somebody without
/// rights can make, of 1 MiB, and one for its end.
const LAST_READS: usize = (1 << 20) / READ + 1;

/// Bytes that are read at once.
const READ: usize = 65_536;

/// Time after which processes that do not even die of `SIGKILL` are given up.
const SWEEP: Duration = Duration::from_secs(20);

/// How long a command may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of its own; `None` is no limit.
    pub own: Option<Duration>,
    /// Without any output.
    pub silence: Duration,
    /// The moment when everything together must be over.
    pub deadline: Instant,
    /// From `SIGTERM` to `SIGKILL`.
    pub grace: Duration,
}

/// Why a command was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It took longer than its own limit.
    OwnTime,
    /// It printed nothing for too long.
    Silence,
    /// Everything together took too long.
    TotalTime,
    /// Somebody asked the executor to stop.
    Cancelled,
}

/// How a command went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// How it ended by itself; `None` when it was stopped.
    pub ended: Result<Ended, Stop>,
    /// Processes that it left running and that were killed.
    pub left_behind: usize,
    /// Time it took, with its clean-up.
    pub took: Duration,
}

/// Why a command could not be run or not be cleaned up.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not start.
    #[error("`{program}` could not be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// The system refused what the executor needs: pipes, the list of processes.
    #[error("the executor could not watch its processes: {0}")]
    Watch(#[from] io::Error),
    /// Processes are still there after `SIGKILL`.
    #[error("{0} processes of the build cannot be killed")]
    Survivors(usize),
}

/// Runs a command to its end or to its limits. When this returns without an error, no process that
/// the command started is left. Every child of the calling process is taken for the command's: one
/// call at a time.
pub fn supervise(
    mut command: Command,
    limits: Limits,
    signals: &mut Signals,
    sink: &mut dyn Sink,
) -> Result<Outcome, ProcessError> {
    os::adopt_orphans()?;
    let (reader, writer) = Output::pipe()?;
    command.stdin(Stdio::null());
    command.stdout(writer.try_clone()?).stderr(writer);
    let started = Instant::now();
    let tree = Tree::start(&mut command).map_err(|source| ProcessError::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    // Closes our copies of the pipe's writing end.
    drop(command);
    let mut watch = Watch {
        tree,
        output: Some(reader),
        heard: started,
        limits,
        signals,
        sink,
    };
    let ended = watch.until_end(started);
    let left_behind = watch.sweep()?;
    watch.drain()?;
    Ok(Outcome {
        ended: ended?,
        left_behind,
        took: started.elapsed(),
    })
}

/// One command being watched.
struct Watch<'a> {
    tree: Tree,
    output: Option<Output>,
    /// When it was last heard of.
    heard: Instant,
    limits: Limits,
    signals: &'a mut Signals,
    sink: &'a mut dyn Sink,
}

impl Watch<'_> {
    /// Watches until the command ended and its output with it, or stops it.
    fn until_end(&mut self, started: Instant) -> io::Result<Result<Ended, Stop>> {
        loop {
            if let Some(ended) = self.tree.ended() {
                self.linger()?;
                return Ok(Ok(ended));
            }
            if !self.sink.is_clear() {
                // Not the command is silent: the reader of the log is slow.
                self.heard = Instant::now();
            }
            let cancelled = self.signals.stopping();
            match due(&self.limits, started, self.heard, Instant::now()) {
                _ if cancelled => return self.stop(Stop::Cancelled),
                Due::Now(stop) => return self.stop(stop),
                Due::In(time) => self.turn(time)?,
            };
        }
    }

    /// Asks the whole tree to end and waits for that, at most the grace.
    fn stop(&mut self, why: Stop) -> io::Result<Result<Ended, Stop>> {
        let members = self.tree.members()?;
        os::ask_to_end(&members);
        if !members.is_empty() {
            wait(Instant::now() + self.limits.grace, |left| {
                // The tree can be gone only after one of its processes was collected here.
                Ok(self.turn(left)? && self.tree.members()?.is_empty())
            })?;
        }
        Ok(Err(why))
    }

    /// Takes the last output of what the command left running.
    fn linger(&mut self) -> io::Result<()> {
        let end = Instant::now() + LINGER;
        while self.output.is_some() && Instant::now() < end {
            self.turn(end.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    /// Kills whatever is left below this process, until nothing is; answers how many that were.
    fn sweep(&mut self) -> Result<usize, ProcessError> {
        let end = Instant::now() + SWEEP;
        let mut killed = BTreeSet::new();
        self.tree.collect();
        loop {
            let left = self.tree.members()?;
            if left.is_empty() {
                return Ok(killed.len());
            }
            if Instant::now() >= end {
                return Err(ProcessError::Survivors(left.len()));
            }
            os::kill(&left);
            killed.extend(left);
            self.turn(Duration::from_millis(10))?;
        }
    }

    /// Takes what is still in the pipe, whose other end nobody holds any more.
    fn drain(&mut self) -> io::Result<()> {
        let end = Instant::now() + LINGER;
        while (self.output.is_some() || !self.sink.is_clear()) && Instant::now() < end {
            self.turn(end.saturating_duration_since(Instant::now()))?;
        }
        // Who reads the log may be slow for longer. The last lines tell most, and they are few.
        for _ in 0..LAST_READS {
            if !self.read()? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for something to happen, moves output on, collects the dead. Whether any was dead.
    fn turn(&mut self, timeout: Duration) -> io::Result<bool> {
        let input = self.output.as_ref().filter(|_| self.sink.is_clear());
        os::wait(self.signals, input, self.sink.waits_for(), timeout)?;
        // The dead first: all that they wrote is in the pipe by now.
        let dead = self.tree.collect();
        if self.sink.is_clear() {
            self.read()?;
        }
        if self.sink.pass_on() {
            self.heard = Instant::now();
        }
        Ok(dead)
    }

    /// Reads once; whether anything came.
    fn read(&mut self) -> io::Result<bool> {
        let Some(pipe) = &mut self.output else {
            return Ok(false);
        };
        let mut buffer = [0; READ];
        match pipe.read(&mut buffer) {
            Ok(0) => self.output = None,
            Ok(count) => {
                self.heard = Instant::now();
                self.sink.push(&buffer[..count]);
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(false)
    }
}

/// Waits until something is gone, as it is told by what gets the time that is left, but no longer than to the
/// end: also where there is something to see to all the while.
fn wait(end: Instant, mut is_gone: impl FnMut(Duration) -> io::Result<bool>) -> io::Result<()> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || is_gone(left)? {
            return Ok(());
        }
    }
}

/// Whether a limit is reached, or how long until the next one.
enum Due {
    Now(Stop),
    In(Duration),
}

fn due(limits: &Limits, started: Instant, heard: Instant, now: Instant) -> Due {
    let left = |limit: Duration, since: Instant| limit.saturating_sub(now - since);
    let clocks = [
        (
            Stop::TotalTime,
            limits.deadline.saturating_duration_since(now),
        ),
        (
            Stop::OwnTime,
            limits.own.map_or(Duration::MAX, |own| left(own, started)),
        ),
        (Stop::Silence, left(limits.silence, heard)),
    ];
    match clocks.iter().find(|(_, left)| left.is_zero()) {
        Some((stop, _)) => Due::Now(*stop),
        None => Due::In(
            clocks
                .iter()
                .map(|(_, left)| *left)
                .min()
                .unwrap_or_default(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_has_a_quiet_moment_is_waited_for_no_longer_than_the_rest() {
        let (begun, grace) = (Instant::now(), Duration::from_millis(20));
        let mut looks = 0;
        wait(begun + grace, |_| {
            looks += 1;
            Ok(false)
        })
        .unwrap();
        assert!(begun.elapsed() >= grace && looks > 0);
        wait(begun + Duration::from_secs(600), |left| Ok(!left.is_zero())).unwrap();
        wait(begun, |_| panic!("its time is over")).unwrap();
    }
}
