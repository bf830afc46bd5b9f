//! Runs the steps of a recipe, one after the other, and reports.

use std::{
    io::{self, ErrorKind},
    path::Path,
    time::{Duration, Instant},
};

use protocol::{ExecReport, Step, StepResult, Tests, Verdict, Work, log::MarkKind};

use crate::{
    checkout_path::Checkout,
    env::{self, HandedOn, Vars},
    findings::{Findings, Origin},
    junit,
    log::Log,
    os::{Ended, Signals},
    places::Places,
    plan::{self, End, Tally},
    process::{self, Limits, ProcessError, Stop},
    scan::{Scanner, Watched},
    step::{self, StepError, StepFiles},
    text::{duration, short},
};

/// Why the executor cannot go on. The steps so far are in the report all the same.
#[derive(Debug, thiserror::Error)]
enum ExecError {
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Runs the steps of `work` on the checkout beneath `dir`. `image` are the variables that the
/// image gives, [`env::of_image`]; `grace` is the time from asking a process to end to killing it.
/// Never fails: what goes wrong is in the report.
pub fn run(
    work: &Work,
    dir: &Path,
    image: Vars,
    grace: Duration,
    signals: &mut Signals,
    log: &mut Log,
) -> ExecReport {
    let places = match Places::find(dir) {
        Ok(places) => places,
        Err(error) => return plan::error(&error.to_string(), Vec::new()),
    };
    let started = Instant::now();
    let recipe = &work.recipe;
    // A year is for ever, and does not overflow the clock.
    let seconds = |seconds: i64| Duration::from_secs(seconds.clamp(0, 31_536_000).unsigned_abs());
    let mut run = Run {
        facts: env::facts(&work.source, &places),
        places,
        image,
        handed_on: HandedOn::default(),
        tests: &recipe.tests,
        findings: Findings::default(),
        silence: seconds(recipe.timeouts.no_output_seconds),
        deadline: started + seconds(recipe.timeouts.run_seconds),
        grace,
        signals,
        log,
    };
    let mut tally = Tally::new(recipe.exit_codes.clone(), recipe.timeouts);
    run.log.line(&format!(
        "{} at {}",
        work.source.repository,
        short(&work.source.commit)
    ));
    let error = run.steps(&recipe.steps, &mut tally).err();
    let mut report = tally.into_report();
    if let Some(error) = error {
        report = plan::error(&error.to_string(), report.steps);
    }
    if report.verdict != Verdict::Cancelled && !run.signals.stopping() {
        run.junit();
    }
    std::mem::take(&mut run.findings).into_report(&mut report);
    for line in found_lines(&report) {
        run.log.line(&line);
    }
    run.log.line(&summary(&report, started.elapsed()));
    report
}

/// What steps share.
struct Run<'a> {
    places: Places,
    image: Vars,
    facts: Vars,
    handed_on: HandedOn,
    tests: &'a Tests,
    findings: Findings,
    silence: Duration,
    deadline: Instant,
    grace: Duration,
    signals: &'a mut Signals,
    log: &'a mut Log,
}

impl Run<'_> {
    /// Runs the steps that are to run, and marks where each begins and ends. After an error of our own
    /// none runs any more.
    fn steps(&mut self, steps: &[Step], tally: &mut Tally) -> Result<(), ExecError> {
        let mut done = Ok(());
        for (n, step) in (1..).zip(steps) {
            if !tally.is_over() && self.signals.stopping() {
                tally.cancel("cancelled between two steps");
            }
            let name = plan::title(step);
            self.log.mark(MarkKind::Step { n, name });
            let (result, exit) = if done.is_err() || !tally.runs(step) {
                tally.skip(step);
                self.log.line(&format!("○ {}: skipped", plan::title(step)));
                (StepResult::Skipped, None)
            } else {
                self.step(n, step, tally).unwrap_or_else(|error| {
                    done = Err(error);
                    tally.broke(step)
                })
            };
            self.log.mark(MarkKind::End { n, result, exit });
        }
        done
    }

    /// Runs a step and notes its result; answers it, with the exit code where there is one.
    fn step(
        &mut self,
        n: u32,
        step: &Step,
        tally: &mut Tally,
    ) -> Result<(StepResult, Option<i32>), ExecError> {
        let started = Instant::now();
        self.log.line(&format!("▶ {}", plan::title(step)));
        let mut scanner = Scanner::new(&self.tests.patterns);
        let directory = self
            .places
            .working_directory(step.working_directory.as_deref());
        let done = match &directory {
            Ok(directory) => self.process(n, step, directory, &mut scanner),
            Err(refusal) => Ok(End::Refused(refusal.clone())),
        };
        let directory = directory.unwrap_or_else(|_| self.places.workspace.clone());
        let end = match done {
            Ok(end) => end,
            Err(error) => {
                self.found(scanner, &directory, StepResult::Failed);
                return Err(error);
            }
        };
        let took = started.elapsed();
        let result = tally.end(step, &end, took);
        self.found(scanner, &directory, result);
        self.log
            .line(&result_line(&plan::title(step), result, &end, took));
        Ok((result, end.exit_code()))
    }

    /// Takes what the output of a step said. Test programs are also tested by tests: only where the
    /// step did not pass, names of failing tests mean something.
    fn found(&mut self, scanner: Scanner, directory: &Path, result: StepResult) {
        let checkout = Checkout::new(&self.places.workspace, directory);
        let passed = matches!(result, StepResult::Passed | StepResult::Warning);
        for (origin, found) in scanner.end() {
            match origin {
                Origin::Pattern(_) if passed => self.findings.take_passed(origin, found, &checkout),
                _ => self.findings.take(origin, found, &checkout),
            }
        }
    }

    /// Takes what the JUnit files say.
    fn junit(&mut self) {
        if self.tests.junit.is_empty() {
            return;
        }
        let root = &self.places.workspace;
        let (found, lines) = junit::read(root, &self.tests.junit, junit::Limits::default());
        for line in lines {
            self.log.line(&format!("▲ {line}"));
        }
        let checkout = Checkout::new(root, root);
        self.findings.take(Origin::Junit, found, &checkout);
    }

    fn process(
        &mut self,
        n: u32,
        step: &Step,
        directory: &Path,
        scanner: &mut Scanner,
    ) -> Result<End, ExecError> {
        let files = match StepFiles::new(&self.places.temp) {
            Err(error) if is_of_the_code(&error) => {
                return Ok(End::Refused(format!(
                    "RUNNER_TEMP is not usable any more ({error})"
                )));
            }
            made => made.map_err(StepError::Files)?,
        };
        let vars = env::of_step(
            &self.image,
            &self.places.home,
            &self.handed_on,
            &step.env,
            &self.facts,
            &files.vars(),
        );
        let command = step::command(step, &files, directory, &vars, &self.image)?;
        let limits = Limits {
            own: plan::own_limit(step),
            silence: self.silence,
            deadline: self.deadline,
            grace: self.grace,
        };
        let mut watched = Watched {
            log: self.log,
            scanner,
        };
        let outcome = match process::supervise(command, limits, self.signals, &mut watched) {
            Err(ProcessError::Start { source, .. })
                if is_of_the_code(&source) || (self.handed_on.has_path() && !is_full(&source)) =>
            {
                return Ok(End::Refused(format!("its shell did not start ({source})")));
            }
            done => done?,
        };
        if outcome.ended.is_ok() && outcome.left_behind > 0 {
            let count = outcome.left_behind;
            self.log.line(&format!(
                "▲ killed {count} processes that the step left running"
            ));
        }
        for line in files.take(&mut self.handed_on) {
            self.log.line(&format!("▲ {line}"));
        }
        match files.summary() {
            Ok(text) if text.is_empty() => {}
            Ok(text) => self.log.mark(MarkKind::Summary { n, text }),
            Err(line) => self.log.line(&format!("▲ {line}")),
        }
        Ok(match outcome.ended {
            Ok(ended) => End::Ended(ended),
            Err(stop) => End::Stopped(stop),
        })
    }
}

