//! What test programs really print, from `fixtures/`, and the tests that are found in it.

use super::*;
use crate::{checkout_path::Place, findings::Draft};

/// What a pattern finds in an output.
fn found(pattern: Pattern, output: &[u8]) -> Found {
    let mut scanner = Scanner::new(&[pattern]);
    for piece in output.chunks(1000) {
        scanner.feed(piece);
    }
    let is_it = |(origin, found)| (origin == Origin::Pattern(pattern)).then_some(found);
    scanner.end().into_iter().find_map(is_it).unwrap()
}

/// As an output names it: file, line, title, first line of the message.
fn place(draft: &Draft) -> (&str, i64, &str, &str) {
    let path = match &draft.place {
        Place::Given(path) | Place::Seen(path) => path,
        Place::Go { file, .. } => file,
    };
    let message = draft.message.lines().next().unwrap_or_default();
    (path, draft.line, &draft.title, message)
}

fn places(found: &Found) -> Vec<(&str, i64, &str, &str)> {
    found.drafts().iter().map(place).collect()
}

#[test]
fn unittest_names_each_failing_test_once_and_where_it_broke_off() {
    let found = found(
        Pattern::Unittest,
        include_bytes!("../fixtures/unittest.txt"),
    );
    assert_eq!(
        found.names(),
        [
            "test_sample.Broken.setUpClass",
            "test_sample.Numbers.test_raises",
            "test_missing",
            "test_sample.Numbers.test_equal",
            "test_sample.Numbers.test_helper",
            "test_sample.Numbers.test_parts",
            "test_sample.Numbers.test_surprise",
        ]
    );
    let sample = "/build/src/test_sample.py";
    let places = places(&found);
    assert_eq!(
        places[3],
        (
            sample,
            8,
            "test_sample.Numbers.test_equal",
            "AssertionError: 1 != 2"
        )
    );
    let helper = "AssertionError: value is not two";
    assert_eq!(
        places[4],
        (sample, 12, "test_sample.Numbers.test_helper", helper)
    );
    assert_eq!(places[2].0, "/build/src/test_missing.py");
    assert_eq!(
        places[2].3,
        "ModuleNotFoundError: No module named 'nothing_of_that_name'"
    );
}

#[test]
fn unittest_names_tests_as_older_pythons_do() {
    let rules = ("=".repeat(70), "-".repeat(70));
    let output = format!(
        "{}\nERROR: test_it (pkg.mod.Case)\n{}\nTraceback (most recent call last):\n",
        rules.0, rules.1
    );
    assert_eq!(
        found(Pattern::Unittest, output.as_bytes()).names(),
        ["pkg.mod.Case.test_it"]
    );
    let log = b"ERROR: cannot connect (host)\nFAIL: no\n";
    assert!(found(Pattern::Unittest, log).names().is_empty());
}

#[test]
fn regrtest_names_what_failed_in_the_end() {
    for output in [
        &include_bytes!("../fixtures/regrtest-3.13.txt")[..],
        include_bytes!("../fixtures/regrtest-3.9.txt"),
    ] {
        let found = found(Pattern::Regrtest, output);
        let names: Vec<&str> = found.names().iter().map(String::as_str).collect();
        assert_eq!(names[0], "test_broken.Broken.test_two", "{names:?}");
        assert_eq!(
            names.last(),
            Some(&"test_broken.Broken.test_one"),
            "{names:?}"
        );
        // Python 3.9 took a crash in the second run for a success.
        let crash = names.contains(&"test_crash");
        assert_eq!(crash, output.starts_with(b"Using random seed"));
        assert_eq!(places(&found)[0].1, 6);
    }
}

#[test]
fn a_test_of_regrtest_that_passed_when_run_again_has_not_failed() {
    for output in [
        &include_bytes!("../fixtures/regrtest-flaky-3.13.txt")[..],
        include_bytes!("../fixtures/regrtest-flaky-3.9.txt"),
    ] {
        let found = found(Pattern::Regrtest, output);
        assert_eq!(found.names(), [] as [&str; 0]);
        assert!(found.drafts().is_empty());
    }
}

#[test]
fn regrtest_that_was_stopped_before_its_summary_names_what_failed_so_far() {
    let output = include_str!("../fixtures/regrtest-3.13.txt");
    let (first, _) = output.split_once("== Tests result").unwrap();
    let found = found(Pattern::Regrtest, first.as_bytes());
    assert_eq!(
        found.names(),
        [
            "test_flaky.Flaky.test_second_time",
            "test_broken.Broken.test_two",
            "test_broken.Broken.test_one",
            "test_crash",
        ]
    );
}

