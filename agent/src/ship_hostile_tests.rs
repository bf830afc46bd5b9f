//! What the code of a pull request can do to its spool, which it may write to.

use std::{
    fs::{self, File},
    os::unix::{
        fs::{FileExt, symlink},
        net::UnixListener,
    },
    path::Path,
};

use protocol::log::{MARKS_LIMIT, MarkKind, SPOOL_LOG};
use rustix::fs::{CWD, FileType, Mode};
use sha2::{Digest, Sha256};

use super::{stream::LOST_NOTE, tests::Bench, *};

/// What somebody would like to read from elsewhere.
const SECRET: &str = "PRBUILD_LOG_TOKEN=secret";

fn mkfifo(path: &Path) {
    let mode = Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(CWD, path, FileType::Fifo, mode, 0).unwrap();
}

/// Things that are no regular file and lie at a path instead of one.
type Thing = Box<dyn Fn(&Bench, &Path)>;
fn things() -> [(&'static str, Thing); 7] {
    let link = |to: &'static str| -> Thing {
        Box::new(move |_: &Bench, path: &Path| symlink(to, path).unwrap())
    };
    [
        ("link to the environment", link("/proc/self/environ")),
        ("link to a device", link("/dev/zero")),
        ("link to a terminal", link("/dev/tty")),
        (
            "link to a secret",
            Box::new(|bench, path| {
                fs::write(bench.path("secret"), SECRET).unwrap();
                symlink(bench.path("secret"), path).unwrap();
            }),
        ),
        ("pipe", Box::new(|_, path| mkfifo(path))),
        (
            "directory",
            Box::new(|_, path| fs::create_dir(path).unwrap()),
        ),
        (
            "socket",
            Box::new(|_, path| drop(UnixListener::bind(path).unwrap())),
        ),
    ]
}

#[test]
fn what_is_no_file_in_the_place_of_the_log_is_not_read() {
    for (name, put) in things() {
        let bench = Bench::new();
        let base = bench.checkout();
        put(&bench, &bench.path("build/log"));
        bench.ship().stop();
        assert_eq!(bench.log(), format!("{base}{LOST_NOTE}"), "{name}");
        assert!(bench.gateway.has().end.is_some(), "{name}");
    }
}

#[test]
fn what_is_no_file_in_the_place_of_marks_end_and_pieces_is_not_read() {
    for (name, put) in things() {
        let mut bench = Bench::new();
        bench.limits = LogLimits::of(4096);
        let base = bench.checkout();
        let marks = bench.gateway.has().marks.len();
        fs::write(bench.path("build/log"), "x".repeat(3072)).unwrap();
        for file in ["marks", "end", "log.1", "log.2"] {
            put(&bench, &bench.path("build").join(file));
            let _ = fs::remove_file(bench.path("secret"));
        }
        bench.ship().stop();
        assert_eq!(bench.log(), base.to_owned() + &"x".repeat(3072), "{name}");
        assert_eq!(bench.marks().len(), marks, "{name}");
    }
}

#[test]
fn what_takes_the_place_of_a_log_that_is_read_already_changes_nothing() {
    for (name, put) in things() {
        let bench = Bench::new();
        let base = bench.checkout();
        let mut build = bench.spool("build");
        build.write(b"before\n").unwrap();
        let running = bench.ship();
        bench.wait_for(base.len() + 7);
        for file in ["log", "marks"] {
            let path = bench.path("build").join(file);
            fs::remove_file(&path).unwrap();
            put(&bench, &path);
            let _ = fs::remove_file(bench.path("secret"));
        }
        build.write(b"after\n").unwrap();
        build.end().unwrap();
        running.stop();
        assert_eq!(bench.log(), format!("{base}before\nafter\n"), "{name}");
    }
}

