//! What steps leave in the spool: their output and its marks.

use protocol::{
    RunIf,
    log::{Mark, SPOOL_LOG, SPOOL_MARKS, SUMMARY_LIMIT},
};

use super::{
    tests::{Bench, recipe, step},
    *,
};

/// An executor that keeps its log in a spool.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let spool = bench.executor.scratch().path("spool");
    std::fs::create_dir(&spool).unwrap();
    bench.executor.spool = Some(spool);
    bench
}

fn marks(bench: &Bench) -> Vec<Mark> {
    let text = String::from_utf8(spooled(bench, SPOOL_MARKS)).unwrap();
    let marks = text.lines().map(|line| serde_json::from_str(line).unwrap());
    marks
        .filter(|mark: &Mark| mark.what != MarkKind::Time)
        .collect()
}

fn spooled(bench: &Bench, name: &str) -> Vec<u8> {
    let spool = bench.executor.spool.as_ref().unwrap();
    std::fs::read(spool.join(name)).unwrap()
}

#[test]
fn the_spool_has_the_same_bytes_as_standard_output() {
    let mut bench = bench();
    bench.script("printf 'a\\0\\377b'; seq 5000; echo err >&2; exit 3");
    assert!(bench.log().contains("\n5000\n"));
    assert_eq!(spooled(&bench, SPOOL_LOG), bench.executor.raw_log());
}

#[test]
fn marks_say_which_lines_belong_to_which_step_and_how_it_ended() {
    let mut bench = bench();
    let named = |name: &str, run: &str| Step {
        name: Some(name.into()),
        ..step(run)
    };
    bench.run(recipe(vec![
        named("Good", "echo one"),
        named("Bad", "echo two; exit 7"),
        named("Skipped", "echo three"),
        Step {
            run_if: Some(RunIf::Always),
            ..named("Killed", "kill -9 $$")
        },
    ]));
    let (log, marks) = (bench.log(), marks(&bench));
    let ends: Vec<(u32, StepResult, Option<i32>)> = marks
        .iter()
        .filter_map(|mark| match mark.what {
            MarkKind::End { n, result, exit } => Some((n, result, exit)),
            _ => None,
        })
        .collect();
    assert_eq!(
        ends,
        [
            (1, StepResult::Passed, Some(0)),
            (2, StepResult::Failed, Some(7)),
            (3, StepResult::Skipped, None),
            (4, StepResult::Failed, None),
        ]
    );
    let range = |n: usize| &log[marks[2 * n].at as usize..marks[2 * n + 1].at as usize];
    assert!(range(0).starts_with("▶ Good\none\n● Good: passed"), "{log}");
    assert!(range(0).ends_with('\n'), "{log}");
    assert!(range(1).starts_with("▶ Bad\ntwo\n✕ Bad: failed"), "{log}");
    assert_eq!(range(2), "○ Skipped: skipped\n");
}

#[test]
fn what_a_step_wrote_to_its_summary_is_a_mark_between_its_begin_and_its_end() {
    let mut bench = bench();
    bench.run(recipe(vec![
        step("echo '# Züge' > $GITHUB_STEP_SUMMARY"),
        step("true"),
        step("head -c 200000 /dev/zero | tr '\\0' x > $GITHUB_STEP_SUMMARY"),
    ]));
    let marks = marks(&bench);
    let kinds: Vec<u32> = marks
        .iter()
        .map(|mark| match &mark.what {
            MarkKind::Step { n, .. } => *n,
            MarkKind::Summary { n, .. } => 10 + n,
            MarkKind::End { n, .. } => 20 + n,
            MarkKind::Time => 0,
        })
        .collect();
    assert_eq!(kinds, [1, 11, 21, 2, 22, 3, 13, 23]);
    assert!(matches!(&marks[1].what, MarkKind::Summary { text, .. } if text == "# Züge\n"));
    assert!(
        matches!(&marks[6].what, MarkKind::Summary { text, .. } if text.len() == SUMMARY_LIMIT)
    );
}

#[test]
fn a_summary_that_is_no_file_any_more_is_not_read_and_said() {
    let mut bench = bench();
    let secret = bench.path("secret");
    std::fs::write(&secret, "secret").unwrap();
    for attack in [
        format!("ln -sf {} $GITHUB_STEP_SUMMARY", secret.display()),
        "rm $GITHUB_STEP_SUMMARY; mkfifo $GITHUB_STEP_SUMMARY".into(),
        "rm $GITHUB_STEP_SUMMARY; mkdir $GITHUB_STEP_SUMMARY".into(),
        "truncate -s 1T $GITHUB_STEP_SUMMARY || rm $GITHUB_STEP_SUMMARY".into(),
    ] {
        let report = bench.script(&attack);
        assert_eq!(report.verdict, Verdict::Passed, "{attack}");
        let log = bench.log();
        assert!(
            log.contains("▲ GITHUB_STEP_SUMMARY is not taken: "),
            "{log}"
        );
        let is_summary = |mark: &Mark| matches!(mark.what, MarkKind::Summary { .. });
        assert!(!marks(&bench).iter().any(is_summary), "{attack}");
    }
}

#[test]
fn a_build_that_empties_the_spool_changes_nothing_about_its_result() {
    let mut bench = bench();
    let spool = bench.executor.spool.clone().unwrap();
    let script = format!(
        "rm -rf {0}/*; ln -s /dev/zero {0}/log; echo on",
        spool.display()
    );
    let report = bench.run(recipe(vec![step(&script), step("echo two")]));
    assert_eq!(report.verdict, Verdict::Passed);
    assert!(bench.log().contains("\ntwo\n"));
    assert!(!bench.log().contains('▲'), "{}", bench.log());
}
