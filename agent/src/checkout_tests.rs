//! Checkouts from a real git server: proven, tried again, given up, and said in words.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use super::*;
use crate::{
    testing::{self, Executor},
    testing_git::{Manner, Origin, Server},
};

/// An executor, a repository, and a server for it.
pub(super) struct Bench {
    pub executor: Executor,
    pub origin: Origin,
    pub server: Server,
    pub root: PathBuf,
    pub limits: FetchLimits,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_| Manner::Honest)
    }

    pub fn with(manner: impl FnOnce(&Origin) -> Manner) -> Self {
        let executor = Executor::new();
        let root = executor.scratch().path("build");
        fs::create_dir(&root).unwrap();
        let origin = Origin::new(executor.scratch().path("origin.git"));
        let manner = manner(&origin);
        Self {
            server: Server::new(&origin.path, manner),
            executor,
            origin,
            root,
            limits: FetchLimits {
                total: Duration::from_secs(60),
                one: Duration::from_secs(30),
                tries: 3,
                pause: Duration::from_millis(10),
            },
        }
    }

    /// A test merge of two commits: its SHA, its parents, its tree.
    pub fn merge(&self) -> (String, Vec<String>, String) {
        let (origin, text) = (&self.origin, self.origin.blob("hello\n"));
        let tree = origin.tree(&[
            ("100644", &text, "file"),
            ("120000", &origin.blob("/etc"), "link"),
        ]);
        let parents = vec![
            origin.commit(&tree, &[]),
            origin.commit(&origin.tree(&[]), &[]),
        ];
        let merge = origin.commit(&tree, &[&parents[0], &parents[1]]);
        (merge, parents, tree)
    }

    pub fn source(&self, commit: &str) -> Source {
        testing::source(&self.server.url(), commit)
    }

    pub fn run(&mut self, source: &Source) -> CheckoutReport {
        self.run_with(source, None)
    }

    pub fn run_with(&mut self, source: &Source, install: Option<&Path>) -> CheckoutReport {
        let (root, limits) = (self.root.clone(), self.limits);
        let (signals, mut log, _stop) = self.executor.parts();
        let report = super::run(source, &root, install, limits, signals, &mut log);
        assert_eq!(os::descendants().unwrap(), [], "processes are left");
        report
    }

    /// Runs a checkout that must fail; answers the sentence.
    pub fn error(&mut self, source: &Source) -> String {
        let report = self.run(source);
        assert_eq!(report.commit, "");
        assert!(
            !self.src("file").exists(),
            "there is a checkout all the same"
        );
        report.error.expect("a checkout that should have failed")
    }

    pub fn src(&self, name: &str) -> PathBuf {
        self.root.join("src").join(name)
    }
}

#[test]
fn a_test_merge_is_fetched_by_its_sha_and_proven() {
    let mut bench = Bench::new();
    let (commit, parents, tree) = bench.merge();
    let source = Source {
        parents: parents.clone(),
        tree: Some(tree.clone()),
        ..bench.source(&commit)
    };
    let report = bench.run(&source);
    assert_eq!(report.error, None, "{}", bench.executor.log());
    assert_eq!(
        (report.commit, report.parents, report.tree),
        (commit.clone(), parents, tree)
    );
    assert_eq!(fs::read_to_string(bench.src("file")).unwrap(), "hello\n");
    let mut head = Command::new("git");
    let head = testing::run_beside(head.args(["rev-parse", "HEAD"]).current_dir(bench.src("")));
    assert_eq!(head, commit);
    assert!(
        !fs::read_to_string(bench.src(".git/config"))
            .unwrap()
            .contains("http")
    );
    assert!(bench.root.join("tmp").is_dir() && bench.root.join("home").is_dir());
    let log = bench.executor.log();
    assert!(log.starts_with(&format!(
        "fetching {} from {}\n",
        short(&commit),
        bench.server.url()
    )));
    assert!(
        log.contains(&format!("checked out {commit}: tree ")),
        "{log}"
    );
}

#[test]
fn the_executor_is_handed_on_for_everybody_to_run() {
    let mut bench = Bench::new();
    let (commit, ..) = bench.merge();
    let install = bench.executor.scratch().path("agent");
    for _ in 0..2 {
        let report = bench.run_with(&bench.source(&commit), Some(&install));
        assert_eq!(report.error, None);
        assert_eq!(
            fs::metadata(&install).unwrap().permissions().mode() & 0o7777,
            0o555
        );
        let own = fs::metadata(std::env::current_exe().unwrap())
            .unwrap()
            .len();
        assert_eq!(fs::metadata(&install).unwrap().len(), own);
    }
    let nowhere = bench.executor.scratch().path("none/agent");
    let report = bench.run_with(&bench.source(&commit), Some(&nowhere));
    assert!(
        report
            .error
            .unwrap()
            .starts_with("the executor could not be copied to")
    );
}

#[test]
fn what_an_earlier_try_left_is_gone() {
    let mut bench = Bench::new();
    let (commit, ..) = bench.merge();
    fs::create_dir_all(bench.src(".git/hooks")).unwrap();
    fs::write(bench.src("stale"), "x").unwrap();
    assert_eq!(bench.run(&bench.source(&commit)).error, None);
    assert!(!bench.src("stale").exists() && !bench.src(".git/hooks").exists());
}

