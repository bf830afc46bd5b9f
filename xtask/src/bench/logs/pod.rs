//! A pod without a cluster: an executor with a step that prints when it is told to, and a sidecar.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use protocol::log::{SPOOL_END, SPOOL_LOG, SpoolEnd};
use protocol::{Recipe, Source, Step, Work};
use tests::cluster::Binary;
use tests::story::Gateway;

use crate::Result;

/// Prints each number that comes.
const SCRIPT: &str = "while read -r n; do echo \"needle-$n printed\"; done < ../gate";

/// A pod, which ends with the bench.
pub struct Pod {
    gate: File,
    programs: Vec<Child>,
}

impl Pod {
    /// Starts one that keeps its files in a directory, and sends the log of a run to a gateway.
    pub fn start(dir: &Path, gateway: &Gateway, run: &str) -> Result<Self> {
        let [checkout, build, state] = ["checkout", "build", "state"].map(|name| dir.join(name));
        for made in ["src", "tmp", "home", "checkout", "build", "state"] {
            fs::create_dir_all(dir.join(made))?;
        }
        let said = "checked out\n";
        fs::write(checkout.join(SPOOL_LOG), said)?;
        let end = SpoolEnd {
            bytes: said.len() as u64,
        };
        fs::write(checkout.join(SPOOL_END), serde_json::to_vec(&end)?)?;
        let gate = dir.join("gate");
        if !Command::new("mkfifo").arg(&gate).status()?.success() {
            return Err(format!("{} cannot be made", gate.display()).into());
        }
        // Open for both, so that nobody waits for the other end, and the step sees no end before ours.
        let gate = OpenOptions::new().read(true).write(true).open(gate)?;
        let agent = Binary::Agent.path()?;
        let ship = Command::new(&agent)
            .env("PRBUILD_LOG_TOKEN", gateway.log_token(run))
            .args(["ship", "--repository", "app", "--run", run])
            .args(["--to", &gateway.ingest_url()])
            .arg("--checkout")
            .arg(&checkout)
            .arg("--build")
            .arg(&build)
            .arg("--state")
            .arg(&state)
            .spawn()?;
        let mut pod = Self {
            gate,
            programs: vec![ship],
        };
        let exec = Command::new(&agent)
            .arg("exec")
            .arg("--dir")
            .arg(dir)
            .arg("--message")
            .arg(dir.join("message"))
            .arg("--spool")
            .arg(&build)
            .env("PRBUILD_WORK", serde_json::to_string(&work())?)
            .stdout(Stdio::null())
            .spawn()?;
        pod.programs.push(exec);
        Ok(pod)
    }

    /// Lets the step print a number.
    pub fn print(&mut self, number: usize) -> Result<()> {
        Ok(self.gate.write_all(format!("{number}\n").as_bytes())?)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for program in &mut self.programs {
            // It may have ended by itself. The step ends with its executor's pipe, or with the gate.
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

fn work() -> Work {
    let commit = "c0ffee0123456789c0ffee0123456789c0ffee01".to_owned();
    let step = Step {
        run: SCRIPT.to_owned(),
        ..Step::default()
    };
    Work {
        source: Source {
            repository_id: 1,
            repository: "octo/app".to_owned(),
            clone_url: "https://github.invalid/octo/app.git".to_owned(),
            pull_request: 7,
            commit: commit.clone(),
            parents: Vec::new(),
            tree: None,
            head_sha: commit,
            base_ref: "main".to_owned(),
        },
        recipe: Recipe {
            steps: vec![step],
            ..Recipe::default()
        },
    }
}
