//! What a step or an image spoils: directories, search paths, shells. Whose fault that is decides between failed and error.

use protocol::Shell;

use super::{
    tests::{Bench, recipe, results, step},
    *,
};
use crate::testing;

#[test]
fn a_step_that_cannot_be_run_is_in_the_report_at_its_place() {
    let mut bench = Bench::new();
    // A file that is none of a program for this machine.
    let bin = bench.path("bin");
    testing::run_beside(std::process::Command::new("mkdir").arg(&bin));
    let made = ["-m", "755", "/dev/null"];
    let mut install = std::process::Command::new("install");
    testing::run_beside(install.args(made).arg(bin.join("python")));
    bench.image.insert("PATH".into(), bin.into());
    let python = Step {
        shell: Some(Shell::Python),
        ..step("x")
    };
    let report = bench.run(recipe(vec![step("true"), python, step("true")]));
    assert_eq!(report.verdict, Verdict::Error, "{report:?}");
    assert!(
        report
            .reason
            .as_ref()
            .unwrap()
            .contains("could not be started")
    );
    assert_eq!(
        results(&report),
        [StepResult::Passed, StepResult::Failed, StepResult::Skipped]
    );
}

#[test]
fn a_shell_that_a_step_put_in_the_place_of_the_images_is_no_error_of_ours() {
    let mut bench = Bench::new();
    let spoil = "mkdir bin; install -m 755 /dev/null bin/bash; echo $PWD/bin >> $GITHUB_PATH";
    let report = bench.run(recipe(vec![step(spoil), step("true")]));
    assert_eq!(report.verdict, Verdict::Failed, "{report:?}");
    assert!(report.reason.unwrap().contains("its shell did not start"));
}

#[cfg(unix)]
#[test]
fn a_machine_that_is_full_is_not_put_down_to_a_step_that_chose_a_shell() {
    let full = |number: rustix::io::Errno| is_full(&number.into());
    assert!(full(rustix::io::Errno::AGAIN) && full(rustix::io::Errno::NOMEM));
    assert!(!full(rustix::io::Errno::NOEXEC));
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
fn a_build_that_spoils_its_directories_fails_and_is_no_error_of_ours() {
    for spoil in [
        "rm -r $RUNNER_TEMP; touch $RUNNER_TEMP",
        "rm -r $RUNNER_TEMP; ln -s loop $RUNNER_TEMP",
        "rm -r $RUNNER_TEMP; ln -s /sys $RUNNER_TEMP",
    ] {
        let mut bench = Bench::new();
        let report = bench.run(recipe(vec![step(spoil), step("true")]));
        assert_eq!(report.verdict, Verdict::Failed, "{spoil}: {report:?}");
        let reason = report.reason.unwrap();
        assert!(
            reason.contains("RUNNER_TEMP is not usable any more"),
            "{reason}"
        );
    }
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
