//! Two users and a launcher: what a build cannot do to its machine. Needs root, and uses users by
//! their number, so that none has to be made.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown, symlink},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use protocol::worker::completion::RunEnd;

#[path = "disk.rs"]
mod disk;
#[path = "installed.rs"]
mod installed;

use crate::{
    bench::{Bench, OPEN, is_alive, verdict},
    git::{Manner, Server},
    script::{is_draining, wait},
};

/// A worker with a launcher, whose users nobody else has.
fn launched(policy: &str) -> Bench {
    let mut bench = to_be_launched(policy);
    bench.start();
    bench
}

/// The same, which does not run yet.
fn to_be_launched(policy: &str) -> Bench {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    assert!(rustix::process::geteuid().is_root(), "run this as root");
    let first = 2_000_000_000 + NEXT.fetch_add(3, Ordering::Relaxed) + std::process::id() * 64;
    let mut bench = Bench::new(policy);
    bench.users = Some((first, first + 1));
    for path in walk(&bench.root.join("state/agent")) {
        chown(&path, Some(first), Some(first)).unwrap();
    }
    bench
}

/// Waits until the build has its checkout, as its own user.
fn is_checked_out(bench: &Bench) {
    let file = bench.root.join("state/builds/0/run/src/file");
    let user = bench.users.map(|(_, build)| build);
    wait(|| {
        let owner = file.metadata().ok().map(|meta| meta.uid());
        (owner == user).then_some(())
    });
}

fn walk(root: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all = vec![root.to_path_buf()];
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(walk(&path)),
            false => all.push(path),
        }
    }
    all
}

#[test]
fn a_build_is_another_user_and_the_worker_says_so() {
    let bench = launched(OPEN);
    let assignment = bench.assignment("id -u; cat file; pwd");
    let completion = bench.completion(&bench.offer(&assignment));
    let log = bench.log_of(&assignment.run.uid);
    assert_eq!(verdict(&completion), "Passed", "{log}");
    let (_, build) = bench.users.unwrap();
    assert!(log.contains(&format!("{build}\nhello\n")), "{log}");
    assert!(bench.gateway.has().sessions[0].isolated);
    let RunEnd::Ran { checkout, .. } = completion.result else {
        unreachable!()
    };
    assert_eq!(checkout.commit, bench.commit);
}

#[test]
fn a_build_reads_neither_key_nor_journal_nor_mirror_nor_spool_and_cannot_touch_the_agent() {
    let bench = launched(OPEN);
    assert_eq!(verdict(&bench.run("true")), "Passed");
    let state = bench.root.join("state");
    let agent = Command::new("pgrep")
        .args(["-u", &bench.users.unwrap().0.to_string()])
        .output()
        .unwrap();
    let agent = String::from_utf8(agent.stdout).unwrap();
    let agent = agent.lines().next().unwrap();
    let launcher = bench.pid();
    let attacks = [
        format!("cat {}/agent/key.pem", state.display()),
        format!("cat {}/agent/journal.json", state.display()),
        format!("ls {}/agent/mirrors", state.display()),
        format!("ls {}/agent/spool", state.display()),
        format!("ls {}/agent", state.display()),
        format!("touch {}/agent/x", state.display()),
        format!("touch {}/hand-over/x", state.display()),
        format!("touch {}/builds/x", state.display()),
        format!("mv {0}/builds/0 {0}/builds/1", state.display()),
        format!("echo x > {}", bench.config().display()),
        format!("kill -9 {agent}"),
        format!("kill -9 {launcher}"),
        format!("cat /proc/{agent}/environ"),
        format!("cat /proc/{agent}/mem"),
        format!("ls /proc/{agent}/fd/"),
        "cat /proc/$PPID/environ".to_owned(),
        "ls /proc/$PPID/fd/".to_owned(),
    ];
    let script: String = attacks
        .iter()
        .map(|attack| format!("if {attack} >/dev/null 2>&1; then echo \"DID: {attack}\"; fi\n"))
        .collect();
    let assignment = bench.assignment(&(script + "echo tried"));
    let completion = bench.completion(&bench.offer(&assignment));
    let log = bench.log_of(&assignment.run.uid);
    assert_eq!(verdict(&completion), "Passed", "{log}");
    assert!(log.contains("tried") && !log.contains("DID: "), "{log}");
    assert!(is_alive(agent) && is_alive(&launcher.to_string()));
}

