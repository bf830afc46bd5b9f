//! Lines that go wrong in the middle of something: nothing comes through, answers are cut, connections are gone, the
//! gateway behind them is another one.

use std::{
    fs,
    time::{Duration, Instant},
};

use protocol::worker::{assignment::Audience, completion::Completion, key::sha256};

use crate::{
    bench::{Bench, OPEN, is_alive, verdict},
    script::{until_told, wait},
};

/// What each log that was signed for is at the gateway, byte for byte.
fn logs_are_whole(bench: &Bench, completion: &Completion) {
    for digest in &completion.logs {
        let name = format!("{}/logs/{}", completion.run, digest.stream.name());
        let bytes = bench.gateway.has().logs[&name].clone();
        assert_eq!(
            (digest.bytes, &digest.sha256),
            (bytes.len() as u64, &sha256(&bytes)),
            "{name}"
        );
    }
}

/// A script that prints a number a hundred times a second until it may end, and says in a file how far it is.
fn counting(bench: &Bench) -> (String, std::path::PathBuf, std::path::PathBuf) {
    let (at, go) = (bench.root.join("at"), bench.root.join("go"));
    let script = format!(
        "n=0; until test -e {go}; do n=$((n + 1)); echo \"line $n\"; echo $n > {at}; sleep 0.01; done; \
         echo $n >> {began}",
        go = go.display(),
        at = at.display(),
        began = bench.root.join("began").display(),
    );
    (script, at, go)
}