#[test]
fn other_parents_or_another_tree_are_refused() {
    let mut bench = Bench::new();
    let (commit, mut parents, _) = bench.merge();
    parents.reverse();
    let other = Source {
        parents,
        ..bench.source(&commit)
    };
    assert!(
        bench
            .error(&other)
            .contains("does not have the parents that were authorized")
    );
    let other = Source {
        tree: Some("0".repeat(40)),
        ..bench.source(&commit)
    };
    assert!(
        bench
            .error(&other)
            .contains("does not have the files that were authorized")
    );
}

#[test]
fn s27_a_commit_that_is_gone_is_told_from_a_network_that_fails() {
    let mut bench = Bench::new();
    bench.merge();
    let gone = bench.source(&"d".repeat(40));
    assert_eq!(
        bench.error(&gone),
        "the commit dddddddddd does not exist on GitHub any more; was the branch rewritten?"
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let away = testing::source(&format!("http://{address}/octo/demo.git"), &"d".repeat(40));
    let error = bench.error(&away);
    assert!(
        error.starts_with("the network failed: 3 tries in "),
        "{error}"
    );
}

#[test]
fn a_repository_that_is_not_there_is_named() {
    let mut bench = Bench::with(|_| Manner::Unknown);
    let error = bench.error(&bench.source(&"d".repeat(40)));
    assert_eq!(
        error,
        "the repository `octo/demo` is not public any more, or has another name"
    );
    assert_eq!(bench.server.requests().len(), 1, "asked again in vain");
}

#[test]
fn a_server_that_fails_for_a_moment_is_asked_again() {
    let mut bench = Bench::with(|_| Manner::Fail(2));
    let (commit, ..) = bench.merge();
    let report = bench.run(&bench.source(&commit));
    assert_eq!(report.error, None, "{}", bench.executor.log());
    assert!(bench.executor.log().contains(" again\n"));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let mut bench = Bench::with(|_| Manner::Silent);
    bench.limits.one = Duration::from_millis(300);
    bench.limits.tries = 2;
    let error = bench.error(&bench.source(&"d".repeat(40)));
    assert!(
        error.starts_with("the network failed: 2 tries in "),
        "{error}"
    );
    let words = "(it took longer than `timeouts.checkoutSeconds` of the builder allows)";
    assert!(error.ends_with(words), "{error}");
}

#[test]
fn a_builder_allows_its_checkout_more_time_and_no_more_than_an_hour() {
    let seconds = |allowed| {
        let limits = FetchLimits::within(allowed);
        [limits.total, limits.one, limits.on_disk()].map(|limit| limit.as_secs())
    };
    let usual = FetchLimits::default();
    assert_eq!((usual.total.as_secs(), usual.one.as_secs()), (300, 150));
    assert_eq!(seconds(60), [60, 30, 120]);
    assert_eq!(seconds(3000), [3000, 1500, 1500]);
    assert_eq!(seconds(i64::MAX), [3600, 1800, 1800]);
    assert_eq!(seconds(-1), [1, 0, 120]);
}

#[test]
fn a_stop_ends_a_fetch_that_hangs() {
    let mut bench = Bench::with(|_| Manner::Silent);
    let source = bench.source(&"d".repeat(40));
    let (root, limits) = (bench.root.clone(), bench.limits);
    let (signals, mut log, mut stop) = bench.executor.parts();
    let fetching = root.join("src/.git/config");
    let report = std::thread::scope(|scope| {
        scope.spawn(move || {
            while !fetching.exists() {
                std::thread::yield_now();
            }
            stop.write_all(b"x").unwrap();
        });
        super::run(&source, &root, None, limits, signals, &mut log)
    });
    assert_eq!(
        report.error.as_deref(),
        Some("cancelled during the checkout")
    );
}

#[test]
fn a_malformed_source_never_reaches_git() {
    let mut bench = Bench::new();
    let canary = bench.executor.scratch().path("canary");
    let url = format!("ext::touch {}", canary.display());
    let error = bench.error(&testing::source(&url, &"d".repeat(40)));
    assert!(
        error.starts_with("the source of the run is not valid: the clone URL"),
        "{error}"
    );
    assert!(!canary.exists() && !bench.src("").exists());
}

#[test]
fn in_the_spool_the_checkout_is_step_0() {
    let mut bench = Bench::new();
    let spool = bench.executor.scratch().path("spool");
    fs::create_dir(&spool).unwrap();
    bench.executor.spool = Some(spool.clone());
    let (merge, ..) = bench.merge();
    bench.run(&bench.source(&merge));
    let marks = fs::read_to_string(spool.join("marks")).unwrap();
    let marks: Vec<protocol::log::Mark> = marks
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|mark: &protocol::log::Mark| mark.what != MarkKind::Time)
        .collect();
    let log = fs::read(spool.join("log")).unwrap();
    assert_eq!(log, bench.executor.raw_log());
    assert!(matches!(marks[0].what, MarkKind::Step { n: 0, .. }));
    let (n, result, exit) = (0, StepResult::Passed, None);
    assert_eq!(marks[1].what, MarkKind::End { n, result, exit });
    assert_eq!((marks[0].at, marks[1].at), (0, log.len() as u64));
}