#[test]
fn the_launcher_makes_nothing_in_a_directory_that_is_not_roots() {
    for place in ["state", "state/builds", "state/builds/0"] {
        let mut bench = to_be_launched(OPEN);
        let (agent, _) = bench.users.unwrap();
        let place = bench.root.join(place);
        fs::create_dir_all(&place).unwrap();
        chown(&place, Some(agent), Some(agent)).unwrap();
        bench.start();
        assert_eq!(bench.ended(), Some(1));
        let words = format!("`{}` is not a directory of root's", place.display());
        assert!(bench.log().contains(&words), "{}", bench.log());
    }
}

#[test]
fn the_launcher_gives_nothing_away_that_only_a_link_leads_to() {
    let mut bench = to_be_launched(OPEN);
    let (roots, link) = (bench.root.join("roots"), bench.root.join("state/hand-over"));
    fs::create_dir(&roots).unwrap();
    symlink(&roots, &link).unwrap();
    bench.start();
    assert_eq!(bench.ended(), Some(1));
    let words = format!("`{}` is not a directory but a link", link.display());
    assert!(bench.log().contains(&words), "{}", bench.log());
    assert_eq!(roots.metadata().unwrap().uid(), 0);
}

#[test]
fn an_owner_may_lay_the_state_elsewhere_and_leave_a_link() {
    let mut bench = to_be_launched(OPEN);
    let (state, disk) = (bench.root.join("state"), bench.root.join("disk"));
    fs::rename(&state, &disk).unwrap();
    symlink(&disk, &state).unwrap();
    bench.start();
    bench
        .gateway
        .wait("session", |has| has.sessions.first().map(drop));
}

#[test]
fn whatever_a_build_leaves_is_gone_before_the_next_one() {
    let bench = launched(OPEN);
    let (pid, left) = (
        format!("/tmp/prbuild-{}-pid", bench.users.unwrap().1),
        format!("/tmp/prbuild-{}-left", bench.users.unwrap().1),
    );
    let go = bench.root.join("go");
    let go = go.display();
    // The executor itself can be killed by its build: they are one user.
    let script = format!(
        "echo x > {left}; mkdir -p a/b; chmod 0 a/b; chmod 0 a\n\
         setsid setsid sh -c 'trap \"\" TERM; echo $$ > {pid}; while :; do sleep 1; done' &\n\
         until test -e {go}; do sleep 0.1; done; kill -9 $PPID; sleep 60"
    );
    let id = bench.offer(&bench.assignment(&script));
    let daemon = bench.gateway.wait("process that stays behind", |_| {
        let written = std::fs::read_to_string(&pid).unwrap_or_default();
        written.ends_with('\n').then(|| written.trim().to_owned())
    });
    std::fs::write(bench.root.join("go"), "").unwrap();
    let completion = bench.completion(&id);
    assert_eq!(verdict(&completion), "Failed");
    let RunEnd::Ran { report, .. } = completion.result else {
        unreachable!()
    };
    let reason = report.reason.unwrap();
    assert_eq!(reason, "was killed before it could tell its result");
    assert!(!is_alive(&daemon));
    let script = format!("test ! -e {left}; test ! -e a");
    let next = bench.run(&script);
    assert_eq!(verdict(&next), "Passed");
    assert!(!std::path::Path::new(&left).exists());
}

#[test]
fn when_the_launcher_is_told_to_stop_the_build_is_finished() {
    let mut bench = launched(OPEN);
    let go = bench.root.join("go");
    let id = bench.offer(&bench.assignment(&format!(
        "until test -e {}; do sleep 0.1; done",
        go.display()
    )));
    is_checked_out(&bench);
    bench.signal("-TERM");
    is_draining(&bench);
    std::fs::write(&go, "").unwrap();
    assert_eq!(verdict(&bench.completion(&id)), "Passed");
    assert_eq!(bench.ended(), Some(0));
}

