//! How a build is started, stopped and cleaned up after: as the agent's own user, or as users of their
//! own through the [launcher](super::launcher).

use std::{
    fs, io,
    path::{Path, PathBuf},
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

/// Directories below each other that are removed at once: the system has a file open for each of them
/// meanwhile, and this process a place on its stack.
const DEEP: usize = 100;

/// Bytes of a path from which on nothing is done further below: Linux opens none of 4,096.
const LONG: usize = 2048;

/// Removes a directory with all that is in it, also where a build took its own rights away or made
/// directories as deep as it could.
pub fn wipe(dir: &Path) -> io::Result<()> {
    match dir.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(meta) if meta.is_dir() => open_up(dir)?,
        // Of a link itself nothing is opened.
        Ok(_) => {}
    }
    fs::remove_dir_all(dir)
}

/// Makes directories writable for their owner again, and lays what is deep below into the first one, so that
/// nothing is; never through a link.
fn open_up(dir: &Path) -> io::Result<()> {
    let (mut left, mut moved) = (vec![(dir.to_path_buf(), 0)], 0);
    while let Some((place, depth)) = left.pop() {
        allow(&place)?;
        for entry in fs::read_dir(&place)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            let path = entry.path();
            if depth < DEEP && path.as_os_str().len() < LONG {
                left.push((path, depth + 1));
                continue;
            }
            // Its parent changes, which takes rights in itself.
            allow(&path)?;
            let to = free_name(dir, &mut moved);
            fs::rename(&path, &to)?;
            left.push((to, 1));
        }
    }
    Ok(())
}

/// A name in a directory that nothing has.
fn free_name(dir: &Path, number: &mut u64) -> PathBuf {
    loop {
        *number += 1;
        let path = dir.join(format!("moved-{number}"));
        if path.symlink_metadata().is_err() {
            return path;
        }
    }
}

/// Gives the owner of a directory all rights in it, where it has not.
fn allow(dir: &Path) -> io::Result<()> {
    let mut rights = dir.symlink_metadata()?.permissions();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if rights.mode() & 0o700 == 0o700 {
            return Ok(());
        }
        rights.set_mode(0o700);
    }
    #[cfg(not(unix))]
    #[allow(
        clippy::permissions_set_readonly_false,
        reason = "only where there are no Unix rights that it would give to all"
    )]
    rights.set_readonly(false);
    fs::set_permissions(dir, rights)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Scratch};

    /// Makes directories below each other, and a file in the last one that nobody may reach.
    const NEST: &str = "
import os, sys
for _ in range(int(sys.argv[2])):
    os.mkdir(sys.argv[1])
    os.chdir(sys.argv[1])
open('file', 'w').close()
os.chmod('.', 0)
";

    /// How many directories are below each other, at most.
    fn depth(dir: &Path) -> usize {
        let entries = fs::read_dir(dir).expect("a directory");
        let entries = entries.map(|entry| entry.expect("an entry"));
        let inner = entries.filter(|entry| entry.file_type().expect("its type").is_dir());
        inner
            .map(|entry| 1 + depth(&entry.path()))
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn directories_that_are_deeper_than_a_path_can_be_long_are_removed() {
        for (name, count) in [("d".to_owned(), 5000), ("n".repeat(200), 60)] {
            let scratch = Scratch::new();
            let dir = scratch.path("run");
            fs::create_dir(&dir).unwrap();
            fs::create_dir(dir.join("moved-1")).unwrap();
            let mut nest = Command::new("python3");
            nest.args(["-c", NEST, &name, &count.to_string()]);
            testing::run(nest.current_dir(&dir));
            open_up(&dir).unwrap();
            assert!(depth(&dir) <= DEEP + 1);
            wipe(&dir).unwrap();
            assert!(!dir.exists());
        }
    }

    #[test]
    fn what_a_link_leads_to_stays() {
        let scratch = Scratch::new();
        let (dir, other) = (scratch.path("run"), scratch.path("other"));
        fs::create_dir(&other).unwrap();
        fs::write(other.join("kept"), "").unwrap();
        fs::create_dir(&dir).unwrap();
        std::os::unix::fs::symlink(&other, dir.join("link")).unwrap();
        wipe(&dir).unwrap();
        std::os::unix::fs::symlink(&other, &dir).unwrap();
        wipe(&dir).unwrap();
        wipe(&dir).unwrap();
        assert!(dir.symlink_metadata().is_err());
        assert!(other.join("kept").exists());
    }
}
