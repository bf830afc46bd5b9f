//! Time, silence, and processes that do not want to end.

use std::io::Write;

use protocol::{Recipe, RunIf, Timeouts};

use super::{
    tests::{Bench, recipe, results, step},
    *,
};
use crate::testing;

#[test]
fn a_step_that_takes_longer_than_its_own_limit_is_stopped() {
    let mut bench = Bench::new();
    let slow = Step {
        timeout_minutes: Some(0.2 / 60.0),
        ..step("echo begun; sleep 60")
    };
    let always = Step {
        run_if: Some(RunIf::Always),
        ..step("echo what is left")
    };
    let report = bench.run(recipe(vec![slow, always]));
    assert_eq!((report.verdict, report.exit_code), (Verdict::TimedOut, 124));
    assert_eq!(results(&report), [StepResult::TimedOut, StepResult::Passed]);
    assert!(
        report
            .reason
            .unwrap()
            .contains("took longer than its limit of 0.2 s")
    );
    assert!(
        report.steps[0].seconds < 5.0,
        "waited for the grace of a process that had ended"
    );
    assert!(bench.log().contains("begun"));
}

#[test]
fn a_step_that_may_fail_may_also_take_too_long() {
    let mut bench = Bench::new();
    let slow = Step {
        timeout_minutes: Some(0.1 / 60.0),
        continue_on_error: true,
        ..step("sleep 60")
    };
    let report = bench.run(recipe(vec![slow, step("true")]));
    assert_eq!(report.verdict, Verdict::Passed);
    assert_eq!(
        results(&report),
        [StepResult::Tolerated, StepResult::Passed]
    );
}

#[test]
fn all_steps_together_and_silence_have_limits() {
    for (run_seconds, no_output_seconds, script, words) in [
        (
            1,
            100,
            "while :; do echo alive; sleep 0.05; done",
            "all steps together took longer than 1 s",
        ),
        (100, 1, "echo begun; sleep 60", "printed nothing for 1 s"),
    ] {
        let mut bench = Bench::new();
        let timeouts = Timeouts {
            run_seconds,
            no_output_seconds,
            ..Timeouts::default()
        };
        let report = bench.run(Recipe {
            timeouts,
            ..recipe(vec![step(script), step("true")])
        });
        assert_eq!(report.verdict, Verdict::TimedOut, "{script}");
        assert!(
            report.reason.as_ref().unwrap().contains(words),
            "{report:?}"
        );
        assert_eq!(
            results(&report),
            [StepResult::TimedOut, StepResult::Skipped]
        );
    }
}

#[test]
fn output_keeps_a_step_alive_also_without_an_end_of_line() {
    let mut bench = Bench::new();
    let timeouts = Timeouts {
        no_output_seconds: 1,
        ..Timeouts::default()
    };
    let report = bench.run(Recipe {
        timeouts,
        ..recipe(vec![step(
            "for i in 1 2 3 4 5 6; do printf .; sleep 0.3; done",
        )])
    });
    assert_eq!(report.verdict, Verdict::Passed);
}

#[test]
fn a_process_that_ignores_the_request_to_end_is_killed_after_the_grace() {
    let mut bench = Bench::new();
    let deaf = Step {
        timeout_minutes: Some(0.2 / 60.0),
        ..step("trap '' TERM; while :; do sleep 0.01; done")
    };
    let report = bench.run(recipe(vec![deaf]));
    assert_eq!(report.verdict, Verdict::TimedOut);
}

#[test]
fn a_process_that_is_asked_to_end_may_tidy_up() {
    let mut bench = Bench::new();
    bench.grace = Duration::from_secs(20);
    let tidy = Step {
        timeout_minutes: Some(0.3 / 60.0),
        ..step("trap 'echo tidied; exit 0' TERM; echo begun; sleep 60 & wait")
    };
    let report = bench.run(recipe(vec![tidy]));
    assert_eq!(
        report.verdict,
        Verdict::TimedOut,
        "its own exit code does not save it"
    );
    assert!(bench.log().contains("tidied"), "{}", bench.log());
    assert!(report.steps[0].seconds < 10.0);
}

/// A daemon that forked twice, in a session of its own, deaf, with its output elsewhere.
const DAEMON: &str = "
import os, signal, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
null = os.open(os.devnull, os.O_RDWR)
for fd in (0, 1, 2): os.dup2(null, fd)
open(sys.argv[1], 'w').write(str(os.getpid()))
time.sleep(60)
";