#[test]
fn when_the_launcher_is_told_a_second_time_to_stop_the_build_is_stopped_too() {
    let mut bench = launched(OPEN);
    let id = bench.offer(&bench.assignment("sleep 600"));
    is_checked_out(&bench);
    bench.signal("-TERM");
    is_draining(&bench);
    bench.signal("-TERM");
    let result = bench.completion(&id).result;
    let (RunEnd::Broken { reason } | RunEnd::NotRun { reason, .. }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(reason, "its owner stopped the agent");
    assert_eq!(bench.ended(), Some(0));
}

#[test]
fn of_two_runs_one_fetches_at_a_time_and_the_other_can_be_stopped_while_it_waits() {
    let mut bench = to_be_launched(OPEN);
    bench.take(2);
    // A fetch from it takes minutes.
    bench.server = Server::new(&bench.root.join("origin.git"), Manner::Silent);
    bench.start();
    let runs = [bench.assignment("true"), bench.assignment("true")];
    let ids = runs.each_ref().map(|run| bench.offer(run));
    for run in &runs {
        let begins = format!("begins {} for", run.run.name);
        bench
            .gateway
            .wait("begin", |_| bench.log().contains(&begins).then_some(()));
    }
    let fetches = |at: usize| bench.log_of(&runs[at].run.uid).contains("fetching ");
    bench.gateway.wait("fetch", |has| {
        let mut logs = has.logs.values();
        logs.any(|log| String::from_utf8_lossy(log).contains("fetching "))
            .then_some(())
    });
    let first = usize::from(!fetches(0));
    let second = 1 - first;
    for at in [second, first] {
        let id = ids[at].clone();
        bench
            .gateway
            .change(|has| has.cancelled.extend([id.clone()]));
        assert_eq!(bench.completion(&id).result, RunEnd::Cancelled);
    }
    assert!(!fetches(second), "it did not wait for its turn");
}

/// T14: a killed git left its locks, and a power cut broke what it had written.
#[test]
fn t14_a_mirror_with_stale_locks_and_broken_objects_is_cloned_anew_and_the_commit_is_the_same() {
    let bench = launched(OPEN);
    assert_eq!(verdict(&bench.run("true")), "Passed");
    let mirrors = bench.own("mirrors");
    let mirror = std::fs::read_dir(&mirrors).unwrap().next().unwrap();
    let mirror = mirror.unwrap().path();
    for name in ["shallow.lock", "config.lock", "refs/prbuild/x.lock"] {
        std::fs::write(mirror.join(name), "").unwrap();
    }
    let assignment = bench.assignment("cat file");
    let completion = bench.completion(&bench.offer(&assignment));
    let log = bench.log_of(&assignment.run.uid);
    assert_eq!(verdict(&completion), "Passed", "{log}");
    assert!(
        !log.contains("cloned anew"),
        "locks alone are removed: {log}"
    );
    for path in walk(&mirror.join("objects")) {
        if path.is_file() {
            std::fs::write(&path, "broken").unwrap();
        }
    }
    let assignment = bench.assignment("cat file");
    let completion = bench.completion(&bench.offer(&assignment));
    let log = bench.log_of(&assignment.run.uid);
    assert_eq!(verdict(&completion), "Passed", "{log}");
    assert!(
        log.contains("cloned anew") && log.contains("hello\n"),
        "{log}"
    );
    let RunEnd::Ran { checkout, .. } = completion.result else {
        unreachable!()
    };
    assert_eq!(checkout.commit, bench.commit);
}

#[test]
fn a_build_that_holds_its_executor_is_killed_with_all_of_its_user() {
    let bench = launched(OPEN);
    let script = "kill -STOP $PPID; echo $$ > pid; sleep 600";
    let id = bench.offer(&bench.assignment(script));
    let pid = bench.file(&bench.root.join("state/builds/0/run/src/pid"));
    bench.gateway.change(|has| {
        has.cancelled.insert(id.clone());
    });
    assert_eq!(bench.completion(&id).result, RunEnd::Cancelled);
    assert!(!is_alive(&pid));
    assert_eq!(verdict(&bench.run("true")), "Passed");
}
