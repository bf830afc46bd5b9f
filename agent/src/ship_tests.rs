//! A spool, a sidecar and a gateway between which everything goes wrong: no byte is lost or sent twice.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use protocol::log::{Mark, MarkKind, RefusalCode, cut_note};
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    spool::Spool,
    testing::Scratch,
    testing_gateway::{Fault, Gateway},
};

/// A pod's spools, a gateway, and a place for what a sidecar remembers.
pub(super) struct Bench {
    pub gateway: Gateway,
    pub limits: LogLimits,
    pub grace: Duration,
    scratch: Scratch,
}

/// A sidecar that runs.
pub(super) struct Running {
    stop: UnixStream,
    thread: JoinHandle<Result<(), ShipError>>,
}

impl Bench {
    pub fn new() -> Self {
        let scratch = Scratch::new();
        for name in ["checkout", "build", "state"] {
            std::fs::create_dir(scratch.path(name)).unwrap();
        }
        Self {
            gateway: Gateway::new(),
            limits: LogLimits::of(1 << 20),
            grace: Duration::from_secs(60),
            scratch,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    pub fn spool(&self, name: &str) -> Spool {
        Spool::new(&self.path(name), self.limits).unwrap()
    }

    /// A checkout that printed one line and is over.
    pub fn checkout(&self) -> &'static str {
        let mut spool = self.spool("checkout");
        spool.write(b"checked out\n").unwrap();
        spool.end().unwrap();
        "checked out\n"
    }

    pub fn ship(&self) -> Running {
        let shipment = Shipment {
            checkout: self.path("checkout"),
            build: self.path("build"),
            state: self.path("state"),
            to: Destination {
                gateway: self.gateway.url(),
                repository: "demo".into(),
                run: "uid".into(),
                ..Destination::default()
            },
            token: "token".into(),
            limits: self.limits,
            grace: self.grace,
        };
        let (stop, receiver) = UnixStream::pair().unwrap();
        let mut signals = Signals::stopped_by(receiver).unwrap();
        Running {
            stop,
            thread: std::thread::spawn(move || run(shipment, &mut signals)),
        }
    }

    /// Waits until the gateway has that much of the log.
    pub fn wait_for(&self, bytes: usize) {
        self.gateway
            .wait("more of the log", |has| has.log.len() >= bytes);
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.gateway.has().log).into_owned()
    }

    /// The marks that the gateway has, without those of times.
    pub fn marks(&self) -> Vec<Mark> {
        let marks = self.gateway.has().marks.clone();
        let lines = String::from_utf8(marks).unwrap();
        let marks = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        marks
            .filter(|mark: &Mark| mark.what != MarkKind::Time)
            .collect()
    }
}

impl Running {
    /// Asks it to stop and waits until it did.
    pub fn stop(mut self) {
        self.stop.write_all(b"x").unwrap();
        self.thread.join().unwrap().unwrap();
    }
}

fn step(n: u32) -> MarkKind {
    let name = format!("step {n}");
    MarkKind::Step { n, name }
}

#[test]
fn checkout_and_build_are_one_log_that_arrives_while_it_is_printed() {
    let bench = Bench::new();
    let running = bench.ship();
    let mut checkout = bench.spool("checkout");
    checkout.mark(step(0)).unwrap();
    checkout.write(b"fetching\n").unwrap();
    bench.wait_for(9);
    checkout.write(b"done\n").unwrap();
    checkout.end().unwrap();
    let mut build = bench.spool("build");
    build.write(b"hello\n").unwrap();
    bench.wait_for(20);
    build.mark(step(1)).unwrap();
    build.write(b"world\n").unwrap();
    bench.wait_for(26);
    build.end().unwrap();
    bench.gateway.wait("end", |has| has.end.is_some());
    running.stop();
    assert_eq!(bench.log(), "fetching\ndone\nhello\nworld\n");
    let marks = bench.marks();
    let steps: Vec<(u64, &MarkKind)> = marks.iter().map(|mark| (mark.at, &mark.what)).collect();
    assert_eq!(steps, [(0, &step(0)), (20, &step(1))]);
    let has = bench.gateway.has();
    let (log, marks) = (26, has.marks.len() as u64);
    let left_out = 0;
    let end = LogEnd {
        log,
        marks,
        left_out,
        unfinished: false,
    };
    assert_eq!(has.end, Some(end));
    assert_eq!((has.connections, has.twice), (1, 0));
}

