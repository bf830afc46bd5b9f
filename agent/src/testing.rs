//! What the tests of this crate share.

use std::{
    fs::File,
    io::Read,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU32, atomic::Ordering},
};

use protocol::{Source, log::LogLimits};

use crate::{log::Log, os::Signals};

/// A directory of its own that is gone after the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("prbuild-agent-{}-{number}", std::process::id());
        let path = std::env::temp_dir().canonicalize().unwrap().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn root(&self) -> &Path {
        &self.0
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The one executor of this process. An executor takes all children of its process for its own, so
/// tests that start processes go one after the other.
pub struct Executor {
    pub signals: Signals,
    stop: UnixStream,
    log: PathBuf,
    /// Where the log is kept as well.
    pub spool: Option<PathBuf>,
    scratch: Scratch,
    _turn: MutexGuard<'static, ()>,
}

impl Executor {
    pub fn new() -> Self {
        let turn = turn();
        let (stop, receiver) = UnixStream::pair().unwrap();
        let scratch = Scratch::new();
        Self {
            signals: Signals::stopped_by(receiver).unwrap(),
            stop,
            log: scratch.path("log"),
            spool: None,
            scratch,
            _turn: turn,
        }
    }

    /// A log into a file, and what stops the executor when written to.
    pub fn parts(&mut self) -> (&mut Signals, Log, UnixStream) {
        let mut log = Log::to(File::create(&self.log).unwrap());
        if let Some(spool) = &self.spool {
            log.keep_in(spool, LogLimits::of(1 << 20));
        }
        (&mut self.signals, log, self.stop.try_clone().unwrap())
    }

    /// What is in the log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.raw_log()).into_owned()
    }

    pub fn raw_log(&self) -> Vec<u8> {
        let mut content = Vec::new();
        File::open(&self.log)
            .unwrap()
            .read_to_end(&mut content)
            .unwrap();
        content
    }

    /// A place for files of the test, outside of the run.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a program of the test itself to its end, while no executor could collect it.
pub fn run(command: &mut Command) -> String {
    let _turn = turn();
    run_beside(command)
}

/// As [`run`], for a test that holds the executor and has not begun to use it, or has ended.
pub fn run_beside(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A source: the head of a pull request.
pub fn source(clone_url: &str, commit: &str) -> Source {
    Source {
        repository_id: 1,
        repository: "octo/demo".into(),
        clone_url: clone_url.into(),
        pull_request: 7,
        commit: commit.into(),
        parents: Vec::new(),
        tree: None,
        head_sha: commit.into(),
        base_ref: "main".into(),
    }
}
