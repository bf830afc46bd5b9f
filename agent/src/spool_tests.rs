//! What stays of a log, its marks, and a spool that a build attacks.

use std::{os::unix::fs::symlink, path::PathBuf};

use protocol::StepResult;

use super::*;
use crate::{log::Log, log::Sink, testing::Scratch};

const LIMITS: LogLimits = LogLimits {
    head: 100,
    tail: 40,
};

struct Bench {
    scratch: Scratch,
    directory: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let scratch = Scratch::new();
        let directory = scratch.path("spool");
        std::fs::create_dir(&directory).unwrap();
        Self { scratch, directory }
    }

    fn spool(&self) -> Spool {
        Spool::new(&self.directory, LIMITS).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn marks(&self) -> Vec<Mark> {
        let text = self.text(SPOOL_MARKS);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// A log into a file that is kept in the spool as well.
    fn log(&self) -> Log {
        let mut log = Log::to(File::create(self.scratch.path("stdout")).unwrap());
        log.keep_in(&self.directory, LIMITS);
        log
    }

    fn stdout(&self) -> String {
        std::fs::read_to_string(self.scratch.path("stdout")).unwrap()
    }
}

#[test]
fn what_fits_is_one_file() {
    let bench = Bench::new();
    let mut spool = bench.spool();
    spool.write(b"one\n").unwrap();
    spool.write(b"two\n").unwrap();
    spool.end().unwrap();
    assert_eq!(bench.text("log"), "one\ntwo\n");
    assert_eq!(bench.text("end"), r#"{"bytes":8}"#);
    assert_eq!(bench.names(), ["end", "log", "marks"]);
}

#[test]
fn of_a_long_log_the_beginning_and_the_last_pieces_stay() {
    let bench = Bench::new();
    let mut spool = bench.spool();
    let all: String = (0..1000).map(|n| format!("{n:06}\n")).collect();
    for part in all.as_bytes().chunks(33) {
        spool.write(part).unwrap();
    }
    assert_eq!(spool.printed, 7000);
    spool.end().unwrap();
    assert_eq!(bench.text("log"), all[..100]);
    let pieces = bench.names()[2..7].to_vec();
    assert_eq!(pieces.len() as u64, TAIL_PIECES + 1);
    let last = (7000 - 100) / piece_size(LIMITS);
    let expected: Vec<String> = (last - 4..=last).map(piece_name).collect();
    assert_eq!(pieces, expected);
    let tail: String = pieces.iter().map(|name| bench.text(name)).collect();
    assert!(tail.len() as u64 >= LIMITS.tail, "{tail}");
    assert!(all.ends_with(&tail), "{tail}");
}

#[test]
fn marks_say_where_steps_begin_and_a_second_of_output_has_one_time() {
    let bench = Bench::new();
    let mut spool = bench.spool();
    let name = "Test".to_owned();
    spool.mark(MarkKind::Step { n: 1, name }).unwrap();
    for _ in 0..50 {
        spool.write(b"a line\n").unwrap();
    }
    let (result, exit) = (StepResult::Failed, Some(1));
    spool.mark(MarkKind::End { n: 1, result, exit }).unwrap();
    let marks = bench.marks();
    let is_time = |mark: &&Mark| mark.what == MarkKind::Time;
    assert!(marks.iter().filter(is_time).count() <= 2, "{marks:?}");
    assert!(matches!(marks[0].what, MarkKind::Step { n: 1, .. }));
    assert_eq!((marks[0].at, marks.last().unwrap().at), (0, 350));
}

#[test]
fn time_marks_get_rarer_and_end_first() {
    let bench = Bench::new();
    let mut marks = bench.spool().marks;
    let mut now = 1_700_000_000_000;
    // A day of output.
    for _ in 0..24 * 3600 {
        now += 1000;
        if marks.is_time_due(now) {
            marks.write(u64::MAX, now, MarkKind::Time).unwrap();
        }
    }
    let times = bench.marks().len();
    assert!(times > 6000, "{times}");
    assert!(marks.used <= MARKS_LIMIT / 2, "{}", marks.used);
    let text = "x".repeat(60 << 10);
    for n in 0..40 {
        let text = text.clone();
        marks.write(0, now, MarkKind::Summary { n, text }).unwrap();
    }
    let name = "Last".to_owned();
    marks.write(0, now, MarkKind::Step { n: 41, name }).unwrap();
    let all = bench.marks();
    assert!(matches!(
        all.last().unwrap().what,
        MarkKind::Step { n: 41, .. }
    ));
    assert!(all.len() > times + 3, "no summary had room");
    assert!(bench.text(SPOOL_MARKS).len() as u64 <= MARKS_LIMIT);
}

#[test]
fn a_clock_that_is_set_back_gives_a_time_mark() {
    let bench = Bench::new();
    let mut marks = bench.spool().marks;
    marks.write(0, 1_700_000_000_000, MarkKind::Time).unwrap();
    assert!(!marks.is_time_due(1_700_000_000_999));
    assert!(marks.is_time_due(1_700_000_001_000));
    assert!(marks.is_time_due(1_600_000_000_000));
}

#[test]
fn a_summary_that_json_makes_long_still_fits_a_line() {
    let bench = Bench::new();
    let mut spool = bench.spool();
    for text in ["\0".repeat(64 << 10), "é\n".repeat(20 << 10)] {
        spool.mark(MarkKind::Summary { n: 1, text }).unwrap();
    }
    let marks = bench.text(SPOOL_MARKS);
    assert_eq!(bench.marks().len(), 2);
    assert!(
        marks
            .split_inclusive('\n')
            .all(|line| line.len() <= MARK_LINE_LIMIT)
    );
}

#[test]
fn links_that_wait_in_the_spool_are_replaced_and_not_followed() {
    let bench = Bench::new();
    let victim = bench.scratch.path("victim");
    std::fs::write(&victim, "keep").unwrap();
    for name in ["log", "log.1", "marks", "end"] {
        symlink(&victim, bench.path(name)).unwrap();
    }
    let mut spool = bench.spool();
    spool.write(&[b'x'; 105]).unwrap();
    spool.end().unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "keep");
    assert_eq!(bench.text("log.1"), "xxxxx");
    assert_eq!(bench.text("end"), r#"{"bytes":105}"#);
}

#[test]
fn a_build_that_removes_the_spool_or_scribbles_in_it_goes_on() {
    let bench = Bench::new();
    let mut log = bench.log();
    log.line("one");
    for name in bench.names() {
        std::fs::remove_file(bench.path(&name)).unwrap();
    }
    std::fs::write(bench.path("log"), "scribbled").unwrap();
    log.line("two");
    log.end();
    assert_eq!(bench.stdout(), "one\ntwo\n");
    assert_eq!(bench.text("log"), "scribbled");
}

#[test]
fn a_spool_that_cannot_be_written_is_told_once_and_the_log_goes_on() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path("log.1/full")).unwrap();
    let mut log = bench.log();
    log.push(&[b'x'; 150]);
    log.line("two");
    log.mark(MarkKind::Time);
    log.end();
    let stdout = bench.stdout();
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!((lines.len(), lines[0].len(), lines[2]), (3, 150, "two"));
    assert!(
        lines[1].starts_with("▲ the log is not kept from here on: the spool's file `log.1` "),
        "{stdout}"
    );
    assert!(!bench.path("end").exists());
}

#[test]
fn a_disk_that_is_full_is_told_once_and_the_log_goes_on() {
    let bench = Bench::new();
    let mut spool = bench.spool();
    // Every write to this device fails as on a full disk.
    spool.log = File::options().write(true).open("/dev/full").unwrap();
    let error = spool.write(b"one").unwrap_err().to_string();
    assert!(
        error.starts_with("the spool's file `log` cannot be written: "),
        "{error}"
    );
}

#[test]
fn a_spool_that_is_not_there_is_told_and_the_log_goes_on() {
    let bench = Bench::new();
    std::fs::remove_dir(&bench.directory).unwrap();
    let mut log = bench.log();
    log.line("one");
    assert!(bench.stdout().contains("spool` cannot be written"));
    assert!(bench.stdout().ends_with("\none\n"));
}