#[test]
fn daemons_are_gone_after_the_step_that_started_them() {
    let mut bench = Bench::new();
    std::fs::write(bench.path("src/daemon.py"), DAEMON).unwrap();
    let wait = "while ! [ -s pid ]; do sleep 0.01; done; echo the daemon is up";
    let report = bench.script(&format!("python3 daemon.py pid\n{wait}\nsleep 60 &\n"));
    assert_eq!(report.verdict, Verdict::Passed, "{}", bench.log());
    let log = bench.log();
    assert!(log.contains("the daemon is up"), "{log}");
    assert!(
        log.contains("▲ killed 2 processes that the step left running"),
        "{log}"
    );
    let pid = std::fs::read_to_string(bench.path("src/pid")).unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn processes_that_never_stay_the_same_are_gone_too() {
    let mut bench = Bench::new();
    // Each hare starts the next one and leaves. There are four at a time, however long it goes on,
    // and none after a thousand generations: a test must not be a fork bomb where it fails.
    let hare = "hare() { [ $1 = 0 ] || ( (sleep 0.002; hare $(($1 - 1))) & ) }";
    let report = bench.script(&format!(
        "{hare}; for i in 1 2 3 4; do hare 1000; done; sleep 0.1"
    ));
    assert_eq!(report.verdict, Verdict::Passed, "{}", bench.log());
    assert!(bench.log().contains("▲ killed"), "{}", bench.log());
}

#[test]
fn a_wide_tree_is_gone_too() {
    let mut bench = Bench::new();
    // 127 processes, the leaves asleep; no more, whatever happens.
    let tree =
        "tree() { [ $1 = 0 ] && exec sleep 60; tree $(($1 - 1)) & tree $(($1 - 1)) & wait; }";
    let report = bench.script(&format!("{tree}; tree 6 & sleep 0.1"));
    assert_eq!(report.verdict, Verdict::Passed, "{}", bench.log());
    assert!(bench.log().contains("▲ killed"), "{}", bench.log());
}

#[test]
fn the_last_lines_of_a_helper_are_not_cut() {
    let mut bench = Bench::new();
    let report = bench.script("exec > >(sleep 0.2; sed 's/^/helped: /'); echo last");
    assert_eq!(report.verdict, Verdict::Passed);
    assert!(bench.log().contains("helped: last"), "{}", bench.log());
}

#[test]
fn a_stop_kills_the_tree_and_cancels_the_run() {
    let mut bench = Bench::new();
    let begun = bench.path("src/begun");
    let always = Step {
        run_if: Some(RunIf::Always),
        ..step("echo never")
    };
    let steps = vec![step("(sleep 60 &); touch begun; sleep 60"), always];
    let report = bench.run_and(recipe(steps), |mut stop| {
        while !begun.exists() {
            std::thread::yield_now();
        }
        stop.write_all(b"x").unwrap();
    });
    assert_eq!(
        (report.verdict, report.exit_code),
        (Verdict::Cancelled, 143)
    );
    assert_eq!(
        results(&report),
        [StepResult::Cancelled, StepResult::Skipped]
    );
    assert!(report.reason.unwrap().starts_with("cancelled in the step"));
}

#[test]
fn a_stop_before_the_first_step_starts_nothing() {
    let mut bench = Bench::new();
    let (_, _, mut stop) = bench.executor.parts();
    stop.write_all(b"x").unwrap();
    let report = bench.script("touch ran");
    assert_eq!(report.verdict, Verdict::Cancelled);
    assert_eq!(results(&report), [StepResult::Skipped]);
    assert!(!bench.path("src/ran").exists());
}

#[test]
fn a_reader_of_the_log_that_stands_still_does_not_stop_the_clocks() {
    let mut bench = Bench::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let work = Work {
        source: testing::source("http://127.0.0.1/a/b.git", &"a".repeat(40)),
        recipe: recipe(vec![Step {
            timeout_minutes: Some(0.3 / 60.0),
            ..step("yes")
        }]),
    };
    let (root, image, grace) = (bench.root.clone(), bench.image.clone(), bench.grace);
    let (signals, _, _stop) = bench.executor.parts();
    let mut log = Log::to(std::fs::File::from(std::os::fd::OwnedFd::from(writer)));
    let report = super::run(&work, &root, image, grace, signals, &mut log);
    assert_eq!(report.verdict, Verdict::TimedOut);
    drop(log);
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut text).unwrap();
    assert!(text.len() <= 1 << 20, "more than a pipe was held back");
}

#[test]
fn the_last_lines_of_a_step_are_kept_also_while_nobody_reads_the_log() {
    let mut bench = Bench::new();
    let spool = bench.path("spool");
    std::fs::create_dir(&spool).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    while matches!((&writer).write(&[b'x'; 4096]), Ok(1..)) {}
    let work = Work {
        source: testing::source("http://127.0.0.1/a/b.git", &"a".repeat(40)),
        recipe: recipe(vec![step("seq 1 2000")]),
    };
    let (root, image, grace) = (bench.root.clone(), bench.image.clone(), bench.grace);
    let (signals, _, _stop) = bench.executor.parts();
    let mut log = Log::to(std::fs::File::from(std::os::fd::OwnedFd::from(writer)));
    log.keep_in(&spool, protocol::log::LogLimits::of(1 << 20));
    let report = super::run(&work, &root, image, grace, signals, &mut log);
    assert_eq!(report.verdict, Verdict::Passed);
    let kept = std::fs::read_to_string(spool.join(protocol::log::SPOOL_LOG)).unwrap();
    let all: String = (1..=2000).map(|n| format!("{n}\n")).collect();
    assert!(kept.contains(&all), "{kept}");
    drop(reader);
}

#[test]
fn limits_beyond_reason_are_no_panic() {
    let mut bench = Bench::new();
    let endless = Step {
        timeout_minutes: Some(f64::MAX),
        ..step("true")
    };
    let timeouts = Timeouts {
        run_seconds: i64::MAX,
        no_output_seconds: i64::MAX,
        ..Timeouts::default()
    };
    let report = bench.run(Recipe {
        timeouts,
        ..recipe(vec![endless])
    });
    assert_eq!(report.verdict, Verdict::Passed);
}
