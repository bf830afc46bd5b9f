//! The launcher: the one part that is root. It starts the agent as one user and builds as others, kills
//! by user id, and has the build users remove what they left. It opens no connection, and reads nothing
//! of a pull request: from the agent it takes five bytes, a word and a slot, and the two ends of a
//! build's pipes.

mod client;
mod message;
mod sweep;

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{DirBuilderExt, MetadataExt, chown},
            net::UnixStream,
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{builder::own_command, layout::Layout};
use crate::os::{self, Signals, user_ids, users_processes};
use message::{Reply, Request, Word};

pub use client::Client;
pub use sweep::sweep;

/// Time after which processes of a build user that do not die are left, and the slot with them.
const SWEEP: Duration = Duration::from_secs(20);

/// User and group.
type Ids = (u32, u32);

/// Who is who.
#[derive(Clone, Debug)]
pub struct Users {
    /// The agent's user, by name or number.
    pub agent: String,
    /// One user for each slot.
    pub builds: Vec<String>,
}

/// Why the launcher cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// It is not root.
    #[error("the launcher is not root, and starts builds as other users")]
    NotRoot,
    /// Two of the users are one, or one is root.
    #[error("the user `{0}` is root or used twice; agent and builds need users of their own")]
    Users(String),
    /// The system refused something.
    #[error("the launcher could not {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// Starts the agent with this configuration and serves it until it ends; answers its exit code.
pub fn run(configuration: &Path, state: &Path, users: &Users) -> Result<u8, LaunchError> {
    if !rustix::process::geteuid().is_root() {
        return Err(LaunchError::NotRoot);
    }
    let system = |what| move |source| LaunchError::System { what, source };
    let (agent, slots) = resolve(users)?;
    let launcher = Arc::new(Launcher {
        layout: Layout::new(state),
        agent,
        slots,
    });
    launcher
        .make_places()
        .map_err(system("make its directories"))?;
    for slot in &launcher.slots {
        launcher
            .kill_all(slot.0)
            .map_err(system("kill what earlier builds left"))?;
    }
    let (own, other) = UnixStream::pair().map_err(system("make a socket"))?;
    let mut signals = Signals::of_this_process().map_err(system("listen for signals"))?;
    let mut child = launcher
        .start_agent(configuration, other)
        .map_err(system("start the agent"))?;
    let serving = launcher.clone();
    std::thread::spawn(move || serving.serve(own));
    let code = watch(&mut child, &mut signals).map_err(system("wait for the agent"))?;
    for slot in &launcher.slots {
        launcher
            .kill_all(slot.0)
            .map_err(system("kill what builds left"))?;
    }
    Ok(code)
}

/// The users' ids, all different and none of them root.
fn resolve(users: &Users) -> Result<(Ids, Vec<Ids>), LaunchError> {
    let mut known = vec![0];
    let mut resolved = Vec::new();
    for name in std::iter::once(&users.agent).chain(&users.builds) {
        let what = "look its users up";
        let ids = user_ids(name).map_err(|source| LaunchError::System { what, source })?;
        if known.contains(&ids.0) || ids.1 == 0 {
            return Err(LaunchError::Users(name.clone()));
        }
        known.push(ids.0);
        resolved.push(ids);
    }
    let builds = resolved.split_off(1);
    Ok((resolved[0], builds))
}

/// Waits for the agent, and hands on each wish that it stops: the second one means something else.
fn watch(agent: &mut Child, signals: &mut Signals) -> io::Result<u8> {
    let pid = i32::try_from(agent.id()).ok().and_then(Pid::from_raw);
    loop {
        if let Some(status) = agent.try_wait()? {
            let code = status.code().and_then(|code| code.try_into().ok());
            return Ok(code.unwrap_or(1));
        }
        if let Some(pid) = pid.filter(|_| signals.stopping()) {
            *signals = Signals::of_this_process()?;
            kill_process(pid, Signal::TERM)?;
        }
        // The end of a child wakes this up.
        os::wait(signals, None, None, Duration::from_secs(1))?;
    }
}

/// Nobody else may put something in the place of what is made there as root.
fn belongs_to_root(place: &Path) -> io::Result<()> {
    let meta = place.symlink_metadata()?;
    is_so(meta.is_dir() && meta.uid() == 0, place, "of root's")
}

/// What is given away is what its path says, and not what a link leads to: a build that was the agent's
/// user may have left one.
fn is_no_link(place: &Path) -> io::Result<()> {
    is_so(place.symlink_metadata()?.is_dir(), place, "but a link")
}

fn is_so(so: bool, place: &Path, what: &str) -> io::Result<()> {
    match so {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "`{}` is not a directory {what}",
            place.display()
        ))),
    }
}

struct Launcher {
    layout: Layout,
    agent: Ids,
    slots: Vec<Ids>,
}