#[test]
fn regrtest_whose_tests_altered_the_environment_names_them() {
    let output = b"== Tests result: ENV CHANGED ==\n\n1 test altered the execution environment (env changed):\n    test_ssl\n\n12 tests OK.\n";
    assert_eq!(found(Pattern::Regrtest, output).names(), ["test_ssl"]);
    let output = b"== Tests result: FAILURE ==\n\n25 tests failed:\n    test_a test.test_asyncio.test_b\n    test_c\n\n2 tests skipped:\n    test_d\n";
    let expected = ["test_a", "test.test_asyncio.test_b", "test_c"];
    assert_eq!(found(Pattern::Regrtest, output).names(), expected);
}

#[test]
fn a_file_in_which_all_fails_hides_no_other_file() {
    let rule = "=".repeat(70);
    let mut output = String::new();
    for case in [
        "test_a.T.one",
        "test_a.T.two",
        "test_a.T.three",
        "test_b.T.one",
    ] {
        let method = case.rsplit('.').next().unwrap();
        output += &format!("{rule}\nFAIL: {method} (test.{case})\n");
    }
    output +=
        &format!("{rule}\n\n== Tests result: FAILURE ==\n\n2 tests failed:\n    test_a test_b\n");
    let names = [
        "test.test_a.T.one",
        "test.test_b.T.one",
        "test.test_a.T.two",
    ];
    assert_eq!(
        found(Pattern::Regrtest, output.as_bytes()).names()[..3],
        names
    );
}

#[test]
fn pytest_names_tests_with_their_parameters_in_every_style() {
    let missing = "test_missing.py";
    for (output, has_missing) in [
        (&include_bytes!("../fixtures/pytest.txt")[..], true),
        (include_bytes!("../fixtures/pytest-color.txt"), true),
        (include_bytes!("../fixtures/pytest-short.txt"), false),
    ] {
        let found = found(Pattern::Pytest, output);
        let mut names = vec![
            "test_pytest_sample.py::TestNumbers::test_equal",
            "test_pytest_sample.py::test_text[a - b]",
            "test_pytest_sample.py::test_text[c d]",
            "test_pytest_sample.py::test_port",
        ];
        if has_missing {
            names.insert(3, missing);
        }
        assert_eq!(found.names(), names);
        let sample = "test_pytest_sample.py";
        let expected = (sample, 8, "TestNumbers.test_equal", "assert 1 == 2");
        assert!(places(&found).contains(&expected), "{:?}", places(&found));
        let text = (
            sample,
            4,
            "test_text[a - b]",
            "AssertionError: assert 'a - b' == 2",
        );
        assert!(places(&found).contains(&text), "{:?}", places(&found));
    }
}

#[test]
fn lines_of_a_log_are_no_failures_of_pytest() {
    let output =
        b"ERROR connection refused\nFAILED to start\n===== test session starts =====\nERROR x::y\n";
    assert!(found(Pattern::Pytest, output).names().is_empty());
}

#[test]
fn cargo_names_tests_and_where_they_panicked() {
    let found = found(Pattern::Cargo, include_bytes!("../fixtures/cargo.txt"));
    assert_eq!(
        found.names(),
        [
            "tests::it_does_not_panic",
            "tests::it_gives_an_error",
            "tests::numbers_are_equal",
            "src/lib.rs - two (line 3)",
        ]
    );
    let message = "assertion `left == right` failed";
    assert_eq!(
        places(&found),
        [("src/lib.rs", 14, "tests::numbers_are_equal", message)]
    );
    assert_eq!(
        found.drafts()[0].message,
        format!("{message}\n  left: 2\n right: 3")
    );
}

#[test]
fn panics_of_older_compilers_are_read_and_expected_ones_left_out() {
    let output = b"thread 'a' panicked at 'it, is', src/a.rs:1:5\nthread 'b' panicked at src/b.rs:2:5:\nyes\ntest a ... FAILED\ntest b ... ok\n";
    let found = found(Pattern::Cargo, output);
    assert_eq!(places(&found), [("src/a.rs", 1, "a", "it, is")]);
}

