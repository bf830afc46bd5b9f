//! Recipes that run: order, shells, environment, directories, and what their ends mean.

use std::{collections::BTreeMap, path::PathBuf};

use protocol::{ExitCode, ExitMeaning, Recipe, RunIf, Shell};

use super::*;
use crate::{os, testing, testing::Executor};

/// An executor with an empty checkout.
pub(super) struct Bench {
    pub executor: Executor,
    pub root: PathBuf,
    pub image: Vars,
    pub grace: Duration,
}

impl Bench {
    pub fn new() -> Self {
        let executor = Executor::new();
        let root = executor.scratch().path("build");
        std::fs::create_dir(&root).unwrap();
        Places::make(&root).unwrap();
        Self {
            executor,
            root,
            image: [("PATH".into(), std::env::var_os("PATH").unwrap())].into(),
            grace: Duration::from_millis(200),
        }
    }

    pub fn run(&mut self, recipe: Recipe) -> ExecReport {
        self.run_and(recipe, |_| {})
    }

    /// Runs a recipe while `beside` has what stops the executor.
    pub fn run_and(
        &mut self,
        recipe: Recipe,
        beside: impl FnOnce(std::os::unix::net::UnixStream) + Send,
    ) -> ExecReport {
        let work = Work {
            source: testing::source("http://127.0.0.1/a/b.git", &"a".repeat(40)),
            recipe,
        };
        let (root, image, grace) = (self.root.clone(), self.image.clone(), self.grace);
        let (signals, mut log, stop) = self.executor.parts();
        let report = std::thread::scope(|scope| {
            scope.spawn(|| beside(stop));
            super::run(&work, &root, image, grace, signals, &mut log)
        });
        assert_eq!(os::descendants().unwrap(), [], "processes are left");
        report
    }

