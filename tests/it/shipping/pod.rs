//! A pod without a cluster: its executor and its sidecar as programs.

use std::{
    fs::File,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use protocol::{
    Recipe, Step, Work,
    token::{Claims, LogScope, Scope},
};
use rustix::process::{Pid, Signal, kill_process};
use tests::cluster::Binary;

use super::gateway::operator;
use crate::agent::{Run, source};

/// The pipes at which a build waits before a turn.
const GATES: [&str; 2] = ["gate-0", "gate-1"];

/// A pod, which ends with the test.
pub struct Pod {
    run: Run,
    /// The uid of its run.
    pub uid: String,
    token: String,
    ingest: SocketAddr,
    ship: Option<Child>,
    exec: Option<Child>,
    /// How many turns of its build were let go on.
    turns: usize,
}

impl Pod {
    /// A pod with a sidecar that sends to a gateway. `n` tells its run from others of the same name.
    pub fn new(name: &str, n: usize, ingest: SocketAddr) -> Self {
        let run = Run::new(&format!("{name}-{n}"));
        for name in ["checkout", "spool", "state"] {
            std::fs::create_dir(run.root.join(name)).expect("a directory of the pod");
        }
        let uid = format!("0b5c0c1e-8d55-4a57-9a04-{n:012x}");
        let claims = Claims {
            scope: Scope::Log(LogScope {
                repository: "demo".into(),
                run: uid.clone(),
                attempt: 1,
            }),
            expires: i64::MAX,
        };
        let mut pod = Self {
            token: operator().token(&claims).expect("a token"),
            run,
            uid,
            ingest,
            ship: None,
            exec: None,
            turns: 0,
        };
        pod.start_ship();
        pod
    }

    fn start_ship(&mut self) {
        let mut command = Command::new(Binary::Agent.path().unwrap());
        command.arg("ship").args(["--repository", "demo"]);
        for (flag, name) in [
            ("--checkout", "checkout"),
            ("--build", "spool"),
            ("--state", "state"),
        ] {
            command.arg(flag).arg(self.run.root.join(name));
        }
        let to = format!("http://{}", self.ingest);
        command.args(["--run", &self.uid, "--to", &to]);
        command.env("PRBUILD_LOG_TOKEN", &self.token);
        self.ship = Some(command.stderr(Stdio::null()).spawn().expect("a sidecar"));
    }

    pub fn kill_ship(&mut self) {
        if let Some(mut ship) = self.ship.take() {
            ship.kill().expect("a sidecar to kill");
            ship.wait().expect("its end");
        }
    }

    /// Starts the sidecar where it was killed.
    pub fn keep_ship(&mut self) {
        if self.ship.is_none() {
            self.start_ship();
        }
    }

    /// Starts the build: it does its turn whenever it is let go on.
    ///
    /// There are two gates in turn: at one alone, who lets the next turn go on could meet the reader of the
    /// last one before it has closed the pipe, and what it wrote would be gone with that reader.
    pub fn build(&mut self, turns: usize, turn: &str) {
        let made = Command::new("mkfifo")
            .args(GATES.map(|gate| self.run.root.join(gate)))
            .status();
        assert!(made.is_ok_and(|status| status.success()), "no pipe");
        let step = Step {
            run: format!(
                "for turn in $(seq {turns}); do read -r _ < ../gate-$(((turn - 1) % 2)); {turn}; done"
            ),
            ..Step::default()
        };
        let recipe = Recipe {
            steps: vec![step],
            ..Recipe::default()
        };
        let work = Work {
            source: source(),
            recipe,
        };
        let printed = File::create(self.run.root.join("stdout")).expect("a file to print to");
        let exec = self
            .run
            .command("exec")
            .arg("--spool")
            .arg(self.run.root.join("spool"))
            .env("PRBUILD_WORK", serde_json::to_string(&work).expect("JSON"))
            .stdout(printed)
            .spawn()
            .expect("the executor");
        self.exec = Some(exec);
    }

    /// Lets the build do its next turn.
    pub fn go_on(&mut self) {
        let gate = GATES[self.turns % GATES.len()];
        self.turns += 1;
        std::fs::write(self.run.root.join(gate), "go\n").expect("a script that waits");
    }

    /// Waits for the end of the build, and tells the sidecar that Kubernetes stops it.
    pub fn stop(&mut self) {
        let mut exec = self.exec.take().expect("a build");
        assert!(exec.wait().expect("its end").success());
        let ship = self.ship.as_ref().expect("a sidecar");
        until_it_listens(ship.id());
        kill_process(Pid::from_child(ship), Signal::TERM).expect("a sidecar to stop");
    }

    /// Waits for the end of the sidecar. What the build printed.
    pub fn printed(&mut self) -> Vec<u8> {
        let mut ship = self.ship.take().expect("a sidecar");
        assert!(ship.wait().expect("its end").success());
        std::fs::read(self.run.root.join("stdout")).expect("what was printed")
    }
}

/// Waits until a process that has just begun listens to the wish to stop, and does not end by it.
fn until_it_listens(pid: u32) {
    const TERM: u64 = 1 << 14;
    let listens = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & TERM != 0).then_some(())
    };
    let end = Instant::now() + Duration::from_secs(20);
    while listens().is_none() {
        assert!(Instant::now() < end, "{pid} does not listen");
        std::thread::yield_now();
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.kill_ship();
        if let Some(mut exec) = self.exec.take() {
            // It may have ended by itself.
            let _ = exec.kill();
            let _ = exec.wait();
        }
    }
}
