//! When the log, or the rest of it, is given up: no build is failed for that.

use protocol::log::RefusalCode;

use super::{tests::Bench, *};
use crate::testing_gateway::Fault;

#[test]
fn what_asking_again_cannot_heal_is_given_up_and_fails_nobody() {
    for code in [RefusalCode::Token, RefusalCode::Writer, RefusalCode::Ended] {
        let bench = Bench::new();
        bench.checkout();
        let fault = Some(Fault::Refuse(code));
        bench.gateway.has().faults.extend([None, None, fault]);
        let running = bench.ship();
        bench.gateway.wait("refusal", |has| has.faults.is_empty());
        let mut build = bench.spool("build");
        build.write(b"more\n").unwrap();
        build.end().unwrap();
        running.stop();
        let has = bench.gateway.has();
        assert_eq!((has.requests, has.end), (3, None), "{code:?}");
    }
}

#[test]
fn a_log_of_which_the_gateway_takes_no_more_is_ended_and_says_what_is_left_out() {
    let bench = Bench::new();
    let base = bench.checkout();
    let limit = Some(Fault::Refuse(RefusalCode::Limit));
    bench.gateway.has().faults.extend([None, None, limit]);
    let running = bench.ship();
    bench.gateway.wait("refusal", |has| has.faults.is_empty());
    let mut build = bench.spool("build");
    build.write(b"more\n").unwrap();
    build.end().unwrap();
    running.stop();
    let end = bench.gateway.has().end.unwrap();
    assert_eq!(end.log + end.left_out, base.len() as u64 + 5);
    assert!(!end.unfinished);
}

#[test]
fn another_sender_of_the_same_run_is_given_up() {
    let bench = Bench::new();
    bench.checkout();
    bench.ship().stop();
    std::fs::remove_file(bench.path("state/writer")).unwrap();
    bench.spool("build").end().unwrap();
    let before = bench.log();
    bench.ship().stop();
    assert_eq!(bench.log(), before);
}

#[test]
fn a_gateway_that_is_away_is_given_up_when_the_grace_is_over() {
    let mut bench = Bench::new();
    bench.checkout();
    bench.grace = Duration::from_millis(300);
    bench
        .gateway
        .has()
        .faults
        .extend([Some(Fault::Close); 1000]);
    let running = bench.ship();
    bench.gateway.wait("try", |has| has.requests > 1);
    let begin = Instant::now();
    running.stop();
    assert!(begin.elapsed() < Duration::from_secs(20));
}