#[test]
fn a_sparse_terabyte_is_no_more_than_a_log_may_be() {
    let mut bench = Bench::new();
    bench.limits = LogLimits::of(2 << 20);
    let base = bench.checkout();
    for name in ["log", "marks", "end", "log.1", "log.2", "log.7", "log.8"] {
        let file = File::create(bench.path("build").join(name)).unwrap();
        file.set_len(1 << 40).unwrap();
    }
    bench.ship().stop();
    let has = bench.gateway.has();
    assert!(has.log.len() as u64 <= bench.limits.most());
    assert!(has.log.len() > base.len() + (3 << 19));
    assert!(has.marks.len() as u64 <= MARKS_LIMIT);
    assert!(has.end.is_some());
}

#[test]
fn of_a_log_that_was_cut_short_stays_what_was_sent_and_a_note_follows() {
    let bench = Bench::new();
    let base = bench.checkout();
    let mut build = bench.spool("build");
    build.write(b"before\n").unwrap();
    let running = bench.ship();
    bench.wait_for(base.len() + 7);
    File::create(bench.path("build/log")).unwrap();
    bench
        .gateway
        .wait("note", |has| has.log.ends_with(LOST_NOTE.as_bytes()));
    build.write(b"after\n").unwrap();
    build.end().unwrap();
    running.stop();
    assert_eq!(bench.log(), format!("{base}before\n{LOST_NOTE}"));
    assert_eq!(bench.gateway.has().twice, 0);
}

#[test]
fn a_sidecar_that_is_restarted_after_the_log_was_spoilt_says_so_once() {
    for spoil in [
        |path: &Path| drop(File::create(path).unwrap()),
        |path: &Path| fs::remove_file(path).unwrap(),
        |path: &Path| fs::write(path, "x").unwrap(),
    ] {
        let mut bench = Bench::new();
        bench.grace = Duration::ZERO;
        let base = bench.checkout();
        let mut build = bench.spool("build");
        build.write(b"before\n").unwrap();
        let running = bench.ship();
        bench.wait_for(base.len() + 7);
        running.stop();
        spoil(&bench.path("build/log"));
        for _ in 0..3 {
            let running = bench.ship();
            bench
                .gateway
                .wait("note", |has| has.log.ends_with(LOST_NOTE.as_bytes()));
            running.stop();
        }
        build.end().unwrap();
        bench.grace = Duration::from_secs(60);
        bench.ship().stop();
        assert_eq!(bench.log(), format!("{base}before\n{LOST_NOTE}"));
        assert!(bench.gateway.has().end.is_some());
    }
}

#[test]
fn a_log_that_is_cut_and_written_again_and_again_never_sends_a_byte_twice() {
    let mut bench = Bench::new();
    bench.limits = LogLimits::of(64 << 10);
    let base = bench.checkout();
    fs::write(bench.path("build/log"), "").unwrap();
    let running = bench.ship();
    let file = File::options()
        .write(true)
        .open(bench.path("build/log"))
        .unwrap();
    for n in 0..200_u64 {
        file.set_len(n % 3 * 1000).unwrap();
        file.write_all_at(&[b'z'; 5000], n % 7 * 900).unwrap();
    }
    running.stop();
    let (log, has) = (bench.log(), bench.gateway.has());
    assert!(log.starts_with(base) && has.end.is_some());
    assert!(log.matches(LOST_NOTE).count() <= 1, "{log}");
    assert_eq!(has.twice, 0);
}

#[test]
fn a_log_that_grows_while_it_is_read_arrives_whole() {
    let mut bench = Bench::new();
    bench.limits = LogLimits::of(64 << 20);
    let mut hash = Sha256::new();
    hash.update(bench.checkout());
    let running = bench.ship();
    let mut build = bench.spool("build");
    for n in 0..10_000 {
        let line = format!("{n} {}\n", "w".repeat(n % 1000));
        hash.update(&line);
        build.write(line.as_bytes()).unwrap();
    }
    build.end().unwrap();
    running.stop();
    let has = bench.gateway.has();
    assert_eq!(Sha256::digest(&has.log), hash.finalize());
    assert_eq!(has.twice, 0);
}

