//! What a worker does that takes nothing: it says why, asks no more often than it must, and begins again by itself.

use std::{fs, time::Instant};

use protocol::worker::{
    completion::RunEnd,
    wire::{Decline, DeclineCode},
};

use crate::{
    bench::{Bench, OPEN, verdict},
    gateway::Has,
    git::{Manner, Origin, Server},
    script::{until_told, wait},
};

#[test]
fn a_decline_is_said_once_a_second_at_most_also_to_a_gateway_that_does_not_listen() {
    let bench = Bench::running(&format!("{OPEN}\nrepositories = [\"octo/other\"]"));
    bench.gateway.change(|has| has.stubborn = true);
    let id = bench.offer(&bench.assignment("true"));
    bench.decline(&id);
    let (began, polls) = (Instant::now(), bench.gateway.has().polls.len());
    let declined = |times: usize| {
        bench.gateway.wait("declines", |has: &Has| {
            (has.declined.len() > times).then_some(())
        });
    };
    declined(3);
    let took = began.elapsed().as_secs_f64();
    assert!(took > 2.0, "four declines in {took} s");
    let has = bench.gateway.has();
    assert!(
        has.polls.len() - polls <= 5,
        "{} polls",
        has.polls.len() - polls
    );
    let is_policy = |(_, decline): &(String, Decline)| decline.code == DeclineCode::Policy;
    assert!(has.declined.iter().all(is_policy));
    assert!(has.accepted.is_empty());
}

#[test]
fn a_machine_that_gets_used_after_it_asked_declines_once_and_begins_again_by_itself() {
    let mut bench = Bench::new(OPEN);
    let used = bench.root.join("used");
    let script = format!("test ! -e {}", used.display());
    bench.write_policy(&format!(
        "{OPEN}\nbusy_command = [\"/bin/sh\", \"-c\", \"{script}\"]"
    ));
    // It is not asked again before it gets an offer.
    bench.gateway.change(|has| has.poll_seconds = 50);
    bench.start();
    let first = bench.offer(&bench.assignment("true"));
    let polls = bench.gateway.wait("accept", |has| {
        has.accepted.contains(&first).then_some(has.polls.len())
    });
    bench.completion(&first);
    bench
        .gateway
        .wait("poll", |has| (has.polls.len() > polls).then_some(()));
    bench.gateway.change(|has| has.stubborn = true);
    fs::write(&used, "").unwrap();
    let id = bench.offer(&bench.assignment("true"));
    let decline = bench.decline(&id);
    assert_eq!(decline.code, DeclineCode::Busy);
    assert_eq!(
        decline.reason,
        "something else runs on it, says its owner's program"
    );
    bench.gateway.wait("closed poll", |has| {
        let last = has.polls.last()?;
        (last.free_slots == 0 && last.closed.is_some()).then_some(())
    });
    assert_eq!(bench.gateway.has().declined.len(), 1);
    fs::remove_file(&used).unwrap();
    assert_eq!(verdict(&bench.completion(&id)), "Passed");
}

#[test]
fn while_an_accept_is_not_answered_nothing_else_is_asked_for() {
    let bench = Bench::running(OPEN);
    bench
        .gateway
        .change(|has| has.lose = vec![("/accept", usize::MAX)]);
    let id = bench.offer(&bench.assignment("true"));
    let asked = |times: usize| {
        bench.gateway.wait("accepts", |has| {
            (has.accepted.len() >= times).then_some(has.polls.len())
        })
    };
    let polls = asked(1);
    let more = asked(4) - polls;
    assert!(more <= 2, "{more} polls while it waits for an answer");
    bench.gateway.change(|has| has.lose.clear());
    assert_eq!(verdict(&bench.completion(&id)), "Passed");
}

#[test]
fn a_worker_that_opens_again_asks_at_once_though_its_last_poll_is_held() {
    let mut bench = Bench::new(OPEN);
    bench.gateway.change(|has| has.poll_seconds = 50);
    assert!(bench.owner(&["pause"]).status.success());
    bench.start();
    bench.gateway.wait("pause", |has| {
        let last = has.polls.last()?;
        last.closed.is_some().then_some(())
    });
    let began = Instant::now();
    assert!(bench.owner(&["resume"]).status.success());
    assert_eq!(verdict(&bench.run("true")), "Passed");
    // And back: who waits is told at once.
    assert!(bench.owner(&["pause"]).status.success());
    bench.gateway.wait("pause", |has| {
        let last = has.polls.last()?;
        last.closed.is_some().then_some(())
    });
    let took = began.elapsed().as_secs();
    assert!(took < 40, "it waited for a poll that was held: {took} s");
}

#[test]
fn a_machine_that_fails_three_times_rests_says_so_and_a_restart_is_no_way_out() {
    let mut bench = Bench::new(OPEN);
    // There is no git in it.
    let empty = bench.root.join("empty");
    fs::create_dir(&empty).unwrap();
    bench.variables = vec![("PATH", empty.into_os_string())];
    bench.start();
    for _ in 0..3 {
        let result = bench.run("true").result;
        let RunEnd::NotRun { reason, machine } = result else {
            panic!("{result:?}");
        };
        assert!(machine && reason.contains("git"), "{reason}");
    }
    let rests = |has: &Has| {
        let last = has.polls.last()?;
        let why = last.closed.clone().filter(|_| last.free_slots == 0)?;
        why.starts_with("3 runs in a row failed on it and it rests for")
            .then_some(why)
    };
    let why = bench.gateway.wait("rest", rests);
    assert!(why.contains("git"), "{why}");
    wait(|| {
        let status = String::from_utf8(bench.owner(&["status"]).stdout).unwrap();
        status
            .contains("takes nothing: 3 runs in a row failed on it")
            .then_some(())
    });
    bench.kill();
    bench.variables.clear();
    bench.gateway.change(|has| has.polls.clear());
    bench.start();
    bench.gateway.wait("rest", rests);
}