    /// Runs one step with the default limits.
    pub fn script(&mut self, script: &str) -> ExecReport {
        self.run(recipe(vec![step(script)]))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn log(&self) -> String {
        self.executor.log()
    }
}

pub(super) fn step(script: &str) -> Step {
    Step {
        run: script.into(),
        ..Step::default()
    }
}

pub(super) fn recipe(steps: Vec<Step>) -> Recipe {
    Recipe {
        steps,
        ..Recipe::default()
    }
}

pub(super) fn results(report: &ExecReport) -> Vec<StepResult> {
    report.steps.iter().map(|step| step.result).collect()
}

#[test]
fn steps_run_in_order_and_their_output_is_the_log() {
    let mut bench = Bench::new();
    let report = bench.run(recipe(vec![
        step("echo one; echo two >&2"),
        step("printf three"),
    ]));
    assert_eq!((report.verdict, report.exit_code), (Verdict::Passed, 0));
    assert_eq!(report.reason, None);
    let log = bench.log();
    let lines: Vec<&str> = log
        .lines()
        .map(|line| line.split(" after ").next().unwrap())
        .collect();
    assert_eq!(
        lines[..7],
        [
            "octo/demo at aaaaaaaaaa",
            "▶ echo one; echo two >&2",
            "one",
            "two",
            "● echo one; echo two >&2: passed",
            "▶ printf three",
            "three",
        ]
    );
    assert!(
        log.trim_end()
            .lines()
            .last()
            .unwrap()
            .starts_with("● Passed in "),
        "{log}"
    );
}

#[test]
fn a_failing_step_stops_the_build_but_not_what_runs_always() {
    let mut bench = Bench::new();
    let with = |script: &str, run_if| Step {
        run_if: Some(run_if),
        ..step(script)
    };
    let report = bench.run(recipe(vec![
        step("exit 3"),
        step("echo never"),
        with("echo after failure", RunIf::Failure),
        with("echo at the end", RunIf::Always),
    ]));
    assert_eq!((report.verdict, report.exit_code), (Verdict::Failed, 3));
    assert_eq!(
        report.reason.as_deref(),
        Some("the step `exit 3` ended with exit code 3")
    );
    let [failed, skipped, passed] = [StepResult::Failed, StepResult::Skipped, StepResult::Passed];
    assert_eq!(results(&report), [failed, skipped, passed, passed]);
    assert!(bench.log().contains("\nat the end\n"));
    assert!(!bench.log().contains("\nnever\n"));
}

#[test]
fn a_step_that_may_fail_fails_nothing() {
    let mut bench = Bench::new();
    let may = Step {
        continue_on_error: true,
        ..step("exit 3")
    };
    let report = bench.run(recipe(vec![may, step("true")]));
    assert_eq!(report.verdict, Verdict::Passed);
    assert_eq!(
        results(&report),
        [StepResult::Tolerated, StepResult::Passed]
    );
}

#[test]
fn a_mapped_exit_code_passes_with_a_warning() {
    let mut bench = Bench::new();
    let exit_codes = vec![ExitCode {
        code: 5,
        means: ExitMeaning::Warning,
    }];
    let report = bench.run(Recipe {
        exit_codes,
        ..recipe(vec![step("exit 5"), step("true")])
    });
    assert_eq!(
        (report.verdict, report.exit_code, report.warning),
        (Verdict::Passed, 0, true)
    );
    assert_eq!(results(&report), [StepResult::Warning, StepResult::Passed]);
    assert_eq!(report.steps[0].exit_code, Some(5));
}

#[test]
fn shells_are_strict_as_on_github_actions() {
    let mut bench = Bench::new();
    let with = |shell, script: &str| Step {
        shell,
        continue_on_error: true,
        ..step(script)
    };
    let report = bench.run(recipe(vec![
        with(None, "false; exit 0"),
        with(None, "false | true"),
        with(Some(Shell::Bash), "false | true"),
        with(Some(Shell::Sh), "false; exit 0"),
        with(Some(Shell::Python), "import sys; sys.exit(7)"),
        with(None, "kill -9 $$"),
    ]));
    let codes: Vec<Option<i32>> = report.steps.iter().map(|step| step.exit_code).collect();
    assert_eq!(
        codes,
        [Some(1), Some(0), Some(1), Some(1), Some(7), None],
        "{}",
        bench.log()
    );
}

#[test]
fn an_image_without_the_shell_is_our_error_and_named() {
    let mut bench = Bench::new();
    bench.image.insert("PATH".into(), "/nowhere".into());
    let python = Step {
        shell: Some(Shell::Python),
        ..step("x")
    };
    let report = bench.run(recipe(vec![python, step("true")]));
    // Where the machine has a python in the default path, the script `x` fails instead.
    if os::find_program("python3", os::DEFAULT_PATH.as_ref()).is_none() {
        assert_eq!((report.verdict, report.exit_code), (Verdict::Error, 125));
        let reason = "the image has no `python3` to run the step with";
        assert_eq!(report.reason.as_deref(), Some(reason));
    }
    assert_eq!(report.steps.last().unwrap().result, StepResult::Skipped);
}

#[test]
fn a_step_sees_the_run_and_nothing_of_the_executor() {
    let mut bench = Bench::new();
    let workspace = bench.path("src");
    let with_env = Step {
        env: BTreeMap::from([("MINE".into(), "a b".into())]),
        working_directory: Some("sub".into()),
        ..step("env; pwd; cat; echo \"HOME=$(cd && pwd)\"")
    };
    std::fs::create_dir(workspace.join("sub")).unwrap();
    let report = bench.run(recipe(vec![with_env]));
    assert_eq!(report.verdict, Verdict::Passed, "{}", bench.log());
    let log = bench.log();
    for line in [
        "CI=true".to_owned(),
        "MINE=a b".to_owned(),
        format!("GITHUB_SHA={}", "a".repeat(40)),
        format!("GITHUB_WORKSPACE={}", workspace.display()),
        format!("RUNNER_TEMP={}", bench.path("tmp").display()),
        format!("HOME={}", bench.path("home").display()),
        workspace.join("sub").display().to_string(),
    ] {
        assert!(
            log.contains(&format!("\n{line}\n")),
            "{line} is not in {log}"
        );
    }
    assert!(
        !log.contains("GITHUB_ACTIONS") && !log.contains("CARGO"),
        "{log}"
    );
}

#[test]
fn a_step_hands_variables_and_paths_to_later_steps() {
    let mut bench = Bench::new();
    let report = bench.run(recipe(vec![
        step(
            "echo A=1 >> $GITHUB_ENV; printf 'B<<E\\nx\\ny\\nE\\n' >> $GITHUB_ENV
             mkdir bin; printf '#!/bin/sh\\necho found\\n' > bin/mytool; chmod +x bin/mytool
             echo $PWD/bin >> $GITHUB_PATH; echo '# hi' >> $GITHUB_STEP_SUMMARY; echo o=1 >> $GITHUB_OUTPUT",
        ),
        step("echo \"$A-$B\" | tr '\\n' ' '; mytool; echo broken >> $GITHUB_ENV"),
        step("echo \"A is $A\"; ls -A $RUNNER_TEMP | wc -l"),
    ]));
    assert_eq!(report.verdict, Verdict::Passed, "{}", bench.log());
    let log = bench.log();
    assert!(log.contains("1-x y") && log.contains("found"), "{log}");
    assert!(
        log.contains("▲ GITHUB_ENV is not taken: line 1 is neither"),
        "{log}"
    );
    assert!(log.contains("A is 1"), "{log}");
    assert_eq!(
        std::fs::read_dir(bench.path("tmp")).unwrap().count(),
        0,
        "step files are left"
    );
}

#[test]
fn a_working_directory_outside_of_the_checkout_fails_the_step() {
    let mut bench = Bench::new();
    let at = |directory: &str| Step {
        working_directory: Some(directory.into()),
        continue_on_error: true,
        ..step("echo ran in $PWD")
    };
    let link = step("ln -s / out; ln -s ../.. up; mkdir in");
    let report = bench.run(recipe(vec![
        link,
        at("out"),
        at("up"),
        at(".."),
        at("none"),
        at("in"),
    ]));
    let [passed, tolerated] = [StepResult::Passed, StepResult::Tolerated];
    let expected = [passed, tolerated, tolerated, tolerated, tolerated, passed];
    assert_eq!(results(&report), expected, "{}", bench.log());
    assert!(
        bench
            .log()
            .contains("(the directory `out` is outside of the checkout)")
    );
    assert_eq!(bench.log().matches("\nran in").count(), 1);
}

#[test]
fn output_passes_through_byte_by_byte_however_long_a_line_is() {
    let mut bench = Bench::new();
    let report = bench.script("head -c 9000000 /dev/zero | tr '\\0' x; printf 'a\\0b\\377\\rc'");
    assert_eq!(report.verdict, Verdict::Passed);
    let log = bench.executor.raw_log();
    let xs = log
        .split(|byte| *byte != b'x')
        .map(<[u8]>::len)
        .max()
        .unwrap();
    assert_eq!(xs, 9_000_000);
    assert!(log.windows(7).any(|bytes| bytes == b"a\0b\xff\rc\n"));
}
