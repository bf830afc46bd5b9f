//! One worker with its gateway, its owner and a repository; all of it is gone after the test.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use protocol::{
    Recipe, Source, Step, Work,
    token::Signer,
    worker::{
        assignment::{Assignment, Audience, EventKind, Evidence, Requester, RunId, digest_of},
        completion::{Completion, RunEnd},
        envelope::Envelope,
        key::{PublicKey, Sign},
        keys::{KeyChain, KeySet},
        wire::Offer,
    },
};

use crate::{
    gateway::Gateway,
    git::{Manner, Origin, Server},
    line::Line,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_prbuild-agent");

/// What an owner allows who lends the machine.
pub const OPEN: &str = "events = [\"pull_request\"]";

pub struct Bench {
    pub root: PathBuf,
    pub gateway: Gateway,
    /// What is between worker and gateway, where something is.
    pub line: Option<Line>,
    pub operator: Signer,
    pub server: Server,
    pub commit: String,
    pub agent: Option<Child>,
    /// Users of agent and build, by number, where they differ. Those of more slots follow.
    pub users: Option<(u32, u32)>,
    pub slots: u32,
    /// What the agent and its owner find in their environment, beside what this test does.
    pub variables: Vec<(&'static str, OsString)>,
}

impl Bench {
    /// A worker whose owner allows this; it does not run yet.
    pub fn new(policy: &str) -> Self {
        Self::set_up(policy, |_| None)
    }

    /// The same, with a line between it and its gateway.
    pub fn on_a_line(policy: &str) -> Self {
        Self::set_up(policy, |gateway| Some(Line::to(gateway.address())))
    }

    fn set_up(policy: &str, line: impl FnOnce(&Gateway) -> Option<Line>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("prbuild-worker-{}-{number}", std::process::id());
        let root = std::env::temp_dir().canonicalize().unwrap().join(name);
        fs::create_dir(&root).unwrap();
        let operator = Signer::from_seed(&[7; 32]);
        let first = key_set(1, &operator);
        let fingerprint = first.fingerprint();
        let next = Vec::new();
        let gateway = Gateway::new(KeyChain { first, next });
        let origin = Origin::new(root.join("origin.git"));
        let tree = origin.tree(&[("100644", &origin.blob("hello\n"), "file")]);
        let commit = origin.commit(&tree, &[]);
        let bench = Self {
            server: Server::new(&origin.path, Manner::Honest),
            root,
            line: line(&gateway),
            gateway,
            operator,
            commit,
            agent: None,
            users: None,
            slots: 1,
            variables: Vec::new(),
        };
        bench.init(&fingerprint, policy);
        bench
    }

    fn init(&self, fingerprint: &str, policy: &str) {
        let line = self.line.as_ref();
        let server = line.map_or_else(|| self.gateway.url(), Line::url);
        let state = self.root.join("state");
        let mut init = Command::new(PROGRAM);
        init.arg("init")
            .arg("--config")
            .arg(self.config())
            .arg("--state")
            .arg(state);
        init.args([
            "--server",
            &server,
            "--name",
            "mac-1",
            "--operator",
            fingerprint,
        ]);
        let output = init.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let manifest = String::from_utf8(output.stdout).unwrap();
        let key = manifest.split("- ").nth(1).unwrap().trim();
        self.gateway.has().worker = Some(PublicKey::parse(key).unwrap());
        self.write_policy(policy);
    }

    /// Changes what the owner allows.
    pub fn write_policy(&self, policy: &str) {
        let text = fs::read_to_string(self.config()).unwrap();
        let head = text.split("[policy]").next().unwrap().to_owned();
        let limits = match policy.contains("[limits]") {
            true => "",
            false => "\n[limits]\nmin_free_disk = \"1MiB\"\ngrace_seconds = 1\n",
        };
        fs::write(self.config(), format!("{head}[policy]\n{policy}\n{limits}")).unwrap();
    }

    /// Lets it take that many runs at a time.
    pub fn take(&mut self, slots: u32) {
        let text = fs::read_to_string(self.config()).unwrap();
        let text = text.replace("\nslots = 1\n", &format!("\nslots = {slots}\n"));
        fs::write(self.config(), text).unwrap();
        self.slots = slots;
    }

    pub fn config(&self) -> PathBuf {
        self.root.join("agent.toml")
    }

    /// A file of the agent's own.
    pub fn own(&self, name: &str) -> PathBuf {
        self.root.join("state/agent").join(name)
    }

    /// A copy of the program: where the workspace is, other users may have no business.
    pub fn program_for_all(&self) -> PathBuf {
        let program = self.root.join("prbuild-agent");
        if !program.exists() {
            // Not by this process: another test may start a program meanwhile, which then holds the
            // copy open for writing, and what is open for writing does not start.
            let copied = Command::new("cp").arg(PROGRAM).arg(&program).status();
            assert!(copied.unwrap().success());
        }
        program
    }

    /// Starts the agent.
    pub fn start(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.root.join("agent.log"))
            .unwrap();
        let mut command = match self.users {
            None => Command::new(PROGRAM),
            Some(_) => Command::new(self.program_for_all()),
        };
        match self.users {
            None => command.arg("run"),
            Some((agent, build)) => {
                command.args(["launcher", "--agent-user", &agent.to_string()]);
                let builds = (build..build + self.slots).map(|build| build.to_string());
                command.args(builds.flat_map(|build| ["--build-user".to_owned(), build]))
            }
        };
        command
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .stderr(log);
        command.envs(self.variables.iter().cloned());
        self.agent = Some(command.spawn().unwrap());
    }

    /// A worker that is lent and runs.
    pub fn running(policy: &str) -> Self {
        let mut bench = Self::new(policy);
        bench.start();
        bench
    }

    /// What the owner types.
    pub fn owner(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--config").arg(self.config());
        command.envs(self.variables.iter().cloned());
        command.output().unwrap()
    }

    /// The line to the gateway.
    pub fn line(&self) -> &Line {
        self.line.as_ref().unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }

    /// Sends a signal to the agent.
    pub fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Kills the agent in the middle of whatever it does.
    pub fn kill(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    /// Waits until the agent has ended by itself; answers its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(60);
        let agent = self.agent.as_mut().unwrap();
        loop {
            if let Some(status) = agent.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                Instant::now() < end,
                "the agent does not end: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.root.join("agent.log")).unwrap_or_default()
    }

    /// An assignment to this worker with this script as its only step.
    pub fn assignment(&self, script: &str) -> Assignment {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let step = Step {
            name: Some("Test".into()),
            run: script.to_owned(),
            ..Step::default()
        };
        let work = Work {
            source: Source {
                repository_id: 7,
                repository: "octo/demo".into(),
                clone_url: self.server.url(),
                pull_request: 12,
                commit: self.commit.clone(),
                parents: Vec::new(),
                tree: None,
                head_sha: self.commit.clone(),
                base_ref: "main".into(),
            },
            recipe: Recipe {
                steps: vec![step],
                ..Recipe::default()
            },
        };
        Assignment {
            run: RunId {
                name: format!("app-12-l{number}-mac-1"),
                uid: format!("uid-{number}"),
                attempt: 1,
            },
            to: Audience::Worker("mac-1".into()),
            repository: "app".into(),
            builder: "mac".into(),
            display_name: "macOS".into(),
            event: EventKind::PullRequest,
            evidence: Evidence::Label,
            requester: Requester {
                id: 4,
                login: "ada".into(),
            },
            work_digest: digest_of(&work).unwrap(),
            work,
            log_limit: 1 << 20,
            issued: 1,
            expires: i64::MAX / 2,
        }
    }

    /// Offers an assignment that the operator signed; answers its id.
    pub fn offer(&self, assignment: &Assignment) -> String {
        let signed = Envelope::seal(assignment, &self.operator).unwrap();
        self.offer_signed(&format!("{}.fence", assignment.run.uid), signed)
    }

    pub fn offer_signed(&self, id: &str, signed: Envelope) -> String {
        let id = id.to_owned();
        let offer = Offer {
            id: id.clone(),
            signed,
        };
        self.gateway.change(|has| has.offers.push(offer));
        id
    }

    /// Offers a script and waits for its end.
    pub fn run(&self, script: &str) -> Completion {
        let id = self.offer(&self.assignment(script));
        self.completion(&id)
    }

    /// Waits for the end of an assignment.
    pub fn completion(&self, id: &str) -> Completion {
        self.gateway
            .wait("completion", |has| has.completed.get(id).cloned())
    }

    /// Waits for a decline; answers its words.
    pub fn decline(&self, id: &str) -> protocol::worker::wire::Decline {
        self.gateway.wait("decline", |has| {
            let found = has.declined.iter().find(|(one, _)| one == id);
            found.map(|(_, decline)| decline.clone())
        })
    }

    /// The log of a run, as far as the gateway has it.
    pub fn log_of(&self, uid: &str) -> String {
        let has = self.gateway.has();
        let bytes = has.logs.get(&format!("{uid}/logs/log")).cloned();
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    /// Waits until a file of the build is there.
    pub fn file(&self, path: &Path) -> String {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => {}
            }
            assert!(
                Instant::now() < end,
                "no {}: {}",
                path.display(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        if std::thread::panicking() {
            eprintln!("the agent said:\n{}", self.log());
        }
        // Builds stop when their agent is gone, and may write until then.
        let end = Instant::now() + Duration::from_secs(20);
        while fs::remove_dir_all(&self.root).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

pub fn key_set(version: u64, signer: &Signer) -> KeySet {
    let keys = vec![signer.public().to_string()];
    KeySet { version, keys }
}

/// Whether a process is there.
pub fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim();
    !state.is_empty() && !state.starts_with('Z')
}

/// The report's verdict, in a word.
pub fn verdict(completion: &Completion) -> String {
    match &completion.result {
        RunEnd::Ran { report, .. } => format!("{:?}", report.verdict),
        other => format!("{other:?}"),
    }
}