#[test]
fn a_line_reaches_the_gateway_within_a_fraction_of_a_second() {
    let bench = Bench::new();
    bench.checkout();
    let running = bench.ship();
    let mut build = bench.spool("build");
    let mut delays = Vec::new();
    for n in 1..=20 {
        let printed = Instant::now();
        build.write(b"0123456789\n").unwrap();
        bench.wait_for("checked out\n".len() + n * 11);
        delays.push(printed.elapsed());
    }
    delays.sort();
    running.stop();
    // On a quiet machine half of them take less than 50 ms.
    assert!(delays[10] < Duration::from_secs(1), "{delays:?}");
}

#[test]
fn of_a_long_log_the_beginning_and_the_end_arrive_with_a_note_between() {
    let mut bench = Bench::new();
    bench.limits = LogLimits::of(16 << 10);
    let head = usize::try_from(bench.limits.head).unwrap();
    let base = bench.checkout();
    let all: String = (0..20_000).map(|n| format!("{n:08}\n")).collect();
    let mut build = bench.spool("build");
    build.write(all.as_bytes()).unwrap();
    let running = bench.ship();
    bench.wait_for(base.len() + head);
    build.mark(step(2)).unwrap();
    build.end().unwrap();
    running.stop();
    let log = bench.log();
    let has = bench.gateway.has();
    let left_out = has.end.unwrap().left_out;
    let note = cut_note(left_out);
    let tail = &log[base.len() + head + note.len()..];
    assert_eq!(log, format!("{base}{}{note}{tail}", &all[..head]));
    assert!(all.ends_with(tail) && tail.len() as u64 >= bench.limits.tail);
    assert_eq!(head as u64 + left_out + tail.len() as u64, all.len() as u64);
    assert!(log.len() as u64 <= bench.limits.most());
    drop(has);
    assert_eq!(bench.marks().last().unwrap().at as usize, base.len() + head);
}

#[test]
fn a_log_that_just_fits_has_no_note_wherever_it_ends() {
    for over in [0, 1, 255, 256, 257, 1279] {
        let mut bench = Bench::new();
        bench.limits = LogLimits::of(4096);
        let base = bench.checkout();
        let printed = "x".repeat(3072 + over);
        let mut build = bench.spool("build");
        build.write(printed.as_bytes()).unwrap();
        build.end().unwrap();
        bench.ship().stop();
        assert_eq!(bench.log(), format!("{base}{printed}"), "{over}");
        assert_eq!(bench.gateway.has().end.unwrap().left_out, 0);
    }
}

#[test]
fn a_checkout_that_prints_more_than_may_be_kept_leaves_room_for_the_build() {
    let mut bench = Bench::new();
    bench.limits = LogLimits::of(4096);
    let mut checkout = bench.spool("checkout");
    checkout.write(&[b'c'; 3000]).unwrap();
    checkout.end().unwrap();
    let mut build = bench.spool("build");
    build.write(&[b'b'; 10_000]).unwrap();
    build.write(b"the last line").unwrap();
    build.end().unwrap();
    bench.ship().stop();
    let log = bench.log();
    assert!(log.len() as u64 <= bench.limits.most());
    assert!(log.ends_with("the last line"));
    assert!(log.contains(&cut_note(3000 - 1024)));
}

#[test]
fn the_log_of_an_executor_that_was_killed_is_sent_and_ended() {
    let bench = Bench::new();
    let base = bench.checkout();
    let mut build = bench.spool("build");
    build.write(b"half a li").unwrap();
    let running = bench.ship();
    bench.wait_for(1);
    drop(build);
    running.stop();
    assert_eq!(bench.log(), format!("{base}half a li"));
    // Nobody can tell whether that was all.
    assert!(bench.gateway.has().end.unwrap().unfinished);
}

#[test]
fn the_log_of_a_checkout_that_failed_or_was_killed_is_sent_and_ended() {
    for ended in [true, false] {
        let bench = Bench::new();
        let mut checkout = bench.spool("checkout");
        checkout.write(b"no checkout\n").unwrap();
        if ended {
            checkout.end().unwrap();
        }
        bench.ship().stop();
        assert_eq!(bench.log(), "no checkout\n");
        assert_eq!(bench.gateway.has().end.unwrap().unfinished, !ended);
    }
}

