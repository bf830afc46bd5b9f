//! The process tree: this process puts itself into a Job object, so everything that it starts is
//! born in it and nothing leaves it. When this process ends, however, the system kills the rest.

use std::{
    io,
    os::windows::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use win32job::{ExtendedLimitInfo, Job};

use crate::os::{Ended, Process};

/// `CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW`.
const FLAGS: u32 = 0x0200 | 0x0800_0000;

static JOB: OnceLock<Job> = OnceLock::new();

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
            child: command.creation_flags(FLAGS).spawn()?,
            ended: None,
        })
    }

    /// Collects the command if it ended; whether it had.
    pub fn collect(&mut self) -> bool {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.ended = Some(Ended::Exit(status.code().unwrap_or(1)));
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
        descendants()
    }
}

/// Puts this process into a Job object of its own, once.
pub fn adopt_orphans() -> io::Result<()> {
    if JOB.get().is_some() {
        return Ok(());
    }
    let mut limits = ExtendedLimitInfo::new();
    limits.limit_kill_on_job_close();
    let job = Job::create_with_limit_info(&limits).map_err(io::Error::other)?;
    job.assign_current_process().map_err(io::Error::other)?;
    // Another thread cannot have been first: one executor at a time.
    let _ = JOB.set(job);
    Ok(())
}

/// All processes of the Job object but this one.
pub fn descendants() -> io::Result<Vec<Process>> {
    let Some(job) = JOB.get() else {
        return Ok(Vec::new());
    };
    let ids = job.query_process_id_list().map_err(io::Error::other)?;
    let own = std::process::id() as usize;
    let others = ids.into_iter().filter(|id| *id != own);
    Ok(others
        .filter_map(|id| u32::try_from(id).ok())
        .map(|id| Process { id, began: 0 })
        .collect())
}

/// Nothing outlives its executor here, so there is none to be found again.
pub fn process(_: u32) -> Option<Process> {
    None
}

/// Nothing, for the same reason.
pub fn subtree(_: Process) -> io::Result<Vec<Process>> {
    Ok(Vec::new())
}

/// Nothing, for the same reason.
pub fn left_in(_: &std::path::Path) -> io::Result<Vec<Process>> {
    Ok(Vec::new())
}

/// Nothing to do: who may look into a process is in its access rights.
pub fn hide_memory() -> io::Result<()> {
    Ok(())
}

/// Asks processes to end. Programs without a window cannot hear it.
pub fn ask_to_end(processes: &[Process]) {
    taskkill(&[], processes);
}

/// Kills processes.
pub fn kill(processes: &[Process]) {
    taskkill(&["/F"], processes);
}

fn taskkill(options: &[&str], processes: &[Process]) {
    if processes.is_empty() {
        return;
    }
    let mut command = Command::new("taskkill");
    command
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for process in processes {
        command.args(["/PID", &process.id.to_string()]);
    }
    // Who is gone is no error; who stays is found again.
    let _ = command.creation_flags(FLAGS).status();
}
