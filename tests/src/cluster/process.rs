//! Programs that run in a berth: marked, with a pid file and a log.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::ClusterError;
use super::eventually::until;

/// Writes its own pid before it becomes the program, so that the pid is known however soon the
/// parent dies.
const LAUNCH: &str = r#"echo $$ >"$0" && exec "$@""#;

/// Environment variable of every process that goes with a berth, whose directory it names.
pub const MARK: &str = "PRBUILD_BERTH";

/// Variables by which programs find the proxy of this machine.
const PROXIES: [&str; 6] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "all_proxy",
    "https_proxy",
    "http_proxy",
];

/// A proxy of this machine is not for a cluster on it, and would not find it: programs ask one for every address
/// but loopback, and some for that, too.
pub fn without_proxy(command: &mut Command) -> &mut Command {
    for variable in PROXIES {
        command.env_remove(variable);
    }
    command
}

/// A running program. Dropping it kills it; the berth's reaper does so too.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Process {
    /// Starts a program in the berth of this directory. Its output goes to `logs/NAME.log`.
    pub fn start(berth: &Path, name: &str, command: &Command) -> Result<Self, ClusterError> {
        let log = berth.join("logs").join(format!("{name}.log"));
        let pid_file = berth.join("pids").join(name);
        let out = File::create(&log).map_err(ClusterError::io(&log))?;
        let err = out.try_clone().map_err(ClusterError::io(&log))?;
        let mut launch = Command::new("sh");
        launch
            .arg("-c")
            .arg(LAUNCH)
            .arg(&pid_file)
            .arg(command.get_program());
        launch.args(command.get_args());
        without_proxy(&mut launch);
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => launch.env(key, value),
                None => launch.env_remove(key),
            };
        }
        launch.current_dir(command.get_current_dir().unwrap_or(berth));
        launch.env(MARK, berth);
        launch
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        let child = launch.spawn().map_err(ClusterError::start(name))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
            pid_file,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error if it ended by itself.
    pub(super) fn must_live(&mut self) -> Result<(), ClusterError> {
        match self.ended() {
            None => Ok(()),
            Some(status) => Err(ClusterError::Died {
                name: self.name.clone(),
                status: status.to_string(),
                log: tail(&self.log(), 15),
            }),
        }
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it as Kubernetes would: asks (SIGTERM), and kills it if it is still there after 10 s.
    /// Returns how it ended.
    pub async fn stop(&mut self) -> Option<ExitStatus> {
        self.terminate();
        let ended = until(Duration::from_secs(10), async || {
            self.ended().ok_or_else(String::new)
        })
        .await;
        if ended.is_err() {
            self.kill();
        }
        self.ended()
    }

    /// Ends it at once (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        // It cannot refuse; a child that is gone already is waited for all the same.
        let _ = self.child.wait();
    }

    /// Lets it stand still (SIGSTOP), as a machine that is overloaded would.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Gone already is what was wanted. The pid is ours until it is waited for.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill();
        }
        let _ = fs::remove_file(&self.pid_file);
    }
}

/// The last lines of a text.
pub(super) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