#[test]
fn a_sidecar_that_is_restarted_again_and_again_loses_and_repeats_nothing() {
    let mut bench = Bench::new();
    bench.limits = LogLimits::of(256 << 10);
    bench.grace = Duration::ZERO;
    let mut all = bench.checkout().to_owned();
    let mut build = bench.spool("build");
    for n in 0..40 {
        // As a kill: it stops wherever it is.
        let running = bench.ship();
        for line in 0..(n % 7) * 50 {
            let line = format!("line {line} of turn {n}\n");
            build.write(line.as_bytes()).unwrap();
            all += &line;
        }
        build.mark(step(n)).unwrap();
        if n % 3 > 0 {
            bench.wait_for(all.len() - 1000.min(all.len()));
        }
        running.stop();
    }
    build.end().unwrap();
    bench.grace = Duration::from_secs(60);
    bench.ship().stop();
    assert_eq!(bench.log(), all);
    assert_eq!(bench.marks().len(), 40);
    assert_eq!(bench.gateway.has().twice, 0);
}

#[test]
fn a_sidecar_that_is_restarted_while_it_sends_the_end_of_a_long_log_goes_on_there() {
    let mut bench = Bench::new();
    bench.limits = LogLimits::of(8 << 20);
    bench.checkout();
    let mut build = bench.spool("build");
    for n in 0..20_000 {
        let line = format!("{n:08} {}\n", "x".repeat(600));
        build.write(line.as_bytes()).unwrap();
    }
    build.end().unwrap();
    bench.ship().stop();
    let (whole, end) = {
        let has = bench.gateway.has();
        (has.log.clone(), has.end)
    };
    for held in [7 << 20, whole.len() - 100_000, whole.len() - 1, whole.len()] {
        let mut has = bench.gateway.has();
        has.log.truncate(held);
        has.end = None;
        drop(has);
        bench.ship().stop();
        let has = bench.gateway.has();
        assert!(has.log == whole && has.end == end, "{held}");
    }
}

#[test]
fn whatever_goes_wrong_between_the_gateway_has_the_same_bytes_in_the_end() {
    let faults = [
        Fault::Refuse(RefusalCode::Gap),
        Fault::Refuse(RefusalCode::Malformed),
        Fault::Refuse(RefusalCode::Store),
        Fault::Refuse(RefusalCode::Unknown),
        Fault::Foreign,
        Fault::Close,
        Fault::CloseAfter,
        Fault::Restart,
    ];
    for pause in [4, 7, 9] {
        let mut bench = Bench::new();
        bench.limits = LogLimits::of(16 << 20);
        for fault in faults {
            let mut has = bench.gateway.has();
            has.faults.extend(vec![None; pause]);
            has.faults.push_back(Some(fault));
            has.stored = Some([10, 10]);
        }
        let mut all = bench.checkout().as_bytes().to_owned();
        let running = bench.ship();
        let mut build = bench.spool("build");
        let mut n = 0;
        while n < 2000 || !bench.gateway.has().faults.is_empty() {
            let line = format!("{n} {}\n", "y".repeat(700));
            build.mark(step(n)).unwrap();
            build.write(line.as_bytes()).unwrap();
            all.extend(line.as_bytes());
            n += 1;
            if n > 2000 {
                bench.wait_for(all.len());
            }
        }
        build.end().unwrap();
        running.stop();
        let has = bench.gateway.has();
        assert!(has.end.is_some());
        assert_eq!(Sha256::digest(&has.log), Sha256::digest(&all), "{pause}");
        drop(has);
        assert_eq!(bench.marks().len(), n as usize, "{pause}");
    }
}

#[test]
fn a_gateway_that_forgot_what_it_took_gets_it_again_while_nobody_prints() {
    let bench = Bench::new();
    let base = bench.checkout();
    let mut build = bench.spool("build");
    build.mark(step(1)).unwrap();
    build.write(b"hello\n").unwrap();
    bench.gateway.has().stored = Some([3, 5]);
    let running = bench.ship();
    bench.wait_for(base.len() + 6);
    bench.gateway.has().faults.push_back(Some(Fault::Restart));
    bench.gateway.wait("restart", |has| has.faults.is_empty());
    bench.wait_for(base.len() + 6);
    bench.gateway.has().stored = None;
    build.end().unwrap();
    running.stop();
    assert_eq!(bench.log(), format!("{base}hello\n"));
    assert_eq!(bench.marks().len(), 1);
}

#[test]
fn without_a_place_to_remember_the_log_is_sent_all_the_same() {
    let bench = Bench::new();
    std::fs::remove_dir(bench.path("state")).unwrap();
    let base = bench.checkout();
    bench.ship().stop();
    assert_eq!(bench.log(), base);
    assert!(!Path::new(&bench.path("state")).exists());
}
