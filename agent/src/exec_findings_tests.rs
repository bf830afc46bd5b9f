//! What failing steps name: tests, files and lines.

use protocol::{ExitCode, ExitMeaning, Level, Pattern, Recipe};

use super::{
    tests::{Bench, recipe, step},
    *,
};

fn looking_for(patterns: &[Pattern], junit: &[&str], steps: Vec<Step>) -> Recipe {
    Recipe {
        tests: Tests {
            junit: junit.iter().map(|glob| (*glob).to_owned()).collect(),
            patterns: patterns.to_vec(),
        },
        ..recipe(steps)
    }
}

const PYTEST: &str = "mkdir -p tests; touch tests/test_a.py
echo '___________ test_x ___________'
echo 'E       assert 1 == 2'
echo 'tests/test_a.py:3: AssertionError'
echo 'FAILED tests/test_a.py::test_x - assert 1 == 2'";

#[test]
fn a_failing_step_names_its_tests_and_their_lines() {
    let mut bench = Bench::new();
    let script = format!("{PYTEST}; exit 1");
    let report = bench.run(looking_for(&[Pattern::Pytest], &[], vec![step(&script)]));
    assert_eq!(report.failures, ["tests/test_a.py::test_x"]);
    assert_eq!(report.failures_total, 1);
    let [annotation] = report.annotations.as_slice() else {
        panic!("{report:?}\n{}", bench.log())
    };
    assert_eq!(
        (annotation.path.as_str(), annotation.line),
        ("tests/test_a.py", 3)
    );
    assert_eq!(annotation.title.as_deref(), Some("test_x"));
    // What is read is also what is logged.
    let log = bench.log();
    assert!(log.contains("\nE       assert 1 == 2\n"), "{log}");
    assert!(
        log.contains("\n✕ tests/test_a.py::test_x\n✕ Failed in "),
        "{log}"
    );
}

#[test]
fn a_step_that_passed_has_no_failing_tests_whatever_it_prints() {
    let mut bench = Bench::new();
    let warned = ExitCode {
        code: 5,
        means: ExitMeaning::Warning,
    };
    let tolerated = Step {
        continue_on_error: true,
        ..step("echo 'FAILED b.py::test_y'; exit 1")
    };
    let script = format!("{PYTEST}; exit 5");
    let report = bench.run(Recipe {
        exit_codes: vec![warned],
        ..looking_for(
            &[Pattern::Pytest],
            &[],
            vec![step(PYTEST), step(&script), tolerated],
        )
    });
    assert_eq!(report.verdict, Verdict::Passed);
    assert_eq!(report.failures, ["b.py::test_y"]);
    assert_eq!(report.annotations, []);
}

#[test]
fn workflow_commands_annotate_in_every_step_and_relative_to_its_directory() {
    let mut bench = Bench::new();
    std::fs::create_dir(bench.path("src/sub")).unwrap();
    std::fs::write(bench.path("src/sub/a.c"), "").unwrap();
    let inside = Step {
        working_directory: Some("sub".into()),
        ..step("echo '::warning file=a.c,line=2,title=Look::unused%0Avariable'")
    };
    let failing = step("echo \"::error file=$PWD/sub/a.c,line=5::wrong\"; exit 1");
    let report = bench.run(recipe(vec![inside, failing]));
    let lines: Vec<(&str, i64, Level, &str)> = report
        .annotations
        .iter()
        .map(|one| (one.path.as_str(), one.line, one.level, one.message.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("sub/a.c", 2, Level::Warning, "unused\nvariable"),
            ("sub/a.c", 5, Level::Failure, "wrong"),
        ]
    );
    assert_eq!(report.failures, [] as [&str; 0]);
}

#[test]
fn junit_files_are_read_after_a_failure_and_name_no_test_twice() {
    let mut bench = Bench::new();
    let junit = "cat > out.xml <<'END'
<testsuite>
<testcase classname='tests.test_a' name='test_x'><failure message='1 is not 2'/></testcase>
<testcase classname='tests.test_b' name='test_z' file='tests/test_b.py' line='4'><error>no</error></testcase>
</testsuite>
END";
    let always = Step {
        run_if: Some(protocol::RunIf::Always),
        ..step(&format!("{junit}\ntouch tests/test_b.py"))
    };
    let script = format!("{PYTEST}; exit 1");
    let globs = ["*.xml", "none/*.xml"];
    let report = bench.run(looking_for(
        &[Pattern::Pytest],
        &globs,
        vec![step(&script), always],
    ));
    let names = ["tests/test_a.py::test_x", "tests.test_b::test_z"];
    assert_eq!(report.failures, names, "{}", bench.log());
    assert_eq!(report.annotations.len(), 2);
    assert!(
        bench
            .log()
            .contains("▲ JUnit: no file matches `none/*.xml`")
    );
}

#[test]
fn a_run_that_times_out_names_what_failed_before() {
    let mut bench = Bench::new();
    let slow = Step {
        timeout_minutes: Some(0.01),
        ..step("echo 'FAILED a.py::test_x'; sleep 60")
    };
    let report = bench.run(looking_for(&[Pattern::Pytest], &[], vec![slow]));
    assert_eq!(report.verdict, Verdict::TimedOut);
    assert_eq!(report.failures, ["a.py::test_x"]);
}

#[test]
fn a_line_of_fifty_megabytes_harms_nothing() {
    let mut bench = Bench::new();
    let script =
        "head -c 50000000 /dev/zero | tr '\\0' x; echo; echo 'FAILED a.py::test_x'; exit 1";
    let all = [
        Pattern::Regrtest,
        Pattern::Pytest,
        Pattern::Cargo,
        Pattern::Go,
        Pattern::Ctest,
    ];
    let report = bench.run(looking_for(&all, &[], vec![step(script)]));
    assert_eq!(report.failures, ["a.py::test_x"]);
    assert!(bench.executor.raw_log().len() > 50_000_000);
}
