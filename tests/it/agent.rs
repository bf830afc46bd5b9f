//! `prbuild-agent` as a program: its exit codes, its messages, its signals.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use protocol::{
    CheckoutReport, ExecReport, Level, MESSAGE_LIMIT, Parse, Pattern, Recipe, Source, Step, Tests,
    Verdict, Work,
};
use tests::cluster::Binary;

/// A directory of a run, gone after the test.
pub(super) struct Run {
    pub root: PathBuf,
}

impl Run {
    pub fn new(name: &str) -> Self {
        let root =
            std::env::temp_dir().join(format!("prbuild-it-agent-{}-{name}", std::process::id()));
        for directory in ["src", "tmp", "home"] {
            std::fs::create_dir_all(root.join(directory)).expect("a directory for the run");
        }
        Self { root }
    }

    fn message(&self) -> PathBuf {
        self.root.join("message")
    }

    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(Binary::Agent.path().unwrap());
        command
            .arg(name)
            .arg("--dir")
            .arg(&self.root)
            .arg("--message")
            .arg(self.message());
        command
            .env_remove("PRBUILD_WORK")
            .env_remove("PRBUILD_SOURCE");
        command
    }

    fn exec(&self, script: &str) -> Command {
        self.exec_looking(script, Tests::default())
    }

    /// Runs a script and looks for failing tests.
    fn exec_looking(&self, script: &str, tests: Tests) -> Command {
        let step = Step {
            run: script.into(),
            ..Step::default()
        };
        let work = Work {
            source: source(),
            recipe: Recipe {
                steps: vec![step],
                tests,
                ..Recipe::default()
            },
        };
        let mut command = self.command("exec");
        command.env("PRBUILD_WORK", serde_json::to_string(&work).expect("JSON"));
        command
    }

    fn report(&self) -> ExecReport {
        let text = std::fs::read_to_string(self.message()).expect("a message");
        ExecReport::parse(&text).expect("a valid message")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.root).expect("the run's directory");
    }
}

pub(super) fn source() -> Source {
    Source {
        repository_id: 1,
        repository: "octo/demo".into(),
        clone_url: "https://github.invalid/octo/demo.git".into(),
        pull_request: 7,
        commit: "a".repeat(40),
        parents: Vec::new(),
        tree: None,
        head_sha: "a".repeat(40),
        base_ref: "main".into(),
    }
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the agent runs")
}

#[test]
fn the_exit_code_of_the_executor_is_the_steps_and_the_message_is_its_own() {
    let run = Run::new("codes");
    for (script, code, verdict) in [
        ("true", 0, Verdict::Passed),
        ("exit 7", 7, Verdict::Failed),
        ("kill -11 $$", 139, Verdict::Failed),
        (
            "echo '{\"verdict\":\"Passed\",\"exitCode\":0}' > ../message; exit 7",
            7,
            Verdict::Failed,
        ),
        (
            "rm -f ../message; ln -s src ../message; exit 7",
            7,
            Verdict::Failed,
        ),
    ] {
        let done = output(&mut run.exec(script));
        assert_eq!(done.status.code(), Some(code), "{script}");
        assert_eq!(run.report().verdict, verdict, "{script}");
        assert!(
            std::fs::symlink_metadata(run.message())
                .expect("a message")
                .is_file(),
            "{script}"
        );
    }
}