impl Launcher {
    fn make_places(&self) -> io::Result<()> {
        let public = |path: &Path| {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o755).create(path)
        };
        let builds = self.layout.builds();
        public(&builds)?;
        // Its owner may have laid the state elsewhere, and a link where it was.
        let state = builds.parent().map(Path::canonicalize).transpose()?;
        for place in state.iter().chain([&builds]) {
            belongs_to_root(place)?;
        }
        for slot in (0..).take(self.slots.len()) {
            if let Some(place) = self.layout.build(slot).parent() {
                public(place)?;
                belongs_to_root(place)?;
            }
        }
        for (path, mode) in [(self.layout.agent(), 0o700), (self.hand_overs(), 0o755)] {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(mode).create(&path)?;
            is_no_link(&path)?;
            chown(&path, Some(self.agent.0), Some(self.agent.1))?;
        }
        Ok(())
    }

    fn hand_overs(&self) -> PathBuf {
        let first = self.layout.hand_over(0);
        first.parent().map(Path::to_path_buf).unwrap_or(first)
    }

    fn start_agent(&self, configuration: &Path, socket: UnixStream) -> io::Result<Child> {
        let mut command = own_command();
        command.arg("run").arg("--config").arg(configuration);
        command.arg("--launched").arg(self.slots.len().to_string());
        command.uid(self.agent.0).gid(self.agent.1);
        command
            .env("HOME", self.layout.agent())
            .current_dir(self.layout.agent());
        command.stdin(OwnedFd::from(socket)).spawn()
    }

    /// Takes requests until the agent is gone.
    fn serve(self: &Arc<Self>, socket: UnixStream) {
        let replies = Arc::new(Mutex::new(socket.try_clone()));
        let reply = move |reply: Reply| {
            let socket = replies.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(socket) = &*socket {
                // An agent that is gone needs no answer.
                let _ = message::send_reply(socket, reply);
            }
        };
        while let Ok(Some(request)) = message::receive(&socket) {
            let (this, reply) = (self.clone(), reply.clone());
            std::thread::spawn(move || this.carry_out(request, &reply));
        }
    }

    fn carry_out(&self, request: Request, reply: &dyn Fn(Reply)) {
        let slot = request.slot;
        let Some(ids) = self.slots.get(slot as usize).copied() else {
            return reply(Reply::new(Word::Failed, slot, 0));
        };
        match request.word {
            Word::Start => match self.start_build(slot, ids, request.ends) {
                Err(error) => reply(Reply::new(
                    Word::Failed,
                    slot,
                    error.raw_os_error().unwrap_or(0),
                )),
                Ok(mut child) => {
                    reply(Reply::new(Word::Started, slot, child.id().cast_signed()));
                    let _ = child.wait();
                    let gone = self.kill_all(ids.0).is_ok();
                    reply(Reply::new(Word::Ended, slot, i32::from(!gone)));
                }
            },
            Word::Clean => {
                let cleaned = self.clean(slot, ids);
                reply(Reply::new(Word::Cleaned, slot, i32::from(cleaned.is_err())));
            }
            Word::Started | Word::Failed | Word::Ended | Word::Cleaned => {}
        }
    }

    /// Starts a build as its slot's user, in a directory that only this user and root see into.
    fn start_build(&self, slot: u32, ids: Ids, ends: Vec<OwnedFd>) -> io::Result<Child> {
        let Ok([input, output]) = <[OwnedFd; 2]>::try_from(ends) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.kill_all(ids.0)?;
        let dir = self.layout.build(slot);
        if dir.symlink_metadata().is_ok() {
            self.clean(slot, ids)?;
        }
        if let Some(parent) = dir.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)?;
        }
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        chown(&dir, Some(ids.0), Some(ids.1))?;
        let mut command = self.as_build_user(ids);
        command.arg("build").arg("--dir").arg(&dir);
        command.arg("--from").arg(self.layout.hand_over(slot));
        command.stdin(input).stdout(Stdio::from(output)).spawn()
    }

    fn as_build_user(&self, ids: Ids) -> Command {
        let mut command = own_command();
        command
            .uid(ids.0)
            .gid(ids.1)
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }

    /// Kills all processes of a user, until there is none.
    fn kill_all(&self, uid: u32) -> io::Result<()> {
        let end = Instant::now() + SWEEP;
        while !users_processes(uid)?.is_empty() {
            if Instant::now() >= end {
                return Err(io::Error::other("processes of a build do not die"));
            }
            // As that user, so that the system itself kills all of them in one moment.
            let ids = self.slots.iter().find(|ids| ids.0 == uid).copied();
            let mut sweep = self.as_build_user(ids.unwrap_or((uid, uid)));
            sweep.arg("sweep").status()?;
        }
        Ok(())
    }

    /// Has the build user remove what it left, and then its empty directory.
    fn clean(&self, slot: u32, ids: Ids) -> io::Result<()> {
        self.kill_all(ids.0)?;
        let dir = self.layout.build(slot);
        if dir.symlink_metadata().is_err() {
            return Ok(());
        }
        let mut sweep = self.as_build_user(ids);
        sweep.arg("sweep").arg("--dir").arg(&dir).status()?;
        fs::remove_dir(&dir)
    }
}