/// T12: the gateway's store is full, or broken.
#[test]
fn t12_a_log_that_the_gateway_cannot_store_waits_on_the_disk_and_comes_whole() {
    let bench = Bench::running(OPEN);
    bench.gateway.change(|has| has.store_is_full = true);
    let began = bench.root.join("began");
    let assignment = bench.assignment(&format!("seq 1 20000; echo $$ > {}", began.display()));
    let id = bench.offer(&assignment);
    bench.file(&began);
    let beats = bench.gateway.has().beats;
    bench
        .gateway
        .wait("heartbeats", |has| (has.beats > beats + 1).then_some(()));
    assert!(bench.gateway.has().logs.is_empty());
    bench.gateway.change(|has| has.store_is_full = false);
    let completion = bench.completion(&id);
    assert_eq!(verdict(&completion), "Passed");
    let all: String = (1..=20_000).map(|n| format!("{n}\n")).collect();
    assert!(bench.log_of(&assignment.run.uid).contains(&all));
    let log = &completion.logs[0];
    let name = format!("{}/logs/log", assignment.run.uid);
    assert_eq!(log.bytes, bench.gateway.has().logs[&name].len() as u64);
}

/// T12: as before, and the agent is killed while the ends wait for their logs.
#[test]
fn t12_a_run_whose_log_cannot_be_stored_holds_no_slot_and_is_not_lost_by_a_restart() {
    let mut bench = Bench::running(OPEN);
    bench.gateway.change(|has| has.store_is_full = true);
    let ids = ["first", "second"].map(|name| {
        let file = bench.root.join(name);
        let script = format!("echo $$ >> {}", file.display());
        let id = bench.offer(&bench.assignment(&script));
        bench.file(&file);
        id
    });
    wait(|| {
        let held = fs::read_dir(bench.own("held")).unwrap();
        // Not what is only being written, beside the file that it replaces.
        let files = held.filter_map(|entry| Some(entry.ok()?.path()));
        let whole = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
        let texts = whole.filter_map(|path| fs::read_to_string(path).ok());
        let signed = texts.filter(|text| text.contains("\"signature\""));
        (signed.count() == ids.len()).then_some(())
    });
    assert!(bench.gateway.has().completed.is_empty(), "the log is first");
    bench.kill();
    bench.start();
    bench
        .gateway
        .wait("session", |has| has.sessions.get(1).map(drop));
    assert!(bench.gateway.has().completed.is_empty(), "the log is first");
    bench.gateway.change(|has| has.store_is_full = false);
    for (id, name) in ids.iter().zip(["first", "second"]) {
        let completion = bench.completion(id);
        assert_eq!(verdict(&completion), "Passed");
        assert!(!bench.log_of(&completion.run).is_empty());
        assert_eq!(bench.file(&bench.root.join(name)).lines().count(), 1);
    }
}

/// T14: the branch was moved by force, and a server gives what is there now.
#[test]
fn t14_a_server_that_gives_another_commit_has_nothing_run() {
    let mut bench = Bench::new(OPEN);
    let origin = Origin {
        path: bench.root.join("origin.git"),
    };
    let tree = origin.tree(&[("100644", &origin.blob("evil\n"), "file")]);
    let other = origin.commit(&tree, &[]);
    bench.server = Server::new(&origin.path, Manner::Swap(bench.commit.clone(), other));
    bench.start();
    let canary = bench.root.join("canary");
    let result = bench.run(&format!("touch {}", canary.display())).result;
    assert!(matches!(result, RunEnd::NotRun { .. }), "{result:?}");
    assert!(!canary.exists());
}

/// T14: what was offered is another commit than what the branch is by then, and it is that one which is built.
#[test]
fn t14_a_branch_that_moves_between_offer_and_accept_changes_nothing() {
    let mut bench = Bench::new(OPEN);
    let origin = Origin {
        path: bench.root.join("origin.git"),
    };
    let id = bench.offer(&bench.assignment("cat file"));
    let tree = origin.tree(&[("100644", &origin.blob("newer\n"), "file")]);
    let newer = origin.commit(&tree, &[]);
    origin.git(&["update-ref", "refs/heads/main", &newer]);
    bench.start();
    let completion = bench.completion(&id);
    assert_eq!(verdict(&completion), "Passed");
    assert!(bench.log_of(&completion.run).contains("hello\n"));
}

#[test]
fn what_answers_in_the_place_of_the_gateway_is_not_believed_and_ends_nothing() {
    let bench = Bench::running(OPEN);
    let (script, began, go) = until_told(&bench);
    let assignment = bench.assignment(&script);
    let id = bench.offer(&assignment);
    bench.file(&began);
    bench.gateway.change(|has| has.is_portal = true);
    wait(|| {
        let status = String::from_utf8(bench.owner(&["status"]).stdout).unwrap();
        status
            .contains("the gateway cannot be reached: something else answers there, with 200")
            .then_some(())
    });
    fs::write(&go, "").unwrap();
    let ended = format!("{} passed", assignment.run.name);
    wait(|| bench.log().contains(&ended).then_some(()));
    bench.gateway.change(|has| has.is_portal = false);
    let completion = bench.completion(&id);
    assert_eq!(verdict(&completion), "Passed");
    let log = bench.log_of(&assignment.run.uid);
    assert_eq!(completion.logs[0].bytes, log.len() as u64, "{log}");
}