#[test]
fn a_build_that_fails_says_which_tests_and_on_which_lines_within_one_message() {
    let run = Run::new("findings");
    let script = r#"mkdir tests; touch tests/test_a.py a.c
        for n in $(seq 100); do
            echo "FAILED tests/test_a.py::test_with_quite_a_long_name_$n - assert 1 == 2"
            echo "::warning file=a.c,line=$n,title=Unused::the variable v$n is not used"
        done
        printf '[31m::error file=tests/test_a.py,line=3::wrong%%0Aat all[0m
'
        echo '<testcase classname="tests.test_b" name="test_z" file="a.c" line="200"><failure/></testcase>' > out.xml
        head -c 20000000 /dev/zero
        mkfifo pipe.xml; ln -s / up; ln -s /dev/zero zero.xml; truncate -s 1T hole.xml
        exit 1"#;
    let tests = Tests {
        junit: vec!["*.xml".into(), "up/**/*.xml".into()],
        patterns: vec![Pattern::Pytest],
    };
    let done = output(&mut run.exec_looking(script, tests));
    assert_eq!(done.status.code(), Some(1));
    let message = std::fs::read(run.message()).expect("a message");
    assert!(message.len() <= MESSAGE_LIMIT, "{} bytes", message.len());
    let report = run.report();
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(report.failures_total, 101);
    assert!(report.failures.len() >= 15, "{:?}", report.failures);
    assert_eq!(
        report.failures[0],
        "tests/test_a.py::test_with_quite_a_long_name_1"
    );
    let worst: Vec<(&str, i64)> = report
        .annotations
        .iter()
        .filter(|annotation| annotation.level == Level::Failure)
        .map(|annotation| (annotation.path.as_str(), annotation.line))
        .collect();
    assert_eq!(worst, [("tests/test_a.py", 3), ("a.c", 200)]);
    assert!(report.annotations.len() > 5, "{:?}", report.annotations);
    let log = String::from_utf8_lossy(&done.stdout);
    assert!(
        log.contains("▲ JUnit: `hole.xml` is not read"),
        "no word of the hole"
    );
}

#[test]
fn an_executor_that_is_stopped_leaves_a_message_and_no_process() {
    let run = Run::new("stop");
    let mut child = run
        .exec("(setsid sleep 60 > /dev/null 2>&1 & echo $! > daemon); echo up; sleep 60")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the agent starts");
    let log = BufReader::new(child.stdout.take().expect("its log"));
    assert!(
        log.lines().any(|line| line.is_ok_and(|line| line == "up")),
        "it never came up"
    );
    terminate(&child);
    assert_eq!(child.wait().expect("its end").code(), Some(143));
    assert_eq!(run.report().verdict, Verdict::Cancelled);
    let daemon = std::fs::read_to_string(run.root.join("src/daemon")).expect("the daemon's id");
    assert!(
        !Path::new("/proc").join(daemon.trim()).exists(),
        "the daemon outlived its run"
    );
}

fn terminate(child: &Child) {
    let sent = rustix::process::kill_process(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::TERM,
    );
    sent.expect("a signal to our own child");
}

#[test]
fn work_that_is_missing_or_malformed_is_our_error_and_leaves_a_message() {
    let run = Run::new("malformed");
    for work in [None, Some("{}"), Some("junk")] {
        let mut command = run.command("exec");
        command.envs(work.map(|work| ("PRBUILD_WORK", work)));
        assert_eq!(output(&mut command).status.code(), Some(125), "{work:?}");
        let report = run.report();
        assert_eq!(report.verdict, Verdict::Error);
        assert!(
            report
                .reason
                .expect("a reason")
                .starts_with("PRBUILD_WORK ")
        );
    }
}

#[test]
fn a_checkout_that_fails_exits_with_1_and_says_why() {
    let run = Run::new("checkout");
    let bad = Source {
        clone_url: "ext::sh -c touch% /tmp/canary".into(),
        ..source()
    };
    let bad = serde_json::to_string(&bad).expect("JSON");
    for (given, words) in [
        (None, "PRBUILD_SOURCE cannot be read"),
        (Some(bad), "the clone URL is not"),
    ] {
        let mut command = run.command("checkout");
        command.envs(given.map(|source| ("PRBUILD_SOURCE", source)));
        assert_eq!(output(&mut command).status.code(), Some(1));
        let text = std::fs::read_to_string(run.message()).expect("a message");
        let report = CheckoutReport::parse(&text).expect("a valid message");
        assert_eq!(report.commit, "");
        assert!(report.error.expect("an error").contains(words));
    }
}
