//! From the mirror of the agent to the checkout of a build, also where git was killed.

use std::{fs, path::PathBuf};

use super::*;
use crate::{
    testing::{self, Executor},
    testing_git::{Manner, Origin, Server},
};

/// An executor, a repository with a server, and the places of a worker.
struct Bench {
    executor: Executor,
    origin: Origin,
    server: Server,
    mirrors: PathBuf,
    over: PathBuf,
    run: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let executor = Executor::new();
        let origin = Origin::new(executor.scratch().path("origin.git"));
        let place = |name: &str| {
            let path = executor.scratch().path(name);
            fs::create_dir(&path).unwrap();
            path
        };
        Self {
            mirrors: place("mirrors"),
            over: place("over"),
            run: place("run"),
            server: Server::new(&origin.path, Manner::Honest),
            origin,
            executor,
        }
    }

    /// A commit with a file of this content.
    fn commit(&self, content: &str) -> Source {
        let tree = self.origin.tree(&[
            ("100644", &self.origin.blob(content), "file"),
            ("120000", &self.origin.blob("file"), "link"),
            ("100755", &self.origin.blob("#!/bin/sh\n"), "run"),
        ]);
        testing::source(&self.server.url(), &self.origin.commit(&tree, &[]))
    }

    fn give(&mut self, source: &Source) -> CheckoutReport {
        let limits = FetchLimits {
            tries: 1,
            ..FetchLimits::default()
        };
        let (signals, mut log, _stop) = self.executor.parts();
        super::give(source, &self.mirrors, &self.over, limits, signals, &mut log)
    }

    fn take(&mut self, source: &Source) -> Result<Commit, CheckoutError> {
        let (signals, _, _stop) = self.executor.parts();
        super::take(
            source,
            &self.over,
            &self.run,
            FetchLimits::default(),
            signals,
        )
    }

    fn content(&self) -> String {
        fs::read_to_string(self.run.join("src/file")).unwrap()
    }

    fn mirror(&self) -> PathBuf {
        let mut entries = fs::read_dir(&self.mirrors).unwrap();
        entries.next().unwrap().unwrap().path()
    }
}

/// All below a directory but `.git`: path, mode, content or target.
fn files(root: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    use std::os::unix::fs::PermissionsExt;
    let mut all = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let (path, meta) = (entry.path(), entry.path().symlink_metadata().unwrap());
        if entry.file_name() == ".git" {
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_path_buf();
        let content = match meta.is_symlink() {
            true => fs::read_link(&path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes(),
            false => fs::read(&path).unwrap(),
        };
        all.push((name, meta.permissions().mode(), content));
    }
    all.sort();
    all
}

#[test]
fn a_build_gets_the_same_tree_through_the_mirror_as_a_pod_gets() {
    let mut bench = Bench::new();
    let source = bench.commit("one\n");
    let given = bench.give(&source);
    assert_eq!(given.error, None);
    let taken = bench.take(&source).unwrap();
    assert_eq!((&taken.tree, &given.commit), (&given.tree, &source.commit));
    let pod = bench.executor.scratch().path("pod");
    fs::create_dir(&pod).unwrap();
    let (signals, mut log, _stop) = bench.executor.parts();
    let limits = FetchLimits::default();
    let report = checkout::run(&source, &pod, None, limits, signals, &mut log);
    assert_eq!(report, given);
    assert_eq!(files(&bench.run.join("src")), files(&pod.join("src")));
    assert_eq!(files(&pod.join("src")).len(), 3);
}

#[test]
fn a_second_commit_comes_through_the_same_mirror_and_never_the_first_one() {
    let mut bench = Bench::new();
    for content in ["one\n", "two\n"] {
        let source = bench.commit(content);
        assert_eq!(bench.give(&source).error, None);
        bench.take(&source).unwrap();
        assert_eq!(bench.content(), content);
    }
    assert_eq!(fs::read_dir(&bench.mirrors).unwrap().count(), 1);
    // What was laid down for one run is nothing for another.
    let other = bench.commit("three\n");
    assert!(bench.take(&other).is_err());
}

#[test]
fn t14_locks_that_a_killed_git_left_are_removed() {
    let mut bench = Bench::new();
    let source = bench.commit("one\n");
    bench.give(&source);
    for name in ["shallow.lock", "config.lock", "refs/prbuild/x.lock"] {
        fs::write(bench.mirror().join(name), "").unwrap();
    }
    let source = bench.commit("two\n");
    assert_eq!(bench.give(&source).error, None);
    bench.take(&source).unwrap();
    assert_eq!(bench.content(), "two\n");
}

#[test]
fn a_mirror_lets_go_of_old_commits_and_of_their_objects() {
    let mut bench = Bench::new();
    let source = bench.commit("one\n");
    assert_eq!(bench.give(&source).error, None);
    let mirror = Origin {
        path: bench.mirror(),
    };
    let fetched = |times: std::ops::Range<u32>| {
        let refs = times.map(|n| format!("create refs/prbuild/old-{n} {}\n", source.commit));
        mirror.git_with(
            &["update-ref", "--stdin"],
            refs.collect::<String>().as_bytes(),
        );
    };
    // As a version before this one left them.
    fetched(0..50);
    mirror.git(&["pack-refs", "--all"]);
    fs::write(
        mirror.path.join("gc.pid"),
        format!("{} x", std::process::id()),
    )
    .unwrap();
    fetched(50..100);
    let loose = bench.executor.scratch().path("loose");
    fs::create_dir(&loose).unwrap();
    let mut paths = String::new();
    for n in 0..2000 {
        let path = loose.join(n.to_string());
        fs::write(&path, n.to_string()).unwrap();
        paths += &format!("{}\n", path.display());
    }
    mirror.git_with(&["hash-object", "-w", "--stdin-paths"], paths.as_bytes());
    let source = bench.commit("two\n");
    assert_eq!(bench.give(&source).error, None, "{}", bench.executor.log());
    bench.take(&source).unwrap();
    let refs = mirror.git(&["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs.lines().count(), 30);
    assert!(refs.contains(&source.commit), "{refs}");
    let count = mirror.git(&["count-objects"]);
    let loose: u32 = count.split(' ').next().unwrap().parse().unwrap();
    assert!(loose < 256, "{count}");
}

#[test]
fn t14_a_broken_mirror_is_cloned_anew_once() {
    let mut bench = Bench::new();
    let source = bench.commit("one\n");
    bench.give(&source);
    for entry in fs::read_dir(bench.mirror().join("objects")).unwrap() {
        let path = entry.unwrap().path();
        for object in fs::read_dir(&path).unwrap() {
            let object = object.unwrap().path();
            let mut mode = fs::metadata(&object).unwrap().permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
            fs::set_permissions(&object, mode).unwrap();
            fs::write(&object, "broken").unwrap();
        }
    }
    let given = bench.give(&source);
    assert_eq!(given.error, None, "{}", bench.executor.log());
    bench.take(&source).unwrap();
    assert_eq!(bench.content(), "one\n");
}

#[test]
fn t14_a_commit_that_is_gone_is_an_error_and_the_mirror_stays() {
    let mut bench = Bench::new();
    let source = bench.commit("one\n");
    bench.give(&source);
    let gone = testing::source(&bench.server.url(), &"e".repeat(40));
    let words = bench.give(&gone).error.unwrap();
    assert!(
        words.contains("does not exist on GitHub any more"),
        "{words}"
    );
    assert!(bench.take(&gone).is_err());
    assert_eq!(bench.give(&source).error, None);
}
