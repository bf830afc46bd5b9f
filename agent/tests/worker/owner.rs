//! The owner's rules win, and both sides are told.

use protocol::worker::wire::DeclineCode;

use crate::{
    bench::{Bench, OPEN, verdict},
    gateway::Has,
    script::{is_draining, wait},
};

#[test]
fn a_fresh_agent_takes_nothing_and_says_so_to_both_sides() {
    let bench = Bench::running("");
    let poll = bench.gateway.wait("poll", |has| has.polls.last().cloned());
    assert_eq!(poll.free_slots, 0);
    assert_eq!(
        poll.closed.unwrap(),
        "its owner has not opened it for builds yet"
    );
    let status = bench.owner(&["status"]);
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(
        text.contains("takes nothing: its owner has not opened it"),
        "{text}"
    );
    assert_eq!(bench.gateway.has().sessions[0].policy, "takes nothing yet");
}

#[test]
fn what_the_owner_does_not_allow_is_declined_once_and_written_down() {
    let bench = Bench::running("events = [\"pull_request\"]\nrepositories = [\"octo/other\"]");
    let id = bench.offer(&bench.assignment("true"));
    let decline = bench.decline(&id);
    assert_eq!(decline.code, DeclineCode::Policy);
    assert_eq!(
        decline.reason,
        "its owner does not take runs of `octo/demo`"
    );
    let text = String::from_utf8(bench.owner(&["logs"]).stdout).unwrap();
    assert!(
        text.contains("declined") && text.contains("asked for by ada"),
        "{text}"
    );
    assert!(text.contains(&decline.reason));
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_machine_that_is_used_by_something_else_takes_nothing_until_it_is_free() {
    let bench = Bench::new(OPEN);
    let flag = bench.root.join("busy");
    std::fs::write(&flag, "").unwrap();
    let script = format!("test ! -e {}", flag.display());
    bench.write_policy(&format!(
        "{OPEN}\nbusy_command = [\"/bin/sh\", \"-c\", \"{script}\"]"
    ));
    let mut bench = bench;
    bench.start();
    let closed = |has: &Has| has.polls.last()?.closed.clone();
    let words = bench.gateway.wait("busy", closed);
    assert_eq!(words, "something else runs on it, says its owner's program");
    std::fs::remove_file(&flag).unwrap();
    assert_eq!(verdict(&bench.run("true")), "Passed");
}

#[test]
fn a_paused_worker_takes_nothing_until_its_owner_says_so() {
    let bench = Bench::running(OPEN);
    assert!(bench.owner(&["pause", "--for", "2h"]).status.success());
    let closed = bench
        .gateway
        .wait("pause", |has| has.polls.last()?.closed.clone());
    assert!(
        closed.starts_with("its owner paused it until 2"),
        "{closed}"
    );
    assert!(bench.owner(&["resume"]).status.success());
    assert_eq!(verdict(&bench.run("true")), "Passed");
}

#[test]
fn a_drained_worker_finishes_what_runs_and_ends() {
    for by_signal in [false, true] {
        let mut bench = Bench::running(OPEN);
        let (began, go) = (bench.root.join("began"), bench.root.join("go"));
        let script = format!(
            "echo $$ > {}; until test -e {}; do sleep 0.1; done",
            began.display(),
            go.display()
        );
        let id = bench.offer(&bench.assignment(&script));
        bench.file(&began);
        match by_signal {
            true => bench.signal("-TERM"),
            false => assert!(bench.owner(&["drain"]).status.success()),
        }
        is_draining(&bench);
        std::fs::write(&go, "").unwrap();
        assert_eq!(verdict(&bench.completion(&id)), "Passed");
        assert_eq!(bench.ended(), Some(0));
    }
}

#[test]
fn an_owner_is_told_that_the_project_wants_the_worker_empty() {
    let mut bench = Bench::new(OPEN);
    bench.gateway.change(|has| has.drain = true);
    bench.start();
    let says = |words: &str| {
        wait(|| {
            let status = String::from_utf8(bench.owner(&["status"]).stdout).unwrap();
            status.contains(words).then_some(())
        });
    };
    says("takes nothing: the project's people want it empty, and give it no new builds");
    let is_closed = |has: &Has| has.polls.iter().any(|poll| poll.closed.is_some());
    assert!(
        !is_closed(&bench.gateway.has()),
        "its owner has not closed it"
    );
    bench.gateway.change(|has| has.drain = false);
    says("● takes builds");
    assert_eq!(verdict(&bench.run("true")), "Passed");
}

#[test]
fn a_second_agent_with_the_same_state_does_not_begin() {
    let bench = Bench::running(OPEN);
    bench
        .gateway
        .wait("session", |has| has.sessions.first().map(drop));
    let second = bench.owner(&["run"]);
    let text = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text.contains("another agent runs already"), "{text}");
}