/// Whether the steps before can have caused an error of the system, by what they did to the
/// directories or handed on. The rest is ours: no room, no memory, no more processes.
fn is_of_the_code(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::NotADirectory
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::ArgumentListTooLong
    )
}

/// Whether the machine has no more processes or memory to give: no step before is to blame for that.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory)
}

/// The line that ends a step in the log.
fn result_line(title: &str, result: StepResult, end: &End, took: Duration) -> String {
    let (mark, word) = match result {
        StepResult::Passed => ("●", "passed"),
        StepResult::Warning => ("●", "passed with a warning"),
        StepResult::Failed => ("✕", "failed"),
        StepResult::Tolerated => ("●", "failed, as it may"),
        StepResult::TimedOut => ("✕", "timed out"),
        StepResult::Skipped => ("○", "skipped"),
        StepResult::Cancelled => ("–", "cancelled"),
    };
    let how = match end {
        End::Ended(Ended::Exit(0)) | End::Stopped(Stop::Cancelled) => String::new(),
        End::Ended(Ended::Exit(code)) => format!(" (exit code {code})"),
        End::Ended(Ended::Signal(signal)) => format!(" (signal {signal})"),
        End::Stopped(Stop::OwnTime) => " (the step's limit)".into(),
        End::Stopped(Stop::Silence) => " (no output)".into(),
        End::Stopped(Stop::TotalTime) => " (the limit of all steps together)".into(),
        End::Refused(why) => format!(" ({why})"),
    };
    format!("{mark} {title}: {word}{how} after {}", duration(took))
}

/// The lines of the log that name the failing tests.
fn found_lines(report: &ExecReport) -> Vec<String> {
    let listed = report.failures.len();
    let rest = (report.failures_total as usize).saturating_sub(listed);
    let mut lines: Vec<String> = report
        .failures
        .iter()
        .map(|name| format!("✕ {name}"))
        .collect();
    if rest > 0 {
        lines.push(format!("✕ and {rest} more"));
    }
    lines
}

/// The last line of the log.
fn summary(report: &ExecReport, took: Duration) -> String {
    let (mark, word) = match report.verdict {
        Verdict::Passed if report.warning => ("●", "Passed with warnings"),
        Verdict::Passed => ("●", "Passed"),
        Verdict::Failed => ("✕", "Failed"),
        Verdict::TimedOut => ("✕", "Timed out"),
        Verdict::Cancelled => ("–", "Cancelled"),
        Verdict::Error => ("▲", "Error"),
    };
    let reason = report.reason.as_ref().map(|reason| format!(": {reason}"));
    format!(
        "{mark} {word} in {}{}",
        duration(took),
        reason.unwrap_or_default()
    )
}

#[cfg(test)]
#[path = "exec_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "exec_limits_tests.rs"]
mod limits_tests;

#[cfg(test)]
#[path = "exec_spool_tests.rs"]
mod spool_tests;

#[cfg(test)]
#[path = "exec_findings_tests.rs"]
mod findings_tests;

#[cfg(test)]
#[path = "exec_spoilt_tests.rs"]
mod spoilt_tests;
