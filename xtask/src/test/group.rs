//! Running one group of tests: what it prints is shown, counted and kept.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::ChildStderr;
use tokio::time::timeout;

use super::tally::Tally;
use crate::Result;
use crate::cargo::Cargo;

/// How long standard error may stay open when the tests are over.
const TOLD_PATIENCE: Duration = Duration::from_secs(5);

/// What came of a group of tests.
pub(super) struct Done {
    pub(super) tally: Tally,
    /// All that was printed.
    pub(super) printed: String,
}

/// Runs the tests that `targets` (arguments of `cargo test`) and `wanted` (those of a test program) name.
pub(super) async fn run(
    targets: &[String],
    wanted: &[&str],
    environment: &[(&str, &Path)],
) -> Result<Done> {
    let mut command = vec!["test", "--workspace", "--no-fail-fast"];
    command.extend(targets.iter().map(String::as_str));
    command.push("--");
    command.extend(wanted);
    let mut cargo = Cargo::start(&command, environment, true)?;
    let mut done = Done {
        tally: Tally::default(),
        printed: String::new(),
    };
    let told = tokio::spawn(told(cargo.child.stderr.take()));
    let mut blocks = Blocks::default();
    let read = each_line(cargo.child.stdout.take(), |line| {
        if let Some(block) = blocks.take(line) {
            println!("{block}");
        }
        done.tally.read(line);
        done.printed.push_str(line);
        done.printed.push('\n');
    });
    read.await?;
    if let Some(rest) = &blocks.kept {
        println!("{rest}");
    }
    let status = cargo.child.wait().await?;
    // Something that a test left behind may hold it open.
    if let Ok(Ok(told)) = timeout(TOLD_PATIENCE, told).await {
        done.printed.push_str(&told);
    }
    let mut command = "cargo test --workspace".to_owned();
    targets.iter().for_each(|one| command.extend([" ", one]));
    let broken = if blocks.unfinished > 0 {
        Some(format!("a program of `{command}` died among its tests"))
    } else if !status.success() && done.tally.failed == 0 {
        Some(format!(
            "`{command}` ended with {status}, and no test had failed"
        ))
    } else {
        None
    };
    done.tally.broken.extend(broken);
    Ok(done)
}

/// Lines that are shown together, so that what another group prints does not come between them: all that a
/// test program says of its failures, and its result.
#[derive(Default)]
struct Blocks {
    kept: Option<String>,
    /// Programs that began and have told no result: where one dies, its other tests never ran.
    unfinished: usize,
}

impl Blocks {
    /// Takes a line, and returns what is to be shown now.
    fn take(&mut self, line: &str) -> Option<String> {
        if line.starts_with("test result: ") {
            self.unfinished = self.unfinished.saturating_sub(1);
        }
        if let Some(mut kept) = self.kept.take() {
            kept.push('\n');
            kept.push_str(line);
            if line.starts_with("test result: ") {
                return Some(kept);
            }
            self.kept = Some(kept);
            return None;
        }
        let begins = line
            .strip_prefix("running ")
            .and_then(|rest| rest.split_once(" test"));
        if begins.is_some_and(|(count, _)| count.parse::<usize>().is_ok()) {
            self.unfinished += 1;
        }
        if line == "failures:" {
            self.kept = Some(line.to_owned());
            return None;
        }
        Some(line.to_owned())
    }
}

/// Shows what is told on standard error, and returns it.
async fn told(output: Option<ChildStderr>) -> String {
    let mut told = String::new();
    let read = each_line(output, |line| {
        eprintln!("{line}");
        told.push_str(line);
        told.push('\n');
    });
    // What was read until it broke is all that there is.
    let _ = read.await;
    told
}

/// Reads to the end. What a program prints need not be text, and who stops to read there would end all tests.
async fn each_line(
    output: Option<impl AsyncRead + Unpin>,
    mut read: impl FnMut(&str),
) -> std::io::Result<()> {
    let Some(output) = output else { return Ok(()) };
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).await? > 0 {
        read(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_is_no_text_is_read_as_all_others() {
        let printed: &[u8] = b"one\r\n\xff two\nthree";
        let mut lines = Vec::new();
        let read = each_line(Some(printed), |line| lines.push(line.to_owned()));
        read.await.unwrap();
        assert_eq!(lines, ["one", "\u{fffd} two", "three"]);
    }

    #[test]
    fn what_is_said_of_failures_is_shown_at_once_and_all_else_as_it_comes() {
        let mut blocks = Blocks::default();
        let mut shown = |line| blocks.take(line);
        assert_eq!(
            shown("test a ... FAILED").as_deref(),
            Some("test a ... FAILED")
        );
        assert_eq!(shown("failures:"), None);
        assert_eq!(shown("test a was wrong"), None);
        assert_eq!(
            shown("test result: FAILED. 0 passed; 1 failed").as_deref(),
            Some("failures:\ntest a was wrong\ntest result: FAILED. 0 passed; 1 failed")
        );
        assert_eq!(shown("test b ... ok").as_deref(), Some("test b ... ok"));
        assert_eq!(shown("failures:"), None);
        assert_eq!(blocks.kept.as_deref(), Some("failures:"));
    }

    #[test]
    fn a_program_that_dies_among_its_tests_is_noticed_whatever_failed_before() {
        let unfinished = |lines: &[&str]| {
            let mut blocks = Blocks::default();
            lines.iter().for_each(|line| drop(blocks.take(line)));
            blocks.unfinished
        };
        let ended = ["running 2 tests", "test result: ok. 2 passed; 0 failed"];
        assert_eq!(unfinished(&ended), 0);
        assert_eq!(unfinished(&[&ended[..], &["running 1 test"]].concat()), 1);
        assert_eq!(unfinished(&["running out of tests"]), 0);
    }
}