#[test]
fn go_names_the_innermost_tests_and_their_lines() {
    for output in [
        &include_bytes!("../fixtures/go.txt")[..],
        include_bytes!("../fixtures/go-v.txt"),
    ] {
        let found = found(Pattern::Go, output);
        let names = [
            "TestRoot",
            "example.org/demo/bad [build failed]",
            "TestEqual",
            "TestParts/two",
        ];
        assert_eq!(found.names(), names);
        let expected = [
            ("root_test.go", 4, "TestRoot", "got 1, want 2"),
            ("numbers_test.go", 4, "TestEqual", "got 1, want 2"),
            ("numbers_test.go", 8, "TestParts/two", "two is"),
        ];
        assert_eq!(places(&found), expected);
        let place = Place::Go {
            package: "example.org/demo/sub".into(),
            file: "numbers_test.go".into(),
        };
        assert_eq!(found.drafts()[1].place, place);
    }
}

#[test]
fn two_go_tests_of_one_name_are_told_apart_by_their_packages() {
    let one = "--- FAIL: TestX (0.00s)\nFAIL\texample.org/a\t0.1s\n";
    let output = one.to_owned() + &one.replace("/a", "/b") + one;
    let names = ["TestX", "example.org/b.TestX"];
    assert_eq!(found(Pattern::Go, output.as_bytes()).names(), names);
}

#[test]
fn ctest_names_what_its_list_of_failures_names() {
    let found = found(Pattern::Ctest, include_bytes!("../fixtures/ctest.txt"));
    assert_eq!(found.names(), ["numbers", "slow", "gone", "crash"]);
    let output = b"The following tests FAILED:\n\t 3 - a (b) c (Timeout)     big net\n\t12 - d (SEGFAULT)\n\n\t13 - e (Failed)\n";
    assert_eq!(
        super::tests::found(Pattern::Ctest, output).names(),
        ["a (b) c", "d"]
    );
}

#[test]
fn only_the_programs_that_a_builder_names_are_read() {
    let mut scanner = Scanner::new(&[Pattern::Unknown, Pattern::Go, Pattern::Go]);
    scanner.feed(include_bytes!("../fixtures/cargo.txt"));
    let origins: Vec<Origin> = scanner
        .end()
        .into_iter()
        .map(|(origin, _)| origin)
        .collect();
    assert_eq!(origins, [Origin::Command, Origin::Pattern(Pattern::Go)]);
}

const ALL: [Pattern; 6] = [
    Pattern::Regrtest,
    Pattern::Unittest,
    Pattern::Pytest,
    Pattern::Cargo,
    Pattern::Go,
    Pattern::Ctest,
];

#[test]
fn a_flood_of_failures_is_counted_up_to_a_limit_in_bounded_time() {
    let rule = "=".repeat(70);
    for pattern in ALL {
        let mut scanner = Scanner::new(&[pattern]);
        if pattern == Pattern::Ctest {
            scanner.feed(b"The following tests FAILED:\n");
        }
        for number in 0..30_000 {
            let line = match pattern {
                Pattern::Pytest => format!("FAILED a.py::test_{number} - no\n"),
                Pattern::Cargo => {
                    format!("thread 't{number}' panicked at a.rs:1:1:\ntest t{number} ... FAILED\n")
                }
                Pattern::Go => format!("--- FAIL: Test{number} (0.00s)\n    a.go:1: no\n"),
                Pattern::Ctest => format!("\t{number} - t{number} (Failed)\n"),
                _ => format!("{rule}\nFAIL: test_{number} (a.T.test_{number})\n"),
            };
            scanner.feed(line.as_bytes());
        }
        let (_, found) = scanner.end().pop().unwrap();
        assert_eq!(
            found.names().len(),
            protocol::FAILURES_COUNTED,
            "{pattern:?}"
        );
    }
}

#[test]
fn random_bytes_harm_nothing() {
    let mut seed = 1u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let pieces: [&[u8]; 16] = [
        b"FAIL: ",
        b"test ",
        b"::error file=",
        b"::",
        b"\n",
        b"    ",
        b"--- FAIL: ",
        b"panicked at '",
        b"thread '",
        b"FAILED a::b[",
        b" - ",
        b"2 tests failed:\n",
        b"== Tests result: ",
        b"\x1b[",
        b"1 - (",
        b"\xff:9:",
    ];
    for _ in 0..50 {
        let mut scanner = Scanner::new(&ALL);
        for _ in 0..2000 {
            let random = next();
            scanner.feed(pieces[(random % 16) as usize]);
            scanner.feed(&random.to_le_bytes()[..(random % 7) as usize]);
        }
        scanner.end();
    }
}