fn number_in(file: &std::path::Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// T1.
#[test]
fn t1_a_build_prints_on_into_a_line_that_carries_nothing_and_its_log_comes_whole() {
    for connections_survive in [true, false] {
        let mut bench = Bench::on_a_line(OPEN);
        bench.start();
        let (script, at, go) = counting(&bench);
        let assignment = bench.assignment(&script);
        let id = bench.offer(&assignment);
        wait(|| {
            bench
                .log_of(&assignment.run.uid)
                .contains("line 20\n")
                .then_some(())
        });
        bench.line().hold();
        let from = wait(|| number_in(&at));
        wait(|| number_in(&at).filter(|now| *now > from + 60));
        if !connections_survive {
            bench.line().drop_all();
        }
        bench.line().mend();
        wait(|| number_in(&at).filter(|now| *now > from + 90));
        fs::write(&go, "").unwrap();
        let completion = bench.completion(&id);
        assert_eq!(verdict(&completion), "Passed");
        logs_are_whole(&bench, &completion);
        let last = bench.file(&bench.root.join("began"));
        let all: String = (1..=last.parse().unwrap())
            .map(|n: u64| format!("line {n}\n"))
            .collect();
        assert!(bench.log_of(&assignment.run.uid).contains(&all));
        assert_eq!(bench.gateway.has().accepted, [id]);
    }
}

/// T2, as its agent sees it: what the gateway was told is in the cluster.
#[test]
fn t2_a_gateway_that_is_started_again_and_again_loses_no_run_and_no_line() {
    let mut bench = Bench::on_a_line(OPEN);
    bench.start();
    for _ in 0..3 {
        let began = bench.root.join("began");
        // Another restart may come at any moment of it.
        let script = format!("echo $$ >> {}; seq 1 3000", began.display());
        let assignment = bench.assignment(&script);
        let id = bench.offer(&assignment);
        for moment in ["accepted", "printed", "completed"] {
            bench.gateway.wait(moment, |has| {
                let log = format!("{}/logs/log", assignment.run.uid);
                let is_there = match moment {
                    "accepted" => has.accepted.contains(&id),
                    "printed" => has.logs.get(&log).is_some_and(|log| !log.is_empty()),
                    _ => has.completed.contains_key(&id),
                };
                is_there.then_some(())
            });
            bench.gateway.restart();
            bench.line().drop_all();
        }
        let completion = bench.completion(&id);
        assert_eq!(verdict(&completion), "Passed");
        logs_are_whole(&bench, &completion);
    }
    assert_eq!(bench.file(&bench.root.join("began")).lines().count(), 3);
    assert_eq!(bench.gateway.has().completed.len(), 3);
}

/// T3.
#[test]
fn t3_answers_that_are_cut_in_the_middle_make_no_second_run() {
    let mut bench = Bench::on_a_line(OPEN);
    bench.start();
    bench
        .gateway
        .wait("session", |has| has.sessions.first().map(drop));
    // In the first line, behind the head, in the body; whatever answers they are, also that to the accept.
    let cuts = [5, 40, 90, 150, 20, 200];
    bench.line().cut_after(&cuts);
    let began = bench.root.join("began");
    let assignment = bench.assignment(&format!("echo $$ >> {}; seq 1 500", began.display()));
    let id = bench.offer(&assignment);
    let completion = bench.completion(&id);
    assert_eq!(verdict(&completion), "Passed");
    logs_are_whole(&bench, &completion);
    assert_eq!(bench.file(&began).lines().count(), 1);
    assert_eq!(bench.line().cuts_left(), 0);
}

/// T5: it is killed by itself before another worker may get it, and leaves no trace when the line heals.
#[test]
fn t5_what_another_worker_got_meanwhile_is_dead_before_that_and_leaves_no_trace() {
    let mut bench = Bench::on_a_line(OPEN);
    bench.gateway.change(|has| {
        has.lease_seconds = 6;
        has.kill_margin_seconds = 3;
    });
    bench.start();
    let (script, began, _) = until_told(&bench);
    let mut assignment = bench.assignment(&script);
    assignment.to = Audience::Pool(vec!["mac-1".into(), "mac-2".into()]);
    let id = bench.offer(&assignment);
    let pid = bench.file(&began);
    bench.line().hold();
    let held = Instant::now();
    wait(|| (!is_alive(&pid)).then_some(()));
    // Every lease was given before the line broke.
    assert!(held.elapsed().as_secs_f64() < 6.0, "{:?}", held.elapsed());
    bench.gateway.change(|has| {
        has.gone.insert(id.clone());
        has.lease_seconds = 900;
    });
    bench.line().mend();
    assert_eq!(verdict(&bench.run("true")), "Passed");
    wait(|| {
        let mut held = fs::read_dir(bench.own("held")).unwrap();
        held.next().is_none().then_some(())
    });
    assert!(!bench.gateway.has().completed.contains_key(&id));
}

/// T5, of two machines: by the times that their builds wrote down themselves.
#[test]
fn t5_of_two_machines_the_second_begins_a_run_when_nothing_of_it_is_left_on_the_first() {
    let lease = Duration::from_secs(6);
    let (mut first, second) = (Bench::on_a_line(OPEN), Bench::running(OPEN));
    first.gateway.change(|has| {
        has.lease_seconds = 6;
        has.kill_margin_seconds = 3;
    });
    first.start();
    let (there, begun) = (first.root.join("there"), second.root.join("begun"));
    let script = format!(
        "trap '' TERM; while :; do date +%s%N >> {}; sleep 0.05; done",
        there.display()
    );
    let mut assignment = first.assignment(&script);
    assignment.to = Audience::Pool(vec!["mac-1".into(), "mac-2".into()]);
    let id = first.offer(&assignment);
    first.file(&there);
    first.line().hold();
    // What is renewed was renewed before that; the operator waits a minute longer.
    let held = Instant::now();
    wait(|| (held.elapsed() >= lease).then_some(()));
    let mut again = second.assignment(&format!("date +%s%N > {}", begun.display()));
    again.to = assignment.to.clone();
    again.run.attempt = 2;
    assert_eq!(verdict(&second.completion(&second.offer(&again))), "Passed");
    let time = |line: &str| line.parse::<u128>().unwrap();
    let last = first.file(&there).lines().last().map(time).unwrap();
    let began = time(&second.file(&begun));
    assert!(last < began, "{last} is not before {began}");
    // Its end is refused, and leaves no trace.
    first.gateway.change(|has| {
        has.gone.insert(id.clone());
    });
    first.line().mend();
    wait(|| {
        let mut held = fs::read_dir(first.own("held")).unwrap();
        held.next().is_none().then_some(())
    });
    assert!(!first.gateway.has().completed.contains_key(&id));
}

/// T11.
#[test]
fn t11_a_cancel_comes_with_the_first_contact_after_the_line_was_dead() {
    let mut bench = Bench::on_a_line(OPEN);
    bench.start();
    let (script, began, _) = until_told(&bench);
    let id = bench.offer(&bench.assignment(&format!("trap '' TERM; {script}")));
    let pid = bench.file(&began);
    bench.line().hold();
    bench.gateway.change(|has| {
        has.cancelled.insert(id.clone());
    });
    assert!(is_alive(&pid));
    bench.line().drop_all();
    bench.line().mend();
    let completion = bench.completion(&id);
    assert_eq!(
        completion.result,
        protocol::worker::completion::RunEnd::Cancelled
    );
    assert!(!is_alive(&pid), "it did not hear that it was to end");
}
