//! What a run on a worker is, when nothing goes wrong.

use std::process::Command;

use protocol::{
    log::Stream,
    worker::{completion::RunEnd, key::sha256},
};

use crate::bench::{Bench, OPEN, verdict};

#[test]
fn a_run_is_checked_out_run_and_signed_and_its_log_is_whole() {
    let bench = Bench::running(OPEN);
    let assignment = bench.assignment("cat file; echo done");
    let completion = bench.completion(&bench.offer(&assignment));
    let RunEnd::Ran { checkout, report } = &completion.result else {
        panic!("{completion:?}");
    };
    assert_eq!(
        (checkout.commit.as_str(), verdict(&completion).as_str()),
        (bench.commit.as_str(), "Passed")
    );
    assert_eq!(report.steps.len(), 1);
    let log = bench.log_of(&assignment.run.uid);
    assert!(log.contains("hello\ndone\n"), "{log}");
    for digest in &completion.logs {
        let name = format!("{}/logs/{}", assignment.run.uid, digest.stream.name());
        let bytes = bench.gateway.has().logs[&name].clone();
        assert_eq!(
            (digest.bytes, &digest.sha256),
            (bytes.len() as u64, &sha256(&bytes))
        );
    }
    assert_eq!(completion.logs[0].stream, Stream::Log);
    assert!(completion.prepared_ms.is_some());
    // Agent and build are one user here: the cluster knows, and builds share nothing.
    assert!(!bench.gateway.has().sessions[0].isolated);
    assert!(!bench.own("mirrors").exists());
}

#[test]
fn a_failing_step_is_a_result_and_no_trouble_of_the_machine() {
    let bench = Bench::running(OPEN);
    for _ in 0..4 {
        assert_eq!(verdict(&bench.run("exit 3")), "Failed");
    }
    assert_eq!(verdict(&bench.run("true")), "Passed");
}

#[test]
fn a_build_that_kills_its_executor_has_failed_and_is_no_trouble_of_the_machine() {
    let bench = Bench::running(OPEN);
    for _ in 0..4 {
        assert_eq!(verdict(&bench.run("kill -9 $PPID; sleep 60")), "Failed");
    }
    assert_eq!(verdict(&bench.run("true")), "Passed");
}

#[test]
fn a_step_sees_nothing_of_the_agent_and_its_directory_is_new_each_time() {
    let bench = Bench::running(OPEN);
    let script = "test ! -e left; touch left; env; test \"$HOME\" != \"\"; ls -A \"$HOME\"";
    for _ in 0..2 {
        let assignment = bench.assignment(script);
        let completion = bench.completion(&bench.offer(&assignment));
        let log = bench.log_of(&assignment.run.uid);
        assert_eq!(verdict(&completion), "Passed", "{log}");
        for line in ["PRBUILD", "CARGO", "RUST"] {
            assert!(
                !log.lines().any(|one| one.starts_with(line)),
                "{line}: {log}"
            );
        }
    }
}

#[test]
fn what_could_not_be_removed_after_a_build_is_gone_before_the_next_one() {
    let bench = Bench::running(OPEN);
    bench
        .gateway
        .wait("session", |has| has.sessions.first().map(drop));
    let left = bench.root.join("state/builds/0/run/src");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("left"), "").unwrap();
    let mut sleep = Command::new("sleep");
    let mut process = sleep.arg("600").current_dir(&left).spawn().unwrap();
    let completion = bench.run("test ! -e left");
    let is_gone = process.try_wait().unwrap().is_some();
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(verdict(&completion), "Passed");
    assert!(is_gone, "a process of the last build ran beside this one");
}

