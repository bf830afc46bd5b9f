use std::{collections::BTreeMap, io::Write, path::PathBuf};

use protocol::{ExitCode, ExitMeaning, Recipe, RunIf, Shell, Timeouts};

use super::*;
use crate::{os, testing, testing::Executor};

/// An executor with an empty checkout.
struct Bench {
    executor: Executor,
    root: PathBuf,
    image: Vars,
    grace: Duration,
}

impl Bench {
    fn new() -> Self {
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

    fn run(&mut self, recipe: Recipe) -> ExecReport {
        self.run_and(recipe, |_| {})
    }

    /// Runs a recipe while `beside` has what stops the executor.
    fn run_and(
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
    fn script(&mut self, script: &str) -> ExecReport {
        self.run(recipe(vec![step(script)]))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn log(&self) -> String {
        self.executor.log()
    }
}

fn step(script: &str) -> Step {
    Step {
        run: script.into(),
        ..Step::default()
    }
}

fn recipe(steps: Vec<Step>) -> Recipe {
    Recipe {
        steps,
        ..Recipe::default()
    }
}

fn results(report: &ExecReport) -> Vec<StepResult> {
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
fn a_step_that_spoils_the_search_path_harms_only_itself() {
    let mut bench = Bench::new();
    let report = bench.run(recipe(vec![
        step("echo PATH=/nowhere >> $GITHUB_ENV; rm -rf $RUNNER_TEMP"),
        step("echo still here"),
    ]));
    // The first one removed its own script's directory, and that is said.
    assert_eq!(report.verdict, Verdict::Passed, "{}", bench.log());
    assert!(bench.log().contains("still here"));
    assert!(
        bench
            .log()
            .contains("▲ GITHUB_ENV is not taken: its directory was removed")
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
fn a_step_that_takes_longer_than_its_own_limit_is_stopped() {
    let mut bench = Bench::new();
    let slow = Step {
        timeout_minutes: Some(0.2 / 60.0),
        ..step("echo begun; sleep 1000")
    };
    let always = Step {
        run_if: Some(RunIf::Always),
        ..step("echo never")
    };
    let report = bench.run(recipe(vec![slow, always]));
    assert_eq!((report.verdict, report.exit_code), (Verdict::TimedOut, 124));
    assert_eq!(
        results(&report),
        [StepResult::TimedOut, StepResult::Skipped]
    );
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
        ..step("sleep 1000")
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
        (100, 1, "echo begun; sleep 1000", "printed nothing for 1 s"),
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
        ..step("trap 'echo tidied; exit 0' TERM; echo begun; sleep 1000 & wait")
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
time.sleep(1000)
";

#[test]
fn daemons_are_gone_after_the_step_that_started_them() {
    let mut bench = Bench::new();
    std::fs::write(bench.path("src/daemon.py"), DAEMON).unwrap();
    let wait = "while ! [ -s pid ]; do sleep 0.01; done; echo the daemon is up";
    let report = bench.script(&format!("python3 daemon.py pid\n{wait}\nsleep 1000 &\n"));
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
        "tree() { [ $1 = 0 ] && exec sleep 1000; tree $(($1 - 1)) & tree $(($1 - 1)) & wait; }";
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
    let steps = vec![step("(sleep 1000 &); touch begun; sleep 1000"), always];
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

#[test]
fn a_run_without_its_directories_is_our_error() {
    let mut bench = Bench::new();
    std::fs::remove_dir(bench.path("src")).unwrap();
    let report = bench.script("true");
    assert_eq!(report.verdict, Verdict::Error);
    assert!(
        report
            .reason
            .unwrap()
            .contains("build/src` of the run is not usable")
    );
}

#[test]
fn a_checkout_that_a_step_moved_away_fails_the_next_step() {
    let mut bench = Bench::new();
    let report = bench.run(recipe(vec![
        step("cd ..; mv src gone; ln -s / src"),
        step("touch evil"),
    ]));
    assert_eq!(report.verdict, Verdict::Failed);
    let reason =
        "the step `touch evil` could not begin: the checkout was moved away by a step before";
    assert_eq!(report.reason.as_deref(), Some(reason));
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
