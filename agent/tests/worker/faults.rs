//! What goes wrong between agent and gateway, and with the agent itself.

use std::{fs, process::Command};

use agent::worker::clock::steady;
use protocol::worker::{
    assignment::Audience, completion::RunEnd, fault::FaultCode, wire::DeclineCode,
};

use crate::{
    bench::{Bench, OPEN, is_alive, verdict},
    script::{until_told, wait},
};

/// Waits until the agent has written down that the steps of its run have begun.
fn until_steps_are_noted(bench: &Bench) {
    wait(|| {
        let held = fs::read_dir(bench.own("held")).unwrap();
        let paths = held.filter_map(|entry| Some(entry.ok()?.path()));
        // What is being written has another name until the disk has it.
        let records = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
        let mut texts = records.filter_map(|path| fs::read_to_string(path).ok());
        texts
            .any(|text| text.contains("\"stage\": \"steps\""))
            .then_some(())
    });
}

#[test]
fn t1_a_build_goes_on_while_nothing_is_heard_and_its_log_comes_whole() {
    let bench = Bench::running(OPEN);
    let (script, began, go) = until_told(&bench);
    let assignment = bench.assignment(&format!("{script}; seq 1 2000"));
    let id = bench.offer(&assignment);
    bench.file(&began);
    bench.gateway.change(|has| has.cut_off = true);
    fs::write(&go, "").unwrap();
    // The end is written down while nobody hears it.
    until_steps_are_noted(&bench);
    bench.gateway.change(|has| has.cut_off = false);
    assert_eq!(verdict(&bench.completion(&id)), "Passed");
    let log = bench.log_of(&assignment.run.uid);
    let all: String = (1..=2000).map(|n| format!("{n}\n")).collect();
    assert!(log.contains(&all));
    assert_eq!(bench.file(&began).lines().count(), 1);
}

#[test]
fn t3_answers_that_are_lost_make_no_second_run() {
    let bench = Bench::running(OPEN);
    let began = bench.root.join("began");
    bench.gateway.change(|has| {
        has.lose = vec![
            ("/accept", 3),
            ("/poll", 2),
            ("/complete", 2),
            ("/heartbeat", 1),
        ];
    });
    let completion = bench.run(&format!("echo $$ >> {}", began.display()));
    assert_eq!(verdict(&completion), "Passed");
    assert_eq!(bench.file(&began).lines().count(), 1);
}

#[test]
fn t5_a_run_of_a_pool_is_stopped_before_its_lease_ends() {
    let bench = Bench::running(OPEN);
    bench.gateway.change(|has| has.lease_seconds = 4);
    let (script, began, _) = until_told(&bench);
    let mut assignment = bench.assignment(&script);
    assignment.to = Audience::Pool(vec!["mac-1".into(), "mac-2".into()]);
    let id = bench.offer(&assignment);
    let pid = bench.file(&began);
    bench.gateway.change(|has| has.cut_off = true);
    wait(|| (!is_alive(&pid)).then_some(()));
    bench.gateway.change(|has| has.cut_off = false);
    let RunEnd::Broken { reason } = bench.completion(&id).result else {
        panic!("it was not cut off");
    };
    assert!(reason.contains("lease"), "{reason}");
}

#[test]
fn t6_a_run_of_this_worker_alone_needs_no_lease() {
    let bench = Bench::running(OPEN);
    bench.gateway.change(|has| has.lease_seconds = 1);
    let (script, began, go) = until_told(&bench);
    let id = bench.offer(&bench.assignment(&script));
    let pid = bench.file(&began);
    bench.gateway.change(|has| has.cut_off = true);
    // Longer than the lease, by the clock that leases are counted by.
    let over = steady() + 3_000;
    wait(|| (steady() > over).then_some(()));
    assert!(is_alive(&pid));
    fs::write(&go, "").unwrap();
    bench.gateway.change(|has| has.cut_off = false);
    assert_eq!(verdict(&bench.completion(&id)), "Passed");
}

#[test]
fn t7_what_a_killed_agent_left_is_gone_before_it_asks_again_and_runs_no_second_time() {
    let mut bench = Bench::running(OPEN);
    let (silent, daemon) = (bench.root.join("silent"), bench.root.join("daemon"));
    let script = format!(
        "setsid sh -c 'echo $$ > {}; trap \"\" TERM; while :; do sleep 1; done' &\n\
         echo $$ > {}; trap '' TERM; while :; do sleep 1; done",
        daemon.display(),
        silent.display()
    );
    let assignment = bench.assignment(&script);
    let id = bench.offer(&assignment);
    let pids = [bench.file(&silent), bench.file(&daemon)];
    bench.kill();
    let polls = bench.gateway.has().polls.len();
    bench.start();
    bench
        .gateway
        .wait("poll", |has| (has.polls.len() > polls).then_some(()));
    for pid in &pids {
        assert!(!is_alive(pid), "{pid} is still there");
    }
    let RunEnd::Broken { reason } = bench.completion(&id).result else {
        panic!("it was not cut off");
    };
    assert_eq!(
        reason,
        "the agent or its machine was restarted while it ran"
    );
    // The same run under another id: an operator that forgot.
    let again = protocol::worker::envelope::Envelope::seal(&assignment, &bench.operator).unwrap();
    bench.offer_signed("again", again);
    assert_eq!(bench.decline("again").code, DeclineCode::Repeated);
}

