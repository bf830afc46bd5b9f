//! How a build is started, stopped and cleaned up after: as the agent's own user, or as users of their
//! own through the [launcher](super::launcher).

use std::{
    fs, io,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use super::layout::Layout;
use crate::{
    env::Vars,
    os::{self, Leash, Process},
};

/// Time after which what does not die is left, and the slot with it.
const SWEEP: Duration = Duration::from_secs(20);

/// A build or a fetch that was started.
pub struct Started {
    /// Stops it when dropped.
    pub leash: Leash,
    /// Its frames.
    pub output: io::PipeReader,
    /// Its process, to be found again after a crash.
    pub process: Option<Process>,
    /// How its end is known.
    pub end: End,
}

/// How the end of a process is known.
pub enum End {
    /// It is a child.
    Child(Child),
    /// The launcher tells.
    Told(Receiver<()>),
}

impl End {
    /// Waits until the process itself is gone.
    pub fn wait(self) {
        match self {
            // An error means that it is gone already.
            Self::Child(mut child) => drop(child.wait()),
            // So does a launcher that is gone.
            Self::Told(told) => drop(told.recv()),
        }
    }
}

/// Something of a build is left that could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("what the build left cannot be removed: {0}")]
pub struct Unclean(pub String);

/// Who starts builds.
pub enum Builder {
    /// This very user: what a build does, it can do to the agent, too.
    Own,
    /// Another user for each slot.
    #[cfg(unix)]
    Launched(super::launcher::Client),
}

impl Builder {
    /// Whether builds run as another user than the agent.
    pub fn isolated(&self) -> bool {
        !matches!(self, Self::Own)
    }

    /// Starts the build of a slot.
    pub fn start(&self, layout: &Layout, slot: u32) -> io::Result<Started> {
        match self {
            Self::Own => {
                // Nothing is left, unless it could not be removed after the last one.
                self.clean(layout, slot).map_err(io::Error::other)?;
                let dir = layout.build(slot);
                fs::create_dir_all(&dir)?;
                let mut command = own_command();
                spawn(command.arg("build").arg("--dir").arg(dir))
            }
            #[cfg(unix)]
            Self::Launched(launcher) => launcher.start(slot),
        }
    }

    /// Kills what a build left running and removes what it left lying.
    pub fn clean(&self, layout: &Layout, slot: u32) -> Result<(), Unclean> {
        match self {
            Self::Own => {
                let dir = layout.build(slot);
                kill_left_in(&dir)?;
                wipe(&dir).map_err(|error| Unclean(error.to_string()))
            }
            #[cfg(unix)]
            Self::Launched(launcher) => launcher.clean(slot),
        }
    }

    /// Kills what is left of an executor of an earlier start of the agent.
    pub fn reap(&self, executor: Option<Process>, grace: Duration) -> Result<(), Unclean> {
        // It stops by itself when its agent is gone; what does not is killed.
        let end = Instant::now() + grace + Duration::from_secs(2);
        let Some(executor) = executor else {
            return Ok(());
        };
        while os::process(executor.id) == Some(executor) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        kill_until_gone(|| os::subtree(executor))
    }
}

/// Starts `fetch`, as the agent's own user.
pub fn start_fetch(layout: &Layout, slot: u32) -> io::Result<Started> {
    let over = layout.hand_over(slot);
    fs::create_dir_all(&over)?;
    fs::create_dir_all(layout.mirrors())?;
    let mut command = own_command();
    command.arg("fetch").arg("--mirrors").arg(layout.mirrors());
    spawn(command.arg("--dir").arg(over))
}

/// This program, with nothing of this process's environment but what the system needs.
pub fn own_command() -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "prbuild-agent".into());
    let mut command = Command::new(program);
    command.env_clear().envs(clean_vars());
    command
}

/// What a build finds in its environment, before its own.
pub fn clean_vars() -> Vars {
    let kept = os::BASE_VARS
        .iter()
        .filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    let mut vars: Vars = kept.collect();
    vars.entry("PATH".into()).or_insert(os::DEFAULT_PATH.into());
    if cfg!(unix) {
        vars.insert("LANG".into(), "C.UTF-8".into());
    }
    vars
}

fn spawn(command: &mut Command) -> io::Result<Started> {
    let (leash, standard_input) = Leash::new()?;
    let (output, writer) = io::pipe()?;
    let child = command
        .stdin(Stdio::from(standard_input))
        .stdout(writer)
        .spawn();
    // Our copies of its ends: where they stay open, its end is never seen.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = child?;
    Ok(Started {
        leash,
        output,
        process: os::process(child.id()),
        end: End::Child(child),
    })
}

fn kill_left_in(dir: &Path) -> Result<(), Unclean> {
    // The system knows places without links.
    let Ok(dir) = dir.canonicalize() else {
        return Ok(());
    };
    kill_until_gone(|| os::left_in(&dir))
}

fn kill_until_gone(find: impl Fn() -> io::Result<Vec<Process>>) -> Result<(), Unclean> {
    let end = Instant::now() + SWEEP;
    loop {
        let left = find().map_err(|error| Unclean(error.to_string()))?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(Unclean(format!("{} processes do not die", left.len())));
        }
        os::kill(&left);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Removes a directory with all that is in it, also where a build took its own rights away.
pub fn wipe(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(dir)?;
            fs::remove_dir_all(dir)
        }
        removed => removed,
    }
}

/// Makes directories writable for their owner again; never through a link.
fn open_up(dir: &Path) -> io::Result<()> {
    let mut rights = dir.symlink_metadata()?.permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o700);
    #[cfg(not(unix))]
    #[allow(
        clippy::permissions_set_readonly_false,
        reason = "only where there are no Unix rights that it would give to all"
    )]
    rights.set_readonly(false);
    fs::set_permissions(dir, rights)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
