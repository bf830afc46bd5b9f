//! A machine that its owner lends: the real agent, set up as docs/workers.md tells an owner to do it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crds::Worker;
use serde_json::Value;

use crate::cluster::{ClusterError, MARK, eventually, without_proxy};
use crate::story::{Story, apply};

/// What its owner was told, and calls it.
#[derive(Clone, Debug)]
pub struct Lent<'a> {
    /// The agent's program.
    pub program: &'a Path,
    /// A directory of its own, for configuration and state. It is removed at the end.
    pub dir: PathBuf,
    /// Address of the gateway.
    pub server: &'a str,
    /// Name of the Worker.
    pub name: &'a str,
    /// Fingerprint of the operator's keys.
    pub operator: &'a str,
    /// Labels of the Worker, beside its own.
    pub labels: &'a [(&'a str, &'a str)],
}

/// One machine. Dropped, its agent stops what runs, and ends. Where nobody is left to drop it, the cluster's reaper
/// ends its agent.
pub struct Machine {
    program: PathBuf,
    dir: PathBuf,
    berth: PathBuf,
    child: Child,
}

impl Lent<'_> {
    /// Makes key and configuration, applies the manifest as the infrastructure team does, and lets the machine take pull
    /// requests.
    ///
    /// # Errors
    /// What the agent's program says.
    pub async fn set_up(&self, story: &Story) -> Result<(), ClusterError> {
        std::fs::create_dir_all(&self.dir).map_err(ClusterError::io(&self.dir))?;
        let mut init = command(self.program, "init", &self.dir);
        init.args(["--server", self.server, "--name", self.name]);
        init.args(["--operator", self.operator]);
        init.args(["--contact", "Ada Lovelace <ada@example.org>"]);
        init.arg("--state").arg(self.dir.join("state"));
        let manifest = text(&mut init)?;
        let mut manifest: Value = match serde_saphyr::from_str(&manifest) {
            Ok(manifest) => manifest,
            Err(error) => return Err(failed("prbuild-agent init", error.to_string())),
        };
        for (label, value) in self.labels {
            manifest["spec"]["labels"][label] = (*value).into();
        }
        let _: Worker = apply(&story.api(), self.name, manifest).await;
        let file = configuration(&self.dir);
        let written = std::fs::read_to_string(&file).map_err(ClusterError::io(&file))?;
        let opened = written
            .replace("\nevents = []", "\nevents = [\"pull_request\"]")
            .replace("min_free_disk = \"10GiB\"", "min_free_disk = \"100MiB\"");
        std::fs::write(&file, opened).map_err(ClusterError::io(&file))
    }

    /// What a command of the agent's prints, whatever its exit code.
    ///
    /// # Errors
    /// When it does not start.
    pub fn asked(&self, what: &str) -> Result<String, ClusterError> {
        let output = output(&mut command(self.program, what, &self.dir))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Machine {
    /// Sets a machine up and starts its agent.
    ///
    /// # Errors
    /// What the agent's program says.
    pub async fn lend(story: &Story, lent: Lent<'_>) -> Result<Self, ClusterError> {
        lent.set_up(story).await?;
        Self::begin(story, lent)
    }

    /// Starts the agent of a machine that is set up.
    ///
    /// # Errors
    /// When it does not start.
    pub fn begin(story: &Story, lent: Lent<'_>) -> Result<Self, ClusterError> {
        let berth = story.install.access().dir().to_owned();
        Ok(Self {
            child: start(lent.program, &lent.dir, &berth)?,
            program: lent.program.to_owned(),
            dir: lent.dir,
            berth,
        })
    }

    /// What its agent wrote for its owner so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Process id of its agent.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the agent in the middle of whatever it does.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills the agent in the middle of whatever it does, and starts it again.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self) -> Result<(), ClusterError> {
        self.kill();
        self.child = start(&self.program, &self.dir, &self.berth)?;
        Ok(())
    }

    /// Lets what runs be stopped, and waits for the agent's end.
    pub async fn end(mut self) {
        let pid = i32::try_from(self.child.id()).ok();
        let pid = pid.and_then(rustix::process::Pid::from_raw);
        eventually("the agent ends", Duration::from_secs(60), async || {
            match (self.child.try_wait(), pid) {
                (Ok(None), Some(pid)) => {
                    // Asked again it stops what runs, too.
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                    Err("it runs".to_owned())
                }
                _ => Ok(()),
            }
        })
        .await;
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.dir.display(), self.log());
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn configuration(dir: &Path) -> PathBuf {
    dir.join("agent.toml")
}

fn command(program: &Path, what: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(what).arg("--config").arg(configuration(dir));
    without_proxy(&mut command).stdin(Stdio::null());
    command
}

fn start(program: &Path, dir: &Path, berth: &Path) -> Result<Child, ClusterError> {
    let file = dir.join("log");
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&file);
    let log = log.map_err(ClusterError::io(&file))?;
    let mut run = command(program, "run", dir);
    run.stdout(Stdio::null()).stderr(log);
    run.env(MARK, berth);
    run.spawn().map_err(ClusterError::start("prbuild-agent"))
}

fn output(command: &mut Command) -> Result<Output, ClusterError> {
    command
        .output()
        .map_err(ClusterError::start("prbuild-agent"))
}

fn text(command: &mut Command) -> Result<String, ClusterError> {
    let output = output(command)?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(failed("prbuild-agent init", said))
        }
    }
}

fn failed(what: &str, because: String) -> ClusterError {
    ClusterError::Command {
        what: what.to_owned(),
        because,
    }
}