#[test]
fn t7_what_agent_and_executor_left_that_were_killed_together_is_found_again() {
    let mut bench = Bench::running(OPEN);
    let (script, began, _) = until_told(&bench);
    bench.offer(&bench.assignment(&script));
    let pid = bench.file(&began);
    let children = format!("/proc/{0}/task/{0}/children", bench.pid());
    let executors = fs::read_to_string(children).unwrap();
    bench.signal("-STOP");
    for executor in executors.split_whitespace() {
        assert!(
            Command::new("kill")
                .args(["-9", executor])
                .status()
                .unwrap()
                .success()
        );
    }
    bench.kill();
    assert!(is_alive(&pid));
    let polls = bench.gateway.has().polls.len();
    bench.start();
    bench
        .gateway
        .wait("poll", |has| (has.polls.len() > polls).then_some(()));
    assert!(!is_alive(&pid));
}

#[test]
fn t8_a_worker_that_lost_its_state_begins_nothing_that_it_may_have_begun() {
    let mut bench = Bench::running(OPEN);
    let (script, began, _) = until_told(&bench);
    let id = bench.offer(&bench.assignment(&script));
    bench.file(&began);
    bench.kill();
    for name in ["journal.json", "held", "spool"] {
        let path = bench.own(name);
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.unwrap();
    }
    bench.start();
    // It says that it holds nothing; the operator decides what that means.
    bench.gateway.wait("session", |has| {
        has.sessions
            .get(1)
            .filter(|one| one.running.is_empty())
            .map(drop)
    });
    assert!(!bench.gateway.has().completed.contains_key(&id));
}

#[test]
fn t8_a_run_whose_record_cannot_be_read_any_more_holds_nothing_up() {
    let mut bench = Bench::running(OPEN);
    let (script, began, _) = until_told(&bench);
    let id = bench.offer(&bench.assignment(&script));
    bench.file(&began);
    bench.kill();
    for record in fs::read_dir(bench.own("held")).unwrap() {
        fs::write(record.unwrap().path(), "{").unwrap();
    }
    bench.start();
    bench
        .gateway
        .wait("session", |has| has.sessions.get(1).map(drop));
    assert!(bench.owner(&["drain"]).status.success());
    assert_eq!(bench.ended(), Some(0));
    assert!(!bench.gateway.has().completed.contains_key(&id));
}

/// T8: after a reboot the process id of an executor is somebody else's.
#[cfg(target_os = "linux")]
#[test]
fn t8_after_a_reboot_a_process_that_has_the_id_of_an_executor_is_left_alone() {
    let mut bench = Bench::running(OPEN);
    let (script, began, go) = until_told(&bench);
    let id = bench.offer(&bench.assignment(&script));
    bench.file(&began);
    // The step is there a moment before the agent has written that down.
    until_steps_are_noted(&bench);
    bench.kill();
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", other.id())).unwrap();
    let mut fields = stat.rsplit(')').next().unwrap().split_ascii_whitespace();
    let ticks = fields.nth(19).unwrap();
    let mut held = fs::read_dir(bench.own("held")).unwrap();
    let note = held.find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension()
            .is_some_and(|end| end == "executor")
            .then_some(path)
    });
    let note = note.unwrap();
    // After a reboot nothing is left of the executor and of what it ran.
    let noted = fs::read(&note).unwrap();
    let noted: serde_json::Value = serde_json::from_slice(&noted).unwrap();
    let executor = noted["id"].to_string();
    let killed = Command::new("kill").args(["-9", &executor]).status();
    assert!(killed.unwrap().success());
    fs::write(&go, "").unwrap();
    let pid = other.id();
    let text = format!(r#"{{"id":{pid},"began":{ticks},"boot":"another"}}"#);
    fs::write(&note, text).unwrap();
    bench.start();
    let result = bench.completion(&id).result;
    let lives = other.try_wait().unwrap().is_none();
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(matches!(result, RunEnd::Broken { .. }), "{result:?}");
    assert!(lives, "it was taken for what an earlier start had left");
}

#[test]
fn t12_the_end_of_a_run_that_could_not_be_written_down_is_written_down_later() {
    let bench = Bench::running(OPEN);
    let (script, began, go) = until_told(&bench);
    let id = bench.offer(&bench.assignment(&script));
    bench.file(&began);
    // Nothing can be written where a directory is, as on a full disk.
    let new = bench.own("journal.new");
    fs::create_dir(&new).unwrap();
    fs::write(&go, "").unwrap();
    wait(|| {
        bench
            .log()
            .contains("it is written down later")
            .then_some(())
    });
    fs::remove_dir(&new).unwrap();
    assert_eq!(verdict(&bench.completion(&id)), "Passed");
    assert_eq!(verdict(&bench.run("true")), "Passed");
}