/// What it keeps for itself. With its code that is more, and for the program that is handed out
/// `cargo xtask bench workers` looks at all of it.
#[cfg(target_os = "linux")]
#[test]
fn an_agent_that_has_nothing_to_do_keeps_less_than_10_mb_of_memory() {
    let bench = Bench::running(OPEN);
    bench
        .gateway
        .wait("second poll", |has| has.polls.get(1).map(drop));
    let status = std::fs::read_to_string(format!("/proc/{}/status", bench.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kilobytes: Option<u64> =
        line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok());
    assert!(kilobytes.is_some_and(|kept| kept < 9_765), "{status}");
}

#[test]
fn a_cancel_reaches_a_running_build_and_everything_of_it_is_gone() {
    let bench = Bench::running(OPEN);
    let pid = bench.root.join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {0}; trap \"\" TERM; while :; do sleep 1; done' &\nsleep 600",
        pid.display()
    );
    let id = bench.offer(&bench.assignment(&script));
    let pid = bench.file(&pid);
    bench
        .gateway
        .change(|has| has.cancelled.extend([id.clone()]));
    assert_eq!(bench.completion(&id).result, RunEnd::Cancelled);
    assert!(!crate::bench::is_alive(&pid));
}

#[test]
fn what_is_no_longer_this_workers_is_killed_and_nothing_is_told() {
    let bench = Bench::running(OPEN);
    let pid = bench.root.join("pid");
    let script = format!("echo $$ > {}; sleep 600", pid.display());
    let id = bench.offer(&bench.assignment(&script));
    let pid = bench.file(&pid);
    let before = bench.gateway.has().polls.len();
    bench.gateway.change(|has| has.gone.extend([id.clone()]));
    // The slot is free again when its processes are gone; what is offered before is declined.
    bench.gateway.wait("free slot", |has| {
        let mut since = has.polls[before..].iter();
        since.any(|poll| poll.free_slots > 0).then_some(())
    });
    assert_eq!(verdict(&bench.run("true")), "Passed");
    assert!(!crate::bench::is_alive(&pid));
    assert!(!bench.gateway.has().completed.contains_key(&id));
}

/// T13, at full size: 300 MiB of lines, and one line of 10 MiB.
#[cfg(target_os = "linux")]
#[test]
fn t13_a_flood_of_300_mib_costs_neither_agent_nor_executor_much_memory() {
    let bench = Bench::running(OPEN);
    let script = "echo first; line=$(head -c 4000 /dev/zero | tr '\\000' y); \
                  { yes \"$line\" || true; } | head -c 314572800; echo; \
                  head -c 10485760 /dev/zero | tr '\\000' x; echo; \
                  grep VmHWM /proc/$PPID/status; echo last";
    let assignment = bench.assignment(script);
    let completion = bench.completion(&bench.offer(&assignment));
    assert_eq!(verdict(&completion), "Passed");
    let log = bench.log_of(&assignment.run.uid);
    assert!(log.contains("first\n") && log.contains("last\n"));
    assert!(log.contains("bytes are left out here"));
    let kept = completion.logs[0].bytes;
    assert!((900_000..1_400_000).contains(&kept), "{kept}");
    let agent = std::fs::read_to_string(format!("/proc/{}/status", bench.pid())).unwrap();
    for (who, text) in [("executor", log), ("agent", agent)] {
        let line = text.lines().rfind(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok());
        let most: u64 = kilobytes.unwrap();
        assert!(most < 64 << 10, "{who}: {most} kB");
    }
}

#[test]
fn t13_a_flood_is_cut_in_the_middle_and_strange_bytes_pass() {
    let bench = Bench::running(OPEN);
    let script =
        "printf 'first\\n\\000\\377'; head -c 30000000 /dev/zero | tr '\\000' x; echo; echo last";
    let assignment = bench.assignment(script);
    let completion = bench.completion(&bench.offer(&assignment));
    assert_eq!(verdict(&completion), "Passed");
    let log = bench.log_of(&assignment.run.uid);
    assert!(log.contains("first\n\0"));
    assert!(log.contains("bytes are left out here"));
    assert!(log.contains("last\n"));
    let kept = completion.logs[0].bytes;
    assert!((900_000..1_400_000).contains(&kept), "{kept}");
}