#[test]
fn status_tells_that_the_agent_does_not_run() {
    let bench = Bench::new(OPEN);
    let status = bench.owner(&["status"]);
    assert_eq!(status.status.code(), Some(3));
    assert!(
        String::from_utf8(status.stdout)
            .unwrap()
            .contains("does not run")
    );
}

#[test]
fn doctor_says_what_is_wrong_and_what_is_right() {
    let bench = Bench::new(OPEN);
    let good = bench.owner(&["doctor"]);
    let text = String::from_utf8(good.stdout).unwrap();
    assert_eq!(good.status.code(), Some(0), "{text}");
    assert!(text.contains("● the gateway answers"), "{text}");
    assert!(
        text.contains("● the operator's keys are those that you pinned"),
        "{text}"
    );
    bench.gateway.change(|has| has.cut_off = true);
    let bad = bench.owner(&["doctor"]);
    let text = String::from_utf8(bad.stdout).unwrap();
    assert_eq!(bad.status.code(), Some(1));
    assert!(text.contains("✕ the gateway cannot be reached"), "{text}");
    assert!(
        text.contains("  try: look whether this machine reaches the Internet"),
        "{text}"
    );
}

#[test]
fn doctor_says_what_a_machine_lacks_and_what_to_do() {
    let limits = "[limits]\nmin_free_disk = \"1000TiB\"";
    let mut bench = Bench::new(&format!("{OPEN}\n{limits}"));
    bench.variables = vec![("PATH", bench.root.join("nothing").into_os_string())];
    let doctor = bench.owner(&["doctor"]);
    let text = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!(doctor.status.code(), Some(1), "{text}");
    for words in [
        "✕ there is no git\n  try: install git, and see that it is in PATH\n",
        "▲ there is no C compiler\n  try: install one if ",
        "of disk are free, and no build begins below 1024000.0 GiB\n  try: make room on the disk",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// T10.
#[test]
fn a_clock_that_is_far_ahead_closes_the_worker_and_both_sides_are_told() {
    let mut bench = Bench::new(OPEN);
    bench.gateway.change(|has| has.behind = 7_230);
    bench.start();
    let closed = bench.gateway.wait("closed", |has| {
        has.polls.iter().find_map(|poll| poll.closed.clone())
    });
    assert_eq!(closed, "its clock is ahead by 2 h 00 min");
    bench.gateway.wait("status", |_| {
        let status = String::from_utf8(bench.owner(&["status"]).stdout).unwrap();
        status
            .contains("takes nothing: its clock is ahead by 2 h 00 min")
            .then_some(())
    });
    let doctor = bench.owner(&["doctor"]);
    let text = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!(doctor.status.code(), Some(1), "{text}");
    assert!(
        text.contains("✕ this machine's clock is ahead by 2 h 00 min"),
        "{text}"
    );
}

/// T10.
#[test]
fn an_offer_that_only_a_fast_clock_calls_too_old_is_declined_with_that_reason() {
    let mut bench = Bench::running(OPEN);
    assert_eq!(verdict(&bench.run("true")), "Passed");
    bench.kill();
    bench.gateway.change(|has| has.behind = 7_230);
    let mut assignment = bench.assignment("true");
    assignment.expires = agent::worker::clock::own() - 3_600;
    let id = bench.offer(&assignment);
    bench.start();
    let decline = bench.decline(&id);
    assert_eq!(decline.code, DeclineCode::Invalid);
    assert_eq!(decline.reason, "its clock is ahead by 2 h 00 min");
}