#[test]
fn marks_that_are_no_marks_hold_nothing_up() {
    let mark = |what: &str| format!("{{{what},\"mark\":\"time\"}}\n").into_bytes();
    let floods: [(&str, Vec<u8>); 7] = [
        ("one line", vec![b'x'; 100_000_000]),
        ("lines", b"x\n".repeat(5_000_000)),
        ("brackets", vec![b'['; 10_000_000]),
        ("NUL", vec![0; 10_000_000]),
        ("offsets", mark("\"at\":18446744073709551615,\"ms\":1")),
        ("times", mark("\"at\":0,\"ms\":-9223372036854775808")),
        ("no end", b"{\"at\":0".to_vec()),
    ];
    for (name, flood) in floods {
        let bench = Bench::new();
        let base = bench.checkout();
        let mut build = bench.spool("build");
        build.write(b"hello\n").unwrap();
        fs::write(bench.path("build/marks"), flood).unwrap();
        build.end().unwrap();
        bench.ship().stop();
        assert_eq!(bench.log(), format!("{base}hello\n"), "{name}");
        assert!(bench.gateway.has().end.is_some(), "{name}");
        for mark in bench.marks() {
            assert!(mark.ms >= 0 && mark.at <= bench.limits.most(), "{name}");
        }
    }
}

#[test]
fn an_end_that_lies_ends_the_log_and_breaks_nothing() {
    for end in [
        "{\"bytes\":18446744073709551615}",
        "{\"bytes\":0}",
        "{\"bytes\":-1}",
        "{\"bytes\":1e300}",
        "",
        "end",
        "{\"bytes\":6}{",
    ] {
        let bench = Bench::new();
        let base = bench.checkout();
        fs::write(bench.path("build/log"), "hello\n").unwrap();
        fs::write(bench.path("build/end"), end).unwrap();
        bench.ship().stop();
        let log = bench.log();
        let rest = log.strip_prefix(&format!("{base}hello\n")).unwrap();
        assert!(rest.is_empty() || rest == LOST_NOTE, "{end}: {rest}");
        assert!(bench.gateway.has().end.is_some(), "{end}");
    }
}

#[test]
fn an_end_that_lies_about_a_log_with_a_full_beginning_breaks_nothing() {
    let mut bench = Bench::new();
    bench.limits = LogLimits::of(4096);
    bench.checkout();
    fs::write(bench.path("build/log"), "x".repeat(9000)).unwrap();
    fs::write(bench.path("build/end"), "{\"bytes\":18446744073709551615}").unwrap();
    for name in [
        "log.0",
        "log.4294967295",
        "log.99999999999999999999",
        "log.-1",
        "log.x",
    ] {
        fs::write(bench.path("build").join(name), "y".repeat(9000)).unwrap();
    }
    bench.ship().stop();
    let has = bench.gateway.has();
    assert!(has.log.len() as u64 <= bench.limits.most());
    assert!(has.end.unwrap().left_out > 0);
}

#[test]
fn a_crowd_of_files_in_the_spool_is_not_looked_through_to_its_end() {
    let mut bench = Bench::new();
    bench.limits = LogLimits::of(4096);
    bench.checkout();
    for n in 1..20_000 {
        fs::write(bench.path(&format!("build/{SPOOL_LOG}.{n}")), "").unwrap();
    }
    fs::write(bench.path("build/log"), "x".repeat(9000)).unwrap();
    bench.ship().stop();
    assert!(bench.gateway.has().end.is_some());
}

#[test]
fn a_build_that_says_its_end_itself_ends_its_own_log_and_nothing_else() {
    let bench = Bench::new();
    let base = bench.checkout();
    let mut build = bench.spool("build");
    build.write(b"before\n").unwrap();
    fs::write(bench.path("build/end"), "{\"bytes\":7}").unwrap();
    let running = bench.ship();
    bench.gateway.wait("end", |has| has.end.is_some());
    build.mark(MarkKind::Time).unwrap();
    build.write(b"after\n").unwrap();
    build.end().unwrap();
    running.stop();
    assert_eq!(bench.log(), format!("{base}before\n"));
}