#[test]
fn t9_a_worker_that_is_not_let_in_keeps_trying() {
    for code in [
        FaultCode::Duplicate,
        FaultCode::Key,
        FaultCode::Protocol,
        FaultCode::Session,
    ] {
        let mut bench = Bench::running(OPEN);
        bench.gateway.change(|has| has.refuse = Some(code));
        bench
            .gateway
            .wait("session", |has| has.sessions.first().map(drop));
        wait(|| bench.log().contains("the gateway says: no").then_some(()));
        assert_eq!(
            bench.agent.as_mut().unwrap().try_wait().unwrap(),
            None,
            "{code:?}"
        );
        bench.gateway.change(|has| has.refuse = None);
        assert_eq!(verdict(&bench.run("true")), "Passed", "{code:?}");
    }
}

/// T10: the agent alone, and agent and build together, as their machine does.
#[test]
fn t10_a_machine_that_slept_stops_what_has_no_lease_any_more() {
    for build_sleeps in [false, true] {
        let bench = Bench::running(OPEN);
        bench.gateway.change(|has| has.lease_seconds = 3);
        let (script, began, _) = until_told(&bench);
        let mut assignment = bench.assignment(&script);
        assignment.to = Audience::Pool(vec!["mac-1".into()]);
        let id = bench.offer(&assignment);
        let pid = bench.file(&began);
        bench.gateway.change(|has| has.cut_off = true);
        if build_sleeps {
            let stopped = Command::new("kill").args(["-STOP", &pid]).status();
            assert!(stopped.unwrap().success());
        }
        bench.signal("-STOP");
        // Longer than the lease, by the clock that leases are counted by.
        let over = steady() + 4_000;
        wait(|| (steady() > over).then_some(()));
        bench.signal("-CONT");
        wait(|| (!is_alive(&pid)).then_some(()));
        bench.gateway.change(|has| has.cut_off = false);
        assert!(matches!(
            bench.completion(&id).result,
            RunEnd::Broken { .. }
        ));
    }
}

/// The code of a build runs as its executor's user, and can hold it: then nobody hears that it is to stop.
#[cfg(target_os = "linux")]
#[test]
fn t11_a_build_that_holds_its_executor_is_killed_all_the_same() {
    let bench = Bench::running(OPEN);
    let (script, began, _) = until_told(&bench);
    let id = bench.offer(&bench.assignment(&format!("kill -STOP $PPID; {script}")));
    let pid = bench.file(&began);
    bench.gateway.change(|has| {
        has.cancelled.insert(id.clone());
    });
    assert_eq!(bench.completion(&id).result, RunEnd::Cancelled);
    assert!(!is_alive(&pid));
    assert_eq!(verdict(&bench.run("true")), "Passed");
}

#[test]
fn t11_a_cancel_waits_for_a_worker_that_is_away() {
    let bench = Bench::running(OPEN);
    let (script, began, _) = until_told(&bench);
    let id = bench.offer(&bench.assignment(&script));
    let pid = bench.file(&began);
    bench.gateway.change(|has| has.cut_off = true);
    wait(|| bench.log().contains("cannot be reached").then_some(()));
    bench.gateway.change(|has| {
        has.cancelled.insert(id.clone());
        has.cut_off = false;
    });
    assert_eq!(bench.completion(&id).result, RunEnd::Cancelled);
    assert!(!is_alive(&pid));
}

#[test]
fn t12_a_full_disk_closes_the_worker_and_says_so() {
    let bench = Bench::running(&format!("{OPEN}\n[limits]\nmin_free_disk = \"900000GiB\""));
    let poll = bench.gateway.wait("poll", |has| has.polls.last().cloned());
    assert!(poll.disk_full && poll.free_slots == 0);
    assert!(poll.closed.unwrap().starts_with("its disk has "));
}

#[test]
fn t14_a_commit_that_is_gone_is_no_other_commit_and_not_the_machines_fault() {
    let bench = Bench::running(OPEN);
    let mut assignment = bench.assignment("true");
    assignment.work.source.commit = "e".repeat(40);
    assignment.work_digest = protocol::worker::assignment::digest_of(&assignment.work).unwrap();
    let RunEnd::NotRun { reason, machine } = bench.completion(&bench.offer(&assignment)).result
    else {
        panic!("it ran");
    };
    assert!(!machine);
    let counted = fs::read_to_string(bench.own("breaker.json")).unwrap();
    assert!(counted.contains("\"failures\": 0"), "{counted}");
    assert!(
        reason.contains("does not exist on GitHub any more"),
        "{reason}"
    );
}
