//! T10: machines whose own clock is wrong, by hours or since they know no date at all. What reads the date of this
//! machine is led elsewhere in the agent's process; nobody sets a clock.

use std::{ffi::OsString, fs, process::Command};

use agent::worker::clock;
use protocol::worker::{assignment::Assignment, wire::DeclineCode};

use crate::bench::{Bench, OPEN, verdict};

/// Stands before the C library: the date is off by so many seconds, and the clocks that nobody sets are as they are.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *at) {
    int done = syscall(SYS_clock_gettime, clock, at);
    const char *off = getenv("PRBUILD_TEST_CLOCK_OFF");
    if (done == 0 && clock == CLOCK_REALTIME && off) at->tv_sec += atoll(off);
    return done;
}
"#;

/// An agent that runs on a machine whose clock is off by so many seconds.
fn on_a_clock_that_is_off(seconds: i64) -> Bench {
    let mut bench = Bench::new(OPEN);
    let (source, library) = (bench.root.join("clock.c"), bench.root.join("clock.so"));
    fs::write(&source, SHIM).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]);
    let compiled = compiler.arg(&library).arg(&source).status();
    assert!(compiled.unwrap().success());
    let off = OsString::from(seconds.to_string());
    bench.variables = vec![
        ("LD_PRELOAD", library.into_os_string()),
        ("PRBUILD_TEST_CLOCK_OFF", off),
    ];
    bench.start();
    bench
}

/// An assignment that may be begun for so many seconds from now.
fn lasting(bench: &Bench, seconds: i64) -> Assignment {
    let now = clock::own();
    Assignment {
        issued: now.min(now + seconds - 1_200),
        expires: now + seconds,
        ..bench.assignment("true")
    }
}

/// The newest date in what the agent wrote down for its owner, as the seconds that it is off.
fn off_in_history(bench: &Bench) -> i64 {
    let history = fs::read_to_string(bench.own("history.jsonl")).unwrap();
    let last = history.lines().last().unwrap();
    let entry: serde_json::Value = serde_json::from_str(last).unwrap();
    entry["at"].as_i64().unwrap() - clock::own()
}

#[test]
fn t10_a_clock_that_is_behind_by_hours_or_at_1970_needs_not_be_right() {
    for seconds in [-7_200, 60 - clock::own()] {
        let bench = on_a_clock_that_is_off(seconds);
        let completion = bench.completion(&bench.offer(&lasting(&bench, 1_200)));
        assert_eq!(verdict(&completion), "Passed", "{seconds}");
        let off = off_in_history(&bench);
        assert!(off.abs_diff(seconds) < 600, "{off}: its clock is right");
        // By its own clock this is young.
        let late = bench.offer(&lasting(&bench, -60));
        let decline = bench.decline(&late);
        assert_eq!(decline.code, DeclineCode::Invalid, "{decline:?}");
        assert!(!bench.gateway.has().accepted.contains(&late));
    }
}

#[test]
fn t10_a_clock_that_is_hours_ahead_opens_a_session_and_says_why_it_takes_nothing() {
    let bench = on_a_clock_that_is_off(7_230);
    let closed = bench.gateway.wait("closed", |has| {
        has.polls.iter().find_map(|poll| poll.closed.clone())
    });
    assert_eq!(closed, "its clock is ahead by 2 h 00 min");
    assert!(!bench.gateway.has().sessions.is_empty());
}
